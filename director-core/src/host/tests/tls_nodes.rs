//! TLS towards nodes: who is trusted, tickets for every further connection, ends, and TLS first.

use std::io::Read;
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};

use director_abi as abi;
use director_abi::StreamInfo;
use director_recovery::Kind;
use rcgen::{CertificateParams, date_time_ymd};
use rustls::version::{TLS12, TLS13};

use super::plugin::{Action, Stream, Task, Ticket, established, event};
use super::stage::{Stage, accept, ended, nodes, play, rest};
use super::tls_peers::{Authority, Identity, beside, blocking, line, node, say, towards_nodes};
use crate::cluster::Prober;
use crate::host::{Outcome, Tls};
use crate::tls::Trust;

async fn begin(task: Task) -> (Ticket, Action) {
    let ticket = Ticket::open(task.chain());
    let action = ticket.step(event(abi::Event::BEGIN)).await.unwrap();
    (ticket, action)
}

/// A link to the node, and the request that holds it.
async fn link(task: Task) -> (Ticket, Stream) {
    let (ticket, action) = begin(task).await;
    let action = ticket.step(established(action.stream)).await.unwrap();
    assert_eq!(action.tag, abi::Action::ATTEMPT);
    (ticket, action.stream)
}

#[test]
fn every_further_connection_resumes_though_the_plugin_only_writes() {
    for (version, number) in [(&TLS12, 0x0303), (&TLS13, 0x0304)] {
        play(|| async move {
            let authority = Authority::new();
            let (listeners, addresses) = nodes(2).await;
            let port = addresses[1].port();
            let does = move |task: Task| async move {
                let (_ticket, link) = link(task).await;
                link.start_tls(None, false).await.unwrap();
                assert_eq!(link.tls(), (StreamInfo::TLS_ON, number));
                assert_eq!(link.line().await.unwrap(), "welcome\n");
                for n in 1..=5 {
                    let further = task.connect(link, port).await.unwrap();
                    further.start_tls(Some(link), false).await.unwrap();
                    let flags = StreamInfo::TLS_ON | StreamInfo::TLS_RESUMED;
                    assert_eq!(further.tls(), (flags, number), "the {n}th");
                    further
                        .write(format!("number {n}\n").as_bytes())
                        .await
                        .unwrap();
                    further.close().await.unwrap();
                    further.give_up();
                    assert_eq!(link.line().await.unwrap(), "I have it\n");
                }
                Ok(())
            };
            let tls = authority.towards_nodes(false);
            let stage = Stage::secured(&addresses[..1], tls, does).await;
            let config = Authority::node(&authority.identity(), version);
            let (_client, session) = stage.client().await;
            let first = blocking(accept(&listeners[0]).await);
            let config_of_first = Arc::clone(&config);
            let mut first = beside(move || {
                let mut first = node(&config_of_first, first).unwrap();
                say(&mut first, "welcome\n");
                first
            })
            .await;
            for n in 1..=5 {
                let further = blocking(accept(&listeners[1]).await);
                let config = Arc::clone(&config);
                first = beside(move || {
                    let mut further = node(&config, further).unwrap();
                    let mut got = String::new();
                    further.read_to_string(&mut got).expect("a close_notify");
                    assert_eq!(got, format!("number {n}\n"));
                    say(&mut first, "I have it\n");
                    first
                })
                .await;
            }
            assert_eq!(ended(session).await.outcome, Outcome::Ended);
        });
    }
}

/// What comes of the handshake with a node of this certificate: the failure in words.
async fn meets(tls: Tls, identity: Identity) -> Result<(), String> {
    let (listeners, addresses) = nodes(1).await;
    let (tx, rx) = mpsc::channel();
    let stage = Stage::secured(&addresses, tls, move |task| {
        let tx = tx.clone();
        async move {
            let (_ticket, link) = link(task).await;
            let met = link.start_tls(None, false).await.map_err(|code| {
                assert_eq!(code, abi::CODE_TLS);
                link.trouble().unwrap()
            });
            tx.send(met).unwrap();
            Ok(())
        }
    })
    .await;
    let (_client, session) = stage.client().await;
    let socket = blocking(accept(&listeners[0]).await);
    let config = Authority::node(&identity, &TLS13);
    let served = beside(move || node(&config, socket).map(|_| ())).await;
    ended(session).await;
    let met = rx.recv().unwrap();
    if met.is_err() {
        let told = served.unwrap_err().to_string();
        assert!(told.contains("alert"), "the node is told why: {told}");
    }
    met
}

#[test]
fn a_certificate_that_is_not_right_is_told_in_words() {
    play(|| async {
        let (ours, theirs) = (Authority::new(), Authority::new());
        let tls = ours.towards_nodes(false);
        meets(tls.clone(), ours.identity()).await.unwrap();
        let told = meets(tls.clone(), theirs.identity()).await.unwrap_err();
        assert!(told.contains("UnknownIssuer"), "{told}");
        let named = |name: &str| CertificateParams::new([name.to_owned()]).unwrap();
        let wrong_name = ours.signs(named("127.0.0.9"));
        let told = meets(tls.clone(), wrong_name).await.unwrap_err();
        assert!(told.contains("not valid for name"), "{told}");
        let mut old = named("127.0.0.1");
        old.not_after = date_time_ymd(2001, 1, 1);
        let told = meets(tls, ours.signs(old)).await.unwrap_err();
        assert!(told.contains("expired"), "{told}");
        // By another name, and by whoever is there.
        let ca = ours.file("ca.pem", &ours.pem());
        let by_name = towards_nodes(Trust::Authorities(ca), Some("nodes.example"), false);
        let other = ours.signs(named("nodes.example"));
        meets(by_name, other).await.unwrap();
        let anybody = towards_nodes(Trust::Anybody, None, false);
        meets(anybody, theirs.identity()).await.unwrap();
    });
}

#[test]
fn a_node_that_breaks_off_has_not_ended() {
    play(|| async {
        let authority = Authority::new();
        let (listeners, addresses) = nodes(1).await;
        let tls = authority.towards_nodes(false);
        let stage = Stage::secured(&addresses, tls, |task| async move {
            let (_ticket, link) = link(task).await;
            link.start_tls(None, false).await.unwrap();
            assert_eq!(link.line().await.unwrap(), "half a fi\n");
            assert_eq!(link.read(1).await, Err(abi::CODE_TLS));
            assert!(link.trouble().unwrap().contains("truncated"));
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let socket = blocking(accept(&listeners[0]).await);
        let config = Authority::node(&authority.identity(), &TLS13);
        beside(move || {
            let mut peer = node(&config, socket).unwrap();
            say(&mut peer, "half a fi\n");
            peer.sock.shutdown(Shutdown::Write).unwrap();
            let _end = peer.sock.read_to_end(&mut Vec::new());
        })
        .await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn where_tls_comes_first_a_link_has_it_and_a_node_without_it_is_unreachable() {
    play(|| async {
        let authority = Authority::new();
        let (listeners, addresses) = nodes(1).await;
        let tls = authority.towards_nodes(true);
        let stage = Stage::secured(&addresses, tls, |task| async move {
            let (_ticket, action) = begin(task).await;
            assert_eq!(action.tag, abi::Action::ESTABLISH);
            assert_eq!(action.stream.tls().0, StreamInfo::TLS_ON);
            assert_eq!(action.stream.line().await.unwrap(), "welcome\n");
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let socket = blocking(accept(&listeners[0]).await);
        let config = Authority::node(&authority.identity(), &TLS13);
        let _peer = beside(move || {
            let mut peer = node(&config, socket).unwrap();
            say(&mut peer, "welcome\n");
            peer
        })
        .await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        let plain = async {
            let mut plain = accept(&listeners[0]).await;
            super::stage::write(&mut plain, b"220 no TLS here, I only talk\r\n").await;
            let _hello = rest(&mut plain).await;
        };
        let at = stage.cluster.node(0).unwrap();
        let (probed, ()) = tokio::join!(stage.instance.probe(at), plain);
        let exception = probed.unwrap_err();
        assert_eq!(exception.kind, Kind::Unreachable);
        assert!(exception.detail.contains("TLS: "), "{exception}");
    });
}

#[test]
fn a_death_cuts_a_handshake_that_nobody_answers() {
    play(|| async {
        let authority = Authority::new();
        let (listeners, addresses) = nodes(1).await;
        let tls = authority.towards_nodes(false);
        let stage = Stage::secured(&addresses, tls, |task| async move {
            let (_ticket, link) = link(task).await;
            assert_eq!(link.start_tls(None, false).await, Err(abi::CODE_CUT));
            assert_eq!(link.read(1).await, Err(abi::CODE_CUT));
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let mut silent = accept(&listeners[0]).await;
        // The hello has come, so the handshake is under way.
        tokio::io::AsyncReadExt::read_u8(&mut silent).await.unwrap();
        stage.declare_down(0);
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

/// OpenSSL as a node, which ends with this.
struct OpenSsl(std::process::Child, u16);

impl OpenSsl {
    fn new(authority: &Authority, version: &str) -> Self {
        let identity = authority.identity();
        let certificate = authority.file("openssl.pem", &identity.certificate.pem());
        let key = authority.file("openssl-key.pem", &identity.key.serialize_pem());
        let mut child = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                version,
                "-rev",
                "-cert",
            ])
            .arg(certificate)
            .arg("-key")
            .arg(key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl, which the tests need");
        let mut said = child.stdout.take().unwrap();
        let told = loop {
            let told = line(&mut said);
            assert_ne!(told, "", "openssl does not listen");
            if told.starts_with("ACCEPT") {
                break told;
            }
        };
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let port = told.trim().rsplit(':').next().unwrap().parse().unwrap();
        Self(child, port)
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn sessions_at_openssl_are_resumed_by_every_further_connection() {
    for version in ["-tls1_2", "-tls1_3"] {
        play(|| async move {
            let authority = Authority::new();
            let openssl = OpenSsl::new(&authority, version);
            let port = openssl.1;
            let address = ([127, 0, 0, 1], port).into();
            let tls = authority.towards_nodes(false);
            let stage = Stage::secured(&[address], tls, move |task| async move {
                let (_ticket, link) = link(task).await;
                link.start_tls(None, false).await.unwrap();
                link.write(b"abc\n").await.unwrap();
                assert_eq!(link.line().await.unwrap(), "cba\n");
                // It serves one connection after the other.
                link.close().await.unwrap();
                for n in 1..=5 {
                    let further = task.connect(link, port).await.unwrap();
                    further.start_tls(Some(link), false).await.unwrap();
                    assert_ne!(further.tls().0 & StreamInfo::TLS_RESUMED, 0, "the {n}th");
                    further.write(b"de\n").await.unwrap();
                    assert_eq!(further.line().await.unwrap(), "ed\n");
                    further.close().await.unwrap();
                    further.give_up();
                }
                Ok(())
            })
            .await;
            let (_client, session) = stage.client().await;
            assert_eq!(ended(session).await.outcome, Outcome::Ended);
        });
    }
}
