//! Certificates and keys from PEM files (RFC 7468). Every error names the file and what is wrong in it.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// No file of certificates is larger: the system's own list of authorities has a quarter of a megabyte.
const LARGEST: u64 = 8 << 20;
/// Nobody but the key's owner may write it, and only its group may read it besides.
const FORBIDDEN: u32 = 0o027;

/// Reads every certificate of a file.
///
/// # Errors
/// What was found instead, as a mistake in the settings says it.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    const RIGHT: &str = "right would be a file with `-----BEGIN CERTIFICATE-----` in it (PEM)";
    let text = read(path, |_| Ok(()))?;
    let certificates = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("found {path:?}, {}; {RIGHT}", in_words(&error)))?;
    if certificates.is_empty() {
        return Err(format!("found {path:?}, which has no certificate; {RIGHT}"));
    }
    Ok(certificates)
}

/// Reads the first private key of a file.
///
/// # Errors
/// What was found instead, as a mistake in the settings says it; also for a file that others may read.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    const RIGHT: &str =
        "right would be a file with `-----BEGIN PRIVATE KEY-----` in it (PEM), not encrypted";
    let text = read(path, |mode| {
        if mode & FORBIDDEN == 0 {
            return Ok(());
        }
        Err(format!(
            "found {path:?}, which others than its owner may read or change (mode {:03o}), right \
             would be mode 600, or 640 for a group that may read it",
            mode & 0o777
        ))
    })?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        // The errors are not ours, and grow.
        #[allow(clippy::wildcard_enum_match_arm)]
        let why = match error {
            Error::NoItemsFound => "which has no private key".to_owned(),
            other => in_words(&other),
        };
        format!("found {path:?}, {why}; {RIGHT}")
    })
}

/// Reads a file whose mode is judged before a byte of it is.
fn read(path: &Path, judge: impl FnOnce(u32) -> Result<(), String>) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("found {path:?}, which cannot be read: {error}");
    let file = std::fs::File::open(path).map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    if !meta.is_file() {
        return Err(format!("found {path:?}, which is no file"));
    }
    judge(meta.permissions().mode())?;
    let mut text = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > LARGEST {
        return Err(format!(
            "found {path:?}, which is larger than {LARGEST} bytes"
        ));
    }
    Ok(text)
}

fn in_words(error: &Error) -> String {
    // The errors are not ours, and grow.
    #[allow(clippy::wildcard_enum_match_arm)]
    let why = match error {
        Error::MissingSectionEnd { end_marker } => format!(
            "the end `-----END {}-----` is missing",
            String::from_utf8_lossy(end_marker)
        ),
        Error::IllegalSectionStart { line } => {
            format!("`{}` begins nothing", String::from_utf8_lossy(line))
        }
        Error::Base64Decode(what) => format!("its base64 is broken ({what})"),
        other => other.to_string(),
    };
    format!("which is not right PEM: {why}")
}
