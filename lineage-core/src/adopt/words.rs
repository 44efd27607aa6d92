//! What the names of files and folders say: which are models, which are copies of what is live, when
//! they were made, and of which model they are versions.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::context::Timestamp;
use crate::names::{ModelName, PointerName};

/// Endings of files that are models wherever they lie.
const MODEL_ENDINGS: [&str; 22] = [
    "joblib",
    "pkl",
    "pickle",
    "dill",
    "skops",
    "onnx",
    "safetensors",
    "gguf",
    "pt",
    "pth",
    "ckpt",
    "h5",
    "hdf5",
    "keras",
    "tflite",
    "ubj",
    "cbm",
    "pmml",
    "mlmodel",
    "npz",
    "rds",
    "rdata",
];

/// Endings of files that are models when their name says so.
const NAMED_MODEL_ENDINGS: [&str; 6] = ["bin", "json", "txt", "model", "pb", "zip"];

/// Folders that hold data, in which a file with a model's ending is rather a table or an array.
const DATA_FOLDERS: [&str; 5] = ["data", "dataset", "datasets", "features", "raw"];

/// Folders that hold versions side by side, and are not one themselves.
const CONTAINERS: [&str; 12] = [
    "models",
    "model",
    "artifacts",
    "checkpoints",
    "weights",
    "registry",
    "releases",
    "archive",
    "output",
    "outputs",
    "saved_models",
    "trained_models",
];

/// Words that say nothing about which model it is.
const GENERIC: [&str; 26] = [
    "cand",
    "candidate",
    "prod",
    "production",
    "staging",
    "model",
    "models",
    "artifact",
    "artifacts",
    "run",
    "exp",
    "experiment",
    "version",
    "ver",
    "rc",
    "final",
    "best",
    "latest",
    "new",
    "old",
    "backup",
    "bak",
    "release",
    "train",
    "trained",
    "v",
];

/// What is live, in other words, with the pointer that is meant.
const LIVE: [(&str, &str); 11] = [
    ("prod", "prod"),
    ("production", "prod"),
    ("live", "prod"),
    ("current", "prod"),
    ("active", "prod"),
    ("champion", "prod"),
    ("staging", "staging"),
    ("stage", "staging"),
    ("shadow", "shadow"),
    ("canary", "canary"),
    ("challenger", "challenger"),
];

/// The last part of a path with `/`.
pub(super) fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Name and ending of a file's name, the ending in lower case.
pub(super) fn split_ending(name: &str) -> (&str, String) {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem, ending.to_ascii_lowercase()),
        _ => (name, String::new()),
    }
}

/// Whether the file at `path` is a model, by its name and folders.
pub(super) fn is_model(path: &str) -> bool {
    let (stem, ending) = split_ending(last_part(path));
    let stem = stem.to_ascii_lowercase();
    let named = words(&stem).iter().any(|word| matches!(word.as_str(), "model" | "weights"));
    let described = ["card", "info", "config", "params", "metrics", "metadata", "pointer"];
    if NAMED_MODEL_ENDINGS.contains(&ending.as_str()) {
        return named && !words(&stem).iter().any(|word| described.contains(&word.as_str()));
    }
    let in_data = path.split('/').rev().skip(1).any(|folder| {
        let folder = folder.to_ascii_lowercase();
        words(&folder).iter().any(|word| DATA_FOLDERS.contains(&word.as_str()))
    });
    MODEL_ENDINGS.contains(&ending.as_str()) && (named || !in_data)
}

/// Whether a folder's name says that it holds versions side by side.
pub(super) fn is_container(folder: &str) -> bool {
    CONTAINERS.contains(&folder.to_ascii_lowercase().as_str())
}

/// The pointer that a name speaks of: `PROD`, `champion_model.txt`, `model-staging`.
pub(super) fn pointer_in(name: &str) -> Option<PointerName> {
    let name = name.to_ascii_lowercase();
    let said = words(&name);
    let (_, pointer) = LIVE.iter().find(|(word, _)| said.iter().any(|other| other == word))?;
    pointer.parse().ok()
}

/// Whether a file's name is that of a pointer file: it says `pointer`, or what is live.
pub(super) fn is_pointer_file(name: &str) -> bool {
    let (stem, ending) = split_ending(name);
    let texts = ["", "txt", "json", "ptr", "path", "pointer"];
    let stem = stem.to_ascii_lowercase();
    texts.contains(&ending.as_str())
        && (ending == "pointer"
            || words(&stem).iter().any(|word| word == "pointer" || word == "ptr")
            || pointer_in(&stem).is_some())
}

/// Runs of letters and runs of digits; everything else separates.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = None;
    for character in name.chars() {
        let class = match character {
            c if c.is_ascii_digit() => Some(true),
            c if c.is_alphabetic() => Some(false),
            _ => None,
        };
        match (class, words.last_mut()) {
            (Some(_), Some(word)) if class == before => word.push(character),
            (Some(_), _) => words.push(character.to_string()),
            (None, _) => {}
        }
        before = class;
    }
    words
}

/// The name with every run of digits made one `#`: equal for `fraud_v1` and `fraud_v12`.
pub(super) fn skeleton(name: &str) -> String {
    let mut out = String::new();
    for character in name.chars() {
        match character {
            c if !c.is_ascii_digit() => out.push(c),
            _ if out.ends_with('#') => {}
            _ => out.push('#'),
        }
    }
    out
}

/// What is left of a name without digits, dates and words that fit any model: `fraud` of
/// `fraud_candidate_20251013`. None when nothing is left.
pub(super) fn model_in(name: &str) -> Option<ModelName> {
    let kept: Vec<&str> = name
        .split(|c: char| !c.is_alphanumeric())
        .map(|part| part.trim_matches(|c: char| c.is_ascii_digit()))
        .filter(|part| !part.is_empty() && !GENERIC.contains(&part.to_ascii_lowercase().as_str()))
        .collect();
    kept.join("_").parse().ok()
}

/// A moment written in any of the usual ways; a time without a zone is taken for UTC.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > 40 {
        return None;
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return plausible(time.timestamp_micros());
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && matches!(text.len(), 10 | 13 | 16) {
        let factor = match text.len() {
            10 => 1_000_000,
            13 => 1_000,
            _ => 1,
        };
        return plausible(text.parse::<i64>().ok()?.checked_mul(factor)?);
    }
    let forms = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y%m%d_%H%M%S", "%Y%m%dT%H%M%S"];
    let time = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let day = || {
        let whole = (text.len() == 8 && digits) || text.len() == 10;
        let forms = ["%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%Y_%m_%d"];
        let day = forms.iter().find_map(|form| NaiveDate::parse_from_str(text, form).ok());
        day.filter(|_| whole)?.and_hms_opt(0, 0, 0)
    };
    plausible(time.or_else(day)?.and_utc().timestamp_micros())
}

/// The moment that stands in a name: `fraud_20250927_114752`, `model-2025-09-27`.
pub(super) fn moment_in(name: &str) -> Option<Timestamp> {
    let starts = name.char_indices().map(|(index, _)| index);
    let mut before = None;
    for start in starts {
        let digit_before = before.is_some_and(|c: char| c.is_ascii_digit());
        before = name[start..].chars().next();
        if digit_before {
            continue;
        }
        for length in [19, 15, 10, 8] {
            let Some(part) = name.get(start..start + length) else { continue };
            let next = name.get(start + length..).and_then(|rest| rest.chars().next());
            let epoch = part.bytes().all(|byte| byte.is_ascii_digit()) && length != 8;
            if next.is_some_and(|c| c.is_ascii_digit()) || epoch {
                continue;
            }
            let part = match length {
                15 => part.replace('-', "_"),
                19 => part.replacen(['_', 'T'], " ", 1).replace('_', ":"),
                _ => part.to_owned(),
            };
            if let Some(time) = moment(&part) {
                return Some(time);
            }
        }
    }
    None
}

/// Models were not trained before 1990, nor will they be after 2100.
fn plausible(microseconds: i64) -> Option<Timestamp> {
    let range = 631_152_000_000_000..4_102_444_800_000_000;
    range.contains(&microseconds).then(|| Timestamp::from_unix_microseconds(microseconds)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_by_their_names() {
        for model in ["a/xgb_model.joblib", "model.bin", "m/lgbm_model.txt", "data/model.pkl"] {
            assert!(is_model(model), "{model}");
        }
        for other in ["data/x.pkl", "notes.txt", "model_card.json", "config.json", "a.bin", "m.csv"]
        {
            assert!(!is_model(other), "{other}");
        }
    }

    #[test]
    fn pointer_files_and_copies_are_told_by_their_names() {
        let of = |name: &str| pointer_in(name).map(|pointer| pointer.to_string());
        assert_eq!(of("PROD_POINTER.txt").as_deref(), Some("prod"));
        assert_eq!(of("current").as_deref(), Some("prod"));
        assert_eq!(of("staging-model").as_deref(), Some("staging"));
        assert_eq!(of("product_model"), None);
        for file in ["PROD_POINTER.txt", "pointer.json", "live_model", "champion.txt"] {
            assert!(is_pointer_file(file), "{file}");
        }
        for other in ["prod_model.pkl", "notes.txt", "production.md"] {
            assert!(!is_pointer_file(other), "{other}");
        }
    }

    #[test]
    fn what_is_left_of_a_name_is_the_model() {
        let of = |name: &str| model_in(name).map(|model| model.to_string());
        assert_eq!(of("fraud_20250927_114752").as_deref(), Some("fraud"));
        assert_eq!(of("fraud_candidate_20251013").as_deref(), Some("fraud"));
        assert_eq!(of("credit-risk-v2").as_deref(), Some("credit_risk"));
        for none in ["CAND_20251014", "v3", "model", "PROD", "2025-01-01", "final_model"] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn dates_are_read_in_the_usual_spellings() {
        let shown = |time: Option<Timestamp>| time.map(|t| t.to_string()).unwrap_or_default();
        for (text, expected) in [
            ("20251014", "2025-10-14T00:00:00.000000Z"),
            ("2025-10-14", "2025-10-14T00:00:00.000000Z"),
            ("2025-10-14T08:30:00+02:00", "2025-10-14T06:30:00.000000Z"),
            ("2025-10-14 08:30:00.5", "2025-10-14T08:30:00.500000Z"),
            ("20251014_083000", "2025-10-14T08:30:00.000000Z"),
            ("1760430600", "2025-10-14T08:30:00.000000Z"),
            ("1760430600000", "2025-10-14T08:30:00.000000Z"),
            ("20251314", ""),
            ("12345678", ""),
            ("yesterday", ""),
        ] {
            assert_eq!(shown(moment(text)), expected, "{text}");
        }
        for (name, expected) in [
            ("fraud_20250927_114752", "2025-09-27T11:47:52.000000Z"),
            ("CAND_20251014", "2025-10-14T00:00:00.000000Z"),
            ("m-2025-10-14-b", "2025-10-14T00:00:00.000000Z"),
            ("m_2025-10-14_08_30_00.pkl", "2025-10-14T08:30:00.000000Z"),
            ("model_123456789", ""),
            ("v3", ""),
            ("é20251014é", "2025-10-14T00:00:00.000000Z"),
        ] {
            assert_eq!(shown(moment_in(name)), expected, "{name}");
        }
    }
}
