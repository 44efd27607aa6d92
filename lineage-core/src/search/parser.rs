//! From words to a question.

use super::words::{Placed, Word, words};
use super::{Comparison, Expression, Field, Matching, Order, Query, SearchError, Test, When};
use crate::events::MetricValue;
use crate::names::{KeyName, MetricName, Role, Split};

/// So many tests may stand in a question, and so deep may parentheses be.
const TESTS_MAX: usize = 100;
const DEPTH_MAX: usize = 50;

const KEYWORDS: [&str; 8] = ["and", "or", "not", "exists", "order", "by", "asc", "desc"];

const FIELDS: [&str; 15] = [
    "model",
    "version",
    "label",
    "session",
    "created",
    "seed",
    "model_type",
    "actor",
    "artifact",
    "pointer",
    "data",
    "data.path",
    "param.",
    "tag.",
    "metric.",
];

/// What can be ordered by.
const ORDERS: &str =
    "created, model, version, session, model_type, metric.NAME, param.NAME or tag.NAME";

/// Reads a whole question.
pub(super) fn parse(text: &str) -> Result<Query, SearchError> {
    let words = words(text)?;
    let end = words.last().map_or(0, |_| text.trim_end().chars().count());
    let mut parser = Parser { words, at: 0, end, tests: 0 };
    let condition = match parser.word() {
        None => None,
        Some(_) if parser.is_keyword("order") => None,
        Some(_) => Some(parser.any_of(0)?),
    };
    let order = parser.order()?;
    match parser.word() {
        None => Ok(Query { condition, order }),
        Some(Word::Sign(")")) => parser.refuse("this parenthesis was never opened"),
        Some(_) if order.is_some() => parser.refuse("nothing may follow the order"),
        Some(_) => parser.refuse("expected and, or, or order by"),
    }
}

struct Parser {
    words: Vec<Placed>,
    at: usize,
    /// The character after the last word.
    end: usize,
    tests: usize,
}

impl Parser {
    fn word(&self) -> Option<&Word> {
        self.words.get(self.at).map(|placed| &placed.word)
    }

    fn character(&self, at: usize) -> usize {
        self.words.get(at).map_or(self.end, |placed| placed.character)
    }

    fn error(&self, problem: impl Into<String>) -> SearchError {
        let character = self.character(self.at);
        SearchError { problem: problem.into(), character, hint: None }
    }

    fn refuse<T>(&self, problem: impl Into<String>) -> Result<T, SearchError> {
        Err(self.error(problem))
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.word(), Some(Word::Bare(text)) if text.eq_ignore_ascii_case(keyword))
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.at += usize::from(found);
        found
    }

    fn any_of(&mut self, depth: usize) -> Result<Expression, SearchError> {
        let mut parts = vec![self.all_of(depth)?];
        while self.take_keyword("or") {
            parts.push(self.all_of(depth)?);
        }
        Ok(if parts.len() > 1 { Expression::Or(parts) } else { parts.remove(0) })
    }

    fn all_of(&mut self, depth: usize) -> Result<Expression, SearchError> {
        let mut parts = vec![self.one(depth)?];
        while self.take_keyword("and") {
            parts.push(self.one(depth)?);
        }
        Ok(if parts.len() > 1 { Expression::And(parts) } else { parts.remove(0) })
    }

    fn one(&mut self, depth: usize) -> Result<Expression, SearchError> {
        if depth > DEPTH_MAX {
            return self.refuse("this is nested too deeply");
        }
        if self.take_keyword("not") {
            return Ok(Expression::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.word() == Some(&Word::Sign("(")) {
            let opened = self.at;
            self.at += 1;
            let inner = self.any_of(depth + 1)?;
            if self.word() != Some(&Word::Sign(")")) {
                if self.word().is_some() {
                    return self.refuse("expected and, or, or a closing parenthesis");
                }
                self.at = opened;
                return self.refuse("this parenthesis is never closed");
            }
            self.at += 1;
            return Ok(inner);
        }
        self.tests += 1;
        if self.tests > TESTS_MAX {
            return self.refuse(format!("more than {TESTS_MAX} tests"));
        }
        let field = self.field()?;
        let test = self.test(&field)?;
        Ok(Expression::Is(field, test))
    }

    fn field(&mut self) -> Result<Field, SearchError> {
        let first = match self.word() {
            None => return self.refuse("expected a field"),
            Some(Word::Bare(text)) if is_keyword(text) => {
                return self.refuse(format!("expected a field before {text}"));
            }
            Some(Word::Bare(text)) => text.clone(),
            Some(Word::Quoted(_)) => {
                let error = self.error("expected a field, not a text");
                let hint = Some("a name is quoted after its dot: metric.\"f1 score\"".to_owned());
                return Err(SearchError { hint, ..error });
            }
            Some(Word::Sign(sign)) => {
                return self.refuse(format!("expected a field before {sign}"));
            }
        };
        let inner = match self.words.get(self.at + 1) {
            Some(Placed { word: Word::Quoted(inner), glued: true, .. }) => Some(inner.clone()),
            _ => None,
        };
        let field = read_field(&first, inner.as_deref())
            .map_err(|(problem, hint)| SearchError { hint, ..self.error(problem) })?;
        self.at += 1 + usize::from(inner.is_some());
        match self.words.get(self.at) {
            Some(Placed { word: Word::Bare(_) | Word::Quoted(_), glued: true, .. }) => {
                self.refuse("expected a space, or an operator")
            }
            _ => Ok(field),
        }
    }

    fn test(&mut self, field: &Field) -> Result<Test, SearchError> {
        if self.take_keyword("exists") {
            return Ok(Test::Exists);
        }
        let sign = match self.word() {
            Some(Word::Sign(sign)) if !matches!(*sign, "(" | ")") => *sign,
            _ => {
                return self
                    .refuse(format!("expected an operator after {field}: {}", signs(field)));
            }
        };
        if !signs(field).split(' ').any(|known| known == sign) {
            return self
                .refuse(format!("{field} is not compared by {sign}, but by {}", signs(field)));
        }
        self.at += 1;
        let (text, is_bare) = match self.word() {
            Some(Word::Bare(text)) if is_keyword(text) => {
                let error = self.error(format!("expected a value after {sign}"));
                let hint = Some(format!("the text \"{text}\" is written in quotes"));
                return Err(SearchError { hint, ..error });
            }
            Some(Word::Bare(text)) => (text.clone(), true),
            Some(Word::Quoted(text)) => (text.clone(), false),
            _ => return self.refuse(format!("expected a value after {sign}")),
        };
        let test = read_test(field, sign, &text, is_bare).map_err(|problem| self.error(problem))?;
        self.at += 1;
        match self.words.get(self.at) {
            Some(Placed { word: Word::Bare(_) | Word::Quoted(_), glued: true, .. }) => {
                self.refuse("expected a space; a text with quotes inside is quoted as a whole")
            }
            _ => Ok(test),
        }
    }

    fn order(&mut self) -> Result<Option<Order>, SearchError> {
        if !self.take_keyword("order") {
            return Ok(None);
        }
        if !self.take_keyword("by") {
            return self.refuse("expected by after order");
        }
        let start = self.at;
        let field = self.field().map_err(|error| {
            // Not all fields can be ordered by.
            let near = error.hint.filter(|hint| hint.starts_with("did you mean"));
            SearchError { hint: Some(near.unwrap_or(format!("order by {ORDERS}"))), ..error }
        })?;
        let one_valued = matches!(
            field,
            Field::Model
                | Field::Version
                | Field::Session
                | Field::Created
                | Field::ModelType
                | Field::Param(_)
                | Field::Tag(_)
                | Field::Metric(_)
        );
        if !one_valued {
            self.at = start;
            let problem = format!("cannot order by {field}, but by {ORDERS}");
            return self.refuse(problem);
        }
        let descending = !self.take_keyword("asc") && self.take_keyword("desc");
        Ok(Some(Order { field, descending }))
    }
}

fn is_keyword(text: &str) -> bool {
    KEYWORDS.iter().any(|keyword| text.eq_ignore_ascii_case(keyword))
}

/// The operators that a field understands.
fn signs(field: &Field) -> &'static str {
    match field {
        Field::Version | Field::Created | Field::Metric(_) => "= != < <= > >= exists",
        Field::Param(_) => "= != < <= > >= ~ exists",
        Field::Artifact | Field::Data(_) => "= != exists",
        _ => "= != ~ exists",
    }
}

/// A field from its bare part and what follows it in quotes.
fn read_field(bare: &str, quoted: Option<&str>) -> Result<Field, (String, Option<String>)> {
    let unknown = || {
        let head = bare.split('.').next().unwrap_or(bare);
        let near = FIELDS
            .iter()
            .map(|known| (strsim::damerau_levenshtein(known.trim_end_matches('.'), head), known))
            .min_by_key(|(distance, _)| *distance)
            .filter(|(distance, _)| *distance <= 2);
        let hint = match near {
            Some((_, known)) => format!("did you mean {known}?"),
            None => format!("fields are {}", FIELDS.join(" ")),
        };
        let shown: String = bare.chars().take(80).collect();
        Err((format!("there is no field {shown}"), Some(hint)))
    };
    let simple = match bare {
        "model" => Some(Field::Model),
        "version" => Some(Field::Version),
        "label" => Some(Field::Label),
        "session" => Some(Field::Session),
        "created" => Some(Field::Created),
        "seed" => Some(Field::Seed),
        "model_type" => Some(Field::ModelType),
        "actor" => Some(Field::Actor),
        "artifact" => Some(Field::Artifact),
        "pointer" => Some(Field::Pointer),
        "data" => Some(Field::Data(None)),
        "data.path" => Some(Field::DataPath),
        _ => None,
    };
    match (simple, quoted) {
        (Some(field), None) => return Ok(field),
        (Some(field), Some(_)) => {
            return Err((format!("{field} takes no name; expected a space, or an operator"), None));
        }
        (None, _) => {}
    }
    let Some((head, rest)) = bare.split_once('.') else { return unknown() };
    // A quoted name stands after a dot and is the whole of it.
    let name = |rest: &str| match quoted {
        None => Ok(rest.to_owned()),
        Some(name) if rest.is_empty() => Ok(name.to_owned()),
        Some(_) => Err((format!("quote the whole name: {head}.\"…\""), None)),
    };
    let words = |error: crate::names::NameError| (error.to_string(), None);
    match head {
        "data" => Ok(Field::Data(Some(name(rest)?.parse::<Role>().map_err(words)?.to_string()))),
        "param" => Ok(Field::Param(name(rest)?.parse::<KeyName>().map_err(words)?.to_string())),
        "tag" => Ok(Field::Tag(name(rest)?.parse::<KeyName>().map_err(words)?.to_string())),
        "metric" => {
            let (split, rest) = split_of(rest);
            let name = name(rest)?;
            name.parse::<KeyName>().map_err(words)?;
            Ok(Field::Metric(MetricName { split, name }))
        }
        _ => unknown(),
    }
}

/// The split before the first dot, if there is one, and the rest.
fn split_of(text: &str) -> (Option<Split>, &str) {
    for split in [Split::Training, Split::Validation, Split::Test] {
        let rest = text.strip_prefix(split.as_str()).and_then(|rest| rest.strip_prefix('.'));
        if let Some(rest) = rest {
            return (Some(split), rest);
        }
    }
    (None, text)
}

fn read_test(field: &Field, sign: &str, text: &str, is_bare: bool) -> Result<Test, String> {
    let shown: String = text.chars().take(80).collect();
    let comparison = match sign {
        "=" => Comparison::Equal,
        "!=" => Comparison::Unequal,
        "<" => Comparison::Less,
        "<=" => Comparison::AtMost,
        ">" => Comparison::Greater,
        _ => Comparison::AtLeast,
    };
    let matching = match sign {
        "=" => Matching::Equal,
        "!=" => Matching::Unequal,
        _ => Matching::Contains,
    };
    let number = if is_bare { MetricValue::parse(text).map(|value| value.0) } else { None };
    match field {
        Field::Artifact | Field::Data(_) => {
            let hex = text.strip_prefix("sha256:").unwrap_or(text);
            let digits = hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if !digits || !(6..=64).contains(&hex.len()) {
                return Err(format!(
                    "\"{shown}\" is no digest: sha256: and 6 to 64 lower-case hex digits"
                ));
            }
            Ok(Test::Digest(matching == Matching::Equal, hex.to_owned()))
        }
        Field::Created => match text.parse::<When>() {
            Ok(when) => Ok(Test::Time(comparison, when)),
            Err(()) => {
                Err(format!("\"{shown}\" is no time: write 2026-03-01 or 2026-03-01T09:30:00Z"))
            }
        },
        Field::Version | Field::Metric(_) => match number {
            None => Err(format!("{field} is compared with a number, not with \"{shown}\"")),
            Some(value) => ordered(comparison, value),
        },
        Field::Param(_) => match number {
            Some(value) if sign != "~" && !value.is_nan() => ordered(comparison, value),
            _ if matches!(sign, "=" | "!=" | "~") => Ok(Test::Text(matching, text.to_owned())),
            _ => Err(format!("{sign} compares numbers, and \"{shown}\" is a text")),
        },
        Field::Session => Ok(Test::Text(matching, text.to_ascii_uppercase())),
        _ => Ok(Test::Text(matching, text.to_owned())),
    }
}

fn ordered(comparison: Comparison, value: f64) -> Result<Test, String> {
    if value.is_nan() && !matches!(comparison, Comparison::Equal | Comparison::Unequal) {
        return Err("nothing is above or below NaN; only = and != find it".to_owned());
    }
    // 0 and −0 are the same here.
    Ok(Test::Number(comparison, value + 0.0))
}
