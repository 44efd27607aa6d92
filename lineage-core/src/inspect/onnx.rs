//! ONNX (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>): a protobuf `ModelProto`. Its
//! operators are a fixed set; what matters is what it takes from outside: files and other operators.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::protobuf::{Field, Message, Wire, numbers};
use super::report::{Format, Report, Severity};
use super::source::{Halt, Region};
use crate::files::reason;

/// Subgraphs in attributes of nodes in subgraphs, and so on.
const DEPTH_MAX: u32 = 32;
const NODES_MAX: u64 = 5_000_000;
const DOMAINS_MAX: usize = 1000;
/// Operator sets of the standard and of ONNX Runtime itself.
const KNOWN_DOMAINS: [&str; 6] =
    ["", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft"];

/// Whether the first bytes are those of a `ModelProto` that begins with its version.
pub(super) fn recognised(head: &[u8]) -> bool {
    matches!(
        head,
        [0x08, 1..=100, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42 | 0x72 | 0xa2, ..]
    )
}

/// Inspects a file that begins like, or is named like, an ONNX model.
pub(super) fn inspect(region: Region<'_>, location: &str, report: &mut Report) -> Format {
    let mut model = Model::default();
    let result = model.read(region, report, location);
    if let Err(error) = result {
        match Halt::of(&error) {
            Some(_) => super::pickle::unreadable(&error, location, report),
            None => {
                let detail = format!("is not as the format demands: {}", reason(&error));
                report.add(Severity::Unknown, "malformed", location, detail);
            }
        }
    } else if !model.graph {
        let detail = "has no graph: it is another kind of protobuf, or an empty model";
        report.add(Severity::Unknown, "malformed", location, detail);
    }
    model.tell(report, location);
    Format::Onnx
}

#[derive(Default)]
struct Model {
    graph: bool,
    nodes: u64,
    /// Domains of the operators that are used, and of those that the file defines itself.
    used: BTreeSet<String>,
    defined: BTreeSet<String>,
    opsets: BTreeMap<String, u64>,
    external: u64,
}

impl Model {
    fn read(&mut self, region: Region<'_>, report: &mut Report, location: &str) -> io::Result<()> {
        let mut message = Message::new(region);
        while let Some(field) = message.next()? {
            match (field.number, &field.value) {
                (1, Wire::Number(version)) => report.detail("ir version", &version.to_string()),
                (2, Wire::Bytes(_)) => report.detail("producer", &field.text()?),
                (3, Wire::Bytes(_)) => report.detail("producer version", &field.text()?),
                (4, Wire::Bytes(_)) => report.detail("domain", &field.text()?),
                (5, Wire::Number(version)) => report.detail("model version", &version.to_string()),
                (7, Wire::Bytes(graph)) => {
                    self.graph = true;
                    report.count_tensors(0);
                    self.graph(*graph, 0, report, location)?;
                }
                (8, Wire::Bytes(opset)) => self.opset(*opset)?,
                (14, Wire::Bytes(entry)) => {
                    let (key, value) = pair(*entry)?;
                    report.detail(&format!("metadata.{key}"), &value);
                }
                (25, Wire::Bytes(function)) => self.function(*function, report, location)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn opset(&mut self, region: Region<'_>) -> io::Result<()> {
        let mut message = Message::new(region);
        let (mut domain, mut version) = (String::new(), 0);
        while let Some(field) = message.next()? {
            match field.number {
                1 => domain = field.text()?,
                2 => version = field.number_value(),
                _ => {}
            }
        }
        if self.opsets.len() < DOMAINS_MAX {
            self.opsets.insert(domain, version);
        }
        Ok(())
    }

    fn function(
        &mut self,
        region: Region<'_>,
        report: &mut Report,
        location: &str,
    ) -> io::Result<()> {
        let mut message = Message::new(region);
        let mut domain = String::new();
        while let Some(field) = message.next()? {
            match (field.number, &field.value) {
                (10, Wire::Bytes(_)) => domain = field.text()?,
                (7, Wire::Bytes(node)) => self.node(*node, 0, report, location)?,
                _ => {}
            }
        }
        if self.defined.len() < DOMAINS_MAX {
            self.defined.insert(domain);
        }
        Ok(())
    }

    fn graph(
        &mut self,
        region: Region<'_>,
        depth: u32,
        report: &mut Report,
        location: &str,
    ) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "graphs lie too deep"));
        }
        let mut message = Message::new(region);
        while let Some(field) = message.next()? {
            match (field.number, &field.value) {
                (1, Wire::Bytes(node)) => self.node(*node, depth, report, location)?,
                (5, Wire::Bytes(tensor)) => self.tensor(*tensor, true, report, location)?,
                // A sparse initializer: its values, then its indices.
                (15, Wire::Bytes(sparse)) => self.sparse(*sparse, report, location)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn sparse(
        &mut self,
        region: Region<'_>,
        report: &mut Report,
        location: &str,
    ) -> io::Result<()> {
        let mut message = Message::new(region);
        while let Some(field) = message.next()? {
            if let (1 | 2, Wire::Bytes(tensor)) = (field.number, &field.value) {
                self.tensor(*tensor, field.number == 1, report, location)?;
            }
        }
        Ok(())
    }

    fn node(
        &mut self,
        region: Region<'_>,
        depth: u32,
        report: &mut Report,
        location: &str,
    ) -> io::Result<()> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "more than 5,000,000 operators",
            ));
        }
        let mut message = Message::new(region);
        let mut domain = String::new();
        while let Some(field) = message.next()? {
            match (field.number, &field.value) {
                (7, Wire::Bytes(_)) => domain = field.text()?,
                (5, Wire::Bytes(attribute)) => {
                    let mut attribute = Message::new(*attribute);
                    while let Some(field) = attribute.next()? {
                        match (field.number, &field.value) {
                            (6 | 11, Wire::Bytes(graph)) => {
                                self.graph(*graph, depth + 1, report, location)?;
                            }
                            (5 | 10, Wire::Bytes(tensor)) => {
                                self.tensor(*tensor, false, report, location)?;
                            }
                            (22 | 23, Wire::Bytes(tensor)) => {
                                self.sparse(*tensor, report, location)?;
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        if self.used.len() < DOMAINS_MAX {
            self.used.insert(domain);
        }
        Ok(())
    }

    /// A tensor; an initializer is counted.
    fn tensor(
        &mut self,
        region: Region<'_>,
        counted: bool,
        report: &mut Report,
        location: &str,
    ) -> io::Result<()> {
        let mut message = Message::new(region);
        let mut elements = Some(1_u64);
        let (mut data_type, mut external) = (0, false);
        while let Some(field) = message.next()? {
            match field.number {
                1 => numbers(&field, |size| {
                    elements = elements.and_then(|product| product.checked_mul(size));
                })?,
                2 => data_type = field.number_value(),
                13 => {
                    external = true;
                    self.external(&field, report, location)?;
                }
                14 => external |= field.number_value() == 1,
                _ => {}
            }
        }
        self.external += u64::from(external);
        if counted {
            report.tensor(dtype(data_type), elements.unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// Where the numbers lie that are not in this file.
    fn external(&self, field: &Field<'_>, report: &mut Report, location: &str) -> io::Result<()> {
        let Wire::Bytes(entry) = field.value else { return Ok(()) };
        let (key, path) = pair(entry)?;
        if key != "location" {
            return Ok(());
        }
        if leads_outside(&path) {
            let detail = format!("takes numbers from {path}, which is no file beside the model");
            report.add(Severity::Dangerous, "external-data-outside", location, detail);
        } else {
            let detail = format!("takes numbers from the file {path}: it is part of the model");
            report.add(Severity::Info, "external-data", location, detail);
        }
        Ok(())
    }

    fn tell(&self, report: &mut Report, location: &str) {
        let opsets = self.opsets.iter().map(|(domain, version)| {
            let domain = if domain.is_empty() { "ai.onnx" } else { domain };
            format!("{domain} {version}")
        });
        report.detail("opsets", &opsets.collect::<Vec<_>>().join(", "));
        if self.graph {
            report.detail("operators", &self.nodes.to_string());
        }
        for domain in &self.used {
            if !KNOWN_DOMAINS.contains(&domain.as_str()) && !self.defined.contains(domain) {
                let detail = format!(
                    "uses operators of {domain}, whose code the loading program must bring"
                );
                report.add(Severity::Unknown, "custom-operator", location, detail);
            }
        }
    }
}

/// Whether a path does not stay in the model's own folder.
fn leads_outside(path: &str) -> bool {
    let slashed = path.replace('\\', "/");
    let drive = slashed.as_bytes().get(1) == Some(&b':');
    slashed.is_empty()
        || slashed.starts_with('/')
        || slashed.starts_with('~')
        || drive
        || slashed.contains("://")
        || slashed.split('/').any(|part| part == "..")
        || slashed.contains('\0')
}

/// A `StringStringEntryProto`.
fn pair(region: Region<'_>) -> io::Result<(String, String)> {
    let mut message = Message::new(region);
    let mut pair = (String::new(), String::new());
    while let Some(field) = message.next()? {
        match field.number {
            1 => pair.0 = field.text()?,
            2 => pair.1 = field.text()?,
            _ => {}
        }
    }
    Ok(pair)
}

fn dtype(number: u64) -> &'static str {
    match number {
        1 => "F32",
        2 => "U8",
        3 => "I8",
        4 => "U16",
        5 => "I16",
        6 => "I32",
        7 => "I64",
        8 => "STRING",
        9 => "BOOL",
        10 => "F16",
        11 => "F64",
        12 => "U32",
        13 => "U64",
        14 => "C64",
        15 => "C128",
        16 => "BF16",
        17 => "F8_E4M3",
        18 => "F8_E4M3FNUZ",
        19 => "F8_E5M2",
        20 => "F8_E5M2FNUZ",
        21 => "U4",
        22 => "I4",
        23 => "F4",
        24 => "F8_E8M0",
        _ => "other",
    }
}
