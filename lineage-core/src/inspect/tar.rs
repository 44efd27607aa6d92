//! Tar archives: every member is inspected, whatever its name says.

use std::io;

use super::detect::Place;
use super::pickle;
use super::report::{Format, Report, Severity};
use super::source::{Region, Source};
use super::zip::{Member, inspect_member};

const MEMBERS_MAX: u64 = 100_000;
const NAME_BYTES_MAX: u64 = 4096;
const BLOCK: u64 = 512;

/// Whether the first bytes are a tar header with a right checksum.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    let told = octal(&header[148..156]);
    let sum = |signed: bool| -> i64 {
        let value = |byte: u8| if signed { i64::from(byte as i8) } else { i64::from(byte) };
        header
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { value(*byte) })
            .sum()
    };
    let filled = header[0] != 0 || header[257..262] == *b"ustar";
    let told = told.and_then(|told| i64::try_from(told).ok());
    filled && told.is_some_and(|told| told == sum(false) || told == sum(true))
}

/// A number of a tar header: octal text, or binary when its first bit is set.
fn octal(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let zero = (u64::from(first & 0x7f), true);
        return rest
            .iter()
            .try_fold(zero.0, |value, byte| value.checked_mul(256)?.checked_add(u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches(|c| c == ' ' || c == '\0');
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// Inspects a tar.
pub(super) fn inspect(region: Region<'_>, place: Place<'_>, report: &mut Report) -> Format {
    if let Err(error) = tar_members(region, place, report) {
        pickle::unreadable(&error, place.location, report);
    }
    Format::Tar
}

fn tar_members(region: Region<'_>, place: Place<'_>, report: &mut Report) -> io::Result<()> {
    let (mut at, mut members) = (0_u64, 0);
    let mut long_name = None;
    while at < region.len() {
        let header = region.bytes_at(at, BLOCK as usize)?;
        if header.iter().all(|byte| *byte == 0) {
            at += BLOCK;
            continue;
        }
        members += 1;
        let size = octal(&header[124..136]).filter(|_| is_tar(&header));
        let size = size.filter(|_| members <= MEMBERS_MAX);
        let body = size.and_then(|size| region.slice(at + BLOCK, size));
        let (Some(size), Some(body)) = (size, body) else {
            let what =
                if members > MEMBERS_MAX { "has more than 100,000 members" } else { "is broken" };
            report.add(Severity::Unknown, "malformed", place.location, format!("the tar {what}"));
            return Ok(());
        };
        at += BLOCK + size.next_multiple_of(BLOCK);
        match header[156] {
            b'L' => long_name = Some(text(body)?),
            b'x' => long_name = pax_name(&text(body)?).or(long_name),
            b'g' | b'K' | b'1' | b'2' | b'3' | b'4' | b'5' | b'6' => {
                if matches!(header[156], b'1' | b'2') {
                    let detail = format!("holds a link, {}", header_name(&header));
                    report.add(Severity::Unknown, "link", place.location, detail);
                }
                long_name = long_name.filter(|_| matches!(header[156], b'g' | b'K'));
            }
            b'0' | 0 | b'7' => {
                let name = long_name.take().unwrap_or_else(|| header_name(&header));
                let source = Some(Source::Plain(body));
                let member = Member { name, source, encrypted: false };
                inspect_member(&member, Format::Tar, place, report);
            }
            other => {
                let detail = format!("holds a member of the unusual kind {other:#04x}");
                report.add(Severity::Unknown, "unsupported", place.location, detail);
                long_name = None;
            }
        }
    }
    Ok(())
}

fn text(region: Region<'_>) -> io::Result<String> {
    let bytes = region.bytes_at(0, region.len().min(NAME_BYTES_MAX) as usize)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
}

fn header_name(header: &[u8]) -> String {
    let field = |from: usize, to: usize| {
        let field = header.get(from..to).unwrap_or_default();
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        String::from_utf8_lossy(&field[..end]).into_owned()
    };
    let (name, prefix) = (field(0, 100), field(345, 500));
    let ustar = header.get(257..263) == Some(b"ustar\0");
    if ustar && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

fn pax_name(records: &str) -> Option<String> {
    records.lines().find_map(|line| line.split_once(" path=").map(|(_, path)| path.to_owned()))
}
