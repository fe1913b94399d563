//! A server of the fetch protocol, to try the plugin on.
//!
//! ```text
//! fetch-node [--listen ADDR] (--dir DIR | --seed N) [--rate BYTES_PER_SECOND]
//! ```
//!
//! With `--dir` it serves the files below a directory; with `--seed` it makes them up: the file
//! `<n>` (a number, at most 2^26) is of `n` bytes, the same at every node with the same seed. It
//! prints one line, `fetch-node listening on IP:PORT`, and serves until it is killed.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use director_fetch::wire::{Command, digest};

/// The longest request line.
const LINE: u64 = 1024;
/// The largest file that is made up.
const MOST: u64 = 1 << 26;
/// Written at once.
const PIECE: usize = 16 * 1024;
/// Connections served at once; more are refused.
const CONNECTIONS: usize = 4096;

enum Files {
    Below(PathBuf),
    MadeUp(u64),
}

struct Server {
    files: Files,
    /// Bytes a second that one download gets; `None` for as many as it can take.
    rate: Option<u64>,
    downloads: AtomicUsize,
    connections: AtomicUsize,
}

fn main() -> ExitCode {
    match read_arguments().and_then(|(listen, server)| serve(&listen, server)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("fetch-node: {message}");
            ExitCode::FAILURE
        }
    }
}

fn read_arguments() -> Result<(String, Server), String> {
    let mut listen = "127.0.0.1:0".to_owned();
    let mut files = None;
    let mut rate = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        let number = || {
            value
                .parse::<u64>()
                .map_err(|_| format!("{name} {value}: not a number"))
        };
        match name.as_str() {
            "--listen" => listen = value,
            "--dir" => files = Some(Files::Below(value.into())),
            "--seed" => files = Some(Files::MadeUp(number()?)),
            "--rate" => rate = Some(number()?.max(1)),
            other => return Err(format!("{other}: there are --listen --dir --seed --rate")),
        }
    }
    let files = files.ok_or("either --dir or --seed is needed")?;
    let server = Server {
        files,
        rate,
        downloads: AtomicUsize::new(0),
        connections: AtomicUsize::new(0),
    };
    Ok((listen, server))
}

fn serve(listen: &str, server: Server) -> Result<(), String> {
    let listener = TcpListener::bind(listen).map_err(|error| format!("{listen}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("fetch-node listening on {address}");
    let server = Arc::new(server);
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Out of descriptors, say: those that are open will end.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        if server.connections.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
            server.connections.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let server = Arc::clone(&server);
        // Ends with its connection, or with the process.
        thread::spawn(move || {
            if let Err(error) = talk(&stream, &server) {
                eprintln!("fetch-node: a client left: {error}");
            }
            server.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
    Ok(())
}

fn talk(mut stream: &TcpStream, server: &Server) -> io::Result<()> {
    let mut requests = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        (&mut requests).take(LINE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        match Command::parse(&line) {
            Some(Command::Ping) => {
                let load = server.downloads.load(Ordering::Relaxed);
                stream.write_all(format!("PONG {load}\r\n").as_bytes())?;
            }
            Some(Command::Get { name, offset }) => match server.read(&name) {
                Ok(file) if offset <= file.len() as u64 => {
                    server.downloads.fetch_add(1, Ordering::Relaxed);
                    let sent = server.send(stream, &file, offset as usize);
                    server.downloads.fetch_sub(1, Ordering::Relaxed);
                    sent?;
                }
                Ok(file) => {
                    let size = file.len();
                    let text = format!("ERR 400 {offset} is behind the end at {size}\r\n");
                    stream.write_all(text.as_bytes())?;
                }
                Err(error) => {
                    let text = error.to_string().replace(['\r', '\n'], " ");
                    stream.write_all(format!("ERR 404 {text}\r\n").as_bytes())?;
                }
            },
            // What follows a line that is none cannot be told apart.
            None => return stream.write_all(b"ERR 400 not a request\r\n"),
        }
    }
}

impl Server {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        match &self.files {
            // A name has no `..` and no `/` in front: `Command` has seen to that.
            Files::Below(directory) => fs::read(directory.join(name)),
            Files::MadeUp(seed) => match name.parse::<u64>() {
                Ok(size) if size <= MOST => Ok(made_up(*seed, size)),
                _ => Err(io::Error::other("files are numbers up to 67108864")),
            },
        }
    }

    fn send(&self, mut stream: &TcpStream, file: &[u8], offset: usize) -> io::Result<()> {
        let head = format!("OK {} {}\r\n", file.len(), digest(file));
        stream.write_all(head.as_bytes())?;
        let began = Instant::now();
        let piece = match self.rate {
            Some(rate) => PIECE.min((rate / 100).max(1) as usize),
            None => PIECE,
        };
        let mut sent = 0;
        for bytes in file[offset..].chunks(piece) {
            stream.write_all(bytes)?;
            sent += bytes.len() as u64;
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64(sent as f64 / rate as f64);
                thread::sleep(due.saturating_sub(began.elapsed()));
            }
        }
        Ok(())
    }
}

/// The bytes of a file that nobody wrote (splitmix64).
fn made_up(seed: u64, size: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95) ^ size;
    let mut bytes = Vec::with_capacity(size as usize + 8);
    while bytes.len() < size as usize {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(size as usize);
    bytes
}
