//! What kind of bytes lie there, and who looks at them.

use super::compression::Codec;
use super::json;
use super::npy;
use super::pickle::{self, Certainty};
use super::report::{Format, Report, Severity};
use super::source::{Region, Source};
use super::{gguf, onnx, safetensors, tar, zip};

/// Archives in archives, and compression in compression, are followed this deep.
const DEPTH_MAX: u32 = 8;
const HEAD_BYTES: usize = 512;

/// Where something was found, and how deep.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    /// As findings name it.
    pub(super) location: &'p str,
    /// The name of the file or member, for its extension.
    pub(super) name: &'p str,
    pub(super) depth: u32,
    pub(super) meaning: Meaning,
}

/// How a member of an archive will be taken by the library that loads the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Anything,
    /// Raw numbers, or a text of a few bytes.
    Numbers,
    /// Source code.
    Source,
    KerasConfig,
    SkopsSchema,
}

impl Place<'_> {
    /// The location of a member; `None`, and a finding, when it lies too deep.
    pub(super) fn inside(&self, member: &str, report: &mut Report) -> Option<String> {
        if self.depth >= DEPTH_MAX {
            self.too_deep(report);
            return None;
        }
        let member = super::report::shortened(member);
        Some(match self.location {
            "" => member,
            outer => format!("{outer}!{member}"),
        })
    }

    fn too_deep(&self, report: &mut Report) {
        let detail = format!("not read: it lies more than {DEPTH_MAX} archives deep");
        report.add(Severity::Unknown, "size-cap", self.location, detail);
    }
}

/// Inspects a file or a member of an archive.
pub(super) fn inspect_source(source: &Source<'_>, place: Place<'_>, report: &mut Report) -> Format {
    match place.meaning {
        Meaning::Numbers => {
            pickle::inspect(source, place.location, Certainty::Guess, report);
            return Format::Unknown;
        }
        Meaning::KerasConfig | Meaning::SkopsSchema => {
            return json::inspect(source, place.location, report);
        }
        Meaning::Anything | Meaning::Source => {}
    }
    let head = match source.head(HEAD_BYTES) {
        Ok(head) => head,
        Err(error) => {
            pickle::unreadable(&error, place.location, report);
            return Format::Unknown;
        }
    };
    if head.is_empty() && place.depth > 0 {
        return Format::Unknown;
    }
    let format = by_head(source, &head, place, report);
    look_twice(source, format, place, report);
    format
}

fn by_head(source: &Source<'_>, head: &[u8], place: Place<'_>, report: &mut Report) -> Format {
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return held(source, place, report, Format::Zip, zip::inspect);
    }
    if let Some(codec) = Codec::of_head(head) {
        return held(source, place, report, Format::Compressed, |region, place, report| {
            inspect_packed(region, codec, place, report)
        });
    }
    if head.starts_with(npy::MAGIC) {
        return npy::inspect(source, place.location, report);
    }
    if head.starts_with(b"\x89HDF\r\n\x1a\n") {
        let detail = "HDF5 is recognised and not read; a Keras model in it may hold code";
        report.add(Severity::Unknown, "not-inspected", place.location, detail);
        return Format::Hdf5;
    }
    let located = |inspect: fn(Region<'_>, &str, &mut Report) -> Format| {
        move |region: Region<'_>, place: Place<'_>, report: &mut Report| {
            inspect(region, place.location, report)
        }
    };
    if safetensors::recognised(head) || place.has_extension(&["safetensors"]) {
        return held(source, place, report, Format::Safetensors, located(safetensors::inspect));
    }
    if head.starts_with(b"GGUF") {
        return held(source, place, report, Format::Gguf, located(gguf::inspect));
    }
    if tar::is_tar(head) {
        return held(source, place, report, Format::Tar, tar::inspect);
    }
    let protocol = matches!(head, [0x80, 0..=5, ..]);
    if protocol || place.has_extension(&["pkl", "pickle", "joblib", "dill", "p"]) {
        return inspect_pickle(source, Certainty::Pickle, place, report).unwrap_or(Format::Pickle);
    }
    if onnx::recognised(head) || place.has_extension(&["onnx"]) {
        return held(source, place, report, Format::Onnx, located(onnx::inspect));
    }
    if matches!(head.trim_ascii_start(), [b'{' | b'[', ..]) {
        return json::inspect(source, place.location, report);
    }
    if let Some(format) = inspect_pickle(source, Certainty::Guess, place, report) {
        return format;
    }
    by_text(source, head, place, report)
}

impl Place<'_> {
    fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = self.name.rsplit_once('.').map(|(_, extension)| extension);
        extension.is_some_and(|found| extensions.iter().any(|e| found.eq_ignore_ascii_case(e)))
    }
}

/// Calls an inspector that reads by position.
fn held(
    source: &Source<'_>,
    place: Place<'_>,
    report: &mut Report,
    format: Format,
    inspect: impl FnOnce(Region<'_>, Place<'_>, &mut Report) -> Format,
) -> Format {
    let mut buffer = Vec::new();
    match source.hold(&mut buffer) {
        Ok(region) => inspect(region, place, report),
        Err(error) => {
            pickle::unreadable(&error, place.location, report);
            format
        }
    }
}

fn inspect_pickle(
    source: &Source<'_>,
    certainty: Certainty,
    place: Place<'_>,
    report: &mut Report,
) -> Option<Format> {
    let found = pickle::inspect(source, place.location, certainty, report);
    let format = if found.joblib { Format::Joblib } else { Format::Pickle };
    found.pickle.then_some(format)
}

/// What joblib, or gzip, packed.
fn inspect_packed(
    region: Region<'_>,
    codec: Codec,
    place: Place<'_>,
    report: &mut Report,
) -> Format {
    if place.depth >= DEPTH_MAX {
        place.too_deep(report);
        return Format::Compressed;
    }
    // The name without `.gz` is that of what is inside.
    let name = match place.name.rsplit_once('.') {
        Some((stem, "gz" | "bz2" | "xz" | "lzma" | "z" | "zst")) => stem,
        _ => place.name,
    };
    let inside = Place { name, depth: place.depth + 1, ..place };
    match inspect_source(&Source::Packed(region, codec), inside, report) {
        Format::Pickle => Format::Joblib,
        Format::Unknown => Format::Compressed,
        other => other,
    }
}

/// A text that a library defines, or nothing that is known.
fn by_text(source: &Source<'_>, head: &[u8], place: Place<'_>, report: &mut Report) -> Format {
    // LightGBM's reader takes numbers from lines `name=values`; nothing in them can be called.
    if head.starts_with(b"tree\nversion=v") {
        match is_text(source) {
            Ok(true) => {
                report.detail("library", "LightGBM");
                return Format::Text;
            }
            Ok(false) => {}
            Err(error) => {
                pickle::unreadable(&error, place.location, report);
                return Format::Text;
            }
        }
    }
    let detail = if head.is_empty() { "is empty" } else { "is of no format that is known here" };
    report.add(Severity::Unknown, "not-recognised", place.location, detail);
    Format::Unknown
}

/// Whether all bytes are those of a text.
fn is_text(source: &Source<'_>) -> std::io::Result<bool> {
    let mut reader = source.open()?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = reader.read(&mut buffer)?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.iter().any(|byte| *byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t')) {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

/// A file may be two things at once: one for the reader that looks at its beginning, another for the
/// one that looks at its end.
fn look_twice(source: &Source<'_>, format: Format, place: Place<'_>, report: &mut Report) {
    if matches!(
        format,
        Format::Zip | Format::PytorchZip | Format::Keras | Format::Skops | Format::Npz
    ) {
        return;
    }
    if !matches!(format, Format::Pickle | Format::Joblib | Format::Unknown) {
        let mut own = Report::default();
        pickle::inspect(source, place.location, Certainty::Guess, &mut own);
        report.absorb(own.without_tensors(), Severity::Suspicious);
    }
    // What a decompressor gives is read from its beginning. A tar's last member may be a zip, which was
    // inspected as such.
    let Source::Plain(region) = *source else { return };
    if format == Format::Tar || place.depth >= DEPTH_MAX {
        return;
    }
    if zip::is_too(region) {
        let detail = "is also a zip, for readers that begin at the end of a file";
        report.add(Severity::Suspicious, "polyglot", place.location, detail);
        zip::inspect(region, Place { depth: place.depth + 1, ..place }, report);
    }
}
