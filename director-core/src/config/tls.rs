//! Checks `[services.NAME.tls]` and `[services.NAME.node_tls]`. The files are read later, with the
//! plugin: what is wrong in them is told at these keys too.

use std::path::PathBuf;

use super::table::Table;
use crate::tls::{NodeTlsSettings, TlsSettings, Trust};

/// TLS towards clients. `Err` only after a mistake was noted.
pub(super) fn towards_clients(service: &mut Table<'_>) -> Result<Option<TlsSettings>, ()> {
    let given = service.has("tls");
    let Some(mut table) = service.table("tls") else {
        return if given { Err(()) } else { Ok(None) };
    };
    let certificate = must_be_file(&mut table, "certificate", "a certificate chain (PEM)");
    let key = must_be_file(&mut table, "key", "the certificate's private key (PEM)");
    let listening = table.has("listen");
    let listen = super::service::address(&mut table, "listen");
    table.finish();
    match (certificate, key) {
        (Some(certificate), Some(key)) if listen.is_some() == listening => Ok(Some(TlsSettings {
            certificate,
            key,
            listen,
        })),
        (_, _) => Err(()),
    }
}

/// TLS towards nodes. `Err` only after a mistake was noted.
pub(super) fn towards_nodes(service: &mut Table<'_>) -> Result<Option<NodeTlsSettings>, ()> {
    const RIGHT: &str = "the file of the authorities that are trusted (PEM), or `verify = false`";
    let given = service.has("node_tls");
    let Some(mut table) = service.table("node_tls") else {
        return if given { Err(()) } else { Ok(None) };
    };
    let (with_ca, with_verify) = (table.has("ca"), table.has("verify"));
    let verify = table.truth("verify", true);
    let ca = file(&mut table, "ca", RIGHT);
    let trust = match (ca, verify) {
        (Some(ca), Some(true)) => Some(Trust::Authorities(ca)),
        (Some(_), Some(false)) => {
            table.mistake(
                "verify",
                "found false beside `ca`, right would be one of them",
            );
            None
        }
        (None, Some(false)) if !with_ca => Some(Trust::Anybody),
        (None, _) if !with_ca && (verify.is_some() || !with_verify) => {
            table.missing("ca", RIGHT);
            None
        }
        (_, _) => None,
    };
    let server_name = server_name(&mut table);
    let first = table.truth("first", false);
    table.finish();
    match (trust, server_name, first) {
        (Some(trust), Ok(server_name), Some(first)) => Ok(Some(NodeTlsSettings {
            trust,
            server_name,
            first,
        })),
        (_, _, _) => Err(()),
    }
}

fn server_name(table: &mut Table<'_>) -> Result<Option<String>, ()> {
    const RIGHT: &str = "a host's name or an IP address";
    let given = table.has("server_name");
    let Some(name) = table.text("server_name", RIGHT) else {
        return if given { Err(()) } else { Ok(None) };
    };
    match crate::tls::named(name.value) {
        Ok(_) => Ok(Some(name.value.to_owned())),
        Err(text) => {
            table.mistake_at(&name, text);
            Err(())
        }
    }
}

fn must_be_file(table: &mut Table<'_>, name: &'static str, right: &str) -> Option<PathBuf> {
    if !table.has(name) {
        // Asked for, so that it is a known key.
        let _absent = table.text(name, right);
        table.missing(name, right);
        return None;
    }
    file(table, name, right)
}

fn file(table: &mut Table<'_>, name: &'static str, right: &str) -> Option<PathBuf> {
    let text = table.text(name, right)?;
    let path = super::absolute(text.value);
    if path.is_none() {
        table.mistake_at(&text, format_args!("found \"\", right would be {right}"));
    }
    path
}
