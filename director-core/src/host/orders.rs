//! What the recovery engine orders: carried out here, or handed to the plugin.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use director_recovery::{Event, Exception, Kind, Order};

use super::chain::Link;
use super::clock::{self, NEVER};
use super::connect::{connect, unreachable};
use super::request::{Action, Do, Doing, Request};
use super::step::{Step, What};
use super::stream::{Side, Stream};
use super::ticket::{Refused, Ticket};
use super::transport::Transport;
use super::waker::Lent;
use crate::cluster::NodeId;

/// What became of an order.
pub(super) enum Carried {
    Event(Event),
    /// The host is at it.
    Waits,
    Action(Action),
}

impl Ticket {
    /// Carries on with what the host itself does.
    pub(super) fn poll_doing(
        &self,
        request: &mut Request,
        waker: Lent<'_>,
    ) -> Poll<Result<Event, Refused>> {
        let connected = match &mut request.doing {
            Doing::Waiting(sleep) => {
                ready!(self.slot.poll_with(waker, |cx| sleep.as_mut().poll(cx)));
                return Poll::Ready(Ok(Event::Waited));
            }
            Doing::Connecting(connecting) => {
                let polled = self
                    .slot
                    .poll_with(waker, |cx| connecting.as_mut().poll(cx));
                match polled {
                    // Though it may stand just now: nobody else would cut it.
                    Poll::Pending | Poll::Ready(Ok(_)) if self.connect_cut.get() => {
                        Err(io::Error::other(
                            "the node was declared down while the director connected to it",
                        ))
                    }
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(connected) => connected,
                }
            }
            Doing::Nothing | Doing::Asked(_) | Doing::Over => {
                let why = "the plugin asks for the next step, and has not told of the last";
                return Poll::Ready(Err(self.refuse(request, why)));
            }
        };
        Poll::Ready(Ok(self.connected(request, connected)))
    }

    pub(super) fn connected(
        &self,
        request: &mut Request,
        connected: io::Result<Transport>,
    ) -> Event {
        self.unwatch();
        let died = self.connect_cut.replace(false);
        request.doing = Doing::Nothing;
        let Some(node) = request.node.clone() else {
            return self.no_node();
        };
        let side = Side::Link {
            instance: self.inner().number,
            node: node.id,
        };
        let fresh = connected.and_then(|transport| {
            Stream::begin(transport, side)
                .ok_or_else(|| io::Error::other("the host has no number left for a stream"))
        });
        match fresh {
            Ok(fresh) => {
                request.fresh = Some(fresh);
                Event::Connected
            }
            Err(error) => {
                request.flight = None;
                let exception = unreachable(&node, &error);
                self.trouble_at(&node, &exception, clock::now());
                self.failed_at(Some(&node), exception, false, (0, Duration::ZERO), died)
            }
        }
    }

    /// A node is always picked before it is connected to; if not, that is a fault of the director.
    fn no_node(&self) -> Event {
        tracing::error!(
            service = self.inner().service,
            "a request was to connect, and no node was picked: this is a fault of the director"
        );
        Event::NonePicked
    }

    /// Carries out an order, or hands it to the plugin.
    pub(super) fn carry_out(&self, request: &mut Request, order: Order) -> Carried {
        let inner = self.inner();
        match order {
            Order::Pick { avoid, only } => {
                // A link that a failure left whole is not the one that is sought now.
                self.release_link();
                self.pick(request, &avoid, only)
            }
            Order::Connect(id) => self.begin_to_connect(request, id),
            Order::Wait(wait) => {
                let left = Duration::from_nanos(request.until.saturating_sub(clock::now()));
                request.doing = Doing::Waiting(Box::pin(tokio::time::sleep(wait.min(left))));
                Carried::Waits
            }
            Order::Establish(_) => {
                let fresh = request.fresh.as_ref().map(Rc::clone);
                Carried::Action(self.begin_step(request, What::Establish, fresh, None))
            }
            Order::Attempt(_) => {
                request.attempts = request.attempts.saturating_add(1);
                inner.meters.attempts.increment(1);
                let stream = self.link_stream();
                Carried::Action(self.begin_step(request, What::Attempt, stream, None))
            }
            Order::Ask(_) => {
                let stream = self.link_stream();
                Carried::Action(self.begin_step(request, What::Ask, stream, None))
            }
            Order::CleanUp {
                exception, link, ..
            } => {
                let stream = link.then(|| self.link_stream()).flatten();
                Carried::Action(self.begin_step(request, What::CleanUp, stream, Some(exception)))
            }
            Order::Reply(_) => {
                inner.meters.request_replied();
                Carried::Action(self.over(request, Do::Reply, None))
            }
            Order::GiveUp(exception) => {
                inner.meters.request_failed(exception.kind);
                Carried::Action(self.over(request, Do::GiveUp, Some(exception)))
            }
        }
    }

    pub(super) fn pick(
        &self,
        request: &mut Request,
        avoid: &[NodeId],
        only: Option<NodeId>,
    ) -> Carried {
        let key = self.chain.task.key.get();
        Carried::Event(match self.inner().cluster.pick(avoid, only, key) {
            Some(flight) => {
                let id = flight.node().id;
                request.node = Some(Arc::clone(flight.node()));
                request.flight = Some(flight);
                Event::Picked(id)
            }
            None => Event::NonePicked,
        })
    }

    pub(super) fn link_stream(&self) -> Option<Rc<Stream>> {
        let link = self.chain.link.borrow();
        link.as_ref().map(|link| Rc::clone(&link.stream))
    }

    /// Takes a link that rests, or begins to connect.
    pub(super) fn begin_to_connect(&self, request: &mut Request, id: NodeId) -> Carried {
        let local = &self.chain.task.local;
        if self.inner().plugin.description.pooled_links
            && let Some(link) = local
                .pool
                .take(id, self.chain.link_type, &mut request.flight)
        {
            self.chain.set_link(Some(link));
            return Carried::Event(Event::Established);
        }
        let Some(node) = request.node.clone() else {
            return Carried::Event(self.no_node());
        };
        let left = Duration::from_nanos(request.until.saturating_sub(clock::now()));
        let within = self.inner().timeouts.connect.min(left);
        let cluster = Arc::clone(&self.inner().cluster);
        let tls = self.inner().tls.clone();
        let keepalive = self.inner().timeouts.keepalive;
        request.doing = Doing::Connecting(Box::pin(connect(cluster, node, tls, within, keepalive)));
        self.watch(NEVER);
        Carried::Waits
    }

    pub(super) fn begin_step(
        &self,
        request: &mut Request,
        what: What,
        stream: Option<Rc<Stream>>,
        exception: Option<Exception>,
    ) -> Action {
        let inner = self.inner();
        let deadline = match what {
            What::CleanUp => {
                clock::now().saturating_add(clock::nanoseconds(inner.timeouts.cleanup))
            }
            What::Establish | What::Attempt | What::Ask => request.until,
        };
        let number = stream.as_ref().map_or(0, |stream| {
            stream.session.set(self.chain.task.session);
            stream.number
        });
        let link = if stream.is_some() && what != What::Establish {
            let link = self.chain.link.borrow();
            link.as_ref().map_or(std::ptr::null_mut(), Link::data)
        } else {
            std::ptr::null_mut()
        };
        let client = self.chain.task.client();
        self.step
            .replace(Some(Step::begin(what, stream, client, deadline)));
        request.doing = Doing::Asked(what);
        self.cut_slot.clear();
        self.watch(deadline);
        let (sent, answered) = request.counts;
        request.action(
            Do::Step(what),
            number,
            link,
            deadline,
            exception,
            (sent, answered),
        )
    }

    /// The request is over: its link is kept, laid to rest, or reset.
    pub(super) fn over(
        &self,
        request: &mut Request,
        what: Do,
        exception: Option<Exception>,
    ) -> Action {
        request.close();
        if self.inner().plugin.description.pooled_links {
            self.release_link();
        } else {
            // Kept for the chain's next request when it is fit, reset when it is not.
            let _kept = self.chain.fit_link();
        }
        request.action(what, 0, std::ptr::null_mut(), NEVER, exception, (0, 0))
    }

    /// The chain lets go of its link: it rests in the pool, or is reset.
    pub(super) fn release_link(&self) {
        let Some(link) = self.chain.take_link() else {
            return;
        };
        if self.inner().plugin.description.pooled_links {
            let local = &self.chain.task.local;
            local.pool.give(link, self.chain.link_type);
            local.rested();
        }
    }

    pub(super) fn too_late(&self, request: &mut Request) -> Action {
        let trouble = self.trouble.take();
        let last = trouble.map(|trouble| trouble.why.to_string());
        let node = request.node.as_ref().map(|node| node.id);
        let detail = format!(
            "its time is over; {}",
            last.as_deref().unwrap_or("nothing failed")
        );
        self.inner().meters.request_failed(Kind::Exhausted);
        let exception = Exception::new(Kind::Exhausted, node, detail);
        self.drop_link(request);
        self.over(request, Do::GiveUp, Some(exception))
    }
}
