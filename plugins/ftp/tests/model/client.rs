//! A client that writes down what it saw, and never panics about it: a run with a fault is compared
//! with a run without.

use std::io;

use director_sdk::testing::{Wire, WireListener, World};
use futures_util::future::{Either, select};

use super::tree::crc32;

/// How it wants its data connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pasv,
    Epsv,
    Port,
    Eprt,
}

/// A reply: its code and its lines, and no more of it where the text holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub text: String,
}

pub struct Client {
    pub control: Wire,
    /// Every command and reply, and what went over data connections.
    pub transcript: Vec<String>,
    pub mode: Mode,
    private: bool,
    /// The control connection is gone.
    over: bool,
}

enum DataEnd {
    Open(Wire),
    Listens(WireListener),
}

const GONE: Reply = Reply {
    code: 0,
    text: String::new(),
};

impl Client {
    /// Connects and is greeted.
    pub async fn new(world: &World) -> Self {
        Self::over(world.connect()).await
    }

    /// Is greeted over this connection.
    pub async fn over(control: Wire) -> Self {
        let mut client = Self {
            control,
            transcript: Vec::new(),
            mode: Mode::Epsv,
            private: false,
            over: false,
        };
        client.reply().await;
        client
    }

    /// Connects and logs in as the user that the model knows, with binary transfers.
    pub async fn logged_in(world: &World) -> Self {
        let mut client = Self::new(world).await;
        client.log_in().await;
        client.ask("TYPE I").await;
        client
    }

    pub async fn log_in(&mut self) {
        self.ask("USER joe").await;
        self.ask("PASS secret").await;
    }

    /// Upgrades the control connection, and asks for private data connections.
    pub async fn protect(&mut self) {
        if self.ask("AUTH TLS").await.code != 234 {
            return;
        }
        match self.control.start_tls(None).await {
            Ok(_) => self.note("TLS"),
            Err(error) => return self.fail(&error),
        }
        self.ask("PBSZ 0").await;
        self.private = self.ask("PROT P").await.code == 200;
    }

    fn note(&mut self, line: impl Into<String>) {
        self.transcript.push(line.into());
    }

    fn fail(&mut self, error: &io::Error) {
        self.over = true;
        self.note(format!("! control: {:?}", error.kind()));
    }

    /// Whether its control connection has ended.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        if !self.over
            && let Err(error) = self.control.write_all(bytes).await
        {
            self.fail(&error);
        }
    }

    /// Sends a command and waits for its reply; of the preliminary ones too.
    pub async fn ask(&mut self, line: &str) -> Reply {
        self.note(format!("> {line}"));
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }

    /// The next reply.
    pub async fn reply(&mut self) -> Reply {
        if self.over {
            return GONE;
        }
        match self.read_reply().await {
            Ok(reply) => {
                self.note(match reply.code {
                    // Ports; and the last words on a transfer, which are the director's own when its
                    // server did not live to say them.
                    200 | 227 | 229 | 226 | 250 => reply.code.to_string(),
                    // The path in it is what counts: the words may be the director's.
                    257 => format!("257 {:?}", reply.text.split('"').nth(1)),
                    _ => reply.text.clone(),
                });
                reply
            }
            Err(error) => {
                self.fail(&error);
                GONE
            }
        }
    }

    async fn read_reply(&mut self) -> io::Result<Reply> {
        let mut text = String::new();
        let mut first = None;
        loop {
            let line = self.control.read_line().await?;
            if !line.ends_with("\r\n") {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            text.push_str(&line);
            let code: Option<u16> = line.get(..3).and_then(|code| code.parse().ok());
            let begun = *first.get_or_insert(code);
            if code == begun && line.get(3..4) == Some(" ") {
                let code = code.ok_or(io::ErrorKind::InvalidData)?;
                return Ok(Reply { code, text });
            }
        }
    }

    async fn open(&mut self) -> Option<DataEnd> {
        match self.mode {
            Mode::Pasv => {
                let reply = self.ask("PASV").await;
                let numbers = reply
                    .text
                    .split(|c: char| !c.is_ascii_digit())
                    .filter(|part| !part.is_empty());
                let numbers: Vec<u16> = numbers.filter_map(|part| part.parse().ok()).collect();
                let [227, _, _, _, _, high, low] = numbers[..] else {
                    return None;
                };
                self.connect(high << 8 | low).await
            }
            Mode::Epsv => {
                let reply = self.ask("EPSV").await;
                let port = reply.text.split('|').nth(3)?.parse().ok()?;
                self.connect(port).await
            }
            Mode::Port => {
                let (port, listener) = self.control.listen();
                let told = format!("PORT 127,0,0,1,{},{}", port >> 8, port & 255);
                self.offer(&told, listener).await
            }
            Mode::Eprt => {
                let (port, listener) = self.control.listen();
                self.offer(&format!("EPRT |1|127.0.0.1|{port}|"), listener)
                    .await
            }
        }
    }

    async fn connect(&mut self, port: u16) -> Option<DataEnd> {
        match self.control.connect(port).await {
            Ok(wire) => Some(DataEnd::Open(wire)),
            Err(error) => {
                self.note(format!("! data: {:?}", error.kind()));
                None
            }
        }
    }

    /// The port is not part of the transcript.
    async fn offer(&mut self, told: &str, listener: WireListener) -> Option<DataEnd> {
        self.send(format!("{told}\r\n").as_bytes()).await;
        (self.reply().await.code == 200).then_some(DataEnd::Listens(listener))
    }

    async fn accept(&mut self, end: DataEnd) -> io::Result<Wire> {
        let mut data = match end {
            DataEnd::Open(wire) => wire,
            DataEnd::Listens(mut listener) => listener.accept().await?,
        };
        if self.private {
            data.start_tls(Some(&self.control)).await?;
        }
        Ok(data)
    }

    /// A download or a listing; what came, and the last reply's code.
    pub async fn fetch(&mut self, command: &str) -> (Vec<u8>, u16) {
        let Some(end) = self.open().await else {
            return (Vec::new(), 0);
        };
        let first = self.ask(command).await;
        if !(100..200).contains(&first.code) {
            return (Vec::new(), first.code);
        }
        let mut bytes = Vec::new();
        let ended = match self.accept(end).await {
            Ok(mut data) => read_all(&mut data, &mut bytes).await,
            Err(error) => Err(error),
        };
        let how = ended.map_or_else(|error| format!("! {:?}", error.kind()), |()| "end".into());
        self.note(format!("< {} {:08x} {how}", bytes.len(), crc32(&bytes)));
        let last = self.reply().await;
        (bytes, last.code)
    }

    /// An upload; the last reply's code.
    pub async fn store(&mut self, command: &str, bytes: &[u8]) -> u16 {
        let Some(end) = self.open().await else {
            return 0;
        };
        let first = self.ask(command).await;
        if !(100..200).contains(&first.code) {
            return first.code;
        }
        let sent = match self.accept(end).await {
            Ok(mut data) => {
                let sent = data.write_all(bytes).await;
                data.close();
                sent
            }
            Err(error) => Err(error),
        };
        let how = sent.map_or_else(|error| format!("! {:?}", error.kind()), |()| "sent".into());
        self.note(format!("> {} {how}", bytes.len()));
        self.reply().await.code
    }

    /// A download that is broken off by ABOR after so many bytes: the codes of what is said then, and
    /// whether the bytes were those of the file.
    pub async fn abort_after(&mut self, command: &str, n: usize) -> (Vec<u8>, Vec<u16>) {
        let Some(end) = self.open().await else {
            return (Vec::new(), Vec::new());
        };
        if self.ask(command).await.code / 100 != 1 {
            return (Vec::new(), Vec::new());
        }
        let Ok(mut data) = self.accept(end).await else {
            return (Vec::new(), Vec::new());
        };
        let bytes = data.read_exact(n).await.unwrap_or_default();
        // Telnet's IP and Synch before it, as RFC 959 section 4.1.3 has it.
        let urgent = self.control.write_urgent(b"\xff\xf4\xff\xf2").await;
        if let Err(error) = urgent {
            self.fail(&error);
        }
        self.send(b"ABOR\r\n").await;
        let mut codes = vec![self.reply().await.code];
        if codes != [226] && codes != [225] {
            codes.push(self.reply().await.code);
        }
        (bytes, codes)
    }

    pub async fn quit(mut self) -> Vec<String> {
        self.ask("QUIT").await;
        self.transcript
    }

    /// Whether the control connection ends within the world's next hour; what is said until then is
    /// noted.
    pub async fn ends(&mut self) -> bool {
        let hour = self.control.sleep(std::time::Duration::from_secs(3600));
        let rest = async {
            let mut byte = [0; 64];
            while let Ok(1..) = self.control.read(&mut byte).await {}
        };
        matches!(
            select(std::pin::pin!(rest), std::pin::pin!(hour)).await,
            Either::Left(_)
        )
    }
}

async fn read_all(data: &mut Wire, into: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 4096];
    loop {
        match data.read(&mut piece).await? {
            0 => return Ok(()),
            n => into.extend_from_slice(&piece[..n]),
        }
    }
}
