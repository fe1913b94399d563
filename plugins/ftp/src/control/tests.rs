//! The dialogue in memory, against a small server of one session.

use std::cell::RefCell;
use std::rc::Rc;

use director_sdk::testing::{Leftover, Wire, World};

use crate::Ftp;

/// Every command that came to a node.
pub(crate) type Told = Rc<RefCell<Vec<String>>>;

/// A node that knows the user `ann`, password `secret`, and directories under `/`.
async fn serve(mut wire: Wire, name: &'static str, told: Told) {
    let mut cwd = "/".to_owned();
    let mut line = format!("220 {name}\r\n");
    loop {
        if wire.write_all(line.as_bytes()).await.is_err() {
            return;
        }
        let Ok(command) = wire.read_line().await else {
            return;
        };
        if command.is_empty() {
            return;
        }
        let command = command.trim_end().to_owned();
        told.borrow_mut().push(format!("{name}: {command}"));
        let (verb, argument) = command.split_once(' ').unwrap_or((&command, ""));
        line = match (verb, argument) {
            ("USER", _) => "331 Password?\r\n".to_owned(),
            ("PASS", "secret") => "230-Hello\r\n230 ann\r\n".to_owned(),
            ("PASS", _) => "530 No.\r\n".to_owned(),
            ("CWD", to) => {
                cwd = match to.starts_with('/') {
                    true => to.to_owned(),
                    false => format!("{}/{to}", cwd.trim_end_matches('/')),
                };
                "250 There.\r\n".to_owned()
            }
            ("PWD", "") => format!("257 \"{cwd}\"\r\n"),
            ("SYST", "") => "215 UNIX Type: L8\r\n".to_owned(),
            ("QUIT", "") => return,
            _ => "500 What?\r\n".to_owned(),
        };
    }
}

fn world(nodes: &[&'static str]) -> (World, Told) {
    let (world, told) = (World::seeded(1), Told::default());
    world.start::<Ftp>("{}").unwrap();
    for &name in nodes {
        let told = Rc::clone(&told);
        world.node(name, move |wire| serve(wire, name, Rc::clone(&told)));
    }
    (world, told)
}

/// What a client hears that says all of `lines` at once, and its end.
async fn hears(world: &World, lines: &str) -> String {
    let mut client = world.connect();
    client.write_all(lines.as_bytes()).await.unwrap();
    String::from_utf8(client.read_to_end().await.unwrap()).unwrap()
}

#[test]
fn a_client_logs_in_asks_and_leaves() {
    let (world, told) = world(&["a"]);
    let heard = world.run(hears(
        &world,
        "USER ann\r\nPASS secret\r\nSYST\r\nCWD /x\r\nPWD\r\nTYPE I\r\nNOOP\r\nQUIT\r\n",
    ));
    let codes: Vec<&str> = heard.lines().collect();
    assert_eq!(
        codes,
        [
            "220 FTP service ready.",
            "331 Password?",
            "230-Hello",
            "230 ann",
            "215 UNIX Type: L8",
            "250 There.",
            "257 \"/x\"",
            "200 Switching to Binary mode.",
            "200 NOOP ok.",
            "221 Goodbye.",
        ]
    );
    assert_eq!(told.borrow()[0], "a: USER ann");
    assert_eq!(world.finish(), Leftover::default());
}
