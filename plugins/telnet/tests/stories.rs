//! Whole sessions: what a user sees, and what hosts do, when a host dies in each tier.

#![forbid(unsafe_code)]

mod model;

use std::time::Duration;

use director_sdk::testing::World;

use model::SCRIPT;
use model::client::Client;

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
