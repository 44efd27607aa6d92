//! Taking over what other trackers recorded (`docs/import.md`). What they say is kept as claims, with
//! their own ids and times; what can be hashed is hashed.

mod import;
mod report;
mod yaml;

pub mod dvc;
pub mod gto;
pub mod mlflow;

pub use report::{Count, ImportReport, ImportedPointer, ImportedVersion, LeftTable, Problem};

use crate::names::ModelName;

/// A model's name made from any text: what is not allowed becomes `-`.
fn model_name(text: &str) -> Option<ModelName> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = text.chars().map(allowed).collect();
    let name = name.trim_start_matches(['.', '_', '-']);
    name.get(..name.len().min(128))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_gives_a_model_name_if_it_holds_a_letter() {
        let of = |text: &str| model_name(text).map(|name| name.to_string());
        assert_eq!(of("Fraud / EU").as_deref(), Some("Fraud---EU"));
        assert_eq!(of("/Users/x@y.z/risk").as_deref(), Some("Users-x-y.z-risk"));
        assert_eq!(of("größe").as_deref(), Some("gr--e"));
        assert_eq!(of("名前"), None);
        assert_eq!(of(&"x".repeat(300)).map(|name| name.len()), Some(128));
    }
}
