//! Where a plugin's library is.

use std::path::{Path, PathBuf};

/// Searched last.
const SYSTEM: &str = "/usr/lib/director/plugins";

/// A plugin that is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no plugin {name:?}; looked for {}", list(.looked))]
pub struct NotFound {
    /// As the config has it.
    pub name: String,
    /// Every file that was looked for.
    pub looked: Vec<PathBuf>,
}

fn list(files: &[PathBuf]) -> String {
    let files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    files.join(", ")
}

/// Finds a plugin's library. A name with a slash is its path; any other is looked for as
/// `libdirector_NAME.so` in `path`, beside this program, and in `/usr/lib/director/plugins`.
///
/// # Errors
/// [`NotFound`], with every file that was looked for.
pub fn find(name: &str, path: &[PathBuf]) -> Result<PathBuf, NotFound> {
    let files = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        // Cargo writes a library's dashes as underscores.
        let file = format!("libdirector_{}.so", name.replace('-', "_"));
        let beside = std::env::current_exe()
            .ok()
            .and_then(|exe| exe.parent().map(Path::to_owned));
        path.iter()
            .cloned()
            .chain(beside)
            .chain([PathBuf::from(SYSTEM)])
            .map(|dir| dir.join(&file))
            .collect()
    };
    match files.iter().find(|file| file.is_file()) {
        Some(file) => Ok(file.clone()),
        None => Err(NotFound {
            name: name.to_owned(),
            looked: files,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_order_and_told_when_it_is_nowhere() {
        let told = find("no-such", &[PathBuf::from("/first")]).unwrap_err();
        assert_eq!(told.looked.len(), 3);
        assert_eq!(told.looked[0], Path::new("/first/libdirector_no_such.so"));
        assert_eq!(
            told.looked[2],
            Path::new("/usr/lib/director/plugins/libdirector_no_such.so")
        );
        let text = told.to_string();
        assert!(
            text.starts_with(
                "there is no plugin \"no-such\"; looked for /first/libdirector_no_such.so, "
            ),
            "{text}"
        );
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let told = find("./no/such.so", &[]).unwrap_err();
        assert_eq!(told.looked, [PathBuf::from("./no/such.so")]);
        let this = std::env::current_exe().unwrap();
        assert_eq!(find(&this.display().to_string(), &[]), Ok(this));
    }
}
