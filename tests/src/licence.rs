//! SPDX licence expressions, as far as manifests use them.

/// A parsed expression.
#[derive(Debug, PartialEq, Eq)]
pub enum Licence {
    /// One licence, with its exception if it has one: `Apache-2.0 WITH LLVM-exception`.
    One(String),
    /// All of them hold.
    All(Vec<Licence>),
    /// The taker chooses.
    Any(Vec<Licence>),
}

impl Licence {
    /// Parses `A OR (B AND C)`; the old spelling `A/B` is read as a choice.
    ///
    /// # Errors
    /// What was found where something else was due.
    pub fn parse(text: &str) -> Result<Self, String> {
        let spaced = text
            .replace('(', " ( ")
            .replace(')', " ) ")
            .replace('/', " OR ");
        let mut words = Words {
            words: spaced.split_whitespace().collect(),
            at: 0,
        };
        let licence = any(&mut words)?;
        match words.next() {
            None => Ok(licence),
            Some(word) => Err(format!("`{word}` where the expression should end")),
        }
    }

    /// Whether what `allowed` says yes to is enough.
    #[must_use]
    pub fn met_by(&self, allowed: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::One(name) => allowed(name),
            Self::All(parts) => parts.iter().all(|p| p.met_by(allowed)),
            Self::Any(parts) => parts.iter().any(|p| p.met_by(allowed)),
        }
    }
}

struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.at).copied();
        self.at += 1;
        word
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = self.words.get(self.at) == Some(&word);
        if there {
            self.at += 1;
        }
        there
    }
}

fn any(words: &mut Words<'_>) -> Result<Licence, String> {
    let mut parts = vec![all(words)?];
    while words.takes("OR") {
        parts.push(all(words)?);
    }
    Ok(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Licence::Any(parts)
    })
}

fn all(words: &mut Words<'_>) -> Result<Licence, String> {
    let mut parts = vec![one(words)?];
    while words.takes("AND") {
        parts.push(one(words)?);
    }
    Ok(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Licence::All(parts)
    })
}

fn one(words: &mut Words<'_>) -> Result<Licence, String> {
    if words.takes("(") {
        let inner = any(words)?;
        return if words.takes(")") {
            Ok(inner)
        } else {
            Err("a `)` is missing".to_owned())
        };
    }
    match words.next() {
        Some(word) if !matches!(word, ")" | "AND" | "OR" | "WITH") => {
            if words.takes("WITH") {
                let exception = words.next().ok_or("an exception is missing after WITH")?;
                return Ok(Licence::One(format!("{word} WITH {exception}")));
            }
            Ok(Licence::One(word.to_owned()))
        }
        Some(word) => Err(format!("`{word}` where a licence should stand")),
        None => Err("a licence is missing at the end".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(text: &str) -> bool {
        Licence::parse(text)
            .unwrap()
            .met_by(&|name| matches!(name, "MIT" | "Zlib"))
    }

    #[test]
    fn a_choice_needs_one_and_a_sum_needs_all() {
        assert!(met("MIT OR GPL-3.0"));
        assert!(met("GPL-3.0/MIT"));
        assert!(!met("MIT AND GPL-3.0"));
        assert!(met("(MIT OR GPL-3.0) AND Zlib"));
        assert!(!met("MIT AND (GPL-3.0 OR ISC)"));
        assert!(met("GPL-3.0 AND ISC OR MIT"));
        assert!(!met("MIT WITH strange-exception"));
    }

    #[test]
    fn a_broken_expression_is_no_licence() {
        for bad in [
            "", "MIT OR", "(MIT", "MIT)", "MIT Zlib", "AND MIT", "MIT WITH",
        ] {
            assert!(Licence::parse(bad).is_err(), "{bad}");
        }
    }
}
