//! A client that says one line at a time and keeps what is answered: for the dialogue's own tests.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustix::net::SendFlags;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::ftp::{PASSWORD, USER};

/// How long a reply may take; a switch of nodes is in it.
pub const REPLY: Duration = Duration::from_secs(30);

/// A reply: its code and all its lines, without their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// As they came.
    pub lines: Vec<String>,
}

impl Reply {
    /// All lines, as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// A control connection.
#[derive(Debug)]
pub struct Talk {
    stream: BufReader<TcpStream>,
}

/// How a data connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the port that EPSV names.
    Epsv,
    /// To the address that PASV names.
    Pasv,
    /// From the other side, to the address of PORT.
    Port,
    /// From the other side, to the address of EPRT.
    Eprt,
}

/// A data connection, or where it is waited for.
enum End {
    Connected(TcpStream),
    Listening(TcpListener),
}

impl Talk {
    /// Connects and takes the greeting.
    ///
    /// # Errors
    /// When there is none, or another one than 220.
    pub async fn open(address: &str) -> io::Result<Self> {
        let mut talk = Self::connect(address).await?;
        talk.expect(220).await?;
        Ok(talk)
    }

    /// Connects, and takes nothing yet.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn connect(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn logged_in(address: &str) -> io::Result<Self> {
        let mut talk = Self::open(address).await?;
        talk.say(&format!("USER {USER}"), 331).await?;
        talk.say(&format!("PASS {PASSWORD}"), 230).await?;
        Ok(talk)
    }

    /// Says a line and takes its reply, which has to have this code.
    ///
    /// # Errors
    /// When it has another, or none comes.
    pub async fn say(&mut self, line: impl AsRef<[u8]>, code: u16) -> io::Result<Reply> {
        let line = line.as_ref();
        let reply = self.ask(line).await?;
        if reply.code == code {
            return Ok(reply);
        }
        Err(io::Error::other(format!(
            "`{}` is answered {:?}, not {code}",
            line.escape_ascii(),
            reply.lines
        )))
    }

    /// Says a line and takes its reply, whatever it is.
    ///
    /// # Errors
    /// When none comes.
    pub async fn ask(&mut self, line: impl AsRef<[u8]>) -> io::Result<Reply> {
        let line = line.as_ref();
        self.write(&[line, b"\r\n"].concat()).await?;
        let reply = self.reply().await;
        reply.map_err(|error| {
            let line = line.escape_ascii();
            io::Error::new(error.kind(), format!("`{line}`: {error}"))
        })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes).await
    }

    /// Sends bytes, the last of them as urgent data (RFC 854, Synch).
    ///
    /// # Errors
    /// When the connection is gone, or does not take it.
    pub async fn write_urgent(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((last, before)) = bytes.split_last() else {
            return Ok(());
        };
        self.write(before).await?;
        let sent = rustix::net::send(self.stream.get_ref(), &[*last], SendFlags::OOB)?;
        match sent {
            1 => Ok(()),
            _ => Err(io::Error::other("the urgent byte was not sent")),
        }
    }

    /// The next reply, which has to have this code.
    ///
    /// # Errors
    /// When it has another, or none comes.
    pub async fn expect(&mut self, code: u16) -> io::Result<Reply> {
        let reply = self.reply().await?;
        if reply.code == code {
            return Ok(reply);
        }
        Err(io::Error::other(format!(
            "{:?} came, not {code}",
            reply.lines
        )))
    }

    /// The next reply.
    ///
    /// # Errors
    /// When none comes in time, the connection ends, or it is not a reply (RFC 959, 4.2).
    pub async fn reply(&mut self) -> io::Result<Reply> {
        let first = self.line().await?;
        let code: u16 = first
            .get(..3)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no reply: {first:?}")))?;
        let mut lines = vec![first.clone()];
        if first.as_bytes().get(3) == Some(&b'-') {
            let last = format!("{code:03} ");
            while !lines.last().is_some_and(|line| line.starts_with(&last)) {
                lines.push(self.line().await?);
            }
        }
        Ok(Reply { code, lines })
    }

    /// Whether the connection ends without another byte.
    ///
    /// # Errors
    /// When it neither ends nor says anything in time.
    pub async fn ends(&mut self) -> io::Result<bool> {
        let mut byte = [0];
        match timeout(REPLY, self.stream.read(&mut byte)).await {
            Ok(Ok(count)) => Ok(count == 0),
            Ok(Err(_reset)) => Ok(true),
            Err(_) => Err(io::Error::other("neither an end nor a byte came")),
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        match timeout(REPLY, self.stream.read_until(b'\n', &mut line)).await {
            Ok(Ok(_)) if line.ends_with(b"\r\n") => {
                line.truncate(line.len() - 2);
                // Bytes that are no text are told as `\xff`: lines that differ in them differ.
                let text = String::from_utf8(line);
                Ok(text.unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string()))
            }
            Ok(Ok(_)) => Err(io::Error::other(format!(
                "the line ends without CRLF: {:?}",
                String::from_utf8_lossy(&line)
            ))),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other(format!("no reply within {REPLY:?}"))),
        }
    }

    /// Asks EPSV and connects to the port it names.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn passive(&mut self) -> io::Result<TcpStream> {
        let reply = self.say("EPSV", 229).await?;
        let port = reply
            .text()
            .split('|')
            .nth(3)
            .and_then(|port| port.parse().ok());
        let port: u16 = port.ok_or_else(|| io::Error::other(format!("no port: {reply:?}")))?;
        let ip = self.stream.get_ref().peer_addr()?.ip();
        TcpStream::connect((ip, port)).await
    }

    /// Asks PASV and connects to the address it names.
    ///
    /// # Errors
    /// When it is refused, or names none.
    pub async fn passive_by_address(&mut self) -> io::Result<TcpStream> {
        let reply = self.say("PASV", 227).await?;
        let text = reply.text();
        let numbers: Vec<u8> = text
            .get(4..)
            .unwrap_or("")
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|number| number.parse().ok())
            .collect();
        let [a, b, c, d, high, low] = numbers[..] else {
            return Err(io::Error::other(format!("no address: {text}")));
        };
        let port = u16::from(high) << 8 | u16::from(low);
        TcpStream::connect((Ipv4Addr::new(a, b, c, d), port)).await
    }

    /// Listens, and names the address by PORT.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn active(&mut self) -> io::Result<TcpListener> {
        let ip = self.stream.get_ref().local_addr()?.ip();
        let listener = TcpListener::bind((ip, 0)).await?;
        let line = port_line(listener.local_addr()?)?;
        self.say(&line, 200).await?;
        Ok(listener)
    }

    /// Listens, and names the address by EPRT.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn active_extended(&mut self) -> io::Result<TcpListener> {
        let ip = self.stream.get_ref().local_addr()?.ip();
        let listener = TcpListener::bind((ip, 0)).await?;
        let family = if ip.is_ipv4() { 1 } else { 2 };
        let line = format!("EPRT |{family}|{ip}|{}|", listener.local_addr()?.port());
        self.say(&line, 200).await?;
        Ok(listener)
    }

    /// One listing or download over a passive connection: its replies, and what came. The data connection of
    /// one that fails in the end may be reset.
    ///
    /// # Errors
    /// When a reply does not come, or the data connection of a good one is not closed but reset.
    pub async fn receive(&mut self, line: impl AsRef<[u8]>) -> io::Result<(Vec<Reply>, Vec<u8>)> {
        self.receive_by(Way::Epsv, line).await
    }

    /// The same, over a connection that is made in this way.
    ///
    /// # Errors
    /// As [`Talk::receive`].
    pub async fn receive_by(
        &mut self,
        way: Way,
        line: impl AsRef<[u8]>,
    ) -> io::Result<(Vec<Reply>, Vec<u8>)> {
        let end = match way {
            Way::Epsv => End::Connected(self.passive().await?),
            Way::Pasv => End::Connected(self.passive_by_address().await?),
            Way::Port => End::Listening(self.active().await?),
            Way::Eprt => End::Listening(self.active_extended().await?),
        };
        let first = self.ask(line).await?;
        if first.code >= 200 {
            return Ok((vec![first], Vec::new()));
        }
        let mut data = match end {
            End::Connected(data) => data,
            End::Listening(listener) => timeout(REPLY, listener.accept()).await??.0,
        };
        let mut bytes = Vec::new();
        let end = timeout(REPLY, data.read_to_end(&mut bytes)).await?;
        drop(data); // ProFTPD says its last word only then
        let last = self.reply().await?;
        match end {
            Err(reset) if last.code < 400 => Err(reset),
            Ok(_) | Err(_) => Ok((vec![first, last], bytes)),
        }
    }

    /// One upload over a passive connection: the replies.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&mut self, line: impl AsRef<[u8]>, bytes: &[u8]) -> io::Result<Vec<Reply>> {
        let mut data = self.passive().await?;
        let first = self.ask(line).await?;
        if first.code >= 200 {
            return Ok(vec![first]);
        }
        timeout(REPLY, data.write_all(bytes)).await??;
        data.shutdown().await?;
        drop(data);
        Ok(vec![first, self.reply().await?])
    }
}

/// `PORT h1,h2,h3,h4,p1,p2`.
///
/// # Errors
/// For an address that is not IPv4.
pub fn port_line(address: SocketAddr) -> io::Result<String> {
    let IpAddr::V4(ip) = address.ip() else {
        return Err(io::Error::other("PORT is for IPv4"));
    };
    let [a, b, c, d] = ip.octets();
    let [high, low] = address.port().to_be_bytes();
    Ok(format!("PORT {a},{b},{c},{d},{high},{low}"))
}
