//! Free loopback ports that stay free.
//!
//! A node that is down must find its port again. From the kernel's range for outgoing connections it
//! could be lent to any of them meanwhile, so ports are taken from below that range.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use super::SpawnError;
use crate::chance;

/// The kernel's usual first port for outgoing connections.
const USUAL_FIRST: u16 = 32_768;
/// Below these are the ports of well-known servers.
const LOWEST: u16 = 10_000;
/// So many ports below the kernel's are looked through.
const WIDTH: u16 = 12_000;

/// The ports to choose from.
pub(super) fn range() -> Range<u16> {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(USUAL_FIRST);
    below(first)
}

fn below(first: u16) -> Range<u16> {
    let end = if first > LOWEST + 1_000 {
        first
    } else {
        // The kernel lends nearly all of them: none is safe, and any as good as another.
        u16::MAX
    };
    end.saturating_sub(WIDTH).max(LOWEST)..end
}

/// `count` different ports on which nobody listens now.
pub(super) fn free(count: usize, range: &Range<u16>) -> Result<Vec<u16>, SpawnError> {
    let width = u64::from(range.end - range.start);
    let begin = chance::number() % width.max(1);
    let mut held = Vec::new();
    for step in 0..width {
        if held.len() == count {
            break;
        }
        let port = range.start + ((begin + step) % width) as u16;
        // Held until all are found, so that they differ.
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        return Err(SpawnError::NoPort(format!(
            "of the ports {} to {} only {} can be had, {count} are needed",
            range.start,
            range.end - 1,
            held.len()
        )));
    }
    Ok(held.into_iter().map(|(port, _listener)| port).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_lie_below_those_that_the_kernel_lends() {
        assert_eq!(below(32_768), 20_768..32_768);
        assert_eq!(below(15_000), 10_000..15_000);
        assert_eq!(below(1_024), 53_535..u16::MAX);
    }

    #[test]
    fn ports_are_different_and_free() {
        let range = range();
        let ports = free(5, &range).unwrap();
        let held: Vec<_> = ports
            .iter()
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)))
            .collect();
        assert!(ports.iter().all(|port| range.contains(port)));
        assert_eq!(held.into_iter().flatten().count(), 5);
    }

    #[test]
    fn a_taken_range_is_told() {
        let port = free(1, &range()).unwrap()[0];
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let told = free(1, &(port..port + 1)).unwrap_err().to_string();
        assert!(told.contains("only 0 can be had"), "{told}");
    }
}
