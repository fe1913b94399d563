//! Libraries of every kind: each mistake has its own words, and no code runs before the judgement.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

use director_abi as abi;

use crate::host::{Library, LoadError, inspect};

/// A directory that goes with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("director-loader-{}-{nth}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn mark(&self) -> PathBuf {
        self.0.join("mark")
    }

    /// A library of `library.c`, with these macros.
    fn library(&self, macros: &[&str]) -> PathBuf {
        self.library_with("include", macros)
    }

    /// The same, with the header in that directory of director-abi.
    fn library_with(&self, header: &str, macros: &[&str]) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let library = self.0.join("libnear.so");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-std=c11", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(format!("-DMARK=\"{}\"", self.mark().display()))
            .args(macros.iter().map(|each| format!("-D{each}")))
            .arg("-I")
            .arg(here.join("../director-abi").join(header))
            .arg(here.join("src/host/tests/library.c"))
            .status()
            .unwrap();
        assert!(status.success());
        library
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Loads what the macros make of the library, in vain and without running any of it.
fn refused(macros: &[&str]) -> (LoadError, String) {
    let place = Place::new();
    let error = Library::load(&place.library(macros)).unwrap_err();
    assert!(!place.mark().exists(), "its code ran: {error}");
    let words = error.to_string();
    assert!(words.contains("libnear.so"), "{words}");
    (error, words)
}

#[test]
fn a_plugin_in_c_is_inspected_without_running_and_then_loaded_and_begun_once() {
    let place = Place::new();
    let library = place.library(&[]);
    let told = inspect(&library).unwrap();
    assert!(!place.mark().exists(), "inspection ran its code");
    assert_eq!(
        (told.name.as_str(), told.version.as_str(), told.sdk.as_str()),
        ("near", "1.2", "C")
    );
    assert_eq!(told.target, abi::TARGET);
    assert!(told.pooled_links && told.panics_unwind);
    told.check().unwrap();
    let loaded = Library::load(&library).unwrap();
    assert!(place.mark().exists());
    assert_eq!(*loaded.describe(), told, "the file and the memory agree");
    // Begun a second time, it would make no instance.
    let again = Library::load(&library).unwrap();
    assert!(std::sync::Arc::ptr_eq(&loaded.plugin, &again.plugin));
}

#[test]
fn a_plugin_built_for_abi_1_0_is_loaded() {
    let place = Place::new();
    // The header as it was then; it does not change.
    let library = place.library_with("tests/1.0", &[]);
    let loaded = Library::load(&library).unwrap();
    let told = loaded.describe();
    assert_eq!((told.name.as_str(), told.abi_minor), ("near", 0));
}

#[test]
fn what_is_not_there_and_what_is_no_library() {
    let missing = Library::load(Path::new("/nowhere/libnear.so")).unwrap_err();
    assert!(
        matches!(missing, LoadError::Unreadable { .. }),
        "{missing:?}"
    );
    let place = Place::new();
    let directory = Library::load(&place.0).unwrap_err();
    assert!(
        matches!(directory, LoadError::NotAFile { .. }),
        "{directory:?}"
    );
    let text = place.0.join("libtext.so");
    for found in ["", "hello", "\x7fELF", "\x7fELF\x02\x01\x01"] {
        fs::write(&text, found).unwrap();
        let error = Library::load(&text).unwrap_err();
        assert!(
            matches!(error, LoadError::NotALibrary { .. }),
            "{found:?}: {error:?}"
        );
    }
}

#[test]
fn a_library_that_is_no_plugin_or_one_for_another_director() {
    let (error, words) = refused(&["NO_PLUGIN"]);
    assert!(matches!(error, LoadError::NoPlugin { .. }), "{error:?}");
    assert!(words.contains("director_plugin_v1"), "{words}");
    let (error, words) = refused(&["SYMBOL=director_plugin_v2"]);
    assert!(
        matches!(error, LoadError::OtherMajor { found: 2, .. }),
        "{error:?}"
    );
    assert!(words.contains("ABI 2"), "{words}");
    let (error, _) = refused(&["ABI_MAJOR=7"]);
    assert!(
        matches!(error, LoadError::OtherMajor { found: 7, .. }),
        "{error:?}"
    );
    let (error, words) = refused(&["MIN_HOST_MINOR=9"]);
    assert!(
        matches!(error, LoadError::NeedsNewerHost { needed: 9, .. }),
        "{error:?}"
    );
    assert!(words.contains("1.9"), "{words}");
    let (error, words) = refused(&["TARGET=\"sparc-sun-solaris\""]);
    assert!(matches!(error, LoadError::OtherTarget { .. }), "{error:?}");
    assert!(
        words.contains("sparc-sun-solaris") && words.contains(abi::TARGET),
        "{words}"
    );
}

#[test]
fn one_whose_panic_would_end_the_director() {
    let (error, words) = refused(&["FLAGS=0"]);
    assert!(matches!(error, LoadError::PanicAborts { .. }), "{error:?}");
    assert!(words.contains("panic"), "{words}");
}

#[test]
fn a_descriptor_that_is_none() {
    for broken in [
        "MAGIC={'D','I','R','E','C','T','R','X'}",
        "SIZE=8",
        "SIZE=0",
        "SIZE=1000000",
    ] {
        let (error, _) = refused(&[broken]);
        assert!(
            matches!(error, LoadError::Garbled { .. }),
            "{broken}: {error:?}"
        );
    }
}

#[test]
fn who_else_may_write_to_it() {
    let place = Place::new();
    let library = place.library(&[]);
    fs::set_permissions(&library, fs::Permissions::from_mode(0o757)).unwrap();
    let error = Library::load(&library).unwrap_err();
    assert!(
        matches!(error, LoadError::WritableByAll { mode: 0o757, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("chmod o-w"), "{error}");
    // Told, and loaded.
    fs::set_permissions(&library, fs::Permissions::from_mode(0o775)).unwrap();
    inspect(&library).unwrap();
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(&library, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(&library, Some(12_345), None).unwrap();
        let error = Library::load(&library).unwrap_err();
        let foreign = matches!(
            error,
            LoadError::ForeignOwner {
                owner: 12_345,
                user: 0,
                ..
            }
        );
        assert!(foreign, "{error:?}");
    }
    assert!(!place.mark().exists());
}

#[test]
fn a_plugin_that_begins_wrongly() {
    let place = Place::new();
    let error = Library::load(&place.library(&["REFUSES=\"out of tea\""])).unwrap_err();
    assert!(matches!(error, LoadError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("out of tea"), "{error}");
    let place = Place::new();
    let error = Library::load(&place.library(&["WITHOUT_RUN"])).unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::Incomplete {
                function: "run",
                ..
            }
        ),
        "{error:?}"
    );
    let place = Place::new();
    let error = Library::load(&place.library(&["KIND=99"])).unwrap_err();
    assert!(error.to_string().contains("400 to 499 mean 99"), "{error}");
}

/// Cut off anywhere, and with any byte of it changed, the file is judged, never believed blindly.
#[test]
fn a_broken_file_is_refused_or_read_and_never_crashes_the_judge() {
    let place = Place::new();
    let whole = fs::read(place.library(&[])).unwrap();
    let broken = place.0.join("libbroken.so");
    for len in (0..whole.len()).step_by(97) {
        fs::write(&broken, &whole[..len]).unwrap();
        let _judged = inspect(&broken);
    }
    for nth in 0..3_000 {
        let mut changed = whole.clone();
        for _ in 0..=(nth % 4) {
            let at = crate::chance::number() as usize % changed.len();
            changed[at] = crate::chance::number() as u8;
        }
        fs::write(&broken, &changed).unwrap();
        let _judged = inspect(&broken);
    }
}
