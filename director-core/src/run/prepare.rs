//! From settings to services: plugins loaded, nodes known, listeners open. Every mistake is gathered.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::RunError;
use crate::cluster::{Cluster, ClusterSettings, NodeSettings};
use crate::config::{Config, Mistake, NodeSource, ServiceSettings, Settings};
use crate::host::{CreateError, Instance, InstanceSettings, Library, Tls};
use crate::plugins;
use crate::service::{Door, Service, bind};
use crate::spawn::{self, Spawned};
use crate::tls::{self, Server, Unusable};

/// Everything that workers need.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) services: Vec<Arc<Service>>,
    /// One set a worker, with every listener of every service.
    pub(super) doors: Vec<Vec<(Arc<Service>, Door<TcpListener>)>>,
}

/// Looks whether plugins can be loaded and like their options, and starts nothing.
///
/// # Errors
/// Every mistake that was found.
pub fn check(config: &Config) -> Result<(), Vec<Mistake>> {
    let mut mistakes = Vec::new();
    for service in &config.settings.services {
        // The plugin is told of its nodes when they are used; there is none to use here.
        let cluster = cluster_of(service, Vec::new());
        if let Err(more) = instance_of(config, service, cluster) {
            mistakes.extend(more);
        }
    }
    if mistakes.is_empty() {
        Ok(())
    } else {
        Err(mistakes)
    }
}

pub(super) fn prepare(config: &Config, director: &Path) -> Result<Prepared, RunError> {
    let settings = &config.settings;
    let threads = settings.threads.get();
    let mut mistakes = Vec::new();
    let mut made = Vec::new();
    for service in &settings.services {
        let (nodes, spawned) = nodes_of(settings, service, director)?;
        let cluster = cluster_of(service, nodes);
        match instance_of(config, service, Arc::clone(&cluster)) {
            Ok(instance) => made.push((service, cluster, spawned, instance)),
            Err(more) => mistakes.extend(more),
        }
    }
    if !mistakes.is_empty() {
        return Err(RunError::Mistakes(mistakes));
    }
    let mut services = Vec::new();
    let mut doors: Vec<Vec<_>> = (0..threads).map(|_| Vec::new()).collect();
    for (service, cluster, spawned, instance) in made {
        let plain = bind(service.listen, threads, service.any_port).map_err(|error| {
            let text = format!("found \"{}\", {error}", service.listen);
            mistakes.push(config.mistake(&service.name, &["listen"], &text));
        });
        let secured = service
            .tls
            .as_ref()
            .and_then(|tls| tls.listen)
            .map(|listen| {
                bind(listen, threads, false).map_err(|error| {
                    let text = format!("found \"{listen}\", {error}");
                    mistakes.push(config.mistake(&service.name, &["tls", "listen"], &text));
                })
            });
        let (Ok((address, plain)), Ok(secured)) = (plain, secured.transpose()) else {
            continue;
        };
        let (tls_address, secured) = secured.unzip();
        let addresses = (address, tls_address);
        let service = Service::new(service.clone(), addresses, cluster, spawned, instance);
        let service = Arc::new(service);
        for (listeners, tls_first) in [(plain, false), (secured.unwrap_or_default(), true)] {
            for (set, listener) in doors.iter_mut().zip(listeners) {
                let door = Door {
                    listener,
                    tls_first,
                };
                set.push((Arc::clone(&service), door));
            }
        }
        services.push(service);
    }
    if !mistakes.is_empty() {
        return Err(RunError::CannotListen(mistakes));
    }
    Ok(Prepared { services, doors })
}

/// Where a service keeps what has to outlive the process.
fn dir_of(settings: &Settings, service: &ServiceSettings) -> PathBuf {
    settings.state_dir.join(&service.name)
}

type Nodes = (Vec<NodeSettings>, Vec<Arc<Spawned>>);

fn nodes_of(
    settings: &Settings,
    service: &ServiceSettings,
    director: &Path,
) -> Result<Nodes, RunError> {
    match &service.nodes {
        NodeSource::Static(nodes) => Ok((nodes.clone(), Vec::new())),
        NodeSource::Spawn(spawn) => {
            let dir = dir_of(settings, service);
            let spawned = spawn::plan(&service.name, spawn, director, &dir)?;
            let nodes = spawned
                .iter()
                .map(|node| NodeSettings::new(node.id.clone(), node.address))
                .collect();
            Ok((nodes, spawned))
        }
    }
}

fn cluster_of(service: &ServiceSettings, nodes: Vec<NodeSettings>) -> Arc<Cluster> {
    Arc::new(Cluster::new(ClusterSettings {
        service: service.name.clone(),
        nodes,
        balance: service.balance,
        budget_share: service.budget_share,
        budget_per_second: service.budget_per_second,
        health: service.health,
        panic_threshold: service.panic_threshold,
    }))
}

fn instance_of(
    config: &Config,
    service: &ServiceSettings,
    cluster: Arc<Cluster>,
) -> Result<Instance, Vec<Mistake>> {
    let settings = &config.settings;
    let wrong = |text: &str| vec![config.mistake(&service.name, &["plugin"], text)];
    let file = plugins::find(&service.plugin, &settings.plugin_path)
        .map_err(|error| wrong(&error.to_string()))?;
    let library = Library::load(&file).map_err(|error| wrong(&error.to_string()))?;
    let tls = tls_of(config, service)?;
    let made = library.create(InstanceSettings {
        service: service.name.clone(),
        options: service.options.to_string(),
        state_dir: dir_of(settings, service).join("plugin"),
        limits: service.limits,
        timeouts: service.timeouts,
        spool: service.spool,
        cluster,
        tls,
    });
    made.map_err(|error| match error {
        CreateError::Options(mistakes) => mistakes
            .iter()
            .map(|mistake| {
                let path = mistake.path.split('.').filter(|part| !part.is_empty());
                let key: Vec<&str> = ["options"].into_iter().chain(path).collect();
                config.mistake(&service.name, &key, &mistake.message)
            })
            .collect(),
        CreateError::Failed(_) => wrong(&error.to_string()),
    })
}

/// Reads certificates and keys.
fn tls_of(config: &Config, service: &ServiceSettings) -> Result<Tls, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut wrong =
        |table: &str, unusable: Vec<Unusable>| {
            mistakes.extend(unusable.iter().map(|unusable| {
                config.mistake(&service.name, &[table, unusable.key], &unusable.text)
            }));
        };
    let server = service.tls.as_ref().and_then(|settings| {
        let loaded = Server::load(settings);
        loaded.map_err(|unusable| wrong("tls", unusable)).ok()
    });
    let nodes = service.node_tls.as_ref().and_then(|settings| {
        let loaded = tls::Nodes::load(settings);
        loaded.map_err(|unusable| wrong("node_tls", unusable)).ok()
    });
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(Tls {
        server: server.map(Arc::new),
        nodes: nodes.map(Arc::new),
    })
}
