//! TLS on the control connections of clients and nodes, independent of each other.

use super::*;

const OFFERED: &str = r#"{"tls": "offered"}"#;
const REQUIRED: &str = r#"{"tls": "required", "node_tls": "explicit"}"#;

fn with_tls() -> Whims {
    Whims {
        tls: true,
        ..Whims::default()
    }
}

impl Client {
    async fn starts_tls(&mut self) {
        assert_eq!(&self.says("AUTH TLS").await[..3], "234");
        self.0.start_tls(None).await.unwrap();
    }
}

#[test]
fn a_client_has_tls_before_nodes_that_have_none() {
    let (world, told) = world_of(OFFERED, &[("a", Whims::default())]);
    world.run(async {
        let mut client = Client::of(&world).await;
        for (line, code) in [
            ("AUTH KERBEROS", "504"),
            ("PBSZ 0", "503"),
            ("PROT P", "503"),
        ] {
            assert_eq!(&client.says(line).await[..3], code, "{line}");
        }
        client.starts_tls().await;
        for (line, code) in [
            ("AUTH TLS", "503"),
            ("PROT P", "503"),
            ("PBSZ x", "501"),
            ("PBSZ 0", "200"),
            ("PROT S", "536"),
            ("PROT X", "504"),
            ("PROT C", "200"),
            ("PROT P", "200"),
            ("CCC", "534"),
        ] {
            assert_eq!(&client.says(line).await[..3], code, "{line}");
        }
        client.logs_in().await;
        assert_eq!(client.says("CWD /x").await, "250 There.");
        assert_eq!(client.says("QUIT").await, "221 Goodbye.");
        assert_eq!(client.0.read_line().await.unwrap(), "");
    });
    assert_eq!(told.borrow()[0], "a: USER ann");
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn what_was_sent_in_clear_behind_auth_is_never_performed() {
    let (world, told) = world_of(OFFERED, &[("a", Whims::default())]);
    world.run(async {
        let mut client = Client::of(&world).await;
        let injected = b"AUTH TLS\r\nUSER mallory\r\nPASS secret\r\nNO";
        client.0.write_all(injected).await.unwrap();
        assert_eq!(&client.hears().await[..3], "234");
        client.0.start_tls(None).await.unwrap();
        client.logs_in().await;
        assert_eq!(client.says("SYST").await, "215 UNIX Type: L8");
    });
    assert!(told.borrow().iter().all(|c| !c.contains("mallory")));
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn auth_after_a_login_asks_for_another() {
    let (world, _) = world_of(OFFERED, &[("a", Whims::default())]);
    world.run(async {
        let mut client = Client::of(&world).await;
        client.logs_in().await;
        client.starts_tls().await;
        assert_eq!(&client.says("PWD").await[..3], "530");
        client.logs_in().await;
        assert_eq!(client.says("PWD").await, "257 \"/home\"");
    });
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn nodes_have_tls_again_after_a_death_and_a_client_that_has_to_cannot_do_without() {
    let (world, told) = world_of(REQUIRED, &[("a", with_tls()), ("b", with_tls())]);
    world.run(async {
        let mut client = Client::of(&world).await;
        assert_eq!(&client.says("USER ann").await[..3], "530");
        assert_eq!(told.borrow().len(), 0);
        client.starts_tls().await;
        client.logs_in().await;
        assert_eq!(&client.says("LIST").await[..3], "521");
        assert_eq!(&client.says("PBSZ 0").await[..3], "200");
        assert_eq!(&client.says("PROT C").await[..3], "534");
        assert_eq!(&client.says("PROT P").await[..3], "200");
        world.kill(&at(&told));
        told.borrow_mut().clear();
        assert_eq!(client.says("PWD").await, "257 \"/home\"");
    });
    let said: Vec<String> = told.borrow().iter().map(|c| c[3..].to_owned()).collect();
    let expected = [
        "AUTH TLS",
        "PBSZ 0",
        "PROT P",
        "USER ann",
        "PASS secret",
        "FEAT",
        "PWD",
    ];
    assert_eq!(said, expected);
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn a_node_without_the_tls_that_is_asked_for_is_told_no_password() {
    let options = r#"{"node_tls": "explicit"}"#;
    let (world, told) = world_of(options, &[("a", Whims::default()), ("b", with_tls())]);
    for _ in 0..4 {
        let lines = b"USER ann\r\nPASS secret\r\nPWD\r\nQUIT\r\n";
        assert_eq!(world.run(codes(&world, lines)), [220, 331, 230, 257, 221]);
    }
    assert!(!told.borrow().iter().any(|c| c.starts_with("a: USER")));
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn a_handshake_that_fails_ends_the_session_alone() {
    let (world, _) = world_of(OFFERED, &[("a", Whims::default())]);
    world.run(async {
        let mut client = Client::of(&world).await;
        assert_eq!(&client.says("AUTH TLS").await[..3], "234");
        client
            .0
            .write_all(b"USER ann\r\nPASS secret\r\n")
            .await
            .unwrap();
        let end = client.0.read_to_end().await;
        assert!(end.is_err() || !end.unwrap().starts_with(b"331"));
    });
    let ended = world.ended();
    assert!(
        ended
            .iter()
            .any(|ended| ended.kind == Some(Kind::ClientGone)),
        "{ended:?}"
    );
    let lines = b"USER ann\r\nPASS secret\r\nQUIT\r\n";
    assert_eq!(world.run(codes(&world, lines)), [220, 331, 230, 221]);
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn rein_after_auth_is_refused_for_it_would_have_to_end_tls() {
    let (world, _) = world_of(OFFERED, &[("a", Whims::default())]);
    world.run(async {
        let mut client = Client::of(&world).await;
        client.starts_tls().await;
        client.logs_in().await;
        assert_eq!(&client.says("REIN").await[..3], "502");
        assert_eq!(client.says("PWD").await, "257 \"/home\"");
    });
    assert_eq!(world.finish(), Leftover::default());
}

#[test]
fn who_has_tls_is_told_of_pbsz_and_prot() {
    for (options, auth) in [(OFFERED, true), ("{}", false)] {
        let (world, _) = world_of(options, &[("a", Whims::default())]);
        let heard = world.run(hears(&world, b"FEAT\r\nQUIT\r\n"));
        for feature in [" AUTH TLS", " PBSZ", " PROT"] {
            assert_eq!(heard.contains(&feature.to_owned()), auth, "{heard:?}");
        }
    }
}

#[test]
fn tls_without_a_certificate_is_a_mistake_that_names_its_key() {
    let mistakes = |options: &str, certificate| {
        let world = World::seeded(1);
        if let Some(has) = certificate {
            world.certificate(has);
        }
        let found = world.start::<Ftp>(options).err().unwrap_or_default();
        let _leftover = world.finish();
        found
    };
    let reuse = r#"{"tls": "required", "require_reuse": true}"#;
    for (options, keys) in [
        (OFFERED, &["tls"][..]),
        (r#"{"tls": "required"}"#, &["tls"]),
        (reuse, &["tls", "require_reuse"]),
        ("{}", &[]),
    ] {
        let found = mistakes(options, Some(false));
        let paths: Vec<&str> = found.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(paths, keys, "{options}");
        for one in &found {
            assert!(one.message.contains("[services.<name>.tls]"), "{one:?}");
        }
        assert_eq!(mistakes(options, Some(true)), [], "{options}");
        assert_eq!(mistakes(options, None), [], "{options}");
    }
}
