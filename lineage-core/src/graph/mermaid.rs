//! Mermaid flowcharts (<https://mermaid.js.org/syntax/flowchart.html>).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Graph, Thing};

pub(super) fn write(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    // Ids of Mermaid are plain words.
    let ids: BTreeMap<&str, String> = graph
        .nodes
        .iter()
        .enumerate()
        .map(|(index, node)| (node.id.as_str(), format!("n{index}")))
        .collect();
    for node in &graph.nodes {
        let (open, close) = match node.thing {
            Thing::Version { .. } => ("[", "]"),
            Thing::Dataset { .. } => ("[(", ")]"),
            Thing::Pointer { .. } => ("([", "])"),
        };
        let lines: Vec<String> = node.lines().iter().map(|line| escaped(line)).collect();
        let _ = writeln!(out, "  {}{open}\"{}\"{close}", ids[node.id.as_str()], lines.join("<br>"));
    }
    for edge in &graph.edges {
        if let (Some(from), Some(to)) = (ids.get(edge.from.as_str()), ids.get(edge.to.as_str())) {
            let arrow = if edge.holds() { "-->" } else { "-.->" };
            let _ = writeln!(out, "  {from} {arrow}|\"{}\"| {to}", escaped(&edge.label()));
        }
    }
    if let Some(root) = ids.get(graph.root.as_str()) {
        let _ = writeln!(out, "  style {root} stroke-width:3px");
    }
    out
}

/// Everything that could end the text or begin markup as a numbered entity.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            control if control.is_control() => out.push('\u{fffd}'),
            plain if plain.is_alphanumeric() || " @._-/:,+=".contains(plain) => out.push(plain),
            other => {
                let _ = write!(out, "#{};", u32::from(other));
            }
        }
    }
    out
}
