//! Reads one table of the settings, and notes every mistake in it instead of stopping at the first.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use figment::value::{Dict, Value};

use super::mistake::{Mistake, Place};
use super::sources::Sources;

/// Where mistakes are gathered.
pub(super) struct Check<'a> {
    pub(super) sources: &'a Sources,
    pub(super) mistakes: RefCell<Vec<Mistake>>,
}

impl Check<'_> {
    pub(super) fn mistake(&self, key: &[String], value: Option<&Value>, text: impl Display) {
        let place = self.sources.place(key, value);
        self.push(Mistake::new(place, key.join("."), text));
    }

    pub(super) fn push(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }
}

/// A value with its key.
#[derive(Debug, Clone)]
pub(super) struct Located<'a, T> {
    pub(super) key: Vec<String>,
    pub(super) raw: &'a Value,
    pub(super) value: T,
}

/// An element of a list that holds texts and tables.
#[derive(Debug, Clone, Copy)]
pub(super) enum Element<'a> {
    Text(&'a str),
    Table(&'a Dict),
}

/// One table. A key that nobody asked for is a mistake, told by [`Table::finish`].
pub(super) struct Table<'a> {
    check: &'a Check<'a>,
    pub(super) key: Vec<String>,
    dict: &'a Dict,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn new(check: &'a Check<'a>, key: Vec<String>, dict: &'a Dict) -> Self {
        Self {
            check,
            key,
            dict,
            known: Vec::new(),
        }
    }

    pub(super) fn key_of(&self, name: &str) -> Vec<String> {
        let mut key = self.key.clone();
        key.push(name.to_owned());
        key
    }

    fn get(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.dict.get(name)
    }

    /// Notes a mistake about one of its keys.
    pub(super) fn mistake(&self, name: &str, text: impl Display) {
        self.check
            .mistake(&self.key_of(name), self.dict.get(name), text);
    }

    /// Whether the key is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.dict.contains_key(name)
    }

    /// Whether the key is there with an array that holds nothing.
    pub(super) fn is_empty_array(&self, name: &str) -> bool {
        matches!(self.dict.get(name), Some(Value::Array(_, array)) if array.is_empty())
    }

    /// Whether the key is there with a table that holds nothing.
    pub(super) fn is_empty_table(&self, name: &str) -> bool {
        matches!(self.dict.get(name), Some(Value::Dict(_, dict)) if dict.is_empty())
    }

    /// Notes a mistake about the table itself.
    pub(super) fn mistake_here(&self, text: impl Display) {
        self.check.mistake(&self.key, None, text);
    }

    /// Notes a mistake about a value that was read from it.
    pub(super) fn mistake_at<T>(&self, at: &Located<'_, T>, text: impl Display) {
        self.check.mistake(&at.key, Some(at.raw), text);
    }

    fn wrong(&self, name: &str, found: &Value, right: impl Display) {
        self.mistake(
            name,
            format_args!("found {}, right would be {right}", found_text(found)),
        );
    }

    /// Notes that a key is missing.
    pub(super) fn missing(&self, name: &str, right: impl Display) {
        self.mistake(name, format_args!("found nothing, right would be {right}"));
    }

    /// A text.
    pub(super) fn text(&mut self, name: &'static str, right: &str) -> Option<Located<'a, &'a str>> {
        let raw = self.get(name)?;
        match raw.as_str() {
            Some(value) => Some(Located {
                key: self.key_of(name),
                raw,
                value,
            }),
            None => {
                self.wrong(name, raw, right);
                None
            }
        }
    }

    /// A list of texts. `None` only when the key is absent.
    pub(super) fn texts(
        &mut self,
        name: &'static str,
        right: &str,
    ) -> Option<Vec<Located<'a, &'a str>>> {
        let raw = self.get(name)?;
        let key = self.key_of(name);
        let Value::Array(_, array) = raw else {
            self.wrong(name, raw, right);
            return Some(Vec::new());
        };
        let mut texts = Vec::new();
        for (index, element) in array.iter().enumerate() {
            let mut key = key.clone();
            key.push(index.to_string());
            match element.as_str() {
                Some(value) => texts.push(Located {
                    key,
                    raw: element,
                    value,
                }),
                None => self.check.mistake(
                    &key,
                    Some(element),
                    format_args!("found {}, right would be a text", found_text(element)),
                ),
            }
        }
        Some(texts)
    }

    /// A list of texts and tables. `None` only when the key is absent.
    pub(super) fn elements(
        &mut self,
        name: &'static str,
        right: &str,
    ) -> Option<Vec<Located<'a, Element<'a>>>> {
        let raw = self.get(name)?;
        let Value::Array(_, array) = raw else {
            self.wrong(name, raw, right);
            return Some(Vec::new());
        };
        let mut elements = Vec::new();
        for (index, element) in array.iter().enumerate() {
            let mut key = self.key_of(name);
            key.push(index.to_string());
            let value = element
                .as_str()
                .map(Element::Text)
                .or_else(|| element.as_dict().map(Element::Table));
            match value {
                Some(value) => elements.push(Located {
                    key,
                    raw: element,
                    value,
                }),
                None => self.check.mistake(
                    &key,
                    Some(element),
                    format_args!(
                        "found {}, right would be a text or a table",
                        found_text(element)
                    ),
                ),
            }
        }
        Some(elements)
    }

    /// A table that stands in a list of this one, by its key.
    pub(super) fn inner(&self, key: Vec<String>, dict: &'a Dict) -> Table<'a> {
        Table::new(self.check, key, dict)
    }

    /// A duration that need not be there.
    pub(super) fn optional_duration(
        &mut self,
        name: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        const LIKE: Duration = Duration::from_secs(600);
        if !self.has(name) {
            self.known.push(name);
            return None;
        }
        Some(self.duration(name, LIKE, range))
    }

    /// A whole number that need not be there.
    pub(super) fn optional_count(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        if !self.has(name) {
            self.known.push(name);
            return None;
        }
        Some(self.count(name, *range.start(), range))
    }

    /// A duration with its unit.
    pub(super) fn duration(
        &mut self,
        name: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(raw) = self.get(name) else {
            return default;
        };
        let Some(Ok(duration)) = raw.as_str().map(humantime::parse_duration) else {
            let like = humantime::format_duration(default);
            self.wrong(
                name,
                raw,
                format_args!("a duration with its unit, such as \"{like}\""),
            );
            return default;
        };
        if !range.contains(&duration) {
            let (least, most) = (
                humantime::format_duration(*range.start()),
                humantime::format_duration(*range.end()),
            );
            self.wrong(name, raw, format_args!("from \"{least}\" to \"{most}\""));
            return default;
        }
        duration
    }

    /// A whole number.
    pub(super) fn count(
        &mut self,
        name: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> u32 {
        let Some(raw) = self.get(name) else {
            return default;
        };
        let count = raw
            .to_i128()
            .and_then(|count| u32::try_from(count).ok())
            .or_else(|| raw.to_u128().and_then(|count| u32::try_from(count).ok()))
            .filter(|count| range.contains(count));
        count.unwrap_or_else(|| {
            let (least, most) = (range.start(), range.end());
            self.wrong(
                name,
                raw,
                format_args!("a whole number from {least} to {most}"),
            );
            default
        })
    }

    /// A number of bytes, with a unit or without.
    pub(super) fn size(&mut self, name: &'static str, default: u64) -> u64 {
        let Some(raw) = self.get(name) else {
            return default;
        };
        let size = match raw.as_str() {
            Some(text) => super::size::parse(text),
            None => raw
                .to_i128()
                .and_then(|size| u64::try_from(size).ok())
                .or_else(|| raw.to_u128().and_then(|size| u64::try_from(size).ok())),
        };
        size.filter(|size| *size <= super::size::MOST)
            .unwrap_or_else(|| {
                let like = super::size::format(default);
                self.wrong(
                    name,
                    raw,
                    format_args!("a number of bytes up to \"1TiB\", such as \"{like}\""),
                );
                default
            })
    }

    /// True or false. `None` only after a mistake was noted.
    pub(super) fn truth(&mut self, name: &'static str, default: bool) -> Option<bool> {
        let Some(raw) = self.get(name) else {
            return Some(default);
        };
        let truth = raw.to_bool();
        if truth.is_none() {
            self.wrong(name, raw, "true or false");
        }
        truth
    }

    /// A share.
    pub(super) fn share(&mut self, name: &'static str, default: f64) -> f64 {
        let Some(raw) = self.get(name) else {
            return default;
        };
        let whole = raw.to_i128().map(|whole| whole as f64);
        match raw.to_f64().or(whole) {
            Some(share) if (0.0..=1.0).contains(&share) => share,
            Some(_) | None => {
                self.wrong(
                    name,
                    raw,
                    format_args!("a share from 0 to 1, such as {default}"),
                );
                default
            }
        }
    }

    /// A table in it. `None` when the key is absent or no table.
    pub(super) fn table(&mut self, name: &'static str) -> Option<Table<'a>> {
        let raw = self.get(name)?;
        match raw {
            Value::Dict(_, dict) => Some(Table::new(self.check, self.key_of(name), dict)),
            Value::String(..)
            | Value::Char(..)
            | Value::Bool(..)
            | Value::Num(..)
            | Value::Empty(..)
            | Value::Array(..) => {
                let header = self.key_of(name).join(".");
                self.wrong(name, raw, format_args!("a table, [{header}]"));
                None
            }
        }
    }

    /// The tables in it, by their names; what is no table is a mistake. All its keys count as known.
    pub(super) fn tables(self) -> Vec<(String, Table<'a>)> {
        let mut tables = Vec::new();
        for (name, value) in self.dict {
            match value.as_dict() {
                Some(dict) => {
                    let table = Table::new(self.check, self.key_of(name), dict);
                    tables.push((name.clone(), table));
                }
                None => self.wrong(name, value, "a table"),
            }
        }
        tables
    }

    /// Its value as it is, for somebody else to check.
    pub(super) fn raw(&mut self, name: &'static str) -> Option<&'a Value> {
        self.get(name)
    }

    /// Tells every key that nobody asked for.
    pub(super) fn finish(self) {
        for name in self.dict.keys() {
            if self.known.contains(&name.as_str()) {
                continue;
            }
            let nearest = self
                .known
                .iter()
                .map(|known| (distance(name, known), known))
                .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
                .min();
            match nearest {
                Some((_, known)) => self.mistake(
                    name,
                    format_args!("found an unknown key, right would be `{known}`"),
                ),
                None => self.mistake(
                    name,
                    format_args!(
                        "found an unknown key, right would be one of: {}",
                        self.known.join(", ")
                    ),
                ),
            }
        }
    }
}

/// A value as a mistake names it.
pub(super) fn found_text(value: &Value) -> String {
    /// What is shown of a long text.
    const SHOWN: usize = 60;
    match value {
        Value::String(_, text) if text.chars().count() > SHOWN => {
            let begin: String = text.chars().take(SHOWN).collect();
            format!("{begin:?}...")
        }
        Value::String(_, text) => format!("{text:?}"),
        Value::Char(_, letter) => format!("\"{letter}\""),
        Value::Bool(_, truth) => truth.to_string(),
        Value::Num(_, number) => {
            let whole = number
                .to_i128()
                .map(|whole| whole.to_string())
                .or_else(|| number.to_u128().map(|whole| whole.to_string()));
            whole
                .or_else(|| number.to_f64().map(|number| number.to_string()))
                .unwrap_or_else(|| String::from("a number"))
        }
        Value::Empty(..) => String::from("nothing"),
        Value::Dict(..) => String::from("a table"),
        Value::Array(..) => String::from("an array"),
    }
}

/// Levenshtein's distance: how many letters to change, add or leave out.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

/// A place outside all documents: for mistakes about what the flags left open.
pub(super) fn flag_mistake(flag: &str, text: impl Display) -> Mistake {
    Mistake::new(Place::Flag(flag.to_owned()), "", text)
}
