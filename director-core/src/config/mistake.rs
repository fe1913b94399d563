//! A mistake in the settings: where, what was found, what would be right.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a file; line and column count from 1.
    File {
        /// The file.
        path: PathBuf,
        /// Its line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// In a file, at no one line of it.
    WholeFile(PathBuf),
    /// In the config that is used without `--config`.
    BuiltIn,
    /// In this environment variable.
    Environment(String),
    /// In this flag.
    Flag(String),
}

impl Place {
    /// The line, in a file.
    pub(super) fn line(&self) -> Option<usize> {
        match self {
            Self::File { line, .. } => Some(*line),
            Self::WholeFile(_) | Self::BuiltIn | Self::Environment(_) | Self::Flag(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::WholeFile(path) => path.display().fmt(f),
            Self::BuiltIn => f.write_str("built-in config"),
            Self::Environment(variable) => write!(f, "environment variable {variable}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// One mistake. Its text is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it is.
    pub place: Place,
    /// The setting, as `services.chat.listen`; empty when the file as a whole is meant.
    pub key: String,
    /// What was found, and what would be right.
    pub text: String,
}

impl Mistake {
    pub(crate) fn new(place: Place, key: impl Into<String>, text: impl fmt::Display) -> Self {
        // A parser's message may have several lines; here a mistake is one.
        let text = text.to_string().trim().replace('\n', "; ");
        Self {
            place,
            key: key.into(),
            text,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for Mistake {}
