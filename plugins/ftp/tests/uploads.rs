//! Uploads and commands with effects, over the plugin: what the nodes hold in the end, and what the client
//! was told of it.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use std::time::Duration;

use director_sdk::testing::{Cut, Wire, World, some_cuts, two_cuts};

use model::Cluster;
use model::client::Client;
use model::server::Settings;
use model::style::Style;
use model::tree::{BEGUN, Tree, content, lines};

const SIZE: usize = 60_000;
/// A ring that holds a part of it, and yet more than what is on its way.
const RING: &str = r#"{"ring": 20000}"#;

fn tree() -> Tree {
    let mut tree = Tree::default();
    tree.put("/pub/old", content(3, 700), BEGUN);
    tree.put("/pub/gone", content(4, 40), BEGUN);
    tree
}

/// The name of the node that serves a session now, of those that have heard `verb`.
fn hears(cluster: &Cluster, verb: &str) -> Option<String> {
    let mut servers = cluster.servers.iter();
    servers
        .find(|server| server.heard_of(verb) > 0)
        .map(|server| server.name.clone())
}

/// Kills the node that takes the upload, once it holds `bytes` of it.
async fn kill_after(world: &World, cluster: &Cluster, path: &str, bytes: usize) -> String {
    loop {
        world.sleep(Duration::from_micros(50)).await;
        let holds = cluster.servers.iter().find(|server| {
            let tree = server.tree.borrow();
            tree.files()
                .iter()
                .any(|(name, held)| name.contains(path) && held.len() >= bytes)
        });
        if let Some(server) = holds {
            let name = hears(cluster, "STOR")
                .or_else(|| hears(cluster, "APPE"))
                .unwrap_or_else(|| server.name.clone());
            world.kill(&name);
            return name;
        }
    }
}

struct Story {
    settings: Settings,
    options: &'static str,
    separate: bool,
}

impl Story {
    fn shared(options: &'static str) -> Self {
        Self {
            settings: Settings {
                rate: 10_000_000,
                ..Settings::of(Style::Proftpd)
            },
            options,
            separate: false,
        }
    }

    fn separate(options: &'static str) -> Self {
        Self {
            separate: true,
            ..Self::shared(options)
        }
    }

    /// Runs it over three servers.
    fn run<T>(&self, talk: impl AsyncFn(&World, &Cluster, &mut Client) -> T) -> T {
        let world = World::seeded(1);
        world.buffers(4096, 1024);
        let settings = [
            self.settings.clone(),
            self.settings.clone(),
            self.settings.clone(),
        ];
        let cluster = if self.separate {
            Cluster::separate(&settings, &tree())
        } else {
            Cluster::shared(&settings, tree())
        };
        cluster.start(&world, self.options);
        let told = world.run(async {
            let mut client = Client::logged_in(&world).await;
            let told = talk(&world, &cluster, &mut client).await;
            client.quit().await;
            told
        });
        let left = world.finish();
        assert_eq!(
            (left.left_behind, left.cancelled, left.panics),
            (0, 0, 0),
            "{left:?}"
        );
        told
    }
}

fn file(cluster: &Cluster, server: usize, path: &str) -> Option<Vec<u8>> {
    let tree = cluster.servers[server].tree.borrow();
    let files = tree.files();
    let found = files.into_iter().find(|(name, _)| name == path);
    found.map(|(_, bytes)| bytes)
}

/// An upload whose node is killed when it holds so many bytes: the code, and the file.
fn killed(story: &Story, command: &str, bytes: &[u8], at: usize) -> (u16, Option<Vec<u8>>) {
    story.run(async |world, cluster, client| {
        let (code, _) = futures_util::future::join(
            client.store(command, bytes),
            kill_after(world, cluster, "up", at),
        )
        .await;
        (code, file(cluster, 0, "/pub/up"))
    })
}

#[test]
fn with_shared_storage_it_is_resumed_out_of_the_ring() {
    let sent = content(7, SIZE);
    for at in [0, 1, 9_000, 30_000, SIZE - 1, SIZE] {
        let (code, stored) = killed(&Story::shared(RING), "STOR /pub/up", &sent, at);
        assert!(
            code == 226 && stored.as_ref() == Some(&sent),
            "{at}: {code}"
        );
    }
}

#[test]
fn servers_that_let_nobody_restart_an_upload_append() {
    let sent = content(7, SIZE);
    let mut story = Story::shared(RING);
    story.settings.restart_stores = false;
    let (code, stored) = killed(&story, "STOR /pub/up", &sent, 40_000);
    assert!(code == 226 && stored.as_ref() == Some(&sent), "{code}");
}

#[test]
fn an_upload_that_its_server_discards_is_not_made_up() {
    let sent = content(7, SIZE);
    let mut story = Story::shared(RING);
    story.settings.discards = true;
    let (code, stored) = killed(&story, "STOR /pub/up", &sent, 40_000);
    assert!(
        code == 226 && stored.as_ref() == Some(&sent) || matches!(code, 426 | 451),
        "{code}"
    );
}

#[test]
fn an_append_is_gone_on_with() {
    let sent = content(7, SIZE);
    let right = [content(3, 700), sent.clone()].concat();
    for at in [700, 2000, 40_000, SIZE + 699] {
        let story = Story::shared(RING);
        let (code, stored) = story.run(async |world, cluster, client| {
            let (code, _) = futures_util::future::join(
                client.store("APPE /pub/old", &sent),
                kill_after(world, cluster, "old", at.max(701)),
            )
            .await;
            (code, file(cluster, 0, "/pub/old"))
        });
        assert!(
            code == 226 && stored.as_ref() == Some(&right),
            "{at}: {code}"
        );
    }
}

#[test]
fn text_is_sent_anew_when_all_of_it_is_kept() {
    let text = lines(5, 9_000);
    let sent = String::from_utf8(text.clone())
        .unwrap()
        .replace('\n', "\r\n");
    let story = Story::shared(RING);
    let (code, stored) = story.run(async |world, cluster, client| {
        client.ask("TYPE A").await;
        let (code, _) = futures_util::future::join(
            client.store("STOR /pub/up", sent.as_bytes()),
            kill_after(world, cluster, "up", 4_000),
        )
        .await;
        (code, file(cluster, 0, "/pub/up"))
    });
    assert!(code == 226 && stored.as_ref() == Some(&text), "{code}");
}

#[test]
fn what_is_not_kept_is_told_and_never_spliced() {
    let sent = content(7, SIZE);
    // Less than what is on its way is as good as nothing.
    for options in [r#"{"ring": 0}"#, r#"{"ring": 1}"#] {
        let (code, stored) = killed(&Story::shared(options), "STOR /pub/up", &sent, 20_000);
        let stored = stored.unwrap();
        assert!(matches!(code, 426 | 451), "{code}");
        assert!(sent.starts_with(&stored), "spliced");
    }
}

/// A stopped server that appends adds what lies in its sockets when it wakes, wherever the end is by then.
#[test]
fn nobody_goes_on_beside_a_silent_server_that_may_still_append() {
    let sent = content(7, SIZE);
    Story::shared(RING).run(async |world, cluster, client| {
        let (code, _) = futures_util::future::join(client.store("APPE /pub/up", &sent), async {
            loop {
                world.sleep(Duration::from_micros(50)).await;
                if file(cluster, 0, "/pub/up").is_some_and(|held| held.len() > 20_000) {
                    world.silence(&hears(cluster, "APPE").unwrap());
                    return;
                }
            }
        })
        .await;
        assert!(matches!(code, 426 | 451), "{code}");
        let heard = cluster.servers.iter();
        let heard: usize = heard.map(|s| s.heard_of("APPE") + s.heard_of("STOR")).sum();
        assert_eq!(heard, 1, "another went on");
        assert!(sent.starts_with(&file(cluster, 0, "/pub/up").unwrap()));
    });
    // One that has stored all it was sent has nothing to add.
    Story::shared(RING).run(async |world, cluster, client| {
        let mut data = begin(client, "APPE /pub/up", &sent[..9_000]).await;
        world.sleep(Duration::from_secs(1)).await;
        world.silence(&hears(cluster, "APPE").unwrap());
        data.close();
        assert_eq!(client.reply().await.code, 226, "{:?}", client.transcript);
        assert_eq!(file(cluster, 0, "/pub/up").as_deref(), Some(&sent[..9_000]));
    });
}

const PRIMARY: &str = r#"{"storage": "separate", "primary": ["b", "a"], "tell": true}"#;

#[test]
fn with_separate_storage_the_first_primary_takes_it_and_then_the_next() {
    let sent = content(7, SIZE);
    let story = Story::separate(PRIMARY);
    story.run(async |world, cluster, client| {
        assert_eq!(client.store("STOR /pub/one", &sent).await, 226);
        assert_eq!(file(cluster, 1, "/pub/one").as_ref(), Some(&sent));
        assert_eq!(file(cluster, 0, "/pub/one"), None);
        let (code, killed) =
            futures_util::future::join(client.store("STOR /pub/two", &sent), async {
                loop {
                    world.sleep(Duration::from_micros(50)).await;
                    let held = cluster.servers[1].tree.borrow().files();
                    let half = |(name, held): &(String, Vec<u8>)| {
                        name.contains(".upload-") && held.len() > 30_000
                    };
                    if held.iter().any(half) {
                        world.kill("b");
                        return "b";
                    }
                }
            })
            .await;
        assert_eq!((code, killed), (226, "b"));
        assert_eq!(file(cluster, 0, "/pub/two").as_ref(), Some(&sent));
        assert_eq!(file(cluster, 1, "/pub/two"), None);
        let names = cluster.servers[0].tree.borrow().files();
        assert!(names.iter().all(|(name, _)| !name.contains(".upload-")));
        // The third is none of the primaries.
        assert_eq!(cluster.servers[2].heard_of("STOR"), 0);
    });
}

/// Kills the first primary in mid-upload; the second takes it. What the first keeps is its temporary file.
async fn left_at_the_first(world: &World, cluster: &Cluster, client: &mut Client, sent: &[u8]) {
    let (code, _) = futures_util::future::join(client.store("STOR /pub/two", sent), async {
        while temporary(cluster, 1) == 0 {
            world.sleep(Duration::from_micros(50)).await;
        }
        world.kill("b");
    })
    .await;
    assert_eq!((code, temporary(cluster, 1)), (226, 1));
}

/// Temporary files at a server.
fn temporary(cluster: &Cluster, server: usize) -> usize {
    let files = cluster.servers[server].tree.borrow().files();
    let names = files.iter();
    names.filter(|(name, _)| name.contains("upload-")).count()
}

#[test]
fn a_temporary_file_that_a_lost_server_kept_is_deleted_when_it_is_back() {
    let sent = content(7, SIZE);
    Story::separate(PRIMARY).run(async |world, cluster, client| {
        // A relative name, from where the session is.
        client.ask("CWD /pub").await;
        left_at_the_first(world, cluster, client, &sent).await;
        world.revive("b");
        world.sleep(Duration::from_secs(10)).await;
        let mut other = Client::logged_in(world).await;
        assert_eq!(other.store("STOR /pub/three", &sent).await, 226);
        assert_eq!(file(cluster, 1, "/pub/three").as_ref(), Some(&sent));
        assert_eq!(temporary(cluster, 1), 0);
        // Once, and nothing else.
        assert_eq!(cluster.servers[1].heard_of("DELE"), 1);
        assert_eq!(client.ask("NOOP").await.code, 200);
        other.quit().await;
    });
}

#[test]
fn a_server_that_refuses_names_with_a_dot_is_given_others() {
    let sent = content(7, SIZE);
    let mut story = Story::separate(PRIMARY);
    story.settings.denies = Some(".");
    story.run(async |world, cluster, client| {
        left_at_the_first(world, cluster, client, &sent).await;
        assert_eq!(file(cluster, 0, "/pub/two").as_ref(), Some(&sent));
        assert_eq!(temporary(cluster, 0), 0);
    });
    // One that takes neither is sent it under its own name.
    story.settings.denies = Some("");
    story.run(async |_, cluster, client| {
        assert_eq!(client.store("STOR /pub/two", &sent).await, 553);
        assert_eq!(cluster.servers[1].heard_of("STOR /pub/two"), 1);
    });
}

#[test]
fn every_upload_that_was_not_protected_says_so() {
    let sent = content(7, 9_000);
    let text = lines(5, 30_000);
    let text = String::from_utf8(text).unwrap().replace('\n', "\r\n");
    let last = async |client: &mut Client, command: &str, bytes: &[u8]| {
        let mut data = begin(client, command, bytes).await;
        data.close();
        let reply = client.reply().await;
        assert_eq!(reply.code, 226);
        reply.text.contains("Not protected")
    };
    Story::shared(r#"{"ring": 20000, "tell": true}"#).run(async |_, _, client| {
        assert!(!last(client, "STOR /pub/up", &content(7, SIZE)).await);
        assert!(!last(client, "APPE /pub/up", &content(7, SIZE)).await);
        client.ask("REST 100").await;
        assert!(!last(client, "STOR /pub/up", &sent).await);
        client.ask("REST 100").await;
        assert!(last(client, "STOR /pub/up", &content(7, SIZE)).await);
        assert!(last(client, "STOU", &sent).await);
        client.ask("TYPE A").await;
        assert!(!last(client, "STOR /pub/text", &text.as_bytes()[..9_000]).await);
        assert!(last(client, "STOR /pub/text", text.as_bytes()).await);
    });
    Story::separate(r#"{"storage": "separate", "tell": true}"#).run(async |_, _, client| {
        assert!(!last(client, "STOR /pub/up", &sent).await);
        assert!(last(client, "APPE /pub/up", &sent).await);
        client.ask("REST 100").await;
        assert!(last(client, "STOR /pub/up", &sent).await);
    });
    let mut story = Story::separate(r#"{"storage": "separate", "tell": true}"#);
    story.settings.denies = Some(".");
    story.run(async |_, _, client| {
        assert!(!last(client, "STOR /pub/up", &sent).await);
    });
}

#[test]
fn a_path_just_written_is_read_where_it_was_written() {
    let sent = content(7, 3_000);
    let story = Story::separate(PRIMARY);
    story.run(async |world, _, client| {
        assert_eq!(client.store("STOR /pub/one", &sent).await, 226);
        for _ in 0..6 {
            let mut other = Client::logged_in(world).await;
            assert_eq!(other.fetch("RETR /pub/one").await, (sent.clone(), 226));
            assert_eq!(other.ask("SIZE /pub/one").await.code, 213);
            other.quit().await;
        }
    });
}

/// The first primary was dead when the path was written, and is back.
fn written_at_the_second(talk: impl AsyncFn(&World, &Cluster, &mut Client)) {
    let sent = content(7, 3_000);
    Story::separate(PRIMARY).run(async |world, cluster, client| {
        world.kill("b");
        assert_eq!(client.store("STOR /pub/one", &sent).await, 226);
        assert_eq!(file(cluster, 0, "/pub/one").as_ref(), Some(&sent));
        assert_eq!(client.ask("MKD /pub/dir").await.code, 257);
        world.revive("b");
        // Nobody passes the first over any more.
        world.sleep(Duration::from_secs(10)).await;
        assert_eq!(client.store("STOR /pub/elsewhere", &sent).await, 226);
        assert_eq!(file(cluster, 1, "/pub/elsewhere").as_ref(), Some(&sent));
        talk(world, cluster, client).await;
    });
}

#[test]
fn what_builds_on_a_path_just_written_goes_where_it_was_written() {
    let (sent, more) = (content(7, 3_000), content(8, 500));
    written_at_the_second(async |_, cluster, client| {
        assert_eq!(client.store("APPE /pub/one", &more).await, 226);
        let both = [sent.clone(), more.clone()].concat();
        assert_eq!(file(cluster, 0, "/pub/one").as_ref(), Some(&both));
        assert_eq!(file(cluster, 1, "/pub/one"), None);
        assert_eq!(client.ask("REST 3000").await.code, 350);
        assert_eq!(client.store("STOR /pub/one", &sent[..500]).await, 226);
        let both = [&sent[..], &sent[..500]].concat();
        assert_eq!(file(cluster, 0, "/pub/one"), Some(both));
        let touched = client.ask("MFMT 20200101000000 /pub/one").await;
        assert_eq!(touched.code, 213, "{touched:?}");
        assert_eq!(client.ask("SITE CHMOD 600 /pub/one").await.code, 200);
        assert_eq!(cluster.servers[0].heard_of("SITE CHMOD"), 1);
    });
    written_at_the_second(async |_, cluster, client| {
        assert_eq!(client.ask("RNFR /pub/one").await.code, 350);
        assert_eq!(client.ask("RNTO /pub/two").await.code, 250);
        // It is remembered under its new name.
        assert_eq!(client.fetch("RETR /pub/two").await, (sent.clone(), 226));
        assert_eq!(client.store("APPE /pub/two", &more).await, 226);
        assert_eq!(client.ask("SIZE /pub/one").await.code, 550);
        assert_eq!(client.ask("DELE /pub/two").await.code, 250);
        assert_eq!(file(cluster, 0, "/pub/two"), None);
        assert_eq!(client.ask("SIZE /pub/two").await.code, 550);
    });
    written_at_the_second(async |_, cluster, client| {
        // A file goes where its directory was made.
        assert_eq!(client.store("STOR /pub/dir/x", &more).await, 226);
        assert_eq!(file(cluster, 0, "/pub/dir/x").as_ref(), Some(&more));
        assert_eq!(client.ask("DELE /pub/dir/x").await.code, 250);
        assert_eq!(client.ask("RMD /pub/dir").await.code, 250);
    });
}

#[test]
fn a_unique_name_is_read_where_it_was_given() {
    let sent = content(7, 3_000);
    Story::separate(PRIMARY).run(async |world, cluster, client| {
        assert_eq!(client.store("STOU", &sent).await, 226);
        assert_eq!(file(cluster, 1, "/unique.1").as_ref(), Some(&sent));
        for _ in 0..6 {
            let mut other = Client::logged_in(world).await;
            assert_eq!(other.ask("SIZE unique.1").await.code, 213);
            other.quit().await;
        }
    });
}

#[test]
fn a_primary_that_is_dead_before_the_upload_is_passed_over() {
    let sent = content(7, 3_000);
    let story = Story::separate(PRIMARY);
    story.run(async |world, cluster, client| {
        world.kill("b");
        for path in ["/pub/one", "/pub/two"] {
            assert_eq!(client.store(&format!("STOR {path}"), &sent).await, 226);
            assert_eq!(file(cluster, 0, path).as_ref(), Some(&sent));
        }
    });
}

#[test]
fn beyond_the_bound_the_reply_says_that_it_was_not_protected() {
    let sent = content(7, SIZE);
    let options =
        r#"{"storage": "separate", "spool_memory": 8192, "spool_disk": 8192, "tell": true}"#;
    let story = Story::separate(options);
    story.run(async |_, _, client| {
        for (length, protected) in [(9_000, true), (SIZE, false)] {
            let mut data = begin(client, "STOR /pub/file", &sent[..length]).await;
            data.close();
            let reply = client.reply().await;
            assert_eq!(reply.code, 226);
            assert_eq!(
                !reply.text.contains("Not protected"),
                protected,
                "{reply:?}"
            );
        }
    });
    let code = story.run(async |world, cluster, client| {
        futures_util::future::join(client.store("STOR /pub/up", &sent), async {
            kill_after(world, cluster, ".upload-", 30_000).await;
        })
        .await
        .0
    });
    assert!(matches!(code, 426 | 451), "{code}");
}

/// One server is killed in mid-upload, the next refuses it, and the last is killed too.
#[test]
fn the_word_of_a_server_before_is_not_that_of_the_last() {
    let sent = content(7, SIZE);
    let mut between = 0;
    for denies in 0..3 {
        let world = World::seeded(1);
        world.buffers(4096, 1024);
        let settings = [0, 1, 2].map(|at| Settings {
            rate: 10_000_000,
            denies: (at == denies).then_some("up"),
            ..Settings::of(Style::Proftpd)
        });
        let cluster = Cluster::shared(&settings, tree());
        cluster.start(&world, RING);
        let held = |bytes| file(&cluster, 0, "/pub/up").is_some_and(|held| held.len() > bytes);
        world.run(async {
            let mut client = Client::logged_in(&world).await;
            let lost = async {
                let mut killed = Vec::new();
                for bytes in [10_000, 40_000] {
                    while !held(bytes) {
                        world.sleep(Duration::from_micros(50)).await;
                    }
                    let last = cluster.common.last.borrow().clone();
                    world.kill(&last);
                    killed.push(last);
                }
                killed
            };
            let stored = Box::pin(client.store("STOR /pub/up", &sent));
            match futures_util::future::select(stored, Box::pin(lost)).await {
                // It was the first that was asked.
                futures_util::future::Either::Left((code, _)) => assert_eq!(code, 553),
                futures_util::future::Either::Right((killed, stored)) => {
                    let code = stored.await;
                    let last = cluster.used().name.clone();
                    if killed.contains(&last) {
                        between += 1;
                        assert_eq!(code, 426, "{:?}", cluster.heard());
                    } else {
                        assert_eq!(code, 553, "{:?}", cluster.heard());
                    }
                }
            }
            client.quit().await;
        });
    }
    assert!(between > 0, "none refused it between the others");
}

/// The spool has taken a part of a piece, and waits for the disk with the rest, when the node is lost.
#[test]
fn what_the_spool_took_of_a_piece_is_not_taken_again() {
    let sent = content(7, SIZE);
    let story = Story::separate(r#"{"storage": "separate", "spool_memory": 1500}"#);
    let (code, files) = story.run(async |world, cluster, client| {
        world.hold_disk();
        let (code, ()) = futures_util::future::join(client.store("STOR /pub/up", &sent), async {
            let first = kill_after(world, cluster, ".upload-", 1).await;
            world.sleep(Duration::from_millis(50)).await;
            world.release_disk();
            // Out of the spool at the second, and at the third.
            loop {
                world.sleep(Duration::from_micros(50)).await;
                let second = cluster.servers.iter().find(|server| {
                    let files = server.tree.borrow().files();
                    server.name != first && files.iter().any(|(_, held)| held.len() > 30_000)
                });
                if let Some(second) = second {
                    world.kill(&second.name);
                    return;
                }
            }
        })
        .await;
        let files: Vec<_> = (0..3).map(|at| file(cluster, at, "/pub/up")).collect();
        (code, files)
    });
    assert_eq!(code, 226);
    let stored: Vec<_> = files.into_iter().flatten().collect();
    assert!(stored == [sent], "another file was acknowledged");
}

/// Its size says that all is there, and a byte of it is another.
#[test]
fn a_digest_decides_whether_a_file_is_the_one_that_was_sent() {
    let sent = content(7, 9_000);
    let mut story = Story::shared(RING);
    story.settings.hash = true;
    // So slow that the end of the data is at the server long before it has read it.
    story.settings.rate = 100_000;
    story.run(async |world, cluster, client| {
        let (code, ()) = futures_util::future::join(client.store("STOR /pub/up", &sent), async {
            while file(cluster, 0, "/pub/up").is_none_or(|held| held.len() < sent.len()) {
                world.sleep(Duration::from_micros(50)).await;
            }
            let mut tree = cluster.servers[0].tree.borrow_mut();
            tree.write(b"/pub/up", 100, &[!sent[100]]);
            world.kill(&hears(cluster, "STOR").unwrap());
        })
        .await;
        let asked: usize = cluster.servers.iter().map(|s| s.heard_of("HASH")).sum();
        assert_eq!((code, asked), (226, 1), "{:?}", cluster.heard());
        assert!(file(cluster, 0, "/pub/up").as_ref() == Some(&sent));
    });
}

#[test]
fn a_unique_name_is_chosen_once() {
    let sent = content(7, SIZE);
    let code = Story::shared(RING).run(async |world, cluster, client| {
        let code = futures_util::future::join(client.store("STOU", &sent), async {
            loop {
                world.sleep(Duration::from_micros(50)).await;
                let held = file(cluster, 0, "/unique.1").unwrap_or_default();
                if held.len() > 20_000 {
                    world.kill(&hears(cluster, "STOU").unwrap());
                    return;
                }
            }
        })
        .await
        .0;
        let heard: usize = cluster.servers.iter().map(|s| s.heard_of("STOU")).sum();
        assert_eq!(heard, 1);
        code
    });
    assert!(matches!(code, 426 | 451), "{code}");
}

/// Begins an upload and sends so many bytes of it: its data connection, still open.
async fn begin(client: &mut Client, command: &str, bytes: &[u8]) -> Wire {
    let mut listener = {
        let (port, listener) = client.control.listen();
        let told = client.ask(&format!("EPRT |1|127.0.0.1|{port}|")).await;
        assert_eq!(told.code, 200, "{:?}", client.transcript);
        listener
    };
    assert_eq!(client.ask(command).await.code, 150);
    let mut data = listener.accept().await.unwrap();
    data.write_all(bytes).await.unwrap();
    data
}

#[test]
fn a_client_that_aborts_leaves_no_whole_file_and_keeps_its_link() {
    let sent = content(7, 20_000);
    for separate in [false, true] {
        let story = if separate {
            Story::separate(r#"{"storage": "separate"}"#)
        } else {
            Story::shared(RING)
        };
        story.run(async |world, cluster, client| {
            cluster.expect("/pub/up", &sent);
            let data = begin(client, "STOR /pub/up", &sent[..15_000]).await;
            client.send(b"ABOR\r\n").await;
            assert_eq!(client.reply().await.code, 426);
            assert_eq!(client.reply().await.code, 226);
            drop(data);
            let before: usize = cluster.servers.iter().map(|s| s.connections.get()).sum();
            assert_eq!(client.ask("SIZE /pub/old").await.code, 213);
            let after: usize = cluster.servers.iter().map(|s| s.connections.get()).sum();
            assert_eq!(before, after, "the link was given up");
            assert_eq!(world.effects(), [""; 0]);
            let files = cluster.servers.iter().flat_map(|s| s.tree.borrow().files());
            let temporary = files.filter(|(name, _)| name.contains(".upload-")).count();
            assert_eq!(temporary, 0, "a temporary file is left");
        });
    }
}

#[test]
fn a_client_that_is_reset_in_mid_upload_leaves_no_whole_file() {
    let sent = content(7, 20_000);
    for separate in [false, true] {
        let story = if separate {
            Story::separate(r#"{"storage": "separate"}"#)
        } else {
            Story::shared(RING)
        };
        story.run(async |world, cluster, client| {
            cluster.expect("/pub/up", &sent[..15_000]);
            let mut data = begin(client, "STOR /pub/up", &sent[..15_000]).await;
            data.reset();
            let code = client.reply().await.code;
            assert!(matches!(code, 426 | 451), "{code}");
            assert_eq!(client.ask("NOOP").await.code, 200);
            // What was to be the whole file is not taken for one.
            assert_eq!(world.effects(), [""; 0]);
        });
    }
}

#[test]
fn a_slow_upload_outlives_its_server_however_long_it_has_lasted() {
    let sent = content(7, 20_000);
    for (storage, at) in [(RING, 0), (r#"{"storage": "separate"}"#, 1)] {
        let mut story = Story::shared(storage);
        story.separate = at == 1;
        story.run(async |world, cluster, client| {
            let mut data = begin(client, "STOR /pub/up", &sent[..9_000]).await;
            world.sleep(Duration::from_secs(200)).await;
            data.write_all(&sent[9_000..10_000]).await.unwrap();
            world.sleep(Duration::from_secs(200)).await;
            let killed = hears(cluster, "STOR").unwrap();
            world.kill(&killed);
            world.sleep(Duration::from_secs(200)).await;
            data.write_all(&sent[10_000..]).await.unwrap();
            data.close();
            assert_eq!(client.reply().await.code, 226, "{:?}", client.transcript);
            let whole = cluster.servers.iter().find(|server| {
                server.name != killed && server.heard_of("STOR") + server.heard_of("APPE") > 0
            });
            let tree = whole.unwrap().tree.borrow();
            assert!(tree.file(b"/pub/up").unwrap().0 == sent);
        });
    }
}

/// All faults at a stride of bytes: transcript and effects are those of the run without one.
fn sweep(stride: u64, separate: bool, options: &str, talk: impl AsyncFn(&Cluster, &mut Client)) {
    // With separate storage a node that died when it had stored the file keeps it, and another has it too.
    let faults: &[Cut] = if separate {
        &[Cut::Reset, Cut::End]
    } else {
        &[Cut::Reset, Cut::End, Cut::Silence, Cut::Stall, Cut::Kill]
    };
    sweep_by(faults, stride, separate, options, talk);
}

/// Those of faults after which a server writes nothing any more.
const ENDS: &[Cut] = &[Cut::Reset, Cut::End, Cut::Kill];

fn sweep_by(
    faults: &[Cut],
    stride: u64,
    separate: bool,
    options: &str,
    talk: impl AsyncFn(&Cluster, &mut Client),
) {
    let swept = some_cuts(1, faults, stride, |world| {
        let settings = [Style::Proftpd, Style::Proftpd, Style::Proftpd].map(Settings::of);
        let cluster = if separate {
            Cluster::separate(&settings, &tree())
        } else {
            Cluster::shared(&settings, tree())
        };
        cluster.start(world, options);
        world.run(async {
            let mut client = Client::logged_in(world).await;
            talk(&cluster, &mut client).await;
            client.quit().await
        })
    });
    assert!(swept.switches > swept.runs as u64 / 2, "{swept:?}");
}

#[test]
fn effects_happen_once_wherever_the_cut_is() {
    sweep(29, false, "{}", async |_, client| {
        client.ask("DELE /pub/gone").await;
        client.ask("DELE /pub/none").await;
        client.ask("RNFR /pub/old").await;
        client.ask("RNTO /pub/new").await;
        client.ask("RMD /pub/none").await;
    });
    sweep(29, false, "{}", async |_, client| {
        client.ask("XMKD /pub/dir").await;
        client.ask("MFMT 20200101000000 /pub/old").await;
        client.ask("RMD /pub/dir").await;
        client.ask("RNTO /pub/new").await;
    });
}

#[test]
fn uploads_happen_once_wherever_the_cut_is() {
    let sent = content(9, 1500);
    let all: &[Cut] = &[Cut::Reset, Cut::End, Cut::Silence, Cut::Stall, Cut::Kill];
    for (command, faults) in [
        ("STOR /pub/up", all),
        ("STOR /pub/old", all),
        ("APPE /pub/old", ENDS),
    ] {
        sweep_by(faults, 41, false, "{}", async |cluster, client| {
            let path = &command[5..];
            let right = match command {
                "APPE /pub/old" => [content(3, 700), sent.clone()].concat(),
                _ => sent.clone(),
            };
            cluster.expect(path, &right);
            client.store(command, &sent).await;
            assert_eq!(file(cluster, 0, path), Some(right));
        });
    }
}

/// With a ring that holds a part of the file and all that is on its way, wherever the cut is: resumed by REST
/// and STOR, by APPE, and at servers that append only.
#[test]
fn resumed_uploads_happen_once_wherever_the_cut_is() {
    let sent = content(9, 6000);
    let silent = [Cut::Reset, Cut::End, Cut::Silence, Cut::Kill];
    for (command, restart_stores) in [
        ("STOR /pub/up", true),
        ("STOR /pub/old", false),
        ("APPE /pub/old", true),
    ] {
        let scenario = |world: &World| {
            world.buffers(256, 128);
            let settings = Settings {
                restart_stores,
                ..Settings::of(Style::Proftpd)
            };
            let settings = [settings.clone(), settings.clone(), settings];
            let cluster = Cluster::shared(&settings, tree());
            cluster.start(world, r#"{"ring": 3000}"#);
            world.run(async {
                let mut client = Client::logged_in(world).await;
                let path = &command[5..];
                let right = match command {
                    "APPE /pub/old" => [content(3, 700), sent.clone()].concat(),
                    _ => sent.clone(),
                };
                cluster.expect(path, &right);
                client.store(command, &sent).await;
                assert!(file(&cluster, 0, path) == Some(right), "{}", world.story());
                client.quit().await
            })
        };
        // The second of two servers appends where uploads cannot be restarted, and so does the first for APPE.
        let (once, twice) = match command {
            "APPE /pub/old" => (ENDS, ENDS),
            _ if !restart_stores => (&silent[..], ENDS),
            _ => (&silent[..], &silent[..]),
        };
        let swept = some_cuts(1, once, 211, scenario);
        assert!(swept.switches > swept.runs as u64 / 2, "{swept:?}");
        two_cuts(1, twice, 150, scenario);
    }
}

/// Wherever a server falls silent: an append is whole and acknowledged, or told, and what is there is its beginning.
#[test]
fn an_append_whose_server_falls_silent_is_whole_or_told() {
    let (old, sent) = (content(3, 700), content(9, 6000));
    let right = [old, sent.clone()].concat();
    let told = std::cell::Cell::new(0);
    some_cuts(1, &[Cut::Silence, Cut::Stall], 211, |world| {
        world.buffers(256, 128);
        let settings = [Style::Vsftpd, Style::Vsftpd, Style::Vsftpd].map(Settings::of);
        let cluster = Cluster::shared(&settings, tree());
        cluster.start(world, r#"{"ring": 3000}"#);
        world.run(async {
            let mut client = Client::logged_in(world).await;
            let code = client.store("APPE /pub/old", &sent).await;
            let held = file(&cluster, 0, "/pub/old").unwrap();
            match code {
                226 => assert!(held == right, "{}", world.story()),
                426 | 451 => {
                    told.set(told.get() + 1);
                    assert!(right.starts_with(&held), "{}", world.story());
                }
                other => panic!("{other}"),
            }
            client.quit().await;
        });
    });
    assert!(told.get() > 0);
}

#[test]
fn separate_uploads_happen_once_wherever_the_cut_is() {
    let sent = content(9, 1500);
    sweep(
        41,
        true,
        r#"{"storage": "separate"}"#,
        async |cluster, client| {
            cluster.expect("/pub/up", &sent);
            client.store("STOR /pub/up", &sent).await;
        },
    );
}

#[test]
fn with_primaries_no_other_node_has_a_part_in_it_wherever_the_cut_is() {
    let sent = content(9, 1500);
    sweep(17, true, PRIMARY, async |cluster, client| {
        cluster.expect("/pub/up", &sent);
        let code = client.store("STOR /pub/up", &sent).await;
        assert_eq!(cluster.servers[2].heard_of("STOR"), 0, "the third took it");
        if code == 226 {
            let whole = |at: &usize| file(cluster, *at, "/pub/up").as_ref() == Some(&sent);
            assert!([0, 1].iter().any(whole), "acknowledged and not there");
        }
    });
}

#[test]
fn an_abort_that_comes_with_the_end_of_the_data_is_an_abort() {
    let sent = content(7, 20_000);
    for separate in [false, true] {
        let story = if separate {
            Story::separate(r#"{"storage": "separate"}"#)
        } else {
            Story::shared(RING)
        };
        story.run(async |world, cluster, client| {
            cluster.expect("/pub/up", &sent);
            let mut data = begin(client, "STOR /pub/up", &sent[..15_000]).await;
            client.send(b"ABOR\r\n").await;
            data.close();
            assert_eq!(client.reply().await.code, 426);
            assert_eq!(client.reply().await.code, 226);
            if separate {
                assert_eq!(cluster.stored("/pub/up"), [0; 3]);
            }
            assert_eq!(world.effects(), [""; 0]);
        });
    }
}
