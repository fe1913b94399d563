//! One control connection of the model server: the state of a user, and every command.

use std::io;
use std::rc::Rc;

use director_sdk::testing::{Wire, WireListener};

use super::control::Control;
use super::server::{Quirk, Server, USER};
use super::style::Style;
use super::transfer::{Job, Outcome};
use super::tree::{self, Entry, No, absolute, crc32};

/// Where the next transfer's data connection comes from.
pub(super) enum DataEnd {
    None,
    Passive(WireListener),
    Active(u16),
}

pub(super) struct Session {
    pub(super) server: Rc<Server>,
    pub(super) control: Control,
    named: Option<String>,
    logged_in: bool,
    cwd: Vec<u8>,
    pub(super) ascii: bool,
    rest: usize,
    from: Option<Vec<u8>>,
    pub(super) data: DataEnd,
    epsv_all: bool,
    pub(super) private: bool,
    /// The present transfer's.
    pub(super) quirk: Option<Quirk>,
}

/// Commands that move data.
const MOVE_DATA: [&str; 7] = ["APPE", "LIST", "MLSD", "NLST", "RETR", "STOR", "STOU"];

/// A command that is one of these may come before the login.
const BEFORE_LOGIN: [&str; 14] = [
    "USER", "PASS", "ACCT", "QUIT", "FEAT", "AUTH", "PBSZ", "PROT", "HOST", "SYST", "NOOP", "REIN",
    "CLNT", "LANG",
];

impl Session {
    pub(super) fn new(server: Rc<Server>, wire: Wire) -> Self {
        let control = Control::new(wire, server.settings.mumbles);
        Self {
            server,
            control,
            quirk: None,
            named: None,
            logged_in: false,
            cwd: b"/".to_vec(),
            ascii: true,
            rest: 0,
            from: None,
            data: DataEnd::None,
            epsv_all: false,
            private: false,
        }
    }

    pub(super) async fn say(&mut self, reply: impl AsRef<[u8]>) -> io::Result<()> {
        self.control.say(reply.as_ref()).await
    }

    pub(super) async fn run(mut self) -> io::Result<()> {
        let ended = self.talk().await;
        self.control.close();
        ended
    }

    async fn talk(&mut self) -> io::Result<()> {
        let style = self.server.settings.style;
        if self.server.busy.get() {
            return self.say(style.busy()).await;
        }
        self.control.raw(&style.greeting()).await?;
        while let Some(line) = self.control.line().await? {
            let shown = String::from_utf8_lossy(&line).into_owned();
            if self.server.hears(shown) {
                return self.say(style.asleep()).await;
            }
            let (verb, argument) = split(&line);
            if let Some(instead) = self.server.take_instead(&verb) {
                self.say(instead).await?;
            } else if !self.logged_in && !BEFORE_LOGIN.contains(&verb.as_str()) {
                self.say(style.log_in_first()).await?;
            } else if verb == "QUIT" {
                return self.say(style.bye()).await;
            } else {
                self.perform(&verb, argument).await?;
            }
            let keeps_rest = match style {
                // vsftpd forgets it at a transfer, and at nothing else.
                Style::Vsftpd => !MOVE_DATA.contains(&verb.as_str()),
                Style::Proftpd | Style::PureFtpd => matches!(
                    verb.as_str(),
                    "REST" | "ALLO" | "NOOP" | "PASV" | "EPSV" | "PORT" | "EPRT"
                ),
            };
            if !keeps_rest {
                self.rest = 0;
            }
        }
        Ok(())
    }

    async fn perform(&mut self, verb: &str, argument: &[u8]) -> io::Result<()> {
        match verb {
            "USER" | "PASS" | "ACCT" | "REIN" | "HOST" | "LANG" | "CLNT" | "OPTS" | "NOOP"
            | "SYST" | "FEAT" | "HELP" | "ALLO" | "STRU" | "MODE" | "TYPE" | "REST" | "STAT"
            | "ABOR" => self.set(verb, argument).await,
            "AUTH" | "PBSZ" | "PROT" | "CCC" => self.protect(verb, argument).await,
            "PASV" | "EPSV" | "PORT" | "EPRT" => self.open_data(verb, argument).await,
            "CWD" | "XCWD" | "CDUP" | "XCUP" | "PWD" | "XPWD" => self.walk(verb, argument).await,
            "SIZE" | "MDTM" | "MLST" | "HASH" | "XCRC" | "XSHA256" => {
                self.tell(verb, argument).await
            }
            "DELE" | "MKD" | "XMKD" | "RMD" | "XRMD" | "RNFR" | "RNTO" | "MFMT" | "SITE" => {
                self.change(verb, argument).await
            }
            "RETR" | "LIST" | "NLST" | "MLSD" => self.send(verb, argument).await,
            "STOR" | "APPE" | "STOU" => self.receive(verb, argument).await,
            verb => {
                let unknown = self.server.settings.style.unknown(verb);
                self.say(unknown).await
            }
        }
    }

    // --- login and settings ---

    async fn set(&mut self, verb: &str, argument: &[u8]) -> io::Result<()> {
        let (server, style) = (Rc::clone(&self.server), self.server.settings.style);
        let text = String::from_utf8_lossy(argument).into_owned();
        let reply = match verb {
            "USER" => {
                (self.named, self.logged_in) = (Some(text.clone()), false);
                style.user(&text)
            }
            "PASS" => match self.named.clone() {
                None => "503 Login with USER first.".into(),
                Some(name) if (name.as_str(), text.as_str()) != USER => style.denied().into(),
                Some(name) => {
                    self.logged_in = server.settings.account.is_none();
                    match server.settings.account {
                        Some(_) => "332 Account required.".into(),
                        None => style.logged_in(&name),
                    }
                }
            },
            "ACCT" => match &self.named {
                Some(name) if server.settings.account == Some(text.as_str()) => {
                    self.logged_in = true;
                    style.logged_in(name)
                }
                _ => style.denied().into(),
            },
            "REIN" => {
                (self.named, self.logged_in) = (None, false);
                (self.cwd, self.ascii, self.from) = (b"/".to_vec(), true, None);
                "220 Service ready for new user.".into()
            }
            "HOST" => "220 Host accepted.".into(),
            "LANG" | "CLNT" | "OPTS" => "200 OK.".into(),
            "NOOP" => "200 NOOP ok.".into(),
            "SYST" => style.system().into(),
            "HELP" => "214 Help OK.".into(),
            "ALLO" => "202 ALLO command ignored.".into(),
            "STAT" => "211 End of status.".into(),
            "ABOR" => "225 No transfer to ABOR.".into(),
            "FEAT" => self.features(),
            "STRU" if text.eq_ignore_ascii_case("F") => "200 Structure set to F.".into(),
            "MODE" if text.eq_ignore_ascii_case("S") => "200 Mode set to S.".into(),
            "STRU" | "MODE" => "504 Not implemented for that parameter.".into(),
            "TYPE" => match text.to_ascii_uppercase().as_str() {
                "A" | "A N" => {
                    self.ascii = true;
                    style.type_set(true)
                }
                "I" | "L8" | "L 8" => {
                    self.ascii = false;
                    style.type_set(false)
                }
                _ => "504 Not implemented for that parameter.".into(),
            },
            // REST
            _ if !server.settings.restart => "502 REST not implemented.".into(),
            _ => match text.parse() {
                Ok(at) => {
                    self.rest = at;
                    style.restart(at)
                }
                Err(_) => "501 REST requires a value greater than or equal to 0".into(),
            },
        };
        self.say(reply).await
    }

    fn features(&self) -> String {
        let settings = &self.server.settings;
        let all = [
            (settings.tls, "AUTH TLS"),
            (settings.tls, "PBSZ"),
            (settings.tls, "PROT"),
            (settings.epsv, "EPRT"),
            (settings.epsv, "EPSV"),
            (settings.hides, "ESTA"),
            (settings.hides, "ESTP"),
            (settings.hash, "HASH CRC32*"),
            (settings.mdtm, "MDTM"),
            (settings.mfmt, "MFMT"),
            (settings.facts, "MLST type*;size*;modify*;"),
            (settings.pasv, "PASV"),
            (settings.restart, "REST STREAM"),
            (settings.size, "SIZE"),
            (true, "UTF8"),
            (settings.xcrc, "XCRC"),
            (settings.xsha256, "XSHA256"),
        ];
        let mut text = "211-Features:\r\n".to_owned();
        for (_, feature) in all.into_iter().filter(|(has, _)| *has) {
            text.push_str(&format!(" {feature}\r\n"));
        }
        text + "211 End"
    }

    async fn protect(&mut self, verb: &str, argument: &[u8]) -> io::Result<()> {
        if !self.server.settings.tls {
            let unknown = self.server.settings.style.unknown(verb);
            return self.say(unknown).await;
        }
        match (verb, argument.to_ascii_uppercase().as_slice()) {
            ("AUTH", b"TLS" | b"TLS-C") => {
                self.say("234 Proceed with negotiation.").await?;
                self.control.start_tls().await?;
                (self.named, self.logged_in) = (None, false);
                Ok(())
            }
            ("AUTH", _) => self.say("504 Unknown AUTH type.").await,
            (_, _) if !self.control.is_private() => {
                self.say("503 PBSZ and PROT need a secure connection.")
                    .await
            }
            ("PBSZ", _) => self.say("200 PBSZ set to 0.").await,
            ("PROT", level @ (b"P" | b"C")) => {
                self.private = level == b"P";
                self.say("200 PROT OK.").await
            }
            ("PROT", _) => self.say("536 PROT not supported.").await,
            (_, _) => self.say("533 CCC is not allowed.").await,
        }
    }

    // --- data connections ---

    async fn open_data(&mut self, verb: &str, argument: &[u8]) -> io::Result<()> {
        let settings = &self.server.settings;
        let (epsv, pasv, foreign) = (settings.epsv, settings.pasv, settings.foreign_pasv);
        if self.epsv_all && verb != "EPSV" {
            return self.say("500 Only EPSV after EPSV ALL.").await;
        }
        let known = match verb {
            "EPSV" | "EPRT" => epsv,
            _ => pasv,
        };
        let port = match verb {
            _ if !known => {
                let unknown = self.server.settings.style.unknown(verb);
                return self.say(unknown).await;
            }
            "EPSV" if argument.eq_ignore_ascii_case(b"ALL") => {
                self.epsv_all = true;
                return self.say("200 EPSV ALL ok.").await;
            }
            "PORT" => {
                let numbers: Option<Vec<u16>> = text(argument)
                    .split(',')
                    .map(|number| number.parse().ok())
                    .collect();
                numbers
                    .filter(|numbers| numbers.len() == 6)
                    .map(|numbers| numbers[4] * 256 + numbers[5])
            }
            "EPRT" => text(argument)
                .split('|')
                .nth(3)
                .and_then(|port| port.parse().ok()),
            passive => {
                let (port, listener) = self.control.listen();
                self.data = DataEnd::Passive(listener);
                let host = if foreign { "203,0,113,9" } else { "127,0,0,1" };
                return if passive == "EPSV" {
                    self.say(format!("229 Entering Extended Passive Mode (|||{port}|)"))
                        .await
                } else {
                    let (high, low) = (port >> 8, port & 255);
                    self.say(format!("227 Entering Passive Mode ({host},{high},{low})."))
                        .await
                };
            }
        };
        match port {
            Some(port) => {
                self.data = DataEnd::Active(port);
                self.say(format!("200 {verb} command successful.")).await
            }
            None => self.say(format!("501 Illegal {verb} command.")).await,
        }
    }

    // --- directories and facts ---

    async fn walk(&mut self, verb: &str, argument: &[u8]) -> io::Result<()> {
        let style = self.server.settings.style;
        if let "PWD" | "XPWD" = verb {
            let here = quoted(&self.cwd);
            return self.say(style.working_directory(&here)).await;
        }
        let to = match verb {
            "CDUP" | "XCUP" => tree::parent(&self.cwd),
            _ => absolute(&self.cwd, argument),
        };
        let found = self.server.tree.borrow().directory(&to);
        match found {
            Ok(()) => {
                self.cwd = to;
                let reply = style.directory_changed(&text(&self.cwd));
                self.say(reply).await
            }
            Err(no) => {
                self.say(style.refused("CWD", &text(argument), no.text()))
                    .await
            }
        }
    }

    async fn tell(&mut self, verb: &str, argument: &[u8]) -> io::Result<()> {
        let settings = &self.server.settings;
        let (style, offered) = (
            settings.style,
            match verb {
                "SIZE" => settings.size,
                "MDTM" => settings.mdtm,
                "MLST" => settings.facts,
                "XCRC" => settings.xcrc,
                "XSHA256" => settings.xsha256,
                _ => settings.hash,
            },
        );
        if !offered {
            return self.say(style.unknown(verb)).await;
        }
        let ponders = self.server.ponders.get();
        if matches!(verb, "HASH" | "XCRC") && !ponders.is_zero() {
            self.control.sleep(ponders).await;
        }
        let path = absolute(&self.cwd, argument);
        let name = text(argument);
        let reply = {
            let tree = self.server.tree.borrow();
            match (verb, tree.get(&path)) {
                (_, None) => style.refused(verb, &name, No::Missing.text()),
                ("MLST", Some(entry)) => {
                    format!(
                        "250-Listing {name}\r\n {} {}\r\n250 End",
                        facts(entry),
                        text(&path)
                    )
                }
                (_, Some(Entry::Directory)) => style.refused(verb, &name, "Is not a regular file"),
                ("SIZE", Some(Entry::File { .. })) if self.ascii => {
                    "550 SIZE not allowed in ASCII mode".into()
                }
                ("SIZE", Some(Entry::File { bytes, .. })) => format!("213 {}", bytes.len()),
                ("MDTM", Some(Entry::File { modified, .. })) => format!("213 {}", text(modified)),
                ("XCRC", Some(Entry::File { bytes, .. })) => format!("250 {:08X}", crc32(bytes)),
                ("XSHA256", Some(Entry::File { bytes, .. })) => {
                    format!("250 {}", tree::sha256(bytes))
                }
                (_, Some(Entry::File { bytes, .. })) => {
                    format!("213 CRC32 0-{} {:08x} {name}", bytes.len(), crc32(bytes))
                }
            }
        };
        self.say(reply).await
    }

    // --- effects ---

    async fn change(&mut self, verb: &str, argument: &[u8]) -> io::Result<()> {
        let style = self.server.settings.style;
        let name = text(argument);
        let verb = verb.strip_prefix('X').unwrap_or(verb);
        if verb == "MFMT" && !self.server.settings.mfmt {
            return self.say(style.unknown(verb)).await;
        }
        let path = absolute(&self.cwd, argument);
        let server = Rc::clone(&self.server);
        let done = match verb {
            "DELE" => server.tree.borrow_mut().delete(&path),
            "MKD" => server.tree.borrow_mut().make_directory(&path),
            "RMD" => server.tree.borrow_mut().remove_directory(&path),
            "RNFR" if self.from.is_some() && style == Style::Proftpd => {
                return self.say("501 Previous RNFR is still pending.").await;
            }
            "RNFR" => {
                let found = server
                    .tree
                    .borrow()
                    .get(&path)
                    .map(|_| ())
                    .ok_or(No::Missing);
                self.from = found.is_ok().then(|| path.clone());
                found
            }
            "RNTO" => {
                let Some(from) = self.from.take() else {
                    return self.say("503 RNFR required first.").await;
                };
                let done = server.tree.borrow_mut().rename(&from, &path);
                if done.is_ok() {
                    self.renamed(&from, &path);
                }
                done
            }
            "MFMT" => return self.touch(argument).await,
            // As often as one likes.
            _ if name.to_ascii_uppercase().starts_with("UMASK") => {
                return self.say("200 UMASK set.").await;
            }
            _ => {
                server.did(format!("SITE {name}"));
                return self.say("200 SITE command ok.").await;
            }
        };
        let reply = match done {
            Ok(()) if verb == "MKD" => style.made(&quoted(&path)),
            Ok(()) => style.done(verb, &name),
            Err(no) => style.refused(verb, &name, no.text()),
        };
        if done.is_ok() && matches!(verb, "DELE" | "MKD" | "RMD") && !is_temporary(&path) {
            self.control.effect(format!("{verb} {}", text(&path)));
            server.did(format!("{verb} {}", text(&path)));
        }
        self.say(reply).await
    }

    fn renamed(&self, from: &[u8], to: &[u8]) {
        if is_temporary(from) {
            self.stored(to);
            self.server.did(format!("STOR {}", text(to)));
        } else {
            let did = format!("RNTO {} {}", text(from), text(to));
            self.control.effect(did.clone());
            self.server.did(did);
        }
    }

    async fn touch(&mut self, argument: &[u8]) -> io::Result<()> {
        let style = self.server.settings.style;
        let (time, name) = split_once(argument);
        let path = absolute(&self.cwd, name);
        let done = self.server.tree.borrow_mut().set_modified(&path, time);
        match done {
            Ok(()) => {
                let did = format!("MFMT {} {}", text(time), text(&path));
                self.control.effect(did.clone());
                self.server.did(did);
                self.say(format!("213 Modify={}; {}", text(time), text(name)))
                    .await
            }
            Err(no) => {
                self.say(style.refused("MFMT", &text(name), no.text()))
                    .await
            }
        }
    }

    /// A file has come to its end at `path`.
    fn stored(&self, path: &[u8]) {
        if is_temporary(path) {
            return;
        }
        let (tree, name) = (self.server.tree.borrow(), text(path));
        let bytes = tree.file(path).map(|(bytes, _)| bytes).unwrap_or_default();
        let expected = self.server.expected.borrow();
        if expected
            .get(&name)
            .is_some_and(|expected| expected == bytes)
        {
            self.server.stored.borrow_mut().push(name);
        }
    }

    // --- transfers ---

    async fn send(&mut self, verb: &str, argument: &[u8]) -> io::Result<()> {
        let settings = &self.server.settings;
        let style = settings.style;
        if verb == "MLSD" && !settings.facts {
            return self.say(style.unknown(verb)).await;
        }
        let name = text(argument);
        // What `ls` options ask for is nothing to us.
        let path = if argument.starts_with(b"-") {
            self.cwd.clone()
        } else {
            absolute(&self.cwd, argument)
        };
        let found = if verb == "RETR" {
            self.download(&path, &name)
        } else {
            self.listing(verb, &path, &name)
        };
        let (bytes, opening) = match found {
            Ok(found) => found,
            Err(refusal) => {
                self.data = DataEnd::None;
                return self.say(refusal).await;
            }
        };
        let end = if verb == "RETR" {
            style.transferred()
        } else {
            style.listed()
        };
        let job = Job::Send(bytes);
        let outcome = self.transfer(job, &opening).await?;
        self.conclude(outcome, end).await
    }

    fn download(&self, path: &[u8], name: &str) -> Result<(Vec<u8>, String), String> {
        let style = self.server.settings.style;
        let tree = self.server.tree.borrow();
        let (bytes, _) = tree
            .file(path)
            .map_err(|no| style.refused("RETR", name, no.text()))?;
        let whole = if self.ascii {
            to_network(bytes)
        } else {
            bytes.to_vec()
        };
        let Some(rest) = whole.get(self.rest..) else {
            return Err("554 Restart offset is beyond the end of the file.".into());
        };
        Ok((rest.to_vec(), style.sending(name, bytes.len(), self.ascii)))
    }

    fn listing(&self, verb: &str, path: &[u8], name: &str) -> Result<(Vec<u8>, String), String> {
        let style = self.server.settings.style;
        let tree = self.server.tree.borrow();
        if let Err(no) = tree.directory(path) {
            return Err(style.refused(verb, name, no.text()));
        }
        let mut bytes = Vec::new();
        for (child, entry) in tree.children(path) {
            let line = match (verb, entry) {
                ("MLSD", entry) => format!("{} ", facts(entry)),
                ("NLST", _) => String::new(),
                (_, Entry::Directory) => {
                    "drwxr-xr-x    2 ftp      ftp          4096 Jan 05 12:00 ".into()
                }
                (_, Entry::File { bytes, .. }) => {
                    format!(
                        "-rw-r--r--    1 ftp      ftp      {:>8} Jan 05 12:00 ",
                        bytes.len()
                    )
                }
            };
            bytes.extend(line.into_bytes());
            bytes.extend(tree::name(child));
            bytes.extend(b"\r\n");
        }
        Ok((bytes, style.listing().to_owned()))
    }

    async fn receive(&mut self, verb: &str, argument: &[u8]) -> io::Result<()> {
        let style = self.server.settings.style;
        let path = match verb {
            "STOU" => self.unused_name(),
            _ => absolute(&self.cwd, argument),
        };
        let name = text(tree::name(&path));
        let at = match self.server.tree.borrow().file(&path) {
            Ok((bytes, _)) if verb == "APPE" && self.rest == 0 => bytes.len(),
            Ok(_) | Err(_) => self.rest,
        };
        if let Some(start) = self.server.settings.denies
            && tree::name(&path).starts_with(start.as_bytes())
        {
            self.data = DataEnd::None;
            return self.say("553 Prohibited file name.").await;
        }
        if self.rest > 0 && !self.server.settings.restart_stores {
            self.data = DataEnd::None;
            return self
                .say("501 Restart of uploads is not allowed here.")
                .await;
        }
        if self.rest > 0 && self.ascii && style == Style::PureFtpd {
            self.data = DataEnd::None;
            return self.say("503 No resume in ASCII mode.").await;
        }
        let hidden = (self.rest > 0 && self.server.settings.hides).then(|| hidden(&path));
        let writes = hidden.clone().unwrap_or_else(|| path.clone());
        let opened = {
            let mut tree = self.server.tree.borrow_mut();
            if hidden.is_some() {
                let _it_may_be_new = tree.rename(&path, &writes);
            }
            tree.open(&writes, at)
        };
        if let Err(no) = opened {
            self.data = DataEnd::None;
            return self.say(style.refused("STOR", &name, no.text())).await;
        }
        let opening = match verb {
            "STOU" => format!("150 FILE: {name}"),
            _ => style.receiving(&name, self.ascii),
        };
        let job = Job::Receive {
            path: writes.clone(),
            at,
            ascii: self.ascii,
        };
        let outcome = self.transfer(job, &opening).await?;
        if hidden.is_some() {
            let renamed = self.server.tree.borrow_mut().rename(&writes, &path);
            if let Err(no) = renamed {
                return self.say(style.refused("STOR", &name, no.text())).await;
            }
        }
        match outcome {
            Outcome::Done => self.completed(verb, &path, at),
            Outcome::Said => {}
            Outcome::Broken
            | Outcome::NoConnection
            | Outcome::Unprotected
            | Outcome::Aborted
            | Outcome::Leaving => {
                if self.server.settings.discards {
                    let _it_may_be_gone = self.server.tree.borrow_mut().delete(&path);
                }
            }
        }
        if outcome == Outcome::Broken && style == Style::PureFtpd {
            // `dostor` in its ftpd.c: the code is that of a success.
            return self
                .say("226-Error during read from data connection\r\n226-Transfer aborted\r\n226 0.001 seconds (measured here)")
                .await;
        }
        self.conclude(outcome, style.transferred()).await
    }

    /// An upload that began at `at` has come to its end.
    fn completed(&self, verb: &str, path: &[u8], at: usize) {
        self.stored(path);
        let name = text(path);
        let (moved, right) = {
            let tree = self.server.tree.borrow();
            let bytes = tree.file(path).map(|(bytes, _)| bytes).unwrap_or_default();
            let expected = self.server.expected.borrow();
            let right = expected.get(&name).is_none_or(|right| right == bytes);
            (bytes.len() > at || bytes.is_empty(), right)
        };
        // A restart at the end moves nothing, and does nothing twice.
        if !is_temporary(path) && moved && right {
            self.server.did(match verb {
                "STOU" => "STOU".to_owned(),
                _ => format!("STOR {name}"),
            });
        }
    }

    fn unused_name(&self) -> Vec<u8> {
        let tree = self.server.tree.borrow();
        let mut names = (1..).map(|n| absolute(&self.cwd, format!("unique.{n}").as_bytes()));
        names
            .find(|name| tree.get(name).is_none())
            .unwrap_or_default()
    }

    async fn conclude(&mut self, outcome: Outcome, end: &str) -> io::Result<()> {
        let style = self.server.settings.style;
        let outcome = match self.quirk {
            Some(Quirk::LeavesAtEnd) => Outcome::Leaving,
            _ => outcome,
        };
        match outcome {
            Outcome::Said => Ok(()),
            Outcome::Leaving => {
                self.say(style.asleep()).await?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            _ if self.quirk == Some(Quirk::NoWord) => std::future::pending().await,
            Outcome::Done if self.quirk == Some(Quirk::TwoWords) => {
                self.say(format!("{end}\r\n226 Again.")).await
            }
            Outcome::Done if self.quirk == Some(Quirk::LateWord) => {
                self.say(end).await?;
                self.control.sleep(std::time::Duration::from_secs(1)).await;
                self.say("226 Again.").await
            }
            Outcome::Broken if self.quirk == Some(Quirk::TwoWords) => {
                self.say(format!("{}\r\n{end}", style.broken())).await
            }
            Outcome::Done => {
                let instead = self.server.last_words.borrow_mut().pop_front();
                self.say(instead.as_deref().unwrap_or(end)).await
            }
            Outcome::Broken => {
                let instead = self.server.last_words.borrow_mut().pop_front();
                let broken = instead.as_deref().unwrap_or(style.broken());
                self.say(broken).await
            }
            Outcome::NoConnection => self.say(style.no_data_connection()).await,
            Outcome::Unprotected => {
                self.say("522 SSL connection failed: session reuse required")
                    .await
            }
            Outcome::Aborted => {
                self.say("426 Transfer aborted.").await?;
                self.say("226 ABOR command successful.").await
            }
        }
    }
}

/// The names that an upload has until it is complete.
pub(super) fn is_temporary(path: &[u8]) -> bool {
    let name = tree::name(path);
    name.starts_with(b".") || name.starts_with(b"upload-")
}

/// The name that a file has while Pure-FTPd restarts it.
fn hidden(path: &[u8]) -> Vec<u8> {
    let name = [b".pureftpd-upload.", tree::name(path)].concat();
    absolute(&tree::parent(path), &name)
}

/// Bytes for the eye.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// RFC 959 appendix II: a quote in a path is doubled.
fn quoted(path: &[u8]) -> String {
    text(path).replace('"', "\"\"")
}

/// LF to CRLF.
fn to_network(bytes: &[u8]) -> Vec<u8> {
    let mut sent = Vec::new();
    for byte in bytes {
        if *byte == b'\n' {
            sent.push(b'\r');
        }
        sent.push(*byte);
    }
    sent
}

fn facts(entry: &Entry) -> String {
    match entry {
        Entry::Directory => format!("type=dir;modify={};", text(tree::BEGUN)),
        Entry::File { bytes, modified } => {
            format!("type=file;size={};modify={};", bytes.len(), text(modified))
        }
    }
}

fn split(line: &[u8]) -> (String, &[u8]) {
    let (verb, argument) = split_once(line);
    (text(verb).to_ascii_uppercase(), argument)
}

fn split_once(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b' ') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, b""),
    }
}
