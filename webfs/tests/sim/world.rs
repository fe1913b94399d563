//! The world of one run: servers, links, users and directors under one clock and one source of chance.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use webfs::core::{Answer, Message, Now, Output, PeerIndex, Place, Settings, Ticket};
use webfs::path::StreamPath;
use webfs::server::Refusal;

use crate::check::History;
use crate::host::{Fault, Host};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::users::{Director, User};

/// What is due at some time.
#[derive(Debug)]
pub enum Event {
    Deliver {
        link: usize,
        epoch: u64,
        to: usize,
        message: Box<Message>,
    },
    Synced {
        host: usize,
        epoch: u64,
        upto: usize,
    },
    Stored {
        host: usize,
        epoch: u64,
        identity: webfs::server::Identity,
    },
    Tick {
        host: usize,
        epoch: u64,
    },
    /// A pair of servers tries to connect.
    Connect(usize),
    /// One end of a link notices that it is down.
    Notice {
        host: usize,
        epoch: u64,
        peer: usize,
        link_epoch: u64,
    },
    Arrive(u64),
    Answered {
        ticket: u64,
        result: Box<Result<Answer, Refusal>>,
    },
    Failed(u64),
    Poll(usize),
    Pump(usize),
    Write(usize),
    Move(usize),
    Fault,
    Restart(usize),
}

pub struct Link {
    pub ends: [usize; 2],
    pub up: bool,
    pub epoch: u64,
    /// Nothing passes until then.
    pub cut_until: Duration,
    arrival: [Duration; 2],
}

/// A request on its way or being served.
pub struct Request {
    pub user: usize,
    pub host: usize,
    pub epoch: u64,
    pub what: What,
}

pub enum What {
    Append(u64, Box<webfs::server::Append>),
    Read,
}

pub struct World {
    pub seed: u64,
    pub plan: Plan,
    pub rng: Rng,
    pub now: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    events: u64,
    pub room: StreamPath,
    pub hosts: Vec<Host>,
    pub links: Vec<Link>,
    pub users: Vec<User>,
    pub directors: Vec<Director>,
    pub requests: HashMap<u64, Request>,
    /// The message of each append's ticket.
    pub said_by: HashMap<u64, u64>,
    pub tickets: u64,
    pub history: History,
    /// Faults happen and users write.
    pub busy: bool,
}

impl World {
    pub fn new(seed: u64, plan: Plan) -> Self {
        let mut rng = Rng::new(seed);
        let count = 3 + rng.below(3);
        let interval = rng.pick(&[0, 20, 300, 300]);
        let memory = rng.pick(&[60, 1 << 20]);
        let address = |host: usize| format!("host{host}:1");
        let hosts = (0..count).map(|host| {
            Host::new(Settings {
                id: ["a", "b", "c", "d", "e"][host].parse().unwrap(),
                listen: address(host),
                peers: (0..count)
                    .filter(|&other| other != host)
                    .map(address)
                    .collect(),
                alone: false,
                session: 0,
                interval: Duration::from_millis(interval),
                append_limit: 1 << 20,
                memory,
                rules: plan.rules,
            })
        });
        let hosts: Vec<Host> = hosts.collect();
        let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| [a, b]));
        let links = pairs.map(|ends| Link {
            ends,
            up: false,
            epoch: 0,
            cut_until: Duration::ZERO,
            arrival: [Duration::ZERO; 2],
        });
        let links: Vec<Link> = links.collect();
        let mut world = Self {
            seed,
            rng,
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            events: 0,
            room: "rooms/lobby".parse().unwrap(),
            hosts,
            links,
            users: Vec::new(),
            directors: (0..2).map(Director::new).collect(),
            requests: HashMap::new(),
            said_by: HashMap::new(),
            tickets: 0,
            history: History::default(),
            busy: true,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for user in 0..4 {
            let stable = user + self.plan.stable_readers >= 4;
            let (director, server) = (self.rng.below(2), self.rng.below(self.hosts.len()));
            let producer = self.plan.directors_die || user == 0;
            self.users
                .push(User::new(user, director, server, stable, producer));
            if !self.plan.keys {
                self.history.changed(user); // as if always just come to its director
            }
            let after = self.rng.millis(600, 900);
            self.poll_in(user, after);
            if user < 3 {
                self.at(after, Event::Write(user));
            }
            let after = self.rng.millis(1000, 2000);
            self.at(after, Event::Move(user));
        }
        for host in 0..self.hosts.len() {
            let after = self.rng.millis(0, 20);
            self.at(after, Event::Restart(host));
        }
        for link in 0..self.links.len() {
            self.at(Duration::from_millis(25), Event::Connect(link));
        }
        self.at(Duration::from_millis(1200), Event::Fault);
    }

    pub fn at(&mut self, after: Duration, event: Event) {
        self.events += 1;
        self.queue.insert((self.now + after, self.events), event);
    }

    /// Until a time.
    pub fn run(&mut self, until: Duration) {
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= until
        {
            let ((now, _), event) = entry.remove_entry();
            self.now = now;
            self.handle(event);
        }
        self.now = until;
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Deliver {
                link,
                epoch,
                to,
                message,
            } => self.deliver(link, epoch, to, *message),
            Event::Synced { host, epoch, upto } => self.synced(host, epoch, upto),
            Event::Stored {
                host,
                epoch,
                identity,
            } => {
                if self.hosts[host].epoch == epoch && self.hosts[host].up() {
                    self.hosts[host].identity = Some(identity);
                    self.with(host, |core, now| core.identity_stored(now, identity));
                }
            }
            Event::Tick { host, epoch } => {
                if self.hosts[host].epoch == epoch && self.hosts[host].up() {
                    self.hosts[host].tick = None;
                    self.with(host, webfs::core::Core::tick);
                    let timer = self.hosts[host].core.as_ref().unwrap().next_timer();
                    assert!(
                        timer.is_none_or(|timer| timer > self.now),
                        "it does not pass"
                    );
                }
            }
            Event::Connect(link) => self.connect(link),
            Event::Notice {
                host,
                epoch,
                peer,
                link_epoch,
            } => {
                let link = self.link_of(host, peer);
                let same = self.links[link].epoch == link_epoch && !self.links[link].up;
                if self.hosts[host].epoch == epoch && self.hosts[host].up() && same {
                    let peer = peer_index(host, peer);
                    self.with(host, |core, now| core.peer_down(now, peer));
                }
            }
            Event::Arrive(ticket) => self.arrive(ticket),
            Event::Answered { ticket, result } => self.answered(ticket, *result),
            Event::Failed(ticket) => self.failed(ticket),
            Event::Poll(user) => self.poll_ordered(user),
            Event::Pump(user) => self.pump(user),
            Event::Write(user) => self.write(user),
            Event::Move(user) => self.move_user(user),
            Event::Fault => self.fault(),
            Event::Restart(host) => self.restart(host),
        }
    }

    /// Calls a server and does what it wants.
    pub fn with<R>(
        &mut self,
        host: usize,
        call: impl FnOnce(&mut webfs::core::Core, Now) -> R,
    ) -> R {
        let now = self.clock(host);
        let core = self.hosts[host].core.as_mut().expect("a running server");
        let result = call(core, now);
        self.do_outputs(host);
        result
    }

    fn clock(&self, host: usize) -> Now {
        Now {
            since_start: self.now,
            wall: 1_000_000 + self.now.as_millis() as u64 + host as u64 * 137,
        }
    }

    fn do_outputs(&mut self, host: usize) {
        let epoch = self.hosts[host].epoch;
        while let Some(core) = &mut self.hosts[host].core {
            let outputs = core.outputs();
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                self.do_output(host, epoch, output);
            }
        }
        let at = &mut self.hosts[host];
        let Some(core) = &at.core else {
            return;
        };
        if at.log.len() > at.synced && !at.syncing {
            at.syncing = true;
            let upto = at.log.len();
            let slow = self.rng.percent(5);
            let after = if slow {
                self.rng.millis(5, 80)
            } else {
                self.rng.millis(0, 4)
            };
            self.at(after, Event::Synced { host, epoch, upto });
        } else if let Some(timer) = core.next_timer()
            && at.tick.is_none_or(|tick| timer < tick)
        {
            at.tick = Some(timer);
            let after = timer.saturating_sub(self.now);
            self.at(after, Event::Tick { host, epoch });
        }
    }

    fn do_output(&mut self, host: usize, epoch: u64, output: Output) {
        match output {
            Output::Log { mut entry, copy } => {
                if let Some(place) = copy {
                    entry.payload = self.hosts[host].at(place).payload.clone();
                }
                entry.check().unwrap();
                self.hosts[host].log.push(entry);
            }
            Output::Send { peer, message } => self.transmit(host, other(host, peer), message),
            Output::Disconnect { peer, why } => {
                if why.contains("without the one before") {
                    self.history
                        .bad("gap between peers", || format!("at host {host}"));
                }
                let link = self.link_of(host, other(host, peer));
                self.break_link(link);
            }
            Output::Answer { ticket, result } => {
                if let (Ok(Answer::Appended(appended)), Some(&uid)) =
                    (&result, self.said_by.get(&ticket.0))
                    && appended.released
                {
                    self.history.released(uid); // also when nobody hears it
                }
                let after = self.rng.millis(0, 4);
                let (ticket, result) = (ticket.0, Box::new(result));
                self.at(after, Event::Answered { ticket, result });
            }
            Output::Wake(_) => {
                for user in 0..self.users.len() {
                    if self.users[user].reader.server == host {
                        let after = self.rng.millis(0, 3);
                        self.poll_in(user, after);
                    }
                }
            }
            Output::Stable {
                director, cursor, ..
            } => self.stable(director.as_str(), &cursor.cut),
            Output::StoreIdentity(identity) => {
                let after = self.rng.millis(0, 5);
                let stored = Event::Stored {
                    host,
                    epoch,
                    identity,
                };
                self.at(after, stored);
            }
            Output::Fatal(why) => {
                self.history.bad("fatal", || format!("host {host}: {why}"));
            }
        }
    }

    fn synced(&mut self, host: usize, epoch: u64, upto: usize) {
        let at = &mut self.hosts[host];
        if at.epoch != epoch || !at.up() {
            return;
        }
        at.syncing = false;
        let places: Vec<Place> = (at.synced + 1..=upto).map(|n| Place(n as u64)).collect();
        at.synced = upto;
        self.with(host, |core, now| core.durable(now, upto as u64, &places));
    }

    pub fn restart(&mut self, host: usize) {
        if self.hosts[host].up() {
            return;
        }
        let session = self.rng.next();
        let recovered = self.hosts[host].start(session);
        self.with(host, |core, now| core.start(now, recovered));
    }

    fn link_of(&self, one: usize, two: usize) -> usize {
        let ends = [one.min(two), one.max(two)];
        self.links
            .iter()
            .position(|link| link.ends == ends)
            .unwrap()
    }

    fn connect(&mut self, link: usize) {
        let after = self.rng.millis(20, 200);
        self.at(after, Event::Connect(link));
        if self.links[link].up {
            return;
        }
        let [a, b] = self.links[link].ends;
        let open = self.links[link].cut_until <= self.now;
        if self.hosts[a].up() && self.hosts[b].up() && open {
            self.links[link].up = true;
            self.links[link].epoch += 1;
            self.links[link].arrival = [self.now; 2];
            let hellos = [a, b].map(|host| self.hosts[host].core.as_ref().unwrap().hello());
            let [hello_a, hello_b] = hellos;
            self.with(a, |core, now| core.peer_up(now, peer_index(a, b), hello_b));
            self.with(b, |core, now| core.peer_up(now, peer_index(b, a), hello_a));
        } else {
            for (host, peer) in [(a, b), (b, a)] {
                if self.hosts[host].up() {
                    self.with(host, |core, now| {
                        core.peer_down(now, peer_index(host, peer))
                    });
                }
            }
        }
    }

    /// Ends a link; what is on its way is lost, and each end notices in its own time.
    pub fn break_link(&mut self, link: usize) {
        if !std::mem::take(&mut self.links[link].up) {
            return;
        }
        let (ends, link_epoch) = (self.links[link].ends, self.links[link].epoch);
        for (host, peer) in [(ends[0], ends[1]), (ends[1], ends[0])] {
            let after = if self.rng.percent(70) {
                self.rng.millis(0, 3)
            } else {
                self.rng.millis(0, 1500)
            };
            let epoch = self.hosts[host].epoch;
            let notice = Event::Notice {
                host,
                epoch,
                peer,
                link_epoch,
            };
            self.at(after, notice);
        }
    }

    fn transmit(&mut self, from: usize, to: usize, message: Message) {
        let link = self.link_of(from, to);
        if !self.links[link].up {
            return;
        }
        let message = match message {
            Message::Entries(mut entries) => {
                for shipped in &mut entries {
                    if let Some(place) = shipped.place.take() {
                        shipped.entry.payload = self.hosts[from].at(place).payload.clone();
                    }
                }
                Message::Entries(entries)
            }
            other => other,
        };
        let slow = self.rng.percent(3);
        let after = if slow {
            self.rng.millis(5, 120)
        } else {
            self.rng.millis(0, 3)
        };
        let side = usize::from(from > to);
        let arrival = (self.now + after).max(self.links[link].arrival[side]);
        self.links[link].arrival[side] = arrival;
        let deliver = Event::Deliver {
            link,
            epoch: self.links[link].epoch,
            to,
            message: Box::new(message),
        };
        self.at(arrival - self.now, deliver);
    }

    fn deliver(&mut self, link: usize, epoch: u64, to: usize, message: Message) {
        let Link {
            ends,
            up,
            epoch: current,
            ..
        } = self.links[link];
        if !up || epoch != current || !self.hosts[to].up() {
            return;
        }
        let from = if ends[0] == to { ends[1] } else { ends[0] };
        let taken = matches!(message, Message::Entries(_));
        self.with(to, |core, now| {
            core.peer_message(now, peer_index(to, from), message)
        });
        if taken && self.links[link].up && self.hosts[from].up() {
            self.with(from, |core, now| {
                core.peer_drained(now, peer_index(from, to))
            });
        }
    }

    pub fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn fault(&mut self) {
        if !self.busy {
            return;
        }
        let after = self.rng.millis(100, 1500);
        self.at(after, Event::Fault);
        match self.rng.below(10) {
            0 | 1 if self.plan.partitions => {
                let link = self.rng.below(self.links.len());
                self.links[link].cut_until = self.now + self.rng.millis(50, 3000);
                self.break_link(link);
            }
            2 if self.plan.directors_die => {
                let director = self.rng.below(2);
                self.director_dies(director);
            }
            3 if self.plan.readers_change => {
                let user = self.rng.below(self.users.len());
                self.reader_changes(user);
            }
            _ => self.server_dies(),
        }
    }

    fn server_dies(&mut self) {
        let running = |&host: &usize| self.hosts[host].joined();
        let up: Vec<usize> = (0..self.hosts.len()).filter(running).collect();
        let down = self.hosts.len() - up.len();
        if down >= self.plan.max_down || up.len() < 2 {
            return;
        }
        let host = self.rng.pick(&up);
        let mut fault = self.rng.pick(self.plan.faults);
        if fault == Fault::Disk && !self.may_lose_disk(host) {
            fault = Fault::Kill;
        }
        self.history
            .note(|| format!("{:?} host {host}: {fault:?}", self.now));
        let Self { hosts, rng, .. } = self;
        hosts[host].fail(fault, rng);
        if fault == Fault::Damage {
            self.damage(host);
        }
        for link in 0..self.links.len() {
            if self.links[link].ends.contains(&host) {
                self.break_link(link);
            }
        }
        let mut lost: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, r)| r.host == host)
            .map(|(&t, _)| t)
            .collect();
        lost.sort_unstable();
        for ticket in lost {
            let after = self.rng.millis(1, 300);
            self.at(after, Event::Failed(ticket));
        }
        let after = self.rng.millis(50, 3000);
        self.at(after, Event::Restart(host));
    }

    /// Something in the middle of a log cannot be read any more; not what is nowhere else.
    fn damage(&mut self, host: usize) {
        if self.hosts[host].log.is_empty() || self.hosts[host].identity.is_none() {
            return;
        }
        let at = self.rng.below(self.hosts[host].log.len());
        let uid = crate::host::uid_of(&self.hosts[host].log[at].payload);
        let name = self.hosts[host].log[at].name;
        let elsewhere = self.hosts.iter().enumerate().any(|(other, at)| {
            let durable = &at.log[..at.synced];
            other != host && durable.iter().any(|entry| entry.name == name)
        });
        let kept = self.users.iter().any(|user| user.writer.keeps(uid));
        if elsewhere || kept && self.plan.outbox {
            self.history
                .note(|| format!("host {host} cannot read {uid} as {name}"));
            self.hosts[host].damage(at);
        }
    }

    /// A disk is lost only when what was acknowledged and no director keeps is on another one too.
    /// Without outboxes: what a director would have kept, being on this disk alone, may be lost.
    fn may_lose_disk(&self, host: usize) -> bool {
        let copies: Vec<HashSet<u64>> = self.hosts.iter().map(Host::durable).collect();
        let kept = |uid: u64| match self.plan.outbox {
            true => self.users.iter().any(|user| user.writer.keeps(uid)),
            false => copies.iter().filter(|copy| copy.contains(&uid)).count() < 2,
        };
        let elsewhere = |uid: u64| {
            let mut others = copies
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != host);
            others.any(|(_, copy)| copy.contains(&uid))
        };
        self.hosts.iter().all(|other| other.identity.is_some())
            && self.history.acked().all(|uid| elsewhere(uid) || kept(uid))
    }

    /// The faults are over: everything comes back, and users read to the end.
    pub fn heal(&mut self) {
        self.busy = false;
        for link in 0..self.links.len() {
            self.links[link].cut_until = self.now;
        }
        for host in 0..self.hosts.len() {
            self.restart(host);
        }
    }
}

/// The place of server `peer` among `host`'s peers.
pub fn peer_index(host: usize, peer: usize) -> PeerIndex {
    PeerIndex(if peer < host { peer } else { peer - 1 })
}

fn other(host: usize, PeerIndex(index): PeerIndex) -> usize {
    if index < host { index } else { index + 1 }
}
