//! What ABI 1.1 brought: addresses, further connections, listeners, TLS on a stream, the spool.

/// An IP address and a port.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The IP address in network order; of IPv4 the v4-mapped one (RFC 4291, section 2.5.5.2).
    pub ip: [u8; 16],
    /// The port.
    pub port: u16,
    /// [`Address::V4`] or [`Address::V6`]; 0 when it is not known.
    pub family: u16,
    #[doc(hidden)]
    pub _pad: u32,
}

impl Address {
    /// In `family`: IPv4.
    pub const V4: u16 = 4;
    /// In `family`: IPv6.
    pub const V6: u16 = 6;
    /// Not known.
    pub const NONE: Self = Self {
        ip: [0; 16],
        port: 0,
        family: 0,
        _pad: 0,
    };
}

/// Where a further connection goes.
#[repr(C)]
pub struct ConnectSpec {
    /// `size_of::<ConnectSpec>()` on the plugin's side.
    pub size: usize,
    /// A stream: the connection goes to its peer's IP address, from its local one, and belongs to
    /// what this stream belongs to.
    pub of: u64,
    /// The peer's port.
    pub port: u16,
    #[doc(hidden)]
    pub _pad: u16,
    #[doc(hidden)]
    pub _pad2: u32,
}

/// Where a listener listens, and for whom.
#[repr(C)]
pub struct ListenSpec {
    /// `size_of::<ListenSpec>()` on the plugin's side.
    pub size: usize,
    /// A stream: the listener is bound to its local IP address, accepts its peer's IP address, and
    /// belongs to what this stream belongs to.
    pub of: u64,
    /// The first port of the range; 0, with `last` 0, for any.
    pub first: u16,
    /// The last port of the range.
    pub last: u16,
    /// [`ListenSpec::ANYONE`].
    pub flags: u32,
}

impl ListenSpec {
    /// In `flags`: connections from any address are accepted.
    pub const ANYONE: u32 = 1;
}

/// What the host knows of a listener.
#[repr(C)]
pub struct ListenerInfo {
    /// `size_of::<ListenerInfo>()` on the plugin's side.
    pub size: usize,
    /// Where it listens.
    pub local: Address,
}

/// How a stream is upgraded to TLS.
#[repr(C)]
pub struct TlsSpec {
    /// `size_of::<TlsSpec>()` on the plugin's side.
    pub size: usize,
    /// A stream of the same session or link whose TLS session is to be resumed; 0 for none.
    pub session_of: u64,
    /// [`TlsSpec::REQUIRE_RESUMED`], [`TlsSpec::RENEW`].
    pub flags: u32,
    #[doc(hidden)]
    pub _pad: u32,
}

impl TlsSpec {
    /// In `flags`, on a client's stream: fail unless the handshake resumed a TLS session of this very
    /// client session.
    pub const REQUIRE_RESUMED: u32 = 1;
    /// In `flags`, on a client's stream with `session_of`: the client reads on it, so it is sent a ticket
    /// for its next connection (TLS 1.3). One that only writes would close with the ticket unread, and
    /// its kernel answer with a reset.
    pub const RENEW: u32 = 2;
}

/// How large a spool may grow.
#[repr(C)]
pub struct SpoolSpec {
    /// `size_of::<SpoolSpec>()` on the plugin's side.
    pub size: usize,
    /// Bytes in memory at most.
    pub memory: u64,
    /// Bytes on the disk at most, beside those in memory; 0 for none.
    pub disk: u64,
}

/// How a spool stands.
#[repr(C)]
#[derive(Debug)]
pub struct SpoolInfo {
    /// `size_of::<SpoolInfo>()` on the plugin's side.
    pub size: usize,
    /// The offset of the first byte that is kept.
    pub first: u64,
    /// The offset behind the last byte: how many were ever appended.
    pub end: u64,
    /// Bytes that are kept in memory.
    pub in_memory: u64,
    /// Bytes that are kept on the disk.
    pub on_disk: u64,
}
