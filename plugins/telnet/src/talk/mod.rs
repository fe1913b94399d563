//! The dialogue between a client and its host, as the director follows it: pure, without I/O.
//!
//! Until its first switch a session is transparent: what is read on one side is written to the other, byte for
//! byte, and [`Agreed`](agreed::Agreed) and [`Remembered`](remembered::Remembered) only watch. After a switch the
//! client stands where the old host brought it, and the new host knows nothing of that: what the client has already
//! agreed to is answered for it.

pub(crate) mod agreed;
pub(crate) mod bits;
pub(crate) mod from_client;
pub(crate) mod from_host;
pub(crate) mod host;
pub(crate) mod keys;
pub(crate) mod play;
pub(crate) mod remembered;
pub(crate) mod user;

/// Options of Telnet, by number.
pub(crate) mod option {
    /// RFC 856.
    pub(crate) const BINARY: u8 = 0;
    /// RFC 857.
    pub(crate) const ECHO: u8 = 1;
    /// RFC 858.
    pub(crate) const SGA: u8 = 3;
    /// RFC 860.
    pub(crate) const TIMING_MARK: u8 = 6;
    /// RFC 1091.
    pub(crate) const TTYPE: u8 = 24;
    /// RFC 1073.
    pub(crate) const NAWS: u8 = 31;
    /// RFC 1079.
    pub(crate) const TSPEED: u8 = 32;
    /// RFC 1372.
    pub(crate) const FLOW: u8 = 33;
    /// RFC 1096.
    pub(crate) const XDISPLOC: u8 = 35;
    /// RFC 1408, with the same payload as its successor.
    pub(crate) const OLD_ENVIRON: u8 = 36;
    /// RFC 2941.
    pub(crate) const AUTHENTICATION: u8 = 37;
    /// RFC 2946.
    pub(crate) const ENCRYPT: u8 = 38;
    /// RFC 1572.
    pub(crate) const NEW_ENVIRON: u8 = 39;
    /// RFC 2066.
    pub(crate) const CHARSET: u8 = 42;
    /// draft-altman-telnet-starttls.
    pub(crate) const START_TLS: u8 = 46;
    /// MCCP: what follows it is compressed.
    pub(crate) const COMPRESS: [u8; 3] = [85, 86, 87];
}

/// What a session cannot be found again with at another host: the state of these is in the bytes themselves, or
/// nobody knows what they do to them.
pub(crate) fn is_refused(option: u8) -> bool {
    match option {
        option::AUTHENTICATION | option::ENCRYPT | option::START_TLS => true,
        option if option::COMPRESS.contains(&option) => true,
        // The registry of IANA ends here; what is beyond is somebody's own (MUDs have GMCP at 201).
        option => option > 49,
    }
}
