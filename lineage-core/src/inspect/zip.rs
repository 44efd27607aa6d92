//! Zip archives: every member is inspected, whatever its name says.
//!
//! The reader takes the central directory at its word and checks neither checksums nor local
//! headers: what one loader refuses, another one loads.

use std::io;

use super::compression::Codec;
use super::detect::{self, Meaning, Place};
use super::pickle;
use super::report::{Format, Report, Severity};
use super::source::{Region, Source};

const MEMBERS_MAX: u64 = 100_000;
const DIRECTORY_BYTES_MAX: u64 = 256 << 20;

/// A member of an archive.
pub(super) struct Member<'a> {
    pub(super) name: String,
    pub(super) source: Option<Source<'a>>,
    pub(super) encrypted: bool,
}

/// Where the central directory of a zip lies; `None` when the file does not end as a zip does.
fn zip_directory(region: Region<'_>) -> io::Result<Option<Directory>> {
    let tail_bytes = region.len().min(22 + 65_535);
    let tail_at = region.len() - tail_bytes;
    let tail = region.bytes_at(tail_at, tail_bytes as usize)?;
    let is_end = |at: &usize| tail.get(*at..).is_some_and(|end| end.starts_with(b"PK\x05\x06"));
    let Some(at) = memchr::memrchr_iter(b'P', &tail).find(is_end) else { return Ok(None) };
    let Some(end) = tail.get(at..at + 22) else { return Ok(None) };
    let end_at = tail_at + at as u64;
    let mut directory = Directory {
        members: u64::from(u16_at(end, 10)),
        bytes: u64::from(u32_at(end, 12)),
        at: u64::from(u32_at(end, 16)),
        base: 0,
    };
    let mut directory_end = end_at;
    let locator = end_at.checked_sub(20).map(|at| region.bytes_at(at, 20)).transpose()?;
    if let Some(locator) = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
        // Bytes may stand before the zip, so the record is looked for where it must end, too.
        let told = u64_at(&locator, 8);
        let places = [Some(told), end_at.checked_sub(20 + 56)];
        for at in places.into_iter().flatten() {
            let record = region.bytes_at(at, 56).unwrap_or_default();
            if record.starts_with(b"PK\x06\x06") {
                directory.members = u64_at(&record, 32);
                directory.bytes = u64_at(&record, 40);
                directory.at = u64_at(&record, 48);
                directory_end = at;
                break;
            }
        }
    }
    let placed = directory_end.checked_sub(directory.bytes);
    directory.base = placed.and_then(|placed| placed.checked_sub(directory.at)).unwrap_or(0);
    Ok(Some(directory))
}

/// The central directory as the end of the file describes it.
struct Directory {
    members: u64,
    bytes: u64,
    at: u64,
    /// How many bytes stand before the zip.
    base: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// Calls `take` with every member of a zip, in the order of the central directory.
fn zip_members<'a>(
    region: Region<'a>,
    directory: &Directory,
    mut take: impl FnMut(Member<'a>),
) -> io::Result<()> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    if directory.bytes > DIRECTORY_BYTES_MAX {
        return Err(invalid("its list of members is larger than 256 MiB"));
    }
    let mut at = directory.base.checked_add(directory.at).ok_or(invalid("no list of members"))?;
    let mut members = 0;
    let end = at.saturating_add(directory.bytes);
    while at < end {
        let header = region.bytes_at(at, 46)?;
        if !header.starts_with(b"PK\x01\x02") {
            return Err(invalid("its list of members is broken"));
        }
        members += 1;
        if members > MEMBERS_MAX {
            return Err(invalid("it has more than 100,000 members"));
        }
        let (name_bytes, extra_bytes) = (u16_at(&header, 28), u16_at(&header, 30));
        let comment_bytes = u16_at(&header, 32);
        let name = region.bytes_at(at + 46, usize::from(name_bytes))?;
        let extra = region.bytes_at(at + 46 + u64::from(name_bytes), usize::from(extra_bytes))?;
        at += 46 + u64::from(name_bytes) + u64::from(extra_bytes) + u64::from(comment_bytes);
        take(zip_member(region, directory.base, &header, &name, &extra));
    }
    if members != directory.members && members & 0xffff != directory.members {
        return Err(invalid("it has another number of members than it says"));
    }
    Ok(())
}

fn zip_member<'a>(
    region: Region<'a>,
    base: u64,
    header: &[u8],
    name: &[u8],
    extra: &[u8],
) -> Member<'a> {
    let mut packed = u64::from(u32_at(header, 20));
    let unpacked = u32_at(header, 24);
    let mut at = u64::from(u32_at(header, 42));
    if let Some(mut zip64) = extra_field(extra, 1) {
        let mut wide = || {
            let value = u64_at(zip64, 0);
            zip64 = zip64.get(8..).unwrap_or_default();
            value
        };
        if unpacked == u32::MAX {
            wide();
        }
        if packed == u64::from(u32::MAX) {
            packed = wide();
        }
        if at == u64::from(u32::MAX) {
            at = wide();
        }
    }
    let bytes = base.checked_add(at).and_then(|at| {
        let local = region.bytes_at(at, 30).ok()?;
        if !local.starts_with(b"PK\x03\x04") {
            return None;
        }
        let names = u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        region.slice(at.checked_add(30 + names)?, packed)
    });
    let source = bytes.map(|bytes| match u16_at(header, 10) {
        0 => Source::Plain(bytes),
        8 => Source::Packed(bytes, Codec::Deflate),
        12 => Source::Packed(bytes, Codec::Bzip2),
        14 => Source::Packed(bytes, Codec::ZipLzma),
        93 => Source::Packed(bytes, Codec::Zstd),
        95 => Source::Packed(bytes, Codec::Xz),
        _ => Source::Packed(bytes, Codec::Unsupported),
    });
    let name = String::from_utf8_lossy(name).into_owned();
    Member { name, source, encrypted: u16_at(header, 8) & 1 != 0 }
}

fn extra_field(mut extra: &[u8], wanted: u16) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let (kind, length) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let field = extra.get(4..4 + length)?;
        if kind == wanted {
            return Some(field);
        }
        extra = &extra[4 + length..];
    }
    None
}

/// Whether a file that begins as something else ends as a zip with members.
pub(super) fn is_too(region: Region<'_>) -> bool {
    let Ok(Some(directory)) = zip_directory(region) else { return false };
    let at = directory.base.checked_add(directory.at);
    let first = at.and_then(|at| region.bytes_at(at, 4).ok());
    directory.members > 0 && first.is_some_and(|first| first == b"PK\x01\x02")
}

/// Inspects a zip.
pub(super) fn inspect(region: Region<'_>, place: Place<'_>, report: &mut Report) -> Format {
    let broken = |error: &io::Error, report: &mut Report| {
        pickle::unreadable(error, place.location, report);
        Format::Zip
    };
    let directory = match zip_directory(region) {
        Ok(Some(directory)) => directory,
        Ok(None) => {
            let detail =
                "begins as a zip and does not end as one: it is cut off, or made to look so";
            report.add(Severity::Unknown, "malformed", place.location, detail);
            return Format::Zip;
        }
        Err(error) => return broken(&error, report),
    };
    let mut names = Names::default();
    if let Err(error) = zip_members(region, &directory, |member| names.note(&member.name)) {
        broken(&error, report);
    }
    let format = names.format();
    let result = zip_members(region, &directory, |member| {
        inspect_member(&member, format, place, report);
    });
    if let Err(error) = result {
        broken(&error, report);
    }
    format
}

pub(super) fn inspect_member(
    member: &Member<'_>,
    format: Format,
    place: Place<'_>,
    report: &mut Report,
) {
    let Some(inner) = place.inside(&member.name, report) else { return };
    if member.name.ends_with('/') && member.source.is_none_or(|source| source.is_empty()) {
        return;
    }
    if member.encrypted {
        let detail = "is marked as encrypted; read as if it were not";
        report.add(Severity::Unknown, "encrypted", &inner, detail);
    }
    let Some(source) = member.source else {
        let detail = "its bytes are not where the archive says";
        report.add(Severity::Unknown, "malformed", &inner, detail);
        return;
    };
    let meaning = meaning(&member.name, format);
    if let Meaning::Source = meaning {
        let detail = "is source code that comes with the model, and is not read";
        report.add(Severity::Unknown, "source-code", &inner, detail);
        return;
    }
    let place = Place { location: &inner, name: &member.name, depth: place.depth + 1, meaning };
    detect::inspect_source(&source, place, report);
}

/// What a member's name says about how it will be loaded.
fn meaning(name: &str, format: Format) -> Meaning {
    let base = name.rsplit('/').next().unwrap_or(name);
    let digits = !base.is_empty() && base.bytes().all(|byte| byte.is_ascii_digit());
    let parent = name.strip_suffix(base).unwrap_or_default();
    let data = parent.ends_with("data/") || parent.ends_with("constants/");
    match format {
        _ if base.ends_with(".py") || base.ends_with(".pyc") || base.ends_with(".so") => {
            Meaning::Source
        }
        Format::PytorchZip if data && digits => Meaning::Numbers,
        Format::PytorchZip
            if matches!(
                base,
                "version" | "byteorder" | ".format_version" | ".storage_alignment"
            ) || name.ends_with(".data/serialization_id")
                || base.ends_with(".debug_pkl") =>
        {
            Meaning::Numbers
        }
        Format::Keras if matches!(base, "config.json" | "metadata.json") => Meaning::KerasConfig,
        Format::Skops if base == "schema.json" => Meaning::SkopsSchema,
        _ => Meaning::Anything,
    }
}

/// What the names of a zip's members tell about it.
#[derive(Default)]
struct Names {
    members: u64,
    arrays: u64,
    data_pickle: bool,
    keras_config: bool,
    keras_weights: bool,
    skops_schema: bool,
}

impl Names {
    fn note(&mut self, name: &str) {
        self.members += 1;
        self.arrays += u64::from(name.ends_with(".npy"));
        self.data_pickle |= name == "data.pkl" || name.ends_with("/data.pkl");
        self.keras_config |= name == "config.json";
        self.keras_weights |= name.ends_with(".weights.h5") || name == "metadata.json";
        self.skops_schema |= name == "schema.json";
    }

    fn format(&self) -> Format {
        match self {
            _ if self.data_pickle => Format::PytorchZip,
            _ if self.keras_config && self.keras_weights => Format::Keras,
            _ if self.skops_schema => Format::Skops,
            _ if self.members > 0 && self.arrays == self.members => Format::Npz,
            _ => Format::Zip,
        }
    }
}
