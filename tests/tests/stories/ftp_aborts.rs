//! ABOR in the middle of transfers, before each server: 426 for the transfer, then 226 for the ABOR, and the
//! session goes on. With Telnet's Synch as urgent data, as clients of RFC 959 send it, and as a plain line.

use std::path::Path;
use std::time::Duration;

use director_tests::ftp::cluster::{Cluster, Fault, Plan};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::ftp::talk::Talk;
use director_tests::process;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(30);
const SIZE: usize = 8_000_000;

fn fill(home: &Path) -> std::io::Result<()> {
    content::file(&home.join("big"), &content::bytes(1, SIZE))
}

/// Says ABOR, and takes both replies in their order.
async fn abort(talk: &mut Talk, urgent: bool) {
    if urgent {
        // IAC IP IAC DM.
        talk.write_urgent(b"\xff\xf4\xff\xf2").await.unwrap();
    }
    talk.write(b"ABOR\r\n").await.unwrap();
    talk.expect(426).await.unwrap();
    talk.expect(226).await.unwrap();
}

/// The session moves files both ways.
async fn goes_on(talk: &mut Talk) {
    talk.say("SIZE big", 213).await.unwrap();
    talk.say(format!("REST {}", SIZE - 10), 350).await.unwrap();
    let (replies, bytes) = talk.receive("RETR big").await.unwrap();
    assert_eq!(replies[1].code, 226, "{replies:?}");
    assert!(bytes == content::bytes(1, SIZE)[SIZE - 10..], "{bytes:?}");
    let replies = talk.send("STOR small", b"0123456789").await.unwrap();
    assert_eq!(replies[1].code, 226, "{replies:?}");
    let (_, bytes) = talk.receive("RETR small").await.unwrap();
    assert_eq!(bytes, b"0123456789");
}

async fn aborts(kind: Kind) {
    let plan = Plan::of(&[kind; 2]).rate(1_000_000);
    let mut cluster = Cluster::start(&plan, fill).await.unwrap();
    let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
    talk.say("TYPE I", 200).await.unwrap();
    for urgent in [true, false] {
        let mut data = talk.passive().await.unwrap();
        talk.say("RETR big", 150).await.unwrap();
        data.read_exact(&mut [0; 50_000]).await.unwrap();
        abort(&mut talk, urgent).await;
        drop(data);
        goes_on(&mut talk).await;
        let mut data = talk.passive().await.unwrap();
        talk.say("STOR aborted", 150).await.unwrap();
        data.write_all(&content::bytes(2, 200_000)).await.unwrap();
        abort(&mut talk, urgent).await;
        drop(data);
        goes_on(&mut talk).await;
        let replies = talk.send("STOR aborted", b"whole").await.unwrap();
        assert_eq!(replies[1].code, 226, "{replies:?}");
        let held = std::fs::read(cluster.home(0).join("aborted")).unwrap();
        assert_eq!(held, b"whole");
    }
    // While the server stands still, and after.
    let mut data = talk.passive().await.unwrap();
    talk.say("RETR big", 150).await.unwrap();
    data.read_exact(&mut [0; 50_000]).await.unwrap();
    let carrier = cluster.carrier("/big").unwrap().unwrap();
    cluster.hurt(carrier, Fault::Stop, "/big").await.unwrap();
    abort(&mut talk, true).await;
    drop(data);
    goes_on(&mut talk).await;
    cluster.mend(carrier, Fault::Stop).await.unwrap();
}

#[test]
fn an_abort_before_vsftpd_ends_the_transfer_and_not_the_session() {
    story(90, || aborts(Kind::Vsftpd));
}

#[test]
fn an_abort_before_proftpd_ends_the_transfer_and_not_the_session() {
    story(90, || aborts(Kind::Proftpd));
}

#[test]
fn an_abort_before_pureftpd_ends_the_transfer_and_not_the_session() {
    story(90, || aborts(Kind::Pureftpd));
}

#[test]
fn an_abort_while_an_upload_looks_for_another_server_ends_it() {
    story(90, || async {
        let plan = Plan::of(&[Kind::Vsftpd, Kind::Proftpd]);
        let mut cluster = Cluster::start(&plan, fill).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        talk.say("TYPE I", 200).await.unwrap();
        let mut data = talk.passive().await.unwrap();
        talk.say("STOR aborted", 150).await.unwrap();
        data.write_all(&content::bytes(2, 200_000)).await.unwrap();
        process::until("a server takes it", SOON, || {
            !cluster.writers().unwrap().is_empty()
        })
        .await
        .unwrap();
        for number in 0..2 {
            cluster.hurt(number, Fault::Kill, "").await.unwrap();
        }
        abort(&mut talk, true).await;
        drop(data);
        for number in 0..2 {
            cluster.mend(number, Fault::Kill).await.unwrap();
        }
        cluster.director.all_up(SOON).await.unwrap();
        goes_on(&mut talk).await;
    });
}
