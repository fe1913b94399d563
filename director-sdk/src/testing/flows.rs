//! Streams and relays of the kit's host.

use std::net::{IpAddr, SocketAddr};
use std::task::{Poll, Waker, ready};
use std::time::Duration;

use director_abi as abi;

use super::net::{Connection, ECONNRESET, EIO, EPIPE, End, Way};
use super::record::Secured;
use super::state::{Owner, Relay, State, Stream, number};

impl State {
    // --- streams ---

    /// A stream of the host's over the near end of a connection.
    pub(super) fn stream(&mut self, owner: Owner, connection: usize) -> u64 {
        let number = number();
        let stream = Stream {
            owner,
            connection,
            lent: Vec::new(),
            taken: 0,
            received: 0,
            accepted: 0,
            bundle_accepted: 0,
            moved_at: self.now,
            taken_at: Duration::ZERO,
            cut: false,
            due: true,
            waiting: None,
            blocked: None,
            closed: false,
            trouble: None,
            told_end: false,
            reader: None,
            writer: None,
        };
        self.streams.insert(number, stream);
        number
    }

    pub(super) fn usable(&mut self, number: u64) -> Result<&mut Stream, i32> {
        let stream = self.streams.get(&number).ok_or(abi::CODE_GONE)?;
        if stream.cut {
            return Err(abi::CODE_CUT);
        }
        let connection = stream.connection;
        if self.connections[connection].node.is_some() && self.fails_now() {
            self.connections[connection].reset();
            return Err(EIO);
        }
        self.streams.get_mut(&number).ok_or(abi::CODE_GONE)
    }

    /// Counts an operation on a node's stream; whether it is the one that fails.
    pub(super) fn fails_now(&mut self) -> bool {
        self.node_calls += 1;
        let fails = self.fail_at_call == Some(self.node_calls);
        if fails {
            self.struck = Some(self.answered_so_far());
        }
        fails
    }

    /// What there is to say of a stream.
    pub(super) fn told(&self, number: u64) -> Option<abi::StreamInfo> {
        let stream = self.streams.get(&number)?;
        let connection = &self.connections[stream.connection];
        Some(abi::StreamInfo {
            size: size_of::<abi::StreamInfo>(),
            received: stream.received,
            accepted: stream.accepted,
            local: address(connection.near),
            peer: address(connection.far),
            tls_flags: connection.tls[0].as_ref().map_or(0, Secured::flags),
            tls_version: connection.tls[0].as_ref().map_or(0, Secured::version),
        })
    }

    /// The unread bytes; none at the end.
    pub(super) fn fill(&mut self, number: u64, waker: &Waker) -> Poll<Result<&[u8], i32>> {
        if let Err(code) = self.usable(number) {
            return Poll::Ready(Err(code));
        }
        let Some(stream) = self.streams.get_mut(&number) else {
            return Poll::Ready(Err(abi::CODE_GONE));
        };
        if stream.taken == stream.lent.len() {
            // Taken out, so that the rest of the state can be changed meanwhile.
            let mut lent = std::mem::take(&mut stream.lent);
            lent.clear();
            let connection = stream.connection;
            let read = self.receive(connection, End::Near, &mut lent, 16 * 1024, waker);
            let Some(stream) = self.streams.get_mut(&number) else {
                return Poll::Ready(Err(abi::CODE_GONE));
            };
            (stream.lent, stream.taken) = (lent, 0);
            match read {
                Poll::Pending => {
                    stream.waiting.get_or_insert(self.now);
                    stream.reader = Some(waker.clone());
                    return Poll::Pending;
                }
                Poll::Ready(Err(code)) => {
                    self.note_trouble(number, code);
                    self.note_end(number);
                    return Poll::Ready(Err(code));
                }
                Poll::Ready(Ok(0)) => self.note_end(number),
                Poll::Ready(Ok(_)) => self.note_life(number, 0),
            }
        }
        let Some(stream) = self.streams.get_mut(&number) else {
            return Poll::Ready(Err(abi::CODE_GONE));
        };
        stream.waiting = None;
        match self.streams.get(&number) {
            Some(stream) => Poll::Ready(Ok(&stream.lent[stream.taken..])),
            None => Poll::Ready(Err(abi::CODE_GONE)),
        }
    }

    pub(super) fn consume(&mut self, number: u64, n: usize) {
        if let Some(stream) = self.streams.get_mut(&number) {
            let n = n.min(stream.lent.len() - stream.taken);
            stream.taken += n;
            stream.received += n as u64;
        }
    }

    pub(super) fn send(
        &mut self,
        number: u64,
        pieces: &[&[u8]],
        waker: &Waker,
    ) -> Poll<Result<usize, i32>> {
        let connection = match self.usable(number) {
            Ok(stream) if stream.closed => return Poll::Ready(Err(EPIPE)),
            Ok(stream) => stream.connection,
            Err(code) => return Poll::Ready(Err(code)),
        };
        let wrote = self.transmit(connection, End::Near, pieces, waker);
        let now = self.now;
        if let Some(stream) = self.streams.get_mut(&number) {
            match wrote {
                Poll::Pending => {
                    stream.blocked.get_or_insert(now);
                    stream.writer = Some(waker.clone());
                }
                Poll::Ready(Ok(n)) => {
                    let waited = stream.blocked.take().is_some();
                    stream.accepted += n as u64;
                    self.note_life(number, n as u64);
                    let first = self.first_of(number);
                    if waited && let Some(first) = self.streams.get_mut(&first) {
                        first.taken_at = now;
                    }
                }
                Poll::Ready(Err(code)) => {
                    stream.blocked = None;
                    self.note_trouble(number, code);
                }
            }
        }
        wrote
    }

    /// Writes with the last byte urgent, when all are taken.
    pub(super) fn send_urgent(
        &mut self,
        number: u64,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<Result<usize, i32>> {
        let wrote = self.send(number, &[bytes], waker);
        if let (Poll::Ready(Ok(n)), Some(stream)) = (wrote, self.streams.get(&number))
            && n == bytes.len()
        {
            let connection = &mut self.connections[stream.connection];
            if connection.tls[End::Near.index()].is_none() {
                connection.pipe(Way::Out).mark_urgent();
            }
        }
        wrote
    }

    /// A pipe takes what it takes at once: there is nothing to flush but TLS, and there may be an error.
    pub(super) fn flush(&mut self, number: u64, waker: &Waker) -> Poll<Result<(), i32>> {
        let connection = match self.usable(number) {
            Ok(stream) => stream.connection,
            Err(code) => return Poll::Ready(Err(code)),
        };
        if self.connections[connection].pipe(Way::Out).is_broken() {
            self.note_trouble(number, ECONNRESET);
            return Poll::Ready(Err(ECONNRESET));
        }
        self.drain(connection, End::Near, waker).map(Ok)
    }

    pub(super) fn close(&mut self, number: u64, waker: &Waker) -> Poll<Result<(), i32>> {
        ready!(self.flush(number, waker))?;
        let Some(stream) = self.streams.get_mut(&number) else {
            return Poll::Ready(Err(abi::CODE_GONE));
        };
        stream.closed = true;
        let connection = stream.connection;
        self.finish(connection, End::Near);
        self.drain(connection, End::Near, waker).map(Ok)
    }

    /// Keeps what a stream's first failure was.
    pub(super) fn note_trouble(&mut self, number: u64, code: i32) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        let tls = self.connections[stream.connection].tls[End::Near.index()].as_ref();
        let words = tls.and_then(Secured::trouble).map(str::to_owned);
        stream.trouble.get_or_insert_with(|| match words {
            Some(words) => words,
            None => std::io::Error::from_raw_os_error(code).to_string(),
        });
    }

    pub(super) fn give_up(&mut self, number: u64) {
        self.orphans.remove(&number);
        if let Some(stream) = self.streams.remove(&number) {
            let connection = &mut self.connections[stream.connection];
            if stream.closed {
                connection.pipe(Way::In).break_with(EPIPE);
            } else {
                connection.reset();
            }
            if !matches!(stream.owner, Owner::Beside(_)) {
                self.end_beside(number);
            }
        }
    }

    /// Makes every operation on a stream fail from now on, and on whatever is beside it.
    pub(super) fn cut_stream(&mut self, first: u64) {
        for number in self.bundle(first).collect::<Vec<_>>() {
            self.cut_one(number);
        }
        self.cut_beside(first);
    }

    fn cut_one(&mut self, number: u64) {
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.cut = true;
            for waker in [stream.reader.take(), stream.writer.take()]
                .into_iter()
                .flatten()
            {
                waker.wake();
            }
        }
    }

    /// Whether one of a client's streams is what a task waits for.
    pub(super) fn waits_for_client(&self, task: u64) -> bool {
        self.client_connections(task)
            .any(|connection| connection.pipes[Way::Out.index()].is_awaited())
    }

    /// The connections of a task's client.
    pub(super) fn client_connections(&self, task: u64) -> impl Iterator<Item = &Connection> {
        let client = self.tasks.get(&task).and_then(|task| task.client);
        client
            .into_iter()
            .flat_map(|first| self.bundle(first))
            .filter_map(|number| self.streams.get(&number))
            .map(|stream| &self.connections[stream.connection])
    }

    // --- relays ---

    pub(super) fn relay(&mut self, task: u64, from: u64, to: u64, limit: u64) -> u64 {
        let known = [from, to]
            .iter()
            .all(|stream| self.streams.contains_key(stream));
        if !known || !self.tasks.contains_key(&task) {
            return 0;
        }
        let number = number();
        let relay = Relay {
            task,
            from,
            to,
            limit,
            moved: 0,
            end: None,
        };
        self.relays.insert(number, relay);
        number
    }

    /// How it ended, if it has, and what was moved.
    pub(super) fn poll_relay(
        &mut self,
        number: u64,
        waker: &Waker,
    ) -> Option<(Option<(u32, i32)>, u64)> {
        let mut relay = self.relays.remove(&number)?;
        while relay.end.is_none() {
            if self.move_once(&mut relay, waker).is_pending() {
                break;
            }
        }
        let stands = (relay.end, relay.moved);
        self.relays.insert(number, relay);
        Some(stands)
    }

    fn move_once(&mut self, relay: &mut Relay, waker: &Waker) -> Poll<()> {
        let left = relay.limit.saturating_sub(relay.moved);
        if left == 0 {
            relay.end = Some((abi::RelayEnd::LIMIT, 0));
            return Poll::Ready(());
        }
        let bytes = match self.fill(relay.from, waker) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(code)) => {
                relay.end = Some((abi::RelayEnd::FROM_FAILED, code));
                return Poll::Ready(());
            }
            Poll::Ready(Ok([])) => {
                relay.end = Some((abi::RelayEnd::END, 0));
                return Poll::Ready(());
            }
            Poll::Ready(Ok(lent)) => {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                lent[..lent.len().min(most)].to_vec()
            }
        };
        match self.send(relay.to, &[&bytes], waker) {
            Poll::Pending => {
                // A cut of the source must end the wait for the destination too.
                if let Some(from) = self.streams.get_mut(&relay.from) {
                    from.reader = Some(waker.clone());
                }
                Poll::Pending
            }
            Poll::Ready(Err(code)) => {
                relay.end = Some((abi::RelayEnd::TO_FAILED, code));
                Poll::Ready(())
            }
            Poll::Ready(Ok(n)) => {
                self.consume(relay.from, n);
                relay.moved += n as u64;
                Poll::Ready(())
            }
        }
    }

    pub(super) fn end_relay(&mut self, number: u64) -> u64 {
        self.relays.remove(&number).map_or(0, |relay| relay.moved)
    }
}

/// An address as it crosses.
pub(super) fn address(of: SocketAddr) -> abi::Address {
    let (ip, family) = match of.ip() {
        IpAddr::V4(ip) => (ip.to_ipv6_mapped(), abi::Address::V4),
        IpAddr::V6(ip) => (ip, abi::Address::V6),
    };
    abi::Address {
        ip: ip.octets(),
        port: of.port(),
        family,
        ..abi::Address::NONE
    }
}
