//! What a plugin's author depends on, and nothing more: traits, exceptions, streams and a test kit.
//!
//! A plugin teaches the director one protocol. It implements [`Protocol`]: `serve` talks to a
//! client from its first byte to its last, and has each piece of work done by
//! [`Director::direct`], which performs a [`Request`] at a node. When the node fails, the failure
//! becomes an [`Exception`], the request's [`cleanup`](Request::cleanup) undoes what was left
//! behind and says where it may go again, and the director goes on at another node. What the
//! request has done so far it keeps in its own fields: that is what makes it resumable.
//!
//! A protocol that has its data apart opens further connections beside a stream, from either end
//! ([`Director::connect`], [`Director::listen`]); [`ClientStream::start_tls`] and
//! [`NodeStream::start_tls`] upgrade a stream in place, and a [`Spool`] keeps what may have to be sent
//! again. They are there since ABI 1.1; an older host refuses them
//! ([`StreamError::is_none`], `StorageFull`).
//!
//! The host owns every socket, timer and task. A plugin gets [`ClientStream`] and [`NodeStream`],
//! which are numbers of the host's, so it needs no runtime and may use any: `futures_io` traits are
//! there always, `hyper`'s with the feature `hyper`, tokio's with the feature `tokio`. `tracing`
//! events and `metrics` of a plugin reach the host.
//!
//! `examples/fetch` in the repository is a whole plugin, to be read first. The test kit
//! (`testing`, feature `testing`) runs a plugin on a network in memory with a virtual clock and
//! cuts it at every byte.
//!
//! # What a plugin must not do
//!
//! Block a poll (the host times each one); use `tokio::net`, `tokio::time` or `tokio::spawn`, which
//! have no reactor here; do I/O in a `Drop`. A panic ends one session and is logged with its place,
//! except one in a destructor that runs because of another panic: that ends the process, as in any
//! Rust program. An endless loop or a segmentation fault is not contained either.
//!
//! All `unsafe` of this crate stands in `glue` and `testing::abi`.

mod bridge;
mod choosing;
mod director;
mod failure;
mod further;
#[doc(hidden)]
pub mod glue;
#[cfg(feature = "hyper")]
mod hyper_io;
mod options;
mod protocol;
mod relay;
mod spool;
mod stream;
mod stream_error;
mod stream_more;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
#[cfg(feature = "tokio")]
mod tokio_io;

pub use async_trait::async_trait;
pub use choosing::NodeStanding;
pub use director::{Chain, Director, Elapsed};
pub use failure::{Exception, Failure, FailureRow, Kind};
pub use further::{Further, Listener, Who};
pub use protocol::{
    Client, ConfigMistake, Host, Links, Load, Outcome, Protocol, Report, Request, Resend, Session,
};
pub use relay::RelayEnd;
pub use spool::{Spool, SpoolError, SpoolInfo};
pub use stream::{AsStream, ClientStream, NodeId, NodeStream, Stream, StreamInfo};
pub use stream_error::{Side, StreamError};
pub use tls::{ClientTls, Tls};

/// Exports a [`Protocol`] from a `cdylib`: the one line that makes a crate a plugin.
///
/// ```
/// # use director_sdk::*;
/// # struct Nothing;
/// # #[async_trait]
/// # impl Protocol for Nothing {
/// #     type Config = serde_json::Value;
/// #     const NAME: &'static str = "nothing";
/// #     const LINKS: Links = Links::Exclusive;
/// #     fn create(_: serde_json::Value, _: Host) -> Result<Self, Vec<ConfigMistake>> { Ok(Self) }
/// #     async fn serve(&self, _: Client, _: Director) -> Result<(), Failure> { Ok(()) }
/// #     async fn probe(&self, _: &mut NodeStream) -> Result<Load, Failure> { Ok(Load::UNKNOWN) }
/// # }
/// director_sdk::export_plugin!(Nothing);
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($protocol:ty) => {
        const _: () = {
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            pub static director_plugin_v1: $crate::glue::Exported =
                $crate::glue::Exported::new::<$protocol>(::core::env!("CARGO_PKG_VERSION"));
        };
    };
}
