//! Everything that was said, file < environment < flags, and where.

use std::path::Path;

use figment::providers::Env;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::document::{self, Document};
use super::mistake::{Mistake, Place};

/// Environment variables with this prefix are settings: `DIRECTOR_SERVICES__CHAT__LISTEN`.
pub const ENVIRONMENT: &str = "DIRECTOR_";
/// Stands for the dot of a key.
const DOT: &str = "__";

/// The settings as they were written.
#[derive(Debug)]
pub(super) struct Sources {
    document: Document,
    figment: Figment,
    /// All of it, merged.
    pub(super) values: Dict,
}

/// One setting given as a flag.
#[derive(Debug, Clone)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) key: Vec<String>,
    pub(super) value: Value,
}

impl Provider for Flag {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut value = self.value.clone();
        for key in self.key.iter().rev() {
            value = Value::from(Dict::from([(key.clone(), value)]));
        }
        let dict = value.into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

impl Sources {
    pub(super) fn new(document: Document, flags: &[Flag]) -> Result<Self, Vec<Mistake>> {
        let mut figment = Figment::new()
            .merge(document.clone())
            .merge(Env::prefixed(ENVIRONMENT).split(DOT));
        for flag in flags {
            figment = figment.merge(flag.clone());
        }
        let values = figment.extract::<Dict>().map_err(|error| {
            error
                .into_iter()
                .map(|error| Mistake::new(Place::Environment(format!("{ENVIRONMENT}*")), "", error))
                .collect::<Vec<_>>()
        })?;
        Ok(Self {
            document,
            figment,
            values,
        })
    }

    /// Where a setting was given; without a `value`, where it should have been.
    pub(super) fn place(&self, key: &[String], value: Option<&Value>) -> Place {
        // Tables and arrays have no source of their own; what is first in them has.
        fn leaf(value: &Value) -> &Value {
            match value {
                Value::Dict(_, dict) => dict.values().next().map_or(value, leaf),
                Value::Array(_, array) => array.first().map_or(value, leaf),
                Value::String(..)
                | Value::Char(..)
                | Value::Bool(..)
                | Value::Num(..)
                | Value::Empty(..) => value,
            }
        }
        let metadata = value
            .map(|value| leaf(value).tag())
            .and_then(|tag| self.figment.get_metadata(tag));
        match metadata.map(|metadata| metadata.name.as_ref()) {
            None | Some(document::NAME) => self.document.place(key),
            Some(flag) if flag.starts_with("--") => Place::Flag(flag.to_owned()),
            Some(_environment) => {
                Place::Environment(format!("{ENVIRONMENT}{}", key.join(DOT).to_uppercase()))
            }
        }
    }
}

/// Reads a config file.
pub(super) fn read(path: &Path) -> Result<Document, Vec<Mistake>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Document::parse(Some(path), text),
        Err(error) => Err(vec![Mistake::new(
            Place::WholeFile(path.to_owned()),
            "",
            format_args!("cannot be read: {error}"),
        )]),
    }
}
