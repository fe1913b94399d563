//! Every story has an end: this is where it comes from.

use std::future::Future;
use std::time::Duration;

use director_tests::network;

/// Runs a story on a runtime of its own, for a time at most.
pub(crate) fn story<F: Future<Output = ()>>(seconds: u64, story: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(seconds);
        tokio::time::timeout(limit, story())
            .await
            .expect("the story has not ended in its time");
    });
}

/// The same in a network of its own. `name` is the test's own full name: the test program starts itself
/// again inside the network, with this one test.
pub(crate) fn story_in_own_network<F: Future<Output = ()>>(
    name: &str,
    seconds: u64,
    tale: impl FnOnce() -> F,
) {
    if network::is_own() {
        return story(seconds, tale);
    }
    assert!(
        network::may_make_one(),
        "{name} drops packets in a network namespace, which takes root"
    );
    let mut inside = network::in_own_network(&std::env::current_exe().unwrap());
    let output = inside
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    print!("{said}");
    assert!(output.status.success(), "{name} failed in its own network");
    assert!(
        said.contains("1 passed"),
        "{name} is not the test's name: nothing ran in its own network"
    );
}
