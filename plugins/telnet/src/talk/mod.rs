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
