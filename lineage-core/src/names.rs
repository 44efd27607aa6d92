//! Parsed names: models, versions, labels, pointers, roles, and references to them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Characters or length outside the rule for this kind of name.
    #[error("\"{text}\" is not a valid {what}: {rule}")]
    Malformed {
        /// What the text was meant to be, e.g. `model name`.
        what: &'static str,
        /// The offending text.
        text: String,
        /// The rule, in words.
        rule: &'static str,
    },
    /// All-digit names, `latest` and `sha256:…` mean something else in a reference.
    #[error(
        "\"{text}\" cannot be a {what}: digits, \"latest\" and \"sha256:…\" have a meaning of their own in a reference"
    )]
    Reserved {
        /// `label` or `pointer`.
        what: &'static str,
        /// The offending text.
        text: String,
    },
}

const WORD_RULE: &str = "a letter or digit, then at most 127 letters, digits, '.', '_' or '-'";

fn is_word(text: &str, extra: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || b"._-".contains(byte) || extra.contains(byte)
        })
}

fn is_reserved(text: &str) -> bool {
    text == "latest" || text.bytes().all(|byte| byte.is_ascii_digit())
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $parse;
                check(text)?;
                Ok($name(text.to_owned()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fn word(what: &'static str, text: &str) -> Result<(), NameError> {
    if is_word(text, b"") {
        return Ok(());
    }
    Err(NameError::Malformed { what, text: shown(text), rule: WORD_RULE })
}

fn free_text(what: &'static str, text: &str) -> Result<(), NameError> {
    if !text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let rule = "1 to 1024 bytes of UTF-8 without control characters";
    Err(NameError::Malformed { what, text: shown(text), rule })
}

/// At most 80 characters of `text`, controls escaped, for messages.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

text_name!(
    /// A model's name: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`, compared case-sensitively.
    ModelName,
    |text| word("model name", text)
);

text_name!(
    /// A pointer's name, e.g. `prod`; shares one namespace per model with labels.
    PointerName,
    |text| {
        word("pointer name", text)?;
        if is_reserved(text) {
            return Err(NameError::Reserved { what: "pointer", text: text.to_owned() });
        }
        Ok(())
    }
);

text_name!(
    /// An immutable second name of a version, e.g. `1.0.0`; unique per model.
    Label,
    |text| {
        if text.starts_with("sha256:") || is_reserved(text) && !text.is_empty() {
            return Err(NameError::Reserved { what: "label", text: shown(text) });
        }
        if is_word(text, b"+") {
            return Ok(());
        }
        let rule = "a letter or digit, then at most 127 letters, digits, '.', '_', '+' or '-'";
        Err(NameError::Malformed { what: "label", text: shown(text), rule })
    }
);

text_name!(
    /// The role of a dataset in a session: `training`, `validation`, `test` or any other word.
    Role,
    |text| word("role", text)
);

text_name!(
    /// The name of a dataset within its role; the file's name unless given.
    DatasetName,
    |text| free_text("dataset name", text)
);

text_name!(
    /// The name of a parameter or tag.
    KeyName,
    |text| free_text("name", text)
);

impl ModelName {
    /// The model of imported sessions that belong to nothing with a usable name.
    pub(crate) fn imported() -> ModelName {
        ModelName("imported".to_owned())
    }
}

impl PointerName {
    /// The pointer that is meant where none is named: `prod`.
    pub fn prod() -> PointerName {
        PointerName("prod".to_owned())
    }
}

/// The part of the data that a metric was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The rows that the model learned from.
    Training,
    /// The rows that tuned it.
    Validation,
    /// The rows that it never saw.
    Test,
}

impl Split {
    /// The split as written in names and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Split::Training => "training",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    fn from_prefix(text: &str) -> Option<Split> {
        [Split::Training, Split::Validation, Split::Test].into_iter().find(|s| s.as_str() == text)
    }
}

/// A metric is named by (split or none, name). In text the two are joined by a dot, and the text
/// before the first dot is a split only if it is `training`, `validation` or `test`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricName {
    /// The split, if the metric belongs to one.
    pub split: Option<Split>,
    /// The name without the split.
    pub name: String,
}

impl FromStr for MetricName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (split, name) = match text.split_once('.') {
            Some((prefix, rest)) => match Split::from_prefix(prefix) {
                Some(split) => (Some(split), rest),
                None => (None, text),
            },
            None => (None, text),
        };
        free_text("metric name", name)?;
        Ok(MetricName { split, name: name.to_owned() })
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.split {
            Some(split) => write!(f, "{}.{}", split.as_str(), self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What stands after the `@` of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `fraud@3`
    Number(u64),
    /// `fraud@latest`: the highest number.
    Latest,
    /// `fraud@sha256:1b34b7`: a prefix, 6 to 64 hex digits, of the artifact's digest.
    Digest(String),
    /// `fraud@1.0.0` or `fraud@prod`: a label or a pointer.
    Name(String),
}

impl FromStr for Selector {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Some(prefix) = text.strip_prefix("sha256:") {
            let hex = prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if hex && (6..=64).contains(&prefix.len()) {
                return Ok(Selector::Digest(prefix.to_owned()));
            }
            let rule = "\"sha256:\" takes 6 to 64 lower-case hex digits";
            return Err(NameError::Malformed { what: "digest prefix", text: shown(text), rule });
        }
        if text == "latest" {
            return Ok(Selector::Latest);
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let rule = "a version is a whole number from 1";
            return match text.parse() {
                Ok(number) if (1..=i64::MAX as u64).contains(&number) => {
                    Ok(Selector::Number(number))
                }
                _ => Err(NameError::Malformed { what: "version", text: shown(text), rule }),
            };
        }
        if is_word(text, b"+") {
            return Ok(Selector::Name(text.to_owned()));
        }
        let rule = "a number, a label, a pointer, \"latest\" or \"sha256:…\"";
        Err(NameError::Malformed { what: "version", text: shown(text), rule })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Number(number) => write!(f, "{number}"),
            Selector::Latest => f.write_str("latest"),
            Selector::Digest(prefix) => write!(f, "sha256:{prefix}"),
            Selector::Name(name) => f.write_str(name),
        }
    }
}

/// A model and one of its versions: `fraud@3`, `fraud@1.0.0`, `fraud@prod`, `fraud@latest`,
/// `fraud@sha256:1b34b7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The model.
    pub model: ModelName,
    /// Which of its versions.
    pub selector: Selector,
}

impl FromStr for Reference {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let Some((model, selector)) = text.split_once('@') else {
            let rule = "MODEL@VERSION, e.g. fraud@3, fraud@1.0.0, fraud@prod or fraud@latest";
            return Err(NameError::Malformed { what: "reference", text: shown(text), rule });
        };
        Ok(Reference { model: model.parse()?, selector: selector.parse()? })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.model, self.selector)
    }
}

/// The words under which a version is shown: `fraud@3`.
pub fn version_reference(model: &ModelName, number: u64) -> String {
    format!("{model}@{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_told_apart_by_what_follows_the_at() {
        let selector = |text: &str| text.parse::<Reference>().map(|r| r.selector);
        assert_eq!(selector("fraud@3").unwrap(), Selector::Number(3));
        assert_eq!(selector("fraud@latest").unwrap(), Selector::Latest);
        assert_eq!(selector("fraud@1.0.0").unwrap(), Selector::Name("1.0.0".into()));
        assert_eq!(selector("fraud@sha256:1b34b7").unwrap(), Selector::Digest("1b34b7".into()));
        for bad in
            ["fraud", "fraud@", "fraud@0", "fraud@sha256:1b34", "fraud@sha256:1B34B7", "a b@1"]
        {
            assert!(selector(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for bad in ["7", "latest", "sha256:1b34b7", "", "-x", "a/b"] {
            assert!(bad.parse::<Label>().is_err(), "{bad}");
            assert!(bad.parse::<PointerName>().is_err(), "{bad}");
        }
        assert!("1.0.0+build.5".parse::<Label>().is_ok());
    }

    #[test]
    fn only_three_words_are_splits() {
        let name = |text: &str| text.parse::<MetricName>().unwrap();
        assert_eq!(name("validation.auc").split, Some(Split::Validation));
        assert_eq!(name("validation.top.5").name, "top.5");
        assert_eq!(name("train.auc"), MetricName { split: None, name: "train.auc".into() });
        assert!("test.".parse::<MetricName>().is_err());
    }
}
