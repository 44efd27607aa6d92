//! GGUF, the format of llama.cpp (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>):
//! key-values, then the table of tensors, then the numbers.

use std::io::{self, BufReader, Read};

use super::report::{Format, Report, Severity};
use super::source::{Halt, Region, RegionReader};
use crate::files::reason;

const TENSORS_MAX: u64 = 1_000_000;
const KEYS_MAX: u64 = 1_000_000;
/// Texts are kept up to here; a chat template is looked through as far as this.
const TEXT_BYTES_MAX: u64 = 1 << 20;
const ARRAY_DEPTH_MAX: u32 = 4;

/// Details that are worth showing, with `{architecture}` replaced.
const SHOWN: [&str; 8] = [
    "general.architecture",
    "general.name",
    "general.version",
    "general.license",
    "general.file_type",
    "general.quantization_version",
    ".context_length",
    ".block_count",
];

pub(super) fn inspect(region: Region<'_>, location: &str, report: &mut Report) -> Format {
    if let Err(error) = read(region, location, report) {
        match Halt::of(&error) {
            Some(_) => super::pickle::unreadable(&error, location, report),
            None => report.add(
                Severity::Unknown,
                "malformed",
                location,
                format!("is not as the format demands: {}", reason(&error)),
            ),
        }
    }
    Format::Gguf
}

fn read(region: Region<'_>, location: &str, report: &mut Report) -> io::Result<()> {
    let mut input = Input { reader: BufReader::new(region.reader()), at: 0, big_endian: false };
    input.skip(4)?;
    let mut version = input.u32()?;
    if version & 0xffff == 0 && version != 0 {
        input.big_endian = true;
        version = version.swap_bytes();
        report.detail("byte order", "big-endian");
    }
    report.detail("version", &version.to_string());
    if !(2..=3).contains(&version) {
        return Err(invalid(format!("version {version} is not known")));
    }
    let (tensors, keys) = (input.u64()?, input.u64()?);
    if tensors > TENSORS_MAX || keys > KEYS_MAX {
        return Err(invalid(format!("declares {tensors} tensors and {keys} keys")));
    }
    let mut alignment = 32;
    for _ in 0..keys {
        let key = input.text()?;
        let value = input.value()?;
        if key == "general.alignment" {
            alignment = value.parse().unwrap_or(0);
        }
        if key.starts_with("tokenizer.chat_template") {
            template(&value, location, report);
        } else if SHOWN
            .iter()
            .any(|shown| key == *shown || (shown.starts_with('.') && key.ends_with(shown)))
        {
            report.detail(&key, &value);
        }
    }
    if !(1..=1 << 20).contains(&alignment) {
        return Err(invalid(format!("an alignment of {alignment}")));
    }
    report.count_tensors(0);
    let mut offsets = Vec::new();
    for _ in 0..tensors {
        offsets.push(tensor(&mut input, location, report)?);
    }
    let data = input.at.next_multiple_of(alignment);
    for (offset, bytes) in offsets {
        let end = bytes.and_then(|bytes| data.checked_add(offset)?.checked_add(bytes));
        if offset % alignment != 0 || end.is_none_or(|end| end > region.len()) {
            return Err(invalid("a tensor lies outside of the file, or between places".to_owned()));
        }
    }
    Ok(())
}

/// A template is a program, of a small language that some readers do not keep in its bounds.
fn template(text: &str, location: &str, report: &mut Report) {
    let words =
        ["__", "import", "popen", "globals", "|attr", "| attr", "getattr", "lipsum", "cycler"];
    match words.iter().find(|word| text.contains(**word)) {
        Some(word) => {
            let detail =
                format!("the chat template contains \"{word}\", as attacks on its reader do");
            report.add(Severity::Suspicious, "template-code", location, detail);
        }
        None => {
            let detail = "holds a chat template, which the program that serves the model runs";
            report.add(Severity::Info, "chat-template", location, detail);
        }
    }
}

/// Reads one row of the table: the tensor's offset, and its size where the type is known.
fn tensor(
    input: &mut Input<'_>,
    location: &str,
    report: &mut Report,
) -> io::Result<(u64, Option<u64>)> {
    let name = input.text()?;
    let dimensions = input.u32()?;
    if dimensions > 8 {
        return Err(invalid(format!("tensor {name} has {dimensions} dimensions")));
    }
    let mut elements = 1_u64;
    for _ in 0..dimensions {
        let size = input.u64()?;
        elements = elements
            .checked_mul(size)
            .ok_or_else(|| invalid(format!("tensor {name} has too many numbers")))?;
    }
    let kind = input.u32()?;
    let offset = input.u64()?;
    let known = ggml_type(kind);
    if known.is_none() {
        let detail = format!("tensor {name} is of type {kind}, which is not known");
        report.add(Severity::Unknown, "unknown-dtype", location, detail);
    }
    let (dtype, bytes) = match known {
        None => ("other", Some(0)),
        Some((dtype, block, block_bytes)) => {
            (dtype, elements.div_ceil(block).checked_mul(block_bytes))
        }
    };
    report.tensor(dtype, elements);
    Ok((offset, bytes))
}

/// Name, numbers in a block, bytes of a block (`ggml.c`).
fn ggml_type(kind: u32) -> Option<(&'static str, u64, u64)> {
    Some(match kind {
        0 => ("F32", 1, 4),
        1 => ("F16", 1, 2),
        2 => ("Q4_0", 32, 18),
        3 => ("Q4_1", 32, 20),
        6 => ("Q5_0", 32, 22),
        7 => ("Q5_1", 32, 24),
        8 => ("Q8_0", 32, 34),
        9 => ("Q8_1", 32, 36),
        10 => ("Q2_K", 256, 84),
        11 => ("Q3_K", 256, 110),
        12 => ("Q4_K", 256, 144),
        13 => ("Q5_K", 256, 176),
        14 => ("Q6_K", 256, 210),
        15 => ("Q8_K", 256, 292),
        16 => ("IQ2_XXS", 256, 66),
        17 => ("IQ2_XS", 256, 74),
        18 => ("IQ3_XXS", 256, 98),
        19 => ("IQ1_S", 256, 50),
        20 => ("IQ4_NL", 32, 18),
        21 => ("IQ3_S", 256, 110),
        22 => ("IQ2_S", 256, 82),
        23 => ("IQ4_XS", 256, 136),
        24 => ("I8", 1, 1),
        25 => ("I16", 1, 2),
        26 => ("I32", 1, 4),
        27 => ("I64", 1, 8),
        28 => ("F64", 1, 8),
        29 => ("IQ1_M", 256, 56),
        30 => ("BF16", 1, 2),
        34 => ("TQ1_0", 256, 54),
        35 => ("TQ2_0", 256, 66),
        39 => ("MXFP4", 32, 17),
        _ => return None,
    })
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

struct Input<'a> {
    reader: BufReader<RegionReader<'a>>,
    at: u64,
    big_endian: bool,
}

impl Input<'_> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        self.reader.read_exact(&mut array)?;
        self.at += N as u64;
        if self.big_endian {
            array.reverse();
        }
        Ok(array)
    }

    fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.reader.by_ref().take(bytes), &mut io::sink())?;
        self.at = self.at.checked_add(bytes).ok_or(io::ErrorKind::UnexpectedEof)?;
        if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// A text; what is longer than is kept is read past.
    fn text(&mut self) -> io::Result<String> {
        let length = self.u64()?;
        let mut bytes = Vec::new();
        let kept = length.min(TEXT_BYTES_MAX);
        self.reader.by_ref().take(kept).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != kept {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += kept;
        self.skip(length - kept)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A value as text; of an array nothing.
    fn value(&mut self) -> io::Result<String> {
        let kind = self.u32()?;
        self.value_of(kind, 0)
    }

    fn value_of(&mut self, kind: u32, depth: u32) -> io::Result<String> {
        Ok(match kind {
            0 => u8::from_le_bytes(self.array()?).to_string(),
            1 => i8::from_le_bytes(self.array()?).to_string(),
            2 => u16::from_le_bytes(self.array()?).to_string(),
            3 => i16::from_le_bytes(self.array()?).to_string(),
            4 => self.u32()?.to_string(),
            5 => i32::from_le_bytes(self.array()?).to_string(),
            6 => f32::from_le_bytes(self.array()?).to_string(),
            7 => (self.array::<1>()? != [0]).to_string(),
            8 => self.text()?,
            9 => {
                let kind = self.u32()?;
                let count = self.u64()?;
                self.array_of(kind, count, depth)?;
                String::new()
            }
            10 => self.u64()?.to_string(),
            11 => i64::from_le_bytes(self.array()?).to_string(),
            12 => f64::from_le_bytes(self.array()?).to_string(),
            other => return Err(invalid(format!("a value of type {other}, which is not known"))),
        })
    }

    fn array_of(&mut self, kind: u32, count: u64, depth: u32) -> io::Result<()> {
        if depth >= ARRAY_DEPTH_MAX {
            return Err(invalid("arrays of arrays without an end".to_owned()));
        }
        let item_bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            // Each takes at least its length, so that the end of the file ends the loop.
            8 | 9 => {
                for _ in 0..count {
                    self.value_of(kind, depth + 1)?;
                }
                return Ok(());
            }
            other => return Err(invalid(format!("an array of type {other}, which is not known"))),
        };
        let bytes = count.checked_mul(item_bytes).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.skip(bytes)
    }
}
