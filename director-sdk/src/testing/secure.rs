//! TLS of the kit's host, and of nodes and clients: handshakes, and bytes through records.

use std::io;
use std::task::{Poll, Waker, ready};

use director_abi as abi;

use super::World;
use super::net::{EPIPE, End, Way};
use super::record::{
    ALERT, BAD_CERTIFICATE, CLOSE_NOTIFY, DATA, HANDSHAKE, HANDSHAKE_FAILURE, Phase, RECORD,
    Record, Secured, record, take,
};
use super::state::{State, number};

/// Who gave a ticket, and will resume its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Giver {
    /// The host, to the client whose first stream this is.
    Host(u64),
    Node(u32),
}

impl State {
    fn secured(&mut self, connection: usize, end: End) -> Option<&mut Secured> {
        self.connections[connection].tls[end.index()].as_mut()
    }

    /// Moves bytes to the end of `into`; 0 at the end.
    pub(super) fn receive(
        &mut self,
        connection: usize,
        end: End,
        into: &mut Vec<u8>,
        most: usize,
        waker: &Waker,
    ) -> Poll<Result<usize, i32>> {
        if self.secured(connection, end).is_none() {
            return self.receive_raw(connection, end, into, most, waker);
        }
        loop {
            let Some(tls) = self.secured(connection, end) else {
                return Poll::Ready(Err(abi::CODE_GONE));
            };
            if !tls.plain.is_empty() {
                let n = tls.plain.len().min(most);
                into.extend(tls.plain.drain(..n));
                return Poll::Ready(Ok(n));
            }
            if tls.peer_closed {
                return Poll::Ready(Ok(0));
            }
            match ready!(self.next_record(connection, end, waker))? {
                Record::Data(bytes) => {
                    if let Some(tls) = self.secured(connection, end) {
                        tls.plain.extend(bytes);
                    }
                }
                Record::Handshake(_) => {
                    return Poll::Ready(Err(self.fail(connection, end, "a second handshake")));
                }
                Record::Alert(CLOSE_NOTIFY) => {
                    if let Some(tls) = self.secured(connection, end) {
                        tls.peer_closed = true;
                    }
                }
                Record::Alert(alert) => {
                    let why = format!("the peer's alert {alert}");
                    return Poll::Ready(Err(self.fail(connection, end, why)));
                }
            }
        }
    }

    fn fail(&mut self, connection: usize, end: End, why: impl Into<String>) -> i32 {
        match self.secured(connection, end) {
            Some(tls) => tls.fail(why),
            None => abi::CODE_GONE,
        }
    }

    fn receive_raw(
        &mut self,
        connection: usize,
        end: End,
        into: &mut Vec<u8>,
        most: usize,
        waker: &Waker,
    ) -> Poll<Result<usize, i32>> {
        let pipe = self.connections[connection].pipe(end.reads());
        let read = pipe.read(into, most, waker);
        if read.is_ready() {
            // There is room for what waits at the other end.
            self.pump(connection, end.other());
        }
        read
    }

    fn next_record(
        &mut self,
        connection: usize,
        end: End,
        waker: &Waker,
    ) -> Poll<Result<Record, i32>> {
        loop {
            let Some(tls) = self.secured(connection, end) else {
                return Poll::Ready(Err(abi::CODE_GONE));
            };
            if tls.trouble.is_some() {
                return Poll::Ready(Err(abi::CODE_TLS));
            }
            match take(&mut tls.raw) {
                Ok(Some(record)) => return Poll::Ready(Ok(record)),
                Ok(None) => {}
                Err(why) => return Poll::Ready(Err(tls.fail(why))),
            }
            let mut raw = std::mem::take(&mut tls.raw);
            let read = self.receive_raw(connection, end, &mut raw, 16 * 1024, waker);
            if let Some(tls) = self.secured(connection, end) {
                tls.raw = raw;
                if read == Poll::Ready(Ok(0)) {
                    tls.truncated = true;
                    let why = "truncated: the peer ended without close_notify";
                    return Poll::Ready(Err(tls.fail(why)));
                }
            }
            ready!(read)?;
        }
    }

    /// Takes bytes; how many.
    pub(super) fn transmit(
        &mut self,
        connection: usize,
        end: End,
        pieces: &[&[u8]],
        waker: &Waker,
    ) -> Poll<Result<usize, i32>> {
        let way = end.writes();
        if self.secured(connection, end).is_none() {
            return self.write(connection, way, pieces, waker);
        }
        if let Some(code) = self.connections[connection].pipe(way).broken() {
            return Poll::Ready(Err(code));
        }
        ready!(self.drain(connection, end, waker));
        let Some(tls) = self.secured(connection, end) else {
            return Poll::Ready(Err(abi::CODE_GONE));
        };
        if tls.trouble.is_some() {
            return Poll::Ready(Err(abi::CODE_TLS));
        }
        if tls.ending {
            return Poll::Ready(Err(EPIPE));
        }
        let bytes = pieces.iter().flat_map(|piece| piece.iter().copied());
        let body: Vec<u8> = bytes.take(RECORD).collect();
        tls.out.extend(record(DATA, &body));
        self.pump(connection, end);
        Poll::Ready(Ok(body.len()))
    }

    /// Writes what TLS has to write, as far as there is room.
    fn pump(&mut self, connection: usize, end: End) {
        let way = end.writes();
        while let Some(tls) = self.secured(connection, end) {
            if tls.out.is_empty() {
                let ending = tls.ending;
                if let Some(waker) = tls.waiter.take() {
                    waker.wake();
                }
                if ending {
                    self.connections[connection].pipe(way).end();
                }
                return;
            }
            let bytes = tls.out.make_contiguous().to_vec();
            match self.write(connection, way, &[&bytes], Waker::noop()) {
                Poll::Pending => return,
                Poll::Ready(wrote) => {
                    if let Some(tls) = self.secured(connection, end) {
                        // Of a connection that is broken, nothing is left to write.
                        tls.out.drain(..wrote.unwrap_or(bytes.len()));
                    }
                }
            }
        }
    }

    /// Ready when TLS has nothing more to write.
    pub(super) fn drain(&mut self, connection: usize, end: End, waker: &Waker) -> Poll<()> {
        self.pump(connection, end);
        match self.secured(connection, end) {
            Some(tls) if !tls.out.is_empty() => {
                tls.waiter = Some(waker.clone());
                Poll::Pending
            }
            Some(_) | None => Poll::Ready(()),
        }
    }

    /// Says the end of what is written, when it has been written.
    pub(super) fn finish(&mut self, connection: usize, end: End) {
        match self.secured(connection, end) {
            None => self.connections[connection].pipe(end.writes()).end(),
            Some(tls) => {
                if !std::mem::replace(&mut tls.ending, true) {
                    tls.out.extend(record(ALERT, &[CLOSE_NOTIFY]));
                }
                self.pump(connection, end);
            }
        }
    }

    /// The far end is gone, as with the process that had it.
    pub(super) fn hang_up(&mut self, connection: usize) {
        let ends_later = self
            .secured(connection, End::Far)
            .is_some_and(|tls| tls.ending && !tls.out.is_empty());
        let connection = &mut self.connections[connection];
        if !ends_later {
            connection.pipe(Way::In).end();
        }
        connection.pipe(Way::Out).break_with(EPIPE);
    }

    /// An error of a far end, in words.
    pub(super) fn far_error(&self, connection: usize, code: i32) -> io::Error {
        let tls = self.connections[connection].tls[End::Far.index()].as_ref();
        match tls {
            Some(tls) if code == abi::CODE_TLS => {
                let kind = if tls.truncated {
                    io::ErrorKind::UnexpectedEof
                } else {
                    io::ErrorKind::InvalidData
                };
                io::Error::new(kind, tls.trouble.clone().unwrap_or_default())
            }
            Some(_) | None => io::Error::from_raw_os_error(code),
        }
    }

    // --- handshakes ---

    /// Upgrades a stream of the host's.
    pub(super) fn start_tls(
        &mut self,
        number: u64,
        session_of: u64,
        required: bool,
        waker: &Waker,
    ) -> Poll<Result<(), i32>> {
        let begun = self.try_start_tls(number, session_of, required, waker);
        let now = self.now;
        match begun {
            Poll::Pending => {
                if let Some(stream) = self.streams.get_mut(&number) {
                    stream.waiting.get_or_insert(now);
                    stream.reader = Some(waker.clone());
                }
            }
            Poll::Ready(Ok(())) => {
                self.note_life(number, 0);
                if let Some(stream) = self.streams.get_mut(&number) {
                    stream.waiting = None;
                }
            }
            Poll::Ready(Err(code)) => self.note_trouble(number, code),
        }
        begun
    }

    fn try_start_tls(
        &mut self,
        number: u64,
        session_of: u64,
        required: bool,
        waker: &Waker,
    ) -> Poll<Result<(), i32>> {
        let stream = match self.usable(number) {
            Ok(stream) => stream,
            Err(code) => return Poll::Ready(Err(code)),
        };
        let (connection, unread) = (stream.connection, stream.lent.len() > stream.taken);
        let node = self.connections[connection].node;
        if self.secured(connection, End::Near).is_none() {
            if unread {
                return Poll::Ready(Err(abi::CODE_UNREAD));
            }
            let mut tls = match node {
                Some(_) => Secured::client(self.ticket_of(session_of)),
                None => Secured::server(),
            };
            let refused = (node.is_none() && self.bare)
                .then(|| tls.refuse(HANDSHAKE_FAILURE, "the service has no certificate"));
            self.connections[connection].tls[End::Near.index()] = Some(tls);
            if let Some(code) = refused {
                self.pump(connection, End::Near);
                return Poll::Ready(Err(code));
            }
        }
        let first = self.first_of(number);
        let giver = Giver::Host(first);
        ready!(self.shake_hands(connection, End::Near, giver, required, waker))?;
        if let Some(node) = node.filter(|node| self.distrusted.contains(node)) {
            let why = format!(
                "the certificate of {} is not trusted",
                self.nodes[node as usize].name
            );
            let code = match self.secured(connection, End::Near) {
                Some(tls) => tls.refuse(BAD_CERTIFICATE, why),
                None => abi::CODE_GONE,
            };
            self.pump(connection, End::Near);
            return Poll::Ready(Err(code));
        }
        Poll::Ready(Ok(()))
    }

    fn ticket_of(&self, number: u64) -> u64 {
        let stream = self.streams.get(&number);
        stream
            .and_then(|stream| self.connections[stream.connection].tls[End::Near.index()].as_ref())
            .map_or(0, Secured::ticket)
    }

    /// Upgrades a node's end, or a client's.
    pub(super) fn start_far_tls(
        &mut self,
        connection: usize,
        ticket: u64,
        waker: &Waker,
    ) -> Poll<Result<(), i32>> {
        let node = self.connections[connection].node;
        if self.secured(connection, End::Far).is_none() {
            let tls = match node {
                Some(_) => Secured::server(),
                None => Secured::client(ticket),
            };
            self.connections[connection].tls[End::Far.index()] = Some(tls);
        }
        let giver = node.map_or(Giver::Host(0), Giver::Node);
        self.shake_hands(connection, End::Far, giver, false, waker)
    }

    /// The handshake of one end; as a server it is `giver` who gives the ticket.
    fn shake_hands(
        &mut self,
        connection: usize,
        end: End,
        giver: Giver,
        required: bool,
        waker: &Waker,
    ) -> Poll<Result<(), i32>> {
        loop {
            ready!(self.drain(connection, end, waker));
            let phase = match self.secured(connection, end) {
                Some(tls) => tls.phase,
                None => return Poll::Ready(Err(abi::CODE_GONE)),
            };
            if phase == Phase::On {
                return Poll::Ready(Ok(()));
            }
            let body = match ready!(self.next_record(connection, end, waker))? {
                Record::Handshake(body) => body,
                Record::Alert(alert) => {
                    let why = format!("the handshake was refused: alert {alert}");
                    return Poll::Ready(Err(self.fail(connection, end, why)));
                }
                Record::Data(_) => {
                    let why = "data where a handshake was due";
                    return Poll::Ready(Err(self.fail(connection, end, why)));
                }
            };
            let said = match phase {
                Phase::Hello => self.answer_hello(connection, end, &body, giver, required),
                Phase::Answer | Phase::On => self.hear_answer(connection, end, &body),
            };
            if let Err(code) = said {
                self.pump(connection, end);
                return Poll::Ready(Err(code));
            }
        }
    }

    fn answer_hello(
        &mut self,
        connection: usize,
        end: End,
        body: &[u8],
        giver: Giver,
        required: bool,
    ) -> Result<(), i32> {
        let Ok(offered) = <[u8; 8]>::try_from(body).map(u64::from_be_bytes) else {
            return Err(self.fail(connection, end, "the first word is no hello"));
        };
        let given = self.sessions.get(&offered).copied();
        let resumed = match (given, giver) {
            (Some(Giver::Host(_)), Giver::Host(_)) => true,
            (Some(Giver::Node(gave)), Giver::Node(node)) => gave == node,
            (Some(Giver::Host(_) | Giver::Node(_)) | None, _) => false,
        };
        let ticket = number();
        let Some(tls) = self.secured(connection, end) else {
            return Err(abi::CODE_GONE);
        };
        if required && given != Some(giver) {
            let why = "the handshake resumed no session of this client's";
            return Err(tls.refuse(HANDSHAKE_FAILURE, why));
        }
        (tls.phase, tls.resumed, tls.ticket) = (Phase::On, resumed, ticket);
        let mut answer = vec![u8::from(resumed)];
        answer.extend(ticket.to_be_bytes());
        tls.out.extend(record(HANDSHAKE, &answer));
        self.sessions.insert(ticket, giver);
        Ok(())
    }

    fn hear_answer(&mut self, connection: usize, end: End, body: &[u8]) -> Result<(), i32> {
        let Some(tls) = self.secured(connection, end) else {
            return Err(abi::CODE_GONE);
        };
        let ticket = body
            .get(1..)
            .and_then(|rest| <[u8; 8]>::try_from(rest).ok());
        match (body.first(), ticket) {
            (Some(resumed), Some(ticket)) => {
                (tls.phase, tls.resumed) = (Phase::On, *resumed == 1);
                tls.ticket = u64::from_be_bytes(ticket);
                Ok(())
            }
            (Some(_) | None, _) => Err(tls.fail("the answer to the hello is none")),
        }
    }
}

impl World {
    /// The service has no certificate: TLS with clients fails.
    pub fn without_certificate(&self) {
        self.state.borrow_mut().bare = true;
    }

    /// The node's certificate is not trusted: TLS with it fails.
    pub fn distrust(&self, name: &str) {
        let node = self.find(name);
        self.state.borrow_mut().distrusted.insert(node);
    }
}
