//! What is said about certificates and keys that cannot be used.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// A directory of its own, gone at the end.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        let name = format!("director-pem-{:x}", crate::chance::number());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    }

    /// What is said about these two files, without the directory.
    fn told(&self, certificate: &Path, key: &Path) -> Vec<(&'static str, String)> {
        let settings = TlsSettings {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            listen: None,
        };
        let prefix = format!("{}/", self.0.display());
        let unusable = Server::load(&settings).err().unwrap_or_default();
        unusable
            .into_iter()
            .map(|unusable| (unusable.key, unusable.text.replace(&prefix, "")))
            .collect()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A certificate and its key, PEM.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn certificate_and_key_are_read_and_every_mistake_in_them_is_told() {
    let dir = Dir::new();
    let (certificate, key) = pair();
    let (_, other) = pair();
    let sound = dir.file("cert.pem", &certificate, 0o644);
    let sound_key = dir.file("key.pem", &key, 0o640);
    assert_eq!(dir.told(&sound, &sound_key), []);
    let absent = dir.0.join("absent.pem");
    let told = dir.told(&absent, &absent);
    assert_eq!(told.len(), 2, "both at once: {told:?}");
    assert_eq!((told[0].0, told[1].0), ("certificate", "key"));
    let begin = "found \"absent.pem\", which cannot be read: ";
    assert!(
        told.iter().all(|(_, text)| text.starts_with(begin)),
        "{told:?}"
    );
    let cases = [
        (
            dir.file("a.pem", "nothing of the kind\n", 0o600),
            "which has no certificate",
        ),
        (dir.file("b.pem", &key, 0o600), "which has no certificate"),
        (
            dir.file("c.pem", &certificate.replace("-----END", "----"), 0o600),
            "the end `-----END CERTIFICATE-----` is missing",
        ),
        (
            dir.file("d.pem", &certificate.replace("MII", "M!!"), 0o600),
            "its base64 is broken",
        ),
        (dir.0.clone(), "which is no file"),
    ];
    for (file, why) in cases {
        let told = dir.told(&file, &sound_key);
        let [("certificate", text)] = &told[..] else {
            panic!("{file:?}: {told:?}")
        };
        assert!(text.contains(why), "{text}");
    }
    let cases = [
        (
            dir.file("e.pem", &certificate, 0o600),
            "which has no private key",
        ),
        (
            dir.file("f.pem", &key, 0o644),
            "others than its owner may read or change (mode 644)",
        ),
        (dir.file("g.pem", &key, 0o660), "(mode 660)"),
        (
            dir.file("h.pem", &other, 0o600),
            "which is not the key of \"cert.pem\"",
        ),
        (
            dir.file(
                "i.pem",
                &key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
                0o600,
            ),
            "which has no private key; right would be",
        ),
    ];
    for (file, why) in cases {
        let told = dir.told(&sound, &file);
        let [("key", text)] = &told[..] else {
            panic!("{file:?}: {told:?}")
        };
        assert!(text.contains(why), "{text}");
    }
    let bad =
        format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{certificate}");
    let bad = dir.file("j.pem", &bad, 0o600);
    let told = dir.told(&bad, &sound_key);
    assert!(
        told[0].1.contains("whose first certificate is not right"),
        "{told:?}"
    );
}

#[test]
fn authorities_that_are_none_are_told() {
    let dir = Dir::new();
    let load = |path: &Path| {
        Nodes::load(&NodeTlsSettings {
            trust: Trust::Authorities(path.to_owned()),
            server_name: None,
            first: false,
        })
    };
    let (certificate, _) = pair();
    assert!(load(&dir.file("ca.pem", &certificate, 0o644)).is_ok());
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let told = load(&dir.file("junk.pem", junk, 0o644)).unwrap_err();
    assert_eq!(told[0].key, "ca");
    assert!(told[0].text.contains("a certificate of no use"), "{told:?}");
    let told = load(&dir.0.join("absent.pem")).unwrap_err();
    assert!(told[0].text.contains("which cannot be read"), "{told:?}");
}
