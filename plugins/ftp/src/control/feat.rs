//! What nodes offer (FEAT, RFC 2389 section 3), and what of it the director offers to clients.
//!
//! A session may be at any node of the cluster, so a client is offered what all of them offer, less what
//! does not pass through the director, and with what the director does itself.

use std::collections::BTreeMap;

use super::reply::Reply;

/// Most features that a node is believed.
const MOST: usize = 200;

/// What one node offers: the features' names in capitals, and what stands behind them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Features(BTreeMap<String, String>);

/// How a feature of all nodes becomes one of the director's.
enum Pass {
    /// As it is.
    Plain,
    /// Only with exactly these parameters at every node.
    Exactly(&'static str),
    /// With the parameters that all nodes have, in the first one's order: a list, and what separates it.
    Common(char),
}

/// What passes through the director. AUTH, PBSZ, PROT, EPSV, EPRT and PASV are its own and not the nodes';
/// CCC, MODE Z, SSCN, CPSV, SPSV, ESTP, RANG, MFF, THMB and whatever else there is does not pass.
const PASSED: &[(&str, Pass)] = &[
    ("CLNT", Pass::Plain),
    ("HASH", Pass::Common(';')),
    ("HOST", Pass::Plain),
    ("LANG", Pass::Common(';')),
    ("MD5", Pass::Plain),
    ("MDTM", Pass::Plain),
    ("MFMT", Pass::Plain),
    ("MLST", Pass::Common(';')),
    ("REST", Pass::Exactly("STREAM")),
    ("SIZE", Pass::Plain),
    ("TVFS", Pass::Plain),
    ("UTF8", Pass::Plain),
    ("XCRC", Pass::Plain),
    ("XMD5", Pass::Plain),
    ("XSHA", Pass::Plain),
    ("XSHA1", Pass::Plain),
    ("XSHA256", Pass::Plain),
    ("XSHA512", Pass::Plain),
];

impl Features {
    /// Out of a reply to FEAT; a node that knows no such command offers nothing.
    pub(crate) fn of(reply: &Reply) -> Self {
        let between = match reply.lines.as_slice() {
            [_, between @ .., _] if reply.code == 211 => between,
            _ => &[],
        };
        let feature = |line: &Vec<u8>| {
            let line = String::from_utf8_lossy(line);
            let line = line.trim();
            let (name, parameters) = line.split_once(' ').unwrap_or((line, ""));
            (name.to_ascii_uppercase(), parameters.trim().to_owned())
        };
        Self(between.iter().take(MOST).map(feature).collect())
    }

    /// Whether it offers a feature of this name, in capitals.
    pub(crate) fn offers(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What stands behind the feature's name.
    pub(crate) fn parameters(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// The lines of the director's reply to FEAT: what passes of what all `nodes` offer, and what it does
/// itself, `own` for this client included.
pub(crate) fn offered<'a>(
    nodes: impl Iterator<Item = &'a Features> + Clone,
    own: &[&str],
) -> Vec<String> {
    let mut lines = vec!["EPRT".to_owned(), "EPSV".to_owned(), "PASV".to_owned()];
    lines.extend(own.iter().map(|line| (*line).to_owned()));
    for (name, pass) in PASSED {
        lines.extend(common(nodes.clone(), name, pass));
    }
    lines.sort_unstable();
    lines
}

fn common<'a>(
    mut nodes: impl Iterator<Item = &'a Features>,
    name: &str,
    pass: &Pass,
) -> Option<String> {
    let first = nodes.next()?.parameters(name)?;
    match pass {
        Pass::Plain => nodes.all(|node| node.offers(name)).then(|| name.to_owned()),
        Pass::Exactly(parameters) => (first == *parameters
            && nodes.all(|node| node.parameters(name) == Some(parameters)))
        .then(|| format!("{name} {parameters}")),
        Pass::Common(separator) => {
            let mut common: Vec<&str> = first.split(*separator).filter(|p| !p.is_empty()).collect();
            for node in nodes {
                let theirs = node.parameters(name)?;
                // An asterisk marks what is switched on, and says nothing of what there is.
                let has = |one: &&str| {
                    let one = one.trim_end_matches('*');
                    theirs
                        .split(*separator)
                        .any(|other| other.trim_end_matches('*').eq_ignore_ascii_case(one))
                };
                common.retain(has);
            }
            let parameters: String = common
                .iter()
                .map(|one| format!("{one}{separator}"))
                .collect();
            let list = match name {
                // RFC 3659 section 7.8 has a semicolon behind the last fact; the others do not.
                "MLST" => parameters.as_str(),
                _ => parameters.trim_end_matches(*separator),
            };
            (!common.is_empty()).then(|| format!("{name} {list}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(lines: &[&str]) -> Features {
        Features::of(&Reply::several(211, "Features:", lines, "End"))
    }

    #[test]
    fn a_client_is_offered_what_all_nodes_have() {
        let a = features(&[
            "AUTH TLS",
            "EPSV",
            "HASH SHA-1*;SHA-256;MD5",
            "MDTM",
            "MLST modify*;perm*;size*;type*;unique*;",
            "MODE Z",
            "REST STREAM",
            "SIZE",
            "UTF8",
        ]);
        let b = features(&[
            "hash sha-256*;sha-512",
            "MDTM",
            "MLST type*;size*;modify;UNIX.mode;",
            "REST STREAM",
            "utf8",
        ]);
        let lines = offered([&a, &b].into_iter(), &[]);
        let expected = [
            "EPRT",
            "EPSV",
            "HASH SHA-256",
            "MDTM",
            "MLST modify*;size*;type*;",
            "PASV",
            "REST STREAM",
            "UTF8",
        ];
        assert_eq!(lines, expected);
        assert!(offered([&a].into_iter(), &["AUTH TLS"]).contains(&"AUTH TLS".to_owned()));
        assert_eq!(offered([].into_iter(), &[]), ["EPRT", "EPSV", "PASV"]);
    }

    #[test]
    fn what_is_no_list_of_features_offers_none() {
        for reply in [Reply::new(211, "no features"), Reply::new(500, "What?")] {
            assert_eq!(Features::of(&reply), Features::default());
        }
        let refused = Reply::several(530, "a", ["SIZE"], "b");
        assert!(!Features::of(&refused).offers("SIZE"));
        assert!(features(&["SIZE"]).offers("SIZE"));
    }
}
