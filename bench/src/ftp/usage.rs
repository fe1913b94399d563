//! What processes have used: processor time, and memory that is theirs.

use std::io;
use std::time::Duration;

/// Ticks a second of `/proc/<pid>/stat` (USER_HZ, which Linux fixes for programs).
const TICKS: u64 = 100;

/// Processor time of `pid` and of its children that have ended.
///
/// # Errors
/// When the process is gone.
pub fn processor_time(pid: u32) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // After the name, which may hold anything: state is field 3; utime, stime, cutime, cstime 14 to 17.
    let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after
        .split(' ')
        .skip(11)
        .take(4)
        .map(|field| field.parse::<u64>().unwrap_or(0))
        .sum::<u64>();
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// Processor time of all these processes together. One that is gone counts with its parent.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn processor_times(pids: &[u32]) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for pid in pids {
        sum += there(processor_time(*pid))?.unwrap_or_default();
    }
    Ok(sum)
}

/// What was asked of a process, or `None` when it has ended meanwhile.
fn there<T>(asked: io::Result<T>) -> io::Result<Option<T>> {
    match asked {
        Ok(told) => Ok(Some(told)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Memory of these processes in bytes, shared pages by share (PSS).
///
/// # Errors
/// When `/proc` cannot be read.
pub fn memory(pids: &[u32]) -> io::Result<u64> {
    let mut sum = 0;
    for pid in pids {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
        let Some(rollup) = there(rollup)? else {
            continue;
        };
        let kib = rollup
            .lines()
            .find_map(|line| line.strip_prefix("Pss:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
        sum += kib.ok_or_else(|| io::Error::other(format!("no Pss of {pid}")))? * 1024;
    }
    Ok(sum)
}

/// `pid`, and everything that it or its children started and that still runs.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn family(pid: u32) -> io::Result<Vec<u32>> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        for task in std::fs::read_dir(format!("/proc/{parent}/task"))
            .into_iter()
            .flatten()
        {
            let children = std::fs::read_to_string(task?.path().join("children"));
            // A thread may end while it is looked at.
            let children = children.unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
    }
    Ok(all)
}
