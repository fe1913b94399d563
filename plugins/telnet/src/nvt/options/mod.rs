//! The options by name, and a file for the payload of each.

pub mod charset;
pub mod environ;
pub mod flow;
pub mod linemode;
pub mod naws;
pub mod text;
pub mod ttype;

/// Bytes as they are, RFC 856.
pub const BINARY: u8 = 0;
/// The performer shows what the other types, RFC 857.
pub const ECHO: u8 = 1;
/// No go-aheads, RFC 858.
pub const SUPPRESS_GO_AHEAD: u8 = 3;
/// What the performer thinks is in force, RFC 859.
pub const STATUS: u8 = 5;
/// A mark in the stream, RFC 860.
pub const TIMING_MARK: u8 = 6;
/// Kind of terminal, RFC 1091.
pub const TERMINAL_TYPE: u8 = 24;
/// Ends of records, RFC 885.
pub const END_OF_RECORD: u8 = 25;
/// Size of the window, RFC 1073.
pub const NAWS: u8 = 31;
/// Speed of the terminal, RFC 1079.
pub const TERMINAL_SPEED: u8 = 32;
/// Flow control from afar, RFC 1372.
pub const TOGGLE_FLOW_CONTROL: u8 = 33;
/// Lines are edited at the client, RFC 1184.
pub const LINEMODE: u8 = 34;
/// Where the X display is, RFC 1096.
pub const X_DISPLAY_LOCATION: u8 = 35;
/// Environment, RFC 1408 as RFC 1571 leaves it.
pub const OLD_ENVIRON: u8 = 36;
/// Proof of who one is, RFC 2941.
pub const AUTHENTICATION: u8 = 37;
/// Encryption, RFC 2946.
pub const ENCRYPT: u8 = 38;
/// Environment, RFC 1572.
pub const NEW_ENVIRON: u8 = 39;
/// Character sets, RFC 2066.
pub const CHARSET: u8 = 42;
/// A serial line, RFC 2217.
pub const COM_PORT: u8 = 44;
/// TLS within the connection; draft-altman-telnet-starttls.
pub const START_TLS: u8 = 46;
/// Compression, version 2; of MUDs.
pub const COMPRESS2: u8 = 86;
/// Compression, version 3; of MUDs.
pub const COMPRESS3: u8 = 87;

/// The name of `option`; `None` when it is none of those above.
#[must_use]
pub const fn name(option: u8) -> Option<&'static str> {
    Some(match option {
        BINARY => "BINARY",
        ECHO => "ECHO",
        SUPPRESS_GO_AHEAD => "SUPPRESS-GO-AHEAD",
        STATUS => "STATUS",
        TIMING_MARK => "TIMING-MARK",
        TERMINAL_TYPE => "TERMINAL-TYPE",
        END_OF_RECORD => "END-OF-RECORD",
        NAWS => "NAWS",
        TERMINAL_SPEED => "TERMINAL-SPEED",
        TOGGLE_FLOW_CONTROL => "TOGGLE-FLOW-CONTROL",
        LINEMODE => "LINEMODE",
        X_DISPLAY_LOCATION => "X-DISPLAY-LOCATION",
        OLD_ENVIRON => "ENVIRON",
        AUTHENTICATION => "AUTHENTICATION",
        ENCRYPT => "ENCRYPT",
        NEW_ENVIRON => "NEW-ENVIRON",
        CHARSET => "CHARSET",
        COM_PORT => "COM-PORT-OPTION",
        START_TLS => "START_TLS",
        COMPRESS2 => "COMPRESS2",
        COMPRESS3 => "COMPRESS3",
        _ => return None,
    })
}

/// Which options may be spoken of through the director.
///
/// In a resumable service a new host has to be told what the client said, so an option whose state
/// the director cannot make again is refused: keys (AUTHENTICATION, ENCRYPT, START_TLS), compression,
/// a serial line's settings, and whatever it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    refused: [u64; 4],
}

impl Policy {
    /// The policy of a service that is `resumable` or not, and lets `pass` through in either case.
    #[must_use]
    pub fn new(resumable: bool, pass: &[u8]) -> Self {
        let mut policy = Self { refused: [0; 4] };
        for option in (0..=u8::MAX).filter(|option| !pass.contains(option)) {
            if resumable && !can_be_restored(option) {
                policy.refused[usize::from(option / 64)] |= 1 << (option % 64);
            }
        }
        policy
    }

    /// Whether `option` may pass.
    #[must_use]
    pub const fn allows(&self, option: u8) -> bool {
        self.refused[(option / 64) as usize] & (1 << (option % 64)) == 0
    }
}

const fn can_be_restored(option: u8) -> bool {
    matches!(
        option,
        BINARY
            | ECHO
            | SUPPRESS_GO_AHEAD
            | STATUS
            | TIMING_MARK
            | TERMINAL_TYPE
            | END_OF_RECORD
            | NAWS
            | TERMINAL_SPEED
            | TOGGLE_FLOW_CONTROL
            | LINEMODE
            | X_DISPLAY_LOCATION
            | OLD_ENVIRON
            | NEW_ENVIRON
            | CHARSET
    )
}
