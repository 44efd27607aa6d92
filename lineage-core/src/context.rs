//! What an operation is told about the world: who acts, what time it is, where randomness comes
//! from, and whom to tell about progress. The library itself asks for none of these.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC with microseconds, written as RFC 3339 with exactly six fractional digits and
/// `Z`, e.g. `2026-03-01T12:00:00.000000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// The moment `microseconds` after 1970-01-01T00:00:00Z; `None` outside the years 0 to 9999.
    pub fn from_unix_microseconds(microseconds: i64) -> Option<Timestamp> {
        use chrono::Datelike as _;
        let time = DateTime::from_timestamp_micros(microseconds)?;
        (0..=9999).contains(&time.year()).then_some(Timestamp(time))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub fn unix_microseconds(self) -> i64 {
        self.0.timestamp_micros()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Timestamp(DateTime::parse_from_rfc3339(text)?.with_timezone(&Utc)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Where the name of an actor was taken from. Every source but `signature` is an assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorSource {
    /// `--actor`
    Flag,
    /// `LINEAGE_ACTOR`
    Env,
    /// `user.name` and `user.email` of git
    Git,
    /// The user of the operating system
    Os,
    /// The identity a CI service gives to its job
    Ci,
    /// A verified signature
    Signature,
}

/// What is known of a person. It never enters a log entry: entries name a random id, and a salted
/// commitment to this identity is kept so that it can be shown, or erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The person's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// The person's mail address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mail: Option<String>,
    /// The login name, where neither a name nor an address is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub os_user: Option<String>,
}

impl Identity {
    /// Reads `Name <mail>`, `mail@host` or `Name`; `None` when the text is empty.
    pub fn parse(text: &str) -> Option<Identity> {
        let text = text.trim();
        let (name, mail) = match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
            Some((name, mail)) => (name.trim(), mail.trim()),
            None if text.contains('@') && !text.contains(' ') => ("", text),
            None => (text, ""),
        };
        let filled = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        let identity = Identity { name: filled(name), mail: filled(mail), os_user: None };
        (identity.name.is_some() || identity.mail.is_some()).then_some(identity)
    }

    /// How to show the person: the name, else the address, else the login.
    pub fn display(&self) -> &str {
        [&self.name, &self.mail, &self.os_user]
            .into_iter()
            .find_map(|part| part.as_deref())
            .unwrap_or("(no name)")
    }
}

/// Who acts, and how we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The person, as asserted.
    pub identity: Identity,
    /// Where the assertion comes from.
    pub source: ActorSource,
}

/// A point in an operation after which something is durable, or about to be. Reported in this order
/// as an operation passes them, for `-v` and for tests that stop a process between two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The registry was opened for reading without SQLite's locks, since nobody is at work.
    OpenedWithoutLocks,
    /// The registry was asked for what is live; the bytes come next.
    LookedUp,
    /// Leftovers of interrupted commands were repaired or removed.
    Repaired,
    /// All named files were read and hashed; stored bytes lie in temporaries.
    Hashed,
    /// The temporaries of the object store were flushed and renamed into place.
    ObjectsStored,
    /// The bytes at the served path were found to be those of the version.
    ServedVerified,
    /// The version was materialised from the object store.
    CheckoutPlaced,
    /// The lock that orders pointer files was taken.
    FilesLocked,
    /// The write transaction began.
    TransactionBegun,
    /// The log entry and the rows that follow from it were written, not yet committed.
    EntryAppended,
    /// The new pointer file lies flushed beside the old one.
    PointerTemporaryWritten,
    /// The transaction is durable.
    Committed,
    /// The pointer file was renamed into place and its folder flushed.
    PointerPlaced,
    /// `metadata.json` lies flushed in a temporary.
    MetadataTemporaryWritten,
    /// `metadata.json` was renamed into place and its folder flushed.
    MetadataPlaced,
}

impl Step {
    /// The step in lower-case words joined by dashes, e.g. `transaction-begun`.
    pub fn name(self) -> &'static str {
        match self {
            Step::OpenedWithoutLocks => "opened-without-locks",
            Step::LookedUp => "looked-up",
            Step::Repaired => "repaired",
            Step::Hashed => "hashed",
            Step::ObjectsStored => "objects-stored",
            Step::ServedVerified => "served-verified",
            Step::CheckoutPlaced => "checkout-placed",
            Step::FilesLocked => "files-locked",
            Step::TransactionBegun => "transaction-begun",
            Step::EntryAppended => "entry-appended",
            Step::PointerTemporaryWritten => "pointer-temporary-written",
            Step::Committed => "committed",
            Step::PointerPlaced => "pointer-placed",
            Step::MetadataTemporaryWritten => "metadata-temporary-written",
            Step::MetadataPlaced => "metadata-placed",
        }
    }
}

/// Hears of an operation's progress, and may ask it to stop.
pub trait Observer: Sync {
    /// The operation passed `step`.
    fn step(&self, step: Step) {
        let _ = step;
    }

    /// `bytes` more will be read.
    fn expect_bytes(&self, bytes: u64) {
        let _ = bytes;
    }

    /// `bytes` more were read.
    fn read_bytes(&self, bytes: u64) {
        let _ = bytes;
    }

    /// The operation waits for another process that holds `what`; it has waited for `so_far`.
    fn waiting(&self, what: &'static str, so_far: Duration) {
        let _ = (what, so_far);
    }

    /// Whether the operation should stop at the next point where nothing is half-done.
    fn interrupted(&self) -> bool {
        false
    }
}

/// An observer that hears nothing.
pub struct Silent;

impl Observer for Silent {}

/// Everything an operation takes from outside.
pub struct Context<'a> {
    /// The program and version that writes, e.g. `lineage 0.1.0`; stands in every entry.
    pub writer: &'a str,
    /// Who acts.
    pub actor: Actor,
    /// The present time; asked when an entry is written, not before.
    pub clock: &'a (dyn Fn() -> Timestamp + Sync),
    /// Fills a buffer with random bytes.
    pub entropy: &'a (dyn Fn(&mut [u8]) + Sync),
    /// Hears of progress.
    pub observer: &'a dyn Observer,
    /// How long to wait for another process before giving up.
    pub lock_timeout: Duration,
}

impl Context<'_> {
    /// 16 random bytes in hex.
    pub(crate) fn random_hex(&self) -> String {
        let mut bytes = [0; 16];
        (self.entropy)(&mut bytes);
        hex::encode(bytes)
    }
}
