//! What a training ran with: the code, the packages, the machine (`docs/formats/environment.md`). An
//! allow-list; nothing of the environment's variables is recorded.

mod git;
mod gpu;
mod locks;
mod machine;
mod packages;
mod program;

use std::ffi::OsString;
use std::path::PathBuf;
use std::thread;

use lineage_core::environment::{Capture, Environment, Part};
use lineage_core::layout::Layout;
use lineage_core::record::{RecordRequest, Warning};
use lineage_core::redaction;
use lineage_core::settings::Settings;

use crate::error::{CliError, ErrorKind};
use crate::settings;

/// What is captured, for every command that writes sessions.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct CaptureArgs {
    /// Whether to capture code, packages and machine [env: LINEAGE_ENVIRONMENT; default: auto]
    #[arg(long, value_name = "WHAT", help_heading = "Environment")]
    environment: Option<What>,
    /// The Python whose packages are captured [default: that of the active environment]
    #[arg(long, value_name = "PATH", help_heading = "Environment")]
    python: Option<PathBuf>,
    /// Keep what differs from the commit, not only its digest, unless it seems to hold a secret
    #[arg(long, help_heading = "Environment")]
    keep_patch: bool,
}

/// Whether the environment is captured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// What is at hand: git, the machine, the active Python, R and conda environments
    Auto,
    /// Nothing
    None,
}

impl CaptureArgs {
    /// What is at hand now, with the Python that is named.
    pub(crate) fn at_hand(python: Option<PathBuf>) -> CaptureArgs {
        CaptureArgs { environment: Some(What::Auto), python, keep_patch: false }
    }

    /// The flag, else the variable.
    fn wanted(&self) -> Result<What, CliError> {
        let variable = || settings::variable("LINEAGE_ENVIRONMENT");
        match (self.environment, variable().as_deref()) {
            (Some(what), _) => Ok(what),
            (None, None | Some("auto")) => Ok(What::Auto),
            (None, Some("none")) => Ok(What::None),
            (None, Some(_)) => {
                let message = "LINEAGE_ENVIRONMENT is neither auto nor none";
                Err(CliError::new(ErrorKind::Usage, message))
            }
        }
    }

    /// Captures what a session ran with. `named` are its data and artifact, which are no code even where
    /// they lie in the repository ([`named_in`]); `command` is what `lineage run` started. Nothing when it
    /// is not wanted.
    pub(crate) fn capture(
        &self,
        named: Vec<PathBuf>,
        command: Option<&[OsString]>,
        settings: &Settings,
        layout: &Layout,
    ) -> Result<(Option<Capture>, Vec<Warning>), CliError> {
        if self.wanted()? == What::None {
            return Ok((None, Vec::new()));
        }
        let here = settings::working_directory()?;
        let not_code = not_code(named, settings, layout);
        let python = packages::interpreter(self.python.as_deref(), command);
        let ((code, python), gpus) = thread::scope(|scope| {
            let python = scope.spawn(|| packages::python(python.as_deref()));
            let gpus = scope.spawn(gpu::all);
            let code = git::capture(&here, &not_code, self.keep_patch);
            let lost = |_| Part::unavailable("it could not be looked at");
            let python =
                python.join().unwrap_or_else(|_| Part::unavailable("it could not be asked"));
            ((code, python), gpus.join().unwrap_or_else(lost))
        });
        let environment = Environment {
            host: machine::host(),
            system: machine::system(),
            cpu: machine::cpu(),
            memory_bytes: machine::memory_bytes(),
            gpus,
            container: machine::container(),
            git: code.asked,
            python,
            conda: packages::conda(),
            r: packages::r(layout.root(), command),
            locks: locks::beside(layout.root()),
            command: match command {
                Some(command) => Part::Known(without_secrets(command)),
                None => Part::unavailable("lineage did not start the training"),
            },
        };
        let capture = Capture { environment, code: code.code, patch: code.patch };
        Ok((Some(capture), code.warnings))
    }
}

/// A command line without secrets.
pub(crate) fn without_secrets(command: &[OsString]) -> Vec<String> {
    let texts: Vec<String> =
        command.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    redaction::arguments(&texts)
}

/// The data and artifact of a session: they have digests of their own.
pub(crate) fn named_in(request: &RecordRequest) -> Vec<PathBuf> {
    let data = request.datasets.iter().map(|data| &data.path);
    request.artifact.iter().chain(data).chain(&request.metadata).cloned().collect()
}

/// What lies in the repository and is no code of this session: what it names, and the files that lineage
/// writes.
fn not_code(named: Vec<PathBuf>, settings: &Settings, layout: &Layout) -> Vec<PathBuf> {
    let mut paths = named;
    for model in settings.models.values() {
        let files = model.pointer_file.iter();
        let files = files.chain(model.pointers.values().map(|pointer| &pointer.file));
        paths.extend(files.map(|file| layout.root().join(file)));
    }
    paths
}
