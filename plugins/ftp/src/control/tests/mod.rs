//! The dialogue in memory, against a small server of one session.

mod logins;
mod tls;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use director_sdk::Kind;
use director_sdk::testing::{Cut, Leftover, Wire, World, every_cut, every_poll, some_cuts};
use futures_util::future::{Either, select};

use crate::Ftp;

/// How a node differs from the others.
#[derive(Debug, Clone, Default)]
struct Whims {
    /// A line that it says to a command instead of its own.
    instead: Vec<(&'static str, &'static str)>,
    /// It says this in its greeting's place.
    greeting: Rc<Cell<Option<&'static str>>>,
    /// It says 421 after this many seconds without a command, and ends.
    sleep: Option<u64>,
    /// It does not take any password.
    denies: bool,
    /// It has AUTH TLS, and lets nobody in without it.
    tls: bool,
}

/// Every command that came to a node.
type Told = Rc<RefCell<Vec<String>>>;

/// A node that knows the user `ann`, password `secret`, and every directory.
async fn serve(mut wire: Wire, name: &'static str, whims: Whims, told: Told) {
    let (mut cwd, mut user, mut renaming) = ("/home".to_owned(), false, false);
    let mut line = whims
        .greeting
        .get()
        .map_or_else(|| format!("220 {name}\r\n"), str::to_owned);
    loop {
        if wire.write_all(line.as_bytes()).await.is_err() {
            return;
        }
        let command = match whims.sleep {
            None => wire.read_line().await,
            Some(seconds) => {
                let sleep = Box::pin(wire.sleep(Duration::from_secs(seconds)));
                let read = {
                    let read = Box::pin(wire.read_line());
                    match select(read, sleep).await {
                        Either::Left((read, _)) => Some(read),
                        Either::Right(_) => None,
                    }
                };
                match read {
                    Some(read) => read,
                    None => {
                        let _gone = wire.write_all(b"421 Timeout.\r\n").await;
                        return;
                    }
                }
            }
        };
        let command = match command {
            Ok(command) if !command.is_empty() => command.trim_end().to_owned(),
            Ok(_) | Err(_) => return,
        };
        told.borrow_mut().push(format!("{name}: {command}"));
        let after_rnfr = std::mem::replace(&mut renaming, command.starts_with("RNFR "));
        if whims.tls && command == "AUTH TLS" {
            let proceed = wire.write_all(b"234 Proceed.\r\n").await;
            if proceed.is_err() || wire.start_tls(None).await.is_err() {
                return;
            }
            line = String::new();
            continue;
        }
        if let Some((_, instead)) = whims.instead.iter().find(|(of, _)| command == *of) {
            line = (*instead).to_owned();
            continue;
        }
        let (verb, argument) = command.split_once(' ').unwrap_or((&command, ""));
        line = match (verb, argument) {
            ("USER", _) if whims.tls && wire.tls().is_none() => "530 TLS first.\r\n".to_owned(),
            ("PBSZ", "0") | ("PROT", "P") if whims.tls => "200 Yes.\r\n".to_owned(),
            ("USER", _) => {
                user = true;
                "331 Password?\r\n".to_owned()
            }
            ("PASS", "secret" | "me@here") if user && !whims.denies => {
                "230-Hello\r\n230 In.\r\n".to_owned()
            }
            ("PASS", _) => "530 No.\r\n".to_owned(),
            ("CWD", "gone") => "550 No such directory.\r\n".to_owned(),
            ("CWD", to) => {
                cwd = match to.starts_with('/') {
                    true => to.to_owned(),
                    false => format!("{}/{to}", cwd.trim_end_matches('/')),
                };
                "250 There.\r\n".to_owned()
            }
            ("CDUP", "") => {
                cwd.truncate(cwd.rfind('/').unwrap_or(0).max(1));
                "250 Up.\r\n".to_owned()
            }
            ("PWD", "") => format!("257 \"{cwd}\"\r\n"),
            ("TYPE", _) => format!("200 Type {argument}.\r\n"),
            ("SYST", "") => "215 UNIX Type: L8\r\n".to_owned(),
            ("FEAT", "") => "211-Features:\r\n MDTM\r\n SIZE\r\n UTF8\r\n211 End\r\n".to_owned(),
            ("OPTS" | "CLNT" | "LANG", _) => "200 Yes.\r\n".to_owned(),
            ("HOST", _) => "220 Yes.\r\n".to_owned(),
            ("RNFR", _) if after_rnfr => "501 Bad sequence of commands.\r\n".to_owned(),
            ("RNFR", _) => "350 Where to?\r\n".to_owned(),
            ("RNTO", _) if after_rnfr => "250 Renamed.\r\n".to_owned(),
            ("STAT", _) => "213-Status\r\n f\r\n213 End\r\n".to_owned(),
            ("QUIT", "") => return,
            _ => "500 What?\r\n".to_owned(),
        };
    }
}

fn world_of(options: &str, nodes: &[(&'static str, Whims)]) -> (World, Told) {
    let (world, told) = (World::seeded(1), Told::default());
    world.start::<Ftp>(options).unwrap();
    for (name, whims) in nodes {
        let (name, whims, told) = (*name, whims.clone(), Rc::clone(&told));
        world.node(name, move |wire| {
            serve(wire, name, whims.clone(), Rc::clone(&told))
        });
    }
    (world, told)
}

fn world(nodes: &[&'static str]) -> (World, Told) {
    let nodes: Vec<_> = nodes.iter().map(|name| (*name, Whims::default())).collect();
    world_of("{}", &nodes)
}

/// What a client hears that says all of `lines` at once, and its end.
async fn hears(world: &World, lines: &[u8]) -> Vec<String> {
    let mut client = world.connect();
    client.write_all(lines).await.unwrap();
    let heard = client.read_to_end().await.unwrap();
    let heard = String::from_utf8(heard).unwrap();
    heard.lines().map(str::to_owned).collect()
}

/// The codes only.
async fn codes(world: &World, lines: &[u8]) -> Vec<u16> {
    let heard = hears(world, lines).await;
    let ends = heard.iter().filter(|line| line.as_bytes()[3] == b' ');
    ends.filter_map(|line| line[..3].parse().ok()).collect()
}

/// A client that says a line and hears the reply to it.
struct Client(Wire);

impl Client {
    async fn of(world: &World) -> Self {
        let mut wire = world.connect();
        assert!(wire.read_line().await.unwrap().starts_with("220 "));
        Self(wire)
    }

    async fn says(&mut self, line: &str) -> String {
        let line = format!("{line}\r\n");
        self.0.write_all(line.as_bytes()).await.unwrap();
        self.hears().await
    }

    /// The last line of the next reply.
    async fn hears(&mut self) -> String {
        loop {
            let line = self.0.read_line().await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') && !line.starts_with(' ') {
                return line.trim_end().to_owned();
            }
        }
    }

    async fn logs_in(&mut self) {
        assert_eq!(self.says("USER ann").await, "331 Password?");
        assert_eq!(self.says("PASS secret").await, "230 In.");
    }
}

/// The node that a session is at: where its last command went.
fn at(told: &Told) -> String {
    let told = told.borrow();
    told.last().unwrap().split(':').next().unwrap().to_owned()
}

#[test]
fn a_client_logs_in_asks_and_leaves_all_at_once() {
    let (world, told) = world(&["a"]);
    let lines = b"USER ann\r\nPASS secret\r\nSYST\r\nCWD /x\r\nPWD\r\nTYPE I\r\nNOOP\r\nQUIT\r\n";
    let heard = world.run(hears(&world, lines));
    let expected = [
        "220 FTP service ready.",
        "331 Password?",
        "230-Hello",
        "230 In.",
        "215 UNIX Type: L8",
        "250 There.",
        "257 \"/x\"",
        "200 Type I.",
        "200 NOOP ok.",
        "221 Goodbye.",
    ];
    assert_eq!(heard, expected);
    assert_eq!(told.borrow()[0], "a: USER ann");
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn an_idle_client_does_not_learn_of_a_death_and_its_session_is_restored() {
    let (world, told) = world(&["a", "b"]);
    world.run(async {
        let mut client = Client::of(&world).await;
        assert_eq!(client.says("HOST ftp.example.org").await, "220 Yes.");
        client.logs_in().await;
        for line in ["CLNT test", "OPTS UTF8 ON", "OPTS MLST type;", "LANG de"] {
            assert_eq!(client.says(line).await, "200 Yes.");
        }
        assert_eq!(client.says("TYPE I").await, "200 Type I.");
        assert_eq!(client.says("CWD x").await, "250 There.");
        assert_eq!(client.says("OPTS UTF8 OFF").await, "200 Yes.");
        let first = at(&told);
        world.kill(&first);
        told.borrow_mut().clear();
        assert_eq!(client.says("STAT .").await, "213 End");
        let other = if first == "a" { "b" } else { "a" };
        let expected = [
            "HOST ftp.example.org",
            "USER ann",
            "PASS secret",
            "FEAT",
            "CLNT test",
            "OPTS MLST type;",
            "OPTS UTF8 OFF",
            "LANG de",
            "CWD /home/x",
            "TYPE I",
            "STAT .",
        ];
        let expected: Vec<String> = expected.iter().map(|c| format!("{other}: {c}")).collect();
        assert_eq!(*told.borrow(), expected);
        assert_eq!(client.says("CDUP").await, "250 Up.");
        assert_eq!(client.says("PWD").await, "257 \"/home\"");
        assert_eq!(client.says("QUIT").await, "221 Goodbye.");
    });
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn a_421_to_a_sleeper_costs_the_client_nothing_and_the_node_no_suspicion() {
    let sleepy = Whims {
        sleep: Some(60),
        ..Whims::default()
    };
    let (world, told) = world_of("{}", &[("a", sleepy)]);
    world.run(async {
        let mut client = Client::of(&world).await;
        client.logs_in().await;
        assert_eq!(client.says("CWD /x").await, "250 There.");
        world.sleep(Duration::from_secs(100)).await;
        assert_eq!(client.says("PWD").await, "257 \"/x\"");
        assert_eq!(told.borrow().iter().filter(|c| *c == "a: PWD").count(), 2);
        assert_eq!(client.says("QUIT").await, "221 Goodbye.");
    });
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn a_node_that_denies_what_another_accepted_is_asked_once() {
    for seed in 0..4 {
        let denies = Whims {
            denies: true,
            ..Whims::default()
        };
        let nodes = [
            ("a", Whims::default()),
            ("b", denies.clone()),
            ("c", denies),
        ];
        let (world, told) = world_of("{}", &nodes);
        let _only_differs_in_time = seed;
        world.declare_down("b");
        world.declare_down("c");
        world.run(async {
            let mut client = Client::of(&world).await;
            client.logs_in().await;
            world.revive("b");
            world.revive("c");
            world.kill("a");
            let heard = client.says("PWD").await;
            assert!(
                heard.starts_with("530 ") || heard.starts_with("451 "),
                "{heard}"
            );
            for _ in 0..5 {
                let heard = client.says("PWD").await;
                assert!(
                    heard.starts_with("530 ") || heard.starts_with("451 "),
                    "{heard}"
                );
            }
        });
        for node in ["b", "c"] {
            let asked = format!("{node}: PASS secret");
            let asked = told.borrow().iter().filter(|c| **c == asked).count();
            assert_eq!(asked, 1, "{node}");
        }
        assert_eq!(world.finish(), Leftover::default());
    }
}

#[test]
fn a_wrong_password_is_told_to_one_node() {
    let (world, told) = world(&["a", "b"]);
    let heard = world.run(codes(&world, b"USER ann\r\nPASS wrong\r\nPWD\r\nQUIT\r\n"));
    assert_eq!(heard, [220, 331, 530, 530, 221]);
    let asked = told.borrow().iter().filter(|c| c.contains("PASS")).count();
    assert_eq!(asked, 1);
}

#[test]
fn a_rename_is_one_rnfr_and_its_rnto_also_at_another_node() {
    let (world, told) = world(&["a", "b"]);
    world.run(async {
        let mut client = Client::of(&world).await;
        client.logs_in().await;
        told.borrow_mut().clear();
        assert_eq!(client.says("RNFR x").await, "350 Where to?");
        assert_eq!(client.says("RNTO y").await, "250 Renamed.");
        let node = at(&told);
        let expected = ["RNFR x", "RNTO y"].map(|c| format!("{node}: {c}"));
        assert_eq!(*told.borrow(), expected);
        assert_eq!(client.says("RNFR y").await, "350 Where to?");
        world.kill(&node);
        assert_eq!(client.says("RNTO z").await, "250 Renamed.");
        let node = at(&told);
        let last: Vec<String> = told.borrow().iter().rev().take(2).cloned().collect();
        assert_eq!(last, ["RNTO z", "RNFR y"].map(|c| format!("{node}: {c}")));
    });
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn who_guesses_is_sent_away() {
    let (world, told) = world(&["a"]);
    let heard = world.run(codes(&world, &b"USER ann\r\nPASS wrong\r\n".repeat(9)));
    assert_eq!(heard, [220, 331, 530, 331, 530, 331, 530]);
    world.pass(Duration::from_secs(1));
    assert_eq!(told.borrow().len(), 7, "two each, and QUIT");
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn a_login_that_no_node_can_answer_is_a_421() {
    let (world, _) = world(&["a"]);
    world.kill("a");
    let heard = world.run(codes(
        &world,
        b"NOOP\r\nUSER ann\r\nPASS secret\r\nNOOP\r\n",
    ));
    assert_eq!(heard, [220, 200, 421]);
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn a_greeting_of_421_is_busy_and_another_node_serves() {
    let busy = Whims {
        greeting: Rc::new(Cell::new(Some("421 Too many users.\r\n"))),
        ..Whims::default()
    };
    let (world, _) = world_of("{}", &[("a", busy), ("b", Whims::default())]);
    for _ in 0..4 {
        let heard = world.run(codes(&world, b"USER ann\r\nPASS secret\r\nPWD\r\nQUIT\r\n"));
        assert_eq!(heard, [220, 331, 230, 257, 221]);
    }
    let ended = world.probe("a");
    assert_eq!((ended.kind, ended.code), (Some(Kind::Busy), 421));
    assert_eq!(world.probe("b").kind, None);
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn a_node_that_says_421_to_sessions_and_to_its_probe_is_leaving() {
    let leaving = Whims {
        instead: vec![("SYST", "421 Going down.\r\n")],
        ..Whims::default()
    };
    let greeting = Rc::clone(&leaving.greeting);
    let (world, _) = world_of("{}", &[("a", leaving)]);
    let lines = b"USER ann\r\nPASS secret\r\nSYST\r\nQUIT\r\n";
    assert_eq!(world.run(codes(&world, lines)), [220, 331, 230, 451, 221]);
    greeting.set(Some("421 Down.\r\n"));
    assert_eq!(world.probe("a").kind, Some(Kind::Leaving));
    // It greets again: what was said to sessions is forgotten.
    greeting.set(None);
    assert_eq!(world.probe("a").kind, None);
    greeting.set(Some("421 Too many.\r\n"));
    assert_eq!(world.probe("a").kind, Some(Kind::Busy));
}

#[test]
fn what_no_client_should_say_is_answered_as_the_rfcs_say() {
    let (world, told) = world(&["a"]);
    let mut lines = b"\r\n 1 2\r\nNOSUCH\r\nPWD\r\nCWD a\rb\r\nSTAT a\0b\r\n".to_vec();
    lines.extend(vec![b'x'; 1 << 20]);
    lines
        .extend(b"\r\nUSER\r\nPASS x\r\nACCT x\r\nTYPE I\r\nADAT x\r\nCCC\r\nPBSZ 0\r\nPROT P\r\n");
    lines.extend(b"AUTH TLS\r\nUSER ann\r\nPASS secret\r\nHOST h\r\nCWD\r\nPWD x\r\nTYPE X\r\n");
    lines.extend(
        b"TYPE E\r\nTYPE L 7\r\nSTRU R\r\nSTRU Q\r\nMODE B\r\nMODE Q\r\nSMNT x\r\nCWD gone\r\n",
    );
    lines.extend(b"PASS again\r\nABOR\r\nNO\xff\xf4\xff\xf2OP\r\nQUIT\r\n");
    let heard = world.run(codes(&world, &lines));
    let expected = [
        220, 500, 500, 500, 530, 501, 501, 500, 501, 503, 503, 530, 503, 534, 503, 503, 502, 331,
        230, 503, 501, 501, 501, 504, 504, 504, 501, 504, 501, 502, 550, 503, 226, 200, 221,
    ];
    assert_eq!(heard, expected);
    assert!(told.borrow().iter().all(|c| !c.contains("gone\r")));
    assert_eq!(world.finish(), Leftover::default());
}

/// A 421 to the watch is for the sleepy, whenever it comes: no sign against the node.
#[test]
fn a_421_to_the_watchs_question_is_no_sign_against_the_node() {
    let sleepy = Whims {
        instead: vec![("FEAT", "421 Timeout.\r\n")],
        ..Whims::default()
    };
    let (world, _) = world_of("{}", &[("a", sleepy)]);
    world.watch("a");
    world.pass(Duration::from_secs(1));
    let ends: Vec<_> = world
        .ended()
        .iter()
        .map(|end| (end.kind, end.code))
        .collect();
    assert_eq!(ends, [(Some(Kind::Unknown), 421)]);
}

#[test]
fn features_are_those_of_all_nodes_and_the_directors() {
    let other = Whims {
        instead: vec![("FEAT", "211-Features:\r\n SIZE\r\n MODE Z\r\n211 End\r\n")],
        ..Whims::default()
    };
    let (world, _) = world_of("{}", &[("a", Whims::default()), ("b", other)]);
    world.watch("a");
    world.watch("b");
    world.pass(Duration::from_secs(1));
    let heard = world.run(hears(&world, b"FEAT\r\nQUIT\r\n"));
    let expected = [
        "211-Features:",
        " EPRT",
        " EPSV",
        " PASV",
        " SIZE",
        "211 End",
    ];
    assert_eq!(heard[1..7], expected);
    // A node that is dead does not count: its watch has ended.
    world.kill("b");
    world.pass(Duration::from_secs(1));
    let heard = world.run(hears(&world, b"FEAT\r\nQUIT\r\n"));
    assert!(heard.contains(&" MDTM".to_owned()), "{heard:?}");
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn anonymous_is_a_login_of_its_own_and_so_is_a_service_account() {
    let lines = b"USER ann\r\nPASS x\r\nUSER Anonymous\r\nPASS me@here\r\nPWD\r\nQUIT\r\n";
    let (world, told) = world_of(r#"{"login": "anonymous"}"#, &[("a", Whims::default())]);
    let heard = world.run(codes(&world, lines));
    assert_eq!(heard, [220, 530, 503, 331, 230, 257, 221]);
    assert_eq!(told.borrow()[..2], ["a: USER Anonymous", "a: PASS me@here"]);
    drop(world);

    let file = std::env::temp_dir().join(format!("director-ftp-{}", std::process::id()));
    std::fs::write(&file, "secret\nnot this\n").unwrap();
    let options = format!(r#"{{"login": {{"user": "svc", "password_file": {file:?}}}}}"#);
    let (world, told) = world_of(
        &options,
        &[("a", Whims::default()), ("b", Whims::default())],
    );
    world.run(async {
        let mut client = Client::of(&world).await;
        assert_eq!(&client.says("USER ann").await[..3], "530");
        assert_eq!(&client.says("USER ftp").await[..3], "331");
        assert_eq!(&client.says("PASS whatever").await[..3], "230");
        world.kill(&at(&told));
        assert_eq!(&client.says("PWD").await[..3], "257");
    });
    assert_eq!(
        told.borrow()[..2],
        ["a: USER svc", "a: PASS secret"]
            .map(|c| c.replace("a:", &format!("{}:", &told.borrow()[0][..1])))
    );
    assert!(!told.borrow().iter().any(|c| c.contains("whatever")));
    std::fs::remove_file(&file).unwrap();
    let missing = World::seeded(1).start::<Ftp>(&options).unwrap_err();
    assert_eq!(missing[0].path, "login.password_file");
}

#[test]
fn a_node_that_breaks_the_protocol_is_left_for_another() {
    for instead in [
        "hello\r\n",
        "211-x\r\n212 y\r\n",
        "257 \"/\"\r\n257 again\r\n",
        "999 x\r\n",
    ] {
        let wrong = Whims {
            instead: vec![("SYST", instead)],
            ..Whims::default()
        };
        let (world, _) = world_of("{}", &[("a", wrong), ("b", Whims::default())]);
        for _ in 0..4 {
            let lines = b"USER ann\r\nPASS secret\r\nSYST\r\nPWD\r\nQUIT\r\n";
            let heard = world.run(codes(&world, lines));
            assert_eq!(heard.len(), 6, "{instead:?}: {heard:?}");
            assert_eq!(heard[4], 257, "{instead:?}");
        }
        assert_eq!(world.finish(), Leftover::default());
    }
}

#[test]
fn a_client_that_sleeps_and_one_that_is_stopped_hear_421() {
    let (world, _) = world_of(r#"{"idle_seconds": 10}"#, &[("a", Whims::default())]);
    let heard = world.run(codes(&world, b"NOOP\r\n"));
    assert_eq!(heard, [220, 200, 421]);
    world.run(async {
        let mut client = Client::of(&world).await;
        world.stop();
        assert_eq!(&client.hears().await[..3], "421");
    });
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn another_user_is_another_login_and_what_was_said_before_a_login_is_restored_in_it() {
    let (world, told) = world(&["a", "b"]);
    world.run(async {
        let mut client = Client::of(&world).await;
        assert_eq!(client.says("OPTS UTF8 ON").await, "200 Yes.");
        assert_eq!(client.says("USER ann").await, "331 Password?");
        world.kill(&at(&told));
        told.borrow_mut().clear();
        assert_eq!(client.says("PASS secret").await, "230 In.");
        let said = ["USER ann", "PASS secret", "FEAT", "OPTS UTF8 ON"];
        let other = at(&told);
        assert_eq!(*told.borrow(), said.map(|c| format!("{other}: {c}")));
        assert_eq!(client.says("CWD /x").await, "250 There.");
        client.logs_in().await;
        assert_eq!(client.says("PWD").await, "257 \"/home\"");
        assert_eq!(client.says("REIN").await, "220 Service ready for new user.");
        assert_eq!(&client.says("PWD").await[..3], "530");
        client.logs_in().await;
    });
    assert_eq!(world.finish(), Leftover::default());
}

const DIALOGUE: &[u8] = b"USER ann\r\nPASS secret\r\nOPTS UTF8 ON\r\nCWD x\r\nTYPE I\r\nCDUP\r\nPWD\r\nSTAT .\r\nQUIT\r\n";

/// What a client hears of the dialogue, before three nodes.
fn dialogue(world: &World, options: &str, tls: bool) -> Vec<String> {
    three_nodes(world, options, tls);
    world.run(hears(world, DIALOGUE))
}

fn three_nodes(world: &World, options: &str, tls: bool) {
    world.start::<Ftp>(options).unwrap();
    for name in ["a", "b", "c"] {
        let whims = Whims {
            tls,
            ..Whims::default()
        };
        world.node(name, move |wire| {
            serve(wire, name, whims.clone(), Told::default())
        });
    }
}

#[test]
fn no_cut_of_a_dialogue_is_seen() {
    // Not garbage: a password that was garbled on its way is denied, and no plain connection shows it.
    let cuts = [Cut::Reset, Cut::End, Cut::Silence, Cut::Stall, Cut::Kill];
    let swept = every_cut(5, &cuts, |world| dialogue(world, "{}", false));
    println!("{swept:?}");
    assert!(swept.switches as usize > swept.runs / 2, "{swept:?}");
}

#[test]
fn no_cut_and_no_garbage_of_a_dialogue_over_tls_is_seen() {
    let cuts = [
        Cut::Reset,
        Cut::End,
        Cut::Silence,
        Cut::Stall,
        Cut::Kill,
        Cut::Garbage,
    ];
    let options = r#"{"node_tls": "explicit"}"#;
    let swept = some_cuts(5, &cuts, 9, |world| dialogue(world, options, true));
    println!("{swept:?}");
    assert!(swept.switches as usize > swept.runs / 2, "{swept:?}");
}

#[test]
fn no_death_between_two_awaits_is_seen() {
    let cancelled = |world: &World| {
        three_nodes(world, "{}", false);
        world.run(async {
            let mut client = world.connect();
            client.write_all(DIALOGUE).await.unwrap();
            let _may_be_reset = client.read_to_end().await;
        });
    };
    let swept = every_poll(3, |world| dialogue(world, "{}", false), cancelled);
    println!("{swept:?}");
    assert!(swept.runs > 20 && swept.switches > 5, "{swept:?}");
}
