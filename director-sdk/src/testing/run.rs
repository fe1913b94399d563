//! The executor of a world: whose turn it is, and what the clock does when it is nobody's.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::abi::{self, Polled};
use super::exec::{Ready, TaskId, Turn};
use super::{CANCELLED, Ended, Job, Running, What, Wire, World};
use crate::failure::Kind;

/// The id of the future that [`World::run`] was given.
const MAIN: TaskId = 0;
/// No scenario lasts longer than this, in virtual time.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// No scenario takes more polls than this: it goes round in circles.
const MOST_POLLS: u64 = 5_000_000;
/// How long tasks may take to end after a stop.
const STOP: Duration = Duration::from_secs(60);

/// What the executor found to do.
enum Next {
    Main,
    Polled,
    /// Nobody is ready, and nothing will happen by itself.
    Nothing,
}

impl World {
    /// Runs `main`, and everything else meanwhile, until it ends.
    ///
    /// # Panics
    ///
    /// When everything waits and nothing will happen by itself; with the log.
    pub fn run<F: Future>(&self, main: F) -> F::Output {
        let _entered = abi::enter(&self.state);
        let turn = Turn::first(MAIN, &self.ready());
        let mut main = pin!(main);
        let mut polls = 0_u64;
        loop {
            match self.next() {
                Next::Main => {
                    let waker = turn.begin();
                    if let Poll::Ready(output) =
                        main.as_mut().poll(&mut Context::from_waker(&waker))
                    {
                        return output;
                    }
                }
                Next::Polled => {}
                Next::Nothing => panic!("everything waits for ever\n{}", self.story()),
            }
            polls += 1;
            assert!(
                polls < MOST_POLLS,
                "it goes round in circles\n{}",
                self.story()
            );
        }
    }

    fn ready(&self) -> Arc<Ready> {
        Arc::clone(&self.state.borrow().ready)
    }

    pub(super) fn until_ended(&self, task: u64) -> Ended {
        let _entered = abi::enter(&self.state);
        while self.state.borrow().tasks.contains_key(&task) {
            if let Next::Nothing = self.next() {
                panic!("everything waits for ever\n{}", self.story());
            }
        }
        match self.state.borrow().ended.last() {
            Some(ended) => ended.clone(),
            None => panic!("a task ended, and nobody knows how"),
        }
    }

    /// Polls one task that is ready, or moves the clock to where one is.
    fn next(&self) -> Next {
        let mut idle = 0;
        loop {
            self.keep_house();
            match self.ready().pop() {
                Some(MAIN) => return Next::Main,
                Some(id) => {
                    self.poll(id);
                    return Next::Polled;
                }
                None => {}
            }
            let mut state = self.state.borrow_mut();
            idle += 1;
            match state.next_time() {
                Some(at) if at < LONGEST && idle < 1000 => state.advance(at),
                Some(_) | None => return Next::Nothing,
            }
        }
    }

    /// What must not happen inside a host function.
    pub(super) fn keep_house(&self) {
        loop {
            let (killed, arrivals, graves) = {
                let mut state = self.state.borrow_mut();
                (
                    std::mem::take(&mut state.killed),
                    std::mem::take(&mut state.arrivals),
                    std::mem::take(&mut state.graveyard),
                )
            };
            if killed.is_empty() && arrivals.is_empty() && graves.is_empty() {
                return;
            }
            for grave in graves {
                self.note_panic(grave.release());
            }
            for (node, connection) in arrivals {
                let (serve, up) = {
                    let state = self.state.borrow();
                    let node = &state.nodes[node as usize];
                    (Rc::clone(&node.serve), node.up)
                };
                let work = serve(Wire::new(&self.state, connection));
                if up {
                    self.spawn_job(Job::Local {
                        node: Some(node),
                        work,
                    });
                }
            }
            for dead in killed {
                let gone: Vec<Running> = self
                    .running
                    .borrow_mut()
                    .extract_if(.., |_, running| {
                        matches!(running.job, Job::Local { node: Some(node), .. } if node == dead)
                    })
                    .map(|(_, running)| running)
                    .collect();
                drop(gone);
            }
        }
    }

    fn note_panic(&self, well: bool) {
        if !well {
            self.panics.set(self.panics.get() + 1);
        }
    }

    fn poll(&self, id: TaskId) {
        let Some(mut running) = self.running.borrow_mut().remove(&id) else {
            return;
        };
        let waker = running.turn.begin();
        match &mut running.job {
            Job::Local { work, .. } => {
                if work
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
                {
                    return;
                }
            }
            Job::Plugin {
                what,
                task,
                foreign,
            } => {
                let (what, task) = (*what, *task);
                if what == What::Session && self.state.borrow_mut().strike_at_poll(task) {
                    self.end(running, None);
                    return;
                }
                let end = match foreign.poll(&waker) {
                    Polled::Pending => None,
                    Polled::Ended {
                        kind,
                        code,
                        detail,
                        load,
                    } => {
                        let kind = (kind != 0).then(|| self.kind_of(kind, code));
                        Some((kind, code, detail, load, false))
                    }
                    Polled::Panicked => Some((Some(Kind::Fault), 0, String::new(), f64::NAN, true)),
                };
                if let Some((kind, code, detail, load, panicked)) = end {
                    let ended = Ended {
                        what,
                        kind,
                        code,
                        detail,
                        load,
                        panicked,
                    };
                    self.end(running, Some(ended));
                    return;
                }
            }
        }
        self.running.borrow_mut().insert(id, running);
    }

    fn kind_of(&self, kind: u32, code: u32) -> Kind {
        let kind = self.state.borrow().kind_of(kind, code);
        Kind::from_code(kind.code()).unwrap_or(Kind::Fault)
    }

    /// Drops a task, and frees what it has left.
    pub(super) fn end(&self, running: Running, ended: Option<Ended>) {
        let Job::Plugin {
            what,
            task,
            foreign,
        } = running.job
        else {
            return;
        };
        self.note_panic(foreign.end());
        let mut state = self.state.borrow_mut();
        if what == What::Watch {
            state.watch_ended(task);
        }
        state.end_task(task);
        state.ended.extend(ended);
    }

    /// Whether a task of the plugin's has still to end by itself: watches never do.
    fn is_at_work(&self) -> bool {
        self.running
            .borrow()
            .values()
            .any(|running| match running.job {
                Job::Local { .. } => false,
                Job::Plugin { what, .. } => what != What::Watch,
            })
    }

    pub(super) fn end_everything(&self) {
        let _entered = abi::enter(&self.state);
        self.stop();
        let until = self.now() + STOP;
        let alarm = self.state.borrow_mut().own_timer(0, STOP);
        while self.is_at_work() && self.now() < until {
            // The alarm has no waker, so it moves no clock: silence ends the wait at once.
            if let Next::Nothing = self.next() {
                break;
            }
        }
        self.state.borrow_mut().end_timer(alarm);
        let all = std::mem::take(&mut *self.running.borrow_mut());
        for running in all.into_values() {
            match running.job {
                Job::Local { .. } => continue,
                // It ends with the service, by being dropped.
                Job::Plugin {
                    what: What::Watch, ..
                } => {}
                Job::Plugin { .. } => {
                    self.state.borrow_mut().log.push((1, CANCELLED.to_owned()));
                }
            }
            self.end(running, None);
        }
        self.state.borrow_mut().empty_pool();
        self.keep_house();
        if let Some(plugin) = self.plugin.borrow_mut().take() {
            self.note_panic(plugin.destroy());
        }
        // Node sides that were still to begin.
        self.running.borrow_mut().clear();
        self.keep_house();
        self.running.borrow_mut().clear();
    }
}
