//! Limits that the operating system sets to this process.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the number of open files to the most that is allowed, and returns it; `None` for no limit. A
/// session takes two to four of them.
///
/// # Errors
/// When the system refuses.
pub fn raise_open_files() -> std::io::Result<Option<u64>> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(limit.current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let raised = raise_open_files().unwrap();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(limit.current, raised);
    }
}
