//! The words of a question, each with its place.

use super::SearchError;

/// One word of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// A run of characters that mean nothing by themselves.
    Bare(String),
    /// A text in quotes, escapes resolved.
    Quoted(String),
    /// `(`, `)`, `=`, `!=`, `<`, `<=`, `>`, `>=` or `~`.
    Sign(&'static str),
}

/// A word, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) word: Word,
    /// Its first character, counted from 0.
    pub(super) character: usize,
    /// Whether it follows the word before without a space.
    pub(super) glued: bool,
}

/// Longer questions are refused.
const CHARACTERS_MAX: usize = 16_384;

const SIGNS: [&str; 9] = ["!=", "<=", ">=", "(", ")", "=", "<", ">", "~"];

fn is_bare(character: char) -> bool {
    !character.is_whitespace() && !character.is_control() && !"()\"'=!<>~,;".contains(character)
}

/// Whether a name can stand without quotes.
pub(super) fn bare(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_bare)
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

/// Cuts a question into words.
pub(super) fn words(text: &str) -> Result<Vec<Placed>, SearchError> {
    let characters: Vec<char> = text.chars().take(CHARACTERS_MAX + 1).collect();
    let refuse = |problem: &str, character: usize| SearchError {
        problem: problem.to_owned(),
        character,
        hint: None,
    };
    if characters.len() > CHARACTERS_MAX {
        return Err(refuse("the question is too long", CHARACTERS_MAX));
    }
    let mut found: Vec<Placed> = Vec::new();
    let (mut at, mut end) = (0, usize::MAX);
    while let Some(character) = characters.get(at) {
        if character.is_whitespace() {
            at += 1;
            continue;
        }
        let start = at;
        let rest = &characters[at..];
        let sign = SIGNS.iter().find(|sign| sign.chars().eq(rest.iter().take(sign.len()).copied()));
        let word = if let Some(sign) = sign {
            at += sign.len();
            Word::Sign(sign)
        } else if *character == '"' {
            let (inner, length) =
                in_quotes(rest).ok_or_else(|| refuse("these quotes are never closed", start))?;
            at += length;
            Word::Quoted(inner)
        } else if is_bare(*character) {
            let run: String = rest.iter().copied().take_while(|c| is_bare(*c)).collect();
            at += run.chars().count();
            Word::Bare(run)
        } else {
            let hint = match character {
                '\'' => Some("texts stand in double quotes: \"…\"".to_owned()),
                '!' => Some("write != or not".to_owned()),
                _ => None,
            };
            let problem = match character {
                '\'' | '!' | ',' | ';' => format!("{character} means nothing here"),
                other => format!("{} means nothing here", other.escape_default()),
            };
            return Err(SearchError { hint, ..refuse(&problem, at) });
        };
        found.push(Placed { word, character: start, glued: start == end });
        end = at;
    }
    Ok(found)
}

/// The text in the quotes at the beginning, and how many characters they take.
fn in_quotes(characters: &[char]) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut rest = characters.iter().enumerate().skip(1);
    while let Some((index, character)) = rest.next() {
        match character {
            '"' => return Some((text, index + 1)),
            '\\' => text.push(*rest.next()?.1),
            other => text.push(*other),
        }
    }
    None
}
