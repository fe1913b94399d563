//! Mirrors, each server with a home of its own: a download goes on at one that shows, by the proof that is asked
//! for, that it has the same file; one with another file under the same name and size is refused.

use std::path::Path;
use std::time::Duration;

use director_tests::ftp::clients::{self, Client};
use director_tests::ftp::cluster::{Cluster, Fault, Plan, length};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::process;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(60);
const SIZE: usize = 3_000_000;

/// When the first server's file was changed last, in seconds since 1970.
const TIME: u64 = 1_700_000_000;

/// A mirror, and whether a download that was begun at the other may go on at it.
struct Case {
    kind: Kind,
    proof: &'static str,
    /// The second server's file.
    file: fn() -> Vec<u8>,
    time: u64,
    same: bool,
}

fn right() -> Vec<u8> {
    content::bytes(1, SIZE)
}

/// One byte of what has been delivered is another, far from its end.
fn one_byte() -> Vec<u8> {
    let mut bytes = right();
    bytes[5] ^= 1;
    bytes
}

fn another() -> Vec<u8> {
    content::bytes(2, SIZE)
}

fn longer() -> Vec<u8> {
    content::bytes(1, SIZE + 1)
}

/// One byte of what is still to come is another.
fn tail_to_come() -> Vec<u8> {
    let mut bytes = right();
    bytes[SIZE - 1] ^= 1;
    bytes
}

impl Case {
    /// A mirror of the same time.
    fn of(kind: Kind, proof: &'static str, file: fn() -> Vec<u8>, same: bool) -> Self {
        Self {
            kind,
            proof,
            file,
            time: TIME,
            same,
        }
    }

    fn aged(mut self) -> Self {
        self.time += 1;
        self
    }

    fn text(&self, file: &[u8]) -> String {
        let Self {
            kind, proof, time, ..
        } = self;
        let equal = file == right();
        format!("{kind:?}, proof {proof}, time {time}, equal {equal}")
    }
}

fn put(home: &Path, bytes: &[u8], time: u64) {
    let path = home.join("big.bin");
    std::fs::write(&path, bytes).unwrap();
    content::aged(&path, time).unwrap();
}

/// Kills the server that a download is carried by. The other, which has the same or another file, is next.
async fn judge(case: Case) {
    let mut plan = Plan::of(&[case.kind; 2]).separate().rate(2_000_000);
    plan.options += &format!("proof = {:?}\n", case.proof);
    let mut cluster = Cluster::start(&plan, |_| Ok(())).await.unwrap();
    let files = [right(), (case.file)()];
    put(cluster.home(0), &files[0], TIME);
    put(cluster.home(1), &files[1], case.time);
    let local = cluster.folder.join("got");
    let client = clients::start(Client::Curl.fetch(&cluster.place(), "big.bin", &local)).unwrap();
    process::until("bytes come", SOON, || length(&local) > 200_000)
        .await
        .unwrap();
    let carrier = cluster.carried_by("/big.bin").await.unwrap();
    let fault = Fault::Kill;
    cluster.hurt(carrier, fault, "/big.bin").await.unwrap();
    let ended = client.ended(SOON).await.unwrap();
    let got = std::fs::read(&local).unwrap();
    let said = cluster.director.program.stderr();
    let what = case.text(&files[1]);
    assert_eq!(
        ended.status.success(),
        case.same,
        "{what}: {ended:?}\n{said}"
    );
    if case.same {
        assert!(got == files[0], "{what}: {} bytes", got.len());
    } else {
        let begun = &files[carrier];
        let spliced = got.len() >= begun.len() || !begun.starts_with(&got);
        assert!(!spliced, "{what}: spliced, {} bytes", got.len());
    }
}

async fn judge_all(cases: Vec<Case>) {
    for case in cases {
        judge(case).await;
    }
}

#[test]
fn a_mirror_with_another_file_is_refused_by_its_digest() {
    story(120, || {
        judge_all(vec![
            Case::of(Kind::Proftpd, "digest", one_byte, false),
            Case::of(Kind::Proftpd, "any", tail_to_come, false),
            Case::of(Kind::Proftpd, "digest", right, true).aged(),
        ])
    });
}

#[test]
fn a_mirror_that_has_no_digest_is_refused_where_one_is_asked_for() {
    story(120, || {
        judge_all(vec![
            Case::of(Kind::Vsftpd, "digest", right, false),
            Case::of(Kind::Pureftpd, "digest", right, false),
        ])
    });
}

#[test]
fn a_mirror_with_another_file_is_refused_by_its_size_or_time() {
    story(120, || {
        judge_all(vec![
            Case::of(Kind::Vsftpd, "any", longer, false),
            Case::of(Kind::Pureftpd, "any", another, false).aged(),
            Case::of(Kind::Vsftpd, "any", right, true),
        ])
    });
}

#[test]
fn a_mirror_with_another_file_is_refused_by_its_last_bytes() {
    story(120, || {
        judge_all(vec![
            Case::of(Kind::Vsftpd, "tail", another, false),
            Case::of(Kind::Pureftpd, "tail", another, false).aged(),
            Case::of(Kind::Proftpd, "tail", longer, false),
            Case::of(Kind::Vsftpd, "tail", right, true).aged(),
            Case::of(Kind::Pureftpd, "tail", right, true).aged(),
        ])
    });
}
