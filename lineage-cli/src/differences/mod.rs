//! What differs between data or versions, as text that is read in ten seconds.

mod rows;

use lineage_core::diff::{
    Change, ColumnDifference, DataDifference, DataSide, DatasetDifference, FileChange,
    FileDifference, MetricChange, NamesDifference, RowRange, TableDifference, ValueChange, Verdict,
    VersionDifference, VersionSide,
};
use lineage_core::digest::Kind;
use lineage_core::events::Hashed;
use lineage_core::fingerprint::Typing;
use lineage_core::names::version_reference;

use crate::render::{bytes, count, grouped, safe, table};

/// Lines of a list, beyond which it is cut.
const LINES_MAX: usize = 12;
/// Names in a line, beyond which it is cut.
const NAMES_MAX: usize = 3;
/// Characters of a name or value, beyond which it is cut.
const CHARACTERS_MAX: usize = 32;
/// So many columns that differ in the same rows are one line.
const COLUMNS_ALIKE_MIN: usize = 4;

/// Two files or folders.
pub(crate) fn of_data(data: &DataDifference) -> String {
    let path = |side: &Option<DataSide>| side.as_ref().map_or("", |side| &side.path).to_owned();
    let (left, right) = (path(&data.left), path(&data.right));
    let mut out = format!("{}: {} → {}\n", data.verdict.words(), safe(&left), safe(&right));
    out.push_str(&indented(&sides(data)));
    if let Some(found) = data.table.as_ref().filter(|_| !data.verdict.is_same_content()) {
        if let Some(known) = first_rows(found) {
            out.push_str(&format!("  {known}\n"));
        }
        if !found.columns.is_empty() && !found.is_one_longer() {
            out.push_str(&format!("\n{}", indented(&columns(found))));
        }
    }
    for files in data.files.iter().filter(|files| !files.is_empty()) {
        out.push_str(&format!("\n{}", indented(&file_lines(files))));
    }
    out.push_str(&rows::text(data, ""));
    let cached = data.left.iter().chain(&data.right).filter(|side| side.hashed == Hashed::Cache);
    let cached: Vec<String> = cached.map(|side| side.path.clone()).collect();
    if !cached.is_empty() {
        let names = listed(&cached);
        out.push_str(&format!(
            "  digests not taken again, as unchanged since: {names} (--rehash takes them)\n"
        ));
    }
    out
}

fn indented(rows: &[Vec<String>]) -> String {
    table(rows).lines().map(|line| format!("  {line}\n")).collect()
}

/// Both sides in one line per measure.
fn sides(data: &DataDifference) -> Vec<Vec<String>> {
    let (Some(left), Some(right)) = (&data.left, &data.right) else { return Vec::new() };
    let mut lines = Vec::new();
    let mut line = |name: &str, left: String, right: String, note: String| {
        let values = if left == right { left } else { format!("{left} → {right}") };
        let note = if note.is_empty() { note } else { format!("  ({note})") };
        lines.push(vec![name.to_owned(), format!("{values}{note}")]);
    };
    let read = |side: &DataSide| {
        let typing = match side.typing {
            Some(Typing::Inferred) => ", types inferred",
            Some(Typing::Declared) => ", types declared",
            _ => "",
        };
        side.format.map(|format| format!("{}{typing}", format.as_str()))
    };
    if let (Some(left), Some(right)) = (read(left), read(right))
        && left != right
    {
        line("read as", left, right, String::new());
    }
    match (left.rows, right.rows) {
        (Some(rows_left), Some(rows_right)) => {
            let note = match rows_right.cmp(&rows_left) {
                std::cmp::Ordering::Greater => format!("+{}", grouped(rows_right - rows_left)),
                std::cmp::Ordering::Less => format!("−{}", grouped(rows_left - rows_right)),
                std::cmp::Ordering::Equal => String::new(),
            };
            line("rows", grouped(rows_left), grouped(rows_right), note);
            let number = |side: &DataSide| grouped(side.columns.unwrap_or(0));
            let note = data.table.as_ref().filter(|_| !data.verdict.is_same_content());
            line(
                "columns",
                number(left),
                number(right),
                note.map(column_counts).unwrap_or_default(),
            );
        }
        _ => {
            let kind = |side: &DataSide| match side.kind {
                Kind::File => "file".to_owned(),
                Kind::Directory => "folder".to_owned(),
            };
            if left.kind != right.kind {
                line("is a", kind(left), kind(right), String::new());
            }
            line("size", bytes(left.size_bytes), bytes(right.size_bytes), String::new());
            line("sha256", left.sha256.short(), right.sha256.short(), String::new());
        }
    }
    lines
}

/// `1 added, 2 with other values, 17 the same`
fn column_counts(found: &TableDifference) -> String {
    if found.is_one_longer() {
        return "the same".to_owned();
    }
    let of = |change: Change| found.columns.iter().filter(|c| c.change == change).count() as u64;
    let mut parts = Vec::new();
    for (number, words) in [
        (of(Change::Added), "added"),
        (of(Change::Removed), "removed"),
        (of(Change::Type), "of another type"),
        (of(Change::Values), "with other values"),
        (found.columns_same, "the same"),
    ] {
        if number > 0 {
            parts.push(format!("{} {words}", grouped(number)));
        }
    }
    if found.reordered {
        parts.push("in another order".to_owned());
    }
    parts.join(", ")
}

/// What is known of the rows before the first difference.
fn first_rows(found: &TableDifference) -> Option<String> {
    let same = found.first_rows_same.filter(|rows| *rows > 0)?;
    let shorter = found.rows_left.min(found.rows_right);
    Some(match (found.rows_left, found.rows_right) {
        (left, right) if left < right && same == left => {
            format!("only rows were appended: the first {} are the same", count(same, "row"))
        }
        (left, right) if right < left && same == right => {
            format!(
                "only rows at the end were removed: the first {} are the same",
                count(same, "row")
            )
        }
        _ if same == shorter => return None,
        _ => format!("the first {} are the same in all columns", count(same, "row")),
    })
}

fn columns(found: &TableDifference) -> Vec<Vec<String>> {
    let header = ["column", "change", "type", "nulls", "row blocks that differ"];
    let mut lines = vec![header.map(str::to_owned).to_vec()];
    let mut done = vec![false; found.columns.len()];
    for at in 0..found.columns.len() {
        if done[at] {
            continue;
        }
        let column = &found.columns[at];
        let alike = |other: &ColumnDifference| {
            column.change == Change::Values
                && (other.change, &other.rows) == (column.change, &column.rows)
        };
        let group: Vec<usize> = (at..done.len())
            .filter(|other| !done[*other] && alike(&found.columns[*other]))
            .collect();
        if group.len() >= COLUMNS_ALIKE_MIN {
            group.iter().for_each(|member| done[*member] = true);
            let names: Vec<String> =
                group.iter().map(|member| found.columns[*member].name.clone()).collect();
            let all = count(group.len() as u64, "column");
            let line = [listed(&names), "values".to_owned(), all, String::new(), blocks(column)];
            lines.push(line.to_vec());
        } else {
            done[at] = true;
            lines.push(column_line(column));
        }
    }
    cut(lines, LINES_MAX + 1)
}

fn column_line(column: &ColumnDifference) -> Vec<String> {
    fn pair<T: ToString>(left: &Option<T>, right: &Option<T>) -> String {
        let text = |value: &Option<T>| value.as_ref().map(|value| short(&value.to_string()));
        match (text(left), text(right)) {
            (Some(left), Some(right)) if left != right => format!("{left} → {right}"),
            (Some(only), _) | (None, Some(only)) => only,
            (None, None) => String::new(),
        }
    }
    vec![
        short(&column.name),
        column.change.word().to_owned(),
        pair(&column.type_left, &column.type_right),
        pair(&column.nulls_left.map(grouped), &column.nulls_right.map(grouped)),
        blocks(column),
    ]
}

/// `0–65,535, 131,072–196,607 and 3 more`
fn blocks(column: &ColumnDifference) -> String {
    let Some(ranges) = &column.rows else { return String::new() };
    let range = |range: &RowRange| format!("{}–{}", grouped(range.first), grouped(range.last));
    let first: Vec<String> = ranges.iter().take(2).map(range).collect();
    match ranges.len().saturating_sub(2) {
        0 => first.join(", "),
        more => format!("{} and {} more", first.join(", "), grouped(more as u64)),
    }
}

fn file_lines(files: &[FileDifference]) -> Vec<Vec<String>> {
    let line = |file: &FileDifference| {
        let word = match file.change {
            FileChange::Added => "added",
            FileChange::Removed => "removed",
            FileChange::Changed => "changed",
        };
        vec![word.to_owned(), safe(&file.path)]
    };
    cut(files.iter().map(line).collect(), LINES_MAX)
}

/// The first lines, and how many more there are.
fn cut(mut lines: Vec<Vec<String>>, most: usize) -> Vec<Vec<String>> {
    if lines.len() > most {
        let more = lines.len() - (most - 1);
        lines.truncate(most - 1);
        lines.push(vec![format!("and {} more (--json lists all)", grouped(more as u64))]);
    }
    lines
}

/// `a, b, c and 17 more`
fn listed(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(NAMES_MAX).map(|name| short(name)).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => first.join(", "),
        more => format!("{} and {} more", first.join(", "), grouped(more as u64)),
    }
}

/// A name or value that cannot play tricks on the terminal, nor fill it.
fn short(text: &str) -> String {
    let text = safe(text);
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Two versions.
pub(crate) fn of_versions(found: &VersionDifference) -> String {
    let name = |side: &VersionSide| {
        let label = side.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        format!("{}{label}", version_reference(&side.model, side.version))
    };
    let mut out =
        format!("{}: {} → {}\n", found.verdict.words(), name(&found.left), name(&found.right));
    let mut lines = vec![vec!["artifact".to_owned(), String::new(), summary(&found.artifact)]];
    for dataset in &found.datasets {
        let name = if dataset.name == dataset.role { String::new() } else { short(&dataset.name) };
        lines.push(vec![safe(&dataset.role), name, summary(&dataset.data)]);
    }
    lines.extend(cut(found.params.iter().map(|p| value_line("param", p)).collect(), LINES_MAX));
    lines.extend(cut(found.metrics.iter().map(metric_line).collect(), LINES_MAX));
    if let Some(names) = &found.features {
        lines.push(vec!["features".to_owned(), String::new(), names_summary(names)]);
    }
    for fact in &found.facts {
        lines.push(value_line(
            &fact.name.replace('_', " "),
            &ValueChange { name: String::new(), ..fact.clone() },
        ));
    }
    lines.extend(found.code.iter().map(|code| value_line("code", code)));
    let packages = found.packages.iter().map(|package| value_line("package", package));
    lines.extend(cut(packages.collect(), LINES_MAX));
    lines.extend(found.environment.iter().map(|fact| value_line("environment", fact)));
    out.push_str(&indented(&lines));
    for DatasetDifference { role, data, .. } in &found.datasets {
        out.push_str(&rows::text(data, &format!("{}: ", safe(role))));
    }
    out
}

fn value_line(what: &str, change: &ValueChange) -> Vec<String> {
    let text = |value: &Option<String>| value.as_ref().map_or("none".to_owned(), |v| short(v));
    let values = format!("{} → {}", text(&change.left), text(&change.right));
    vec![short(what), short(&change.name), values]
}

fn metric_line(change: &MetricChange) -> Vec<String> {
    let split = change.split.map(|split| format!("{}.", split.as_str())).unwrap_or_default();
    let text = |value: &Option<_>| {
        value
            .as_ref()
            .map_or("none".to_owned(), |v: &lineage_core::events::MetricValue| v.to_string())
    };
    let delta = change.delta.map(|delta| format!("  ({})", signed(delta))).unwrap_or_default();
    let values = format!("{} → {}{delta}", text(&change.left), text(&change.right));
    vec!["metric".to_owned(), short(&format!("{split}{}", change.name)), values]
}

/// A difference without the digits that only come from binary fractions.
fn signed(delta: f64) -> String {
    if delta != 0.0 && !(1e-4..1e15).contains(&delta.abs()) {
        return format!("{delta:+.3e}");
    }
    let text = format!("{delta:+.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn names_summary(names: &NamesDifference) -> String {
    let mut parts = Vec::new();
    for (list, word) in [(&names.added, "added"), (&names.removed, "removed")] {
        if !list.is_empty() {
            parts.push(format!("{} {word} ({})", grouped(list.len() as u64), listed(list)));
        }
    }
    if names.reordered {
        parts.push("in another order".to_owned());
    }
    parts.join(", ")
}

/// What became of an artifact or dataset, in a line.
fn summary(data: &DataDifference) -> String {
    let mut parts = Vec::new();
    match (&data.left, &data.right) {
        (Some(left), Some(right)) if data.verdict != Verdict::Identical => {
            match (left.rows, right.rows) {
                (Some(left), Some(right)) if left != right => {
                    parts.push(format!("rows {} → {}", grouped(left), grouped(right)));
                }
                (None, _) | (_, None) => {
                    parts.push(format!("{} → {}", bytes(left.size_bytes), bytes(right.size_bytes)));
                }
                _ => {}
            }
        }
        (Some(only), None) | (None, Some(only)) => parts.push(safe(&only.path)),
        _ => {}
    }
    let table = data.table.as_ref().filter(|_| !data.verdict.is_same_content());
    if table.is_some_and(|table| table.is_one_longer()) {
        parts.push("the shorter is the beginning of the longer".to_owned());
    }
    let table = table.filter(|table| !table.is_one_longer());
    for (change, words) in [
        (Change::Added, "new columns"),
        (Change::Removed, "without"),
        (Change::Type, "other types in"),
        (Change::Values, "other values in"),
    ] {
        let columns = table.iter().flat_map(|table| &table.columns);
        let names: Vec<String> =
            columns.filter(|c| c.change == change).map(|c| c.name.clone()).collect();
        if !names.is_empty() {
            parts.push(format!("{words} {}", listed(&names)));
        }
    }
    for files in data.files.iter().filter(|files| !files.is_empty()) {
        let names: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
        let verb = if names.len() == 1 { "differs" } else { "differ" };
        let files = count(names.len() as u64, "file");
        parts.push(format!("{files} {verb}: {}", listed(&names)));
    }
    match parts.is_empty() {
        true => data.verdict.words().to_owned(),
        false => format!("{}: {}", data.verdict.words(), parts.join("; ")),
    }
}
