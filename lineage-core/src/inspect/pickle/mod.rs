//! The scan of pickles: what loading one would import and call, found without loading it.
//!
//! Default deny: a name is listed as safe, as bad, or it is not known and says so. A pickle is read
//! to its STOP and the bytes after it as the next one, because `pickle.load` may be called again.

mod globals;
mod input;
mod known_bad;
mod known_safe;
mod known_sklearn;
mod machine;
mod torch;
mod value;

use std::io;

pub(super) use self::globals::{Listing, listing};
use self::input::{Fault, Input};
use self::machine::{Arrays, Machine};
use super::report::{Report, Severity};
use super::source::{Halt, Source};
use crate::files::reason;

/// How sure it is that the bytes are a pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certainty {
    /// They are meant to be one: what cannot be read is a finding.
    Pickle,
    /// They may be anything: nothing is said unless they turn out to be one.
    Guess,
}

/// What the bytes turned out to be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// A whole pickle, or one that imports something before it breaks.
    pub(super) pickle: bool,
    /// With raw arrays in mid-stream, as joblib writes it.
    pub(super) joblib: bool,
    /// Such an array holds objects.
    objects: bool,
}

/// Pickles of torch's older files: magic, protocol, system, the object, the keys of the storages.
const TORCH_PICKLES: u64 = 5;

/// Scans a stream of pickles.
pub(super) fn inspect(
    source: &Source<'_>,
    location: &str,
    certainty: Certainty,
    report: &mut Report,
) -> Found {
    let mut first = Report::default();
    let found = scan(source, location, certainty, Arrays::Joblib, &mut first);
    report.absorb(first, Severity::Info);
    if found.joblib {
        // pickle.load takes for opcodes what joblib.load takes for numbers.
        let mut second = Report::default();
        scan(source, location, Certainty::Guess, Arrays::Plain, &mut second);
        // After an array of objects, which is a pickle of its own, the memo's numbers mean other things
        // to pickle.load, and what it makes of them is noise, unless it is a name that is known.
        let least = if found.objects { Severity::Dangerous } else { Severity::Suspicious };
        report.absorb(second.without_tensors(), least);
    }
    found
}

/// Reads pickles one after the other.
fn scan(
    source: &Source<'_>,
    location: &str,
    certainty: Certainty,
    arrays: Arrays,
    report: &mut Report,
) -> Found {
    let mut input = match source.open() {
        Ok(reader) => Input::new(reader),
        Err(error) => {
            unreadable(&error, location, report);
            return Found::default();
        }
    };
    let mut own = Report::default();
    let (mut joblib, mut objects) = (false, false);
    let (mut imports, mut torch) = (0, false);
    let mut number = 0_u64;
    let fault = loop {
        match input.is_at_end() {
            Ok(true) if number > 0 => break None,
            Ok(_) => number += 1,
            Err(fault) => break Some(fault),
        }
        let mut machine = Machine::new(&mut input, &mut own, location, arrays);
        let result = machine.run();
        imports += machine.imports;
        joblib |= machine.arrays_met;
        objects |= machine.objects_met;
        torch |= number == 1 && machine.torch_magic;
        if let Err(fault) = result {
            break Some(fault);
        }
    };
    let stopped = matches!(fault, Some(Fault::Read(_) | Fault::Limit(_)));
    let pickle = certainty == Certainty::Pickle || imports > 0 || fault.is_none();
    if pickle {
        report.absorb(own, Severity::Info);
    }
    if let Some(fault) = fault.filter(|_| pickle || stopped) {
        explain(fault, number, torch, location, report);
    }
    Found { pickle, joblib, objects }
}

/// Says why the reading of a pickle ended before its STOP.
fn explain(fault: Fault, number: u64, torch: bool, location: &str, report: &mut Report) {
    let (kind, detail) = match fault {
        Fault::Read(error) => return unreadable(&error, location, report),
        Fault::Limit(what) => ("size-cap", format!("not read to its end: {what}")),
        // Torch's older files end with the raw numbers of their tensors.
        Fault::Bad(_) | Fault::End if torch && number > TORCH_PICKLES => return,
        Fault::Bad(_) | Fault::End if number > 1 => {
            ("trailing-bytes", "after the pickle come bytes that are none".to_owned())
        }
        Fault::Bad(what) => ("parse-error", format!("the pickle breaks off: {what}")),
        Fault::End => ("parse-error", "the pickle breaks off: the bytes end".to_owned()),
    };
    report.add(Severity::Unknown, kind, location, detail);
}

/// Says that bytes could not be read, or not all of them.
pub(super) fn unreadable(error: &io::Error, location: &str, report: &mut Report) {
    let (kind, detail) = match Halt::of(error) {
        // The inspection ends with an error; see `Meter`.
        Some(Halt::Interrupted) => return,
        Some(Halt::Unsupported) => ("unsupported", "not read: ".to_owned() + &error.to_string()),
        Some(_) => ("size-cap", format!("not read to its end: {error}")),
        None => ("malformed", format!("cannot be read: {}", reason(error))),
    };
    report.add(Severity::Unknown, kind, location, detail);
}

#[cfg(test)]
mod tests;
