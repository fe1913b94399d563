//! The spool on the network in memory: its bounds, and a disk that is full or fails.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)] // a test: what is not as written here must fail

use director_sdk::testing::{Leftover, World};
use director_sdk::{
    Client, ConfigMistake, Director, Failure, Host, Kind, Links, Load, NodeStream, Protocol, Spool,
    SpoolInfo, async_trait,
};

/// Does with one spool what its client says, a word a line.
struct Store;

#[async_trait]
impl Protocol for Store {
    type Config = serde_json::Value;
    const NAME: &'static str = "store";
    const LINKS: Links = Links::Exclusive;

    fn create(_: serde_json::Value, _: Host) -> Result<Self, Vec<ConfigMistake>> {
        Ok(Self)
    }

    async fn serve(&self, client: Client, director: Director) -> Result<(), Failure> {
        let mut client = client.stream;
        let mut spool = None;
        let mut line = Vec::new();
        while client.read_line(&mut line, 100).await? > 0 {
            let said = String::from_utf8_lossy(&line).into_owned();
            let words: Vec<&str> = said.split_whitespace().collect();
            let answer = match (words.as_slice(), &mut spool) {
                (["make", memory, disk], spool) => {
                    match director.spool(number(memory), number(disk)) {
                        Ok(made) => {
                            *spool = Some(made);
                            "made".to_owned()
                        }
                        Err(error) => format!("{:?}", error.kind()),
                    }
                }
                (["forget-it"], spool) => {
                    std::mem::forget(spool.take());
                    "forgotten".to_owned()
                }
                (words, Some(spool)) => act(words, spool).await?,
                (_, None) => "there is no spool".to_owned(),
            };
            client.write_all(format!("{answer}\n").as_bytes()).await?;
        }
        Ok(client.close().await?)
    }

    async fn probe(&self, _: &mut NodeStream) -> Result<Load, Failure> {
        Ok(Load::UNKNOWN)
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap()
}

async fn act(words: &[&str], spool: &mut Spool) -> Result<String, Failure> {
    Ok(match words {
        ["append", text] => {
            let mut taken = 0;
            while taken < text.len() {
                match spool.append(&text.as_bytes()[taken..]).await? {
                    0 => break,
                    n => taken += n,
                }
            }
            format!("{taken}")
        }
        ["read", offset] => {
            let (mut bytes, mut piece) = (Vec::new(), [0; 8]);
            loop {
                let offset = number(offset) + bytes.len() as u64;
                match spool.read(offset, &mut piece).await {
                    Ok(0) => break,
                    Ok(n) => bytes.extend_from_slice(&piece[..n]),
                    // The rest of the error's path is that of `?`.
                    Err(error) if words.len() == 3 => return Err(error.into()),
                    Err(error) => return Ok(format!("{error}")),
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
        ["read", offset, "or-fail"] => {
            spool.read(number(offset), &mut [0; 8]).await?;
            "well".to_owned()
        }
        ["forget", before] => {
            spool.forget(number(before));
            format!("{} {}", spool.first(), spool.end())
        }
        ["info"] => {
            let SpoolInfo {
                first,
                end,
                in_memory,
                on_disk,
            } = spool.info();
            format!("{first} {end} {in_memory} {on_disk}")
        }
        ["both"] => {
            // One that appends beside one that reads.
            let mut bytes = [0; 4];
            let (read, appended) =
                futures_util::join!(spool.read(0, &mut bytes), spool.append(b"full"));
            assert_eq!(appended?, 0);
            String::from_utf8_lossy(&bytes[..read?]).into_owned()
        }
        other => format!("what is {other:?}?"),
    })
}

async fn talk(world: &World, dialogue: &[(&str, &str)]) {
    let mut client = world.connect();
    for (said, heard) in dialogue {
        client
            .write_all(format!("{said}\n").as_bytes())
            .await
            .unwrap();
        let answer = client.read_line().await.unwrap();
        assert_eq!(answer.trim_end(), *heard, "after `{said}`");
    }
    client.close();
    client.read_to_end().await.unwrap();
}

fn started(piece: usize) -> World {
    let world = World::seeded(1);
    world.buffers(1 << 14, piece);
    world.start::<Store>("null").unwrap();
    world
}

#[test]
fn memory_comes_first_then_the_disk_and_room_comes_back() {
    for piece in [1, 3, usize::MAX] {
        let world = started(piece);
        world.run(talk(
            &world,
            &[
                ("make 4 6", "made"),
                ("append abcdefghijkl", "10"),
                ("info", "0 10 4 6"),
                ("append more", "0"),
                ("read 0", "abcdefghij"),
                ("both", &"abcd"[..piece.min(4)]),
                ("read 7", "hij"),
                ("read 10", ""),
                ("forget 5", "5 10"),
                ("info", "5 10 0 5"),
                ("read 4", "the spool is gone, or the offset was forgotten"),
                ("read 5", "fghij"),
                ("append klmnopqrst", "5"),
                ("read 5", "fghijklmno"),
                ("info", "5 15 4 6"),
                ("forget 99", "15 15"),
                ("append tail", "4"),
                ("read 15", "tail"),
            ],
        ));
        assert_eq!(world.finish(), Leftover::default());
    }
}

#[test]
fn the_service_s_totals_bound_all_spools_together() {
    let world = started(usize::MAX);
    world.spool_room(8, 0);
    world.run(async {
        let mut first = world.connect();
        first
            .write_all(b"make 6 100\nappend abcdefghi\n")
            .await
            .unwrap();
        assert_eq!(first.read_line().await.unwrap(), "made\n");
        assert_eq!(first.read_line().await.unwrap(), "6\n");
        talk(
            &world,
            &[
                ("make 6 100", "made"),
                ("append abc", "2"),
                ("make 1 1", "StorageFull"),
            ],
        )
        .await;
        talk(
            &world,
            &[("make 0 100", "StorageFull"), ("info", "there is no spool")],
        )
        .await;
        drop(first);
        world.sleep(std::time::Duration::from_millis(1)).await;
        talk(&world, &[("make 100 0", "made"), ("append abcdefghi", "8")]).await;
    });
    assert_eq!(world.counts().spools, 0);
}

#[test]
fn a_disk_that_fails_loses_what_is_on_it_and_is_nobody_s_fault_but_ours() {
    let world = started(usize::MAX);
    world.run(async {
        let mut client = world.connect();
        let mut say = async |said: &str| {
            client
                .write_all(format!("{said}\n").as_bytes())
                .await
                .unwrap();
            client.read_line().await.unwrap_or_default()
        };
        assert_eq!(say("make 4 6").await, "made\n");
        assert_eq!(say("append abcdefgh").await, "8\n");
        world.break_disk();
        assert_eq!(say("append ij").await, "0\n");
        assert!(say("read 4").await.starts_with("spool: "));
        assert_eq!(say("read 0 or-fail").await, "well\n");
        assert_eq!(say("read 4 or-fail").await, "", "the session failed");
    });
    let ended = world.ended().remove(0);
    assert_eq!(ended.kind, Some(Kind::Fault), "{ended:?}");
}

#[test]
fn a_spool_that_was_forgotten_is_found() {
    let world = started(usize::MAX);
    world.run(talk(
        &world,
        &[("make 1 1", "made"), ("forget-it", "forgotten")],
    ));
    assert_eq!(world.finish().left_behind, 1);
}
