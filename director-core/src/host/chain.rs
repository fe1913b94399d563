//! Chains of requests, and the links that they use.
//!
//! A chain holds at most one link. With exclusive links it keeps it from one request to the next and
//! resets it at its end; with pooled ones the link rests in the pool between two requests.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;

use director_abi as abi;

use super::instance::Inner;
use super::slab::Void;
use super::stream::{Ending, Stream};
use super::tables::{self, Counted, Live};
use super::task::Task;
use super::ticket::Ticket;
use crate::cluster::{InFlight, Node, NodeId, Standing};

/// Requests that share a link.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) task: Rc<Task>,
    pub(super) link_type: u64,
    pub(super) link: RefCell<Option<Link>>,
    /// The number of the open request; 0 for none.
    pub(super) ticket: Cell<u64>,
    /// Its place among what the task owns.
    place: u32,
    _live: Counted,
}

/// An established connection to a node, with the plugin's state on it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: Rc<Stream>,
    pub(super) node: Arc<Node>,
    state: LinkState,
    /// Counts a session on the node while the link is in use.
    flight: Option<InFlight>,
}

/// What a plugin keeps on a link. Dropped, it waits in [`tables::free_ended`] for the plugin to free
/// it: host functions never call back into the plugin.
#[derive(Debug)]
pub(super) struct LinkState(Option<Remains>);

/// The state of a link that has ended.
pub(super) struct Remains {
    data: *mut c_void,
    free: Option<unsafe extern "C" fn(*mut c_void) -> u32>,
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Remains {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remains")
    }
}

impl LinkState {
    /// # Safety
    ///
    /// `data` and `free` are as [`abi::Event::link`] and [`abi::Event::link_drop`] say.
    pub(super) unsafe fn new(
        data: *mut c_void,
        free: Option<unsafe extern "C" fn(*mut c_void) -> u32>,
        inner: Arc<Inner>,
    ) -> Self {
        Self(Some(Remains { data, free, inner }))
    }
}

impl Drop for LinkState {
    fn drop(&mut self) {
        if let Some(remains) = self.0.take() {
            tables::bury(remains);
        }
    }
}

impl Remains {
    /// Has the plugin free it. Only while none of its code is running on this thread.
    pub(super) fn free(self) {
        let Some(free) = self.free else { return };
        // SAFETY: the plugin's own function for its own data, called once: `self` is consumed, and
        // there is no other place that calls it.
        let status = unsafe { free(self.data) };
        if status != abi::READY {
            self.inner.fault("while a link was dropped", 0);
        }
    }
}

impl Link {
    pub(super) fn new(stream: Rc<Stream>, flight: InFlight, state: LinkState) -> Self {
        Self {
            stream,
            node: Arc::clone(flight.node()),
            state,
            flight: Some(flight),
        }
    }

    /// The plugin's state.
    pub(super) fn data(&self) -> *mut c_void {
        let remains = self.state.0.as_ref();
        remains.map_or(std::ptr::null_mut(), |remains| remains.data)
    }

    /// Whether it may be used for another request.
    pub(super) fn is_fit(&self) -> bool {
        self.stream.is_whole() && self.node.standing() != Standing::Down
    }

    /// Lays the link to rest: no session is on it.
    pub(super) fn rest(&mut self) {
        self.flight = None;
        self.stream.rest(true);
    }

    /// Takes it up again.
    pub(super) fn use_again(&mut self, flight: InFlight) {
        self.flight = Some(flight);
        self.stream.rest(false);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stream.end(Ending::Host);
    }
}

impl Chain {
    /// A chain without a link; `None` when there is no number left.
    pub(super) fn begin(task: &Rc<Task>, link_type: u64) -> Option<u64> {
        task.keep(|place| {
            let mut named = 0;
            tables::insert(|number| {
                named = number;
                Self {
                    task: Rc::clone(task),
                    link_type,
                    link: RefCell::default(),
                    ticket: Cell::new(0),
                    place,
                    _live: Counted::new(Live::Chain),
                }
            })?;
            Some(named)
        })
    }

    /// Ends the chain of a number, the request that is open in it, and its link.
    ///
    /// # Errors
    ///
    /// [`Void`] when it names none.
    pub(super) fn end(number: u64) -> Result<(), Void> {
        let chain = tables::remove::<Self>(number)?;
        chain.task.forget(chain.place);
        // Void when its request was ended before it.
        let _ended = Ticket::end(chain.ticket.get());
        chain.set_link(None);
        Ok(())
    }

    /// The chain uses this link from now on. One that it had is reset.
    pub(super) fn set_link(&self, link: Option<Link>) {
        let node = link.as_ref().map(|link| link.node.id);
        // Dropped at the end, while nothing is borrowed.
        let before = self.link.replace(link);
        if let Some(shown) = &self.task.shown {
            shown.moved(before.as_ref().map(|link| link.node.id), node);
        }
    }

    /// Takes the link out, whole, if there is one.
    pub(super) fn take_link(&self) -> Option<Link> {
        let link = self.link.take();
        if let (Some(shown), Some(link)) = (&self.task.shown, &link) {
            shown.moved(Some(link.node.id), None);
        }
        link
    }

    /// The node that the link leads to, if the link may be used for another request. One that may
    /// not is reset.
    pub(super) fn fit_link(&self) -> Option<NodeId> {
        let (fit, node) = {
            let link = self.link.borrow();
            let link = link.as_ref()?;
            (link.is_fit(), link.node.id)
        };
        if fit {
            return Some(node);
        }
        self.set_link(None);
        None
    }
}
