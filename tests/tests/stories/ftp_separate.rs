//! Servers with a storage each: where uploads and other changes go, and what finds them there.

use std::time::{Duration, Instant};

use director_tests::ftp::cluster::{Cluster, Fault, Plan};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::ftp::talk::Talk;
use director_tests::process;
use tokio::io::AsyncWriteExt;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(30);

const MIXED: [Kind; 3] = [Kind::Proftpd, Kind::Vsftpd, Kind::Pureftpd];

/// A cluster whose primaries are in this order.
async fn cluster(order: [usize; 3]) -> Cluster {
    let mut plan = Plan::of(&MIXED).separate();
    plan.primary = order.to_vec();
    Cluster::start(&plan, |_| Ok(())).await.unwrap()
}

/// The homes that have this.
fn with(cluster: &Cluster, name: &str) -> Vec<usize> {
    let homes = 0..cluster.servers.len();
    homes
        .filter(|number| cluster.home(*number).join(name).exists())
        .collect()
}

async fn stored(talk: &mut Talk, line: &str, bytes: &[u8]) {
    let replies = talk.send(line, bytes).await.unwrap();
    assert_eq!(replies.last().unwrap().code, 226, "{line}: {replies:?}");
}

#[test]
fn uploads_go_to_the_first_primary_that_is_up() {
    story(90, || async {
        let mut cluster = cluster([2, 0, 1]).await;
        for (round, primary) in [2, 0, 1].into_iter().enumerate() {
            let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
            talk.say("TYPE I", 200).await.unwrap();
            let name = format!("up-{round}");
            stored(&mut talk, &format!("STOR {name}"), b"0123456789").await;
            talk.say(format!("MKD dir-{round}"), 257).await.unwrap();
            assert_eq!(with(&cluster, &name), [primary]);
            assert_eq!(with(&cluster, &format!("dir-{round}")), [primary]);
            if round < 2 {
                cluster.hurt(primary, Fault::Kill, "").await.unwrap();
            }
        }
        for number in [2, 0] {
            cluster.mend(number, Fault::Kill).await.unwrap();
        }
        cluster.director.all_up(SOON).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        // One that was away is not waited for by each upload: it is tried again a few seconds later.
        let began = Instant::now();
        for number in 0.. {
            let name = format!("again-{number}");
            stored(&mut talk, &format!("STOR {name}"), b"0123456789").await;
            if with(&cluster, &name) == [2] {
                break;
            }
            assert!(began.elapsed() < SOON, "the first primary is back");
        }
    });
}

#[test]
fn what_was_just_written_is_read_and_changed_where_it_was_written() {
    story(90, || async {
        let mut cluster = cluster([1, 0, 2]).await;
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        talk.say("TYPE I", 200).await.unwrap();
        // Written while the first primary is away: nothing of it is there when it is back.
        cluster.hurt(1, Fault::Kill, "").await.unwrap();
        stored(&mut talk, "STOR up", b"0123456789").await;
        talk.say("MKD dir", 257).await.unwrap();
        stored(&mut talk, "STOR dir/inner", b"inner").await;
        cluster.mend(1, Fault::Kill).await.unwrap();
        cluster.director.all_up(SOON).await.unwrap();
        assert_eq!(with(&cluster, "up"), [0]);
        // Of another session, too.
        for _ in 0..2 {
            let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
            talk.say("TYPE I", 200).await.unwrap();
            talk.say("SIZE up", 213).await.unwrap();
            let (_, bytes) = talk.receive("RETR up").await.unwrap();
            assert_eq!(bytes, b"0123456789");
        }
        stored(&mut talk, "APPE up", b"abc").await;
        talk.say("REST 5", 350).await.unwrap();
        stored(&mut talk, "STOR up", b"FGH").await;
        let held = std::fs::read(cluster.home(0).join("up")).unwrap();
        assert!(held.starts_with(b"01234FGH"), "{held:?}");
        talk.say("RNFR up", 350).await.unwrap();
        talk.say("RNTO other", 250).await.unwrap();
        assert_eq!(with(&cluster, "up"), [0; 0]);
        assert_eq!(with(&cluster, "other"), [0]);
        let (_, bytes) = talk.receive("RETR other").await.unwrap();
        assert_eq!(bytes, held);
        let (_, bytes) = talk.receive("RETR dir/inner").await.unwrap();
        assert_eq!(bytes, b"inner");
        talk.say("DELE dir/inner", 250).await.unwrap();
        talk.say("RMD dir", 250).await.unwrap();
        talk.say("DELE other", 250).await.unwrap();
        talk.say("SIZE other", 550).await.unwrap();
        for number in 0..3 {
            let left = std::fs::read_dir(cluster.home(number)).unwrap().count();
            assert_eq!(left, 0, "server {number}");
        }
    });
}

#[test]
fn an_upload_whose_primary_is_cut_short_by_421_goes_to_the_next() {
    story(90, || async {
        let cluster = cluster([1, 0, 2]).await;
        let content = content::bytes(5, 3_000_000);
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        talk.say("TYPE I", 200).await.unwrap();
        let mut data = talk.passive().await.unwrap();
        talk.say("STOR up", 150).await.unwrap();
        data.write_all(&content[..1_000_000]).await.unwrap();
        let mut file = None;
        process::until("the primary takes it", SOON, || {
            file = cluster.writers().unwrap().into_iter().next();
            file.is_some()
        })
        .await
        .unwrap();
        let file = file.unwrap();
        assert_eq!(file.number, 1, "vsftpd is the first primary");
        cluster.servers[1].say_goodbye(&file.file).await.unwrap();
        data.write_all(&content[1_000_000..]).await.unwrap();
        drop(data);
        talk.expect(226).await.unwrap();
        let (_, bytes) = talk.receive("RETR up").await.unwrap();
        assert!(bytes == content, "{} bytes", bytes.len());
        let at = with(&cluster, "up");
        assert_eq!(at.len(), 1, "{at:?}");
    });
}
