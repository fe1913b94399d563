//! The cluster as workers see it.

use director_recovery::Kind;

use std::net::SocketAddr;

use super::*;

fn cluster(nodes: u16) -> Cluster {
    cluster_of(nodes, Balance::LeastLoad, |_| None)
}

fn cluster_of(nodes: u16, balance: Balance, most: impl Fn(u16) -> Option<u32>) -> Cluster {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let settings = ClusterSettings {
        service: String::from("echo"),
        nodes: (0..nodes)
            .map(|index| NodeSettings {
                max_sessions: most(index),
                ..NodeSettings::new(format!("n{index}"), address(7_000 + index))
            })
            .collect(),
        balance,
        budget_share: 0.2,
        budget_per_second: 10,
        health: HealthSettings::default(),
        panic_threshold: 0.5,
    };
    let cluster = Cluster::new(settings);
    for node in cluster.nodes() {
        cluster.probed(&node, Ok(NodeLoad::default()));
    }
    cluster
}

fn failed_probe() -> Result<NodeLoad, Exception> {
    Err(Exception::new(Kind::Unreachable, None, "refused"))
}

fn kill(cluster: &Cluster, id: NodeId) {
    cluster.observe(id, Seen::Failed(Kind::Lost));
    let node = cluster.node(id).unwrap();
    cluster.probed(&node, failed_probe());
}

#[test]
fn the_least_loaded_of_two_is_picked() {
    let cluster = cluster(2);
    let busy = cluster.node(0).unwrap();
    let _guards: Vec<_> = (0..3).map(|_| busy.enter()).collect();
    assert!((0..100).all(|_| cluster.pick(&[], None, None).unwrap().node().id == 1));
    // What the other reports of itself counts too.
    let reported = NodeLoad {
        load: Some(9.0),
        leaving: false,
    };
    cluster.observe(1, Seen::Load(reported));
    assert!((0..100).all(|_| cluster.pick(&[], None, None).unwrap().node().id == 0));
}

#[test]
fn a_guard_counts_while_it_lives() {
    let cluster = cluster(1);
    let node = cluster.node(0).unwrap();
    let guard = node.enter();
    assert_eq!((node.in_flight(), node.entered()), (1, 1));
    assert_eq!(guard.node().id, 0);
    drop(guard);
    assert_eq!((node.in_flight(), node.entered()), (0, 1));
}

#[test]
fn a_death_is_told_once_and_the_dead_are_not_picked() {
    let cluster = cluster(3);
    let mut deaths = cluster.on_death();
    kill(&cluster, 1);
    cluster.observe(1, Seen::Failed(Kind::Lost));
    assert_eq!(deaths.try_recv(), Ok(1));
    assert!(deaths.try_recv().is_err());
    assert!((0..100).all(|_| cluster.pick(&[], None, None).unwrap().node().id != 1));
    assert!(cluster.pick(&[], Some(1), None).is_none());
    assert_eq!(cluster.pick(&[], Some(2), None).unwrap().node().id, 2);
    assert!(cluster.pick(&[0, 2], None, None).is_none());
}

#[test]
fn a_node_that_answers_that_it_is_leaving_is_alive() {
    let cluster = cluster(2);
    let node = cluster.node(0).unwrap();
    cluster.observe(0, Seen::Failed(Kind::Leaving));
    cluster.probed(&node, Err(Exception::new(Kind::Leaving, Some(0), "421")));
    assert_eq!(node.standing(), Standing::Leaving);
    assert!((0..100).all(|_| cluster.pick(&[], None, None).unwrap().node().id == 1));
    assert_eq!(cluster.pick(&[1], None, None).unwrap().node().id, 0);
}

#[test]
fn only_a_crowd_is_spread() {
    let cluster = cluster(2);
    let (one, other) = (cluster.node(0).unwrap(), cluster.node(1).unwrap());
    let few: Vec<_> = (0..100).map(|_| other.enter()).collect();
    let crowd: Vec<_> = (0..101).map(|_| one.enter()).collect();
    assert_eq!(cluster.spread(0), Duration::ZERO, "nobody has to leave it");
    kill(&cluster, 0);
    kill(&cluster, 1);
    drop((few, crowd));
    assert_eq!(cluster.spread(1), Duration::ZERO);
    let spread: Vec<_> = (0..200).map(|_| cluster.spread(0)).collect();
    assert!(spread.iter().all(|wait| *wait < SPREAD));
    assert!(spread.iter().max() > Some(&(SPREAD / 2)));
    cluster.probed(&one, Ok(NodeLoad::default()));
    assert_eq!(cluster.spread(0), Duration::ZERO, "it is back");
}

#[test]
fn half_of_the_nodes_stay_whatever_fails() {
    let cluster = cluster(4);
    let now = || cluster.now();
    for id in 0..4 {
        for _ in 0..50 {
            cluster.observe(id, Seen::Failed(Kind::Garbled));
            let node = cluster.node(id).unwrap();
            cluster.probed(&node, Ok(NodeLoad::default()));
        }
    }
    let up = cluster
        .nodes()
        .iter()
        .filter(|node| node.health().standing(now()) == Standing::Up)
        .count();
    assert_eq!(up, 2);
}

#[test]
fn an_id_that_names_no_node_changes_nothing() {
    let cluster = cluster(1);
    cluster.observe(7, Seen::Silent);
    assert!(cluster.node(7).is_none());
    assert_eq!(cluster.spread(7), Duration::ZERO);
    assert!(cluster.pick(&[], Some(7), None).is_none());
}

#[test]
fn deaths_and_exceptions_are_counted_by_node() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let cluster = cluster(2);
        kill(&cluster, 1);
        cluster.observe(0, Seen::Silent);
    });
    let text = handle.render();
    for line in [
        "director_node_deaths_total{service=\"echo\",node=\"n1\"} 1",
        "director_node_deaths_total{service=\"echo\",node=\"n0\"} 0",
        "director_node_exceptions_total{service=\"echo\",node=\"n1\",kind=\"lost\"} 1",
        "director_node_silences_total{service=\"echo\",node=\"n0\"} 1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_full_node_gets_no_session_and_neither_does_anybody_when_all_are() {
    let cluster = cluster_of(2, Balance::LeastLoad, |index| (index == 0).then_some(2));
    let kept: Vec<_> = (0..10)
        .map(|_| cluster.pick(&[], None, None).unwrap())
        .collect();
    let at_first = kept.iter().filter(|flight| flight.node().id == 0).count();
    assert_eq!(at_first, 2);
    assert!(cluster.pick(&[1], None, None).is_none(), "it is full");
    assert!(
        cluster.pick(&[], Some(0), None).is_some(),
        "who was there may come back"
    );
    drop(kept);
    assert_eq!(cluster.pick(&[1], None, None).unwrap().node().id, 0);
}

#[test]
fn sessions_of_one_key_go_to_one_node() {
    let cluster = cluster_of(5, Balance::Hash, |_| None);
    let of = |key| cluster.pick(&[], None, Some(key)).unwrap().node().id;
    let mut nodes = std::collections::BTreeSet::new();
    for user in 0..50 {
        let key = hash(format!("user {user}").as_bytes());
        let node = of(key);
        assert!((0..5).all(|_| of(key) == node));
        nodes.insert(node);
    }
    assert_eq!(nodes.len(), 5);
}

#[test]
fn what_began_since_a_report_counts_and_what_is_in_it_does_not_count_twice() {
    let cluster = cluster(2);
    let one = cluster.node(0).unwrap();
    let report = |id, load| {
        let load = Some(load);
        cluster.observe(
            id,
            Seen::Load(NodeLoad {
                load,
                leaving: false,
            }),
        );
    };
    let _ten: Vec<_> = (0..10).map(|_| one.enter()).collect();
    report(0, 10.0);
    report(1, 12.0);
    assert!((0..50).all(|_| cluster.pick(&[], None, None).unwrap().node().id == 0));
    let _five: Vec<_> = (0..5).map(|_| one.enter()).collect();
    assert!((0..50).all(|_| cluster.pick(&[], None, None).unwrap().node().id == 1));
}

#[test]
fn a_node_that_drains_gets_nothing_new_and_keeps_what_it_has() {
    let cluster = cluster(2);
    let node = cluster.node(0).unwrap();
    let kept = node.enter();
    assert!(cluster.drain(&node, ClosedBy::Operator, true));
    assert!(
        !cluster.drain(&node, ClosedBy::Operator, true),
        "a second time"
    );
    assert!(cluster.drain(&node, ClosedBy::Agent, true));
    assert_eq!(node.standing(), Standing::Draining);
    assert!((0..100).all(|_| cluster.pick(&[], None, None).unwrap().node().id == 1));
    assert!(
        cluster.pick(&[1], None, None).is_none(),
        "not even when no other is left"
    );
    assert!(
        cluster.pick(&[], Some(0), None).is_some(),
        "whose link stands goes on there"
    );
    assert_eq!(kept.node().in_flight(), 1);
    cluster.drain(&node, ClosedBy::Operator, false);
    assert_eq!(
        node.standing(),
        Standing::Draining,
        "the agent still says so"
    );
    cluster.drain(&node, ClosedBy::Agent, false);
    assert_eq!(node.standing(), Standing::Up);
    assert_eq!(cluster.pick(&[1], None, None).unwrap().node().id, 0);
}

#[test]
fn sessions_of_a_drained_node_move_at_the_deadline_and_not_before() {
    let cluster = cluster(2);
    let node = cluster.node(0).unwrap();
    let mut moves = cluster.on_death();
    let kept = node.enter();
    cluster.drain(&node, ClosedBy::Operator, true);
    cluster.move_the_late(Duration::from_secs(3600));
    assert!(moves.try_recv().is_err());
    cluster.move_the_late(Duration::ZERO);
    assert_eq!(moves.try_recv(), Ok(0));
    assert_eq!(node.standing(), Standing::Draining, "it is not dead");
    drop(kept);
    cluster.move_the_late(Duration::ZERO);
    assert!(moves.try_recv().is_err(), "nobody is on it");
}
