//! `tracing` and `metrics` of a plugin, on their way to the host.
//!
//! A shared library has its own copy of both crates' globals, so a plugin's events would reach
//! nobody; these bridges are set as the globals of that copy when the library is initialised.

mod events;
mod meters;

/// Sets both. A global that is there already (a test's own) is left as it is.
pub(crate) fn install() {
    let _set_before = tracing::subscriber::set_global_default(events::ToHost::new());
    let _set_before = metrics::set_global_recorder(meters::ToHost::new());
}
