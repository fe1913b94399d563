//! The table: medians by way, and the ratios that have a bar.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// What a ratio is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// The ratio or more.
    AtLeast(f64),
    /// The ratio or less.
    AtMost(f64),
}

impl From<f64> for Bar {
    fn from(bar: f64) -> Self {
        Self::AtLeast(bar)
    }
}

impl Bar {
    fn met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bar) => value >= bar,
            Self::AtMost(bar) => value <= bar,
        }
    }

    fn told(self) -> String {
        match self {
            Self::AtLeast(bar) => format!(">= {bar}"),
            Self::AtMost(bar) => format!("<= {bar}"),
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured, with its unit.
    pub name: String,
    /// The median of each way.
    pub medians: Vec<(String, f64)>,
    /// What is held to the bar, and the bar.
    pub held: Option<Held>,
}

/// A number with a bar.
#[derive(Debug, Clone)]
pub struct Held {
    /// In words.
    pub what: String,
    /// The number.
    pub value: f64,
    /// The bar.
    pub bar: Bar,
}

impl Figure {
    /// A figure without a bar.
    #[must_use]
    pub fn told(name: String, by_way: &[(&'static str, Vec<f64>)]) -> Self {
        let medians = by_way
            .iter()
            .map(|(way, rounds)| ((*way).to_owned(), median(rounds)))
            .collect();
        Self {
            name,
            medians,
            held: None,
        }
    }

    /// A figure whose ratio between two ways, taken round by round, is held to a bar.
    #[must_use]
    pub fn ratio(
        name: String,
        by_way: &[(&'static str, Vec<f64>)],
        (of, to): (&str, &str),
        bar: Bar,
    ) -> Self {
        let rounds = |way: &str| {
            let found = by_way.iter().find(|(name, _)| *name == way);
            found.map_or(&[][..], |(_, rounds)| rounds)
        };
        let ratios: Vec<f64> = rounds(of)
            .iter()
            .zip(rounds(to))
            .map(|(of, to)| of / to)
            .collect();
        let held = Held {
            what: format!("{of} / {to}"),
            value: median(&ratios),
            bar,
        };
        Self {
            held: Some(held),
            ..Self::told(name, by_way)
        }
    }

    /// A number that is held to a bar itself.
    #[must_use]
    pub fn held(name: String, what: &str, value: f64, bar: Bar) -> Self {
        let held = Held {
            what: what.to_owned(),
            value,
            bar,
        };
        Self {
            name,
            medians: Vec::new(),
            held: Some(held),
        }
    }

    /// Whether it met its bar, if it has one.
    #[must_use]
    pub fn met(&self) -> bool {
        self.held
            .as_ref()
            .is_none_or(|held| held.bar.met(held.value))
    }
}

/// The middle of them; NaN of none.
#[must_use]
pub fn median(numbers: &[f64]) -> f64 {
    quantile(numbers, 0.5)
}

/// The number below which `share` of them are; NaN of none.
#[must_use]
pub fn quantile(numbers: &[f64], share: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let index = (share * last as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The table as text.
#[must_use]
pub fn table(figures: &[Figure]) -> String {
    let mut text = String::new();
    for figure in figures {
        // Writing to a string does not fail.
        let _ok = writeln!(text, "{}", figure.name);
        for (way, median) in &figure.medians {
            let _ok = writeln!(text, "    {way:<14} {median:>12.2}");
        }
        if let Some(held) = &figure.held {
            let verdict = if figure.met() { "met" } else { "MISSED" };
            let (what, value, bar) = (&held.what, held.value, held.bar.told());
            let _ok = writeln!(text, "    {what:<30} {value:.3}   ({bar}: {verdict})");
        }
    }
    text
}

/// The table as JSON.
#[must_use]
pub fn json(figures: &[Figure]) -> Value {
    let one = |figure: &Figure| {
        let medians: serde_json::Map<String, Value> = figure
            .medians
            .iter()
            .map(|(way, median)| (way.clone(), json!(median)))
            .collect();
        let held = figure
            .held
            .as_ref()
            .map(|held| json!({"what": held.what, "value": held.value, "bar": held.bar.told()}));
        json!({"name": figure.name, "medians": medians, "held": held, "met": figure.met()})
    };
    figures.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let by_way = [("a", vec![1.0, 20.0, 3.0]), ("b", vec![1.0, 10.0, 2.0])];
        let figure = Figure::ratio("x".to_owned(), &by_way, ("a", "b"), Bar::AtLeast(1.5));
        assert!(figure.held.as_ref().is_some_and(|held| held.value == 1.5));
        assert!(figure.met());
        let figure = Figure::ratio("x".to_owned(), &by_way, ("a", "b"), Bar::AtMost(1.4));
        assert!(!figure.met());
    }

    #[test]
    fn a_figure_of_nothing_meets_no_bar() {
        let figure = Figure::ratio("x".to_owned(), &[], ("a", "b"), Bar::AtLeast(0.0));
        assert!(!figure.met());
    }

    #[test]
    fn quantiles_of_a_hundred() {
        let numbers: Vec<f64> = (0..101).map(f64::from).collect();
        assert_eq!(quantile(&numbers, 0.99), 99.0);
        assert_eq!(median(&numbers), 50.0);
    }
}
