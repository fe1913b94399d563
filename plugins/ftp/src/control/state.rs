//! What of a session must be found again at whichever node it is moved to.

use zeroize::Zeroizing;

/// The state of a session, in the client's words: arguments as the client gave them and a node
/// accepted them.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// HOST, RFC 7151.
    pub(crate) host: Option<Vec<u8>>,
    /// Who the client is, and how far its login has come.
    pub(crate) login: Login,
    /// CLNT.
    pub(crate) clnt: Option<Vec<u8>>,
    /// OPTS, RFC 2389: the last argument for each command, in the order in which they were given.
    pub(crate) opts: Vec<(String, Vec<u8>)>,
    /// LANG, RFC 2640.
    pub(crate) lang: Option<Vec<u8>>,
    /// The protection of the client's data connections.
    pub(crate) prot: Prot,
    /// What protects the client's control connection, by RFC 4217.
    pub(crate) pbsz: bool,
    /// TYPE. STRU and MODE are not here: nothing but files and streams can be gone on with elsewhere, and
    /// what is not the default is refused.
    pub(crate) kind: Type,
    /// The working directory, absolute; `None`: where the login left it.
    pub(crate) cwd: Option<Vec<u8>>,
    /// SITE UMASK, in octal as it was given.
    pub(crate) umask: Option<Vec<u8>>,
    /// ALLO, its whole argument.
    pub(crate) allo: Option<Vec<u8>>,
    /// REST, for the next transfer.
    pub(crate) rest: Option<u64>,
    /// RNFR, for the next RNTO.
    pub(crate) rnfr: Option<Vec<u8>>,
    /// EPSV ALL, RFC 2428 section 4: PASV, PORT and EPRT are refused from then on.
    pub(crate) epsv_all: bool,
}

/// Who the client is. Secrets are zeroed when they are dropped.
#[derive(Default)]
pub(crate) enum Login {
    /// Nobody yet.
    #[default]
    None,
    /// A node took USER and asks for more.
    Begun(Credentials),
    /// A node let it in.
    In(Credentials),
}

/// What a node is told at a login. Secrets are zeroed when they are dropped.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// USER. A secret too: a password is typed there by mistake.
    pub(crate) user: Zeroizing<Vec<u8>>,
    /// PASS; `None` when none was asked for.
    pub(crate) pass: Option<Zeroizing<Vec<u8>>>,
    /// ACCT; `None` when none was asked for.
    pub(crate) acct: Option<Zeroizing<Vec<u8>>>,
}

impl Credentials {
    /// Of a USER, without secrets.
    pub(crate) fn of(user: &[u8]) -> Self {
        Self {
            user: Zeroizing::new(user.to_vec()),
            pass: None,
            acct: None,
        }
    }

    /// Whether this is a USER of anonymous FTP, RFC 1635.
    pub(crate) fn is_anonymous(&self) -> bool {
        [&b"anonymous"[..], b"ftp"]
            .iter()
            .any(|name| self.user.eq_ignore_ascii_case(name))
    }

    /// What a node that asks for a password is told. Some servers let an anonymous client in by USER alone; its
    /// next node may ask it for the password that it was never asked for. Any will do, RFC 1635 has this one.
    pub(crate) fn pass_or_guest(&self) -> Option<&[u8]> {
        let guest = self.is_anonymous().then_some(&b"guest"[..]);
        self.pass.as_ref().map(|pass| pass.as_slice()).or(guest)
    }
}

/// Options that are kept; what a client sets beyond is not restored.
const MOST_OPTIONS: usize = 16;

impl State {
    /// As it is after the greeting. Where TLS came first, so did what PBSZ and PROT would say.
    pub(crate) fn greeted(tls_first: bool) -> Self {
        let prot = match tls_first {
            true => Prot::Private,
            false => Prot::Clear,
        };
        Self {
            pbsz: tls_first,
            prot,
            ..Self::default()
        }
    }

    /// What stays when another user logs in, or the same one again: what the client is, and what it has
    /// said of its transfers (RFC 959 section 4.1.1, USER).
    pub(crate) fn without_login(&mut self) -> Self {
        Self {
            host: self.host.take(),
            clnt: self.clnt.take(),
            opts: std::mem::take(&mut self.opts),
            lang: self.lang.take(),
            prot: self.prot,
            pbsz: self.pbsz,
            kind: self.kind,
            epsv_all: self.epsv_all,
            ..Self::default()
        }
    }

    /// Keeps an OPTS that a node accepted, in place of the one that it had for the same command.
    pub(crate) fn set_option(&mut self, argument: &[u8]) {
        if argument.eq_ignore_ascii_case(b"HASH") {
            // The HASH draft, section 4: it asks which algorithm is set, and sets none.
            return;
        }
        let name = argument.split(|byte| *byte == b' ').next();
        let name = String::from_utf8_lossy(name.unwrap_or_default()).to_ascii_uppercase();
        self.opts.retain(|(known, _)| *known != name);
        if self.opts.len() < MOST_OPTIONS {
            self.opts.push((name, argument.to_vec()));
        }
    }
}

impl Login {
    /// Whether a node let the client in.
    pub(crate) fn is_in(&self) -> bool {
        match self {
            Self::In(_) => true,
            Self::None | Self::Begun(_) => false,
        }
    }

    /// What a node is to be told, if anything.
    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        match self {
            Self::None => None,
            Self::Begun(credentials) | Self::In(credentials) => Some(credentials),
        }
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Begun(credentials) => write!(f, "Begun({credentials:?})"),
            Self::In(credentials) => write!(f, "In({credentials:?})"),
        }
    }
}

impl std::fmt::Debug for Credentials {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.user))
    }
}

/// The protection of data connections, RFC 2228 section 3, as far as TLS has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Prot {
    /// PROT C.
    #[default]
    Clear,
    /// PROT P.
    Private,
}

/// TYPE, RFC 959 section 3.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Type {
    /// `A`, `A N`.
    #[default]
    Ascii,
    /// `I`.
    Image,
    /// `L 8`, which is `I` by another name on every server that is met today.
    Local8,
}

impl Type {
    /// Whether bytes are transferred as they are, so that an offset means the same everywhere.
    pub(crate) fn is_binary(self) -> bool {
        match self {
            Self::Ascii => false,
            Self::Image | Self::Local8 => true,
        }
    }

    /// As it is said to a node.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Ascii => "A",
            Self::Image => "I",
            Self::Local8 => "L 8",
        }
    }
}
