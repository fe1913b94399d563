//! The run: programs, clients, faults, and what is read off at the end.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use director_tests::director::{self, Director, Rest, Status};
use director_tests::group::{self, Group, Node};
use director_tests::programs;
use tokio::task::JoinSet;

use super::chance::Chance;
use super::clients::{self, Chat, Habits};
use super::gaps::Fault;
use super::history::{History, Message, Reader, Replica};
use super::plan::{self, End, Kind, Planned, Wishes};

/// All nodes have to be up again within this, before the next fault.
const UP: Duration = Duration::from_secs(30);
/// After the last fault everybody has to have everything within this.
const HEAL: Duration = Duration::from_secs(20);
/// Counters and descriptors have to be what they were within this.
const SETTLE: Duration = Duration::from_secs(20);

/// What one run is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Decides the plan and what the clients do.
    pub seed: u64,
    /// Faults.
    pub faults: usize,
    /// Between propagations.
    pub interval: Duration,
    /// Clients that write.
    pub writers: u16,
    /// Clients that read.
    pub readers: usize,
    /// Messages a second, of all writers together.
    pub rate: u32,
    /// Packets vanish instead of processes.
    pub drop: bool,
    /// Every so many-th start finds its disk gone; 0 for none.
    pub wipe_every: usize,
    /// Rules of the chat plugin and the servers that are switched off.
    pub without: Vec<String>,
    /// Another chat plugin than the one beside this program.
    pub plugin: Option<PathBuf>,
}

/// What one run brought.
#[derive(Debug)]
pub struct Outcome {
    /// What the clients saw.
    pub history: History,
    /// What was done.
    pub faults: Vec<Fault>,
    /// For each director: before the clients came, and after they left.
    pub rest: Vec<(Rest, Rest)>,
    /// Where what the programs said is kept.
    pub logs: PathBuf,
    /// The time it took.
    pub took: Duration,
}

struct Running {
    group: Group,
    directors: Vec<Director>,
}

/// Runs it.
///
/// # Errors
/// When programs do not start, or do not come up again after a fault: nothing can be judged then.
pub async fn run(settings: &Settings) -> io::Result<Outcome> {
    let mut running = start(settings).await?;
    let ran = run_with(&mut running, settings).await;
    ran.map_err(|error| match keep_logs(&running, settings.seed) {
        Ok(folder) => io::Error::other(format!("{error}\nall logs are in {}", folder.display())),
        Err(_) => error,
    })
}

/// Writes what all programs have said to a folder that stays, and says which.
fn keep_logs(running: &Running, seed: u64) -> io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("bench-failover-{seed}"));
    std::fs::create_dir_all(&folder)?;
    for node in &running.group.nodes {
        std::fs::write(folder.join(format!("node-{}.log", node.id)), node.log())?;
    }
    for (number, director) in running.directors.iter().enumerate() {
        std::fs::write(
            folder.join(format!("director-{number}.log")),
            director.program.stderr(),
        )?;
    }
    Ok(folder)
}

async fn run_with(running: &mut Running, settings: &Settings) -> io::Result<Outcome> {
    let began = Instant::now();
    let mut before = Vec::new();
    for director in &running.directors {
        director.all_up(UP).await?;
        before.push(director.steady(SETTLE).await?);
    }
    let addresses = running
        .directors
        .iter()
        .map(|d| d.address.clone())
        .collect();
    let chat = Chat::new(addresses, "rooms/failover", settings.writers);
    let (mut writers, mut readers) = join(&chat, settings);
    let wishes = Wishes {
        faults: settings.faults,
        drop: settings.drop,
        wipe_every: settings.wipe_every,
        directors: running.directors.len(),
    };
    let mut faults: Vec<Fault> = Vec::new();
    for (number, planned) in plan::plan(settings.seed, &wishes).into_iter().enumerate() {
        let fault = hurt(running, &chat, planned, &faults)
            .await
            .map_err(|error| {
                io::Error::other(format!(
                    "fault {} of {}: {error}",
                    number + 1,
                    settings.faults
                ))
            })?;
        eprintln!("{number}: {}", told(&fault));
        faults.push(fault);
    }
    all_up(running).await?;
    tokio::time::sleep(settings.interval + Duration::from_millis(500)).await; // traffic after the last fault
    chat.stop_writing();
    while writers.join_next().await.is_some() {}
    wait_for_all(&chat).await;
    chat.stop_reading();
    while readers.join_next().await.is_some() {}
    let mut history = std::mem::take(&mut *chat.history());
    history.replicas = copies(&running.group, &history).await?;
    history.releases = releases(running).await?;
    history.deaths = faults.iter().map(|fault| fault.at).collect();
    let mut rest = Vec::new();
    for (director, before) in running.directors.iter().zip(before) {
        let after = director.settled(&before, SETTLE).await?;
        rest.push((before, after));
    }
    Ok(Outcome {
        history,
        faults,
        rest,
        logs: keep_logs(running, settings.seed)?,
        took: began.elapsed(),
    })
}

async fn start(settings: &Settings) -> io::Result<Running> {
    let of_servers = settings
        .without
        .iter()
        .filter(|rule| matches!(rule.as_str(), "names" | "leap"));
    let flags = of_servers
        .flat_map(|rule| ["--without".to_owned(), rule.clone()])
        .collect();
    let group = Group::start(&group::Settings {
        nodes: 3,
        interval: format!("{}ms", settings.interval.as_millis()),
        flags,
        hosts: settings.drop,
    })
    .await?;
    let plugin = match &settings.plugin {
        Some(plugin) => plugin.clone(),
        None => programs::chat_plugin()?,
    };
    let of_plugin: Vec<&String> = settings
        .without
        .iter()
        .filter(|rule| *rule != "leap")
        .collect();
    let options = match of_plugin.is_empty() {
        true => String::new(),
        false => format!("without = {of_plugin:?}"),
    };
    let told = director::Settings {
        service: "chat".to_owned(),
        plugin,
        listen: director::LOOPBACK.to_owned(),
        nodes: group.addresses(),
        more: String::new(),
        options,
    };
    let directors = vec![Director::start(&told).await?, Director::start(&told).await?];
    Ok(Running { group, directors })
}

/// Writers and their eyes stay with one director. Of the other readers most move: half of all readers
/// wander between the directors, some come back through the same one; one in five polls, one in five
/// starts anew now and then.
fn join(chat: &Arc<Chat>, settings: &Settings) -> (JoinSet<()>, JoinSet<()>) {
    let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
    let directors = chat.directors.len();
    for index in 0..settings.readers {
        let eyes_of = u16::try_from(index)
            .ok()
            .filter(|writer| *writer < settings.writers);
        let wanders = index >= settings.readers - settings.readers / 2;
        let habits = Habits {
            index,
            director: index % directors,
            eyes_of,
            moves: (eyes_of.is_none() || index % 2 == 0).then_some(Duration::from_secs(3)),
            wanders: wanders && eyes_of.is_none(),
            polls: eyes_of.is_none() && index % 5 == 4,
            begins_anew: wanders && index % 5 == 3,
        };
        let name = format!("r{index}");
        chat.history().readers.push(Reader {
            name,
            complete: true,
            ..Reader::default()
        });
        let chance = Chance::new(settings.seed, 1000 + index as u64);
        readers.spawn(clients::read(Arc::clone(chat), habits, chance));
    }
    let every = Duration::from_secs(1) * u32::from(settings.writers) / settings.rate.max(1);
    for writer in 0..settings.writers {
        let chance = Chance::new(settings.seed, 2000 + u64::from(writer));
        let director = usize::from(writer) % directors;
        writers.spawn(clients::write(
            Arc::clone(chat),
            writer,
            director,
            every,
            chance,
        ));
    }
    (writers, readers)
}

/// One fault, from the quiet before it to the start of the node after it.
async fn hurt(
    running: &mut Running,
    chat: &Chat,
    planned: Planned,
    before: &[Fault],
) -> io::Result<Fault> {
    all_up(running).await?;
    tokio::time::sleep(planned.pause).await;
    let asked = running.directors[planned.director].status().await?;
    let address = in_use(&asked)?;
    let mut hit = Vec::new();
    for (number, director) in running.directors.iter().enumerate() {
        let sessions = director.status().await?.sessions();
        let on_it = sessions
            .into_iter()
            .filter(|session| session.links.contains(&address));
        hit.extend(on_it.map(|session| (number, session.peer)));
    }
    let node = running.group.node_at(&address)?;
    let deaths_before = before.iter().filter(|fault| fault.node == node.id).count();
    let at = chat.now();
    match planned.kind {
        Kind::Kill | Kind::RefusedRestart => node.kill().await?,
        Kind::Stop => node.stop()?,
        Kind::Drop => host(node)?.cut().await?,
    }
    tokio::time::sleep(planned.down).await;
    end(node, &planned).await?;
    Ok(Fault {
        planned,
        at,
        node: node.id.clone(),
        hit,
        deaths_before,
    })
}

/// A fault in a line.
fn told(fault: &Fault) -> String {
    let Fault {
        planned,
        at,
        node,
        hit,
        ..
    } = fault;
    let ended = at.as_secs_f64() + planned.down.as_secs_f64();
    let (kind, hit) = (planned.kind.name(), hit.len());
    format!(
        "{:.3} s: {node}: {kind}, {hit} reads on it; {ended:.3} s: {:?}",
        at.as_secs_f64(),
        planned.end
    )
}

async fn end(node: &mut Node, planned: &Planned) -> io::Result<()> {
    if planned.end == End::GoOn {
        return match planned.kind {
            Kind::Stop => node.cont(),
            Kind::Drop => host(node)?.heal().await,
            Kind::Kill | Kind::RefusedRestart => Err(io::Error::other("the dead do not go on")),
        };
    }
    if planned.kind.is_silent() {
        node.kill().await?;
    }
    if planned.end == End::RestartWithoutDisk {
        node.remove_data()?;
    }
    if planned.kind == Kind::RefusedRestart {
        refused_start(node).await?;
    }
    node.start().await?;
    if planned.kind == Kind::Drop {
        host(node)?.heal().await?;
    }
    Ok(())
}

/// A start whose data directory is a file: the server has to refuse, and its port stays dead meanwhile.
async fn refused_start(node: &Node) -> io::Result<()> {
    let file = node.data.with_extension("file");
    std::fs::write(&file, "not a directory")?;
    let mut refused = node.spawn(&file)?;
    let status = refused.ended(Duration::from_secs(10)).await?;
    if status.success() || refused.stderr().trim().is_empty() {
        return Err(refused.trouble(&format!(
            "ended with {status} on a data directory that is a file"
        )));
    }
    Ok(())
}

fn host(node: &Node) -> io::Result<&director_tests::network::Host> {
    let id = &node.id;
    node.host
        .as_ref()
        .ok_or_else(|| io::Error::other(format!("node {id} has no host of its own")))
}

/// The address of the node that most live reads hang on.
fn in_use(status: &Status) -> io::Result<String> {
    let nodes = status.nodes();
    let busiest = nodes
        .iter()
        .filter(|node| node.standing == "up")
        .max_by_key(|node| node.in_flight);
    match busiest {
        Some(node) if node.in_flight > 0 => Ok(node.address.clone()),
        Some(_) | None => Err(io::Error::other(format!("no node is in use: {nodes:?}"))),
    }
}

async fn all_up(running: &Running) -> io::Result<()> {
    for node in &running.group.nodes {
        node.joined().await?;
    }
    for director in &running.directors {
        director.all_up(UP).await?;
    }
    Ok(())
}

/// Until every reader has been shown every acknowledged message, or the time for it is over: then the
/// judge says what is missing.
async fn wait_for_all(chat: &Chat) {
    let until = Instant::now() + HEAL;
    while chat.outstanding() > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// All servers' copies, once they agree and hold all that was acknowledged, or as they are when the time
/// for it is over.
async fn copies(group: &Group, history: &History) -> io::Result<Vec<Replica>> {
    let until = Instant::now() + HEAL;
    loop {
        let mut replicas = Vec::new();
        for node in &group.nodes {
            let messages = node.read_all("rooms/failover").await?;
            let messages: Result<Vec<Message>, _> = messages.iter().map(message_of).collect();
            replicas.push(Replica {
                server: node.id.clone(),
                messages: messages?,
            });
        }
        let probe = History {
            posts: history.posts.clone(),
            replicas,
            ..History::default()
        };
        let differ = super::check::check(&probe)
            .iter()
            .any(|violation| violation.kind() == "copies differ");
        if !differ || Instant::now() > until {
            return Ok(probe.replicas);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn message_of(value: &serde_json::Value) -> io::Result<Message> {
    let text = value["text"].as_str().unwrap_or_default();
    let name = text.split(' ').next().unwrap_or_default();
    name.parse()
        .map_err(|_| io::Error::other(format!("a message that is none of ours: {value}")))
}

async fn releases(running: &Running) -> io::Result<u64> {
    let mut count = 0.0;
    for director in &running.directors {
        count += director.metric("director_chat_released_total").await?;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let count = count as u64;
    Ok(count)
}
