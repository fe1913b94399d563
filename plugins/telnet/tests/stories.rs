//! Whole sessions: what a user sees, and what hosts do, when a host dies in each tier.

#![forbid(unsafe_code)]
// Outside of a `#[test]` function, but in a test all the same.
#![allow(clippy::unwrap_used)]

mod model;

use std::time::Duration;

use director_sdk::testing::World;

use model::SCRIPT;
use model::client::Client;
use model::user::User;

#[test]
fn a_session_at_the_prompt_goes_on_at_another_host() {
    let world = World::seeded(1);
    let common = model::world(&world, &["a", "b"], &format!("{{{SCRIPT}}}"));
    world.run(async {
        let mut client = Client::new(&world);
        client.until_line("joe:/home/joe$ ").await;
        client.enter("cd /srv/data").await;
        client.until_line("joe:/srv/data$ ").await;
        let first = common.borrow().logins[0].clone();
        world.kill(&first);
        client
            .until(|screen| screen.row(screen.cursor().row - 1).starts_with('['))
            .await;
        client.until_line("joe:/srv/data$ ").await;
        let logins = common.borrow().logins.clone();
        assert_eq!(logins.len(), 2, "{logins:?}");
        assert_ne!(logins[0], logins[1]);
        let shown = client.shown();
        assert!(
            shown.ends_with("[host lost: session opened again on another]\njoe:/srv/data$"),
            "{shown}"
        );
        assert!(client.host.contains(&1) && client.own.contains(&31));
        let size = common.borrow().sizes.last().cloned();
        assert_eq!(size, Some((logins[1].clone(), 80, 24)));
        client.enter("pwd").await;
        client
            .until(|screen| screen.row(screen.cursor().row.max(1) - 1) == "/srv/data")
            .await;
        client.enter("exit").await;
        client.until_end().await;
        assert!(client.shown().ends_with("logout"), "{}", client.shown());
    });
    world.pass(Duration::from_secs(5));
    assert_eq!(common.borrow().logins.len(), 2, "{}", world.story());
}

/// A user logs in by hand.
async fn log_in(client: &mut Client) {
    client.until_line("login: ").await;
    client.enter("joe").await;
    client.until_line("Password: ").await;
    client.enter("sesame").await;
    client.until_line("$ ").await;
}

fn last_login(common: &std::rc::Rc<std::cell::RefCell<model::host::Common>>) -> String {
    common.borrow().logins.last().unwrap().clone()
}

#[test]
fn what_the_user_typed_to_log_in_is_typed_again() {
    let world = World::seeded(2);
    let common = model::world(&world, &["a", "b"], r#"{"login": "typed"}"#);
    world.run(async {
        let mut client = Client::new(&world);
        log_in(&mut client).await;
        client.enter("cd /srv").await;
        client.until_line(":/srv$ ").await;
        world.kill(&last_login(&common));
        client
            .until(|screen| screen.row(screen.cursor().row.max(1) - 1).starts_with('['))
            .await;
        client.until_line(":/srv$ ").await;
        assert_eq!(common.borrow().logins.len(), 2);
        client.enter("exit").await;
        client.until_end().await;
    });
    let told = |secret: &str| world.log().iter().any(|(_, line)| line.contains(secret));
    assert!(!told("sesame") && !told("joe"), "{:?}", world.log());
}

#[test]
fn without_a_login_of_its_own_the_service_asks_the_user_again() {
    let world = World::seeded(3);
    let common = model::world(&world, &["a", "b"], "{}");
    world.run(async {
        let mut client = Client::new(&world);
        log_in(&mut client).await;
        client.enter("cd /srv").await;
        client.until_line(":/srv$ ").await;
        world.kill(&last_login(&common));
        client.until_line("login: ").await;
        assert!(client.shown().contains("log in]"), "{}", client.shown());
        log_in(&mut client).await;
        // The director goes to the directory under the user's eyes.
        client.until_line(":/srv$ ").await;
        assert!(client.host.contains(&1), "the host echoes");
        assert!(client.echoed.is_empty());
        client.enter("exit").await;
        client.until_end().await;
    });
    assert_eq!(
        common.borrow().types.len(),
        2,
        "both hosts know the terminal"
    );
}

#[test]
fn a_host_that_dies_in_the_login_leaves_the_second_banner() {
    let world = World::seeded(4);
    let common = model::world(&world, &["a", "b"], "{}");
    world.run(async {
        let mut client = Client::new(&world);
        client.until_line("login: ").await;
        client.enter("joe").await;
        client.until_line("Password: ").await;
        client.type_in("ses").await;
        client.idle(Duration::from_millis(5)).await;
        let first = match client.shown().contains("Welcome to a") {
            true => "a",
            false => "b",
        };
        world.kill(first);
        client.until_line("login: ").await;
        // The rest of the password, of which nothing may be seen.
        client.enter("ame").await;
        client.idle(Duration::from_secs(1)).await;
        let shown = client.shown();
        assert!(
            !shown.contains("ame\n") && shown.ends_with("login:"),
            "{shown}"
        );
        assert!(!shown.contains('['), "no notice in a login: {shown}");
        log_in(&mut client).await;
        assert!(client.echoed.is_empty());
        client.enter("exit").await;
        client.until_end().await;
    });
    assert_eq!(common.borrow().logins.len(), 1);
}

#[test]
fn a_program_ends_and_its_screen_is_left() {
    let world = World::seeded(5);
    let common = model::world(&world, &["a", "b"], &format!("{{{SCRIPT}}}"));
    world.run(async {
        let mut client = Client::new(&world);
        client.until_line("$ ").await;
        client.enter("vi notes").await;
        client.until(|screen| screen.alternate()).await;
        client.until_line(":").await;
        world.kill(&last_login(&common));
        client.until(|screen| !screen.alternate()).await;
        client.until_line(":/home/joe$ ").await;
        let shown = client.shown();
        assert!(shown.contains("$ vi notes\n[host lost"), "{shown}");
        assert!(shown.contains("program ended"), "{shown}");
        assert!(!shown.contains("text in vi"), "{shown}");
    });
}

#[test]
fn an_end_is_a_logout_when_the_host_answers_and_it_is_alone() {
    for (eof, ends) in [("auto", true), ("logout", true), ("failure", false)] {
        let world = World::seeded(6);
        let options = format!("{{{SCRIPT}, \"eof\": \"{eof}\"}}");
        let common = model::world(&world, &["a", "b"], &options);
        world.run(async {
            let mut client = Client::new(&world);
            client.until_line("$ ").await;
            // A host ends the session by itself.
            client.enter("hangup").await;
            client.idle(Duration::from_secs(5)).await;
            assert_eq!(client.has_ended, ends, "{eof}:\n{}", client.shown());
        });
        let logins = common.borrow().logins.len();
        assert_eq!(logins, if ends { 1 } else { 2 }, "{eof}");
    }
}

#[test]
fn what_no_host_has_read_is_typed_again_where_the_service_says_so() {
    for (replay, done) in [("prompt", 1), ("drop", 0)] {
        let world = World::seeded(7);
        let options = format!("{{{SCRIPT}, \"replay\": \"{replay}\"}}");
        let common = model::world(&world, &["a", "b"], &options);
        world.run(async {
            let mut client = Client::new(&world);
            client.until_line("$ ").await;
            client.enter("echo before").await;
            client.until_line("$ ").await;
            client.idle(Duration::from_secs(1)).await;
            world.silence(&last_login(&common));
            client.enter("echo after").await;
            client.idle(Duration::from_secs(5)).await;
            let shown = client.shown();
            assert_eq!(shown.contains("input dropped"), done == 0, "{shown}");
        });
        let common = common.borrow();
        let times = |line: &str| common.done.iter().filter(|(_, done)| done == line).count();
        assert_eq!(
            (times("echo before"), times("echo after")),
            (1, done),
            "{replay}"
        );
    }
}

#[test]
fn a_connection_that_hangs_is_found_out_by_a_mark() {
    let world = World::seeded(8);
    let common = model::world(&world, &["a", "b"], &format!("{{{SCRIPT}}}"));
    world.run(async {
        let mut client = Client::new(&world);
        client.until_line("$ ").await;
        client.idle(Duration::from_secs(30)).await;
        assert_eq!(common.borrow().logins.len(), 1);
        common.borrow_mut().hang = true;
        client.idle(Duration::from_secs(60)).await;
        assert_eq!(common.borrow().logins.len(), 2, "{}", client.shown());
        assert!(client.shown().contains("[host lost"));
    });
}

#[test]
fn resume_is_typed_last() {
    let world = World::seeded(9);
    let options = format!("{{{SCRIPT}, \"resume\": \"echo resumed\"}}");
    let common = model::world(&world, &["a", "b"], &options);
    world.run(async {
        let mut client = Client::new(&world);
        client.until_line("$ ").await;
        client.enter("cd /srv").await;
        client.until_line(":/srv$ ").await;
        world.kill(&last_login(&common));
        client
            .until(|screen| (0..24).any(|row| screen.row(row) == "resumed"))
            .await;
        client.until_line(":/srv$ ").await;
    });
}

#[test]
fn what_passes_through_is_not_altered() {
    let world = World::seeded(10);
    let common = model::world(&world, &["a"], "{}");
    let raw = world.run(async {
        let mut client = Client::new(&world);
        log_in(&mut client).await;
        client.enter("exit").await;
        client.until_end().await;
        client.raw
    });
    // What this client says to this host directly: WILL TTYPE, WILL NAWS and its size, DO SGA, DO ECHO, its type.
    let direct = [
        &[
            255, 251, 24, 255, 251, 31, 255, 250, 31, 0, 80, 0, 24, 255, 240,
        ][..],
        &[255, 253, 3, 255, 253, 1, 255, 250, 24, 0][..],
        b"XTERM",
        &[255, 240],
    ]
    .concat();
    assert_eq!(common.borrow().heard, direct);
    assert!(raw.starts_with(&[255, 253, 24, 255, 253, 31, 255, 251, 3, 255, 251, 1]));
}

#[test]
fn a_client_that_never_reads_holds_nothing_but_itself() {
    let world = World::seeded(11);
    let common = model::world(&world, &["a"], &format!("{{{SCRIPT}}}"));
    world.run(async {
        let mut stuck = Client::new(&world);
        stuck.until_line("$ ").await;
        stuck.enter("flood").await;
        world.sleep(Duration::from_secs(3)).await;
        let said = common.borrow().flooded;
        assert!(said < 200_000, "{said} bytes are on their way");
        let mut user = User::new(&world);
        user.client.until_line("$ ").await;
        user.does("echo x", "x\r\n").await;
        user.leaves().await;
    });
}

#[test]
fn probes_and_watches_log_in_nowhere() {
    let world = World::seeded(12);
    let common = model::world(&world, &["a"], &format!("{{{SCRIPT}}}"));
    world.watch("a");
    world.pass(Duration::from_secs(60));
    assert_eq!(world.probe("a").kind, None);
    world.silence("a");
    world.pass(Duration::from_secs(20));
    assert!(common.borrow().logins.is_empty());
}
