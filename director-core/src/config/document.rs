//! A TOML text as values for figment, with the place of each key kept beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Tag, Value};
use figment::{Metadata, Profile, Provider};
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Place};

/// Name of a document in figment's metadata.
pub(super) const NAME: &str = "document";

/// A parsed text.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// `None`: the built-in config.
    path: Option<PathBuf>,
    text: String,
    values: Dict,
    /// Byte offset of every key and array element, by its path.
    places: BTreeMap<Vec<String>, usize>,
}

impl Document {
    /// Parses a text. Every syntax error is one mistake.
    pub(super) fn parse(path: Option<&Path>, text: String) -> Result<Self, Vec<Mistake>> {
        let mut document = Self {
            path: path.map(Path::to_owned),
            text: String::new(),
            values: Dict::new(),
            places: BTreeMap::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        if errors.is_empty() {
            document.values = document.table(table.get_ref(), &mut Vec::new());
            document.text = text;
            return Ok(document);
        }
        document.text = text.clone();
        let mut mistakes: Vec<Mistake> = errors
            .iter()
            .map(|error| {
                let place = match error.span() {
                    Some(span) => document.at(span.start),
                    None => document.whole(),
                };
                Mistake::new(
                    place,
                    "",
                    format_args!("no valid TOML: {}", error.message()),
                )
            })
            .collect();
        // One slip often makes the parser stumble twice in its line.
        mistakes.dedup_by(|later, earlier| later.place.line() == earlier.place.line());
        Err(mistakes)
    }

    pub(super) fn values(&self) -> &Dict {
        &self.values
    }

    /// Where a key stands, or the nearest table around it that does.
    pub(super) fn place(&self, key: &[String]) -> Place {
        (1..=key.len())
            .rev()
            .find_map(|depth| self.places.get(&key[..depth]))
            .map_or_else(|| self.whole(), |offset| self.at(*offset))
    }

    fn whole(&self) -> Place {
        match &self.path {
            Some(path) => Place::WholeFile(path.clone()),
            None => Place::BuiltIn,
        }
    }

    fn at(&self, offset: usize) -> Place {
        let Some(path) = &self.path else {
            return Place::BuiltIn;
        };
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place::File {
            path: path.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn table(&mut self, table: &DeTable<'_>, path: &mut Vec<String>) -> Dict {
        let mut dict = Dict::new();
        for (key, value) in table {
            let name = key.get_ref().to_string();
            path.push(name.clone());
            self.places.insert(path.clone(), key.span().start);
            let value = self.value(value.get_ref(), path);
            path.pop();
            dict.insert(name, value);
        }
        dict
    }

    fn value(&mut self, value: &DeValue<'_>, path: &mut Vec<String>) -> Value {
        match value {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::from(number),
                    // Too long for any setting; as a text it is found to be no number.
                    Err(_too_long) => Value::from(number.to_string()),
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) => Value::from(number),
                Err(_odd) => Value::from(number.to_string()),
            },
            DeValue::Boolean(truth) => Value::from(*truth),
            DeValue::Datetime(time) => Value::from(time.to_string()),
            DeValue::Array(array) => {
                let mut values = Vec::new();
                for (index, value) in array.iter().enumerate() {
                    path.push(index.to_string());
                    self.places.insert(path.clone(), value.span().start);
                    values.push(self.value(value.get_ref(), path));
                    path.pop();
                }
                Value::Array(Tag::Default, values)
            }
            DeValue::Table(table) => Value::Dict(Tag::Default, self.table(table, path)),
        }
    }
}

impl Provider for Document {
    fn metadata(&self) -> Metadata {
        Metadata::named(NAME)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}
