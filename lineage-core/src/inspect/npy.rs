//! NumPy's `.npy` (`numpy.lib.format`): a header in Python's syntax, then the numbers, or a pickle
//! when the elements are objects.

use super::pickle::{self, Certainty};
use super::report::{Format, Report, Severity};
use super::source::Source;
use crate::files::reason;

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Longer headers than a NumPy array's are refused.
const HEADER_BYTES_MAX: usize = 64 * 1024;

pub(super) fn inspect(source: &Source<'_>, location: &str, report: &mut Report) -> Format {
    if let Err(problem) = read(source, location, report) {
        report.add(Severity::Unknown, "malformed", location, problem);
    }
    Format::Npy
}

fn read(source: &Source<'_>, location: &str, report: &mut Report) -> Result<(), String> {
    let broken = || "its header is not as the format demands".to_owned();
    let head = source
        .head(12 + HEADER_BYTES_MAX)
        .map_err(|error| format!("cannot be read: {}", reason(&error)))?;
    let (length, start) = match head.get(6..12).ok_or_else(broken)? {
        [1, _, low, high, ..] => (usize::from(u16::from_le_bytes([*low, *high])), 10),
        [2 | 3, _, a, b, c, d] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
        _ => return Err(broken()),
    };
    let end = start + length.min(HEADER_BYTES_MAX + 1);
    let header = head.get(start..end).ok_or_else(broken)?;
    let header = String::from_utf8_lossy(header);
    let descr = value_of(&header, "descr").ok_or_else(broken)?;
    let shape = value_of(&header, "shape").ok_or_else(broken)?;
    let elements = elements(shape).ok_or_else(broken)?;
    report.tensor(&dtype(descr), elements);
    if !holds_objects(descr) {
        return Ok(());
    }
    let detail = "its elements are Python objects, so that a pickle follows the header";
    report.add(Severity::Info, "object-array", location, detail);
    let mut buffer = Vec::new();
    match source.hold(&mut buffer) {
        Ok(region) => {
            let region = region.after(end as u64).ok_or_else(broken)?;
            pickle::inspect(&Source::Plain(region), location, Certainty::Pickle, report);
        }
        Err(error) => pickle::unreadable(&error, location, report),
    }
    Ok(())
}

/// The text after a key, to the end of the header.
fn value_of<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let at = [format!("'{key}':"), format!("\"{key}\":")]
        .iter()
        .find_map(|quoted| Some(header.find(quoted)? + quoted.len()))?;
    Some(header.get(at..)?.trim_start())
}

/// The numbers of `(2, 3), …` multiplied.
fn elements(shape: &str) -> Option<u64> {
    let inside = shape.strip_prefix('(')?.split_once(')')?.0;
    inside
        .split(',')
        .map(str::trim)
        .filter(|size| !size.is_empty())
        .try_fold(1_u64, |product, size| {
            product.checked_mul(size.trim_end_matches('L').parse().ok()?)
        })
}

/// The element type in the words of safetensors, where it has one.
fn dtype(descr: &str) -> String {
    let Some(quoted) = descr.strip_prefix(['\'', '"']) else { return "record".to_owned() };
    let text = quoted.split(['\'', '"']).next().unwrap_or_default();
    match text.trim_start_matches(['<', '>', '|', '=']) {
        "f8" => "F64",
        "f4" => "F32",
        "f2" => "F16",
        "i8" => "I64",
        "i4" => "I32",
        "i2" => "I16",
        "i1" => "I8",
        "u8" => "U64",
        "u4" => "U32",
        "u2" => "U16",
        "u1" => "U8",
        "b1" | "?" => "BOOL",
        "c8" => "C64",
        "c16" => "C128",
        "O" | "O8" | "O4" => "object",
        _ => text,
    }
    .to_owned()
}

/// Whether any quoted word of the type is that of objects. A column that is merely named `O` counts
/// too: better one scan too many.
fn holds_objects(descr: &str) -> bool {
    let words = descr.split(['\'', '"']).skip(1).step_by(2);
    words
        .map(|word| word.trim_start_matches(['<', '>', '|', '=']))
        .take_while(|word| !matches!(*word, "fortran_order" | "shape"))
        .any(|word| word.starts_with('O') && word[1..].bytes().all(|byte| byte.is_ascii_digit()))
}
