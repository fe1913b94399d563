//! Who logs in, what of it nobody hears, and that nodes are taken leave of.

use super::*;

fn whims(instead: &[(&'static str, &'static str)]) -> Whims {
    Whims {
        instead: instead.to_vec(),
        ..Whims::default()
    }
}

/// What one node was told.
fn told_to(told: &Told, node: &str) -> Vec<String> {
    let told = told.borrow();
    let of = |line: &String| Some(line.strip_prefix(node)?.strip_prefix(": ")?.to_owned());
    told.iter().filter_map(of).collect()
}

#[test]
fn a_node_that_denied_one_user_serves_the_next() {
    let mut denied = 0;
    for (no, yes) in [("b", "c"), ("c", "b")] {
        let nodes = ["a", "b", "c"].map(|name| match name == no {
            true => (name, whims(&[("USER ann", "530 Not her.\r\n")])),
            false => (name, Whims::default()),
        });
        let (world, told) = world_of("{}", &nodes);
        world.declare_down(no);
        world.declare_down(yes);
        world.run(async {
            let mut client = Client::of(&world).await;
            assert_eq!(client.says("USER ann").await, "331 Password?");
            world.kill("a");
            world.revive(no);
            world.revive(yes);
            assert_eq!(&client.says("PASS wrong").await[..3], "530");
            denied += told_to(&told, no).len();
            assert_eq!(client.says("USER bob").await, "331 Password?");
            world.kill(yes);
            assert_eq!(client.says("PASS secret").await, "230 In.");
            assert_eq!(at(&told), no);
        });
        assert_eq!(world.finish(), Leftover::default());
    }
    assert!(denied > 0, "no run has asked the node that denies");
}

#[test]
fn a_node_that_ends_instead_of_saying_no_gets_a_password_three_times_at_most() {
    // No reply at all: the connection ends.
    let ends = whims(&[("PASS secret", "")]);
    let (world, told) = world_of("{}", &[("a", Whims::default()), ("b", ends)]);
    world.declare_down("b");
    world.run(async {
        let mut client = Client::of(&world).await;
        client.logs_in().await;
        world.kill("a");
        world.revive("b");
        for _ in 0..9 {
            let heard = client.says("PWD").await;
            assert!(!heard.starts_with('2'), "{heard}");
        }
    });
    let passwords = told_to(&told, "b");
    let asked = passwords.iter().filter(|c| c.starts_with("PASS")).count();
    assert!((1..=3).contains(&asked), "{asked}");
}

/// RFC 959 section 5.4: a 500 says nothing about who asks. vsftpd says it where its own folders are wrong, and ends.
#[test]
fn a_node_that_cannot_let_anybody_in_is_not_the_answer() {
    let oops = "500 OOPS: vsftpd: cannot locate user\r\n";
    for line in ["USER ann", "PASS secret"] {
        let (world, told) = world_of(
            "{}",
            &[("a", whims(&[(line, oops)])), ("b", Whims::default())],
        );
        world.declare_down("b");
        world.run(async {
            let mut client = Client::of(&world).await;
            if line != "USER ann" {
                assert_eq!(client.says("USER ann").await, "331 Password?");
                world.revive("b");
                assert_eq!(client.says("PASS secret").await, "230 In.", "{line}");
            } else {
                world.revive("b");
                client.logs_in().await;
            }
            assert_eq!(at(&told), "b");
        });
        drop(world);
        let (world, _) = world_of("{}", &[("a", whims(&[(line, oops)]))]);
        world.run(async {
            let mut client = Client::of(&world).await;
            let mut heard = client.says("USER ann").await;
            if line != "USER ann" {
                heard = client.says("PASS secret").await;
            }
            assert_eq!(heard, "500 OOPS: vsftpd: cannot locate user", "{line}");
        });
    }
}

#[test]
fn no_log_has_a_password_in_it() {
    for echo in [
        "500 'PASS secret': not understood.\r\n",
        "421 PASS secret was one too many.\r\n",
        "PASS secret is no command\r\n",
    ] {
        let nodes = [
            ("a", whims(&[("SYST", "what?\r\n")])),
            ("b", whims(&[("PASS secret", echo)])),
        ];
        let (world, _) = world_of("{}", &nodes);
        world.declare_down("b");
        world.run(async {
            let mut client = Client::of(&world).await;
            client.logs_in().await;
            world.kill("a");
            world.revive("b");
            let _whatever = client.says("PWD").await;
        });
        let _ = world.ended();
        let story = format!("{:?} {:?}", world.log(), world.ended());
        assert!(!story.contains("secret"), "{story}");
    }
}

#[test]
fn a_service_accounts_name_is_neither_asked_for_nor_shown() {
    let file = std::env::temp_dir().join(format!("director-ftp-svc-{}", std::process::id()));
    std::fs::write(&file, "secret\n").unwrap();
    let options = format!(r#"{{"login": {{"user": "svc", "password_file": {file:?}}}}}"#);
    let names = whims(&[(
        "PASS secret",
        "230-Hello svc\r\n230 User svc logged in.\r\n",
    )]);
    let (world, told) = world_of(&options, &[("a", names)]);
    let lines = b"USER svc\r\nUSER ftp\r\nACCT x\r\nPASS me\r\nSTAT\r\nSYST\r\nQUIT\r\n";
    let heard = world.run(hears(&world, lines));
    assert!(!heard.join("\n").contains("svc"), "{heard:#?}");
    assert!(
        heard.contains(&"215 UNIX Type: L8".to_owned()),
        "{heard:#?}"
    );
    assert!(
        !told_to(&told, "a")
            .iter()
            .any(|c| c == "USER ftp" || c == "PASS me")
    );
    drop(world);
    let denies = whims(&[("PASS secret", "530 svc may not.\r\n")]);
    let (world, _) = world_of(&options, &[("a", denies)]);
    let heard = world.run(hears(&world, b"USER ftp\r\nPASS me\r\nQUIT\r\n"));
    assert!(
        heard[2].starts_with("530 ") && !heard.join("").contains("svc"),
        "{heard:?}"
    );
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn nodes_are_taken_leave_of() {
    let ways: [&[u8]; 5] = [
        b"QUIT\r\n",
        b"",
        b"USER bob\r\nQUIT\r\n",
        b"REIN\r\nQUIT\r\n",
        b"PASS\r\nPASS\r\nQUIT\r\n",
    ];
    for way in ways {
        let (world, told) = world(&["a"]);
        world.run(async {
            let mut client = Client::of(&world).await;
            client.logs_in().await;
            client.0.write_all(way).await.unwrap();
            client.0.close();
            client.0.read_to_end().await.unwrap();
        });
        world.pass(Duration::from_secs(1));
        let links = told.borrow().iter().filter(|c| c.contains("USER")).count();
        let leaves = told.borrow().iter().filter(|c| *c == "a: QUIT").count();
        assert_eq!(leaves, links, "{way:?}: {told:?}");
        assert_eq!(world.finish(), Leftover::default());
    }
}

#[test]
fn a_client_without_a_node_makes_no_link_to_take_leave_of() {
    let (world, told) = world(&["a"]);
    assert_eq!(
        world.run(codes(&world, b"NOOP\r\nQUIT\r\n")),
        [220, 200, 221]
    );
    assert!(told.borrow().is_empty());
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn no_node_is_told_a_type_before_its_login() {
    let (world, told) = world(&["a"]);
    world.run(async {
        let mut client = Client::of(&world).await;
        client.logs_in().await;
        assert_eq!(client.says("TYPE I").await, "200 Type I.");
        told.borrow_mut().clear();
        // Another login: the type stays, and no node hears of it before the password.
        assert_eq!(client.says("USER bob").await, "331 Password?");
        assert_eq!(client.says("CLNT x").await, "200 Yes.");
        assert_eq!(client.says("PASS secret").await, "230 In.");
        assert_eq!(client.says("STAT .").await, "213 End");
    });
    let told = told_to(&told, "a");
    let place = |what: &str| told.iter().position(|line| line == what);
    assert!(place("TYPE I") > place("PASS secret"), "{told:?}");
    assert_eq!(told.iter().filter(|line| *line == "TYPE I").count(), 1);
}

#[test]
fn a_node_that_refuses_the_host_or_the_umask_is_no_place_for_the_session() {
    for (sets, says) in [
        ("HOST h", "504 No such host.\r\n"),
        ("SITE UMASK 077", "500 No UMASK.\r\n"),
    ] {
        let yes = whims(&[("SITE UMASK 077", "200 Yes.\r\n")]);
        let (world, told) = world_of("{}", &[("a", yes), ("b", whims(&[(sets, says)]))]);
        world.declare_down("b");
        world.run(async {
            let mut client = Client::of(&world).await;
            if sets.starts_with("HOST") {
                assert_eq!(client.says(sets).await, "220 Yes.");
            }
            client.logs_in().await;
            if sets.starts_with("SITE") {
                assert_eq!(client.says(sets).await, "200 Yes.");
            }
            world.kill("a");
            world.revive("b");
            assert_eq!(&client.says("PWD").await[..3], "451");
        });
        assert!(
            told_to(&told, "b").iter().all(|line| line != "PWD"),
            "{told:?}"
        );
    }
}

#[test]
fn asking_which_digest_is_set_does_not_forget_it() {
    let (world, told) = world(&["a", "b"]);
    world.run(async {
        let mut client = Client::of(&world).await;
        client.logs_in().await;
        assert_eq!(client.says("OPTS HASH SHA-256").await, "200 Yes.");
        assert_eq!(client.says("OPTS HASH").await, "200 Yes.");
        world.kill(&at(&told));
        told.borrow_mut().clear();
        assert_eq!(client.says("SYST").await, "215 UNIX Type: L8");
    });
    assert!(
        told.borrow()
            .iter()
            .any(|c| c.ends_with(": OPTS HASH SHA-256")),
        "{told:?}"
    );
}

#[test]
fn a_password_file_that_is_none_is_told_with_its_path() {
    let file = std::env::temp_dir().join(format!("director-ftp-none-{}", std::process::id()));
    let options = format!(r#"{{"login": {{"user": "svc", "password_file": {file:?}}}}}"#);
    for text in ["", "\nsecret\n", "a\0b\n", &"x".repeat(5000)] {
        std::fs::write(&file, text).unwrap();
        let mistakes = World::seeded(1).start::<Ftp>(&options).unwrap_err();
        assert_eq!(mistakes[0].path, "login.password_file");
        let shown = file.display().to_string();
        assert!(mistakes[0].message.contains(&shown), "{mistakes:?}");
    }
    std::fs::remove_file(&file).unwrap();
}
