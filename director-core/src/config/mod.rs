//! The settings: what was written, checked as a whole.
//!
//! A TOML file (or a text built in), under environment variables, under flags. What was written is
//! kept as values with their places; what was checked is [`Settings`], in which nothing can be wrong any
//! more. Checking notes every mistake of one run, each with its place, its key, what was found and what
//! would be right. `docs/configuration.md` tells every setting.

mod document;
mod mistake;
mod nodes;
mod service;
mod settings;
mod size;
mod sources;
mod table;
mod tls;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Value};

pub use mistake::{Mistake, Place};
pub use settings::{AdminAddress, NodeSource, ServiceSettings, Settings, SpawnSettings};
pub use sources::ENVIRONMENT;

use document::Document;
use sources::{Flag, Sources};
use table::{Check, Table, flag_mistake};

/// Where the config is written.
#[derive(Debug, Clone, Copy)]
pub enum Written<'a> {
    /// In this file.
    File(&'a Path),
    /// In the program itself. The text's services may fall back to any port, unless one is asked for.
    BuiltIn(&'a str),
}

/// Settings given as flags; they win over file and environment.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--service`: only these; empty for all.
    pub services: Vec<String>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin`.
    pub admin: Option<String>,
    /// `--state-dir`.
    pub state_dir: Option<String>,
    /// `--threads`.
    pub threads: Option<u32>,
    /// `--log`.
    pub log: Option<String>,
}

/// A config: what was checked, and still what was written, to place mistakes that are found later.
#[derive(Debug)]
pub struct Config {
    /// What was checked.
    pub settings: Settings,
    sources: Sources,
}

impl Config {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// Every mistake there is; never an empty list.
    pub fn load(written: Written<'_>, flags: &Flags) -> Result<Self, Vec<Mistake>> {
        let (document, any_port) = match written {
            Written::File(path) => (sources::read(path)?, false),
            Written::BuiltIn(text) => (Document::parse(None, text.to_owned())?, true),
        };
        let any_port = any_port && flags.listen.is_none();
        let chosen = choose(&document, flags)?;
        let sources = Sources::new(document, &as_values(flags, &chosen))?;
        let check = Check {
            sources: &sources,
            mistakes: RefCell::new(Vec::new()),
        };
        let settings = check_all(&check, flags);
        let mistakes = check.mistakes.into_inner();
        match settings {
            Some(mut settings) if mistakes.is_empty() => {
                for service in &mut settings.services {
                    service.any_port = any_port;
                }
                Ok(Self { settings, sources })
            }
            Some(_) | None => Err(mistakes),
        }
    }

    /// A mistake about a setting of a service that was found later, by its plugin for example. `key` is
    /// the way from the service to it: `["options", "interval"]`.
    #[must_use]
    pub fn mistake(&self, service: &str, key: &[&str], text: &str) -> Mistake {
        let key: Vec<&str> = ["services", service].iter().chain(key).copied().collect();
        self.mistake_at(&key, text)
    }

    /// A mistake about any setting that was found later.
    #[must_use]
    pub fn mistake_at(&self, key: &[&str], text: &str) -> Mistake {
        let value = key.split_first().and_then(|(first, rest)| {
            let first = self.sources.values.get(*first)?;
            rest.iter()
                .try_fold(first, |value, part| value.as_dict()?.get(*part))
        });
        let key: Vec<String> = key.iter().map(|part| (*part).to_owned()).collect();
        let place = self.sources.place(&key, value);
        Mistake::new(place, key.join("."), text)
    }
}

/// The services that the flags ask for: those named, else all.
fn choose(document: &Document, flags: &Flags) -> Result<Vec<String>, Vec<Mistake>> {
    let written = document.services();
    let unknown: Vec<Mistake> = flags
        .services
        .iter()
        .filter(|name| !written.contains(name))
        .map(|name| {
            flag_mistake(
                "--service",
                format_args!(
                    "found {name:?}, right would be one of the config's services: {}",
                    written.join(", ")
                ),
            )
        })
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let chosen = if flags.services.is_empty() {
        written
    } else {
        flags.services.clone()
    };
    if flags.listen.is_some() && chosen.len() != 1 {
        return Err(vec![flag_mistake(
            "--listen",
            format_args!(
                "found it for {} services, right would be one `--service NAME` beside it",
                chosen.len()
            ),
        )]);
    }
    Ok(chosen)
}

fn as_values(flags: &Flags, chosen: &[String]) -> Vec<Flag> {
    let mut values = Vec::new();
    let mut give = |name, key: &[&str], value: Option<Value>| {
        if let Some(value) = value {
            values.push(Flag {
                name,
                key: key.iter().map(|part| (*part).to_owned()).collect(),
                value,
            });
        }
    };
    let text = |value: &Option<String>| value.as_deref().map(Value::from);
    if let [service] = chosen {
        let key = ["services", service, "listen"];
        give("--listen", &key, text(&flags.listen));
    }
    give("--admin", &["admin", "listen"], text(&flags.admin));
    give("--state-dir", &["state_dir"], text(&flags.state_dir));
    give("--threads", &["threads"], flags.threads.map(Value::from));
    give("--log", &["log"], text(&flags.log));
    values
}

fn check_all(check: &Check<'_>, flags: &Flags) -> Option<Settings> {
    let mut root = Table::new(check, Vec::new(), &check.sources.values);
    let threads = threads(&mut root);
    let state_dir = state_dir(&mut root);
    let log = root
        .text("log", "a log filter, such as \"info\"")
        .map_or("info", |log| log.value)
        .to_owned();
    let admin = admin(&mut root, &state_dir);
    let plugin_path = plugin_path(check, &mut root);
    let given = root.has("services");
    let tables = root
        .table("services")
        .map(Table::tables)
        .unwrap_or_default();
    if tables.is_empty() && (!given || root.is_empty_table("services")) {
        root.missing("services", "at least one table [services.NAME]");
    }
    let services: Vec<ServiceSettings> = tables
        .into_iter()
        .filter_map(|(name, table)| service::check(&name, table))
        .filter(|service| flags.services.is_empty() || flags.services.contains(&service.name))
        .collect();
    same_listeners(check, &services);
    root.finish();
    Some(Settings {
        threads,
        state_dir: state_dir?,
        log,
        admin: admin?,
        plugin_path,
        services,
    })
}

/// 0, the default, is one a core.
fn threads(root: &mut Table<'_>) -> NonZeroUsize {
    let threads = root.count("threads", 0, 0..=1024) as usize;
    NonZeroUsize::new(threads)
        .or_else(|| std::thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}

fn state_dir(root: &mut Table<'_>) -> Option<PathBuf> {
    match root.text("state_dir", "a directory") {
        Some(text) if text.value.is_empty() => {
            root.mistake("state_dir", "found \"\", right would be a directory");
            None
        }
        Some(text) => absolute(text.value),
        None if root.has("state_dir") => None,
        None => {
            let default = default_state_dir();
            if default.is_none() {
                root.missing(
                    "state_dir",
                    "a directory, because neither XDG_STATE_HOME nor HOME is set",
                );
            }
            default
        }
    }
}

/// `director` in the user's state directory, as the XDG base directory specification has it.
fn default_state_dir() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("director"))
}

/// Spawned nodes and plugins may have another working directory, so paths are made absolute.
fn absolute(text: &str) -> Option<PathBuf> {
    std::path::absolute(text).ok()
}

/// Where the admin socket of a state directory is.
fn admin_socket(state_dir: &Path) -> PathBuf {
    state_dir.join("admin.sock")
}

/// Reads an admin address: a path (with a slash in it) or a loopback address with its port. The error says
/// what would be right.
fn admin_address(text: &str) -> Result<AdminAddress, String> {
    const RIGHT: &str =
        "the path of a unix socket, or a loopback address and a port, such as \"127.0.0.1:7071\"";
    if text.contains('/') {
        return absolute(text)
            .map(AdminAddress::Unix)
            .ok_or_else(|| RIGHT.to_owned());
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(AdminAddress::Tcp(address)),
        // Whoever reaches it can read everything, and it asks nobody who they are.
        Ok(_) | Err(_) => Err(RIGHT.to_owned()),
    }
}

fn admin(root: &mut Table<'_>, state_dir: &Option<PathBuf>) -> Option<AdminAddress> {
    let default = || {
        state_dir
            .as_deref()
            .map(|dir| AdminAddress::Unix(admin_socket(dir)))
    };
    let Some(mut table) = root.table("admin") else {
        return default();
    };
    let given = table.has("listen");
    let address = match table.text("listen", "a path or an address") {
        Some(text) => match admin_address(text.value) {
            Ok(address) => Some(address),
            Err(right) => {
                table.mistake_at(
                    &text,
                    format_args!("found {:?}, right would be {right}", text.value),
                );
                None
            }
        },
        None if given => None,
        None => default(),
    };
    table.finish();
    address
}

fn plugin_path(check: &Check<'_>, root: &mut Table<'_>) -> Vec<PathBuf> {
    let Some(mut table) = root.table("plugins") else {
        return Vec::new();
    };
    let path = table
        .texts("path", "a list of directories")
        .unwrap_or_default();
    table.finish();
    path.iter()
        .filter_map(|dir| {
            let path = absolute(dir.value);
            if path.is_none() {
                check.mistake(
                    &dir.key,
                    Some(dir.raw),
                    "found \"\", right would be a directory",
                );
            }
            path
        })
        .collect()
}

/// Two listeners cannot be at one address.
fn same_listeners(check: &Check<'_>, services: &[ServiceSettings]) {
    let mut known: Vec<(SocketAddr, &str)> = Vec::new();
    for service in services {
        let secured = service.tls.as_ref().and_then(|tls| tls.listen);
        let listeners = [
            (Some(service.listen), &["listen"][..]),
            (secured, &["tls", "listen"][..]),
        ];
        for (address, name) in listeners {
            let Some(address) = address.filter(|address| address.port() != 0) else {
                continue;
            };
            match known.iter().find(|(known, _)| *known == address) {
                Some((_, other)) => {
                    let key = ["services", &service.name]
                        .into_iter()
                        .chain(name.iter().copied());
                    let key: Vec<String> = key.map(str::to_owned).collect();
                    check.mistake(
                        &key,
                        None,
                        format_args!(
                            "found {:?}, which is the address of the service `{other}` too, right would be another",
                            address.to_string(),
                        ),
                    );
                }
                None => known.push((address, &service.name)),
            }
        }
    }
}

impl Document {
    /// Names of the services written in it.
    fn services(&self) -> Vec<String> {
        self.values()
            .get("services")
            .and_then(Value::as_dict)
            .map(|services: &Dict| services.keys().cloned().collect())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
