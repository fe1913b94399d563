//! Requests: links made, kept, pooled and reset; failures translated; order kept.

use director_abi as abi;
use tokio::io::AsyncWriteExt;

use super::plugin::{Action, Task, Ticket, answer, end_chain, established, event, failed};
use super::stage::{Stage, accept, ended, line, nodes, play, rest, until, write};
use crate::host::{Outcome, counts};

/// Steps until the plugin has to attempt, or it is over; links are established without a word.
async fn to_attempt(ticket: Ticket, first: abi::Event) -> Action {
    let mut action = ticket.step(first).await.unwrap();
    while action.tag == abi::Action::ESTABLISH {
        action = ticket.step(established(action.stream)).await.unwrap();
    }
    action
}

/// Says a line to the node and reads its answer; the failure is that of the stream.
async fn ask(action: &Action, said: &[u8]) -> Result<String, abi::Event> {
    let lost = |_code| failed(abi::kind::LOST, 0, 0);
    action.stream.write(said).await.map_err(lost)?;
    let told = action.stream.line().await.map_err(lost)?;
    if told.ends_with('\n') {
        Ok(told)
    } else {
        Err(failed(abi::kind::LOST, 0, 0))
    }
}

/// One request a line of the client's, resent anywhere, answered with what the node says.
async fn echo(task: Task) -> Result<(), String> {
    let chain = task.chain();
    loop {
        let said = task.stream.line().await.map_err(|code| code.to_string())?;
        if said.is_empty() {
            task.stream.close().await.map_err(|code| code.to_string())?;
            return Ok(());
        }
        let ticket = Ticket::open(chain);
        let mut action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
        let told = loop {
            match action.tag {
                abi::Action::ATTEMPT => match ask(&action, said.as_bytes()).await {
                    Ok(told) => {
                        let over = ticket.step(event(abi::Event::REPLIED)).await.unwrap();
                        assert_eq!(over.tag, abi::Action::REPLY);
                        break told;
                    }
                    Err(failure) => action = to_attempt(ticket, failure).await,
                },
                abi::Action::CLEAN_UP => {
                    let anywhere = answer(abi::Event::CLEANED, abi::resend::ANYWHERE);
                    action = to_attempt(ticket, anywhere).await;
                }
                abi::Action::GIVE_UP => break format!("gave up: {}\n", action.detail),
                other => panic!("action {other}"),
            }
        };
        ticket.end();
        task.stream
            .write(told.as_bytes())
            .await
            .map_err(|code| code.to_string())?;
    }
}

#[test]
fn an_exclusive_link_is_kept_and_reset_with_its_session() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, false, echo).await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"one\n").await;
        let mut node = accept(&listeners[0]).await;
        for said in ["one\n", "two\n", "three\n"] {
            if said != "one\n" {
                write(&mut client, said.as_bytes()).await;
            }
            assert_eq!(line(&mut node).await, said);
            write(&mut node, b"yes\n").await;
            assert_eq!(line(&mut client).await, "yes\n");
        }
        assert_eq!(stage.cluster.node(0).unwrap().in_flight(), 1);
        client.shutdown().await.unwrap();
        let end = ended(session).await;
        assert_eq!((end.requests, end.switches), (3, 0));
        assert_eq!(
            rest(&mut node).await,
            (Vec::new(), false),
            "reset, not closed"
        );
        assert_eq!(stage.cluster.node(0).unwrap().in_flight(), 0);
    });
}

#[test]
fn a_pooled_link_serves_the_next_session_and_rests_in_between() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, echo).await;
        let (mut first, first_session) = stage.client().await;
        write(&mut first, b"one\n").await;
        let mut node = accept(&listeners[0]).await;
        assert_eq!(line(&mut node).await, "one\n");
        write(&mut node, b"yes\n").await;
        assert_eq!(line(&mut first).await, "yes\n");
        assert_eq!(counts().resting_links, 1);
        assert_eq!(stage.cluster.node(0).unwrap().in_flight(), 0);
        drop(first);
        ended(first_session).await;
        let (mut second, second_session) = stage.client().await;
        write(&mut second, b"two\n").await;
        assert_eq!(line(&mut node).await, "two\n", "on the same link");
        // An end in the middle of a request: the link is unfit, and another one is made.
        drop(node);
        let mut node = accept(&listeners[0]).await;
        assert_eq!(line(&mut node).await, "two\n");
        write(&mut node, b"yes again\n").await;
        assert_eq!(line(&mut second).await, "yes again\n");
        drop(second);
        ended(second_session).await;
        until("the link rests", || counts().resting_links == 1).await;
        drop(stage);
        assert_eq!(
            rest(&mut node).await,
            (Vec::new(), false),
            "reset with the instance"
        );
    });
}

#[test]
fn bytes_or_an_end_at_rest_make_a_link_unfit() {
    play(|| async {
        for speaks in [true, false] {
            let (listeners, addresses) = nodes(1).await;
            let stage = Stage::new(&addresses, true, echo).await;
            let (mut client, session) = stage.client().await;
            write(&mut client, b"one\n").await;
            let mut node = accept(&listeners[0]).await;
            line(&mut node).await;
            write(&mut node, b"yes\n").await;
            line(&mut client).await;
            if speaks {
                write(&mut node, b"421 and by the way\n").await;
            } else {
                node.shutdown().await.unwrap();
            }
            write(&mut client, b"two\n").await;
            let mut fresh = accept(&listeners[0]).await;
            assert_eq!(line(&mut fresh).await, "two\n");
            write(&mut fresh, b"yes\n").await;
            assert_eq!(line(&mut client).await, "yes\n");
            assert!(!rest(&mut node).await.1, "the other is reset");
            drop(client);
            ended(session).await;
        }
    });
}

#[test]
fn a_request_goes_on_at_another_node() {
    play(|| async {
        let (mut listeners, addresses) = nodes(2).await;
        let stage = Stage::new(&addresses, true, echo).await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"one\n").await;
        let (mut node, which) = tokio::select! {
            node = accept(&listeners[0]) => (node, 0),
            node = accept(&listeners[1]) => (node, 1),
        };
        assert_eq!(line(&mut node).await, "one\n");
        write(&mut node, b"half a").await;
        // The process dies: its listener is gone, its connection reset.
        drop(listeners.remove(which));
        socket2::SockRef::from(&node)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
        drop(node);
        let mut other = accept(&listeners[0]).await;
        assert_eq!(line(&mut other).await, "one\n");
        write(&mut other, b"yes\n").await;
        assert_eq!(line(&mut client).await, "yes\n");
        client.shutdown().await.unwrap();
        let end = ended(session).await;
        assert_eq!((end.requests, end.switches), (1, 1));
        let standing = stage.cluster.node(which as u32).unwrap().standing();
        assert_eq!(standing, crate::cluster::Standing::Suspect);
    });
}

#[test]
fn what_was_sent_and_answered_is_the_hosts_own_count() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            action.stream.write(b"seven by").await.unwrap();
            task.stream.write(b"three").await.unwrap();
            let up = ticket
                .step(failed(abi::Ended::BY_CODE, 404, abi::Event::LINK_FIT))
                .await
                .unwrap();
            assert_eq!(up.tag, abi::Action::CLEAN_UP);
            assert_eq!((up.sent, up.answered), (8, 5));
            assert_eq!(up.kind, abi::kind::MISSING, "as the plugin's table has it");
            assert!(!up.link.is_null(), "the link is whole");
            assert_eq!(up.stream.0, action.stream.0);
            let over = ticket
                .step(answer(abi::Event::CLEANED, abi::resend::ANYWHERE))
                .await
                .unwrap();
            // The only node has given its answer.
            assert_eq!(
                (over.tag, over.kind),
                (abi::Action::GIVE_UP, abi::kind::EXHAUSTED)
            );
            assert!(over.detail.contains("missing 404"), "{}", over.detail);
            ticket.end();
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let _node = accept(&listeners[0]).await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        assert_eq!(counts().resting_links, 1, "a fit link is kept");
    });
}

#[test]
fn a_clients_failure_is_never_the_nodes() {
    play(|| async {
        let (listeners, addresses) = nodes(2).await;
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open(task.chain());
            let action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            assert!(task.stream.read(1).await.is_err(), "the client has left");
            // The plugin does not see whose failure it is; the host does.
            let up = ticket.step(failed(abi::kind::LOST, 0, 0)).await.unwrap();
            assert_eq!(
                (up.tag, up.kind),
                (abi::Action::CLEAN_UP, abi::kind::CLIENT_GONE)
            );
            let over = ticket
                .step(answer(abi::Event::CLEANED, abi::resend::ANYWHERE))
                .await
                .unwrap();
            assert_eq!(
                (over.tag, over.kind),
                (abi::Action::GIVE_UP, abi::kind::CLIENT_GONE)
            );
            assert_eq!(over.attempt, 1);
            assert_eq!(over.node, action.node);
            Ok(())
        })
        .await;
        let (client, session) = stage.client().await;
        let _node = tokio::select! {
            node = accept(&listeners[0]) => node,
            node = accept(&listeners[1]) => node,
        };
        socket2::SockRef::from(&client)
            .set_linger(Some(std::time::Duration::ZERO))
            .unwrap();
        drop(client);
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        let up = |node: &std::sync::Arc<crate::cluster::Node>| {
            node.standing() == crate::cluster::Standing::Up
        };
        assert!(
            stage.cluster.nodes().iter().all(up),
            "neither node is to blame"
        );
    });
}

#[test]
fn a_refused_connection_sends_nothing_and_goes_elsewhere() {
    play(|| async {
        let (mut listeners, addresses) = nodes(2).await;
        drop(listeners.remove(0));
        let stage = Stage::new(&addresses, true, echo).await;
        for _ in 0..6 {
            let (mut client, session) = stage.client().await;
            write(&mut client, b"one\n").await;
            let mut node = accept(&listeners[0]).await;
            assert_eq!(line(&mut node).await, "one\n");
            write(&mut node, b"yes\n").await;
            assert_eq!(line(&mut client).await, "yes\n");
            drop(node);
            drop(client);
            ended(session).await;
        }
    });
}

#[test]
fn when_no_node_is_there_the_client_is_told_in_time() {
    play(|| async {
        let (listeners, addresses) = nodes(2).await;
        drop(listeners);
        let stage = Stage::new(&addresses, true, |task| async move {
            let ticket = Ticket::open_within(task.chain(), 300);
            let over = ticket.step(event(abi::Event::BEGIN)).await.unwrap();
            assert_eq!(
                (over.tag, over.kind),
                (abi::Action::GIVE_UP, abi::kind::EXHAUSTED)
            );
            assert!(over.detail.contains("refused"), "{}", over.detail);
            assert!(
                ticket.step(event(abi::Event::BEGIN)).await.is_none(),
                "over is over"
            );
            Ok(())
        })
        .await;
        let begun = std::time::Instant::now();
        let (_client, session) = stage.client().await;
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
        assert!(begun.elapsed() < std::time::Duration::from_secs(5));
    });
}

#[test]
fn an_event_out_of_order_ends_the_request_and_resets_its_link() {
    play(|| async {
        let wrong: [fn() -> abi::Event; 5] = [
            || event(abi::Event::BEGIN),
            || answer(abi::Event::CLEANED, abi::resend::ANYWHERE),
            || answer(abi::Event::ASKED, abi::outcome::HAPPENED),
            || event(abi::Event::TORN),
            || event(99),
        ];
        for wrong in wrong {
            let (listeners, addresses) = nodes(1).await;
            let stage = Stage::new(&addresses, true, move |task| async move {
                let ticket = Ticket::open(task.chain());
                to_attempt(ticket, event(abi::Event::BEGIN)).await;
                assert!(ticket.step(wrong()).await.is_none());
                assert!(ticket.step(event(abi::Event::REPLIED)).await.is_none());
                task.stopping().await;
                Ok(())
            })
            .await;
            let (_client, session) = stage.client().await;
            let mut node = accept(&listeners[0]).await;
            assert_eq!(rest(&mut node).await, (Vec::new(), false));
            stage.stopper.stop();
            assert_eq!(ended(session).await.outcome, Outcome::Ended);
        }
    });
}

#[test]
fn a_request_ended_in_mid_attempt_resets_its_link_and_a_chain_has_one_at_a_time() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, false, |task| async move {
            let chain = task.chain();
            let ticket = Ticket::open(chain);
            assert_eq!(Ticket::open(chain).0, 0, "one is open");
            to_attempt(ticket, event(abi::Event::BEGIN)).await;
            ticket.end();
            ticket.end();
            assert_ne!(Ticket::open(chain).0, 0);
            end_chain(chain);
            end_chain(chain);
            assert_eq!(Ticket::open(chain).0, 0);
            task.stopping().await;
            Ok(())
        })
        .await;
        let (_client, session) = stage.client().await;
        let mut node = accept(&listeners[0]).await;
        assert_eq!(rest(&mut node).await, (Vec::new(), false));
        assert_eq!((counts().chains, counts().tickets), (0, 0));
        stage.stopper.stop();
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

#[test]
fn the_status_shows_which_node_a_session_is_on() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, echo).await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"one\n").await;
        let mut node = accept(&listeners[0]).await;
        line(&mut node).await;
        let shown = crate::host::sessions();
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].links, [0]);
        assert_eq!(shown[0].peer, client.local_addr().unwrap());
        write(&mut node, b"yes\n").await;
        line(&mut client).await;
        assert!(crate::host::sessions()[0].links.is_empty(), "it rests");
        drop(client);
        ended(session).await;
        assert!(crate::host::sessions().is_empty());
    });
}

#[test]
fn a_link_that_rests_too_long_is_reset() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let timeouts = crate::host::Timeouts {
            rest: std::time::Duration::from_millis(50),
            ..crate::host::Timeouts::default()
        };
        let stage = Stage::with(&addresses, true, timeouts, echo).await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"one\n").await;
        let mut node = accept(&listeners[0]).await;
        line(&mut node).await;
        write(&mut node, b"yes\n").await;
        assert_eq!(line(&mut client).await, "yes\n");
        assert_eq!(counts().resting_links, 1);
        assert_eq!(rest(&mut node).await, (Vec::new(), false));
        until("it is gone", || counts().resting_links == 0).await;
        drop(client);
        ended(session).await;
    });
}

#[test]
fn a_link_at_rest_goes_with_its_node() {
    play(|| async {
        let (listeners, addresses) = nodes(1).await;
        let stage = Stage::new(&addresses, true, echo).await;
        let (mut client, session) = stage.client().await;
        write(&mut client, b"one\n").await;
        let mut node = accept(&listeners[0]).await;
        line(&mut node).await;
        write(&mut node, b"yes\n").await;
        assert_eq!(line(&mut client).await, "yes\n");
        stage.declare_down(0);
        assert_eq!(rest(&mut node).await, (Vec::new(), false));
        assert_eq!(counts().resting_links, 0);
        drop(client);
        ended(session).await;
    });
}

#[test]
fn a_live_read_in_a_quiet_time_outlives_one_node_after_another() {
    play(|| async {
        let (listeners, addresses) = nodes(2).await;
        let stage = Stage::new(&addresses, true, |task: Task| async move {
            let ticket = Ticket::open(task.chain());
            let mut action = to_attempt(ticket, event(abi::Event::BEGIN)).await;
            while action.tag == abi::Action::ATTEMPT {
                action.stream.due(false);
                match ask(&action, b"on\n").await {
                    Ok(told) => {
                        task.stream
                            .write(told.as_bytes())
                            .await
                            .map_err(|code| code.to_string())?;
                        action = ticket.step(event(abi::Event::REPLIED)).await.unwrap();
                    }
                    Err(lost) => {
                        ticket.step(lost).await.unwrap();
                        let anywhere = answer(abi::Event::CLEANED, abi::resend::ANYWHERE);
                        action = to_attempt(ticket, anywhere).await;
                    }
                }
            }
            ticket.end();
            match action.tag {
                abi::Action::REPLY => Ok(()),
                _gave_up => Err(action.detail),
            }
        })
        .await;
        let cluster = &stage.cluster;
        while cluster.budget().withdraw(cluster.now()) {}
        let (mut client, session) = stage.client().await;
        for _quiet in 0..2 {
            let mut node = accept_either(&listeners).await;
            assert_eq!(line(&mut node).await, "on\n");
            // Longer than the longest back-off: so long is it quiet.
            tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
            while cluster.budget().withdraw(cluster.now()) {}
        }
        let mut node = accept_either(&listeners).await;
        assert_eq!(line(&mut node).await, "on\n");
        write(&mut node, b"news\n").await;
        assert_eq!(line(&mut client).await, "news\n");
        assert_eq!(ended(session).await.outcome, Outcome::Ended);
    });
}

async fn accept_either(listeners: &[tokio::net::TcpListener]) -> tokio::net::TcpStream {
    tokio::select! {
        node = accept(&listeners[0]) => node,
        node = accept(&listeners[1]) => node,
    }
}
