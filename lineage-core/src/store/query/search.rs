//! A question of `lineage search` as one statement. What comes from the question is bound to it,
//! never written into it.
//!
//! The statement finds the numbers of sessions (`completed_seq`). Each test of something that a
//! session has several of is a set of numbers that an index gives by itself; where such a test must
//! hold in any case, the statement begins with it instead of looking through all sessions.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::super::error::StoreError;
use super::versions::SessionRow;
use super::{Reader, int};
use crate::context::Timestamp;
use crate::names::{MetricName, Split};
use crate::search::{Comparison, Expression, Field, Matching, Order, Query, Test, When};

impl Reader<'_> {
    /// The sessions that answer a question, in its order, at most `limit`.
    pub fn search(&self, query: &Query, limit: u64) -> Result<Vec<SessionRow>, StoreError> {
        let (sql, values) = statement(query, limit);
        let found: Vec<i64> = self.rows(&sql, params_from_iter(values), |row| row.get(0))?;
        let sessions = found.into_iter().map(|seq| self.session_at(seq));
        Ok(sessions.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

fn statement(query: &Query, limit: u64) -> (String, Vec<Value>) {
    let mut builder = Builder { values: Vec::new(), models_are_sets: false };
    let limit = builder.bind(int(limit));
    let sql = match &query.order {
        None => builder.by_number(query, "DESC", &limit),
        Some(order) => {
            let direction = if order.descending { "DESC" } else { "ASC" };
            match &order.field {
                Field::Created => builder.by_number(query, direction, &limit),
                Field::Model => builder.by_column(query, "s.model", direction, &limit),
                Field::Session => builder.by_column(query, "s.session", direction, &limit),
                Field::ModelType => builder.by_column(query, "s.model_type", direction, &limit),
                Field::Version => builder.by_column(query, "s.version", direction, &limit),
                _ => builder.by_key(query, order, direction, &limit),
            }
        }
    };
    (sql, builder.values)
}

/// A table that knows sessions by number, and which of its rows are meant.
struct Set {
    table: &'static str,
    rows: String,
}

impl Set {
    fn new(table: &'static str, rows: impl Into<String>) -> Set {
        Set { table, rows: rows.into() }
    }

    fn holds(&self, number: &str) -> String {
        let Set { table, rows } = self;
        let seq = if *table == VERSIONS { "seq" } else { "completed_seq" };
        format!("{number} IN (SELECT {seq} FROM {table} WHERE {rows})")
    }
}

const VERSIONS: &str = "version";
/// An entry that no log has; a test is never NULL.
const NEVER: i64 = i64::MAX;
const LIVE: &str = "(SELECT version.seq AS completed_seq, pointer.pointer AS pointer FROM pointer \
    JOIN version ON version.model = pointer.model AND version.number = pointer.version)";
/// The number of a parameter, NULL when it is none.
const NUMBER: &str = "CASE WHEN type IN ('int', 'float') THEN CAST(text AS REAL) END";
/// Everything by which a person is known.
const KNOWN_AS: &str = "SELECT person, person AS word FROM person UNION ALL \
    SELECT person, value FROM person_opening, \
    json_each(CASE WHEN json_valid(identity) THEN identity ELSE '{}' END)";

struct Builder {
    values: Vec<Value>,
    /// Whether the sessions of a model are taken as a set: dearer for a few sessions, and far cheaper
    /// than looking up each of many.
    models_are_sets: bool,
}

impl Builder {
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// In the order of the log.
    fn by_number(&mut self, query: &Query, direction: &str, limit: &str) -> String {
        let (first, rest) = begin(query.condition.as_ref());
        let from = match first.and_then(|(field, test)| self.set(field, test)) {
            Some(set) => set,
            None => {
                let rows = self.all(query.condition.iter(), "s.completed_seq").0;
                let index = match rest.iter().filter_map(|part| index_of(part)).min() {
                    Some((_, Some(name))) => format!("INDEXED BY {name}"),
                    _ => String::new(),
                };
                return format!(
                    "SELECT s.completed_seq FROM session s {index} WHERE {rows} \
                     ORDER BY s.completed_seq {direction} LIMIT {limit}"
                );
            }
        };
        self.models_are_sets = matches!(from.table, "metric" | "parameter");
        let (rows, needs_session) = self.all(rest.into_iter(), "d.completed_seq");
        let join = if needs_session {
            "CROSS JOIN session s ON s.completed_seq = d.completed_seq"
        } else {
            ""
        };
        // A session may have several datasets or pointers that fit.
        let once = if matches!(from.table, "dataset_use" | LIVE) { "DISTINCT " } else { "" };
        format!(
            "SELECT {once}d.completed_seq FROM (SELECT completed_seq FROM {} WHERE {}) d {join} \
             WHERE {rows} ORDER BY d.completed_seq {direction} LIMIT {limit}",
            from.table, from.rows
        )
    }

    /// By a column of sessions; those without a value last.
    fn by_column(&mut self, query: &Query, column: &str, direction: &str, limit: &str) -> String {
        let rows = self.all(query.condition.iter(), "s.completed_seq").0;
        format!(
            "SELECT s.completed_seq FROM session s WHERE {rows} ORDER BY {column} IS NULL, \
             {column} {direction}, s.completed_seq {direction} LIMIT {limit}"
        )
    }

    /// By a metric, parameter or tag: first the sessions that have it, as its index gives them, then
    /// the others.
    fn by_key(&mut self, query: &Query, order: &Order, direction: &str, limit: &str) -> String {
        let (table, own, value) = match &order.field {
            Field::Metric(metric) => {
                let own = format!("{} AND value IS NOT NULL", self.metric(metric));
                ("metric", own, "value")
            }
            Field::Param(name) => {
                let value =
                    "CASE WHEN type IN ('int', 'float') THEN CAST(text AS REAL) ELSE text END";
                ("parameter", format!("name = {}", self.bind(name.clone())), value)
            }
            Field::Tag(name) => ("tag", format!("name = {}", self.bind(name.clone())), "value"),
            _ => ("session", "1".to_owned(), "completed_seq"),
        };
        let (rows, needs_session) = self.all(query.condition.iter(), "k.completed_seq");
        let join = if needs_session {
            "CROSS JOIN session s ON s.completed_seq = k.completed_seq"
        } else {
            ""
        };
        let others = self.all(query.condition.iter(), "s.completed_seq").0;
        format!(
            "SELECT completed_seq FROM (SELECT k.completed_seq FROM \
             (SELECT completed_seq, {value} AS value FROM {table} WHERE {own}) k {join} \
             WHERE {rows} ORDER BY k.value {direction}, k.completed_seq {direction} LIMIT {limit}) \
             UNION ALL SELECT completed_seq FROM (SELECT s.completed_seq FROM session s \
             WHERE {others} AND NOT EXISTS (SELECT 1 FROM {table} WHERE session = s.session AND {own}) \
             ORDER BY s.completed_seq {direction} LIMIT {limit}) LIMIT {limit}"
        )
    }

    /// All of these, and whether columns of `session s` are needed.
    fn all<'q>(
        &mut self,
        parts: impl Iterator<Item = &'q Expression>,
        number: &str,
    ) -> (String, bool) {
        let mut needs_session = false;
        let mut out = "1".to_owned();
        for part in parts {
            out.push_str(" AND ");
            out.push_str(&self.expression(part, number, &mut needs_session));
        }
        (out, needs_session)
    }

    /// Never NULL, so that `not` turns it around.
    fn expression(&mut self, part: &Expression, number: &str, session: &mut bool) -> String {
        let mut join = |parts: &[Expression], word: &str| {
            let parts: Vec<String> =
                parts.iter().map(|part| self.expression(part, number, session)).collect();
            format!("({})", parts.join(word))
        };
        match part {
            Expression::And(parts) => join(parts, " AND "),
            Expression::Or(parts) => join(parts, " OR "),
            Expression::Not(inner) => format!("NOT {}", self.expression(inner, number, session)),
            Expression::Is(field, test) => self.test(field, test, number, session),
        }
    }

    fn test(&mut self, field: &Field, test: &Test, number: &str, session: &mut bool) -> String {
        if let Some(set) = self.set(field, test) {
            return set.holds(number);
        }
        // What a session may have several of differs when it has some, and none of them is it.
        let positive = match test {
            Test::Text(Matching::Unequal, text) => Some(Test::Text(Matching::Equal, text.clone())),
            Test::Digest(false, prefix) => Some(Test::Digest(true, prefix.clone())),
            _ => None,
        };
        if let Some(positive) = positive
            && let Some(none) = self.set(field, &positive)
            && let Some(some) = self.set(field, &Test::Exists)
        {
            return format!("({} AND NOT {})", some.holds(number), none.holds(number));
        }
        *session = true;
        match (field, test) {
            (Field::Model, test) => self.column("s.model", test),
            (Field::Session, test) => self.column("s.session", test),
            (Field::Seed, test) => self.column("s.seed", test),
            (Field::ModelType, test) => self.column("s.model_type", test),
            (Field::Version, test) => self.column("s.version", test),
            (Field::Created, test) => self.created(test),
            (Field::Actor, test) => self.actor(test),
            _ => "0".to_owned(),
        }
    }

    /// The sessions of which a test of something beside the session itself holds.
    fn set(&mut self, field: &Field, test: &Test) -> Option<Set> {
        Some(match (field, test) {
            (Field::Metric(metric), Test::Exists) => Set::new("metric", self.metric(metric)),
            (Field::Metric(metric), Test::Number(comparison, value)) => {
                let own = self.metric(metric);
                let rows = match (comparison, value.is_nan()) {
                    (Comparison::Equal, true) => format!("{own} AND value IS NULL"),
                    (_, true) => format!("{own} AND value IS NOT NULL"),
                    (Comparison::Unequal, false) => {
                        format!("{own} AND value IS NOT {}", self.bind(*value))
                    }
                    _ => format!("{own} AND value {} {}", comparison.as_str(), self.bind(*value)),
                };
                Set::new("metric", rows)
            }
            (Field::Param(name), test) => {
                let own = format!("name = {}", self.bind(name.clone()));
                let rows = match test {
                    Test::Number(Comparison::Unequal, value) => {
                        format!("{own} AND {NUMBER} IS NOT {}", self.bind(*value))
                    }
                    Test::Number(comparison, value) => {
                        format!("{own} AND {NUMBER} {} {}", comparison.as_str(), self.bind(*value))
                    }
                    other => format!("{own} AND {}", self.text("text", other)?),
                };
                Set::new("parameter", rows)
            }
            (Field::Tag(name), test) => {
                let own = format!("name = {}", self.bind(name.clone()));
                Set::new("tag", format!("{own} AND {}", self.text("value", test)?))
            }
            // A version has one label at most.
            (Field::Label, test) => {
                Set::new(VERSIONS, format!("label IS NOT NULL AND {}", self.text("label", test)?))
            }
            (Field::Model, Test::Text(Matching::Equal, model)) if self.models_are_sets => {
                Set::new("session", format!("model = {}", self.bind(model.clone())))
            }
            (Field::Artifact, Test::Exists) => Set::new(VERSIONS, "1"),
            (Field::Artifact, Test::Digest(true, prefix)) => {
                Set::new(VERSIONS, self.prefix("sha256", prefix))
            }
            (Field::Data(role), test) => {
                let role = match role {
                    Some(role) => format!("role = {}", self.bind(role.clone())),
                    None => "1".to_owned(),
                };
                match test {
                    Test::Exists => Set::new("dataset_use", role),
                    Test::Digest(true, prefix) => {
                        let (bytes, content) =
                            (self.prefix("sha256", prefix), self.prefix("content_sha256", prefix));
                        Set::new("dataset_use", format!("{role} AND ({bytes} OR {content})"))
                    }
                    _ => return None,
                }
            }
            (Field::DataPath, Test::Exists) => Set::new("dataset_use", "1"),
            (Field::DataPath, Test::Text(Matching::Equal | Matching::Contains, _)) => {
                Set::new("dataset_use", self.text("path", test)?)
            }
            (Field::Pointer, Test::Exists) => Set::new(LIVE, "1"),
            (Field::Pointer, Test::Text(Matching::Equal | Matching::Contains, _)) => {
                Set::new(LIVE, self.text("pointer", test)?)
            }
            _ => return None,
        })
    }

    fn metric(&mut self, metric: &MetricName) -> String {
        let split = self.bind(metric.split.map_or("", Split::as_str).to_owned());
        format!("split = {split} AND name = {}", self.bind(metric.name.clone()))
    }

    /// A test of a column that is never NULL.
    fn text(&mut self, column: &str, test: &Test) -> Option<String> {
        Some(match test {
            Test::Exists => "1".to_owned(),
            Test::Text(Matching::Equal, text) => format!("{column} = {}", self.bind(text.clone())),
            Test::Text(Matching::Unequal, text) => {
                format!("{column} <> {}", self.bind(text.clone()))
            }
            Test::Text(Matching::Contains, text) => {
                format!("instr({column}, {}) > 0", self.bind(text.clone()))
            }
            _ => return None,
        })
    }

    /// 'g' sorts after every hex digit, so the range holds exactly the digests with the prefix.
    fn prefix(&mut self, column: &str, prefix: &str) -> String {
        let (first, end) = (self.bind(prefix.to_owned()), self.bind(format!("{prefix}g")));
        format!("({column} >= {first} AND {column} < {end})")
    }

    /// A test of a column of sessions that may be NULL.
    fn column(&mut self, column: &str, test: &Test) -> String {
        let rows = match test {
            Test::Number(comparison, value) => {
                Some(format!("{column} {} {}", comparison.as_str(), self.bind(*value)))
            }
            other => self.text(column, other),
        };
        format!("({column} IS NOT NULL AND {})", rows.unwrap_or_else(|| "0".to_owned()))
    }

    fn created(&mut self, test: &Test) -> String {
        let Test::Time(comparison, when) = test else { return "1".to_owned() };
        let (first, next) = match when {
            When::Moment(moment) => {
                let bound = self.bind_time(moment);
                let own = format!("s.completed {} {bound}", comparison.as_str());
                return match comparison {
                    Comparison::Greater | Comparison::AtLeast => since(&bound, &own),
                    _ => own,
                };
            }
            When::Day(first, next) => (first, next),
        };
        match comparison {
            Comparison::Equal | Comparison::Unequal => {
                let not = if *comparison == Comparison::Equal { "" } else { "NOT " };
                let (first, next) = (self.bind_time(first), self.bind_time(next));
                format!("{not}(s.completed >= {first} AND s.completed < {next})")
            }
            Comparison::Less => format!("s.completed < {}", self.bind_time(first)),
            Comparison::AtMost => format!("s.completed < {}", self.bind_time(next)),
            Comparison::Greater | Comparison::AtLeast => {
                let from = if *comparison == Comparison::Greater { next } else { first };
                let bound = self.bind_time(from);
                since(&bound, &format!("s.completed >= {bound}"))
            }
        }
    }

    fn bind_time(&mut self, time: &Timestamp) -> String {
        self.bind(time.to_string())
    }

    fn actor(&mut self, test: &Test) -> String {
        let positive = match test {
            Test::Text(Matching::Unequal, text) => Test::Text(Matching::Equal, text.clone()),
            other => other.clone(),
        };
        let not = if positive == *test { "" } else { "NOT " };
        let rows = self.text("word", &positive).unwrap_or_else(|| "0".to_owned());
        format!("s.person {not}IN (SELECT person FROM ({KNOWN_AS}) WHERE {rows})")
    }
}

/// What is true from a time on, `own`, is so of no entry before the first whose latest time is not before it.
fn since(bound: &str, own: &str) -> String {
    format!(
        "(s.completed_seq >= COALESCE((SELECT seq FROM latest_time WHERE time >= {bound} \
         ORDER BY time, seq LIMIT 1), {NEVER}) AND {own})"
    )
}

/// The test that an index narrows most, of those that must hold in any case, and the others. None
/// where the sessions themselves are a better beginning.
fn begin(condition: Option<&Expression>) -> (Option<(&Field, &Test)>, Vec<&Expression>) {
    let parts: Vec<&Expression> = match condition {
        None => return (None, Vec::new()),
        Some(Expression::And(parts)) => parts.iter().collect(),
        Some(other) => vec![other],
    };
    let best = parts.iter().enumerate().filter_map(|(index, part)| match part {
        Expression::Is(field, test) => Some((rank(field, test)?, index, (field, test))),
        _ => None,
    });
    match best.min_by_key(|(rank, ..)| *rank) {
        Some((rank, index, first)) if rank > 0 => {
            let rest = parts.iter().enumerate().filter(|(other, _)| *other != index);
            (Some(first), rest.map(|(_, part)| *part).collect())
        }
        _ => (None, parts),
    }
}

/// How few sessions a test leaves which must hold in any case, as a guess, and the index of sessions that
/// answers it; none where a key does. Without it a search that finds little looks through all sessions.
///
/// The index by model comes before those that narrow more often than not: it gives the newest first, and what
/// else is asked of its sessions it holds itself, so that even a test that nothing passes touches no row.
fn index_of(part: &Expression) -> Option<(u32, Option<&'static str>)> {
    use Comparison::{AtMost, Equal, Less, Unequal};
    let Expression::Is(field, test) = part else { return None };
    let (rank, name) = match (field, test) {
        _ if rank(field, test) == Some(0) => return Some((0, None)),
        (Field::Version, Test::Number(comparison, _)) if *comparison != Unequal => {
            (if *comparison == Equal { 1 } else { 6 }, "session_by_version")
        }
        (Field::Model, Test::Text(Matching::Equal, _)) => (2, "session_by_model"),
        (Field::Seed, Test::Text(Matching::Equal, _)) => (3, "session_by_seed"),
        (Field::Actor, Test::Text(Matching::Equal | Matching::Contains, _)) => {
            (4, "session_by_person")
        }
        (Field::ModelType, Test::Text(Matching::Equal, _)) => (5, "session_by_model_type"),
        // Those from a time on are the last ones of the log: see `since`.
        (Field::Created, Test::Time(Equal | Less | AtMost, _)) => (7, "session_by_time"),
        _ => return None,
    };
    Some((rank, Some(name)))
}

/// How few sessions a test leaves, as a guess: 0 for those that the sessions' own keys answer.
fn rank(field: &Field, test: &Test) -> Option<u32> {
    let equal = matches!(test, Test::Text(Matching::Equal, _) | Test::Number(Comparison::Equal, _));
    Some(match (field, test) {
        (Field::Session, _) if equal => 0,
        (Field::Artifact, Test::Digest(true, _)) | (Field::Label, _) if *test != Test::Exists => 0,
        (Field::Pointer, _) => 1,
        (Field::Data(_), Test::Digest(true, _)) => 2,
        (Field::DataPath, _) if equal => 3,
        (Field::Tag(_) | Field::Param(_), Test::Text(Matching::Equal, _)) => 4,
        (Field::Metric(_), Test::Number(comparison, _)) => {
            if *comparison == Comparison::Unequal {
                8
            } else {
                5
            }
        }
        (Field::Param(_), Test::Number(..)) => 7,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;
    use rusqlite::Connection;

    /// The plan of a question, as SQLite tells it.
    fn plan(question: &str) -> String {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection, 0).unwrap();
        schema::create_projections(&connection).unwrap();
        let (sql, values) = statement(&question.parse().unwrap(), 50);
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let rows =
            statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
    }

    #[test]
    fn every_question_is_a_statement_and_a_metric_is_found_by_its_index_alone() {
        let covering = "SEARCH metric USING COVERING INDEX metric_by_value (split=? AND name=?";
        for question in [
            "metric.validation.auc > 0.9",
            "metric.validation.auc > 0.9 and model = fraud and data = sha256:abcdef order by created desc",
            "model = fraud order by metric.auc desc",
            "metric.a > 1 or metric.b != 2",
        ] {
            assert!(plan(question).contains(covering), "{question}\n{}", plan(question));
        }
        assert!(plan("order by metric.auc desc").contains("metric_by_value"));
        for question in [
            "",
            "actor ~ Ada and not (pointer = prod or pointer != x)",
            "data != abcdef and data.training = abcdef and data.path ~ x and data exists",
            "label = a and artifact = abcdef and artifact != abcdef and artifact exists",
            "seed = 1 and model_type exists and version >= 2 and session ~ x",
            "created >= 2026-01-01",
            "created < 2026-01-01",
            "created != 2026-01-01",
            "metric.a > 1 and data.training != abcdef",
            "data.training != abcdef",
            "data.training exists and pointer != prod",
            "metric.a = nan",
            "created > 2026-01-01 and created != 2026-01-01 and created <= 2026-01-01T00:00:00Z",
            "param.a = 1 and param.a != 1 and param.a = \"1\" and tag.a ~ b order by param.a",
            "metric.a = nan and metric.a != nan and metric.a exists order by tag.a desc",
            "order by version desc",
            "order by model",
        ] {
            plan(question);
        }
        for question in [
            "seed = 1",
            "version = 2",
            "version >= 2",
            "version < 2",
            "model_type = xgboost",
            "actor = Ada",
            "actor ~ Ada",
            "created = 2026-01-01",
            "created < 2026-01-01",
            "created <= 2026-01-01T00:00:00Z",
            "created > 2026-01-01",
            "created >= 2026-01-01T00:00:00Z and model ~ fraud",
            "seed = 1 and actor = Ada and created < 2026-01-01 and model = fraud",
            "artifact = abcdef and version >= 1",
        ] {
            let plan = plan(question);
            assert!(plan.contains("SEARCH s USING"), "{question}\n{plan}");
            assert!(!plan.contains("SCAN s"), "{question}\n{plan}");
        }
        assert!(plan("data = abcdef").contains("dataset_use_by_sha256"));
        assert!(plan("version = 2 and model = fraud").contains("session_by_version"));
    }

    #[test]
    fn the_sessions_of_a_model_are_walked_newest_first_without_their_rows() {
        for test in [
            "created < 2026-01-01",
            "created = 2026-01-01",
            "created >= 2026-01-01",
            "version >= 1",
            "version < 2 and created <= 2026-01-01",
            "actor = Ada",
            "actor ~ Ada",
            "actor != Ada",
            "seed = 1",
            "model_type = xgboost",
            "model_type exists and seed != 1",
        ] {
            for order in ["", "order by created desc", "order by created"] {
                let question = format!("{test} and model = fraud {order}");
                let plan = plan(&question);
                let walk = "SEARCH s USING COVERING INDEX session_by_model (model=?";
                assert!(plan.contains(walk), "{question}\n{plan}");
                assert!(!plan.contains("FOR ORDER BY"), "{question}\n{plan}");
            }
        }
        assert!(plan("artifact = abcdef").contains("version_by_sha256"));
        assert!(
            plan("param.a = b").contains("COVERING INDEX parameter_by_text (name=? AND text=?)")
        );
    }
}
