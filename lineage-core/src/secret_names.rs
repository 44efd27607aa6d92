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
}
