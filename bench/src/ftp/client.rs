//! A client that measures: it speaks just enough FTP to log in, fetch and store, and throws what comes away
//! without copying them, so that what is measured is the servers' and the proxies' work and not its own.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};

/// How long one reply, or one piece of a file, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are thrown away at once.
const PIECE: usize = 1 << 20;

/// A control connection, logged in.
#[derive(Debug)]
pub struct Client {
    control: BufReader<TcpStream>,
    peer: SocketAddr,
}

/// How a file came.
#[derive(Debug, Clone, Copy)]
pub struct Fetched {
    /// Bytes.
    pub bytes: u64,
    /// From the command to its last reply.
    pub took: Duration,
    /// The longest time between two pieces.
    pub longest_gap: Duration,
}

impl Client {
    /// Connects, logs in, and asks for binary transfers (RFC 959 section 4.1).
    ///
    /// # Errors
    /// A server that is not there, says no, or does not answer.
    pub fn login(address: SocketAddr, user: &str, password: &str) -> io::Result<Self> {
        let control = TcpStream::connect_timeout(&address, PATIENCE)?;
        control.set_read_timeout(Some(PATIENCE))?;
        control.set_nodelay(true)?;
        let mut client = Self {
            control: BufReader::new(control),
            peer: address,
        };
        client.reply(220)?;
        client.say(&format!("USER {user}"))?;
        match client.any_reply()? {
            (230, _) => {}
            (331, _) => {
                client.ask(&format!("PASS {password}"), 230)?;
            }
            (_, text) => return Err(unexpected("230 or 331", &text)),
        }
        client.ask("TYPE I", 200)?;
        Ok(client)
    }

    /// Logs in with the account that every server of the tests knows.
    ///
    /// # Errors
    /// As [`Client::login`].
    pub fn ann(address: SocketAddr) -> io::Result<Self> {
        Self::login(
            address,
            director_tests::ftp::USER,
            director_tests::ftp::PASSWORD,
        )
    }

    /// Begins to fetch a file, and does not read what comes.
    ///
    /// # Errors
    /// A refusal.
    pub fn begin(&mut self, name: &str) -> io::Result<TcpStream> {
        let data = self.data()?;
        self.say(&format!("RETR {name}"))?;
        match self.any_reply()? {
            (150 | 125, _) => Ok(data),
            (_, text) => Err(unexpected("150", &text)),
        }
    }

    /// Fetches a file over a passive data connection (RFC 2428) and throws it away.
    ///
    /// # Errors
    /// A refusal, an end without 226, or a wait of more than half a minute.
    pub fn fetch(&mut self, name: &str) -> io::Result<Fetched> {
        self.fetch_and(name, |_bytes| {})
    }

    /// As [`Client::fetch`], telling how many bytes have come after each piece.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub fn fetch_and(&mut self, name: &str, mut told: impl FnMut(u64)) -> io::Result<Fetched> {
        let began = Instant::now();
        let data = self.begin(name)?;
        let mut room = vec![0; PIECE];
        let (mut bytes, mut last, mut longest_gap) = (0, Instant::now(), Duration::ZERO);
        loop {
            // With TRUNC a stream socket drops as much as it is asked for, without a copy (tcp(7)).
            let (_, n) = recv(&data, &mut room[..], RecvFlags::TRUNC)?;
            let now = Instant::now();
            longest_gap = longest_gap.max(now - last);
            last = now;
            if n == 0 {
                break;
            }
            bytes += n as u64;
            told(bytes);
        }
        // Servers linger until the client has closed its end, too.
        drop(data);
        self.reply(226)?;
        Ok(Fetched {
            bytes,
            took: began.elapsed(),
            longest_gap,
        })
    }

    /// Stores `bytes` bytes, all of them zero, over a passive data connection.
    ///
    /// # Errors
    /// A refusal, an end without 226, or a wait of more than half a minute.
    pub fn store(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        let mut data = self.data()?;
        self.say(&format!("STOR {name}"))?;
        match self.any_reply()? {
            (150 | 125, _) => {}
            (_, text) => return Err(unexpected("150", &text)),
        }
        let piece = vec![0; PIECE];
        let mut left = bytes;
        while left > 0 {
            let next = left.min(PIECE as u64);
            // At most a piece, so that it fits.
            data.write_all(&piece[..next as usize])?;
            left -= next;
        }
        drop(data);
        self.reply(226).map(|_text| ())
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// When the server does not answer 221.
    pub fn quit(mut self) -> io::Result<()> {
        self.ask("QUIT", 221).map(|_text| ())
    }

    fn data(&mut self) -> io::Result<TcpStream> {
        let text = self.ask("EPSV", 229)?;
        let port = text
            .split('|')
            .nth(3)
            .and_then(|port| port.parse().ok())
            .ok_or_else(|| unexpected("a port between bars", &text))?;
        let address = SocketAddr::new(self.peer.ip(), port);
        let data = TcpStream::connect_timeout(&address, PATIENCE)?;
        data.set_read_timeout(Some(PATIENCE))?;
        data.set_write_timeout(Some(PATIENCE))?;
        Ok(data)
    }

    /// Says a command and takes its reply.
    ///
    /// # Errors
    /// Another code than `code`.
    pub fn ask(&mut self, command: &str, code: u16) -> io::Result<String> {
        self.say(command)?;
        self.reply(code)
    }

    fn say(&mut self, command: &str) -> io::Result<()> {
        let line = format!("{command}\r\n");
        self.control.get_mut().write_all(line.as_bytes())
    }

    fn reply(&mut self, code: u16) -> io::Result<String> {
        match self.any_reply()? {
            (found, text) if found == code => Ok(text),
            (_, text) => Err(unexpected(&code.to_string(), &text)),
        }
    }

    /// The next reply, of one line or several (RFC 959 section 4.2).
    fn any_reply(&mut self) -> io::Result<(u16, String)> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.control.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
            if let (Some(code), Some(b' ')) = (code, line.as_bytes().get(3)) {
                return Ok((code, line.trim_end().to_owned()));
            }
        }
    }
}

fn unexpected(wanted: &str, found: &str) -> io::Error {
    io::Error::other(format!("the server said `{found}`, not {wanted}"))
}
