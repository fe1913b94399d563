//! A group of servers as the plugin sees it: the rules of names and cursors, without disks or peers.
//!
//! Every server has its own order, and fetches from those that are well when a request's cursor asks for
//! it, and every 300 ms. So what a server accepted right before its death is lost unless the director sends
//! it again, and what that sends twice is there twice.

use std::collections::BTreeMap;

use director_chat::cursor::{Cursor, Cut};
use director_chat::name::{Letter, Name};

/// The names of the servers, which are their letters.
pub const SERVERS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: Name,
    /// Its messages, JSON.
    pub messages: Vec<String>,
    pub request: Option<String>,
    pub was: Vec<Name>,
}

#[derive(Debug)]
pub struct Server {
    pub letter: Letter,
    pub start: u64,
    /// The next index is beyond this.
    pub leap: u64,
    /// In the order in which it applied them.
    pub log: Vec<Entry>,
}

/// All servers, and one stream.
#[derive(Debug)]
pub struct Group {
    pub servers: Vec<Server>,
    /// Writes accepted without what they asked for.
    pub released: usize,
    /// Rules of the servers that are switched off.
    pub without_names: bool,
}

/// What a read yields.
#[derive(Debug)]
pub struct Slice {
    pub entries: Vec<Entry>,
    pub next: Cursor,
    pub up_to_date: bool,
}

impl Group {
    pub fn new() -> Self {
        let server = |name: &&str| Server {
            letter: name.parse().unwrap(),
            start: 1,
            leap: 0,
            log: Vec::new(),
        };
        Self {
            servers: SERVERS.iter().map(server).collect(),
            released: 0,
            without_names: false,
        }
    }

    /// A server comes back as another start; with its log, or without.
    pub fn restart(&mut self, at: usize, empty: bool) {
        let server = &mut self.servers[at];
        server.start += 1;
        server.leap = server.start * 65_536;
        if empty {
            server.log.clear();
            server.start = 1;
            server.letter = format!("{}{}", SERVERS[at], 1).parse().unwrap();
        }
    }

    fn cut(&self, at: usize) -> Cut {
        self.servers[at]
            .log
            .iter()
            .map(|entry| entry.name)
            .collect()
    }

    /// All names of each entry that a server knows.
    fn names(&self, at: usize) -> BTreeMap<Name, Vec<Name>> {
        let log = &self.servers[at].log;
        let mut all = BTreeMap::new();
        for entry in log {
            let same = |other: &&Entry| {
                other.name == entry.name
                    || (other.request.is_some() && other.request == entry.request)
                    || other.was.contains(&entry.name)
                    || entry.was.contains(&other.name)
            };
            let mut names: Vec<Name> = log
                .iter()
                .filter(same)
                .flat_map(|other| other.was.iter().copied().chain([other.name]))
                .collect();
            names.sort_unstable();
            names.dedup();
            for name in names.clone() {
                all.insert(name, names.clone());
            }
        }
        all
    }

    /// Whether a server has all that a cut covers, under whatever names. Indices begin at 1 and have
    /// holes only where a server started again, which the model knows from the other servers.
    pub fn covers(&self, at: usize, cut: &Cut) -> bool {
        let own = self.cut(at);
        let names = self.names(at);
        cut.names().all(|top| {
            (1..=top.index).all(|index| {
                let name = Name { index, ..top };
                own.covers(name) || names.contains_key(&name) || !self.was_given_out(name)
            })
        })
    }

    fn was_given_out(&self, name: Name) -> bool {
        let server = self
            .servers
            .iter()
            .find(|server| server.letter.same_lineage(name.letter));
        server.is_none_or(|server| {
            let tail = server
                .log
                .iter()
                .filter(|entry| entry.name.letter == name.letter);
            let tail = tail.map(|entry| entry.name.index).max().unwrap_or(0);
            // Below its own tail, what is not there is a hole.
            name.index > tail || server.log.iter().any(|entry| entry.name == name)
        })
    }

    /// Fetches everything from another server.
    pub fn fetch(&mut self, to: usize, from: usize) {
        let entries = self.servers[from].log.clone();
        let log = &mut self.servers[to].log;
        for entry in entries {
            if !log.iter().any(|known| known.name == entry.name) {
                log.push(entry);
            }
        }
    }

    /// Accepts an entry, or finds that it has it; its name.
    pub fn accept(
        &mut self,
        at: usize,
        messages: Vec<String>,
        request: Option<&str>,
        was: &[Name],
    ) -> Name {
        let known = self.servers[at].log.iter().find(|entry| {
            (request.is_some() && entry.request.as_deref() == request)
                || was.contains(&entry.name)
                || entry.was.iter().any(|name| was.contains(name))
        });
        if let Some(known) = known {
            return known.name;
        }
        let server = &mut self.servers[at];
        let own = server
            .log
            .iter()
            .filter(|entry| entry.name.letter == server.letter);
        let last = own.map(|entry| entry.name.index).max().unwrap_or(0);
        let name = Name {
            letter: server.letter,
            index: last.max(server.leap) + 1,
        };
        server.log.push(Entry {
            name,
            messages,
            request: request.map(str::to_owned),
            was: was.to_vec(),
        });
        name
    }

    /// What a reader with that cut has not seen, at most `most` entries.
    pub fn read(&self, at: usize, from: &Cut, most: usize) -> Slice {
        let names = self.names(at);
        let mut reached = from.clone();
        let (mut entries, mut shown): (Vec<Entry>, Vec<Name>) = (Vec::new(), Vec::new());
        let mut up_to_date = true;
        for entry in &self.servers[at].log {
            let all = match self.without_names {
                true => vec![entry.name],
                false => names[&entry.name].clone(),
            };
            if !all
                .iter()
                .any(|name| from.covers(*name) || shown.contains(name))
            {
                if entries.len() == most {
                    up_to_date = false;
                    break;
                }
                entries.push(entry.clone());
                shown.extend(all);
            }
            reached.raise(entry.name);
        }
        Slice {
            entries,
            next: Cursor {
                generation: 0,
                cut: reached,
            },
            up_to_date,
        }
    }

    /// The longest prefix of a server's log that another one has too.
    pub fn stable(&self, at: usize) -> Cursor {
        let held = |entry: &&Entry| {
            let others = self
                .servers
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at);
            let mut logs = others.map(|(_, server)| &server.log);
            logs.any(|log| log.iter().any(|known| known.name == entry.name))
        };
        let log = &self.servers[at].log;
        Cursor {
            generation: 0,
            cut: log
                .iter()
                .take_while(held)
                .map(|entry| entry.name)
                .collect(),
        }
    }
}
