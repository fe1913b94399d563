//! A client like telnet(1): it agrees to what it knows, and its terminal is the emulator. Without the host's ECHO it
//! echoes by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use director_sdk::testing::{Wire, World};
use director_telnet::nvt::{Event, Parser, Verb, encode};
use director_telnet::screen::Screen;

pub struct Client {
    pub wire: Wire,
    parser: Parser,
    pub screen: Screen,
    /// Options that the host performs, and that the client performs.
    pub host: BTreeSet<u8>,
    pub own: BTreeSet<u8>,
    pub has_ended: bool,
    /// Every byte that came.
    pub raw: Vec<u8>,
    /// What was typed and echoed by the client itself.
    pub echoed: Vec<u8>,
}

impl Client {
    pub fn new(world: &World) -> Self {
        Self {
            wire: world.connect(),
            parser: Parser::new(1000),
            screen: Screen::new(80, 24),
            host: BTreeSet::new(),
            own: BTreeSet::new(),
            has_ended: false,
            raw: Vec::new(),
            echoed: Vec::new(),
        }
    }

    /// Reads what comes next, and answers it.
    pub async fn hear(&mut self) {
        let mut buffer = [0; 4096];
        let n = self.wire.read(&mut buffer).await.unwrap_or_default();
        if n == 0 {
            self.has_ended = true;
            return;
        }
        self.raw.extend_from_slice(&buffer[..n]);
        let mut replies = Vec::new();
        let mut rest = &buffer[..n];
        while let Some(event) = self.parser.next(&mut rest) {
            match event {
                Event::Data(data) => self.screen.feed(data),
                Event::Negotiate(verb, option) => {
                    negotiate(&mut self.host, &mut self.own, verb, option, &mut replies);
                }
                Event::Subnegotiation {
                    option: 24,
                    payload: [1],
                } => encode::subnegotiation(&mut replies, 24, b"\0XTERM"),
                _ => {}
            }
        }
        // Whoever has gone hears no answer.
        let _ = self.wire.write_all(&replies).await;
    }

    /// The same, within a time.
    pub async fn hear_within(&mut self, time: Duration) {
        let pause = std::pin::pin!(self.wire.sleep(time));
        let hear = std::pin::pin!(self.hear());
        futures_util::future::select(hear, pause).await;
    }

    /// Hears until `is_enough`, or the end.
    pub async fn until(&mut self, is_enough: impl Fn(&Screen) -> bool) {
        while !is_enough(&self.screen) && !self.has_ended {
            self.hear().await;
        }
    }

    /// Until the cursor's line ends so.
    pub async fn until_line(&mut self, end: &str) {
        self.until(|screen| screen.line().ends_with(end)).await;
        assert!(
            self.screen.line().ends_with(end),
            "{end}:\n{}",
            self.shown()
        );
    }

    pub async fn until_end(&mut self) {
        while !self.has_ended {
            self.hear().await;
        }
    }

    /// Hears what comes within a time.
    pub async fn idle(&mut self, time: Duration) {
        let pause = self.wire.sleep(time);
        let mut pause = std::pin::pin!(pause);
        while !self.has_ended {
            let hear = std::pin::pin!(self.hear());
            match futures_util::future::select(hear, pause.as_mut()).await {
                futures_util::future::Either::Left(_) => {}
                futures_util::future::Either::Right(_) => return,
            }
        }
    }

    pub async fn type_in(&mut self, text: &str) {
        if !self.host.contains(&1) {
            self.echoed.extend_from_slice(text.as_bytes());
        }
        let mut out = Vec::new();
        encode::data(&mut out, text.as_bytes());
        // Whoever has gone hears nothing.
        let _ = self.wire.write_all(&out).await;
    }

    /// A line, and its CR NUL.
    pub async fn enter(&mut self, line: &str) {
        self.type_in(&format!("{line}\r\0")).await;
    }

    pub fn shown(&self) -> String {
        let (_, rows) = self.screen.size();
        let rows = (0..rows).map(|row| self.screen.row(row));
        rows.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }
}

fn negotiate(
    host: &mut BTreeSet<u8>,
    own: &mut BTreeSet<u8>,
    verb: Verb,
    option: u8,
    replies: &mut Vec<u8>,
) {
    let (set, known): (_, &[u8]) = if verb.is_about_speaker() {
        (host, &[0, 1, 3, 5])
    } else {
        (own, &[0, 3, 24, 31])
    };
    if option == 6 {
        if verb == Verb::Do {
            encode::negotiate(replies, Verb::Will, 6);
        }
        return;
    }
    let agrees = verb.is_positive() && known.contains(&option);
    let changes = match agrees {
        true => set.insert(option),
        false => set.remove(&option) || verb.is_positive(),
    };
    if !changes {
        return;
    }
    let answer = match verb.is_about_speaker() {
        true => Verb::of_other(agrees),
        false => Verb::of_performer(agrees),
    };
    encode::negotiate(replies, answer, option);
    if (answer, option) == (Verb::Will, 31) {
        encode::subnegotiation(replies, 31, &[0, 80, 0, 24]);
    }
}
