//! What the plugin tells of its steps, as the recovery engine takes it.

use std::sync::Arc;
use std::time::Duration;

use director_recovery::{Event, Exception, Failed, Kind, Resend};

use super::chain::Link;
use super::clock;
use super::failure::{Answer, is_the_nodes};
use super::measures::Switch;
use super::request::{Doing, Request, Trouble};
use super::step::{Step, What, Why};
use super::stream::Ending;
use super::ticket::{Refused, Ticket};
use crate::cluster::{Node, NodeId, Seen, Standing};

impl Ticket {
    /// What the plugin has told, as the engine takes it.
    pub(super) fn answered(&self, request: &mut Request, answer: Answer) -> Result<Event, Refused> {
        let said = answer.as_str();
        let asked = match (&request.doing, &answer) {
            (Doing::Nothing, Answer::Begin) => {
                let link = self.chain.fit_link();
                request.node = link.and_then(|node| self.inner().cluster.node(node));
                return Ok(Event::Begin { link });
            }
            (Doing::Asked(what), _) => Some(*what),
            (Doing::Nothing | Doing::Connecting(_) | Doing::Waiting(_) | Doing::Over, _) => None,
        };
        let (Some(what), Some(step)) = (asked, self.end_step()) else {
            return Err(self.refuse(request, &format!("`{said}` answers nothing that was asked")));
        };
        match (answer, what) {
            (Answer::Established(state), What::Establish) => {
                let (stream, flight) = (request.fresh.take(), request.flight.take());
                let (Some(stream), Some(flight)) = (stream, flight) else {
                    return Err(self.refuse(request, "there is no stream to establish a link on"));
                };
                let link = Link::new(stream, flight, state);
                let Some(why) = step.why_cut() else {
                    self.chain.set_link(Some(link));
                    return Ok(Event::Established);
                };
                drop(link);
                Ok(self.failed(request, &step, self.cut_exception(request, why), false))
            }
            (Answer::Failed(failure), What::Establish | What::Attempt | What::Ask) => {
                let fit = failure.fit
                    && what != What::Establish
                    && step.stream.as_ref().is_some_and(|stream| stream.is_whole());
                let node = request.node.as_ref().map_or(NodeId::MAX, |node| node.id);
                let exception = failure.exception(&self.inner().plugin, &step, node);
                Ok(self.failed(request, &step, exception, fit))
            }
            (Answer::Replied, What::Attempt) => {
                self.replied(request, &step);
                Ok(Event::Replied)
            }
            (Answer::Cleaned(resend), What::CleanUp) => {
                let late = clock::now() >= request.until;
                Ok(Event::Cleaned(if late { Resend::Never } else { resend }))
            }
            (Answer::Asked(outcome), What::Ask) => Ok(Event::Asked(outcome)),
            (Answer::Torn, _) if step.is_over() => {
                self.inner().meters.torn.increment(1);
                let why = step.why_cut().unwrap_or(Why::Late);
                let mut exception = self.cut_exception(request, why);
                exception
                    .detail
                    .push_str("; it did not return, and was dropped");
                request.counts = (step.sent(), step.answered());
                self.tell_of(request, &step, exception.kind);
                self.note_trouble(request, &step, &exception);
                self.drop_link(request);
                Ok(Event::Torn(exception))
            }
            (answer, what) => {
                drop(answer);
                let why = format!("`{said}` does not answer `{}`", what.as_str());
                Err(self.refuse(request, &why))
            }
        }
    }

    pub(super) fn cut_exception(&self, request: &Request, why: Why) -> Exception {
        let node = request.node.as_ref().map(|node| node.id);
        Exception::new(why.kind(), node, why.in_words())
    }

    /// A step failed: the cluster is told, an unfit link is reset.
    pub(super) fn failed(
        &self,
        request: &mut Request,
        step: &Step,
        exception: Exception,
        fit: bool,
    ) -> Event {
        let answered = step.answered();
        self.see_first_byte(request, step);
        if is_the_nodes(exception.kind) {
            self.tell_of(request, step, exception.kind);
            self.note_trouble(request, step, &exception);
        }
        if !fit {
            self.drop_link(request);
        }
        request.counts = (step.sent(), answered);
        // It died, though it may be back by now.
        let died = step.why_cut() == Some(Why::Down);
        let node = request.node.as_deref();
        self.failed_at(node, exception, fit, (answered, step.stood()), died)
    }

    /// Tells the cluster of a node's failure. That its node was declared down, or that the request's
    /// own time was over, the host said and not the node, which may be well again by now.
    fn tell_of(&self, request: &Request, step: &Step, kind: Kind) {
        let told = match step.why_cut() {
            Some(Why::Down | Why::Late) => false,
            Some(Why::Stalled) | None => true,
        };
        if let Some(node) = request.node.as_ref().filter(|_| told) {
            self.inner().cluster.observe(node.id, Seen::Failed(kind));
        }
    }

    pub(super) fn failed_at(
        &self,
        node: Option<&Node>,
        exception: Exception,
        fit: bool,
        (answered, stood): (u64, Duration),
        died: bool,
    ) -> Event {
        let node_died = died
            || node.is_some_and(|node| match node.standing() {
                Standing::Suspect | Standing::Down => true,
                Standing::Up | Standing::Leaving | Standing::Draining => false,
            });
        let spread = node.map_or(Duration::ZERO, |node| self.inner().cluster.spread(node.id));
        Event::Failed(Failed {
            exception,
            fit,
            answered,
            stood,
            node_died,
            spread,
        })
    }

    pub(super) fn drop_link(&self, request: &mut Request) {
        if let Some(fresh) = request.fresh.take() {
            fresh.end(Ending::Host);
        }
        request.flight = None;
        self.chain.set_link(None);
    }

    pub(super) fn replied(&self, request: &Request, step: &Step) {
        let now = clock::now();
        self.see_first_byte(request, step);
        // A reply without a byte of the node's ends the trouble too.
        self.switched(request, now);
        if let Some(node) = &request.node {
            let first_byte = step.first_byte().unwrap_or(now).saturating_sub(step.begun);
            let first_byte = Duration::from_nanos(first_byte);
            self.inner()
                .cluster
                .observe(node.id, Seen::Replied { first_byte });
        }
    }

    pub(super) fn note_trouble(&self, request: &Request, step: &Step, why: &Exception) {
        if let Some(from) = &request.node {
            self.trouble_at(from, why, step.first_sign.unwrap_or_else(clock::now));
        }
    }

    pub(super) fn trouble_at(&self, from: &Arc<Node>, why: &Exception, first_sign: u64) {
        if let Ok(mut trouble) = self.trouble.try_borrow_mut() {
            trouble.get_or_insert_with(|| Trouble {
                from: Arc::clone(from),
                why: why.clone(),
                first_sign,
            });
        }
    }

    /// The trouble is over with the first byte that the attempt gets.
    pub(super) fn see_first_byte(&self, request: &Request, step: &Step) {
        if step.what == What::Attempt
            && let Some(first_byte) = step.first_byte()
        {
            self.switched(request, first_byte);
        }
    }

    pub(super) fn switched(&self, request: &Request, at: u64) {
        let trouble = self
            .trouble
            .try_borrow_mut()
            .ok()
            .and_then(|mut all| all.take());
        let (Some(trouble), Some(to)) = (trouble, &request.node) else {
            return;
        };
        if trouble.from.id == to.id {
            return; // the same node again: a resend, and no switch
        }
        let task = &self.chain.task;
        task.switches.set(task.switches.get() + 1);
        self.inner().meters.switched(&Switch {
            session: task.session,
            from: &trouble.from,
            to,
            why: &trouble.why,
            took: Duration::from_nanos(at.saturating_sub(trouble.first_sign)),
        });
    }
}
