//! What cargo knows of this workspace: `cargo metadata`, offline.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One package of the workspace.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The path of its manifest.
    pub manifest: String,
    /// Its direct dependencies, as its manifest says.
    pub dependencies: Vec<Dependency>,
    /// Features: each with what it turns on.
    features: Vec<(String, Vec<String>)>,
}

/// One line of a manifest's dependency tables.
#[derive(Debug)]
pub struct Dependency {
    /// The package's name (not what it is renamed to).
    pub name: String,
    /// Which table it stands in.
    pub kind: Kind,
    /// Only there with a feature.
    pub optional: bool,
    /// It has a path: a crate of this repository.
    pub is_local: bool,
}

/// The table of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[dependencies]`
    Normal,
    /// `[dev-dependencies]`
    Tests,
    /// `[build-dependencies]`
    Build,
}

impl Package {
    /// All features that are on by default, followed through.
    #[must_use]
    pub fn default_features(&self) -> BTreeSet<String> {
        let mut on = BTreeSet::new();
        let mut ahead = vec!["default".to_owned()];
        while let Some(feature) = ahead.pop() {
            let plain = feature.trim_start_matches("dep:").to_owned();
            if !on.insert(plain) {
                continue;
            }
            for (name, turns_on) in &self.features {
                if *name == feature {
                    ahead.extend(turns_on.iter().cloned());
                }
            }
        }
        on
    }
}

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The packages of the workspace.
///
/// # Errors
/// When cargo cannot be run, or says what is not understood.
pub fn workspace() -> io::Result<Vec<Package>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .current_dir(root())
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .arg("--no-deps")
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!("cargo metadata: {said}")));
    }
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let packages = answer["packages"].as_array().into_iter().flatten();
    Ok(packages.map(package).collect())
}

fn package(from: &Value) -> Package {
    let features = from["features"].as_object().into_iter().flatten();
    Package {
        name: text(&from["name"]),
        manifest: text(&from["manifest_path"]),
        dependencies: from["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .map(dependency)
            .collect(),
        features: features
            .map(|(name, on)| {
                (
                    name.clone(),
                    on.as_array().into_iter().flatten().map(text).collect(),
                )
            })
            .collect(),
    }
}

fn dependency(from: &Value) -> Dependency {
    Dependency {
        name: text(&from["name"]),
        kind: match from["kind"].as_str() {
            Some("dev") => Kind::Tests,
            Some("build") => Kind::Build,
            Some(_) | None => Kind::Normal,
        },
        optional: from["optional"].as_bool().unwrap_or(false),
        is_local: from["path"].is_string(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
