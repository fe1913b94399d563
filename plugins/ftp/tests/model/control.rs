//! The server's end of a control connection: lines with Telnet taken out, replies.

use std::io;
use std::time::Duration;

use director_sdk::testing::{Wire, WireListener};

const IAC: u8 = 255;

/// The connection, and what of it was read ahead.
pub(super) struct Control {
    wire: Wire,
    line: Vec<u8>,
    telnet: Telnet,
    private: bool,
    mumbles: bool,
}

enum Telnet {
    Data,
    Iac,
    Option,
}

impl Control {
    pub(super) fn new(wire: Wire, mumbles: bool) -> Self {
        Self {
            mumbles,
            wire,
            line: Vec::new(),
            telnet: Telnet::Data,
            private: false,
        }
    }

    /// The next line without its end; `None` when there are no more. It may be dropped and called
    /// again: what was read stays.
    pub(super) async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut byte = [0];
        loop {
            if self.wire.read(&mut byte).await? == 0 {
                return Ok(None);
            }
            let [byte] = byte;
            match self.telnet {
                Telnet::Data if byte == IAC => self.telnet = Telnet::Iac,
                Telnet::Data if byte == b'\n' => {
                    let mut line = std::mem::take(&mut self.line);
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                    return Ok(Some(line));
                }
                Telnet::Data => self.line.push(byte),
                Telnet::Iac if byte == IAC => {
                    self.line.push(byte);
                    self.telnet = Telnet::Data;
                }
                Telnet::Iac if (251..=254).contains(&byte) => self.telnet = Telnet::Option,
                Telnet::Iac | Telnet::Option => self.telnet = Telnet::Data,
            }
        }
    }

    /// Says a reply, to which the end of the line is added.
    pub(super) async fn say(&mut self, reply: &[u8]) -> io::Result<()> {
        let line = [reply, b"\r\n"].concat();
        self.raw(&line).await
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.mumbles {
            return self.wire.write_all(bytes).await;
        }
        for byte in bytes {
            self.wire.write_all(&[*byte]).await?;
            self.wire.sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    pub(super) fn effect(&self, what: String) {
        self.wire.effect(what);
    }

    /// Says the end, with `close_notify` under TLS.
    pub(super) fn close(&mut self) {
        self.wire.close();
    }

    pub(super) fn is_private(&self) -> bool {
        self.private
    }

    pub(super) async fn start_tls(&mut self) -> io::Result<()> {
        self.wire.start_tls(None).await?;
        self.private = true;
        Ok(())
    }

    pub(super) fn listen(&self) -> (u16, WireListener) {
        self.wire.listen()
    }

    pub(super) fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        self.wire.sleep(time)
    }

    pub(super) async fn connect(&self, port: u16) -> io::Result<Wire> {
        self.wire.connect(port).await
    }
}
