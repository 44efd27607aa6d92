//! What comes from outside: the environment, the clock, randomness, and who acts. Nothing else in
//! the workspace asks for these.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lineage_core::context::{Actor, ActorSource, Context, Identity, Timestamp};
use lineage_core::files::reason;
use lineage_core::layout::{Layout, LayoutError};
use lineage_core::lookup;
use lineage_core::names::ModelName;
use lineage_core::settings::Settings;
use lineage_core::store::{At, Past, Reader, Registry, StoreError};

use crate::args::{AtArg, Global};
use crate::error::{CliError, ErrorKind};
use crate::output::Output;

/// Program and version, as they stand in every log entry.
pub(crate) const WRITER: &str = concat!("lineage ", env!("CARGO_PKG_VERSION"));

/// A variable of the environment; empty counts as not set.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub(crate) fn working_directory() -> Result<PathBuf, CliError> {
    std::env::current_dir().map_err(|error| {
        let why = reason(&error);
        CliError::new(ErrorKind::Failure, format!("cannot find the working directory: {why}"))
    })
}

/// A variable that holds a path, which need not be UTF-8.
#[allow(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn path_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Where the registry is: the flag, else the variable, else the nearest folder upwards.
pub(crate) fn layout(global: &Global) -> Result<Layout, CliError> {
    let named = global.registry.clone().or_else(|| path_variable("LINEAGE_REGISTRY"));
    Ok(match named {
        Some(path) => Layout::at(&path)?,
        None => Layout::find(&working_directory()?)?,
    })
}

/// The registry of `folder`: as [`layout`], but searched from there; if there is none, the one that
/// would be made in it.
pub(crate) fn layout_for(global: &Global, folder: &Path) -> Result<Layout, CliError> {
    let named = global.registry.clone().or_else(|| path_variable("LINEAGE_REGISTRY"));
    let found = match &named {
        Some(path) => Layout::at(path),
        None => Layout::find(folder),
    };
    match found {
        Err(LayoutError::NoRegistry { .. } | LayoutError::NotARegistry { .. }) => {
            Ok(Layout::planned(named.as_deref().unwrap_or(folder))?)
        }
        other => Ok(other?),
    }
}

/// The folder in which `init` makes a registry.
pub(crate) fn planned_folder(global: &Global) -> Result<PathBuf, CliError> {
    match global.registry.clone().or_else(|| path_variable("LINEAGE_REGISTRY")) {
        Some(path) => Ok(path),
        None => working_directory(),
    }
}

/// A recorded path as one opens it from here: relative when it lies below the working directory,
/// else absolute.
pub(crate) fn openable(layout: &Layout, recorded: &str) -> String {
    let absolute = layout.absolute(recorded);
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let shown = match here {
        Ok(here) => absolute.strip_prefix(&here).map(Path::to_owned).unwrap_or(absolute),
        Err(_) => absolute,
    };
    shown.to_string_lossy().into_owned()
}

fn now() -> Timestamp {
    #[cfg(feature = "testing")]
    if let Some(time) = variable("LINEAGE_TEST_NOW").and_then(|text| text.parse().ok()) {
        return time;
    }
    let microseconds = chrono::Utc::now().timestamp_micros();
    Timestamp::from_unix_microseconds(microseconds).unwrap_or_else(epoch)
}

/// Only for a clock outside the years 0 to 9999.
fn epoch() -> Timestamp {
    let mut earlier = None;
    for microseconds in [0, 1] {
        earlier = earlier.or_else(|| Timestamp::from_unix_microseconds(microseconds));
    }
    match earlier {
        Some(time) => time,
        None => std::process::abort(),
    }
}

fn entropy(buffer: &mut [u8]) {
    #[cfg(feature = "testing")]
    if let Some(seed) = variable("LINEAGE_TEST_SEED") {
        use std::sync::atomic::{AtomicU64, Ordering};
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        for chunk in buffer.chunks_mut(32) {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let digest = lineage_core::digest::Sha256::of(format!("{seed}/{count}").as_bytes());
            chunk.copy_from_slice(&digest.as_bytes()[..chunk.len()]);
        }
        return;
    }
    if getrandom::fill(buffer).is_err() {
        // Without randomness no id can be made; nothing has been written yet.
        std::process::abort();
    }
}

/// Who acts: the flag, else the variable, else git's identity, else the login name.
fn actor(global: &Global, folder: &Path) -> Result<Actor, CliError> {
    let given =
        [(global.actor.clone(), ActorSource::Flag), (variable("LINEAGE_ACTOR"), ActorSource::Env)];
    for (text, source) in given {
        if let Some(text) = text {
            let identity = Identity::parse(&text).ok_or_else(|| {
                CliError::new(ErrorKind::Usage, format!("\"{text}\" names nobody"))
                    .hint("give a name, a mail address or both: --actor 'Ada <ada@example.org>'")
            })?;
            return Ok(Actor { identity, source });
        }
    }
    if let Some(identity) = git_identity(folder) {
        return Ok(Actor { identity, source: ActorSource::Git });
    }
    let os_user = ["LOGNAME", "USER", "USERNAME"]
        .into_iter()
        .find_map(variable)
        .unwrap_or_else(|| "unknown".to_owned());
    let identity = Identity { name: None, mail: None, os_user: Some(os_user) };
    Ok(Actor { identity, source: ActorSource::Os })
}

/// The configured identity, never one that git makes up from the host's name.
fn git_identity(folder: &Path) -> Option<Identity> {
    let output = Command::new("git")
        .args(["-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Identity::parse(text.rsplit_once('>').map(|(who, _)| format!("{who}>"))?.as_str())
}

/// Runs `work` with what the library takes from outside. Reading commands need no actor.
pub(crate) fn with_context<T>(
    global: &Global,
    output: &Output,
    folder: Option<&Path>,
    work: impl FnOnce(&Context<'_>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let actor = match folder {
        Some(folder) => actor(global, folder)?,
        None => Actor {
            identity: Identity { name: None, mail: None, os_user: None },
            source: ActorSource::Os,
        },
    };
    work(&Context {
        writer: WRITER,
        actor,
        clock: &now,
        entropy: &entropy,
        observer: output.observer(),
        lock_timeout: Duration::from_secs(global.lock_timeout),
    })
}

/// Says which registry is written to, when it is not that of the working directory.
pub(crate) fn tell_registry(output: &Output, layout: &Layout) {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    if here.is_ok_and(|here| here != layout.root()) {
        output.note(&format!("registry: {}", layout.registry().display()));
    }
}

/// Opens the registry for a command that writes.
pub(crate) fn writing<T>(
    global: &Global,
    output: &Output,
    dry_run: bool,
    work: impl FnOnce(&mut Registry, &Settings, &Context<'_>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let layout = layout(global)?;
    let settings = Settings::load(&layout.settings())?;
    tell_registry(output, &layout);
    with_context(global, output, Some(layout.root()), |context| {
        let mut registry = if dry_run {
            Registry::open_quietly(&layout, context)?
        } else {
            Registry::open(&layout, context)?
        };
        work(&mut registry, &settings, context)
    })
}

/// For a command that reads and can do without a registry: `work` gets none where there is none, or, with
/// a warning, where it cannot be read. One that was named with -R must be there and sound.
pub(crate) fn perhaps_reading<T>(
    global: &Global,
    output: &Output,
    work: impl FnOnce(Option<(&Registry, &Layout)>, &Context<'_>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let named = global.registry.is_some();
    let layout = layout(global);
    with_context(global, output, None, |context| match layout {
        Err(error) if named => Err(error),
        Err(_) => work(None, context),
        Ok(layout) => match Registry::open_read_only(&layout, context) {
            Ok(registry) => work(Some((&registry, &layout)), context),
            Err(error) if named => Err(error.into()),
            Err(error) => {
                output.warning(&format!(
                    "{error}; going on without it: every byte is read, and a metadata.json that lineage \
                     wrote is a file like others"
                ));
                work(None, context)
            }
        },
    })
}

/// Opens the registry for a command that reads files or much of the registry.
pub(crate) fn reading<T>(
    global: &Global,
    output: &Output,
    work: impl FnOnce(&Registry, &Settings, &Context<'_>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    reading_by(Registry::open_read_only, global, output, work)
}

/// Opens the registry for a command that only looks something up.
pub(crate) fn looking_up<T>(
    global: &Global,
    output: &Output,
    work: impl FnOnce(&Registry, &Settings, &Context<'_>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    reading_by(Registry::open_briefly, global, output, work)
}

fn reading_by<T>(
    open: impl FnOnce(&Layout, &Context<'_>) -> Result<Registry, StoreError>,
    global: &Global,
    output: &Output,
    work: impl FnOnce(&Registry, &Settings, &Context<'_>) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let layout = layout(global)?;
    let settings = Settings::load(&layout.settings())?;
    with_context(global, output, None, |context| {
        let registry = open(&layout, context)?;
        work(&registry, &settings, context)
    })
}

/// As [`looking_up`], in the registry as it is or as it was. Only `model`'s pointers are known of the
/// past, if one is given.
pub(crate) fn looking_up_at<T>(
    global: &Global,
    output: &Output,
    at: &AtArg,
    model: Option<&ModelName>,
    work: impl Fn(&Reader<'_>, &Settings, &Context<'_>) -> Result<T, CliError>,
) -> Result<(T, Option<At>), CliError> {
    looking_up(global, output, |registry, settings, context| {
        registry.read(|reader| {
            let Some(moment) = at.at else { return Ok((work(reader, settings, context)?, None)) };
            let past = Past::of(reader, moment, model)?;
            let found = work(&past.reader(), settings, context);
            let found = found.map_err(|error| not_then(error, reader, past.at, model))?;
            Ok((found, Some(past.at)))
        })
    })
}

/// What is not found in the past may be there now, if there is such a model at all.
pub(crate) fn not_then(
    error: CliError,
    live: &Reader<'_>,
    at: At,
    model: Option<&ModelName>,
) -> CliError {
    let is_of_then = matches!(
        error.kind,
        ErrorKind::UnknownModel | ErrorKind::UnknownVersion | ErrorKind::NothingLive
    );
    let is_there_now = |model: &&ModelName| lookup::known_model(live, model).is_ok();
    let Some(model) = model.filter(|_| is_of_then).filter(is_there_now) else { return error };
    let message = format!("{}, as of log entry {}, {}", error.message, at.seq, at.time);
    CliError { message, ..error }
        .hint(format!("`lineage log {model}` and `lineage history {model}` say what came when"))
}
