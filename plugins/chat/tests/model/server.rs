//! One server's HTTP, over a wire of the test kit.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use director_chat::cursor::{Cursor, Cut};
use director_chat::name::Name;
use director_sdk::testing::Wire;
use serde_json::json;
use serde_json::value::RawValue;

use super::group::{Group, SERVERS, Slice};

/// What a test may change.
#[derive(Debug, Default)]
pub struct Faults {
    /// A server takes the next append and does not answer, but dies: by its number.
    pub dies_before_answer: Option<usize>,
    /// This many answers of 503 come first.
    pub busy: usize,
    /// Live reads write the data event of the next unit, and then garbage instead of its control event.
    pub garbage_after_data: bool,
}

pub type Shared = Rc<RefCell<Group>>;

struct Ask {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Ask {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn query(&self, key: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }

    fn from(&self) -> Cut {
        match self.query("offset") {
            None | Some("-1") => Cut::default(),
            Some(offset) => offset.parse::<Cursor>().unwrap().cut,
        }
    }
}

/// A whole line; `None` when the connection ends in the middle of it.
async fn line(wire: &mut Wire) -> Option<String> {
    let line = wire.read_line().await.ok()?;
    line.ends_with('\n').then_some(line)
}

async fn read_ask(wire: &mut Wire) -> Option<Ask> {
    let first = line(wire).await?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let line = line(wire).await?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ")?;
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(Some(0), |n| n.parse().ok())?;
    let body = wire.read_exact(length).await.ok()?;
    Some(Ask {
        method,
        target,
        headers,
        body,
    })
}

struct Server {
    at: usize,
    group: Shared,
    faults: Rc<RefCell<Faults>>,
    wire: Wire,
}

/// Serves one connection.
pub async fn serve(at: usize, group: Shared, faults: Rc<RefCell<Faults>>, wire: Wire) {
    let mut server = Server {
        at,
        group,
        faults,
        wire,
    };
    while let Some(ask) = read_ask(&mut server.wire).await {
        if server.answer(ask).await.is_none() {
            return;
        }
    }
}

impl Server {
    /// `None`: the connection ends.
    async fn answer(&mut self, ask: Ask) -> Option<()> {
        let busy = {
            let mut faults = self.faults.borrow_mut();
            let busy = faults.busy > 0 && ask.target.starts_with("/v1/stream/");
            faults.busy -= usize::from(busy);
            busy
        };
        if busy {
            return self
                .reply(503, &["retry-after: 1"], b"too many writes")
                .await;
        }
        match (ask.method.as_str(), ask.target.as_str()) {
            (_, "/.well-known/webfs/health") => {
                let text = self.beat();
                self.reply(200, &[], text.as_bytes()).await
            }
            (_, "/.well-known/webfs/watch") => self.watch().await,
            ("GET", "/") => {
                self.reply(200, &["content-type: text/html"], b"<p>page")
                    .await
            }
            ("GET", _) if ask.query("live") == Some("sse") => self.live(&ask).await,
            ("GET", target) if target.starts_with("/v1/stream/") => self.catch_up(&ask).await,
            ("POST", _) => self.append(&ask).await,
            ("PUT", _) => self.reply(201, &[], b"").await,
            _ => self.reply(404, &[], b"there is no such stream").await,
        }
    }

    fn beat(&self) -> String {
        let group = self.group.borrow();
        let server = &group.servers[self.at];
        let server = format!("{}/{}", server.letter, server.start);
        json!({"server": server, "load": 1, "leaving": false}).to_string()
    }

    async fn watch(&mut self) -> Option<()> {
        self.begin_events(&[]).await?;
        let mut told = Cursor::default();
        for beat in 1.. {
            if beat % 3 == 0 {
                self.pull();
            }
            let mut text = format!("event: beat\ndata: {}\n\n", self.beat());
            let stable = self.group.borrow().stable(self.at);
            if stable != told {
                let event = json!({"path": "rooms/x", "cursor": stable.to_string()});
                text.push_str(&format!("event: stable\ndata: {event}\n\n"));
                told = stable;
            }
            self.chunk(text.as_bytes()).await?;
            self.wire.sleep(Duration::from_millis(100)).await;
        }
        None
    }

    fn pull(&self) {
        for (other, name) in SERVERS.iter().enumerate() {
            if other != self.at && self.wire.is_well(name) {
                self.group.borrow_mut().fetch(self.at, other);
            }
        }
    }

    /// Waits until the server has what a cut covers; whether it has it then.
    async fn cover(&self, cut: &Cut, longest: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        loop {
            if self.group.borrow().covers(self.at, cut) {
                return true;
            }
            self.pull();
            if self.group.borrow().covers(self.at, cut) {
                return true;
            }
            if waited >= longest {
                return false;
            }
            self.wire.sleep(STEP).await;
            waited += STEP;
        }
    }

    async fn append(&mut self, ask: &Ask) -> Option<()> {
        let min: Option<Cursor> = ask
            .header("stream-min-offset")
            .map(|min| min.parse().unwrap());
        let covered = match &min {
            None => true,
            Some(min) => self.cover(&min.cut, Duration::from_secs(1)).await,
        };
        let Ok(messages) = serde_json::from_slice::<Vec<&RawValue>>(&ask.body)
            .or_else(|_| serde_json::from_slice::<&RawValue>(&ask.body).map(|one| vec![one]))
        else {
            return self.reply(400, &[], b"no JSON").await;
        };
        let messages = messages
            .iter()
            .map(|message| message.get().to_owned())
            .collect();
        let was: Vec<Name> = ask
            .header("webfs-was")
            .into_iter()
            .flat_map(|names| names.split(", "))
            .map(|name| name.parse().unwrap())
            .collect();
        let name = {
            let mut group = self.group.borrow_mut();
            group.released += usize::from(!covered);
            group.accept(self.at, messages, ask.header("webfs-request"), &was)
        };
        if self.faults.borrow().dies_before_answer == Some(self.at) {
            self.faults.borrow_mut().dies_before_answer = None;
            // Its live readers hear of it first.
            self.wire.sleep(Duration::from_millis(50)).await;
            return None;
        }
        let mut next: Cursor = min.unwrap_or_default();
        next.cut.raise(name);
        let mut headers = vec![
            format!("stream-next-offset: {next}"),
            format!("stream-entry: {name}"),
        ];
        if !covered {
            headers.push("webfs-released: 1".to_owned());
        }
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        self.reply(204, &headers, b"").await
    }

    async fn catch_up(&mut self, ask: &Ask) -> Option<()> {
        if let Some(min) = ask.header("stream-min-offset") {
            let min: Cursor = min.parse().unwrap();
            self.cover(&min.cut, Duration::from_millis(200)).await;
        }
        let from = ask.from();
        let covered = self.cover(&from, Duration::from_millis(200)).await;
        let slice = self.group.borrow().read(self.at, &from, 64);
        if slice.entries.is_empty() && !covered {
            return self.reply(503, &["retry-after: 1"], b"behind").await;
        }
        let headers = [
            "content-type: application/json".to_owned(),
            format!("stream-next-offset: {}", slice.next),
            format!("webfs-entries: {}", self.entries(&slice)),
        ];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        self.reply(200, &headers, array(&slice).as_bytes()).await
    }

    async fn live(&mut self, ask: &Ask) -> Option<()> {
        self.begin_events(&["webfs-type: application/json"]).await?;
        let mut at = ask.from();
        // What the reader has seen comes first: its other names are told by it.
        self.cover(&at, Duration::from_millis(200)).await;
        let mut told = false;
        for turn in 1.. {
            let slice = self.group.borrow().read(self.at, &at, 2);
            if !slice.entries.is_empty() {
                let data = format!("event: data\ndata:{}\n\n", array(&slice));
                let control = format!("event: control\ndata:{}\n\n", self.control(&slice));
                let garbage = std::mem::take(&mut self.faults.borrow_mut().garbage_after_data);
                let end = if garbage {
                    "event: contr\u{1}x\n\n\n\u{7f}"
                } else {
                    control.as_str()
                };
                self.chunk(format!("{data}{end}").as_bytes()).await?;
                if garbage {
                    self.wire.write_all(b"zzz\r\n").await.ok()?;
                }
            } else if !told && self.group.borrow().covers(self.at, &at) {
                let control = format!("event: control\ndata:{}\n\n", self.control(&slice));
                self.chunk(control.as_bytes()).await?;
            }
            told = true;
            at = slice.next.cut;
            self.wire.sleep(Duration::from_millis(10)).await;
            self.pull();
            if turn % 1500 == 0 {
                self.chunk(b":\n\n").await?;
            }
        }
        None
    }

    fn control(&self, slice: &Slice) -> String {
        let group = self.group.borrow();
        let server = &group.servers[self.at];
        let entries: serde_json::Value = serde_json::from_str(&self.entries(slice)).unwrap();
        json!({
            "streamNextOffset": slice.next.to_string(),
            "upToDate": slice.up_to_date,
            "streamStableOffset": group.stable(self.at).to_string(),
            "webfsServer": format!("{}/{}", server.letter, server.start),
            "webfsEntries": entries,
        })
        .to_string()
    }

    fn entries(&self, slice: &Slice) -> String {
        let stable = self.group.borrow().stable(self.at).cut;
        let mut at = 0;
        let mut entries = Vec::new();
        for entry in &slice.entries {
            let len = entry.messages.len();
            if !stable.covers(entry.name) {
                entries.push(json!({
                    "entry": entry.name.to_string(), "at": at, "len": len, "request": entry.request,
                }));
            }
            at += len;
        }
        serde_json::Value::from(entries).to_string()
    }

    async fn begin_events(&mut self, headers: &[&str]) -> Option<()> {
        let mut text = String::from(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n",
        );
        for header in headers {
            text.push_str(&format!("{header}\r\n"));
        }
        text.push_str("\r\n");
        self.wire.write_all(text.as_bytes()).await.ok()
    }

    async fn chunk(&mut self, bytes: &[u8]) -> Option<()> {
        let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
        self.wire.write_all(&out).await.ok()
    }

    async fn reply(&mut self, status: u16, headers: &[&str], body: &[u8]) -> Option<()> {
        let mut text = format!("HTTP/1.1 {status} X\r\n");
        {
            let group = self.group.borrow();
            let server = &group.servers[self.at];
            text.push_str(&format!(
                "stream-server: {}/{}\r\n",
                server.letter, server.start
            ));
            text.push_str(&format!(
                "stream-stable-offset: {}\r\n",
                group.stable(self.at)
            ));
        }
        for header in headers {
            text.push_str(&format!("{header}\r\n"));
        }
        if status != 204 {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        let mut out = text.into_bytes();
        out.extend_from_slice(body);
        self.wire.write_all(&out).await.ok()
    }
}

fn array(slice: &Slice) -> String {
    let messages = slice.entries.iter().flat_map(|entry| &entry.messages);
    let messages: Vec<&str> = messages.map(String::as_str).collect();
    format!("[{}]", messages.join(","))
}
