//! The commands, one file each.

use async_trait::async_trait;
use director_sdk::Failure;

use crate::control::conversation::Conversation;

mod abor;
mod acct;
mod allo;
mod appe;
mod asks;
mod auth;
mod cdup;
mod clnt;
mod cwd;
mod dele;
mod eprt;
mod epsv;
mod feat;
mod help;
mod host;
mod lang;
mod list;
mod mfmt;
mod mkd;
mod mlsd;
mod mode;
mod nlst;
mod noop;
mod opts;
mod pass;
mod pasv;
mod pbsz;
mod port;
mod prot;
mod pwd;
mod quit;
mod refused;
mod rein;
mod rest;
mod retr;
mod rmd;
mod rnfr;
mod rnto;
mod site;
mod stat;
mod stor;
mod stou;
mod stru;
mod syst;
mod r#type;
mod user;

/// One command of the client's.
#[async_trait]
pub(crate) trait Verb: Sync {
    /// Its name, in capitals.
    fn name(&self) -> &'static str;

    /// Whether it has an argument; 501 otherwise.
    fn argument(&self) -> Argument;

    /// Whether it may come before the login; 530 otherwise.
    fn before_login(&self) -> bool {
        false
    }

    /// Whether it is performed, and HELP lists it; else it is known and refused.
    fn offered(&self) -> bool {
        true
    }

    /// Performs it, and says its reply. `argument` is empty when there is none.
    ///
    /// # Errors
    ///
    /// The session cannot go on: its streams are reset.
    async fn run(&self, talk: &mut Conversation, argument: &[u8]) -> Result<(), Failure>;
}

/// Whether a command has an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    /// It has none.
    None,
    /// It may have one.
    Optional,
    /// It has one.
    Required,
}

/// Every command that is known, those that are refused included.
static VERBS: &[&dyn Verb] = &[
    &abor::Abor,
    &acct::Acct,
    &refused::Refused("ADAT", 503, "AUTH TLS has no ADAT."),
    &allo::Allo,
    &appe::Appe,
    &auth::Auth,
    &refused::Refused("CCC", 534, "The control connection stays protected."),
    &cdup::Cdup("CDUP"),
    &clnt::Clnt,
    &refused::Refused("COMB", 502, "COMB is not offered."),
    &refused::Refused("CONF", 533, "TLS protects commands."),
    &refused::Refused("CPSV", 502, "CPSV is not offered."),
    &cwd::Cwd("CWD"),
    &dele::Dele,
    &refused::Refused("ENC", 533, "TLS protects commands."),
    &eprt::Eprt,
    &epsv::Epsv,
    &refused::Refused("ESTP", 502, "ESTP is not offered: use EPRT."),
    &feat::Feat,
    &asks::Asks("HASH"),
    &help::Help,
    &host::Host,
    &lang::Lang,
    &list::List,
    &refused::Refused("LPRT", 502, "Use EPRT."),
    &refused::Refused("LPSV", 502, "Use EPSV."),
    &asks::Asks("MD5"),
    &asks::Asks("MDTM"),
    &refused::Refused("MFF", 502, "MFF is not offered: use MFMT."),
    &mfmt::Mfmt,
    &refused::Refused("MIC", 533, "TLS protects commands."),
    &mkd::Mkd("MKD"),
    &mlsd::Mlsd,
    &asks::Asks("MLST"),
    &mode::Mode,
    &nlst::Nlst,
    &noop::Noop,
    &opts::Opts,
    &pass::Pass,
    &pasv::Pasv,
    &pbsz::Pbsz,
    &port::Port,
    &refused::Refused("PRET", 502, "PRET is not offered."),
    &prot::ProtVerb,
    &pwd::Pwd("PWD"),
    &quit::Quit,
    &refused::Refused("RANG", 502, "RANG is not offered: use REST."),
    &rein::Rein,
    &rest::Rest,
    &retr::Retr,
    &rmd::Rmd("RMD"),
    &rnfr::Rnfr,
    &rnto::Rnto,
    &site::Site,
    &asks::Asks("SIZE"),
    &refused::Refused("SMNT", 502, "SMNT is not offered."),
    &refused::Refused("SSCN", 502, "SSCN is not offered."),
    &stat::Stat,
    &stor::Stor,
    &stou::Stou,
    &stru::Stru,
    &syst::Syst,
    &r#type::Type,
    &user::User,
    &asks::Asks("XCRC"),
    &cdup::Cdup("XCUP"),
    &cwd::Cwd("XCWD"),
    &asks::Asks("XMD5"),
    &mkd::Mkd("XMKD"),
    &pwd::Pwd("XPWD"),
    &rmd::Rmd("XRMD"),
    &asks::Asks("XSHA"),
    &asks::Asks("XSHA1"),
    &asks::Asks("XSHA256"),
    &asks::Asks("XSHA512"),
];

/// The command of a name in capitals.
pub(crate) fn find(name: &str) -> Option<&'static dyn Verb> {
    VERBS.iter().find(|verb| verb.name() == name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_known_and_not_listed() {
        for name in ["CPSV", "ESTP", "MFF", "SSCN", "PRET"] {
            assert!(find(name).is_some_and(|verb| !verb.offered()), "{name}");
        }
        assert_eq!(help::of("CCC").code, 502);
        assert_eq!(help::of("WHAT").code, 502);
        assert_eq!(help::of("RETR").code, 214);
        let mut listed = Vec::new();
        help::list().encode(&mut listed);
        let listed = String::from_utf8(listed).unwrap();
        let listed: Vec<&str> = listed.split_whitespace().collect();
        for verb in VERBS {
            let name = verb.name();
            assert_eq!(listed.contains(&name), verb.offered(), "{name}");
        }
    }
}
