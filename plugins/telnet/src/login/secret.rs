//! What is typed for a login, from where it stands: the one thing that an instance reads at its making.

use std::io::Read;
use std::path::Path;

use zeroize::{Zeroize, Zeroizing};

/// Most bytes of a secret.
const LONGEST: usize = 4096;

/// The first line of a file.
///
/// # Errors
///
/// What was found instead, and what would be right.
pub(crate) fn of_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mistake = |found: String| {
        let path = path.display();
        format!("{path}: {found}; a file whose first line is what is typed is right")
    };
    // Made at once, so that no copy is left where a smaller one stood.
    let mut text = Zeroizing::new(Vec::with_capacity(2 * LONGEST));
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut text))
        .map_err(|error| mistake(error.to_string()))?;
    if text.len() > LONGEST {
        return Err(mistake(format!("more than {LONGEST} bytes were found")));
    }
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    let end = end.unwrap_or(text.len());
    text[end..].zeroize();
    text.truncate(end);
    checked(text).map_err(mistake)
}

/// The value of an environment variable of the director's.
///
/// # Errors
///
/// As [`of_file`].
pub(crate) fn of_environment(name: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let mistake = |found: String| {
        format!("{name}: {found}; the name of a variable that holds what is typed is right")
    };
    let value = std::env::var(name).map_err(|error| mistake(error.to_string()))?;
    let value = Zeroizing::new(value);
    if value.len() > LONGEST {
        return Err(mistake(format!("more than {LONGEST} bytes were found")));
    }
    checked(of_text(&value)).map_err(mistake)
}

/// A text of the config's.
pub(crate) fn of_text(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 2));
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn checked(text: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, String> {
    if text.is_empty() {
        return Err("an empty first line was found".to_owned());
    }
    if text.iter().any(u8::is_ascii_control) {
        return Err("a control character was found in it".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_s_first_line_is_the_secret() {
        let path = std::env::temp_dir().join(format!("director-telnet-{}", std::process::id()));
        for (text, right) in [
            ("open sesame\nrest", Ok("open sesame")),
            ("open\r\n", Ok("open")),
            ("\nx", Err("empty")),
            ("a\u{1b}b", Err("control")),
            (&"x".repeat(LONGEST + 1), Err("more than")),
        ] {
            std::fs::write(&path, text).unwrap();
            match (of_file(&path), right) {
                (Ok(found), Ok(right)) => assert_eq!(&*found, right.as_bytes()),
                (Err(found), Err(right)) => assert!(found.contains(right), "{found}"),
                (found, right) => panic!("{found:?} instead of {right:?}"),
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert!(of_file(&path).unwrap_err().contains("director-telnet"));
    }

    #[test]
    fn a_variable_that_is_not_there_is_a_mistake() {
        let mistake = of_environment("DIRECTOR_TELNET_NOT_THERE").unwrap_err();
        assert!(mistake.starts_with("DIRECTOR_TELNET_NOT_THERE: "));
    }
}
