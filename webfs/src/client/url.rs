//! The URL of a stream, as a command line has it.

use std::fmt;
use std::str::FromStr;

/// `http://host:port/path`: whom to connect to, and what to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    host: String,
    port: u16,
    path: String,
}

/// Not the URL of a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Another scheme, or none.
    #[error("`{0}` does not begin with http://")]
    Scheme(String),
    /// No host.
    #[error("`{0}` has no host")]
    Host(String),
    /// Not a port.
    #[error("`{0}` is no port")]
    Port(String),
    /// A query, a fragment, or something that no path can have.
    #[error("`{0}` cannot be the path of a stream")]
    Path(String),
}

impl Url {
    /// Whom to connect to: `host:port`.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The path, with a query behind it unless that is empty.
    #[must_use]
    pub fn target(&self, query: &str) -> String {
        match query {
            "" => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }
}

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let rest = text
            .strip_prefix("http://")
            .ok_or_else(|| BadUrl::Scheme(text.to_owned()))?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        let colon = authority.rfind(':').filter(|_| !authority.ends_with(']'));
        let (host, port) = match colon {
            Some(colon) => (
                authority.get(..colon).unwrap_or_default(),
                authority.get(colon + 1..).unwrap_or_default(),
            ),
            None => (authority, "80"),
        };
        if host.is_empty() || host.contains('@') {
            return Err(BadUrl::Host(text.to_owned()));
        }
        let port = port.parse().map_err(|_| BadUrl::Port(port.to_owned()))?;
        let bad = |c: char| matches!(c, '?' | '#' | ' ') || c.is_control() || !c.is_ascii();
        if path.len() < 2 || path.contains(bad) {
            return Err(BadUrl::Path(path.to_owned()));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_whom_and_what() {
        let url: Url = "http://[::1]:7070/v1/stream/rooms/lobby".parse().unwrap();
        assert_eq!(url.authority(), "[::1]:7070");
        assert_eq!(url.target("offset=-1"), "/v1/stream/rooms/lobby?offset=-1");
        let url: Url = "http://[::1]/a".parse().unwrap();
        assert_eq!(url.authority(), "[::1]:80");
        let url: Url = "http://localhost/a".parse().unwrap();
        assert_eq!(url.to_string(), "http://localhost:80/a");
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in [
            "",
            "localhost:7070/a",
            "https://localhost/a",
            "http://",
            "http:///a",
            "http://:1/a",
            "http://u@h/a",
            "http://h:x/a",
            "http://h:70000/a",
            "http://h",
            "http://h/",
            "http://h/a?offset=-1",
            "http://h/a#b",
            "http://h/a b",
            "http://h/a\r\nb",
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
    }
}
