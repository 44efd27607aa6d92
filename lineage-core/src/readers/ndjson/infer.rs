//! The first pass: columns, and the kinds that hold all their values.

use std::collections::HashMap;
use std::sync::Arc;

use crate::arrow::datatypes::{DataType, Field, TimeUnit};

use super::value::{DEPTH_MAX, JsonType, Problem, items, members, scalar, string};
use crate::readers::text::{Classes, Value, declared};
use crate::readers::{DeclaredColumn, ReadError};
use crate::table::ColumnKind;

/// The members of the objects at one place, in the order of their first appearance.
#[derive(Default)]
pub(super) struct Fields {
    nodes: Vec<(String, Node)>,
    index: HashMap<String, usize>,
    /// In which object each was last seen, by the count of objects.
    marks: Vec<u64>,
    objects: u64,
    closed: bool,
}

/// What was seen at one place.
struct Node {
    seen: Seen,
    /// Where the first value other than null was.
    line: u64,
}

enum Seen {
    Nothing,
    Bool,
    Number(Numbers),
    String,
    List(Box<Node>),
    Struct(Box<Fields>),
    Declared(Declared),
}

/// Where a value stands, and how many more columns there may be.
pub(super) struct Place<'a> {
    pub(super) line: u64,
    pub(super) depth: usize,
    pub(super) fields_left: &'a mut usize,
}

impl Place<'_> {
    fn inner(&mut self) -> Result<Place<'_>, Problem> {
        if self.depth >= DEPTH_MAX {
            return Err(Problem::new(format!("it is nested more than {DEPTH_MAX} levels deep")));
        }
        Ok(Place { line: self.line, depth: self.depth + 1, fields_left: self.fields_left })
    }
}

impl Fields {
    pub(super) fn declared(columns: &[DeclaredColumn]) -> Result<Fields, ReadError> {
        let mut fields = Fields { closed: true, ..Fields::default() };
        for column in columns {
            let node = match &column.kind {
                Some(kind) => Node::declared(kind).ok_or_else(|| unreadable(&column.name, kind))?,
                None => Node::new(Seen::Nothing),
            };
            fields.add(&column.name, node).ok_or_else(|| {
                ReadError::Columns(format!("the column \"{}\" is declared twice", column.name))
            })?;
        }
        Ok(fields)
    }

    /// The index of a new field; none when there is one of this name.
    fn add(&mut self, name: &str, node: Node) -> Option<usize> {
        let index = self.nodes.len();
        if self.index.insert(name.to_owned(), index).is_some() {
            return None;
        }
        self.nodes.push((name.to_owned(), node));
        self.marks.push(0);
        Some(index)
    }

    /// Looks at the members of one object.
    pub(super) fn take(&mut self, text: &str, place: &mut Place<'_>) -> Result<(), Problem> {
        self.objects += 1;
        let mut guess = 0;
        members(text, &mut |key, value| {
            // The keys of most lines stand in the same order.
            let known = match self.nodes.get(guess) {
                Some((name, _)) if name == key => Some(guess),
                _ => self.index.get(key).copied(),
            };
            let index = match known {
                Some(index) => index,
                None => self.discover(key, place)?,
            };
            if std::mem::replace(&mut self.marks[index], self.objects) == self.objects {
                return Err(Problem::new("this key occurs twice").under(key));
            }
            guess = index + 1;
            self.nodes[index].1.take(value, place).map_err(|problem| problem.under(key))
        })
    }

    fn discover(&mut self, key: &str, place: &mut Place<'_>) -> Result<usize, Problem> {
        if self.closed {
            return Err(Problem::new("this key is not declared").under(key));
        }
        let Some(left) = place.fields_left.checked_sub(1) else {
            return Err(Problem::new("there are too many different keys for a table"));
        };
        *place.fields_left = left;
        Ok(self.add(key, Node::new(Seen::Nothing)).unwrap_or_default())
    }

    pub(super) fn finish(self) -> Vec<Field> {
        let field = |(name, node): (String, Node)| Field::new(name, node.finish(), true);
        self.nodes.into_iter().map(field).collect()
    }
}

fn unreadable(column: &str, kind: &ColumnKind) -> ReadError {
    ReadError::Columns(format!("the column \"{column}\": NDJSON cannot be read as {kind}"))
}

impl Node {
    fn new(seen: Seen) -> Node {
        Node { seen, line: 0 }
    }

    fn declared(kind: &ColumnKind) -> Option<Node> {
        Some(Node::new(match kind {
            ColumnKind::Binary | ColumnKind::Duration | ColumnKind::Map(..) => return None,
            ColumnKind::List(child) => Seen::List(Box::new(Node::declared(child)?)),
            ColumnKind::Struct(children) => {
                let mut fields = Fields { closed: true, ..Fields::default() };
                for (name, kind) in children {
                    fields.add(name, Node::declared(kind)?)?;
                }
                Seen::Struct(Box::new(fields))
            }
            kind => Seen::Declared(Declared::new(kind.clone())),
        }))
    }

    fn take(&mut self, value: &str, place: &mut Place<'_>) -> Result<(), Problem> {
        let found = JsonType::of(value);
        if found == JsonType::Null {
            return Ok(());
        }
        if let Seen::Nothing = self.seen {
            self.seen = match found {
                JsonType::Null => Seen::Nothing,
                JsonType::Bool => Seen::Bool,
                JsonType::Number => Seen::Number(Numbers::default()),
                JsonType::String => Seen::String,
                JsonType::Array => Seen::List(Box::new(Node::new(Seen::Nothing))),
                JsonType::Object => Seen::Struct(Box::default()),
            };
            self.line = place.line;
        }
        match (&mut self.seen, found) {
            (Seen::Bool, JsonType::Bool) => Ok(()),
            (Seen::Number(numbers), JsonType::Number) => numbers.take(value),
            (Seen::String, JsonType::String) => string(value).map(drop),
            (Seen::List(node), JsonType::Array) => {
                let mut inner = place.inner()?;
                items(value, &mut |item| node.take(item, &mut inner).map_err(Problem::in_array))
            }
            (Seen::Struct(fields), JsonType::Object) => fields.take(value, &mut place.inner()?),
            (Seen::Declared(declared), _) => declared.take(value),
            (seen, _) => Err(self_conflict(seen, found, self.line)),
        }
    }

    fn finish(self) -> DataType {
        match self.seen {
            Seen::Nothing => DataType::Null,
            Seen::Bool => DataType::Boolean,
            Seen::Number(numbers) => numbers.finish(),
            Seen::String => DataType::Utf8,
            Seen::List(node) => DataType::List(Arc::new(Field::new("item", node.finish(), true))),
            Seen::Struct(fields) => DataType::Struct(fields.finish().into()),
            Seen::Declared(declared) => declared.finish(),
        }
    }
}

fn self_conflict(seen: &Seen, found: JsonType, line: u64) -> Problem {
    let known = match seen {
        Seen::Bool => JsonType::Bool,
        Seen::Number(_) => JsonType::Number,
        Seen::List(_) => JsonType::Array,
        Seen::Struct(_) => JsonType::Object,
        _ => JsonType::String,
    };
    let (found, known) = (found.name(), known.name());
    Problem::new(match line {
        0 => format!("{found}, and it is declared to be {known}"),
        _ => format!("{found}, and {known} on line {line}; declare its kind with a schema"),
    })
}

/// The classes of the numbers at one place. JSON allows no leading zeros and no `+`, so its numbers are
/// texts of the same classes as in a CSV; a set of them for which a CSV would be `string` is an error.
#[derive(Default)]
struct Numbers(Classes);

impl Numbers {
    fn take(&mut self, literal: &str) -> Result<(), Problem> {
        let problem = |text: &str| {
            let literal: String = literal.chars().take(60).collect();
            Err(Problem::new(format!("{literal} {text}")))
        };
        let class = Classes::of(literal.as_bytes());
        self.0 |= class;
        if class.kind() == ColumnKind::String {
            return problem("fits into neither 64 bits nor a double");
        }
        if self.0.kind() == ColumnKind::String {
            return problem(
                "and the numbers before it fit into no one kind; declare it with a schema",
            );
        }
        Ok(())
    }

    fn finish(&self) -> DataType {
        match self.0.kind() {
            ColumnKind::Uint64 => DataType::UInt64,
            ColumnKind::Float64 => DataType::Float64,
            _ => DataType::Int64,
        }
    }
}

/// A column of a declared kind, and what its values need.
struct Declared {
    kind: ColumnKind,
    /// Digits after the point. No decimal has more than 38 on a side, so one scale holds all.
    scale: u8,
    /// Of moments.
    classes: Classes,
}

impl Declared {
    fn new(kind: ColumnKind) -> Declared {
        Declared { kind, scale: 0, classes: Classes::NONE }
    }

    fn take(&mut self, value: &str) -> Result<(), Problem> {
        let Some(text) = scalar(value, &self.kind)? else { return Ok(()) };
        match declared(&text, &self.kind) {
            Some(Value::Decimal(_, scale)) => self.scale = self.scale.max(scale),
            Some(Value::Moment(moment)) => self.classes |= moment.classes(),
            Some(_) => {}
            None => {
                let text: String = text.chars().take(60).collect();
                return Err(Problem::new(format!("\"{text}\" is no {}", self.kind)));
            }
        }
        if self.classes.no_one_unit() {
            let text = "the column has nanoseconds and a time before 1677-09-22 or after \
                        2262-04-10; no one unit holds both";
            return Err(Problem::new(text));
        }
        Ok(())
    }

    fn finish(&self) -> DataType {
        let unit = match self.classes.contains(Classes::BELOW_MICROSECOND) {
            true => TimeUnit::Nanosecond,
            false => TimeUnit::Microsecond,
        };
        match &self.kind {
            ColumnKind::Bool => DataType::Boolean,
            ColumnKind::Int => DataType::Int64,
            ColumnKind::Uint64 => DataType::UInt64,
            ColumnKind::Float32 => DataType::Float32,
            ColumnKind::Float64 => DataType::Float64,
            ColumnKind::Decimal => DataType::Decimal256(76, self.scale.cast_signed()),
            ColumnKind::String => DataType::Utf8,
            ColumnKind::Date => DataType::Date32,
            ColumnKind::Time => DataType::Time64(TimeUnit::Nanosecond),
            ColumnKind::Timestamp => DataType::Timestamp(unit, None),
            ColumnKind::Instant => DataType::Timestamp(unit, Some("UTC".into())),
            // Kinds with children have nodes of their own, and the rest is refused at once.
            _ => DataType::Null,
        }
    }
}
