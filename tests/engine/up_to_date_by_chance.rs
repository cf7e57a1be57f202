//! Random states: where a build is said to be up to date, a solve finds everything cached and makes the same images.
//!
//! `DOC2MD_UP_TO_DATE_ROUNDS=2500` makes that many on each engine, `DOC2MD_UP_TO_DATE_SEED=N` those of a run again.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use assert_cmd::assert::Assert;

use crate::quiet::up_to_date::{command, make_image, project, says_up_to_date};
use crate::support::{BuildkitStandIn, Engine, Project, engine, on_every_engine, text};

const ROUNDS: u64 = 12;
/// As far as clocks of machines that write files are wrong.
const HOUR: Duration = Duration::from_secs(3600);

struct World<'a> {
    project: Project,
    /// The engine that builds, and its BuildKit where that is a builder with an address.
    maker: &'a Engine,
    buildkit: Option<&'a BuildkitStandIn>,
    /// What LEVEL is set to, if it is.
    level: Option<u64>,
    state: u64,
}

impl World<'_> {
    fn random(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % below
    }

    fn path(&self, name: &str) -> PathBuf {
        self.project.dir().join(name)
    }

    /// One of the files that steps read.
    fn file(&mut self) -> PathBuf {
        let names = ["app/main.py", "worker/w.py", "bound/f"];
        let name = names[self.random(3) as usize];
        self.path(name)
    }

    fn build(&self, args: &[&str]) -> Assert {
        let mut command = command(&self.project, args);
        if let Some(buildkit) = self.buildkit {
            command.env("BUILDKIT_HOST", buildkit.address());
        }
        match self.level {
            Some(level) => command.env("LEVEL", level.to_string()),
            None => command.env_remove("LEVEL"),
        };
        assert_cmd::Command::from_std(command).assert()
    }

    /// Changes one thing, or none.
    fn edit(&mut self) {
        match self.random(19) {
            0..=2 => {
                let (path, content) = (self.file(), format!("{:04}", self.random(3)));
                std::fs::write(path, content).unwrap();
            }
            3 => _ = self.project.write("app/b.log", self.state.to_string()),
            4 => _ = self.project.write(".dockerignore", format!("{}\n", self.state % 2)),
            5 => _ = self.project.write("worker/.dockerignore", format!("w{}\n", self.state % 2)),
            6 => make_image(self.maker, &self.image("-base")),
            7 => make_image(self.project.engine(), &self.image("-api")),
            8 => _ = self.project.engine().docker(&["rmi", &self.image("-worker:1")]).output(),
            9 => self.level = Some(self.random(3)).filter(|level| *level > 0),
            10 => self.touch(),
            11 => self.change_within_a_tick(),
            12 => self.rename(),
            13 => {
                let mode = [0o644, 0o755, 0o600][self.random(3) as usize];
                let path = self.file();
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            14 => {
                let link = self.path("app/link");
                std::fs::remove_file(&link).unwrap();
                symlink(["main.py", "./main.py"][self.random(2) as usize], link).unwrap();
            }
            15 => {
                let link = self.path("app/hard");
                if std::fs::remove_file(&link).is_err() {
                    std::fs::hard_link(self.path("app/main.py"), link).unwrap();
                }
            }
            _ => {}
        }
    }

    fn image(&self, ending: &str) -> String {
        format!("{}{ending}", self.project.name())
    }

    /// Gives a file a time by another clock, and sometimes other content of the same length.
    fn touch(&mut self) {
        let path = self.file();
        if self.random(2) == 0 {
            let mut content = std::fs::read(&path).unwrap();
            content.reverse();
            std::fs::write(&path, content).unwrap();
        }
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let before = file.metadata().unwrap().modified().unwrap();
        let now = SystemTime::now();
        let time = [before, before - HOUR, now + HOUR, now - HOUR][self.random(4) as usize];
        file.set_modified(time).unwrap();
    }

    /// A build of what was written just before, and other content of the same length and time just after.
    fn change_within_a_tick(&mut self) {
        let path = self.file();
        std::fs::write(&path, "1234").unwrap();
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        self.build(&[]).success();
        std::fs::write(&path, "4321").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }

    /// Another file, with its own time, gets the name of one that is read; or two change their names.
    fn rename(&mut self) {
        let (path, other) = (self.file(), self.path("other"));
        if self.random(2) == 0 {
            std::fs::copy(&path, &other).unwrap();
            std::fs::rename(other, path).unwrap();
            return;
        }
        let second = self.path("worker/w.py");
        if path != second {
            std::fs::rename(&path, &other).unwrap();
            std::fs::rename(&second, path).unwrap();
            std::fs::rename(other, second).unwrap();
        }
    }
}

/// Returns how many builds were said to be up to date, and how many were solved. A builder's images come to `engine`.
fn run(
    engine: &Engine,
    builder: Option<(&Engine, &BuildkitStandIn)>,
    seed: u64,
    rounds: u64,
) -> (u64, u64) {
    let (maker, buildkit) = builder.unzip();
    let maker = maker.unwrap_or(engine);
    let mut world =
        World { project: project(engine), maker, buildkit, level: None, state: seed | 1 };
    if buildkit.is_some() {
        make_image(maker, &world.image("-base"));
    }
    let images = [world.image("-api"), world.image("-worker:1")];
    let ids = || images.each_ref().map(|image| engine.image_id(image));
    let (mut skipped, mut solved) = (0, 0);
    for round in 0..rounds {
        let place = format!("DOC2MD_UP_TO_DATE_SEED={seed}, round {round} on {}", engine.name);
        for _ in 0..world.random(3) {
            world.edit();
        }
        std::thread::sleep(Duration::from_millis(world.random(40)));
        let args: &[&str] = if world.random(3) == 0 { &["api"] } else { &[] };
        if !says_up_to_date(world.build(args)) {
            solved += 1;
            continue;
        }
        skipped += 1;
        let before = ids();
        let output = world.build(&[&["--always-solve"], args].concat()).success();
        let said = text(output.get_output());
        let mut built = said.lines().filter(|line| line.contains(" built, "));
        assert!(built.all(|line| line.contains(", 0 run ")), "{place}: {said}");
        assert_eq!(before, ids(), "{place}");
    }
    // Whatever was done: what was built a while after it has nothing to do.
    let is_settled = (1..=5_u32).any(|wait| {
        std::thread::sleep(wait * Duration::from_millis(150));
        says_up_to_date(world.build(&[]))
    });
    assert!(is_settled, "DOC2MD_UP_TO_DATE_SEED={seed} on {}", engine.name);
    (skipped, solved)
}

#[test]
fn what_is_said_to_be_up_to_date_is() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let rounds = number("DOC2MD_UP_TO_DATE_ROUNDS").unwrap_or(ROUNDS);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seed = number("DOC2MD_UP_TO_DATE_SEED").unwrap_or(now);
    on_every_engine(|engine| {
        is_mixed(run(engine, None, seed, rounds), rounds, &engine.name);
    });
    let maker = engine("28.5-containerd");
    let buildkit = BuildkitStandIn::start(maker.socket());
    for name in ["28.5", "28.5-containerd"] {
        let builder = Some((&maker, &buildkit));
        is_mixed(run(&engine(name), builder, seed, rounds), rounds, &format!("a builder, {name}"));
    }
}

/// A few rounds may all have something to do.
fn is_mixed((skipped, solved): (u64, u64), rounds: u64, place: &str) {
    let is_both = skipped > 0 && solved > 0;
    assert!(is_both || rounds < 100, "{place}: {skipped} up to date, {solved} solved");
}
