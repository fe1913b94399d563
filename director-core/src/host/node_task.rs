//! The plugin's tasks: how each is begun, and those that are about one node (probe and watch).
#![allow(unsafe_code)]

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use director_abi as abi;
use director_recovery::{Exception, Kind};

use super::connect::{connect_to, unreachable};
use super::instance::Inner;
use super::keeper::Local;
use super::library::NodeTask;
use super::stop::Stopper;
use super::stream::{Ending, Side, Stream};
use super::task::{Driven, Said, Task, TaskEnd, Work};
use crate::cluster::{ConnectFailure, Node, NodeLoad};

/// The node as a plugin sees it. Its name is the cluster's, which lives as long as the instance.
pub(super) fn node_info(node: &Node) -> abi::NodeInfo {
    abi::NodeInfo {
        size: size_of::<abi::NodeInfo>(),
        id: node.id,
        _pad: 0,
        name: abi::Bytes::lend(node.name.as_bytes()),
    }
}

/// What a node says of its load, as the cluster takes it.
pub(super) fn node_load(load: &abi::Load) -> NodeLoad {
    NodeLoad {
        load: Some(load.load).filter(|load| load.is_finite() && *load >= 0.0),
        leaving: load.flags & abi::LOAD_LEAVING != 0,
    }
}

/// Has the plugin serve a client.
pub(super) fn begin_serve(task: &Rc<Task>, client: &Rc<Stream>, peer: SocketAddr) -> Driven {
    let peer = peer.to_string();
    let info = abi::ClientInfo {
        size: size_of::<abi::ClientInfo>(),
        stream: client.number,
        session: task.session,
        peer: abi::Bytes::lend(peer.as_bytes()),
    };
    let (serve, data) = (task.inner.plugin.functions.serve, task.inner.data.0);
    task.make(|| {
        // SAFETY: the plugin's own function on its own instance, which the task keeps alive; `info`
        // is lent for the call.
        unsafe { serve(data, task.number, &raw const info) }
    })
}

/// Has the plugin do the instance's own work.
pub(super) fn begin_run(task: &Rc<Task>) -> Driven {
    let (run, data) = (task.inner.plugin.functions.run, task.inner.data.0);
    // SAFETY: the plugin's own function on its own instance, which the task keeps alive.
    task.make(|| unsafe { run(data, task.number) })
}

/// Asks a node how it is.
pub(super) async fn probe(inner: Arc<Inner>, node: Arc<Node>) -> Result<NodeLoad, Exception> {
    let said = ask(&inner, &node, Work::Probe, inner.plugin.functions.probe).await?;
    let load = node_load(&said.load);
    match said.exception(&inner.plugin, Some(node.id)) {
        None => Ok(load),
        Some(exception) => Err(exception),
    }
}

/// Watches a node until a sign of failure.
pub(super) async fn watch(inner: Arc<Inner>, node: Arc<Node>) -> Exception {
    match ask(&inner, &node, Work::Watch, inner.plugin.functions.watch).await {
        Ok(said) => said
            .exception(&inner.plugin, Some(node.id))
            .unwrap_or_else(|| Exception::new(Kind::Lost, Some(node.id), "the watch ended")),
        Err(exception) => exception,
    }
}

async fn ask(
    inner: &Arc<Inner>,
    node: &Arc<Node>,
    work: Work,
    function: NodeTask,
) -> Result<Said, Exception> {
    let fault = |what: &str| Exception::new(Kind::Fault, Some(node.id), what);
    let transport = connect_to(
        node,
        &inner.tls,
        inner.timeouts.connect,
        inner.timeouts.keepalive,
    )
    .await
    .map_err(|error| match ConnectFailure::from(&error) {
        ConnectFailure::Ours => fault(&error.to_string()),
        ConnectFailure::Refused | ConnectFailure::TimedOut | ConnectFailure::Other => {
            unreachable(node, &error)
        }
    })?;
    // These tasks end with the node's health task, whatever the director does.
    let (_stopper, stop) = Stopper::new();
    let task = Local::of(inner).and_then(|local| Task::begin(&local, work, stop, 0, None));
    let Some(task) = task else {
        return Err(fault("the host has no number left for a task"));
    };
    let side = Side::Health {
        instance: inner.number,
        node: node.id,
    };
    let Some(stream) = Stream::begin(transport, side) else {
        task.end(Ending::Host);
        return Err(fault("the host has no number left for a stream"));
    };
    task.give(Rc::clone(&stream));
    let info = node_info(node);
    let driven = task.make(|| {
        // SAFETY: the plugin's own function on its own instance, which the task keeps alive; `info`
        // is lent for the call.
        unsafe { function(inner.data.0, task.number, stream.number, &raw const info) }
    });
    match driven.await {
        TaskEnd::Ended(said) => Ok(said),
        TaskEnd::Panicked => Err(fault("the plugin panicked")),
    }
}
