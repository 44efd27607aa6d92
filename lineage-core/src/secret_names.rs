//! Names that say that a value is a secret. Values under such names are not taken over from files
//! that were not written for lineage: the log cannot be edited.

/// What is recorded in place of such a value.
pub const REMOVED: &str = "(removed: named like a secret)";

const WORDS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "apikey",
    "token",
    "credential",
    "credentials",
    "accesskey",
    "privatekey",
];

const PAIRS: [(&str, &str); 6] = [
    ("api", "key"),
    ("access", "key"),
    ("private", "key"),
    ("secret", "key"),
    ("account", "key"),
    ("connection", "string"),
];

/// Whether `name` ends like the name of a secret: `db.password`, `AWS_SECRET_ACCESS_KEY`, `apiKey`.
/// `token_count` and `max_tokens` are no secrets.
pub fn is_secret(name: &str) -> bool {
    let words = words(name);
    let Some(last) = words.last() else { return false };
    if WORDS.contains(&last.as_str()) {
        return true;
    }
    let before = words.len().checked_sub(2).and_then(|index| words.get(index));
    before.is_some_and(|before| PAIRS.contains(&(before.as_str(), last.as_str())))
}

/// A command line, or any text, in which the values of `--password=…`, `TOKEN=…` and `--api-key …` are
/// left out.
pub fn without_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut secret_before = false;
    for part in text.split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        let space = &part[word.len()..];
        if word.is_empty() {
            out.push_str(part);
            continue;
        }
        let flag = word.starts_with('-');
        match word.split_once('=') {
            Some((name, value)) if is_secret(name) && !value.is_empty() => {
                out.push_str(&format!("{name}={REMOVED}{space}"));
                secret_before = false;
            }
            _ if secret_before && !flag => {
                out.push_str(&format!("{REMOVED}{space}"));
                secret_before = false;
            }
            _ => {
                out.push_str(part);
                secret_before = flag && !word.contains('=') && is_secret(word);
            }
        }
    }
    out
}

/// The words of a name in `snake_case`, `kebab-case`, `camelCase` or with dots, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for character in name.chars() {
        let starts = !character.is_alphanumeric() || (lower_before && character.is_uppercase());
        if starts && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_alphanumeric(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
        lower_before = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_their_last_words() {
        for secret in
            ["password", "db.password", "AWS_SECRET_ACCESS_KEY", "apiKey", "hf-token", "API_KEY"]
        {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in ["token_count", "max_tokens", "key", "secretary", "tokenizer", "", "depth"] {
            assert!(!is_secret(plain), "{plain}");
        }
    }

    #[test]
    fn command_lines_lose_their_secrets() {
        let removed = |text: &str| without_secrets(text).replace(REMOVED, "…");
        assert_eq!(
            removed("t.py --password=x y --api-key  z -v"),
            "t.py --password=… y --api-key  z -v".replace(" z", " …")
        );
        assert_eq!(removed("TOKEN=abc run --token --depth 3"), "TOKEN=… run --token --depth 3");
        assert_eq!(removed("python a.py\n"), "python a.py\n");
    }
}
