//! Small pieces of text for people: sizes, plurals, times, tables.

/// 12,345 bytes as `12 KiB`.
pub(crate) fn bytes(size: u64) -> String {
    let mut value = size as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1000.0 {
            let digits = if value < 10.0 && unit != "B" { 1 } else { 0 };
            return format!("{value:.digits$} {unit}");
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `1 row`, `2 rows`, `3 entries`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", grouped(number)),
        (_, None) => format!("{} {noun}s", grouped(number)),
    }
}

/// 1234567 as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time to the second.
pub(crate) fn time(time: impl ToString) -> String {
    let text = time.to_string();
    match text.split_once('.') {
        Some((seconds, _)) => format!("{}Z", seconds.replace('T', " ")),
        None => text,
    }
}

/// What stands behind a session that was recorded later than it ended.
pub(crate) fn late(late: bool) -> &'static str {
    if late { ", late" } else { "" }
}

/// When something was made, and who claims it.
pub(crate) fn claimed(source: &str, created: Option<impl ToString>) -> String {
    let when = created.map_or_else(|| "a time unknown".to_owned(), time);
    format!("made {when}, says {}", safe(source))
}

/// What stands before each dataset, given as role, name and path: the role, and the name too where that alone
/// tells it from another.
pub(crate) fn roles(datasets: &[(&str, &str, &str)]) -> Vec<String> {
    let alike = |(role, _, path): &(&str, &str, &str)| {
        datasets.iter().filter(|other| (other.0, other.2) == (*role, *path)).count() > 1
    };
    datasets
        .iter()
        .map(|dataset| match alike(dataset) {
            true => safe(&format!("{}:{}", dataset.0, dataset.1)),
            false => safe(dataset.0),
        })
        .collect()
}

/// Columns aligned by spaces; the last column runs free.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < row.len() {
                let pad = widths[column].saturating_sub(cell.chars().count()) + 2;
                line.extend(std::iter::repeat_n(' ', pad));
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Control characters made visible, so that a name cannot play tricks on the terminal.
pub(crate) fn safe(text: &str) -> String {
    text.chars()
        .flat_map(|character| {
            let escaped: Vec<char> = if character.is_control() {
                character.escape_default().collect()
            } else {
                vec![character]
            };
            escaped
        })
        .collect()
}

/// A line of text with a caret under one of its characters; of a long line, what is around it.
pub(crate) fn caret(text: &str, character: usize) -> String {
    const WIDTH: usize = 76;
    let first = character.saturating_sub(WIDTH * 3 / 4);
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let shown: String = text.chars().skip(first).take(WIDTH).map(plain).collect();
    format!("  {}\n  {}^\n", shown.trim_end(), " ".repeat(character - first))
}
