//! Rows by key, and drift, as text.

use lineage_core::compare::{ColumnDrift, KeyedDifference, RowExample, Shift, TableDrift};
use lineage_core::diff::DataDifference;

use super::{LINES_MAX, cut, indented, listed, short};
use crate::render::grouped;

/// Rows of each sort that are named.
const EXAMPLES_MAX: usize = 3;

/// What was found in the rows; `of` says of what, when that needs to be said.
pub(super) fn text(data: &DataDifference, of: &str) -> String {
    let keyed = data.rows.as_ref().map(|found| keyed(found, of)).unwrap_or_default();
    let drift = data.drift.as_ref().map(|drift| {
        let heading = if of.is_empty() { String::new() } else { format!("  {of}drift\n") };
        format!("\n{heading}{}", indented(&drifted(drift)))
    });
    keyed + &drift.unwrap_or_default()
}

fn keyed(found: &KeyedDifference, of: &str) -> String {
    let mut out = format!(
        "\n  {of}rows by {}: {} added, {} removed, {} changed, {} unchanged\n",
        listed(&found.key),
        grouped(found.added),
        grouped(found.removed),
        grouped(found.changed),
        grouped(found.unchanged)
    );
    let mut lines = Vec::new();
    for (word, examples, all) in [
        ("added", &found.added_examples, found.added),
        ("removed", &found.removed_examples, found.removed),
        ("changed", &found.changed_examples, found.changed),
    ] {
        if all > 0 {
            let shown = examples.iter().take(EXAMPLES_MAX);
            let named: Vec<String> = shown.map(|row| example(&found.key, row)).collect();
            let more = match all.saturating_sub(named.len() as u64) {
                0 => String::new(),
                more => format!(" and {} more", grouped(more)),
            };
            lines.push(vec![word.to_owned(), format!("{}{more}", named.join(", "))]);
        }
    }
    let cells = found.changed_columns.iter().flatten().filter(|column| column.cells > 0);
    let mut cells: Vec<_> = cells.collect();
    if !cells.is_empty() {
        cells.sort_by_key(|column| std::cmp::Reverse(column.cells));
        let cells: Vec<String> =
            cells.iter().map(|c| format!("{} {}", short(&c.name), grouped(c.cells))).collect();
        lines.push(vec!["cells".to_owned(), listed(&cells)]);
    }
    if let Some(note) = &found.changed_columns_note {
        lines.push(vec!["cells".to_owned(), note.clone()]);
    }
    let names: Vec<String> = found.not_compared.iter().map(|c| c.name.clone()).collect();
    if !names.is_empty() {
        let why = "not in both, or of two types, and not compared";
        lines.push(vec!["besides".to_owned(), format!("{}: {why}", listed(&names))]);
    }
    let nulls = found.null_keys_left + found.null_keys_right;
    if nulls > 0 {
        lines
            .push(vec!["nulls".to_owned(), format!("{} rows have one in the key", grouped(nulls))]);
    }
    out.extend(indented(&lines).lines().map(|line| format!("  {line}\n")));
    out
}

/// `id=17 (row 16)`
fn example(key: &[String], row: &RowExample) -> String {
    let pairs = key.iter().zip(&row.key);
    let values: Vec<String> =
        pairs.map(|(name, value)| format!("{}={}", short(name), short(value))).collect();
    let place = match (row.row_left, row.row_right) {
        (Some(left), Some(right)) if left != right => {
            format!("row {} → {}", grouped(left), grouped(right))
        }
        (Some(place), _) | (None, Some(place)) => format!("row {}", grouped(place)),
        (None, None) => return values.join(" "),
    };
    format!("{} ({place})", values.join(" "))
}

/// The columns that moved most come first.
fn drifted(found: &TableDrift) -> Vec<Vec<String>> {
    let mut columns: Vec<&ColumnDrift> = found.columns.iter().collect();
    columns.sort_by(|a, b| b.psi.unwrap_or(-1.0).total_cmp(&a.psi.unwrap_or(-1.0)));
    let header = ["column", "PSI", "shift", "KS D", "p"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    lines.extend(columns.into_iter().map(drift_line));
    let mut lines = cut(lines, LINES_MAX + 1);
    let names: Vec<String> = found.not_measured.iter().map(|c| c.name.clone()).collect();
    if !names.is_empty() {
        lines.push(vec![format!("not measured: {}", listed(&names))]);
    }
    lines
}

fn drift_line(column: &ColumnDrift) -> Vec<String> {
    let number = |value: f64| format!("{value:.3}");
    let word = match column.shift {
        Some(Shift::Stable) => "stable".to_owned(),
        Some(Shift::Moderate) => "moderate".to_owned(),
        Some(Shift::Large) => "large".to_owned(),
        None => short(column.note.as_deref().unwrap_or("none")),
    };
    let chance = |p: f64| if p < 0.001 { "<0.001".to_owned() } else { number(p) };
    vec![
        short(&column.name),
        column.psi.map_or("–".to_owned(), number),
        word,
        column.ks.map_or("–".to_owned(), |ks| number(ks.statistic)),
        column.ks.map_or("–".to_owned(), |ks| chance(ks.p_value)),
    ]
}
