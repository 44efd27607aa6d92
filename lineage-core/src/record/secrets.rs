//! Secrets are taken out of what is to be recorded (`docs/formats/environment.md`, "Secrets").

use std::mem;

use super::RecordRequest;
use crate::events::{Parameter, ParameterType, Tag};
use crate::redaction::{self, REMOVED};

/// Takes the secret out of a parameter; whether there was one.
pub fn redact_parameter(parameter: &mut Parameter) -> bool {
    if redaction::is_secret_name(parameter.name.as_str()) {
        parameter.r#type = ParameterType::String;
        return replace(&mut parameter.text, |_| REMOVED.to_owned());
    }
    match parameter.r#type {
        ParameterType::Json => replace(&mut parameter.text, redaction::without_secrets),
        _ => redact_text(&mut parameter.text),
    }
}

/// Takes the secret out of a tag; whether there was one.
pub fn redact_tag(tag: &mut Tag) -> bool {
    match redaction::is_secret_name(tag.name.as_str()) {
        true => replace(&mut tag.value, |_| REMOVED.to_owned()),
        false => redact_text(&mut tag.value),
    }
}

/// Takes the secret out of a claimed fact; whether there was one.
fn redact_fact(name: &str, text: &mut String) -> bool {
    // An alias may have any name, and its value is a number.
    match redaction::is_secret_name(name) && !name.starts_with("alias ") {
        true => replace(text, |_| REMOVED.to_owned()),
        false => redact_text(text),
    }
}

/// Takes what looks like a secret out of a note, a source or a transformation; whether there was any.
pub fn redact_text(text: &mut String) -> bool {
    replace(text, redaction::without_secrets)
}

fn replace(text: &mut String, safe: impl Fn(&str) -> String) -> bool {
    let safe = safe(text);
    let given = mem::replace(text, safe);
    given != *text
}

/// Takes all secrets out of a request, and notes where they stood.
pub(super) fn remove(request: &mut RecordRequest) {
    let mut places = Vec::new();
    for parameter in &mut request.params {
        if redact_parameter(parameter) {
            places.push(format!("the parameter \"{}\"", parameter.name));
        }
    }
    for tag in &mut request.tags {
        if redact_tag(tag) {
            places.push(format!("the tag \"{}\"", tag.name));
        }
    }
    for dataset in &mut request.datasets {
        if dataset.source.as_mut().is_some_and(redact_text) {
            places.push(format!("the source of the {} data", dataset.role));
        }
        for transformation in &mut dataset.transformations {
            if redact_text(transformation) {
                places.push(format!("the transformation of the {} data", dataset.role));
            }
        }
    }
    for (name, text) in request.claims.iter_mut().flat_map(|claims| &mut claims.facts) {
        if redact_fact(name, text) {
            places.push(format!("the fact \"{name}\""));
        }
    }
    if request.note.as_mut().is_some_and(redact_text) {
        places.push("the note".to_owned());
    }
    request.redacted.extend(places);
}
