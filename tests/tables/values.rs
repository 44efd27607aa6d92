//! Values as the specification sees them, and random columns of them.

use lineage_core::arrow::datatypes::i256;
use lineage_core::table::ColumnKind;
use proptest::collection::vec;
use proptest::prelude::*;

/// A value of a column, or a child of one.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// An int, a uint64, the days of a date or the nanoseconds of a time.
    Int(i128),
    /// By its bits.
    Float32(u32),
    Float64(u64),
    /// Unscaled value and scale.
    Decimal(i256, i8),
    Text(String),
    Bytes(Vec<u8>),
    /// Seconds and nanoseconds of a timestamp, instant or duration.
    Moment(i64, u32),
    /// Children of a list, fields of a struct, or entries of a map, each a key and a value.
    Many(Vec<Value>),
}

impl Value {
    /// The one form of all values that the specification does not tell apart.
    pub fn normalised(&self) -> Value {
        match self {
            Value::Float32(bits) if f32::from_bits(*bits).is_nan() => Value::Float32(0x7fc0_0000),
            Value::Float32(0x8000_0000) => Value::Float32(0),
            Value::Float64(bits) if f64::from_bits(*bits).is_nan() => {
                Value::Float64(0x7ff8_0000_0000_0000)
            }
            Value::Float64(0x8000_0000_0000_0000) => Value::Float64(0),
            Value::Decimal(unscaled, scale) => {
                let ten = i256::from_i128(10);
                let (mut unscaled, mut scale) = (*unscaled, *scale);
                if unscaled == i256::ZERO {
                    return Value::Decimal(i256::ZERO, 0);
                }
                while unscaled.wrapping_rem(ten) == i256::ZERO && scale > i8::MIN {
                    (unscaled, scale) = (unscaled.wrapping_div(ten), scale - 1);
                }
                Value::Decimal(unscaled, scale)
            }
            Value::Many(values) => Value::Many(values.iter().map(Value::normalised).collect()),
            value => value.clone(),
        }
    }
}

/// A column of random values.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
    pub values: Vec<Value>,
}

/// What random columns may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Carried {
    /// Everything.
    All,
    /// What CSV has texts for; two columns at least, since a line without anything is no record.
    Csv,
    /// What NDJSON has texts for.
    Json,
}

/// A random table: columns of equally many values.
pub fn table(carried: Carried) -> BoxedStrategy<Vec<Column>> {
    let rows = prop_oneof![8 => 0..30usize, 2 => 1000..1100usize, 1 => 2040..2060usize];
    let least = if carried == Carried::Csv { 2 } else { 1 };
    let columns = vec((name(), column(carried)), least..5);
    (rows, columns)
        .prop_map(move |(rows, columns)| {
            let numbered = columns.into_iter().enumerate();
            let column =
                |(number, (mut name, (kind, base))): (usize, (String, (_, Vec<Value>)))| {
                    if carried != Carried::All {
                        name = format!("{name}{number}");
                    }
                    let period = base.len();
                    let place = |row: usize| (row + row / period * (number + 1)) % period;
                    let values = (0..rows).map(|row| base[place(row)].clone()).collect();
                    Column { name, kind, values }
                };
            numbered.map(column).collect()
        })
        .boxed()
}

const NAMES: [&str; 9] = ["a", "b", "", " ", "é", "e\u{301}", "x,y", "\"q\"", "line\nfeed"];

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(&NAMES[..]).prop_map(str::to_owned)
}

/// A kind with some values of it. All values have one style, so that narrow types hold them too.
fn column(carried: Carried) -> impl Strategy<Value = (ColumnKind, Vec<Value>)> {
    (kind(carried), 0..4u8).prop_flat_map(move |(kind, style)| {
        let values = vec(value(&kind, style, carried), 1..9);
        (Just(kind), values)
    })
}

fn kind(carried: Carried) -> BoxedStrategy<ColumnKind> {
    use ColumnKind::*;
    let texts =
        vec![Bool, Int, Uint64, Float32, Float64, Decimal, String, Date, Time, Timestamp, Instant];
    let mut leaves = texts;
    if carried == Carried::All {
        leaves.extend([Binary, Duration, Null]);
    }
    let leaf = prop::sample::select(leaves);
    if carried == Carried::Csv {
        return leaf.boxed();
    }
    let nested = leaf.clone().prop_recursive(2, 6, 3, move |inner| {
        let fields = (prop::sample::subsequence(&NAMES[..], 0..4), vec(inner.clone(), 3));
        let structs = fields.prop_map(|(names, kinds)| {
            Struct(names.into_iter().map(str::to_owned).zip(kinds).collect())
        });
        let lists = inner.clone().prop_map(|child| List(Box::new(child)));
        let keys = prop::sample::select(vec![String, Int]);
        let maps = (keys, inner).prop_map(|(key, value)| Map(Box::new(key), Box::new(value)));
        let map_weight = u32::from(carried == Carried::All);
        prop_oneof![2 => lists, 2 => structs, map_weight => maps]
    });
    prop_oneof![3 => leaf, 2 => nested].boxed()
}

/// A random value, null once in six times.
pub fn value(kind: &ColumnKind, style: u8, carried: Carried) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 5 => valid(kind, style, carried)].boxed()
}

fn valid(kind: &ColumnKind, style: u8, carried: Carried) -> BoxedStrategy<Value> {
    match kind {
        ColumnKind::Null => Just(Value::Null).boxed(),
        ColumnKind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        ColumnKind::Int => match style {
            0 => (0..100i128).prop_map(Value::Int).boxed(),
            1 => any::<i16>().prop_map(|v| Value::Int(v.into())).boxed(),
            2 => any::<u32>().prop_map(|v| Value::Int(v.into())).boxed(),
            _ => any::<i64>().prop_map(|v| Value::Int(v.into())).boxed(),
        },
        ColumnKind::Uint64 => match style {
            0 => (0..3i128).prop_map(Value::Int).boxed(),
            _ => any::<u64>().prop_map(|v| Value::Int(v.into())).boxed(),
        },
        ColumnKind::Float32 => {
            let special = [0.0f32, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.1, 1e38];
            let special = prop::sample::select(special.map(f32::to_bits).to_vec());
            prop_oneof![special, any::<u32>()].prop_map(Value::Float32).boxed()
        }
        ColumnKind::Float64 => {
            let special = [0.0f64, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, 1e300];
            let special = prop::sample::select(special.map(f64::to_bits).to_vec());
            prop_oneof![special, any::<u64>()].prop_map(Value::Float64).boxed()
        }
        ColumnKind::Decimal => decimal(style),
        ColumnKind::String => text(carried).prop_map(Value::Text).boxed(),
        ColumnKind::Binary => match style {
            0 => vec(any::<u8>(), 3).prop_map(Value::Bytes).boxed(),
            _ => vec(any::<u8>(), 0..20).prop_map(Value::Bytes).boxed(),
        },
        // The years 0000 to 9999.
        ColumnKind::Date => (-719_528..2_932_897i128).prop_map(Value::Int).boxed(),
        ColumnKind::Time => {
            let step = [1_000_000_000, 1_000_000, 1_000, 1][usize::from(style)];
            (0..86_400_000_000_000i128).prop_map(move |v| Value::Int(v / step * step)).boxed()
        }
        ColumnKind::Timestamp | ColumnKind::Instant | ColumnKind::Duration => moment(style),
        ColumnKind::List(child) => {
            let count = if style == 0 { 2..3 } else { 0..4 };
            vec(value(child, style, carried), count).prop_map(Value::Many).boxed()
        }
        ColumnKind::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|(_, k)| value(k, style, carried)).collect();
            fields.prop_map(Value::Many).boxed()
        }
        ColumnKind::Map(key, of) => {
            let entry = (valid(key, style, carried), value(of, style, carried));
            let entry = entry.prop_map(|(key, value)| Value::Many(vec![key, value]));
            vec(entry, 0..3).prop_map(Value::Many).boxed()
        }
    }
}

fn decimal(style: u8) -> BoxedStrategy<Value> {
    let of = |unscaled: i128, scale| Value::Decimal(i256::from_i128(unscaled), scale);
    match style {
        0 => (-1000..1000i128).prop_map(move |v| of(v, 2)).boxed(),
        1 => (any::<i32>(), 0..6i8).prop_map(move |(v, s)| of(v.into(), s)).boxed(),
        2 => (any::<i64>(), 0..6i8).prop_map(move |(v, s)| of(v.into(), s)).boxed(),
        _ => (any::<i128>(), 0..30i8).prop_map(move |(v, s)| of(v / 100, s)).boxed(),
    }
}

fn moment(style: u8) -> BoxedStrategy<Value> {
    let nanoseconds = 0..1_000_000_000u32;
    match style {
        // The years 0000 to 9999, in UTC.
        0 => (-62_167_219_200..253_402_300_800i64, any::<bool>())
            .prop_map(|(s, midnight)| {
                Value::Moment(if midnight { s / 86_400 * 86_400 } else { s }, 0)
            })
            .boxed(),
        1 => (-62_167_219_200..253_402_300_800i64, nanoseconds)
            .prop_map(|(s, n)| Value::Moment(s, n / 1_000_000 * 1_000_000))
            .boxed(),
        2 => (-62_167_219_200..253_402_300_800i64, nanoseconds)
            .prop_map(|(s, n)| Value::Moment(s, n / 1_000 * 1_000))
            .boxed(),
        // What nanoseconds in 64 bits hold.
        _ => (-9_220_000_000..9_220_000_000i64, nanoseconds)
            .prop_map(|(s, n)| Value::Moment(s, n))
            .boxed(),
    }
}

fn text(carried: Carried) -> BoxedStrategy<String> {
    const SPECIAL: [&str; 11] =
        ["", "é", "e\u{301}", "null", "true", "0", "a,b", "\"", "\r\n", " ", "日本 語の長い文字列"];
    let special = prop::sample::select(&SPECIAL[..]).prop_map(str::to_owned);
    let random = vec(any::<char>(), 0..20).prop_map(move |characters| {
        // A CSV is refused for a NUL.
        let kept = characters.into_iter().filter(|c| carried != Carried::Csv || *c != '\0');
        kept.collect::<String>()
    });
    prop_oneof![special, random].boxed()
}
