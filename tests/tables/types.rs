//! Arrow types: their names in the vectors, and the many that hold values of one kind.

use std::sync::Arc;

use lineage_core::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit, i256};
use lineage_core::table::ColumnKind;

use super::arrays::{rescaled, ticks};
use super::values::Value;

/// The type of a name as `about` of the vectors describes it.
pub fn parse(text: &str) -> DataType {
    let (data_type, rest) = parse_prefix(text);
    assert_eq!(rest, "", "{text}");
    data_type
}

fn child(name: &str, data_type: DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type, true))
}

fn map_of(key: DataType, value: DataType) -> DataType {
    let key = Arc::new(Field::new("key", key, false));
    let fields = Fields::from(vec![key, child("value", value)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields), false)), false)
}

fn runs_of(values: DataType) -> DataType {
    let ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
    DataType::RunEndEncoded(ends, child("values", values))
}

fn parse_prefix(text: &str) -> (DataType, &str) {
    let end = text.find(['(', ')', ',']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let Some(rest) = rest.strip_prefix('(') else { return (simple(word), rest) };
    if word == "struct" {
        return parse_fields(rest);
    }
    if let "list" | "large_list" | "list_view" | "large_list_view" | "dictionary"
    | "run_end_encoded" = word
    {
        let (inner, rest) = parse_prefix(rest);
        let item = || child("item", inner.clone());
        let data_type = match word {
            "list" => DataType::List(item()),
            "large_list" => DataType::LargeList(item()),
            "list_view" => DataType::ListView(item()),
            "large_list_view" => DataType::LargeListView(item()),
            "dictionary" => DataType::Dictionary(Box::new(DataType::Int32), Box::new(inner)),
            _ => runs_of(inner),
        };
        return (data_type, rest.strip_prefix(')').unwrap());
    }
    if word == "map" {
        let (key, rest) = parse_prefix(rest);
        let (value, rest) = parse_prefix(rest.strip_prefix(',').unwrap());
        return (map_of(key, value), rest.strip_prefix(')').unwrap());
    }
    if word == "fixed_size_list" {
        let (size, rest) = rest.split_once(',').unwrap();
        let (inner, rest) = parse_prefix(rest);
        let data_type = DataType::FixedSizeList(child("item", inner), size.parse().unwrap());
        return (data_type, rest.strip_prefix(')').unwrap());
    }
    let (inside, rest) = rest.split_once(')').unwrap();
    (with_numbers(word, inside), rest)
}

fn parse_fields(mut text: &str) -> (DataType, &str) {
    let mut fields = Vec::new();
    while !text.starts_with(')') {
        text = text.strip_prefix(',').unwrap_or(text);
        let (length, rest) = text.split_once(':').unwrap();
        let (name, rest) = rest.split_at(length.parse().unwrap());
        let (inner, rest) = parse_prefix(rest.strip_prefix(':').unwrap());
        fields.push(child(name, inner));
        text = rest;
    }
    (DataType::Struct(fields.into()), &text[1..])
}

fn simple(word: &str) -> DataType {
    match word {
        "null" => DataType::Null,
        "bool" => DataType::Boolean,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "utf8" => DataType::Utf8,
        "large_utf8" => DataType::LargeUtf8,
        "utf8_view" => DataType::Utf8View,
        "binary" => DataType::Binary,
        "large_binary" => DataType::LargeBinary,
        "binary_view" => DataType::BinaryView,
        "date32" => DataType::Date32,
        "date64" => DataType::Date64,
        _ => panic!("no type {word}"),
    }
}

fn with_numbers(word: &str, inside: &str) -> DataType {
    let (first, second) = inside.split_once(',').unwrap_or((inside, ""));
    let unit = || match first {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => panic!("no unit {first}"),
    };
    let digits = || (first.parse().unwrap(), second.parse().unwrap());
    match word {
        "decimal32" => DataType::Decimal32(digits().0, digits().1),
        "decimal64" => DataType::Decimal64(digits().0, digits().1),
        "decimal128" => DataType::Decimal128(digits().0, digits().1),
        "decimal256" => DataType::Decimal256(digits().0, digits().1),
        "fixed_size_binary" => DataType::FixedSizeBinary(first.parse().unwrap()),
        "time32" => DataType::Time32(unit()),
        "time64" => DataType::Time64(unit()),
        "duration" => DataType::Duration(unit()),
        "timestamp" => DataType::Timestamp(unit(), (!second.is_empty()).then(|| second.into())),
        _ => panic!("no type {word}"),
    }
}

/// Where arrays go: not every type goes everywhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Carrier {
    Memory,
    Parquet,
    Arrow,
}

/// A small source of choices that a seed repeats (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }
}

/// The first type that holds the values.
pub fn plain_type(kind: &ColumnKind, values: &[&Value]) -> DataType {
    choose(kind, values, Carrier::Memory, &mut |_| 0)
}

/// Any type that holds the values.
pub fn some_type(
    kind: &ColumnKind,
    values: &[&Value],
    carrier: Carrier,
    dice: &mut Dice,
) -> DataType {
    choose(kind, values, carrier, &mut |sides| dice.roll(sides))
}

fn choose<'a>(
    kind: &ColumnKind,
    values: &[&'a Value],
    carrier: Carrier,
    roll: &mut dyn FnMut(usize) -> usize,
) -> DataType {
    let many = || {
        values.iter().filter_map(|value: &&'a Value| match value {
            Value::Many(children) => Some(children),
            _ => None,
        })
    };
    match kind {
        ColumnKind::List(of) => {
            let children: Vec<_> = many().flatten().collect();
            let item = child("item", choose(of, &children, carrier, roll));
            let mut types =
                vec![DataType::List(Arc::clone(&item)), DataType::LargeList(Arc::clone(&item))];
            let size = many().next().map_or(0, Vec::len);
            if size > 0 && many().all(|m| m.len() == size) {
                types.push(DataType::FixedSizeList(Arc::clone(&item), size as i32));
            }
            if carrier != Carrier::Parquet {
                types.push(DataType::ListView(Arc::clone(&item)));
                types.push(DataType::LargeListView(item));
            }
            types.swap_remove(roll(types.len()))
        }
        ColumnKind::Struct(fields) => {
            let field = |(place, (name, kind)): (usize, &(String, ColumnKind))| {
                let values: Vec<_> = many().map(|m| &m[place]).collect();
                child(name, choose(kind, &values, carrier, roll))
            };
            DataType::Struct(fields.iter().enumerate().map(field).collect())
        }
        ColumnKind::Map(key, value) => {
            let side = |at: usize| -> Vec<&'a Value> {
                let of = |entry: &'a Value| match entry {
                    Value::Many(pair) => &pair[at],
                    value => value,
                };
                many().flatten().map(of).collect()
            };
            let key = choose_leaf(key, &side(0), roll);
            map_of(key, choose(value, &side(1), carrier, roll))
        }
        _ => {
            let leaf = choose_leaf(kind, values, roll);
            encoded(kind, leaf, values, carrier, roll)
        }
    }
}

/// The type, perhaps by a dictionary or in runs.
fn encoded(
    kind: &ColumnKind,
    leaf: DataType,
    values: &[&Value],
    carrier: Carrier,
    roll: &mut dyn FnMut(usize) -> usize,
) -> DataType {
    let in_parquet =
        matches!(leaf, DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::Int64);
    let is_view = matches!(leaf, DataType::Utf8View | DataType::BinaryView);
    match roll(8) {
        _ if *kind == ColumnKind::Null => leaf,
        // Of runs of views within maps, arrow-ipc 60 writes files that it cannot read itself.
        6 if carrier == Carrier::Arrow && is_view => leaf,
        6 if carrier != Carrier::Parquet => runs_of(leaf),
        7 if carrier != Carrier::Parquet || in_parquet => {
            let mut keys = vec![DataType::Int32, DataType::UInt16];
            // With room for what nobody uses.
            if values.len() < 120 {
                keys.push(DataType::Int8);
            }
            DataType::Dictionary(Box::new(keys.swap_remove(roll(keys.len()))), Box::new(leaf))
        }
        _ => leaf,
    }
}

fn choose_leaf(
    kind: &ColumnKind,
    values: &[&Value],
    roll: &mut dyn FnMut(usize) -> usize,
) -> DataType {
    let mut types = candidates(kind, values);
    types.retain(|data_type| values.iter().all(|value| fits(data_type, value)));
    types.swap_remove(roll(types.len()))
}

fn candidates(kind: &ColumnKind, values: &[&Value]) -> Vec<DataType> {
    use DataType::*;
    use TimeUnit::*;
    const UNITS: [TimeUnit; 4] = [Second, Millisecond, Microsecond, Nanosecond];
    match kind {
        ColumnKind::Bool => vec![Boolean],
        ColumnKind::Int => vec![Int64, Int8, Int16, Int32, UInt8, UInt16, UInt32],
        ColumnKind::Uint64 => vec![UInt64],
        ColumnKind::Float32 => vec![DataType::Float32],
        ColumnKind::Float64 => vec![DataType::Float64],
        ColumnKind::Decimal => {
            let scales = values.iter().map(|v| if let Value::Decimal(_, s) = v { *s } else { 0 });
            let scale = scales.max().unwrap_or(0).max(0);
            [Decimal256(76, scale), Decimal128(38, scale), Decimal128(38, scale + 3)]
                .into_iter()
                .chain([Decimal64(18, scale.min(18)), Decimal32(9, scale.min(9))])
                .chain([Decimal256(76, scale + 7), Decimal128(20, scale.min(20))])
                .collect()
        }
        ColumnKind::String => vec![Utf8, LargeUtf8, Utf8View],
        ColumnKind::Binary => {
            let sizes = values.iter().map(|v| if let Value::Bytes(b) = v { b.len() } else { 0 });
            let size = sizes.max().unwrap_or(0);
            let mut types = vec![Binary, LargeBinary, BinaryView];
            types.extend((size > 0).then_some(FixedSizeBinary(size as i32)));
            types
        }
        ColumnKind::Date => vec![Date32, Date64],
        ColumnKind::Time => {
            vec![Time64(Nanosecond), Time64(Microsecond), Time32(Millisecond), Time32(Second)]
        }
        ColumnKind::Timestamp => UNITS.map(|unit| Timestamp(unit, None)).to_vec(),
        ColumnKind::Instant => {
            let zones = UNITS.map(|unit| Timestamp(unit, Some("UTC".into()))).into_iter();
            zones.chain(UNITS.map(|unit| Timestamp(unit, Some("+05:30".into())))).collect()
        }
        ColumnKind::Duration => UNITS.map(Duration).to_vec(),
        ColumnKind::Null => vec![Null],
        _ => panic!("{kind} is nested"),
    }
}

fn fits(data_type: &DataType, value: &Value) -> bool {
    let precise = |precision: u8, scale: i8| {
        let limit = i256::from_i128(10).wrapping_pow(u32::from(precision));
        rescaled(value, scale).is_some_and(|v| v < limit && v > limit.wrapping_neg())
    };
    let within =
        |least: i128, most: i128| matches!(value, Value::Int(v) if (least..=most).contains(v));
    if *value == Value::Null {
        return true;
    }
    match data_type {
        DataType::Int8 => within(i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => within(i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => within(i32::MIN.into(), i32::MAX.into()),
        DataType::UInt8 => within(0, u8::MAX.into()),
        DataType::UInt16 => within(0, u16::MAX.into()),
        DataType::UInt32 => within(0, u32::MAX.into()),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => precise(*precision, *scale),
        DataType::FixedSizeBinary(size) => {
            matches!(value, Value::Bytes(bytes) if bytes.len() == *size as usize)
        }
        DataType::Time32(unit)
        | DataType::Time64(unit)
        | DataType::Timestamp(unit, _)
        | DataType::Duration(unit) => ticks(value, unit).is_some(),
        _ => true,
    }
}
