//! The records of the kit's mock of TLS, and what one end keeps.
//!
//! It hides nothing, and has what a plugin can see of the real one: it takes several exchanges, fails
//! by alert, can be garbled (which the checksum tells) and truncated (an end without `close_notify`),
//! resumes sessions by ticket, and its bytes are not the plugin's. The record types are those of RFC
//! 8446, section 5.1.

use std::collections::VecDeque;
use std::task::Waker;

use director_abi as abi;
use director_abi::StreamInfo;

use crate::tls::Tls;

pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const DATA: u8 = 23;
/// Alerts (RFC 8446, section 6).
pub(super) const CLOSE_NOTIFY: u8 = 0;
pub(super) const HANDSHAKE_FAILURE: u8 = 40;
pub(super) const BAD_CERTIFICATE: u8 = 42;
/// Bytes of the plugin's in one record.
pub(super) const RECORD: usize = 4096;
/// Type, length, checksum.
const HEAD: usize = 3;
const SUM: usize = 4;
/// The version that it says.
const VERSION: u16 = 0x0304;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A server waits for the client's first word.
    Hello,
    /// A client waits for the server's.
    Answer,
    On,
}

/// One end's TLS.
pub(super) struct Secured {
    pub(super) phase: Phase,
    /// The ticket of the session that is to be resumed, then that of this one.
    pub(super) ticket: u64,
    pub(super) resumed: bool,
    /// Read, and not yet a whole record.
    pub(super) raw: Vec<u8>,
    /// Read, and not yet taken.
    pub(super) plain: VecDeque<u8>,
    /// Written, and not yet in the connection.
    pub(super) out: VecDeque<u8>,
    /// Waits until that is empty.
    pub(super) waiter: Option<Waker>,
    pub(super) ending: bool,
    pub(super) peer_closed: bool,
    pub(super) trouble: Option<String>,
    pub(super) truncated: bool,
}

pub(super) enum Record {
    Handshake(Vec<u8>),
    Data(Vec<u8>),
    Alert(u8),
}

fn sum(bytes: &[u8]) -> [u8; SUM] {
    let fold = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    bytes.iter().fold(0x811c_9dc5, fold).to_be_bytes()
}

pub(super) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    // No body is longer than RECORD.
    let [high, low] = (body.len() as u16).to_be_bytes();
    let mut bytes = vec![kind, high, low];
    bytes.extend_from_slice(body);
    bytes.extend(sum(&bytes));
    bytes
}

/// Takes a record off the start; `None` when there is no whole one yet.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn take(raw: &mut Vec<u8>) -> Result<Option<Record>, &'static str> {
    let [kind, high, low, ..] = *raw.as_slice() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !matches!(kind, ALERT | HANDSHAKE | DATA) || length > RECORD {
        return Err("what came is no record of TLS");
    }
    let whole = HEAD + length;
    if raw.len() < whole + SUM {
        return Ok(None);
    }
    let rest = raw.split_off(whole + SUM);
    let bytes = std::mem::replace(raw, rest);
    if bytes[whole..] != sum(&bytes[..whole]) {
        return Err("a record was changed on its way");
    }
    let body = bytes[HEAD..whole].to_vec();
    match (kind, body.as_slice()) {
        (ALERT, [alert]) => Ok(Some(Record::Alert(*alert))),
        (ALERT, _) => Err("an alert of the wrong length"),
        (DATA, _) => Ok(Some(Record::Data(body))),
        (_, _) => Ok(Some(Record::Handshake(body))),
    }
}

impl Secured {
    pub(super) fn server() -> Self {
        Self {
            phase: Phase::Hello,
            ticket: 0,
            resumed: false,
            raw: Vec::new(),
            plain: VecDeque::new(),
            out: VecDeque::new(),
            waiter: None,
            ending: false,
            peer_closed: false,
            trouble: None,
            truncated: false,
        }
    }

    pub(super) fn client(ticket: u64) -> Self {
        Self {
            phase: Phase::Answer,
            ticket,
            out: record(HANDSHAKE, &ticket.to_be_bytes()).into(),
            ..Self::server()
        }
    }

    /// The ticket by which this session is resumed; 0 when there is none yet.
    pub(super) fn ticket(&self) -> u64 {
        match self.phase {
            Phase::On => self.ticket,
            Phase::Hello | Phase::Answer => 0,
        }
    }

    /// Whether no byte is there for the plugin.
    pub(super) fn has_nothing(&self) -> bool {
        self.plain.is_empty() && !self.peer_closed
    }

    pub(super) fn told(&self) -> Option<Tls> {
        (self.phase == Phase::On).then_some(Tls {
            resumed: self.resumed,
            version: VERSION,
            peer_closed: self.peer_closed,
        })
    }

    /// As [`StreamInfo`] has it.
    pub(super) fn flags(&self) -> u32 {
        let flag = |is: bool, flag| if is { flag } else { 0 };
        self.told().map_or(0, |told| {
            StreamInfo::TLS_ON
                | flag(told.resumed, StreamInfo::TLS_RESUMED)
                | flag(told.peer_closed, StreamInfo::TLS_PEER_CLOSED)
        })
    }

    pub(super) fn version(&self) -> u32 {
        self.told().map_or(0, |told| told.version.into())
    }

    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    pub(super) fn fail(&mut self, why: impl Into<String>) -> i32 {
        self.trouble.get_or_insert(why.into());
        abi::CODE_TLS
    }

    pub(super) fn refuse(&mut self, alert: u8, why: impl Into<String>) -> i32 {
        self.out.extend(record(ALERT, &[alert]));
        self.fail(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_whole_or_not_at_all_and_any_changed_byte_is_noticed() {
        let sent = record(DATA, b"some bytes");
        for cut in 0..sent.len() {
            let mut raw = sent[..cut].to_vec();
            assert!(matches!(take(&mut raw), Ok(None)), "after {cut} bytes");
            assert_eq!(raw, sent[..cut]);
        }
        for at in 0..sent.len() {
            let mut raw = sent.clone();
            raw[at] ^= 1;
            // One that says to be longer is waited for: silence is another's business.
            let longer = at == 2 || at == 1;
            match take(&mut raw) {
                Err(_) => {}
                Ok(None) => assert!(longer, "byte {at}"),
                Ok(Some(_)) => panic!("byte {at} was changed, and nobody noticed"),
            }
        }
        let mut raw = [sent.as_slice(), &record(ALERT, &[CLOSE_NOTIFY])].concat();
        assert!(matches!(take(&mut raw), Ok(Some(Record::Data(body))) if body == b"some bytes"));
        assert!(matches!(
            take(&mut raw),
            Ok(Some(Record::Alert(CLOSE_NOTIFY)))
        ));
        assert!(raw.is_empty());
    }
}
