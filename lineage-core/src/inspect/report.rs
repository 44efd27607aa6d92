//! What an inspection says, and the collecting of it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Hugging Face safetensors.
    Safetensors,
    /// llama.cpp's GGUF.
    Gguf,
    /// ONNX, a protobuf `ModelProto`.
    Onnx,
    /// The zip that `torch.save` writes.
    PytorchZip,
    /// One or several pickles in a row.
    Pickle,
    /// A pickle as joblib writes it: compressed, or with raw arrays in mid-stream.
    Joblib,
    /// A NumPy array.
    Npy,
    /// A zip of NumPy arrays.
    Npz,
    /// A Keras 3 archive.
    Keras,
    /// A skops archive.
    Skops,
    /// HDF5, such as Keras' older `.h5`.
    Hdf5,
    /// A zip of something else.
    Zip,
    /// A tar archive.
    Tar,
    /// A JSON document, such as an XGBoost model.
    Json,
    /// A text that a library defines, such as a LightGBM model.
    Text,
    /// A compressed file whose content is not recognised.
    Compressed,
    /// None of these.
    Unknown,
}

impl Format {
    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Format::Safetensors => "safetensors",
            Format::Gguf => "gguf",
            Format::Onnx => "onnx",
            Format::PytorchZip => "pytorch-zip",
            Format::Pickle => "pickle",
            Format::Joblib => "joblib",
            Format::Npy => "npy",
            Format::Npz => "npz",
            Format::Keras => "keras",
            Format::Skops => "skops",
            Format::Hdf5 => "hdf5",
            Format::Zip => "zip",
            Format::Tar => "tar",
            Format::Json => "json",
            Format::Text => "text",
            Format::Compressed => "compressed",
            Format::Unknown => "unknown",
        }
    }
}

/// What loading the file would do, as far as its bytes tell. Ordered from good to bad; the worst
/// finding decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every byte that matters was read, and nothing in it can run code that is not listed as safe.
    Safe,
    /// Not all could be read or recognised; nothing bad was seen in what could.
    Unknown,
    /// It calls code that is on no list, or is built to be read differently by different readers.
    Suspicious,
    /// It names code that has no place in a model.
    Dangerous,
}

impl Verdict {
    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Safe => "safe",
            Verdict::Unknown => "unknown",
            Verdict::Suspicious => "suspicious",
            Verdict::Dangerous => "dangerous",
        }
    }
}

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; does not change the verdict.
    Info,
    /// Keeps the verdict from being `safe`.
    Unknown,
    /// Makes the verdict at least `suspicious`.
    Suspicious,
    /// Makes the verdict `dangerous`.
    Dangerous,
}

impl Severity {
    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Unknown => "unknown",
            Severity::Suspicious => "suspicious",
            Severity::Dangerous => "dangerous",
        }
    }
}

/// One reason for a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// A fixed word, listed in `docs/formats/model-inspection.md`.
    pub kind: &'static str,
    /// The member of the archive, e.g. `archive/data.pkl`, `inner.zip!data.pkl`; empty for the file
    /// itself.
    pub location: String,
    /// What was found, in words. Names in it come from the file: escape them for a terminal.
    pub detail: String,
}

/// What is known of a model file without loading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// What kind of file it is.
    pub format: Format,
    /// The worst of the findings.
    pub verdict: Verdict,
    /// Why, the worst first.
    pub findings: Vec<Finding>,
    /// Every global that a pickle in it names, as `module.name`, sorted.
    pub imports: Vec<String>,
    /// How many tensors it holds, where its format tells.
    pub tensors: Option<u64>,
    /// How many numbers these hold together.
    pub parameters: Option<u64>,
    /// How many of those numbers are of which type, e.g. `F32`.
    pub dtypes: BTreeMap<String, u64>,
    /// What else the header says: producer, architecture, opset, metadata.
    pub details: BTreeMap<String, String>,
}

/// Findings of lower weight than those already kept are only counted from here on.
const FINDINGS_MAX: usize = 1000;
const IMPORTS_MAX: usize = 10_000;
const DTYPES_MAX: usize = 64;
const DETAILS_MAX: usize = 64;
/// Counts are given up to the largest integer that every reader of JSON understands.
const NUMBER_MAX: u64 = (1 << 53) - 1;
/// Longer texts from a file are cut off.
const TEXT_CHARS_MAX: usize = 300;

/// Collects what is found.
#[derive(Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
    seen: HashSet<Finding>,
    worst: Option<Severity>,
    left_out: u64,
    pub(super) imports: BTreeSet<String>,
    tensors: Option<u64>,
    parameters: u64,
    dtypes: BTreeMap<String, u64>,
    details: BTreeMap<String, String>,
}

impl Report {
    pub(super) fn add(
        &mut self,
        severity: Severity,
        kind: &'static str,
        location: &str,
        detail: impl AsRef<str>,
    ) {
        let (location, detail) = (shortened(location), shortened(detail.as_ref()));
        let finding = Finding { severity, kind, location, detail };
        let worse = self.worst.is_none_or(|worst| severity > worst);
        if self.findings.len() >= FINDINGS_MAX && !worse {
            self.left_out += 1;
        } else if self.seen.insert(finding.clone()) {
            self.findings.push(finding);
        }
        self.worst = self.worst.max(Some(severity));
    }

    pub(super) fn import(&mut self, name: String, location: &str) {
        if self.imports.len() < IMPORTS_MAX {
            self.imports.insert(shortened(&name));
        } else if !self.imports.contains(&name) {
            let detail = format!("more than {IMPORTS_MAX} different names are imported");
            self.add(Severity::Unknown, "limit", location, detail);
        }
    }

    /// One tensor of `parameters` numbers of a type.
    pub(super) fn tensor(&mut self, dtype: &str, parameters: u64) {
        self.count_tensors(1);
        self.parameters = self.parameters.saturating_add(parameters);
        let known = self.dtypes.len() < DTYPES_MAX || self.dtypes.contains_key(dtype);
        let name = if known { shortened(dtype) } else { "other".to_owned() };
        let count = self.dtypes.entry(name).or_default();
        *count = count.saturating_add(parameters);
    }

    /// The format says how many tensors there are, be it none.
    pub(super) fn count_tensors(&mut self, more: u64) {
        self.tensors = Some(self.tensors.unwrap_or(0).saturating_add(more));
    }

    pub(super) fn detail(&mut self, name: &str, value: &str) {
        if self.details.len() < DETAILS_MAX && !value.is_empty() {
            self.details.entry(shortened(name)).or_insert_with(|| shortened(value));
        }
    }

    /// The worst so far.
    pub(super) fn worst(&self) -> Severity {
        self.worst.unwrap_or(Severity::Info)
    }

    /// Takes over what another report holds, of its findings only those of at least `least` weight.
    pub(super) fn absorb(&mut self, other: Report, least: Severity) {
        let matters = other.worst() >= least;
        for finding in other.findings.into_iter().filter(|finding| finding.severity >= least) {
            self.add(finding.severity, finding.kind, &finding.location, finding.detail);
        }
        if matters {
            self.worst = self.worst.max(other.worst);
            self.left_out += other.left_out;
            for name in other.imports {
                self.import(name, "");
            }
        }
        if let Some(tensors) = other.tensors {
            self.count_tensors(tensors);
            self.parameters = self.parameters.saturating_add(other.parameters);
            for (dtype, number) in other.dtypes {
                let count = self.dtypes.entry(dtype).or_default();
                *count = count.saturating_add(number);
            }
        }
        for (name, value) in other.details {
            self.detail(&name, &value);
        }
    }

    /// The same without what it says of tensors, for bytes that were read once already.
    pub(super) fn without_tensors(self) -> Report {
        Report { tensors: None, details: BTreeMap::new(), ..self }
    }

    pub(super) fn finish(mut self, format: Format) -> Inspection {
        if self.left_out > 0 {
            let detail = format!("{} more findings are left out", self.left_out);
            self.findings.push(Finding {
                severity: Severity::Info,
                kind: "limit",
                location: String::new(),
                detail,
            });
        }
        let verdict = match self.worst() {
            Severity::Info => Verdict::Safe,
            Severity::Unknown => Verdict::Unknown,
            Severity::Suspicious => Verdict::Suspicious,
            Severity::Dangerous => Verdict::Dangerous,
        };
        self.leave_out_imports_that_are_called();
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Inspection {
            format,
            verdict,
            findings: self.findings,
            imports: self.imports.into_iter().collect(),
            tensors: self.tensors,
            parameters: self.tensors.map(|_| self.parameters.min(NUMBER_MAX)),
            dtypes: self.dtypes.into_iter().map(|(name, n)| (name, n.min(NUMBER_MAX))).collect(),
            details: self.details,
        }
    }

    /// A call says that the name was imported.
    fn leave_out_imports_that_are_called(&mut self) {
        let called: HashSet<(String, String)> = self
            .findings
            .iter()
            .filter(|finding| finding.kind == "unlisted-call")
            .filter_map(|finding| {
                let name = finding.detail.strip_prefix("calls ")?;
                Some((finding.location.clone(), format!("imports {name}")))
            })
            .collect();
        self.findings.retain(|finding| {
            finding.kind != "unlisted-import"
                || !called.contains(&(finding.location.clone(), finding.detail.clone()))
        });
    }
}

/// A text from a file, cut off where it becomes a burden.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
