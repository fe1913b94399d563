//! The digest of an upload that is still kept whole, compared with the one that a node says of its file.
//!
//! It is made only when a node has to be asked what became of an upload: in a sound run it costs nothing.

use director_sdk::Failure;
use sha2::{Digest as _, Sha256, Sha512};

use crate::control::link::Link;
use crate::down::digest::{Algorithm, Digest, Of, Question};
use crate::up::kept::Kept;

/// Whether the node's file under `path` has the bytes of the upload: `None` when the node has no digest that can be
/// made here, too, or what was sent is not kept whole.
///
/// # Errors
///
/// The node is lost, or the spool failed.
pub(super) async fn is_of(
    link: &mut Link,
    path: &[u8],
    kept: &Kept,
) -> Result<Option<bool>, Failure> {
    let of = Of {
        path,
        size: Some(kept.end()),
        begun: None,
    };
    let Some(question) = Question::best(|verb| link.features.offers(verb), of) else {
        return Ok(None);
    };
    if !kept.is_whole() {
        return Ok(None);
    }
    let line = [question.verb.as_bytes(), b" ", path].concat();
    let reply = link.command(&line).await?;
    let Some(told) = question.read(&reply, of) else {
        return Ok(None);
    };
    let Some(mut running) = Running::new(told.algorithm) else {
        return Ok(None);
    };
    kept.each(|piece| running.take(piece)).await?;
    let sent = Digest::read(told.algorithm, running.hex().as_bytes());
    Ok(Some(sent.as_ref() == Some(&told)))
}

/// A digest that is being made.
enum Running {
    Sha512(Box<Sha512>),
    Sha256(Box<Sha256>),
    Crc32(u32),
}

impl Running {
    /// `None` for what is not made here.
    fn new(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Sha512 => Some(Self::Sha512(Box::default())),
            Algorithm::Sha256 => Some(Self::Sha256(Box::default())),
            Algorithm::Crc32 => Some(Self::Crc32(!0)),
            Algorithm::Sha1 | Algorithm::Md5 => None,
        }
    }

    fn take(&mut self, piece: &[u8]) {
        match self {
            Self::Sha512(sha) => sha.update(piece),
            Self::Sha256(sha) => sha.update(piece),
            Self::Crc32(crc) => {
                for byte in piece {
                    let at = usize::from((*crc as u8) ^ byte);
                    *crc = (*crc >> 8) ^ CRC32.get(at).copied().unwrap_or_default();
                }
            }
        }
    }

    fn hex(self) -> String {
        let bytes = match self {
            Self::Sha512(sha) => sha.finalize().to_vec(),
            Self::Sha256(sha) => sha.finalize().to_vec(),
            Self::Crc32(crc) => (!crc).to_be_bytes().to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What each byte makes of a CRC-32 (IEEE 802.3).
static CRC32: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        let of = |algorithm| {
            let mut running = Running::new(algorithm)?;
            running.take(b"1234");
            running.take(b"56789");
            Some(running.hex())
        };
        assert_eq!(of(Algorithm::Crc32).as_deref(), Some("cbf43926"));
        let sha256 = "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225";
        assert_eq!(of(Algorithm::Sha256).as_deref(), Some(sha256));
        assert!(of(Algorithm::Sha512).is_some_and(|hex| hex.len() == 128));
        assert_eq!(of(Algorithm::Md5), None);
    }
}
