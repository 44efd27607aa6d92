//! Graphviz (<https://graphviz.org/doc/info/lang.html>).

use std::fmt::Write as _;

use super::{Graph, Thing};

pub(super) fn write(graph: &Graph) -> String {
    let mut out =
        String::from("digraph lineage {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n");
    for node in &graph.nodes {
        let shape = match node.thing {
            Thing::Version { .. } => "box",
            Thing::Dataset { .. } => "cylinder",
            Thing::Pointer { .. } => "cds",
        };
        let style = if node.id == graph.root { ", style=bold" } else { "" };
        let lines: Vec<String> = node.lines().iter().map(|line| escaped(line)).collect();
        let label = lines.join("\\n");
        let _ =
            writeln!(out, "  \"{}\" [shape={shape}, label=\"{label}\"{style}];", escaped(&node.id));
    }
    for edge in &graph.edges {
        let style = if edge.holds() { "" } else { ", style=dashed" };
        let (from, to, label) = (escaped(&edge.from), escaped(&edge.to), escaped(&edge.label()));
        let _ = writeln!(out, "  \"{from}\" -> \"{to}\" [label=\"{label}\"{style}];");
    }
    out.push_str("}\n");
    out
}

/// For a quoted string, in which a backslash would begin an escape.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
