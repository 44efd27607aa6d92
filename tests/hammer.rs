//! Many readers against writers who commit, checkpoint, and make `-wal` vanish and come back: each
//! answer is one that the log had while the reader was at it.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::Env;

/// How long it lasts: `LINEAGE_HAMMER_SECONDS`, else 4.
fn duration() -> Duration {
    let given = std::env::var("LINEAGE_HAMMER_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(4))
}

/// How many threads ask what is live.
const RESOLVERS: u64 = 3;

/// What all threads share.
struct Hammer {
    root: PathBuf,
    steps: PathBuf,
    over: AtomicBool,
    /// Versions of `grow` whose promotion was begun, and whose promotion had ended.
    grown: Moves,
    /// Moves of `sway` between its versions 1 and 2, counted in the same way.
    swayed: Moves,
    /// Entries of the log that were certainly written.
    entries: AtomicU64,
    resolved: AtomicU64,
}

#[derive(Default)]
struct Moves {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Moves {
    fn make(&self, make: impl FnOnce(u64)) {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        make(number);
        self.ended.store(number, Ordering::SeqCst);
    }
}

/// Numbers without a pattern, so that writers meet readers at every point.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn rest(&mut self, milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(self.below(milliseconds)));
    }
}

impl Hammer {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lineage"));
        command
            .args(arguments)
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.parent().unwrap())
            .env("LINEAGE_ENVIRONMENT", "none")
            .env("LINEAGE_ACTOR", "Test Person <test@example.org>")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Value {
        read(self.command(arguments).arg("--json").output().unwrap(), arguments)
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// A model that only grows: version 3 is never live after version 4.
    fn grow(&self) {
        let mut random = Random(1);
        while self.goes_on() {
            self.grown.make(|number| {
                let path = format!("grow/{number}.bin");
                std::fs::create_dir_all(self.root.join("grow")).unwrap();
                std::fs::write(self.root.join(&path), format!("bytes of {number}")).unwrap();
                let recorded = self.run(&["record", "grow", "--artifact", &path]);
                assert_eq!(recorded["version"], number);
                let moved = self.run(&["promote", "grow"]);
                self.entries.fetch_max(moved["event_seq"].as_u64().unwrap(), Ordering::SeqCst);
            });
            random.rest(400);
        }
    }

    /// A model that goes back and forth: version 1 after odd moves, 2 after even ones.
    fn sway(&self) {
        let mut random = Random(2);
        while self.goes_on() {
            self.swayed.make(|number| {
                let version = swayed(number).to_string();
                self.run(&["promote", "sway", "--version", &version]);
            });
            random.rest(300);
        }
    }

    /// A commit of every table, and a checkpoint of them.
    fn rebuild(&self) {
        let mut random = Random(3);
        while self.goes_on() {
            random.rest(1500);
            self.run(&["doctor", "--rebuild"]);
        }
    }

    /// Opens and closes, so that `-wal` comes and goes, and empties it by itself.
    fn open_and_close(&self) {
        let mut random = Random(4);
        let path = self.root.join(".lineage/registry.db");
        while self.goes_on() {
            let connection = rusqlite::Connection::open(&path).unwrap();
            connection.busy_timeout(Duration::from_secs(10)).unwrap();
            let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            count("SELECT COUNT(*) FROM event").unwrap();
            random.rest(30);
            count("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
            random.rest(30);
            drop(connection);
            random.rest(500);
        }
    }

    /// Asks what is live, now and then slowly.
    fn resolve(&self, seed: u64) {
        let mut random = Random(seed);
        let mut newest = 0;
        while self.goes_on() {
            let (model, moves) = match random.below(2) {
                0 => ("grow", &self.grown),
                _ => ("sway", &self.swayed),
            };
            let arguments = ["resolve", model, "--json"];
            let mut command = self.command(&arguments);
            command.env("LINEAGE_TEST_STEPS", &self.steps);
            if random.below(3) == 0 {
                command.env("LINEAGE_TEST_PAUSE", format!("looked-up:{}", random.below(40)));
            }
            let ended = moves.ended.load(Ordering::SeqCst);
            let answer = read(command.output().unwrap(), &arguments);
            let begun = moves.begun.load(Ordering::SeqCst);
            let version = answer["version"].as_u64().unwrap();
            self.resolved.fetch_add(1, Ordering::SeqCst);
            if model == "grow" {
                assert!((ended..=begun).contains(&version), "{version} of {ended} to {begun}");
                assert_eq!(answer["path"], format!("grow/{version}.bin"));
                assert!(version >= newest, "{version} after {newest}");
                newest = version;
            } else {
                assert!((ended..=begun).any(|number| swayed(number) == version), "{answer}");
                assert_eq!(answer["path"], format!("sway/{version}.bin"));
            }
        }
    }

    /// Reads more than one row, of a log that only grows.
    fn status(&self) {
        let mut newest = 0;
        while self.goes_on() {
            let written = self.entries.load(Ordering::SeqCst);
            let seq = self.run(&["status"])["log_seq"].as_u64().unwrap();
            assert!(seq >= newest.max(written), "{seq} after {newest}, {written}");
            newest = seq;
        }
    }

    /// How often `resolve` read without locks, and how often what it had read was thrown away.
    fn counts(&self) -> (u64, u64) {
        // In this order: a process that is not counted yet may have told its steps.
        let resolved = self.resolved.load(Ordering::SeqCst);
        let told = std::fs::read_to_string(&self.steps).unwrap_or_default();
        let count = |step| told.matches(step).count() as u64;
        (count("opened-without-locks"), count("looked-up").saturating_sub(resolved))
    }

    /// Whether there were reads without locks, and some that were found unsound. A process that has not
    /// answered yet looks like one that read again, so that there are to be more as long as some run.
    fn has_met_both(&self, running: u64) -> bool {
        let (without_locks, again) = self.counts();
        without_locks >= 10 && again >= 5 + running
    }
}

/// The version that is live after so many moves.
fn swayed(number: u64) -> u64 {
    2 - number % 2
}

fn read(output: Output, arguments: &[&str]) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{told}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

#[test]
fn every_answer_is_one_that_the_log_had_meanwhile() {
    let env = Env::new();
    for number in ["1", "2"] {
        env.write(&format!("sway/{number}.bin"), number);
        env.run(&["record", "sway", "--artifact", &format!("sway/{number}.bin")]).ok();
    }
    let hammer = Hammer {
        root: env.root().to_owned(),
        steps: env.root().parent().unwrap().join("steps"),
        over: AtomicBool::new(false),
        grown: Moves::default(),
        swayed: Moves::default(),
        entries: AtomicU64::new(0),
        resolved: AtomicU64::new(0),
    };
    hammer.grown.make(|number| {
        env.write(&format!("grow/{number}.bin"), "bytes of 1");
        env.run(&["record", "grow", "--artifact", "grow/1.bin"]).ok();
        env.run(&["promote", "grow"]).ok();
    });
    hammer.swayed.make(|_| drop(env.run(&["promote", "sway", "--version", "1"]).ok()));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let hammer = &hammer;
        let work: [Box<dyn FnOnce() + Send>; 8] = [
            Box::new(|| hammer.grow()),
            Box::new(|| hammer.sway()),
            Box::new(|| hammer.rebuild()),
            Box::new(|| hammer.open_and_close()),
            Box::new(|| hammer.resolve(5)),
            Box::new(|| hammer.resolve(6)),
            Box::new(|| hammer.resolve(7)),
            Box::new(|| hammer.status()),
        ];
        let threads: Vec<_> = work.into_iter().map(|work| scope.spawn(work)).collect();
        let fails = || threads.iter().any(|thread| thread.is_finished());
        let limit = duration() + Duration::from_secs(60);
        while !fails()
            && started.elapsed() < limit
            && (started.elapsed() < duration() || !hammer.has_met_both(RESOLVERS))
        {
            std::thread::sleep(Duration::from_millis(20));
        }
        hammer.over.store(true, Ordering::Relaxed);
    });
    let (without_locks, again) = hammer.counts();
    let moves = |moves: &Moves| moves.ended.load(Ordering::SeqCst);
    eprintln!(
        "{} answers of resolve in {:.1} s, {without_locks} of them without locks at first, {again} \
         read again; {} and {} moves",
        hammer.resolved.load(Ordering::SeqCst),
        started.elapsed().as_secs_f64(),
        moves(&hammer.grown),
        moves(&hammer.swayed),
    );
    assert!(hammer.has_met_both(0));
    env.run(&["verify"]).ok();
}
