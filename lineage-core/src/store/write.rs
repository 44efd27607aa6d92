//! Appending to the log, and what goes with an entry in its transaction.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Deserialize;

use super::apply;
use super::error::StoreError;
use super::query::{OwedFile, OwedKind, Reader, int};
use super::schema::LOG_SCHEMA;
use crate::canonical;
use crate::context::{Context, Identity, Step, Timestamp};
use crate::digest::Sha256;
use crate::events::{
    ActorRef, Entry, EntryError, Event, Origin, PersonIntroduced, RegistryCreated,
};
use crate::layout::Layout;

/// An entry that was just added to the log.
#[derive(Debug, Clone)]
pub struct Appended {
    /// The entry.
    pub entry: Entry,
    /// The digest of its bytes.
    pub sha256: Sha256,
}

/// The inside of a write transaction. It can do everything that a [`Reader`] can.
pub struct Writer<'a> {
    connection: &'a Connection,
    reader: Reader<'a>,
    context: &'a Context<'a>,
}

impl<'a> std::ops::Deref for Writer<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

const INSERT_OWED: &str = "INSERT INTO owed_file \
    (path, kind, model, name, seq, content_sha256, replaces_sha256, settled) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0) \
    ON CONFLICT (kind, path) DO UPDATE SET model = excluded.model, name = excluded.name, \
    seq = excluded.seq, content_sha256 = excluded.content_sha256, \
    replaces_sha256 = excluded.replaces_sha256, settled = 0";

impl<'a> Writer<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        layout: &'a Layout,
        id: &'a str,
        context: &'a Context<'a>,
    ) -> Writer<'a> {
        Writer { connection, reader: Reader::new(connection, layout, id), context }
    }

    /// Appends one event and applies it to the tables. A person who acts for the first time is
    /// introduced by an entry of their own before it.
    pub fn append(&mut self, event: &Event, session: Option<&str>) -> Result<Appended, StoreError> {
        let actor = self.actor()?;
        let appended = append(self.connection, self.id(), self.context, event, session, actor)?;
        self.context.observer.step(Step::EntryAppended);
        Ok(appended)
    }

    fn actor(&self) -> Result<ActorRef, StoreError> {
        let source = self.context.actor.source;
        let identity = identity_text(&self.context.actor.identity)?;
        let known: Option<String> = self
            .connection
            .query_row(
                "SELECT person FROM person_opening WHERE identity = ?1",
                [&identity],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(id) = known {
            return Ok(ActorRef { id, source });
        }
        let person = Person::new(identity, self.context);
        let actor = ActorRef { id: person.id.clone(), source };
        person.open(self.connection)?;
        let event = Event::PersonIntroduced(person.introduction());
        append(self.connection, self.id(), self.context, &event, None, actor.clone())?;
        Ok(actor)
    }

    /// States what a file outside the database must hold from now on. It is put there after the
    /// transaction is durable, by this process or, if it dies, by the next that writes.
    pub fn owe(&mut self, file: &OwedFile) -> Result<(), StoreError> {
        let text = |digest: &Option<Sha256>| digest.map(|digest| digest.to_string());
        self.connection.prepare_cached(INSERT_OWED)?.execute(params![
            file.path,
            file.kind.as_str(),
            file.model,
            file.name,
            int(file.seq),
            text(&file.content_sha256),
            text(&file.replaces_sha256),
        ])?;
        Ok(())
    }

    /// Notes that files were seen as they must be, so that they are not looked at again.
    pub fn settle(&mut self, files: &[OwedFile]) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE owed_file SET settled = 1 WHERE kind = ?1 AND path = ?2 AND seq = ?3",
        )?;
        for file in files {
            statement.execute(params![file.kind.as_str(), file.path, int(file.seq)])?;
        }
        Ok(())
    }

    /// Forgets where a pointer's file was, because the settings have moved it.
    pub fn forget_pointer_file(&mut self, path: &str) -> Result<(), StoreError> {
        self.connection.execute(
            "DELETE FROM owed_file WHERE kind = ?1 AND path = ?2",
            params![OwedKind::Pointer.as_str(), path],
        )?;
        Ok(())
    }
}

fn identity_text(identity: &Identity) -> Result<String, StoreError> {
    let value = serde_json::to_value(identity).map_err(EntryError::from)?;
    let bytes = canonical::to_bytes(&value).map_err(EntryError::from)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A person who acts for the first time.
struct Person {
    id: String,
    salt: [u8; 32],
    identity: String,
}

impl Person {
    fn new(identity: String, context: &Context<'_>) -> Person {
        let (mut id, mut salt) = ([0; 16], [0; 32]);
        (context.entropy)(&mut id);
        (context.entropy)(&mut salt);
        let id = format!("p-{}", ulid::Ulid::from_bytes(id).to_string().to_ascii_lowercase());
        Person { id, salt, identity }
    }

    fn introduction(&self) -> PersonIntroduced {
        let commitment = commitment(&self.salt, &self.identity);
        PersonIntroduced { person: self.id.clone(), commitment }
    }

    fn open(&self, connection: &Connection) -> Result<(), StoreError> {
        connection.execute(
            "INSERT INTO person_opening (person, salt, identity) VALUES (?1, ?2, ?3)",
            params![self.id, self.salt.as_slice(), self.identity],
        )?;
        Ok(())
    }
}

/// The commitment that an opening must match: SHA-256 of the salt and the canonical identity.
pub(super) fn commitment(salt: &[u8], identity: &str) -> Sha256 {
    let mut bytes = salt.to_vec();
    bytes.extend_from_slice(identity.as_bytes());
    Sha256::of(&bytes)
}

/// Writes entry 0, and introduces the person who made the registry.
pub(super) fn begin_log(connection: &Connection, context: &Context<'_>) -> Result<(), StoreError> {
    let mut random = [0; 16];
    (context.entropy)(&mut random);
    let registry = uuid::Builder::from_random_bytes(random).into_uuid().to_string();
    let person = Person::new(identity_text(&context.actor.identity)?, context);
    let actor = ActorRef { id: person.id.clone(), source: context.actor.source };
    person.open(connection)?;
    let created = Event::RegistryCreated(RegistryCreated { log_schema: LOG_SCHEMA as u32 });
    append(connection, &registry, context, &created, None, actor.clone())?;
    let introduced = Event::PersonIntroduced(person.introduction());
    append(connection, &registry, context, &introduced, None, actor)?;
    Ok(())
}

/// The end of the log, as far as the next entry needs it.
struct Tail {
    seq: u64,
    sha256: Sha256,
    time: Timestamp,
}

/// Reads the last entry, and checks that its bytes still have their digest: nothing is chained to
/// an entry that was altered.
fn tail(connection: &Connection) -> Result<Option<Tail>, StoreError> {
    #[derive(Deserialize)]
    struct Last {
        time: Timestamp,
        r#type: String,
        details_v: u32,
    }
    let last: Option<(i64, Vec<u8>, String)> = connection
        .prepare_cached("SELECT seq, entry, sha256 FROM event ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((seq, entry, sha256)) = last else { return Ok(None) };
    let seq = u64::try_from(seq).unwrap_or(0);
    let actual = Sha256::of(&entry);
    if actual.to_string() != sha256 {
        let problem = "its bytes do not have the digest in its row".to_owned();
        return Err(StoreError::Inapplicable { seq, problem });
    }
    let last: Last = serde_json::from_slice(&entry).map_err(EntryError::from)?;
    if !Event::is_known(&last.r#type, last.details_v) {
        let (name, version) = (last.r#type, last.details_v);
        return Err(EntryError::Unknown { seq, name, version }.into());
    }
    Ok(Some(Tail { seq, sha256: actual, time: last.time }))
}

/// The one function that adds to the log; `apply` follows in the same transaction.
fn append(
    connection: &Connection,
    registry: &str,
    context: &Context<'_>,
    event: &Event,
    session: Option<&str>,
    actor: ActorRef,
) -> Result<Appended, StoreError> {
    let tail = tail(connection)?;
    let origin = Origin {
        writer: context.writer.to_owned(),
        seq: tail.as_ref().map_or(0, |tail| tail.seq + 1),
        time: (context.clock)(),
        previous_time: tail.as_ref().map(|tail| tail.time),
        registry: registry.to_owned(),
        actor,
        session: session.map(str::to_owned),
        prev: tail.map_or(Sha256::ZERO, |tail| tail.sha256),
    };
    let entry = Entry::new(event, origin)?;
    let bytes = entry.to_bytes()?;
    let sha256 = Sha256::of(&bytes);
    connection
        .prepare_cached("INSERT INTO event (seq, entry, sha256) VALUES (?1, ?2, ?3)")?
        .execute(params![int(entry.seq), bytes, sha256.to_string()])?;
    apply::apply(connection, &entry, event)?;
    Ok(Appended { entry, sha256 })
}
