//! Progress, waiting and interruption, as a person at a terminal sees them.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lineage_core::context::{Observer, Step};

/// Work that takes less than this shows no progress bar, and a shorter wait is not mentioned.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells standard error about long work, and hears Ctrl-C.
pub(crate) struct Terminal {
    verbose: bool,
    show_progress: bool,
    interrupted: Arc<AtomicBool>,
    started: Instant,
    expected: AtomicU64,
    read: AtomicU64,
    bar: ProgressBar,
    shown: AtomicBool,
    said_waiting: AtomicBool,
    write: fn(&str),
}

impl Terminal {
    pub(crate) fn new(verbose: bool, quiet: bool, write: fn(&str)) -> Terminal {
        Terminal {
            verbose,
            show_progress: !quiet && std::io::stderr().is_terminal(),
            interrupted: Arc::new(AtomicBool::new(false)),
            started: Instant::now(),
            expected: AtomicU64::new(0),
            read: AtomicU64::new(0),
            bar: ProgressBar::hidden(),
            shown: AtomicBool::new(false),
            said_waiting: AtomicBool::new(false),
            write,
        }
    }

    /// From now on the first Ctrl-C asks the operation to stop where nothing is half-done, and a
    /// second one ends the process at once (which is as safe as `kill -9`).
    pub(crate) fn listen_for_interrupts(&self) {
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let flag = Arc::clone(&self.interrupted);
            let _ = signal_hook::flag::register_conditional_default(signal, Arc::clone(&flag));
            let _ = signal_hook::flag::register(signal, flag);
        }
    }

    /// Takes the progress bar away before something else is printed.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// The bar counted from the beginning, so that its rate is right from its first drawing on.
    fn show_bar(&self) {
        let template = "{bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    }
}

impl Observer for Terminal {
    fn step(&self, step: Step) {
        if self.verbose {
            (self.write)(&format!("step: {}\n", step.name()));
        }
        #[cfg(feature = "testing")]
        testing::at(step);
    }

    fn expect_bytes(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Ordering::Relaxed);
    }

    fn read_bytes(&self, bytes: u64) {
        let read = self.read.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if !self.show_progress {
            return;
        }
        self.bar.set_length(self.expected.load(Ordering::Relaxed));
        self.bar.set_position(read);
        if self.started.elapsed() >= PATIENCE && !self.shown.swap(true, Ordering::Relaxed) {
            self.show_bar();
        }
    }

    fn waiting(&self, what: &'static str, so_far: Duration) {
        if so_far >= PATIENCE && !self.said_waiting.swap(true, Ordering::Relaxed) {
            (self.write)(&format!("waiting for another lineage process that holds {what}\n"));
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// Doors for this project's own tests; not part of a release build.
#[cfg(feature = "testing")]
mod testing {
    use std::io::Write as _;
    use std::time::Duration;

    use lineage_core::context::Step;

    use crate::settings::variable;

    /// `LINEAGE_TEST_STEPS=FILE` notes the step there; `LINEAGE_TEST_PAUSE=STEP:MILLISECONDS`
    /// waits after it; `LINEAGE_TEST_STOP=STEP` ends the process there as `kill -9` would.
    pub(super) fn at(step: Step) {
        if let Some(path) = variable("LINEAGE_TEST_STEPS")
            && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path)
        {
            let _ = writeln!(file, "{}", step.name());
        }
        if let Some((name, milliseconds)) =
            variable("LINEAGE_TEST_PAUSE").as_deref().and_then(|text| text.split_once(':'))
            && name == step.name()
        {
            std::thread::sleep(Duration::from_millis(milliseconds.parse().unwrap_or(0)));
        }
        if variable("LINEAGE_TEST_STOP").is_some_and(|name| name == step.name()) {
            std::process::abort();
        }
    }
}
