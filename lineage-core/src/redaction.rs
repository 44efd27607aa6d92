//! Secrets are kept out of what is recorded: by the name that announces one, and by the shape of a few
//! that can be told. The rules are in `docs/formats/environment.md`, "Secrets".

/// What stands in the place of a secret.
pub const REMOVED: &str = "[removed]";

/// Stems that announce a secret wherever they stand in a name, written without separators.
const STEMS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "accountkey",
    "authkey",
    "authtoken",
    "accesstoken",
    "apitoken",
    "credential",
    "connectionstring",
];
/// Words that announce a secret when they are a whole word of a name.
const WORDS: [&str; 8] =
    ["secret", "secrets", "pwd", "passcode", "auth", "authorization", "bearer", "cookie"];
/// A key is a secret with one of these words beside it.
const KEYS: [&str; 13] = [
    "api",
    "access",
    "private",
    "secret",
    "signing",
    "encryption",
    "account",
    "auth",
    "master",
    "ssh",
    "service",
    "license",
    "storage",
];
/// A token is text to a language model with one of these words beside it …
const MODEL_TOKENS: [&str; 26] = [
    "bos",
    "cls",
    "count",
    "embedding",
    "embeddings",
    "eos",
    "id",
    "ids",
    "index",
    "length",
    "limit",
    "mask",
    "max",
    "min",
    "n",
    "new",
    "num",
    "pad",
    "padding",
    "sep",
    "size",
    "special",
    "type",
    "unk",
    "vocab",
    "level",
];
/// … unless one of these says that it is a secret after all.
const SECRET_TOKENS: [&str; 11] = [
    "access", "api", "auth", "bearer", "github", "gitlab", "hf", "personal", "refresh", "session",
    "slack",
];
/// `pass` is a password with one of these beside it, or alone.
const PASSES: [&str; 10] =
    ["admin", "db", "database", "ftp", "login", "mysql", "pg", "root", "smtp", "user"];
/// `pat` is a personal access token with one of these beside it; alone it may be short for patience.
const PATS: [&str; 6] = ["ado", "azure", "databricks", "devops", "github", "gitlab"];
/// How well-known tokens begin. At least [`TOKEN_CHARACTERS_MIN`] more characters follow.
const PREFIXES: [&str; 21] = [
    "AKIA",
    "ASIA",
    "AIza",
    "dckr_pat_",
    "eyJ",
    "ghp_",
    "gho_",
    "ghr_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "hf_",
    "npm_",
    "pypi-",
    "sk-",
    "sk_live_",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "ya29.",
];
const TOKEN_CHARACTERS_MIN: usize = 16;

/// Whether a name announces that its value is a secret: `api_key`, `dbPassword`, `GITHUB_TOKEN`.
pub fn is_secret_name(name: &str) -> bool {
    let words = words(name);
    let squashed = words.concat();
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if STEMS.iter().any(|stem| squashed.contains(stem)) || has(&WORDS) {
        return true;
    }
    if has(&["key", "keys"]) && has(&KEYS) || squashed == "pass" || has(&["pass"]) && has(&PASSES) {
        return true;
    }
    if has(&["pat"]) && has(&PATS) {
        return true;
    }
    let many = has(&["tokens"]);
    (many || has(&["token"])) && (has(&SECRET_TOKENS) || !many && !has(&MODEL_TOKENS))
}

/// The words of a name in lower case: cut where letters and digits end, and before a capital letter that
/// follows a small one.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for character in name.chars() {
        let cut = !character.is_alphanumeric() || after_small && character.is_uppercase();
        if cut && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_alphanumeric(), words.last_mut()) {
            word.extend(character.to_lowercase());
        }
        after_small = character.is_lowercase() || character.is_ascii_digit();
    }
    words
}

/// A text without the secrets that show by their shape: credentials in URLs, private keys in PEM, and
/// tokens that begin as those of well-known services.
pub fn without_shapes(text: &str) -> String {
    without_tokens(&without_url_credentials(&without_private_keys(text)))
}

/// A text of commands, settings or JSON without secrets: shapes as in [`without_shapes`], and the values
/// of `name=value`, `name: value` and `--name value` whose names announce one.
pub fn without_secrets(text: &str) -> String {
    let text = without_shapes(text);
    without(&text, announced(&text), |_| REMOVED.to_owned())
}

/// A message without secrets that were typed: shapes as in [`without_shapes`], and the values of `name=value`
/// whose names announce one; in quotes also those of `name: value`. What else stands after a colon or a blank is
/// more often an explanation. Of a path only the part is taken: `events/auth=[removed]/part-0.parquet`.
pub fn without_assigned(text: &str) -> String {
    let text = without_shapes(text);
    without(&text, typed(&text), |_| REMOVED.to_owned())
}

/// As [`without_assigned`], with a `*` for each character, so that what points into the text points to the same
/// place. None where a secret shows by its shape.
pub fn masked(text: &str) -> Option<String> {
    let mask = |value: &str| "*".repeat(value.chars().count());
    (without_shapes(text) == text).then(|| without(text, typed(text), mask))
}

/// What a command line says of its mistakes, as [`without_assigned`], and without what was typed as `--param
/// api_key VALUE` where `api_key=VALUE` was meant.
pub fn without_typed(message: &str, arguments: &[String]) -> String {
    let mut message = message.to_owned();
    for index in 1..arguments.len() {
        let (before, value) = (&arguments[index - 1], &arguments[index]);
        let name = match before.split_once('=') {
            Some((flag, name)) if flag.starts_with('-') => name,
            _ if before.starts_with('-') => before,
            _ if index > 1 && arguments[index - 2].starts_with('-') => before,
            _ => continue,
        };
        if is_secret_name(name) && !value.is_empty() && !value.starts_with('-') {
            message = message.replace(&format!("'{value}'"), &format!("'{REMOVED}'"));
            message = message.replace(&format!("-- {value}'"), &format!("-- {REMOVED}'"));
        }
    }
    without_assigned(&message)
}

fn without(text: &str, values: Vec<Announced>, instead: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for Announced { start, end, .. } in values {
        out.push_str(&text[done..start]);
        out.push_str(&instead(&text[start..end]));
        done = end;
    }
    out + &text[done..]
}

/// Whether source code or settings hold a secret as far as that can be told: a shape, or a literal that is
/// given to a name which announces a secret. `token = next()` is none.
pub fn holds_literal_secret(text: &str) -> bool {
    let literal = |Announced { start, end, .. }: Announced| {
        let value = &text[start..end];
        let quoted = text[..start].ends_with(['"', '\'']) && value.len() >= 3;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte);
        let dense = value.len() >= 8 && value.bytes().any(|byte| byte.is_ascii_digit());
        value != REMOVED && (quoted || dense && value.bytes().all(plain))
    };
    without_shapes(text) != text || announced(text).into_iter().any(literal)
}

/// A value whose name announces a secret: where the name stands, and where the value.
#[derive(Clone, Copy)]
struct Announced {
    name: usize,
    name_end: usize,
    start: usize,
    end: usize,
}

/// The values of a message that were typed, as far as that can be told.
fn typed(text: &str) -> Vec<Announced> {
    announced_as(text, |value| {
        let quote = text[..value.name].chars().next_back().filter(|c| matches!(c, '"' | '\''));
        let assigned = text[..value.start].trim_end_matches(['"', '\'', ' ']).ends_with('=');
        if !assigned && (quote.is_none() || !text[value.name_end..].starts_with(':')) {
            return None;
        }
        // What was typed is quoted as a whole, and may hold blanks.
        let quoted = quote.and_then(|quote| text[value.start..].find(quote));
        let end = quoted.map_or(value.end, |length| value.end.max(value.start + length));
        let word = &text[value.start..end];
        let in_path = text[..value.name].ends_with(['/', '\\']) || names_a_file(word);
        let part = word.find(['/', '\\']).filter(|length| in_path && *length > 0);
        Some(Announced { end: part.map_or(end, |length| value.start + length), ..value })
    })
}

/// Whether a word with separators ends as the path of a file does: `ok/part-0.parquet`. The letters of Base64 have
/// no dot.
fn names_a_file(word: &str) -> bool {
    let last = word.trim_end_matches([':', '.', ',']).rsplit(['/', '\\']).next();
    last.and_then(|last| last.rsplit_once('.')).is_some_and(|(stem, ending)| {
        let letters = ending.chars().all(|c| c.is_ascii_alphanumeric());
        !stem.is_empty() && letters && (1..=8).contains(&ending.len())
    })
}

/// The values whose names announce a secret, in order.
fn announced(text: &str) -> Vec<Announced> {
    announced_as(text, Some)
}

/// As [`announced`], each as `judge` has it; where that is none, the search goes on after the name.
fn announced_as(text: &str, judge: impl Fn(Announced) -> Option<Announced>) -> Vec<Announced> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(is_name_character).map(|start| at + start) {
        let rest = &text[start..];
        let end = rest.find(|c| !is_name_character(c)).map_or(text.len(), |end| start + end);
        let name = &text[start..end];
        let follows = &text[end..];
        let value = match name {
            "-p" if text[..start].ends_with(char::is_whitespace) => after_blank(follows),
            "Bearer" | "Basic" | "bearer" => after_blank(follows),
            _ if is_secret_name(name) => value_after(name, follows),
            _ => None,
        };
        at = end;
        if let Some((first, last)) = value {
            // A scheme before the secret belongs to the value.
            let scheme = matches!(&follows[first..last], "Bearer" | "Basic" | "bearer" | "Token");
            let more = scheme.then(|| after_blank(&follows[last..])).flatten();
            let last = last + more.map_or(0, |(_, more)| more);
            let (name, name_end) = (start, end);
            let value = Announced { name, name_end, start: end + first, end: end + last };
            if let Some(value) = judge(value) {
                at = value.end;
                found.push(value);
            }
        }
    }
    found
}

/// The arguments of a command without secrets. A value that belongs to `-p` counts as one, whatever it is:
/// it cannot be told from a password.
pub fn arguments(arguments: &[String]) -> Vec<String> {
    let mut out = Vec::with_capacity(arguments.len());
    let mut secret_follows = false;
    let mut user_follows = false;
    for argument in arguments {
        let is_flag = argument.starts_with("--") && argument.len() > 2;
        let (value_of_secret, value_of_user) = (secret_follows && !is_flag, user_follows);
        let name = argument.trim_start_matches('-');
        let dashes = argument.len() - name.len();
        secret_follows =
            argument == "-p" || dashes > 0 && !name.contains('=') && is_secret_name(name);
        user_follows = matches!(argument.as_str(), "-u" | "--user");
        out.push(if value_of_secret {
            REMOVED.to_owned()
        } else if let (true, Some((user, _))) = (value_of_user, argument.split_once(':')) {
            format!("{user}:{REMOVED}")
        } else if dashes == 1 && name.starts_with('p') && name.len() > 1 {
            format!("-p{REMOVED}")
        } else {
            match argument.split_once('=') {
                Some((name, _)) if is_secret_name(name) && name.chars().all(is_name_character) => {
                    format!("{name}={REMOVED}")
                }
                _ => without_secrets(argument),
            }
        });
    }
    out
}

fn is_name_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.')
}

/// The value that follows a name: after `=` or `:`, or after white space when the name is a flag.
fn value_after(name: &str, rest: &str) -> Option<(usize, usize)> {
    let trimmed = rest.trim_start_matches(['"', '\'']).trim_start_matches([' ', '\t']);
    if trimmed.starts_with(['=', ':']) {
        let start = rest.len() - trimmed[1..].trim_start_matches([' ', '\t']).len();
        return word_at(rest, start);
    }
    name.starts_with('-').then(|| after_blank(rest)).flatten()
}

/// The word after white space.
fn after_blank(rest: &str) -> Option<(usize, usize)> {
    let start = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    if start == 0 { None } else { word_at(rest, start) }
}

/// The value at `start`: up to its closing quote, or to white space or a separator.
fn word_at(rest: &str, start: usize) -> Option<(usize, usize)> {
    let value = &rest[start..];
    if value.starts_with(REMOVED) {
        return None;
    }
    if let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let mut escaped = false;
        for (at, character) in value.char_indices().skip(1) {
            if character == quote && !escaped {
                return Some((start + 1, start + at)).filter(|(first, last)| first < last);
            }
            escaped = character == '\\' && !escaped;
        }
        return (value.len() > 1).then_some((start + 1, rest.len()));
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '&' | ';' | ',' | '}' | ')' | '"' | '\'');
    let end = value.find(ends).map_or(rest.len(), |at| start + at);
    (end > start).then_some((start, end))
}

/// `https://user:password@host/` as `https://[removed]@host/`.
fn without_url_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let authority = &rest[at + 3..];
        let ends =
            |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>');
        // A password may hold a slash that should have been escaped; an `@` before the next blank tells.
        let word_end =
            authority.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>'));
        let word = &authority[..word_end.unwrap_or(authority.len())];
        let end = authority.find(ends).unwrap_or(authority.len());
        let credentials = authority[..end].rfind('@').or_else(|| {
            let at = word.rfind('@')?;
            let colon = word[..end].find(':')?;
            let port = &word[colon + 1..end];
            let port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            (!port).then_some(at)
        });
        out.push_str(&rest[..at + 3]);
        rest = match credentials {
            Some(at) => {
                out.push_str(REMOVED);
                &authority[at..]
            }
            None => authority,
        };
    }
    out.push_str(rest);
    out
}

fn without_private_keys(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("-----BEGIN ") {
        let line = rest[start..].lines().next().unwrap_or_default();
        let end = match rest[start..].find("-----END ") {
            Some(at) => {
                let last = &rest[start + at + 9..];
                let dashes = last.find("-----").map_or(last.len(), |dashes| dashes + 5);
                start + at + 9 + dashes
            }
            None => rest.len(),
        };
        out.push_str(&rest[..start]);
        out.push_str(if line.contains("PRIVATE KEY") { REMOVED } else { &rest[start..end] });
        rest = &rest[end..];
    }
    out + rest
}

fn without_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let belongs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    while let Some(start) = rest.find(belongs) {
        let end = rest[start..].find(|c| !belongs(c)).map_or(rest.len(), |at| start + at);
        let word = &rest[start..end];
        let known = PREFIXES.iter().any(|prefix| {
            let more = word.strip_prefix(prefix).unwrap_or_default();
            let long = more.len() >= TOKEN_CHARACTERS_MIN;
            long && more.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        });
        out.push_str(&rest[..start]);
        out.push_str(if known { REMOVED } else { word });
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_announce_secrets() {
        for name in [
            "api_key",
            "apikey",
            "API-KEY",
            "apiKey",
            "OPENAI_API_KEY",
            "password",
            "db.password",
            "dbPassword",
            "passwd",
            "pwd",
            "token",
            "hf_token",
            "GITHUB_TOKEN",
            "auth_token",
            "access_tokens",
            "secret",
            "client_secret",
            "aws_secret_access_key",
            "private_key",
            "credentials",
            "passphrase",
            "db_pass",
            "pass",
            "connection_string",
            "authorization",
            "GITHUB_PAT",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "max_tokens",
            "num_tokens",
            "tokens",
            "pad_token",
            "eos_token_id",
            "tokenizer",
            "key",
            "primary_key",
            "n_passes",
            "two_pass",
            "max_new_tokens",
            "keyword",
            "author",
            "depth",
            "vocab_token_count",
            "learning_rate",
            "compass",
            "patience",
            "pat",
            "monkey",
            "special_tokens",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn commands_lose_their_secrets() {
        let given = [
            "train.py",
            "--password=S3",
            "--api-key",
            "S3",
            "-p",
            "S3",
            "-pS3",
            "--depth",
            "6",
            "DB_PASSWORD=S3",
            "https://me:S3@host/x?token=S3&a=1",
            "-u",
            "me:S3",
            "--max-tokens",
            "512",
            "sh -c 'login --token S3 && run'",
            "{\"password\": \"S3\", \"a\": 1}",
            "Authorization: Bearer S3",
            "--token=S3 with blanks",
            "postgres://me:S/3@host/db",
            "--secret",
            "'S3'",
            "--use-auth",
            "--verbose",
            "mysql -p S3 --host h",
            "PASSWORD: S3",
            "export A=1 MY_SECRET='S3 S3'; run",
            "http://host:8080/a@b",
        ];
        let found = arguments(&given.map(str::to_owned));
        assert!(
            !found.iter().any(|text| text.contains("S3") || text.contains("S/3")),
            "{found:#?}"
        );
        assert_eq!(found.len(), given.len());
        for kept in ["--depth", "6", "512", "--verbose", "http://host:8080/a@b"] {
            assert!(found.iter().any(|text| text == kept), "{kept}: {found:#?}");
        }
        assert_eq!(found[10], "https://[removed]@host/x?token=[removed]&a=1");
        assert_eq!(found[16], "{\"password\": \"[removed]\", \"a\": 1}");
    }

    #[test]
    fn messages_lose_what_was_typed_and_nothing_else() {
        for (message, expected) in [
            ("--seed password=hunter2: no", "--seed password=[removed] no"),
            ("unexpected '--password=hunter2' found", "unexpected '--password=[removed]' found"),
            ("--data api_key=\"a b\": it", "--data api_key=\"[removed]\": it"),
            ("cannot read data/auth: No such file", "cannot read data/auth: No such file"),
            ("the parameter password is given twice", "the parameter password is given twice"),
            ("expected NAME=VALUE", "expected NAME=VALUE"),
            ("'password: x y' for '--metric'", "'password: [removed]' for '--metric'"),
            ("'password=x y' for '--metric'", "'password=[removed]' for '--metric'"),
            ("no model \"auth\": none", "no model \"auth\": none"),
            ("--token: password=hunter2", "--token: password=[removed]"),
            ("events/auth=ok/part-0.parquet: no", "events/auth=[removed]/part-0.parquet: no"),
            ("a/auth=x/token=y/", "a/auth=[removed]/token=[removed]/"),
            ("auth=x/token=y/z.csv is", "auth=[removed]/token=[removed]/z.csv is"),
            ("a\\auth=x\\b.csv is", "a\\auth=[removed]\\b.csv is"),
            ("access_key=ab/cd+e/f= is", "access_key=[removed] is"),
        ] {
            assert_eq!(without_assigned(message), expected);
        }
    }

    #[test]
    fn what_points_into_a_text_points_to_the_same_place() {
        let masked = |text| super::masked(text);
        assert_eq!(masked("a.auth = häsic andd").as_deref(), Some("a.auth = ***** andd"));
        assert_eq!(masked("depth = 6 andd").as_deref(), Some("depth = 6 andd"));
        assert_eq!(masked("https://u:pw@h andd"), None);
    }

    #[test]
    fn a_secret_beside_its_name_is_not_repeated() {
        let without = |message: &str, arguments: &[&str]| {
            without_typed(message, &arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
        };
        let found = "unexpected argument 'hunter2' found";
        let removed = "unexpected argument '[removed]' found";
        assert_eq!(without(found, &["record", "--param", "api_key", "hunter2"]), removed);
        assert_eq!(without(found, &["record", "--param=api_key", "hunter2"]), removed);
        assert_eq!(without(found, &["record", "--param", "depth", "hunter2"]), found);
        assert_eq!(without(found, &["show", "auth", "hunter2"]), found);
    }

    #[test]
    fn code_that_handles_secrets_is_told_from_code_that_holds_them() {
        for text in ["+api_key = \"abc123\"", "+TOKEN=a1b2c3d4e5", "password: 'S3S3'", "x://u:pw@h"]
        {
            assert!(holds_literal_secret(text), "{text}");
        }
        for text in [
            "token = tokenizer.next()",
            "password = getpass.getpass()",
            "+    auth=auth,",
            "api_key = os.environ[name]",
            "def login(password: str) -> Token:",
        ] {
            assert!(!holds_literal_secret(text), "{text}");
        }
    }

    #[test]
    fn shapes_are_told_from_ordinary_text() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
        assert_eq!(without_shapes(&format!("see {token}.")), "see [removed]");
        assert_eq!(without_shapes(&format!("a {key} b")), "a [removed] b");
        assert_eq!(without_shapes("s3://k:S3@bucket/a"), "s3://[removed]@bucket/a");
        assert_eq!(without_shapes("https://u:/A+a00@h/"), "https://[removed]@h/");
        for text in [
            "sk-learn",
            "hf_transfer",
            "s3://bucket/train.csv",
            "password",
            "sk-estimator-of-mine-x",
        ] {
            assert_eq!(without_shapes(text), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_nothing_is_removed_twice(text in "\\PC{0,60}") {
            let once = without_secrets(&text);
            prop_assert_eq!(without_secrets(&once), once);
        }

        #[test]
        fn a_secret_never_comes_through(secret in "[A-Za-z0-9+]{6,20}") {
            prop_assume!(!"password--token api_key https://u:@h".contains(&secret));
            for given in [
                vec![format!("--password={secret}")],
                vec!["--api-key".to_owned(), secret.clone()],
                vec![format!("https://u:{secret}@h/")],
                vec![format!("x --token {secret} y")],
            ] {
                let found = arguments(&given).join(" ");
                prop_assert!(!found.contains(&secret), "{}", found);
            }
        }
    }
}
