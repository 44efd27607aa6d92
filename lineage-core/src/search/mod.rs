//! The language of `lineage search` (`docs/formats/search.md`): questions about recorded sessions,
//! parsed and printed. What they mean for the tables is in `store/query/search.rs`.

mod parser;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::str::FromStr;

use crate::context::Timestamp;
use crate::names::MetricName;
use words::{bare, quoted};

/// Which sessions, and in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// What must hold of a session; none: every session.
    pub condition: Option<Expression>,
    /// By what they are ordered; none: newest first.
    pub order: Option<Order>,
}

/// What must hold of a session.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// All of these, at least two.
    And(Vec<Expression>),
    /// Any of these, at least two.
    Or(Vec<Expression>),
    /// Not this.
    Not(Box<Expression>),
    /// This test of one field.
    Is(Field, Test),
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the words of the language")]
pub enum Field {
    Model,
    Version,
    Label,
    Session,
    Created,
    Seed,
    ModelType,
    Actor,
    Artifact,
    Pointer,
    /// A dataset in any role, or in one.
    Data(Option<String>),
    DataPath,
    Param(String),
    Tag(String),
    Metric(MetricName),
}

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It has a value.
    Exists,
    /// Its text.
    Text(Matching, String),
    /// Its number; NaN only with [`Comparison::Equal`] and [`Comparison::Unequal`].
    Number(Comparison, f64),
    /// Its time.
    Time(Comparison, When),
    /// The first 6 to 64 hex digits of its digest, and whether it must have them or must not.
    Digest(bool, String),
}

/// How texts are compared: byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `~`
    Contains,
}

/// How numbers and times are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// The operator as written, in the language and in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::Unequal => "!=",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

/// A moment, or a whole day in UTC: its first moment and the first of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "said above")]
pub enum When {
    Moment(Timestamp),
    Day(Timestamp, Timestamp),
}

/// The order of what is found.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// By which field: one that a session has at most once.
    pub field: Field,
    /// The highest first.
    pub descending: bool,
}

/// Why a text is no question, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}, at character {}", .character + 1)]
pub struct SearchError {
    /// What is wrong, in words.
    pub problem: String,
    /// The character at which it is, counted from 0.
    pub character: usize,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl FromStr for Query {
    type Err = SearchError;

    fn from_str(text: &str) -> Result<Query, SearchError> {
        parser::parse(text)
    }
}

impl FromStr for When {
    type Err = ();

    fn from_str(text: &str) -> Result<When, ()> {
        const DAY_MICROSECONDS: i64 = 86_400_000_000;
        let moment = |text: &str| {
            let time: Timestamp = text.parse().ok()?;
            // To whole microseconds, and within the years that can be written.
            Timestamp::from_unix_microseconds(time.unix_microseconds())
        };
        if text.len() == 10 && text.is_ascii() {
            let first = moment(&format!("{text}T00:00:00Z")).ok_or(())?;
            let next = first.unix_microseconds().saturating_add(DAY_MICROSECONDS);
            let next = Timestamp::from_unix_microseconds(next).ok_or(())?;
            return Ok(When::Day(first, next));
        }
        moment(text).map(When::Moment).ok_or(())
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(condition) = &self.condition {
            condition.fmt(f)?;
        }
        if let Some(order) = &self.order {
            let space = if self.condition.is_some() { " " } else { "" };
            let direction = if order.descending { "desc" } else { "asc" };
            write!(f, "{space}order by {} {direction}", order.field)?;
        }
        Ok(())
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, parts: &[Expression], word: &str| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Expression::And(_) | Expression::Or(_) => write!(f, "({part})")?,
                    Expression::Not(_) | Expression::Is(..) => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Expression::And(parts) => join(f, parts, "and"),
            Expression::Or(parts) => join(f, parts, "or"),
            Expression::Not(inner) => match **inner {
                Expression::And(_) | Expression::Or(_) => write!(f, "not ({inner})"),
                Expression::Not(_) | Expression::Is(..) => write!(f, "not {inner}"),
            },
            Expression::Is(field, test) => write!(f, "{field} {test}"),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |f: &mut fmt::Formatter<'_>, head: &str, name: &str, plain: bool| {
            if plain && bare(name) {
                write!(f, "{head}.{name}")
            } else {
                write!(f, "{head}.{}", quoted(name))
            }
        };
        match self {
            Field::Model => f.write_str("model"),
            Field::Version => f.write_str("version"),
            Field::Label => f.write_str("label"),
            Field::Session => f.write_str("session"),
            Field::Created => f.write_str("created"),
            Field::Seed => f.write_str("seed"),
            Field::ModelType => f.write_str("model_type"),
            Field::Actor => f.write_str("actor"),
            Field::Artifact => f.write_str("artifact"),
            Field::Pointer => f.write_str("pointer"),
            Field::Data(None) => f.write_str("data"),
            Field::Data(Some(role)) => named(f, "data", role, role != "path"),
            Field::DataPath => f.write_str("data.path"),
            Field::Param(name) => named(f, "param", name, true),
            Field::Tag(name) => named(f, "tag", name, true),
            Field::Metric(metric) => match metric.split {
                Some(split) => named(f, &format!("metric.{}", split.as_str()), &metric.name, true),
                None => {
                    let read = metric.name.parse::<MetricName>();
                    named(f, "metric", &metric.name, read.is_ok_and(|read| read == *metric))
                }
            },
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Exists => f.write_str("exists"),
            Test::Text(matching, text) => {
                let operator = match matching {
                    Matching::Equal => "=",
                    Matching::Unequal => "!=",
                    Matching::Contains => "~",
                };
                write!(f, "{operator} {}", quoted(text))
            }
            Test::Number(comparison, value) => write!(f, "{} {value}", comparison.as_str()),
            Test::Time(comparison, when) => write!(f, "{} {when}", comparison.as_str()),
            Test::Digest(has, prefix) => {
                write!(f, "{} sha256:{prefix}", if *has { "=" } else { "!=" })
            }
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Moment(moment) => moment.fmt(f),
            When::Day(first, _) => f.write_str(&first.to_string()[..10]),
        }
    }
}
