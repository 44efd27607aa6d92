//! Every error of the library in words: what happened, to which file, what to type next, and the
//! exit code.

use std::io;

use lineage_core::diff::DiffError;
use lineage_core::events::EntryError;
use lineage_core::files::FileError;
use lineage_core::fingerprint::DirectoryProblem;
use lineage_core::fingerprint::{ContentError, FingerprintError, PartitionError, SchemaError};
use lineage_core::impact::ImpactError;
use lineage_core::init::InitError;
use lineage_core::inspect::InspectError;
use lineage_core::layout::LayoutError;
use lineage_core::lookup::LookupError;
use lineage_core::names::NameError;
use lineage_core::objects::ObjectError;
use lineage_core::pointer::{Differs, PointerError, Refusal, ResolveError};
use lineage_core::record::{InputFileError, RecordError, SpecError};
use lineage_core::redaction;
use lineage_core::reproduce::ReproduceError;
use lineage_core::search::SearchError;
use lineage_core::settings::SettingsError;
use lineage_core::store::{ForeignError, PastError, StoreError};
use lineage_core::takeover::TakeoverError;
use lineage_core::verify::VerifyError;

use crate::commands::promote::pointer_flag;
use crate::render;

macro_rules! kinds {
    ($($kind:ident $word:literal $exit:literal,)*) => {
        /// What went wrong: the fixed word in JSON, and the exit code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum ErrorKind { $($kind,)* }

        impl ErrorKind {
            pub(crate) fn word(self) -> &'static str {
                match self { $(ErrorKind::$kind => $word,)* }
            }

            pub(crate) fn exit_code(self) -> u8 {
                match self { $(ErrorKind::$kind => $exit,)* }
            }
        }
    };
}

kinds! {
    Failure "failure" 1,
    ChangedWhileRead "changed-while-read" 1,
    DiskFull "disk-full" 1,
    LacksSharedMemory "lacks-shm" 1,
    NetworkFileSystem "network-file-system" 1,
    NewerSchema "newer-schema" 1,
    OlderReadOnly "older-read-only" 1,
    ReadOnly "read-only" 1,
    TooLarge "too-large" 1,
    NotAsDeclared "not-as-declared" 2,
    Duplicate "duplicate" 2,
    NotRegular "not-regular" 2,
    NotUtf8 "not-utf8" 2,
    SettingsInvalid "settings-invalid" 2,
    StandIn "stand-in" 2,
    UnfitDirectory "unfit-directory" 2,
    Usage "usage" 2,
    Quarantined "quarantined" 3,
    Refused "refused" 3,
    BytesLost "bytes-lost" 4,
    Problems "problems" 4,
    RegistryCorrupt "registry-corrupt" 4,
    ServedDiffers "served-differs" 4,
    Ambiguous "ambiguous" 5,
    ExternalUnknown "external-unknown" 5,
    NeverHeld "never-held" 5,
    NoRegistry "no-registry" 5,
    NotFound "not-found" 5,
    NothingLive "nothing-live" 5,
    NothingToPromote "nothing-to-promote" 5,
    NothingToRollBackTo "nothing-to-roll-back-to" 5,
    UnknownModel "unknown-model" 5,
    UnknownSession "unknown-session" 5,
    UnknownVersion "unknown-version" 5,
    Contended "contended" 6,
    KeyReused "key-reused" 6,
    LabelTaken "label-taken" 6,
    MetadataForeign "metadata-foreign" 6,
    NameClash "name-clash" 6,
    Occupied "occupied" 6,
    PointerFileDrift "pointer-file-drift" 6,
    PointerMoved "pointer-moved" 6,
    SessionEnded "session-ended" 6,
    SessionFact "session-fact" 6,
    LockTimeout "lock-timeout" 8,
    Differences "differences" 10,
    Interrupted "interrupted" 130,
}

/// An error as the user meets it.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// What the error is about, with a caret under the place; shown to people.
    pub(crate) excerpt: Option<String>,
    /// Said before the error.
    pub(crate) warning: Option<String>,
    /// The result that was printed already says everything.
    pub(crate) reported: bool,
}

impl CliError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> CliError {
        let message = message.into();
        CliError { kind, message, hint: None, excerpt: None, warning: None, reported: false }
    }

    /// Shows `text` with a caret under one of its characters, and stars in the place of secrets.
    pub(crate) fn at(mut self, text: &str, character: usize) -> CliError {
        self.excerpt = redaction::masked(text).map(|text| render::caret(&text, character));
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hint = Some(hint.into());
        self
    }

    /// Only sets the exit code; the result on standard output says the rest.
    pub(crate) fn reported(kind: ErrorKind) -> CliError {
        CliError { reported: true, ..CliError::new(kind, "") }
    }
}

fn usage(message: impl ToString) -> CliError {
    CliError::new(ErrorKind::Usage, message.to_string())
}

impl From<NameError> for CliError {
    fn from(error: NameError) -> CliError {
        usage(error)
    }
}

impl From<SearchError> for CliError {
    fn from(error: SearchError) -> CliError {
        CliError { hint: error.hint.clone(), ..usage(error) }
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> CliError {
        let message = error.to_string();
        let (kind, hint) = match &error {
            FileError::Interrupted => (ErrorKind::Interrupted, None),
            FileError::NotRegular { .. } => (ErrorKind::NotRegular, Some("name a regular file")),
            FileError::LockTimeout { .. } => (
                ErrorKind::LockTimeout,
                Some("try again, or wait longer with --lock-timeout SECONDS"),
            ),
            FileError::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => (ErrorKind::NotFound, Some("check the path")),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
                    ErrorKind::DiskFull,
                    Some("nothing was recorded; free some space and try again"),
                ),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    (ErrorKind::ReadOnly, Some("check who may read and write there"))
                }
                io::ErrorKind::DirectoryNotEmpty => {
                    (ErrorKind::Failure, Some("it exists and is no registry; move it away first"))
                }
                _ => (ErrorKind::Failure, None),
            },
        };
        CliError { hint: hint.map(str::to_owned), ..CliError::new(kind, message) }
    }
}

impl From<LayoutError> for CliError {
    fn from(error: LayoutError) -> CliError {
        let message = error.to_string();
        match error {
            LayoutError::NoRegistry { .. } => CliError::new(ErrorKind::NoRegistry, message)
                .hint("make one with `lineage init`, or name one with -R DIR or LINEAGE_REGISTRY"),
            LayoutError::NotARegistry { .. } => CliError::new(ErrorKind::NoRegistry, message)
                .hint("make one with `lineage init`, or check -R and LINEAGE_REGISTRY"),
            LayoutError::NotUtf8 { .. } => CliError::new(ErrorKind::NotUtf8, message)
                .hint("rename the file; names in the registry are UTF-8"),
            LayoutError::File(error) => error.into(),
        }
    }
}

impl From<SettingsError> for CliError {
    fn from(error: SettingsError) -> CliError {
        let message = error.to_string();
        match error {
            SettingsError::Invalid { suggestion: Some(suggestion), .. } => {
                CliError::new(ErrorKind::SettingsInvalid, message)
                    .hint(format!("did you mean `{suggestion}`?"))
            }
            SettingsError::Invalid { .. } | SettingsError::Conflict { .. } => {
                CliError::new(ErrorKind::SettingsInvalid, message)
            }
            SettingsError::File(error) => error.into(),
        }
    }
}

impl From<EntryError> for CliError {
    fn from(error: EntryError) -> CliError {
        let message = error.to_string();
        match error {
            EntryError::TooLarge { .. } => CliError::new(ErrorKind::TooLarge, message)
                .hint("record fewer parameters, metrics or feature names, or a shorter note"),
            EntryError::Unknown { .. } => CliError::new(ErrorKind::NewerSchema, message)
                .hint("use the lineage that wrote it, or a newer one"),
            _ => CliError::new(ErrorKind::Failure, message),
        }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> CliError {
        let message = error.to_string();
        let with = |kind, hint: &str| CliError::new(kind, message.clone()).hint(hint);
        match error {
            StoreError::Corrupt { .. } => with(
                ErrorKind::RegistryCorrupt,
                "restore .lineage/registry.db from a backup, then run `lineage verify`",
            ),
            StoreError::Inapplicable { .. } => with(
                ErrorKind::RegistryCorrupt,
                "`lineage verify` names what is wrong; restore .lineage/registry.db from a backup",
            ),
            StoreError::Newer { .. } => {
                with(ErrorKind::NewerSchema, "nothing was touched; use the newer lineage")
            }
            StoreError::OlderReadOnly { .. } => with(
                ErrorKind::OlderReadOnly,
                "run any lineage command on a writable copy of the project to upgrade it",
            ),
            StoreError::LacksSharedMemory { .. } => with(
                ErrorKind::LacksSharedMemory,
                "copy .lineage whole (registry.db, registry.db-wal and registry.db-shm), or run \
                 `lineage status` once where it can be written and copy it again",
            ),
            StoreError::ChangedWhileRead { .. } => with(ErrorKind::ChangedWhileRead, "try again"),
            StoreError::ReadOnly { .. } => with(
                ErrorKind::ReadOnly,
                "reading commands work here; to record or promote, make .lineage writable",
            ),
            StoreError::DiskFull { .. } => {
                with(ErrorKind::DiskFull, "nothing was recorded; free some space and try again")
            }
            StoreError::Busy { .. } => with(
                ErrorKind::LockTimeout,
                "try again, or wait longer with --lock-timeout SECONDS",
            ),
            StoreError::Entry(error) => error.into(),
            StoreError::File(error) => error.into(),
            StoreError::Layout(error) => error.into(),
            StoreError::Sqlite(_) => with(
                ErrorKind::Failure,
                "`lineage doctor` looks at the registry's surroundings, `lineage verify` at its contents",
            ),
        }
    }
}

impl From<FingerprintError> for CliError {
    fn from(error: FingerprintError) -> CliError {
        let message = error.to_string();
        match error {
            FingerprintError::NotRegular { .. } => CliError::new(ErrorKind::NotRegular, message)
                .hint("write it to a file first, then name that"),
            FingerprintError::Changed { .. } => CliError::new(ErrorKind::ChangedWhileRead, message)
                .hint("wait until nothing writes to it, then try again"),
            FingerprintError::Directory { problem, .. } => {
                let error = CliError::new(ErrorKind::UnfitDirectory, message);
                match problem {
                    DirectoryProblem::Unwanted(name) => {
                        error.hint(format!("leave it out with --exclude '**/{name}' (it then counts as left out)"))
                    }
                    DirectoryProblem::NotUtf8 => error.hint("rename the file"),
                    DirectoryProblem::EscapingLink | DirectoryProblem::LinkToDirectory => {
                        error.hint("replace the link by what it leads to, or leave it out with --exclude GLOB")
                    }
                    _ => error,
                }
            }
            FingerprintError::Glob { .. } => usage(message),
            FingerprintError::Table { problem, .. } => {
                let hint = match *problem {
                    ContentError::Partitions(_) => {
                        "leave files out with --exclude GLOB, or the folder is not one table"
                    }
                    ContentError::InFile { .. } => "mend the file, or leave it out with --exclude",
                    _ => "mend the file, or read it with another schema, or with none",
                };
                CliError::new(ErrorKind::NotAsDeclared, message).hint(hint)
            }
            FingerprintError::File(error) => error.into(),
        }
    }
}

impl From<DiffError> for CliError {
    fn from(error: DiffError) -> CliError {
        let message = error.to_string();
        let with = |kind, hint: &str| CliError::new(kind, message.clone()).hint(hint);
        match error {
            DiffError::NoRows { .. } => {
                with(ErrorKind::Usage, "leave --key and --drift away, or name two tables")
            }
            DiffError::Key(_) => with(
                ErrorKind::Usage,
                "`lineage fingerprint FILE --columns` lists the columns; --key may be given several times",
            ),
            DiffError::TooManyRows(_) => CliError::new(ErrorKind::TooLarge, message),
            DiffError::NotAsRecorded { .. } => with(
                ErrorKind::NotFound,
                "without --key and --drift versions are compared by what was recorded of them",
            ),
            DiffError::Fingerprint(error) => error.into(),
            DiffError::Lookup(error) => error.into(),
            DiffError::Object(error) => error.into(),
            DiffError::Store(error) => error.into(),
        }
    }
}

impl From<ReproduceError> for CliError {
    fn from(error: ReproduceError) -> CliError {
        match error {
            ReproduceError::Lookup(error) => error.into(),
            ReproduceError::Object(error) => error.into(),
            ReproduceError::Record(error) => error.into(),
            ReproduceError::Store(error) => error.into(),
        }
    }
}

impl From<PartitionError> for CliError {
    fn from(error: PartitionError) -> CliError {
        match error {
            PartitionError::File(error) => error.into(),
            other => usage(other.to_string()),
        }
    }
}

impl From<SchemaError> for CliError {
    fn from(error: SchemaError) -> CliError {
        usage(error.to_string())
    }
}

impl From<InspectError> for CliError {
    fn from(error: InspectError) -> CliError {
        let message = error.to_string();
        match error {
            InspectError::Directory { .. } => {
                CliError::new(ErrorKind::NotRegular, message).hint("lineage inspect DIR/*")
            }
            InspectError::File(error) => error.into(),
        }
    }
}

impl From<LookupError> for CliError {
    fn from(error: LookupError) -> CliError {
        let message = error.to_string();
        match error {
            LookupError::UnknownModel { similar, .. } => {
                let error = CliError::new(ErrorKind::UnknownModel, message);
                match similar {
                    Some(similar) => error.hint(format!("did you mean {similar}?")),
                    None => error.hint("`lineage status` lists the models"),
                }
            }
            LookupError::UnknownVersion { model, latest, .. } => {
                let error = CliError::new(ErrorKind::UnknownVersion, message);
                match latest {
                    Some(latest) => error.hint(format!(
                        "`lineage log {model}` lists them; the newest is {model}@{latest}"
                    )),
                    None => error
                        .hint(format!("{model} has no version yet; record one with --artifact")),
                }
            }
            LookupError::NothingLive { model, .. } => {
                CliError::new(ErrorKind::NothingLive, message)
                    .hint(format!("make a version live with `lineage promote {model}`"))
            }
            LookupError::Ambiguous { .. } => {
                CliError::new(ErrorKind::Ambiguous, message).hint("give more digits, or the number")
            }
            LookupError::Store(error) => error.into(),
        }
    }
}

impl From<PastError> for CliError {
    fn from(error: PastError) -> CliError {
        let message = error.to_string();
        match error {
            PastError::TooEarly { .. } => CliError::new(ErrorKind::NotFound, message)
                .hint("name a later time, or a log entry: --at seq:7"),
            PastError::NoEntry { head, .. } => CliError::new(ErrorKind::NotFound, message)
                .hint(format!("--at seq:{head} is the present; leave --at away for it")),
            PastError::Store(error) => error.into(),
        }
    }
}

impl From<ImpactError> for CliError {
    fn from(error: ImpactError) -> CliError {
        match error {
            ImpactError::Fingerprint(error) => error.into(),
            ImpactError::Layout(error) => error.into(),
            ImpactError::Lookup(error) => error.into(),
            ImpactError::Store(error) => error.into(),
        }
    }
}

impl From<ObjectError> for CliError {
    fn from(error: ObjectError) -> CliError {
        let message = error.to_string();
        match error {
            ObjectError::Missing(_) | ObjectError::Damaged(_) => {
                CliError::new(ErrorKind::BytesLost, message)
                    .hint("`lineage verify` lists what else is damaged; restore .lineage/objects from a backup")
            }
            ObjectError::Occupied { .. } => CliError::new(ErrorKind::Occupied, message)
                .hint("name another folder, or move what is there away"),
            ObjectError::Fingerprint(error) => error.into(),
            ObjectError::File(error) => error.into(),
        }
    }
}

impl From<RecordError> for CliError {
    fn from(error: RecordError) -> CliError {
        let message = error.to_string();
        let with = |kind, hint: &str| CliError::new(kind, message.clone()).hint(hint);
        match error {
            RecordError::Duplicate { .. } => CliError::new(ErrorKind::Duplicate, message),
            RecordError::DuplicateDataset { role, .. } => {
                CliError::new(ErrorKind::Duplicate, message)
                    .hint(format!("give the second one a name of its own: --data {role}:NAME=PATH"))
            }
            RecordError::Name(error) => error.into(),
            RecordError::Seed(_)
            | RecordError::EmptyKey
            | RecordError::RowRange { .. }
            | RecordError::LabelWithoutArtifact => usage(message),
            RecordError::StandIn { .. } => with(
                ErrorKind::StandIn,
                "fetch the real file (`git lfs pull`, `dvc pull`), or record the stand-in as what it is with --allow-pointer",
            ),
            RecordError::Verdict { .. } => CliError::new(ErrorKind::Refused, message)
                .hint("lineage inspect says more; refuse-verdict in lineage.toml sets the limit"),
            RecordError::Policy { .. } => CliError::new(ErrorKind::Refused, message)
                .hint("[policies.training] in lineage.toml says what is required"),
            RecordError::NoSession(_) => {
                with(ErrorKind::UnknownSession, "`lineage session list` shows those there are")
            }
            RecordError::SessionEnded { .. } => {
                with(ErrorKind::SessionEnded, "start another with `lineage session start MODEL`")
            }
            RecordError::CompletedWith { model, .. } => CliError::new(ErrorKind::SessionEnded, message)
                .hint(format!(
                    "a completed session stays as it is; `lineage record {model} --artifact PATH` makes a version"
                )),
            RecordError::CompletedWithout { model, .. } => CliError::new(ErrorKind::SessionEnded, message)
                .hint(format!(
                    "a completed session stays as it is; `lineage record {model}` records another"
                )),
            RecordError::Given { .. } => with(
                ErrorKind::SessionFact,
                "a session's data, parameters and seed stay as they were given; start another session for others",
            ),
            RecordError::Series(_) => CliError::new(ErrorKind::BytesLost, message)
                .hint("`lineage verify` lists what else is damaged"),
            RecordError::Inspect(error) => error.into(),
            RecordError::NoColumns { .. } => with(
                ErrorKind::NotFound,
                "name the role: --like fraud@3:test; `lineage show` lists the datasets",
            ),
            RecordError::NoTable { .. } => with(
                ErrorKind::Usage,
                "name another table with --like, or its columns with --schema",
            ),
            RecordError::Object(error) => error.into(),
            RecordError::KeyReused { .. } => {
                with(ErrorKind::KeyReused, "use a new --idempotency-key for a new training run")
            }
            RecordError::LabelTaken { .. } => with(
                ErrorKind::LabelTaken,
                "labels never move; choose another, e.g. the next version",
            ),
            RecordError::LabelIsPointer { .. } => {
                with(ErrorKind::NameClash, "choose another label")
            }
            RecordError::MetadataForeign { .. } => with(
                ErrorKind::MetadataForeign,
                "choose a place with --metadata PATH, or overwrite the file with --force",
            ),
            RecordError::MetadataInside { .. } => with(
                ErrorKind::MetadataForeign,
                "it would no longer be what was recorded; choose another place with --metadata PATH",
            ),
            RecordError::MetadataIsDirectory { .. } => usage(message),
            RecordError::MetadataUnwritable { .. } => {
                with(ErrorKind::ReadOnly, "choose a writable place with --metadata PATH")
            }
            RecordError::Fingerprint(error) => error.into(),
            RecordError::Lookup(error) => error.into(),
            RecordError::Layout(error) => error.into(),
            RecordError::File(error) => error.into(),
            RecordError::Store(error) => error.into(),
        }
    }
}

impl From<InputFileError> for CliError {
    fn from(error: InputFileError) -> CliError {
        usage(error)
    }
}

impl From<SpecError> for CliError {
    fn from(error: SpecError) -> CliError {
        usage(error)
    }
}

impl From<InitError> for CliError {
    fn from(error: InitError) -> CliError {
        let message = error.to_string();
        match error {
            InitError::NetworkFileSystem { .. } => {
                CliError::new(ErrorKind::NetworkFileSystem, message)
                    .hint("make it on a local disk and name it with -R DIR or LINEAGE_REGISTRY")
            }
            InitError::AlreadyConfigured { .. } => {
                CliError::new(ErrorKind::NameClash, message).hint("edit lineage.toml instead")
            }
            InitError::Settings(error) => error.into(),
            InitError::Layout(error) => error.into(),
            InitError::File(error) => error.into(),
            InitError::Store(error) => error.into(),
        }
    }
}

impl From<TakeoverError> for CliError {
    fn from(error: TakeoverError) -> CliError {
        let message = error.to_string();
        match error {
            TakeoverError::NotAFolder(_) => {
                CliError::new(ErrorKind::NotFound, message).hint("name a folder with models in it")
            }
            TakeoverError::TooMany { .. } => CliError::new(ErrorKind::TooLarge, message)
                .hint("name the folder that holds the models"),
            TakeoverError::Foreign(ForeignError::Missing { .. }) => {
                CliError::new(ErrorKind::NotFound, message).hint("check the path")
            }
            TakeoverError::Foreign(ForeignError::Unreadable { .. })
            | TakeoverError::NotASource { .. } => {
                usage(message).hint("`lineage help import` says what can be imported")
            }
            TakeoverError::Record { subject, error } => {
                let error = CliError::from(*error);
                CliError { message: format!("{subject}: {}", error.message), ..error }
            }
            TakeoverError::Fingerprint(error) => error.into(),
            TakeoverError::Init(error) => error.into(),
            TakeoverError::Settings(error) => error.into(),
            TakeoverError::Pointer(error) => error.into(),
            TakeoverError::Object(error) => error.into(),
            TakeoverError::Layout(error) => error.into(),
            TakeoverError::File(error) => error.into(),
            TakeoverError::Store(error) => error.into(),
        }
    }
}

impl From<PointerError> for CliError {
    fn from(error: PointerError) -> CliError {
        let message = error.to_string();
        let with = |kind, hint: String| CliError::new(kind, message.clone()).hint(hint);
        match error {
            PointerError::Refused { refusal, unrecorded } => {
                let mut error = refusal_error(&refusal, message);
                error.warning = unrecorded
                    .map(|why| format!("the refusal could not be written to the log: {why}"));
                error
            }
            PointerError::NothingToPromote { model, quarantined: true } => with(
                ErrorKind::NothingToPromote,
                format!("name one: lineage promote {model} --version V --allow-quarantined"),
            ),
            PointerError::NothingToPromote { model, .. } => with(
                ErrorKind::NothingToPromote,
                format!("record one: lineage record {model} --artifact PATH"),
            ),
            PointerError::NothingToRollBackTo { passed_over, .. } if !passed_over.is_empty() => {
                with(
                    ErrorKind::NothingToRollBackTo,
                    format!(
                        "passed over because quarantined: {}; --allow-quarantined takes them",
                        passed_over.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
                    ),
                )
            }
            PointerError::NothingToRollBackTo { .. } => with(
                ErrorKind::NothingToRollBackTo,
                "`lineage pointer unset` takes the pointer away".to_owned(),
            ),
            PointerError::NeverHeld { .. } => with(
                ErrorKind::NeverHeld,
                "rollback only goes back; to release it use `lineage promote`".to_owned(),
            ),
            PointerError::Moved { .. } => with(
                ErrorKind::PointerMoved,
                "look at `lineage status`, then decide anew".to_owned(),
            ),
            PointerError::Drift(drifted) => with(
                ErrorKind::PointerFileDrift,
                format!(
                    "take it as the truth with `lineage promote {model}{flag} --accept-external`, or \
                     write over it with `lineage promote {model}{flag}{version} --overwrite-external`",
                    model = drifted.model,
                    flag = pointer_flag(&drifted.pointer),
                    version = drifted.live.map(|n| format!(" --version {n}")).unwrap_or_default(),
                ),
            ),
            PointerError::UnwritablePath { .. } => with(
                ErrorKind::Usage,
                "rename the artifact, or use pointer-format = \"json\" in lineage.toml".to_owned(),
            ),
            PointerError::ExternalUnknown { model, .. } => with(
                ErrorKind::ExternalUnknown,
                format!(
                    "record it first (lineage record {model} --artifact PATH), or use --overwrite-external"
                ),
            ),
            PointerError::NoPointerFile { .. } => {
                with(ErrorKind::NotFound, "set pointer-file in lineage.toml".to_owned())
            }
            PointerError::PointerIsLabel { .. } => {
                with(ErrorKind::NameClash, "choose another pointer".to_owned())
            }
            PointerError::NotStored { .. } => {
                with(ErrorKind::BytesLost, "only the recorded path can have them".to_owned())
            }
            PointerError::Contended { .. } => with(ErrorKind::Contended, "try again".to_owned()),
            PointerError::EmptyReason => usage(message),
            PointerError::Lookup(error) => error.into(),
            PointerError::Object(error) => error.into(),
            PointerError::Fingerprint(error) => error.into(),
            PointerError::Layout(error) => error.into(),
            PointerError::File(error) => error.into(),
            PointerError::Store(error) => error.into(),
        }
    }
}

fn refusal_error(refusal: &Refusal, message: String) -> CliError {
    match refusal {
        Refusal::Quarantined { .. } => CliError::new(ErrorKind::Quarantined, message)
            .hint("if it is sound after all, pass --allow-quarantined"),
        Refusal::Lost { .. } => CliError::new(ErrorKind::BytesLost, message).hint(
            "nothing was moved; `lineage history` shows other versions that held the pointer",
        ),
    }
}

impl From<ResolveError> for CliError {
    fn from(error: ResolveError) -> CliError {
        let message = error.to_string();
        match error {
            ResolveError::Differs(differs) => {
                let Differs { model, version, pointer, stored, .. } = *differs;
                let hint = match (pointer, stored) {
                    (Some(pointer), true) => format!(
                        "serve it from the object store: lineage promote {model} --version {version}{}",
                        pointer_flag(&pointer)
                    ),
                    (None, true) => {
                        format!("take it from the object store: lineage checkout {model}@{version}")
                    }
                    (Some(pointer), false) => format!(
                        "its bytes were not stored; go back: lineage rollback {model}{} --reason TEXT",
                        pointer_flag(&pointer)
                    ),
                    (None, false) => "its bytes were not stored".to_owned(),
                };
                CliError::new(ErrorKind::ServedDiffers, message).hint(hint)
            }
            ResolveError::Lookup(error) => error.into(),
            ResolveError::Fingerprint(error) => error.into(),
            ResolveError::Store(error) => error.into(),
        }
    }
}

impl From<VerifyError> for CliError {
    fn from(error: VerifyError) -> CliError {
        match error {
            VerifyError::Lookup(error) => error.into(),
            VerifyError::Fingerprint(error) => error.into(),
            VerifyError::Store(error) => error.into(),
        }
    }
}
