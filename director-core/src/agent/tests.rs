//! Agents over real sockets.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;
use crate::cluster::{Balance, ClusterSettings, NodeLoad, NodeSettings, Standing};
use crate::health::standing::HealthSettings;

const SOON: Duration = Duration::from_secs(10);

fn cluster() -> Arc<Cluster> {
    let node = |name: &str, port| NodeSettings::new(name, ([127, 0, 0, 1], port).into());
    let cluster = Cluster::new(ClusterSettings {
        service: String::from("echo"),
        nodes: vec![node("a", 1), node("b", 2)],
        balance: Balance::LeastLoad,
        budget_share: 0.0,
        budget_per_second: 0,
        health: HealthSettings::default(),
        panic_threshold: 0.5,
    });
    for node in cluster.nodes() {
        cluster.probed(&node, Ok(NodeLoad::default()));
    }
    Arc::new(cluster)
}

/// An agent that says each of these to one connection, and then listens no more.
async fn agent(lines: &[&'static [u8]]) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let lines = lines.to_vec();
    let says = tokio::spawn(async move {
        for line in lines {
            let (mut stream, _peer) = listener.accept().await.unwrap();
            // It may be too long to be read to its end.
            let _read = stream.write_all(line).await;
        }
    });
    (at, says)
}

#[tokio::test]
async fn a_line_is_read_to_its_end_or_to_that_of_the_stream() {
    let long = Box::leak(vec![b'5'; 100_000].into_boxed_slice());
    let (at, _says) = agent(&[b"75% up\n", b"drain", b"", long, b"what?\n"]).await;
    assert_eq!(ask(at, SOON).await.unwrap().percent, Some(75));
    assert_eq!(ask(at, SOON).await.unwrap().takes, Some(false));
    for words in ["said nothing", "longer than 256", "said \"what?\""] {
        let error = ask(at, SOON).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = silent.local_addr().unwrap();
    let late = ask(at, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(late, AgentError::Late(_)), "{late}");
}

#[tokio::test]
async fn what_an_agent_says_holds_of_its_node() {
    let cluster = cluster();
    let (at, says) = agent(&[
        b"0% up\n",
        b"100% drain\n",
        b"ready down#broken\n",
        b"up maxconn:1\n",
    ])
    .await;
    let settings = AgentSettings {
        port: at.port(),
        every: Duration::from_millis(20),
        timeout: SOON,
        keep: SOON,
    };
    let node = cluster.node(0).unwrap();
    let mut changes = cluster.on_change();
    let mut deaths = cluster.on_death();
    let asking = tokio::spawn(keep(Arc::clone(&cluster), Arc::clone(&node), settings));
    let mut stood = Vec::new();
    tokio::time::timeout(SOON, async {
        while node.agent().most.is_none() {
            tokio::select! {
                _changed = changes.changed() => stood.push(node.standing()),
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
    })
    .await
    .unwrap();
    says.await.unwrap();
    assert!(stood.contains(&Standing::Draining), "{stood:?}");
    assert!(stood.contains(&Standing::Down), "{stood:?}");
    assert_eq!(deaths.try_recv(), Ok(0));
    // It says that it is up: a trial decides.
    cluster.probed(&node, Ok(NodeLoad::default()));
    assert_eq!(node.standing(), Standing::Up);
    let only = cluster.pick(&[1], None, None).unwrap();
    assert!(cluster.pick(&[1], None, None).is_none(), "maxconn:1");
    drop(only);
    // It listens no more: its last words hold.
    tokio::time::timeout(SOON, async {
        while !node.agent().silent {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(node.agent().most, Some(1));
    asking.abort();
}

#[tokio::test]
async fn a_node_whose_agent_says_down_stays_down_whatever_its_probe_says() {
    let cluster = cluster();
    let node = cluster.node(0).unwrap();
    let says = |line: &str| cluster.agent_said(&node, line::parse(line.as_bytes()).unwrap());
    says("down#maintenance");
    cluster.probed(&node, Ok(NodeLoad::default()));
    assert_eq!(node.standing(), Standing::Down);
    assert_eq!(node.agent().reason.as_deref(), Some("maintenance"));
    says("up 0%");
    cluster.probed(&node, Ok(NodeLoad::default()));
    assert_eq!(node.standing(), Standing::Up);
    assert!(cluster.pick(&[1], None, None).is_none(), "a weight of 0");
    says("10%");
    assert!(cluster.pick(&[1], None, None).is_some());
}
