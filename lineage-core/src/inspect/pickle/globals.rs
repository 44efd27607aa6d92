//! The judgement of a name that a pickle imports.

use super::{known_bad, known_safe};

/// What is known of an imported name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inspect) enum Listing {
    /// Importing and calling it does nothing but make data.
    Safe,
    /// It has no place in a model; the text completes "which …".
    Bad(&'static str),
    /// On neither list.
    Unlisted,
}

/// Judges `module.name` as Python would find it: from protocol 4 on, a name with dots is looked up
/// part by part, so that any of the parts may be another module.
pub(in crate::inspect) fn listing(module: &str, name: &str) -> Listing {
    if let Some(what) = known_bad::module(module)
        .or_else(|| known_bad::name(module, name))
        .or_else(|| known_bad::module_inside(module, name))
    {
        return Listing::Bad(what);
    }
    let mut parts = name.split('.');
    if name.contains('.') {
        let bad = parts.find_map(known_bad::part);
        return bad.map_or(Listing::Unlisted, Listing::Bad);
    }
    if known_safe::contains(module, name) { Listing::Safe } else { Listing::Unlisted }
}

/// Whether these can be names at all; what random bytes give is not.
pub(super) fn is_plausible(module: &str, name: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty()
            && text.split('.').all(|part| {
                let mut characters = part.chars();
                characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
                    && characters.all(|c| c.is_alphanumeric() || c == '_')
            })
    };
    plain(module) && (plain(name) || name.starts_with('<'))
}
