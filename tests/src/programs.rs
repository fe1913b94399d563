//! Where the built programs and plugins are: beside the executable that runs this.

use std::io;
use std::path::{Path, PathBuf};

/// The command line.
///
/// # Errors
/// With the command that builds it, when it is not there. The others likewise.
pub fn director() -> io::Result<PathBuf> {
    built("director", "-p director -p director-chat")
}

/// The chat plugin as the workspace builds it.
///
/// # Errors
/// As [`director`].
pub fn chat_plugin() -> io::Result<PathBuf> {
    built("libdirector_chat.so", "-p director -p director-chat")
}

/// The FTP plugin.
///
/// # Errors
/// As [`director`].
pub fn ftp_plugin() -> io::Result<PathBuf> {
    built("libdirector_ftp.so", "-p director -p director-ftp")
}

/// The example plugin.
///
/// # Errors
/// As [`director`].
pub fn fetch_plugin() -> io::Result<PathBuf> {
    built("libdirector_fetch.so", "-p director-fetch")
}

/// A server of the example plugin's protocol.
///
/// # Errors
/// As [`director`].
pub fn fetch_node() -> io::Result<PathBuf> {
    built("fetch-node", "-p director-fetch")
}

/// A plugin of `tests/apart`, built with its own lock file, its own tokio and its own allocator.
///
/// # Errors
/// As [`director`].
pub fn apart(name: &str) -> io::Result<PathBuf> {
    let path = crate::cargo::root().join("target/apart/debug").join(name);
    there(path, "tests/run apart")
}

/// The folder with the programs: that of this executable, or the one above its `deps`.
///
/// # Errors
/// When the executable's own path is not known.
pub fn folder() -> io::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.parent().unwrap_or(Path::new("."));
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    Ok(above.unwrap_or(folder).to_path_buf())
}

fn built(name: &str, packages: &str) -> io::Result<PathBuf> {
    let folder = folder()?;
    let release = if folder.ends_with("release") {
        " --release"
    } else {
        ""
    };
    there(
        folder.join(name),
        &format!("cargo build --locked{release} {packages}"),
    )
}

fn there(path: PathBuf, command: &str) -> io::Result<PathBuf> {
    if path.is_file() {
        return Ok(path);
    }
    let path = path.display();
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("{path} is not there; build it: {command}"),
    ))
}
