//! Users and their directors: the model of what the chat plugin keeps.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use webfs::core::{Answer, Follow, Picked, Reading};
use webfs::cursor::{Cursor, Cut, Position};
use webfs::letter::Name;
use webfs::server::{Append, ReadLimits, Refusal};
use webfs::stream::Producer;

use crate::world::{Event, Request, What, World};

pub struct Director {
    number: usize,
    life: u64,
    requests: u64,
    /// Of all answers to anybody.
    largest: Cut,
}

pub struct User {
    pub number: usize,
    pub writer: Writer,
    pub reader: Reader,
}

/// A write on its way to being stable.
pub struct Write {
    pub uid: u64,
    seq: u64,
    request: String,
    /// What its director and its user had seen when it was said.
    min: Cut,
    pub acked: bool,
    was: Vec<Name>,
    /// The server, and its process, that acknowledged it last.
    confirmed: Option<(usize, u64)>,
}

pub struct Writer {
    director: usize,
    server: usize,
    outbox: VecDeque<Write>,
    in_flight: Option<u64>,
    seq: u64,
    producer: bool,
}

pub struct Reader {
    director: usize,
    pub server: usize,
    pub cursor: Cursor,
    follow: Option<(u64, Follow)>,
    asked: Option<u64>,
    pub got: Vec<u64>,
    seen: HashSet<String>,
    pub stable: bool,
    /// When its next poll is due.
    poll_due: Option<Duration>,
}

impl Director {
    pub fn new(number: usize) -> Self {
        Self {
            number,
            life: 0,
            requests: 0,
            largest: Cut::default(),
        }
    }

    fn session(&self) -> String {
        format!("d{}x{}", self.number, self.life)
    }

    fn request(&mut self) -> String {
        self.requests += 1;
        format!("{}.{}", self.session(), self.requests)
    }
}

impl User {
    pub fn new(
        number: usize,
        director: usize,
        server: usize,
        stable: bool,
        producer: bool,
    ) -> Self {
        Self {
            number,
            writer: Writer {
                director,
                server,
                outbox: VecDeque::new(),
                in_flight: None,
                seq: 0,
                producer,
            },
            reader: Reader {
                director,
                server,
                cursor: Cursor::default(),
                follow: None,
                asked: None,
                got: Vec::new(),
                seen: HashSet::new(),
                stable,
                poll_due: None,
            },
        }
    }
}

impl Writer {
    /// Whether its director would send this again.
    pub fn keeps(&self, uid: u64) -> bool {
        self.outbox.iter().any(|write| write.uid == uid)
    }

    pub fn idle(&self) -> bool {
        self.outbox.iter().all(|write| write.acked)
    }
}

impl World {
    /// The user says something, once its last word was acknowledged.
    pub fn write(&mut self, user: usize) {
        if !self.busy {
            return;
        }
        let after = self.rng.millis(20, 400);
        self.at(after, Event::Write(user));
        if !self.users[user].writer.idle() {
            return;
        }
        let User { writer, reader, .. } = &mut self.users[user];
        let seq = writer.seq;
        writer.seq += 1;
        let uid = self.history.said(user, seq, &reader.got);
        let director = &mut self.directors[writer.director];
        let mut min = director.largest.clone();
        min.merge(&reader.cursor.cut);
        writer.outbox.push_back(Write {
            uid,
            seq,
            request: director.request(),
            min,
            acked: false,
            was: Vec::new(),
            confirmed: None,
        });
        self.pump(user);
    }

    /// Sends what is next of a user's outbox, in order.
    pub fn pump(&mut self, user: usize) {
        if self.users[user].writer.in_flight.is_some() {
            return;
        }
        let mut server = self.users[user].writer.server;
        if !self.hosts[server].joined() {
            let Some(other) = self.any_server() else {
                self.at(Duration::from_millis(50), Event::Pump(user));
                return;
            };
            server = other;
            self.users[user].writer.server = server;
        }
        let here = (server, self.hosts[server].epoch);
        let (was, outbox) = (self.plan.was, self.plan.outbox);
        let writer = &mut self.users[user].writer;
        let due = |write: &&Write| !write.acked || outbox && write.confirmed != Some(here);
        let Some(write) = writer.outbox.iter().find(due) else {
            return;
        };
        let min = Cursor {
            generation: 0,
            cut: write.min.clone(),
        };
        let producer = writer.producer.then(|| Producer {
            id: format!("p{user}").parse().unwrap(),
            epoch: 0,
            seq: write.seq,
        });
        let append = Append {
            payload: write.uid.to_string().into(),
            count: 1,
            producer,
            request: Some(write.request.parse().unwrap()),
            was: if was { write.was.clone() } else { Vec::new() },
            min: Some(min),
            ..Append::default()
        };
        self.tickets += 1;
        let ticket = self.tickets;
        writer.in_flight = Some(ticket);
        let (uid, again) = (write.uid, write.acked);
        let what = What::Append(uid, Box::new(append));
        let (host, epoch) = here;
        let request = Request {
            user,
            host,
            epoch,
            what,
        };
        self.requests.insert(ticket, request);
        self.said_by.insert(ticket, uid);
        if again && self.plan.partitions {
            self.history.unsure(uid);
        }
        let after = self.rng.millis(0, 4);
        self.at(after, Event::Arrive(ticket));
    }

    /// A request reaches its server.
    pub fn arrive(&mut self, ticket: u64) {
        let Some(request) = self.requests.get_mut(&ticket) else {
            return;
        };
        let (host, epoch) = (request.host, request.epoch);
        if self.hosts[host].epoch != epoch || !self.hosts[host].up() {
            self.at(Duration::from_millis(2), Event::Failed(ticket));
            return;
        }
        if let What::Append(_, append) = &mut request.what {
            let (append, room) = (std::mem::take(&mut **append), self.room.clone());
            let ticket = webfs::core::Ticket(ticket);
            self.with(host, |core, now| core.append(now, ticket, &room, append));
        }
    }

    pub fn answered(&mut self, ticket: u64, result: Result<Answer, Refusal>) {
        let Some(request) = self.requests.get(&ticket) else {
            return;
        };
        let (host, epoch) = (request.host, request.epoch);
        let died = self.hosts[host].epoch != epoch;
        if died && self.rng.percent(50) {
            return; // with the connection
        }
        let Some(Request { user, what, .. }) = self.requests.remove(&ticket) else {
            return;
        };
        match what {
            What::Append(uid, _) => self.append_answered(user, uid, (host, epoch), result),
            What::Read => {
                self.users[user].reader.asked = None;
                match result {
                    Ok(Answer::Following(follow)) => {
                        self.users[user].reader.follow = Some((epoch, follow));
                        self.poll(user);
                    }
                    Ok(Answer::Read(reading)) => self.got(user, host, reading),
                    Ok(other) => panic!("{other:?}"),
                    Err(Refusal::NotReady(_)) => self.again_soon(user),
                    Err(why) => panic!("a read was refused: {why}"),
                }
            }
        }
    }

    fn append_answered(
        &mut self,
        user: usize,
        uid: u64,
        here: (usize, u64),
        result: Result<Answer, Refusal>,
    ) {
        self.users[user].writer.in_flight = None;
        match result {
            Ok(Answer::Appended(appended)) => {
                let writer = &mut self.users[user].writer;
                if let Some(write) = writer.outbox.iter_mut().find(|write| write.uid == uid) {
                    write.acked = true;
                    write.confirmed = Some(here);
                    if !write.was.contains(&appended.entry) {
                        write.was.push(appended.entry);
                        write.was.truncate(Append::MAX_WAS);
                    }
                }
                if !self.plan.outbox {
                    writer.outbox.retain(|write| !write.acked);
                }
                let director = writer.director;
                let now = self.now;
                self.history.note(|| {
                    format!(
                        "{now:?} {uid} acked as {} released {} at {here:?}",
                        appended.entry, appended.released
                    )
                });
                self.history.acked_now(uid);
                self.history.token(user, None, &appended.next);
                self.directors[director].largest.merge(&appended.next.cut);
                self.prune(director, &appended.stable.cut);
                self.pump(user);
            }
            Ok(other) => panic!("{other:?}"),
            Err(Refusal::NotReady(_)) => {
                if self.rng.percent(50) {
                    self.change_server(user);
                }
                let after = self.rng.millis(20, 200);
                self.at(after, Event::Pump(user));
            }
            Err(why) => {
                self.history
                    .bad("write refused", || format!("{uid}: {why}"));
                self.users[user].writer.producer = false;
                self.at(Duration::from_millis(20), Event::Pump(user));
            }
        }
    }

    /// The connection of a request broke before an answer came.
    pub fn failed(&mut self, ticket: u64) {
        let Some(Request { user, what, .. }) = self.requests.remove(&ticket) else {
            return;
        };
        match what {
            What::Append(uid, _) => {
                self.users[user].writer.in_flight = None;
                self.history.unsure(uid);
                self.change_server(user);
                let after = self.rng.millis(1, 40);
                self.at(after, Event::Pump(user));
            }
            What::Read => {
                self.users[user].reader.asked = None;
                self.again_soon(user);
            }
        }
    }

    fn again_soon(&mut self, user: usize) {
        let after = self.rng.millis(20, 100);
        self.poll_in(user, after);
    }

    /// Polls after a time, unless it is to be earlier anyway.
    pub fn poll_in(&mut self, user: usize, after: Duration) {
        let due = self.now + after;
        let reader = &mut self.users[user].reader;
        if reader.poll_due.is_none_or(|other| other > due) {
            reader.poll_due = Some(due);
            self.at(after, Event::Poll(user));
        }
    }

    /// A poll that was ordered; one that was overtaken is not due.
    pub fn poll_ordered(&mut self, user: usize) {
        let due = &mut self.users[user].reader.poll_due;
        if *due == Some(self.now) {
            *due = None;
            self.poll(user);
        }
    }

    pub fn any_server(&mut self) -> Option<usize> {
        let joined = |&host: &usize| self.hosts[host].joined();
        let up: Vec<usize> = (0..self.hosts.len()).filter(joined).collect();
        (!up.is_empty()).then(|| self.rng.pick(&up))
    }

    fn change_server(&mut self, user: usize) {
        if let Some(server) = self.any_server() {
            self.users[user].writer.server = server;
        }
    }

    /// A user is moved to another server, perhaps back to one that was away.
    pub fn move_user(&mut self, user: usize) {
        let after = self.rng.millis(100, 1500);
        self.at(after, Event::Move(user));
        let Some(server) = self.any_server() else {
            return;
        };
        if self.rng.percent(60) {
            self.users[user].reader.server = server;
            self.users[user].reader.follow = None;
            self.poll(user);
        } else {
            self.users[user].writer.server = server;
            self.pump(user);
        }
    }

    /// What is there for a reader.
    pub fn poll(&mut self, user: usize) {
        let reader = &mut self.users[user].reader;
        if reader.asked.is_some() {
            return;
        }
        let mut server = reader.server;
        if !self.hosts[server].joined() {
            self.users[user].reader.follow = None;
            let Some(other) = self.any_server() else {
                self.again_soon(user);
                return;
            };
            server = other;
            self.users[user].reader.server = server;
        }
        let epoch = self.hosts[server].epoch;
        let follow = self.users[user].reader.follow.take();
        match follow {
            Some((at, follow)) if at == epoch => self.step(user, server, follow),
            Some(_) | None => self.ask(user, server),
        }
    }

    fn limits(&mut self, user: usize) -> ReadLimits {
        ReadLimits {
            bytes: 1 << 20,
            entries: self.rng.pick(&[1, 2, 5, 99]),
            stable_only: self.users[user].reader.stable,
        }
    }

    fn ask(&mut self, user: usize, host: usize) {
        let reader = &self.users[user].reader;
        let mut largest = self.directors[reader.director].largest.clone();
        largest.merge(&reader.cursor.cut);
        let min = Some(Cursor {
            generation: 0,
            cut: largest,
        });
        let from = match reader.cursor.cut.is_empty() {
            true => Position::Start,
            false => Position::After(reader.cursor.clone()),
        };
        let ticket = self.ticket();
        let request = Request {
            user,
            host,
            epoch: self.hosts[host].epoch,
            what: What::Read,
        };
        self.requests.insert(ticket.0, request);
        self.users[user].reader.asked = Some(ticket.0);
        let (live, limits, room) = (self.rng.percent(70), self.limits(user), self.room.clone());
        self.with(host, |core, now| match live {
            true => core.follow(now, ticket, &room, from, min),
            false => core.read(now, ticket, &room, from, min, limits),
        });
    }

    fn step(&mut self, user: usize, host: usize, follow: Follow) {
        let limits = self.limits(user);
        match self.with(host, |core, now| core.step(now, &follow, limits)) {
            Ok(step) => {
                let epoch = self.hosts[host].epoch;
                self.users[user].reader.follow = Some((epoch, step.follow));
                match step.reading {
                    Some(reading) => self.got(user, host, reading),
                    None => {
                        let (next, stable) = {
                            let (_, follow) = self.users[user].reader.follow.as_ref().unwrap();
                            (follow.next().clone(), follow.stable().clone())
                        };
                        self.moved(user, next, &stable);
                    }
                }
            }
            Err(Refusal::NotReady(_)) => self.again_soon(user),
            Err(why) => panic!("a live read was refused: {why}"),
        }
    }

    /// Entries come to a reader; its director leaves out what it had by key.
    fn got(&mut self, user: usize, host: usize, reading: Reading) {
        let more = !reading.entries.is_empty();
        for picked in &reading.entries {
            let uid = self.hosts[host].load(&picked.payload);
            let keys = keys(picked);
            let reader = &mut self.users[user].reader;
            let had = keys.iter().any(|key| reader.seen.contains(key));
            reader.seen.extend(keys);
            if had && self.plan.keys {
                continue;
            }
            reader.got.push(uid);
            let (seed, now) = (self.seed, self.now);
            self.history.shown(user, uid, || {
                format!("seed {seed} {now:?}: at host {host} as {}", picked.name)
            });
        }
        self.moved(user, reading.next, &reading.stable);
        let after = if more {
            self.rng.millis(0, 5)
        } else {
            self.rng.millis(20, 100)
        };
        self.poll_in(user, after);
    }

    fn moved(&mut self, user: usize, next: Cursor, stable: &Cursor) {
        let reader = &mut self.users[user].reader;
        self.history.token(user, Some(&reader.cursor), &next);
        let director = reader.director;
        self.directors[director].largest.merge(&next.cut);
        reader.cursor = next;
        self.prune(director, &stable.cut);
    }

    /// A watch of a director says what is stable.
    pub fn stable(&mut self, session: &str, cut: &Cut) {
        let alive = self.directors.iter().position(|d| d.session() == session);
        if let Some(director) = alive {
            self.prune(director, cut);
        }
    }

    fn prune(&mut self, director: usize, stable: &Cut) {
        let covered = |name: &Name| stable.get(name.letter) >= name.index;
        for User { writer, .. } in &mut self.users {
            if writer.director == director {
                let outbox = &mut writer.outbox;
                outbox.retain(|write| !write.acked || !write.was.iter().any(covered));
            }
        }
    }

    pub fn director_dies(&mut self, director: usize) {
        self.history.note(|| format!("director {director} dies"));
        self.directors[director].life += 1;
        self.directors[director].largest = Cut::default();
        for user in 0..self.users.len() {
            if self.users[user].reader.director == director {
                self.reader_changes(user);
            }
            if self.users[user].writer.director != director {
                continue;
            }
            let writer = &mut self.users[user].writer;
            writer.director = 1 - director;
            writer.outbox.retain(|write| !write.acked);
            for write in &mut writer.outbox {
                write.request = self.directors[1 - director].request();
                self.history.unsure(write.uid);
            }
            if let Some(ticket) = writer.in_flight.take() {
                self.requests.remove(&ticket);
            }
            self.at(Duration::from_millis(5), Event::Pump(user));
        }
    }

    pub fn reader_changes(&mut self, user: usize) {
        let reader = &mut self.users[user].reader;
        reader.director = 1 - reader.director;
        reader.seen.clear();
        reader.follow = None;
        if let Some(ticket) = reader.asked.take() {
            self.requests.remove(&ticket);
        }
        self.history.changed(user);
        self.poll_in(user, Duration::from_millis(5));
    }
}

/// What a director knows a message by, whoever accepted it.
fn keys(picked: &Picked) -> Vec<String> {
    let request = picked
        .request
        .as_ref()
        .map(|request| format!("r {request}"));
    let triple = picked.producer.as_ref();
    let triple = triple.map(|p| format!("p {} {} {}", p.id, p.epoch, p.seq));
    request.into_iter().chain(triple).collect()
}
