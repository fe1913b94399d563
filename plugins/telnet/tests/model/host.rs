//! A host like telnetd with login(1) and a shell behind it. Lines are edited by it and echoed, except a password.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use director_sdk::testing::Wire;
use director_telnet::nvt::{Event, Parser, Verb, encode};

/// What all hosts of a test share.
#[derive(Default)]
pub struct Common {
    /// Lines that were done, by host.
    pub done: Vec<(String, String)>,
    /// Logins that were accepted, by host.
    pub logins: Vec<String>,
    /// Options of Telnet at the host are negotiated.
    pub quiet: bool,
    /// Sizes that were told, by host.
    pub sizes: Vec<(String, u16, u16)>,
    pub types: Vec<(String, String)>,
    /// The shell does not tell its directory.
    pub no_osc7: bool,
    /// Negotiation as it came in, for a fingerprint.
    pub heard: Vec<u8>,
    /// Nothing that was typed or asked is read any more, by hosts that have it from now on.
    pub hang: bool,
    pub flooded: usize,
    /// A logout is marked.
    pub hook: bool,
    /// DO TIMING-MARK is not answered.
    pub no_marks: bool,
}

struct Host {
    wire: Wire,
    name: String,
    common: Rc<RefCell<Common>>,
    parser: Parser,
    /// Bytes of data that were read, and not used.
    typed: Vec<u8>,
    cwd: String,
    after_cr: bool,
}

pub async fn serve(wire: Wire, name: String, common: Rc<RefCell<Common>>) {
    let mut host = Host {
        wire,
        name,
        common,
        parser: Parser::new(1000),
        typed: Vec::new(),
        cwd: "/home/joe".into(),
        after_cr: false,
    };
    // Its client may leave at any time.
    let _ = host.run().await;
}

impl Host {
    async fn run(&mut self) -> std::io::Result<()> {
        let mut words = Vec::new();
        for (verb, option) in [
            (Verb::Do, 24),
            (Verb::Do, 31),
            (Verb::Will, 3),
            (Verb::Will, 1),
        ] {
            encode::negotiate(&mut words, verb, option);
        }
        if !self.common.borrow().quiet {
            self.wire.write_all(&words).await?;
        }
        let banner = format!("Welcome to {}\r\n\r\n", self.name);
        self.say(&banner).await?;
        loop {
            self.say("login: ").await?;
            let Some(user) = self.line(true).await? else {
                return Ok(());
            };
            self.say("Password: ").await?;
            let Some(password) = self.line(false).await? else {
                return Ok(());
            };
            if (user.as_str(), password.as_str()) == ("joe", "sesame") {
                break;
            }
            self.say("Login incorrect\r\n\r\n").await?;
        }
        let name = self.name.clone();
        self.common.borrow_mut().logins.push(name.clone());
        self.say("You have mail.\r\n").await?;
        loop {
            self.prompt().await?;
            let Some(line) = self.line(true).await? else {
                return Ok(());
            };
            if !self.done(line.trim()).await? {
                let hook = match self.common.borrow().hook {
                    true => "\x1b]7717;logout\x1b\\",
                    false => "",
                };
                self.say(&format!("{hook}logout\r\n")).await?;
                self.wire.close();
                return Ok(());
            }
        }
    }

    async fn prompt(&mut self) -> std::io::Result<()> {
        let osc = match self.common.borrow().no_osc7 {
            true => String::new(),
            false => format!("\x1b]7;file://host{}\x1b\\", self.cwd),
        };
        let prompt = format!("{osc}\x1b[1mjoe\x1b[m:{}$ ", self.cwd);
        self.say(&prompt).await
    }

    async fn done(&mut self, line: &str) -> std::io::Result<bool> {
        if !line.is_empty() && !line.starts_with("cd ") {
            let done = (self.name.clone(), line.to_owned());
            self.common.borrow_mut().done.push(done);
        }
        match line.split_once(' ').unwrap_or((line, "")) {
            ("", _) => {}
            ("exit" | "logout", _) => return Ok(false),
            ("cd", path) => {
                let path = path.trim_start_matches("-- ").trim_matches('\'');
                if path.starts_with('/') && !path.contains("missing") {
                    self.cwd = path.to_owned();
                } else {
                    self.say("no such directory\r\n").await?;
                }
            }
            ("pwd", _) => {
                let cwd = format!("{}\r\n", self.cwd);
                self.say(&cwd).await?;
            }
            ("hangup", _) => {
                self.wire.close();
                let forever = Duration::from_secs(100_000);
                self.wire.sleep(forever).await;
            }
            ("flood", _) => loop {
                self.say(&"x".repeat(1000)).await?;
                self.common.borrow_mut().flooded += 1000;
            },
            ("echo", text) => self.say(&format!("{text}\r\n")).await?,
            ("vi", _) => {
                self.say("\x1b[?1049h\x1b[2J\x1b[Htext in vi\x1b[24;1H:")
                    .await?;
                while let Some(byte) = self.byte().await? {
                    if byte == b'q' {
                        break;
                    }
                }
                self.say("\x1b[?1049l").await?;
            }
            ("ask", _) => {
                self.say("Secret: ").await?;
                let secret = self.line(false).await?;
                self.say(&format!("{}\r\n", secret.unwrap_or_default().len()))
                    .await?;
            }
            (other, _) => self.say(&format!("{other}: not found\r\n")).await?,
        }
        Ok(true)
    }

    async fn say(&mut self, text: &str) -> std::io::Result<()> {
        let mut out = Vec::new();
        encode::data(&mut out, text.as_bytes());
        self.wire.write_all(&out).await
    }

    /// A line that is typed, echoed or not; `None` at the end.
    async fn line(&mut self, echoes: bool) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        loop {
            let Some(byte) = self.byte().await? else {
                return Ok(None);
            };
            match byte {
                b'\r' => {
                    self.after_cr = true;
                    self.say("\r\n").await?;
                    return Ok(Some(String::from_utf8_lossy(&line).into_owned()));
                }
                b'\n' | 0 if std::mem::take(&mut self.after_cr) => {}
                4 => return Ok(Some("exit".into())),
                byte => {
                    self.after_cr = false;
                    line.push(byte);
                    if echoes {
                        self.say(&char::from(byte).to_string()).await?;
                    }
                }
            }
        }
    }

    async fn byte(&mut self) -> std::io::Result<Option<u8>> {
        while self.typed.is_empty() {
            let mut buffer = [0; 256];
            let n = self.wire.read(&mut buffer).await?;
            if n == 0 {
                return Ok(None);
            }
            if std::mem::take(&mut self.common.borrow_mut().hang) {
                let forever = Duration::from_secs(100_000);
                self.wire.sleep(forever).await;
            }
            let mut replies = Vec::new();
            let mut rest = &buffer[..n];
            while let Some(event) = self.parser.next(&mut rest) {
                match event {
                    Event::Data(data) => self.typed.extend_from_slice(data),
                    Event::Negotiate(verb, option) => {
                        encode::event(&mut self.common.borrow_mut().heard, &event);
                        match (verb, option) {
                            (Verb::Do, 6) if !self.common.borrow().no_marks => {
                                encode::negotiate(&mut replies, Verb::Will, 6);
                            }
                            (Verb::Will, 24) => {
                                encode::subnegotiation(&mut replies, 24, &[1]);
                            }
                            (_, _) => {}
                        }
                    }
                    Event::Subnegotiation { option, payload } => {
                        encode::event(&mut self.common.borrow_mut().heard, &event);
                        let mut common = self.common.borrow_mut();
                        match (option, payload) {
                            (31, [a, b, c, d]) => common.sizes.push((
                                self.name.clone(),
                                u16::from_be_bytes([*a, *b]),
                                u16::from_be_bytes([*c, *d]),
                            )),
                            (24, [0, name @ ..]) => common.types.push((
                                self.name.clone(),
                                String::from_utf8_lossy(name).into_owned(),
                            )),
                            (_, _) => {}
                        }
                    }
                    _ => {}
                }
            }
            self.wire.write_all(&replies).await?;
        }
        Ok(Some(self.typed.remove(0)))
    }
}
