//! Bad input: each client that breaks the protocol gets the code that the RFCs have for it, or is sent away;
//! nobody else is disturbed, and no node is blamed.

use std::net::SocketAddr;
use std::time::Duration;

use director_tests::director::{Director, Rest};
use director_tests::ftp::cluster::{Cluster, Plan};
use director_tests::ftp::config::Kind;
use director_tests::ftp::content;
use director_tests::ftp::talk::{Talk, port_line};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::bounded::story;

const SOON: Duration = Duration::from_secs(20);

async fn cluster() -> Cluster {
    let fill = |home: &std::path::Path| content::file(&home.join("file"), b"0123456789");
    Cluster::start(&Plan::of(&[Kind::Vsftpd, Kind::Proftpd]), fill)
        .await
        .unwrap()
}

/// Others are served, and both nodes are well.
async fn undisturbed(director: &Director, other: &mut Talk) {
    other.say("TYPE I", 200).await.unwrap();
    other.say("SIZE file", 213).await.unwrap();
    let nodes = director.status().await.unwrap().nodes();
    assert!(nodes.iter().all(|node| node.standing == "up"), "{nodes:?}");
}

#[test]
fn lines_that_are_no_commands_are_answered_and_the_session_goes_on() {
    story(90, || async {
        let cluster = cluster().await;
        let address = &cluster.director.address;
        let mut other = Talk::logged_in(address).await.unwrap();
        let mut talk = Talk::logged_in(address).await.unwrap();
        for (line, codes) in [
            (&b"\r\n"[..], &[500][..]),
            (b"   \r\n", &[500]),
            (b"PWD\r\r\n", &[257, 500, 501]),
            (b"CWD a\0b\r\n", &[501, 550, 553]),
            (b"\xff\xf1NOOP\r\n", &[200]),
            (b"NO\xff\xf1OP\r\n", &[200]),
            (b"CWD ../../../../etc\r\n", &[550]),
            (b"SIZE \xfe\xf0\x80\r\n", &[550, 501]),
            (b"RETR a\nb\r\n", &[550, 501, 500, 425, 503]),
        ] {
            talk.write(line).await.unwrap();
            let reply = talk.reply().await.unwrap();
            assert!(
                codes.contains(&reply.code),
                "{:?}: {reply:?}",
                String::from_utf8_lossy(line)
            );
            // What is left of a line that was taken for two is answered, too.
            talk.write(b"MODE S\r\n").await.unwrap();
            while talk.reply().await.unwrap().code != 200 {}
        }
        undisturbed(&cluster.director, &mut other).await;
    });
}

/// A path, a server's own business: what it says of it is passed on, and nothing else happens.
#[test]
fn names_with_newlines_globs_and_dots_name_nothing_else() {
    story(90, || async {
        let cluster = cluster().await;
        content::file(&cluster.home(0).join("a\nNOOP"), b"with a newline").unwrap();
        let mut other = Talk::logged_in(&cluster.director.address).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        talk.say("TYPE I", 200).await.unwrap();
        for line in [
            "DELE f*",
            "DELE ../*",
            "RMD ..",
            "RNFR f?le",
            "DELE file%0a",
            "SIZE f[i]le",
        ] {
            talk.say(line, 550).await.unwrap();
        }
        // A newline ends a line, whoever wanted it in a name.
        talk.write(b"SIZE a\nNOOP\r\n").await.unwrap();
        talk.expect(550).await.unwrap();
        talk.expect(200).await.unwrap();
        let (replies, bytes) = talk.receive("RETR f*").await.unwrap();
        assert!(bytes.is_empty() && replies[0].code == 550, "{replies:?}");
        assert!(cluster.home(0).join("file").exists());
        assert!(cluster.home(0).join("a\nNOOP").exists());
        undisturbed(&cluster.director, &mut other).await;
    });
}

#[test]
fn what_comes_out_of_order_is_503_and_what_lacks_a_connection_425() {
    story(90, || async {
        let cluster = cluster().await;
        let mut other = Talk::logged_in(&cluster.director.address).await.unwrap();
        let mut early = Talk::open(&cluster.director.address).await.unwrap();
        early.say("PASS secret", 503).await.unwrap();
        early.say("RETR file", 530).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        for (line, code) in [
            ("RETR file", 425),
            ("STOR up", 425),
            ("LIST", 425),
            ("RNTO stray", 503),
            ("PROT P", 503),
            ("REST -1", 501),
            ("REST 99999999999999999999999", 501),
            ("EPSV 9", 522),
            ("EPRT |3|127.0.0.1|5000|", 522),
            ("EPSV ALL", 200),
            ("PASV", 503),
        ] {
            talk.say(line, code).await.unwrap();
        }
        assert!(!cluster.home(0).join("up").exists());
        undisturbed(&cluster.director, &mut other).await;
    });
}

#[test]
fn half_a_line_keeps_nobody_waiting() {
    story(90, || async {
        let cluster = cluster().await;
        let mut other = Talk::logged_in(&cluster.director.address).await.unwrap();
        let mut halves = Vec::new();
        for half in [&b"USER an"[..], b"US\xff", b"\xff\xfa\x01", b"PASS x\r"] {
            let mut talk = Talk::open(&cluster.director.address).await.unwrap();
            talk.write(half).await.unwrap();
            halves.push(talk);
        }
        undisturbed(&cluster.director, &mut other).await;
        // What it is half of may still come.
        halves[0].write(b"n\r\n").await.unwrap();
        halves[0].expect(331).await.unwrap();
    });
}

#[test]
fn a_command_line_of_a_megabyte_is_refused() {
    story(90, || async {
        let cluster = cluster().await;
        let mut other = Talk::logged_in(&cluster.director.address).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        let mut line = vec![b'x'; 1 << 20];
        line.extend_from_slice(b"\r\n");
        talk.write(&line).await.unwrap();
        talk.expect(500).await.unwrap();
        talk.say("NOOP", 200).await.unwrap();
        undisturbed(&cluster.director, &mut other).await;
    });
}

#[test]
fn ports_of_third_hosts_and_low_ports_are_refused() {
    story(90, || async {
        let cluster = cluster().await;
        let mut other = Talk::logged_in(&cluster.director.address).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        let third = TcpListener::bind("127.0.0.9:0").await.unwrap();
        let port = third.local_addr().unwrap();
        for line in [
            port_line(port).unwrap(),
            port_line(SocketAddr::from(([127, 0, 0, 1], 22))).unwrap(),
            format!("EPRT |1|127.0.0.9|{}|", port.port()),
            "EPRT |1|127.0.0.1|80|".to_owned(),
        ] {
            let reply = talk.ask(&line).await.unwrap();
            assert!(matches!(reply.code, 500 | 501 | 504), "{line}: {reply:?}");
        }
        let none = timeout(Duration::from_millis(200), third.accept()).await;
        assert!(none.is_err(), "nobody connects to a third host");
        undisturbed(&cluster.director, &mut other).await;
    });
}

#[test]
fn a_stranger_gets_no_data_and_the_client_does() {
    story(90, || async {
        let cluster = cluster().await;
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        talk.say("TYPE I", 200).await.unwrap();
        let reply = talk.say("EPSV", 229).await.unwrap().text();
        let port: u16 = reply.split('|').nth(3).unwrap().parse().unwrap();
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.9:0".parse().unwrap()).unwrap();
        let mut stranger = socket.connect(target).await.unwrap();
        let mut own = TcpStream::connect(target).await.unwrap();
        talk.say("RETR file", 150).await.unwrap();
        let mut bytes = Vec::new();
        timeout(SOON, own.read_to_end(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(bytes, b"0123456789");
        talk.expect(226).await.unwrap();
        let mut none = Vec::new();
        // Reset, or closed: without a byte.
        let _ended = timeout(SOON, stranger.read_to_end(&mut none))
            .await
            .unwrap();
        assert!(none.is_empty(), "{none:?}");
    });
}

/// Takes the count of timers out, and returns it.
fn take_timers(rest: &mut Rest) -> u64 {
    let timers = rest.host.iter().filter(|(name, _)| name == "timers");
    let count = timers.map(|(_, count)| *count).sum();
    rest.host.retain(|(name, _)| name != "timers");
    count
}

#[test]
fn a_thousand_passive_listeners_that_nobody_uses_leave_nothing_behind() {
    story(120, || async {
        let cluster = cluster().await;
        let mut other = Talk::logged_in(&cluster.director.address).await.unwrap();
        let mut before = cluster.director.steady(SOON).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        for _ in 0..1000 {
            talk.say("PASV", 227).await.unwrap();
        }
        let now = cluster.director.rest().await.unwrap();
        assert!(
            now.descriptors < before.descriptors + 10,
            "{before:?} {now:?}"
        );
        talk.say("QUIT", 221).await.unwrap();
        drop(talk);
        let mut after = cluster.director.settled(&before, SOON / 4).await.unwrap();
        // A watch between two looks at its node has a timer more than one that looks.
        let watches = cluster.director.status().await.unwrap().nodes().len() as u64;
        let (timers, timers_before) = (take_timers(&mut after), take_timers(&mut before));
        assert!(
            timers <= timers_before + watches,
            "{timers} timers are left"
        );
        assert_eq!(after, before);
        undisturbed(&cluster.director, &mut other).await;
    });
}

#[test]
fn an_abort_with_urgent_data_ends_the_transfer_and_not_the_session() {
    story(90, || async {
        let fill = |home: &std::path::Path| {
            content::file(&home.join("big"), &content::bytes(1, 8_000_000))
        };
        let plan = Plan::of(&[Kind::Vsftpd, Kind::Proftpd]).rate(1_000_000);
        let cluster = Cluster::start(&plan, fill).await.unwrap();
        let mut talk = Talk::logged_in(&cluster.director.address).await.unwrap();
        talk.say("TYPE I", 200).await.unwrap();
        let mut data = talk.passive().await.unwrap();
        talk.say("RETR big", 150).await.unwrap();
        data.read_exact(&mut [0; 50_000]).await.unwrap();
        talk.write(b"\xff\xf4\xff\xf2ABOR\r\n").await.unwrap();
        talk.expect(426).await.unwrap();
        talk.expect(226).await.unwrap();
        drop(data);
        talk.say("SIZE big", 213).await.unwrap();
        let mut data = talk.passive().await.unwrap();
        talk.say("REST 7999990", 350).await.unwrap();
        talk.say("RETR big", 150).await.unwrap();
        let mut bytes = Vec::new();
        timeout(SOON, data.read_to_end(&mut bytes))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(bytes.len(), 10);
        talk.expect(226).await.unwrap();
    });
}
