//! The health task against a scripted prober, on a paused clock.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use director_recovery::NodeId;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;
use crate::cluster::{Balance, ClusterSettings, NodeSettings, Seen, Standing};
use crate::health::standing::HealthSettings;

/// What one probe does.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Up,
    Refused,
    Never,
}

/// A node's side: answers from a script, then the last one again; watches run until `end_watch`.
struct Script {
    answers: RefCell<VecDeque<Answer>>,
    last: Cell<Answer>,
    probes: Cell<usize>,
    watches: Cell<usize>,
    watching: Rc<Cell<usize>>,
    end_watch: Rc<Notify>,
    /// What an ended watch raises.
    raises: Rc<Cell<Kind>>,
}

/// Counts a watch while its future lives.
struct Watching(Rc<Cell<usize>>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Prober for Script {
    fn probe(&self, node: Arc<Node>) -> Local<Result<NodeLoad, Exception>> {
        self.probes.set(self.probes.get() + 1);
        let answer = match self.answers.borrow_mut().pop_front() {
            Some(answer) => {
                self.last.set(answer);
                answer
            }
            None => self.last.get(),
        };
        Box::pin(async move {
            match answer {
                Answer::Up => Ok(NodeLoad::default()),
                Answer::Refused => Err(Exception::new(Kind::Unreachable, Some(node.id), "refused")),
                Answer::Never => std::future::pending().await,
            }
        })
    }

    fn watch(&self, node: Arc<Node>) -> Local<Exception> {
        self.watches.set(self.watches.get() + 1);
        self.watching.set(self.watching.get() + 1);
        let guard = Watching(Rc::clone(&self.watching));
        let end = Rc::clone(&self.end_watch);
        let raises = Rc::clone(&self.raises);
        Box::pin(async move {
            end.notified().await;
            drop(guard);
            Exception::new(raises.get(), Some(node.id), "end of file")
        })
    }
}

const PROBE_TIMEOUT: Duration = Duration::from_millis(300);
const NODE: NodeId = 0;

struct Story {
    cluster: Arc<Cluster>,
    script: Arc<Script>,
}

impl Story {
    /// Runs a story beside the node's health task.
    fn run<F: Future<Output = ()>>(answers: &[Answer], story: impl FnOnce(Self) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let settings = ClusterSettings {
            service: String::from("echo"),
            nodes: vec![NodeSettings::new("n", ([127, 0, 0, 1], 1).into())],
            balance: Balance::LeastLoad,
            budget_share: 0.0,
            budget_per_second: 0,
            health: HealthSettings::default(),
            panic_threshold: 0.5,
        };
        runtime.block_on(async {
            let cluster = Arc::new(Cluster::new(settings));
            // Its futures stay on this thread, as the host's do.
            #[allow(clippy::arc_with_non_send_sync)]
            let script = Arc::new(Script {
                answers: RefCell::new(answers.iter().copied().collect()),
                last: Cell::new(Answer::Up),
                probes: Cell::new(0),
                watches: Cell::new(0),
                watching: Rc::new(Cell::new(0)),
                end_watch: Rc::new(Notify::new()),
                raises: Rc::new(Cell::new(Kind::Lost)),
            });
            let node = cluster.node(NODE).unwrap();
            let kept = keep(
                Arc::clone(&cluster),
                node,
                Arc::clone(&script),
                PROBE_TIMEOUT,
            );
            let story = story(Self { cluster, script });
            tokio::select! {
                () = kept => {}
                () = story => {}
            }
        });
    }

    fn standing(&self) -> Standing {
        self.cluster.node(NODE).unwrap().standing()
    }

    /// Waits for a standing; the paused clock jumps, so this takes no time.
    async fn until(&self, standing: Standing) {
        let mut changes = self.cluster.on_change();
        let reached = async {
            while self.standing() != standing {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached)
            .await
            .unwrap_or_else(|_| panic!("never {standing:?}"));
    }

    /// Lets the health task run until it waits.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[test]
fn a_node_that_answers_is_up_and_watched() {
    Story::run(&[Answer::Up], |story| async move {
        story.until(Standing::Up).await;
        story.settle().await;
        assert_eq!(story.script.watching.get(), 1);
        assert_eq!(story.script.probes.get(), 1);
    });
}

#[test]
fn silence_and_an_unanswered_probe_are_death_after_the_probe_timeout() {
    Story::run(&[Answer::Up, Answer::Never], |story| async move {
        story.until(Standing::Up).await;
        let mut deaths = story.cluster.on_death();
        let began = Instant::now();
        story.cluster.observe(NODE, Seen::Silent);
        assert_eq!(deaths.recv().await, Ok(NODE));
        let took = began.elapsed();
        assert!(
            took >= PROBE_TIMEOUT && took < PROBE_TIMEOUT * 2,
            "{took:?}"
        );
        story.settle().await;
        assert_eq!(story.script.watching.get(), 0, "the watch is given up");
    });
}

#[test]
fn a_refused_probe_is_death_at_once() {
    Story::run(&[Answer::Up, Answer::Refused], |story| async move {
        story.until(Standing::Up).await;
        let mut deaths = story.cluster.on_death();
        let began = Instant::now();
        story.cluster.observe(NODE, Seen::Failed(Kind::Lost));
        assert_eq!(deaths.recv().await, Ok(NODE));
        assert!(began.elapsed() < Duration::from_millis(10));
    });
}

#[test]
fn a_wrong_suspicion_keeps_the_watch() {
    Story::run(&[Answer::Up], |story| async move {
        story.until(Standing::Up).await;
        story.settle().await;
        story.cluster.observe(NODE, Seen::Failed(Kind::Stalled));
        story.until(Standing::Up).await;
        story.settle().await;
        assert_eq!(
            (story.script.watches.get(), story.script.watching.get()),
            (1, 1)
        );
        assert_eq!(story.script.probes.get(), 2);
    });
}

#[test]
fn an_ended_watch_is_probed_and_begun_again_but_not_in_a_hurry() {
    Story::run(&[Answer::Up], |story| async move {
        story.until(Standing::Up).await;
        story.settle().await;
        let began = Instant::now();
        for _ in 0..5 {
            story.script.end_watch.notify_one();
            let begun = story.script.watches.get() + 1;
            while story.script.watches.get() < begun {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert!(story.script.probes.get() >= 6);
        assert!(began.elapsed() >= Duration::from_millis(50 + 100 + 200 + 400 + 800));
    });
}

#[test]
fn a_watch_whose_end_says_nothing_of_the_node_is_begun_again_without_suspicion() {
    Story::run(&[Answer::Up], |story| async move {
        story.until(Standing::Up).await;
        story.settle().await;
        let probes = story.script.probes.get();
        story.script.raises.set(Kind::Unknown);
        for _ in 0..3 {
            story.script.end_watch.notify_one();
            let begun = story.script.watches.get() + 1;
            while story.script.watches.get() < begun {
                tokio::time::sleep(Duration::from_millis(1)).await;
                assert_eq!(story.standing(), Standing::Up);
            }
        }
        assert_eq!(story.script.probes.get(), probes);
    });
}

#[test]
fn a_dead_node_is_tried_until_it_comes_back() {
    let script = [
        Answer::Refused,
        Answer::Refused,
        Answer::Refused,
        Answer::Up,
    ];
    Story::run(&script, |story| async move {
        story.until(Standing::Down).await;
        story.until(Standing::Up).await;
        story.settle().await;
        assert_eq!(story.script.probes.get(), 4);
        assert_eq!(story.script.watching.get(), 1);
    });
}
