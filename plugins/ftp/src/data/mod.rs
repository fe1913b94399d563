//! Data connections: addresses, the client's end, the node's end.

pub(crate) mod address;

/// What the client's last PASV, EPSV, PORT or EPRT left for its next transfer.
#[derive(Debug, Default)]
pub(crate) enum ClientEnd {
    /// Nothing yet.
    #[default]
    None,
}
