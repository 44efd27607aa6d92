//! A picture that every browser shows, without scripts, fonts or anything from elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::layers::{Place, places};
use super::{Edge, Graph, Node, Thing};

const BOX_WIDTH: usize = 190;
const BOX_HEIGHT: usize = 44;
const COLUMN_WIDTH: usize = 330;
const ROW_HEIGHT: usize = 74;
const MARGIN: usize = 24;

/// Longer texts end in an ellipsis; the whole stands in the tooltip.
const CHARACTERS_MAX: usize = 26;

pub(super) fn write(graph: &Graph) -> String {
    let places = places(graph);
    let all = || places.nodes.iter().chain(places.edges.iter().flatten());
    let width =
        all().map(|place| place.0).max().unwrap_or(0) * COLUMN_WIDTH + BOX_WIDTH + 2 * MARGIN;
    let height =
        all().map(|place| place.1).max().unwrap_or(0) * ROW_HEIGHT + BOX_HEIGHT + 2 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n<title>{}</title>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#667\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        escaped(&format!("lineage of {}", graph.root))
    );
    // Several edges between the same two boxes stand one below the other.
    let mut parallel: BTreeMap<&[Place], usize> = BTreeMap::new();
    for (edge, way) in graph.edges.iter().zip(&places.edges) {
        let nth = parallel.entry(way).or_default();
        *nth += 1;
        connect(&mut out, edge, way, 8 + *nth % 3 * 13);
    }
    for (node, place) in graph.nodes.iter().zip(&places.nodes) {
        draw(&mut out, node, corner(*place), node.id == graph.root);
    }
    out.push_str("</svg>\n");
    out
}

/// An arrow through the places of `way`, so many pixels below their upper edges.
fn connect(out: &mut String, edge: &Edge, way: &[Place], below: usize) {
    let (Some(first), Some(second)) = (way.first(), way.get(1)) else { return };
    let (x, y) = corner(*first);
    let (mut from_x, mut from_y) = (x + BOX_WIDTH, y + below);
    let mut path = format!("M{from_x} {from_y}");
    for place in &way[1..] {
        let (x, y) = corner(*place);
        let (y, bend) = (y + below, 60);
        let _ = write!(path, "C{} {from_y} {} {y} {x} {y}", from_x + bend, x.saturating_sub(bend));
        (from_x, from_y) = (x + BOX_WIDTH, y);
        if place != &way[way.len() - 1] {
            let _ = write!(path, "H{from_x}");
        }
    }
    let dash = if edge.holds() { "" } else { " stroke-dasharray=\"5 4\"" };
    let label = edge.label();
    let middle = (x + BOX_WIDTH + corner(*second).0) / 2;
    let height = (y + corner(*second).1) / 2 + below - 4;
    let _ = write!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"#667\"{dash} marker-end=\"url(#tip)\">\
         <title>{}</title></path>\n<text x=\"{middle}\" y=\"{height}\" text-anchor=\"middle\" \
         font-size=\"10\" fill=\"#445\" stroke=\"#fff\" stroke-width=\"3\" \
         paint-order=\"stroke\">{}</text>\n",
        escaped(&label),
        escaped(&cut(&label)),
    );
}

fn draw(out: &mut String, node: &Node, (x, y): (usize, usize), is_root: bool) {
    let (fill, stroke, radius) = match node.thing {
        Thing::Version { .. } => ("#eaf1fb", "#3566a8", 4),
        Thing::Dataset { .. } => ("#eef6ea", "#4c8a35", 14),
        Thing::Pointer { .. } => ("#fdf3e1", "#b57d12", 22),
    };
    let weight = if is_root { 3 } else { 1 };
    let lines = node.lines();
    let _ = write!(
        out,
        "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" \
         rx=\"{radius}\" fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"{weight}\"/>",
        escaped(&format!("{}\n{}", lines.join("\n"), node.id)),
    );
    let middle = x + BOX_WIDTH / 2;
    let first = if lines.len() > 1 { y + 18 } else { y + 26 };
    for (number, line) in lines.iter().enumerate() {
        let (down, look) = match number {
            0 => (0, "font-weight=\"bold\" fill=\"#112\""),
            _ => (16, "font-family=\"monospace\" font-size=\"11\" fill=\"#445\""),
        };
        let _ = write!(
            out,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" {look}>{}</text>",
            first + down,
            escaped(&cut(line)),
        );
    }
    out.push_str("</g>\n");
}

fn corner((column, row): Place) -> (usize, usize) {
    (MARGIN + column * COLUMN_WIDTH, MARGIN + row * ROW_HEIGHT)
}

/// The end of a path says more than its beginning.
fn cut(text: &str) -> String {
    let count = text.chars().count();
    if count <= CHARACTERS_MAX {
        return text.to_owned();
    }
    let skipped = count - CHARACTERS_MAX + 1;
    std::iter::once('…').chain(text.chars().skip(skipped)).collect()
}

/// For text and attributes; what XML 1.0 cannot hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}
