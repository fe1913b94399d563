//! Sweeps of the kill matrix: a scene played again and again, each time with another fault in it.
//!
//! The oracle: what the client sees is what it sees without a fault ([`Scene::compares`]), the files in the end
//! are the same, and nothing was done twice ([`Cluster::done_twice`]). Its own test is `oracle.rs`.

use std::time::{Duration, Instant};

use director_sdk::testing::{Cut, Limits, Swept, World, some_cuts, two_cuts};

use super::Cluster;
use super::client::Client;
use super::server::Settings;
use super::style::Style;
use super::tree::{BEGUN, Tree, content, lines};

/// Not [`Cut::Garbage`], of which see `garbage.rs`: FTP has no checksum, neither of replies nor of data.
pub const FAULTS: [Cut; 5] = [Cut::Reset, Cut::End, Cut::Silence, Cut::Stall, Cut::Kill];

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: a number is right")),
    )
}

/// The seed of the samples: `FTP_SEED`, or 1.
pub fn seed() -> u64 {
    number("FTP_SEED").unwrap_or(1)
}

/// Sweeps `scenario`: one fault at every `stride`th byte, then pairs of faults. `FTP_MATRIX` stands for another
/// stride, `FTP_PAIRS` for another number of pairs.
pub fn sweep<T: PartialEq + std::fmt::Debug>(
    name: &str,
    stride: u64,
    scenario: impl Fn(&World) -> T,
) -> Swept {
    sweep_by(name, (&FAULTS, stride, 2), scenario)
}

/// The same by some faults; one run in `one_in` must come to a switch.
pub fn sweep_by<T: PartialEq + std::fmt::Debug>(
    name: &str,
    (faults, stride, one_in): (&[Cut], u64, u64),
    scenario: impl Fn(&World) -> T,
) -> Swept {
    let seed = seed();
    let sampled = number("FTP_MATRIX");
    // Where the bytes are many and alike, even the long form does not take each.
    let long = (stride / 500).max(1);
    let began = Instant::now();
    let swept = some_cuts(
        seed,
        faults,
        sampled.map_or(stride, |n| n * long),
        &scenario,
    );
    println!("{name}, seed {seed}: {swept:?} in {:?}", began.elapsed());
    let began = Instant::now();
    let pairs = number("FTP_PAIRS").unwrap_or(24);
    let twice = two_cuts(seed, faults, pairs as usize, &scenario);
    println!(
        "{name}, seed {seed}, twice: {twice:?} in {:?}",
        began.elapsed()
    );
    // A sweep of a few places is asked for to see pairs; the short form must have struck.
    let struck = swept.runs > 50 && swept.switches > swept.runs as u64 / one_in;
    assert!(sampled.is_some() || struck, "{swept:?}");
    assert!(pairs < 20 || twice.switches > pairs / one_in, "{twice:?}");
    swept
}

/// Three servers of a kind.
pub fn three(style: Style) -> [Settings; 3] {
    [
        Settings::of(style),
        Settings::of(style),
        Settings::of(style),
    ]
}

/// How many bytes `/pub/old` has.
pub const OLD: usize = 40;

pub fn tree() -> Tree {
    let mut tree = Tree::default();
    tree.put("/pub/file.bin", content(1, 1500), BEGUN);
    tree.put("/pub/text.txt", lines(2, 700), BEGUN);
    for n in 0..12 {
        tree.put(&format!("/pub/many/file{n}"), content(n, 10), BEGUN);
    }
    tree.put("/pub/old", content(3, OLD), BEGUN);
    tree.put("/pub/gone", content(4, 40), BEGUN);
    tree
}

/// Plays a session, logged in with binary transfers, and checks that nothing was done twice.
pub fn session<F>(world: &World, cluster: &Cluster, options: &str, talk: F) -> Vec<String>
where
    F: AsyncFn(&Cluster, &mut Client),
{
    play(world, cluster, options, false, async |client| {
        talk(cluster, client).await;
    })
}

/// The same with TLS on the control connection and on data connections, if it is `private`.
pub fn play<F>(
    world: &World,
    cluster: &Cluster,
    options: &str,
    private: bool,
    talk: F,
) -> Vec<String>
where
    F: AsyncFn(&mut Client),
{
    // Two stalls are found out after fifteen seconds each: as long as a request may take by default.
    let within = Duration::from_secs(120);
    world.limits(
        Limits {
            within,
            ..Limits::default()
        },
        0.2,
        10,
    );
    cluster.start(world, options);
    let told = world.run(async {
        let mut client = Client::new(world).await;
        if private {
            client.protect().await;
        }
        client.log_in().await;
        client.ask("TYPE I").await;
        talk(&mut client).await;
        client.quit().await
    });
    cluster.assert_once(&format!("{told:#?}\n{}", world.story()));
    told
}

/// One session over one kind of cluster.
pub struct Scene<'a> {
    pub name: &'a str,
    /// Bytes from one fault to the next, in the short form.
    pub stride: u64,
    pub settings: Settings,
    pub tree: Tree,
    pub options: &'a str,
    /// Each server has its own storage.
    pub separate: bool,
    /// TLS towards the client.
    pub private: bool,
    /// What the client uploads, by path: only then a file is complete.
    pub expect: Vec<(&'a str, Vec<u8>)>,
    pub faults: &'a [Cut],
    /// The client must see what it sees without a fault. Else the scene says what it may see.
    pub compares: bool,
}

impl Scene<'_> {
    /// Over three servers of a kind with one storage.
    pub fn of(name: &str, stride: u64, style: Style) -> Scene<'_> {
        Scene {
            name,
            stride,
            settings: Settings::of(style),
            tree: tree(),
            options: "{}",
            separate: false,
            private: false,
            expect: Vec::new(),
            faults: &FAULTS,
            compares: true,
        }
    }

    /// What may not be resent is switched more seldom.
    fn one_in(&self) -> u64 {
        if self.compares { 2 } else { 20 }
    }

    fn cluster(&self) -> Cluster {
        let settings = [
            self.settings.clone(),
            self.settings.clone(),
            self.settings.clone(),
        ];
        let cluster = match self.separate {
            true => Cluster::separate(&settings, &self.tree),
            false => Cluster::shared(&settings, self.tree.clone()),
        };
        for (path, bytes) in &self.expect {
            cluster.expect(path, bytes);
        }
        cluster
    }

    fn once<F>(&self, world: &World, cluster: &Cluster, talk: &F) -> Vec<String>
    where
        F: AsyncFn(&World, &Cluster, &mut Client),
    {
        let mut told = play(world, cluster, self.options, self.private, async |client| {
            talk(world, cluster, client).await;
        });
        if !self.compares {
            return Vec::new();
        }
        if !self.separate {
            told.push(cluster.servers[0].tree.borrow().to_string());
        }
        told
    }

    /// Cuts it at bytes of every connection; and has a server say 421 to each command in its turn.
    pub fn sweep<F>(&self, talk: F)
    where
        F: AsyncFn(&World, &Cluster, &mut Client),
    {
        let by = (self.faults, self.stride, self.one_in());
        sweep_by(self.name, by, |world| {
            self.once(world, &self.cluster(), &talk)
        });
        self.goodbyes(talk);
    }

    /// Plays it as often as it has commands to a node: each is answered with 421 once, and nothing done.
    fn goodbyes<F>(&self, talk: F)
    where
        F: AsyncFn(&World, &Cluster, &mut Client),
    {
        let run = |goodbye| {
            let (world, cluster) = (World::seeded(seed()), self.cluster());
            cluster.common.goodbye.set(goodbye);
            let told = self.once(&world, &cluster, &talk);
            let (story, switches) = (world.story(), world.switches());
            let left = world.finish();
            let left = (left.left_behind, left.cancelled, left.panics);
            assert_eq!(left, (0, 0, 0), "{}, 421 at {goodbye:?}", self.name);
            let heard = cluster.heard().iter().map(|(_, heard)| heard.len()).sum();
            (told, heard, switches, story)
        };
        let (sound, commands, planned, _) = run(None);
        let mut switches = 0;
        for nth in 0..commands {
            let (told, _, switched, story) = run(Some(nth));
            let name = self.name;
            assert!(
                told == sound,
                "{name}, 421 to command {nth}: the client saw\n{told:#?}\nand without\n{sound:#?}\n{story}"
            );
            switches += usize::from(switched > planned);
        }
        println!(
            "{}, 421 to each of {commands} commands: {switches} switched",
            self.name
        );
        // A planned switch may come at once behind it, and save one.
        let enough = commands / (2 * self.one_in() as usize);
        assert!(switches > enough, "{switches} of {commands}");
    }
}
