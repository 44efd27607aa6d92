//! safetensors: eight bytes of header length, a JSON header, and the numbers
//! (<https://github.com/huggingface/safetensors>). Nothing in it can run; what is looked for are
//! headers that two readers could understand differently.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::report::{Format, Report, Severity};
use super::source::Region;
use crate::files::reason;

/// By the format.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// A header of more tensors is not looked at further.
const TENSORS_MAX: usize = 1_000_000;

/// Whether the first bytes are such a header's.
pub(super) fn recognised(head: &[u8]) -> bool {
    let [length @ .., brace] = head.get(..9).unwrap_or_default() else { return false };
    let length = length.try_into().map(u64::from_le_bytes).unwrap_or(0);
    matches!(brace, b'{' | b' ') && (2..1 << 48).contains(&length)
}

pub(super) fn inspect(region: Region<'_>, location: &str, report: &mut Report) -> Format {
    if let Err(problem) = read(region, location, report) {
        report.add(Severity::Unknown, "malformed", location, problem);
    }
    Format::Safetensors
}

fn read(region: Region<'_>, location: &str, report: &mut Report) -> Result<(), String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {}", reason(&error));
    let mut length = [0; 8];
    region.read_exact_at(0, &mut length).map_err(unreadable)?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_BYTES_MAX {
        return Err(format!("declares a header of {length} bytes; the format allows 100,000,000"));
    }
    let inside = region.slice(8, length);
    let header = inside.ok_or(format!("declares a header of {length} bytes, past its end"))?;
    let data_bytes = region.len() - 8 - length;
    let mut first = [0; 1];
    header.read_exact_at(0, &mut first).map_err(unreadable)?;
    if first != *b"{" {
        let detail = "the header does not begin with '{', which the format demands";
        report.add(Severity::Suspicious, "malformed", location, detail);
    }
    let mut tensors = Header { spans: Vec::new(), report, location };
    let reader = std::io::BufReader::new(header.reader());
    let mut parser = serde_json::Deserializer::from_reader(reader);
    let parsed = (&mut tensors).deserialize(&mut parser).and_then(|()| parser.end());
    let spans = tensors.spans;
    parsed.map_err(|error| match error.io_error_kind() {
        Some(_) => format!("the header cannot be read: {error}"),
        None => format!("the header is not as the format demands: {error}"),
    })?;
    report.count_tensors(0);
    check_spans(spans, data_bytes, location, report);
    Ok(())
}

/// The numbers of all tensors must cover the rest of the file, each byte once.
fn check_spans(mut spans: Vec<(u64, u64)>, data_bytes: u64, location: &str, report: &mut Report) {
    spans.sort_unstable();
    let mut end = 0;
    let (mut overlap, mut hole) = (false, false);
    for (from, to) in spans {
        overlap |= from < end;
        hole |= from > end;
        end = end.max(to);
    }
    if overlap {
        let detail = "tensors lie over each other, which the format forbids";
        report.add(Severity::Suspicious, "overlap", location, detail);
    }
    if end > data_bytes {
        let detail = format!("tensors reach to byte {end} of {data_bytes}: it is cut off");
        report.add(Severity::Unknown, "malformed", location, detail);
    } else if hole || end < data_bytes {
        let detail = "bytes belong to no tensor, which the format forbids";
        report.add(Severity::Suspicious, "hole", location, detail);
    }
}

/// Reads the header's object without building it.
struct Header<'r> {
    spans: Vec<(u64, u64)>,
    report: &'r mut Report,
    location: &'r str,
}

impl<'de> DeserializeSeed<'de> for &mut Header<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Header<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value_seed(Metadata { report: self.report, location: self.location })?;
            } else {
                let tensor: Tensor = map.next_value()?;
                self.tensor(&name, &tensor);
            }
            if names.len() >= TENSORS_MAX {
                return Err(serde::de::Error::custom("it names more than 1,000,000 tensors"));
            }
            if !names.insert(name.clone()) {
                let detail = format!("names {name} twice; readers take the one or the other");
                self.report.add(Severity::Suspicious, "duplicate-name", self.location, detail);
            }
        }
        Ok(())
    }
}

/// The object of texts beside the tensors.
struct Metadata<'r> {
    report: &'r mut Report,
    location: &'r str,
}

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match map.next_value::<Loose>()?.text {
                Some(text) => self.report.detail(&format!("metadata.{key}"), &text),
                None => {
                    let detail = "holds metadata that is no text, which the format forbids";
                    self.report.add(Severity::Unknown, "metadata", self.location, detail);
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// The sizes multiplied; `None` when that is no number of 64 bits.
struct Shape(Option<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of sizes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut product = Some(1_u64);
        while let Some(size) = seq.next_element::<u64>()? {
            product = product.and_then(|product| product.checked_mul(size));
        }
        Ok(Shape(product))
    }
}

impl Header<'_> {
    fn tensor(&mut self, name: &str, tensor: &Tensor) {
        let (from, to) = tensor.data_offsets;
        self.spans.push((from, to.max(from)));
        let elements = tensor.shape.0;
        self.report.tensor(&tensor.dtype, elements.unwrap_or(u64::MAX));
        let Some(bits) = bits(&tensor.dtype) else {
            let detail = format!("{name} is of the type {}, which is not known", tensor.dtype);
            self.report.add(Severity::Unknown, "unknown-dtype", self.location, detail);
            return;
        };
        let needed = elements.and_then(|elements| elements.checked_mul(bits));
        let given = to.checked_sub(from).and_then(|bytes| bytes.checked_mul(8));
        if needed.is_none() || needed != given {
            let detail = format!("the shape of {name} needs another number of bytes than it has");
            self.report.add(Severity::Suspicious, "shape-mismatch", self.location, detail);
        }
    }
}

fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ"
        | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "F64" | "I64" | "U64" | "C64" => 64,
        _ => return None,
    })
}

/// A text, or something else that is passed over.
struct Loose {
    text: Option<String>,
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Loose, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose { text: Some(super::report::shortened(text)) })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose { text: None })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Loose, E> {
        Ok(Loose { text: None })
    }

    fn visit_u64<E>(self, _: u64) -> Result<Loose, E> {
        Ok(Loose { text: None })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Loose, E> {
        Ok(Loose { text: None })
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose { text: None })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Loose, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose { text: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose { text: None })
    }
}
