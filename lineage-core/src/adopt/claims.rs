//! What the small files beside a model say of it: metrics, settings, columns, dates.

use std::collections::{BTreeMap, BTreeSet};

use super::words;
use crate::context::Timestamp;
use crate::events::{Metric, MetricValue, Parameter, ParameterType};
use crate::names::MetricName;
use crate::record::{features_from_file, parameters_from_json};
use crate::redaction;

/// What was read; none of it was checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Told {
    pub(super) metrics: Vec<Metric>,
    pub(super) params: Vec<Parameter>,
    pub(super) features: Vec<String>,
    pub(super) target: Option<String>,
    pub(super) seed: Option<String>,
    /// The moment, and where it is written.
    pub(super) created: Option<(Timestamp, String)>,
    /// Names of the run or model, which may tell which model it is.
    pub(super) names: Vec<String>,
    pub(super) facts: BTreeMap<String, String>,
    /// Files that could not be read, and why.
    pub(super) unreadable: Vec<(String, String)>,
    /// Features that are listed twice.
    pub(super) repeated: Vec<String>,
}

const METRIC_FILES: [&str; 11] = [
    "metric",
    "summary",
    "eval",
    "score",
    "result",
    "report",
    "performance",
    "kpi",
    "validation",
    "test",
    "quality",
];
const METRICS: [&str; 24] = [
    "auc",
    "roc",
    "ap",
    "pr",
    "accuracy",
    "acc",
    "f1",
    "precision",
    "recall",
    "loss",
    "logloss",
    "rmse",
    "mse",
    "mae",
    "mape",
    "r2",
    "ks",
    "gini",
    "brier",
    "fpr",
    "tpr",
    "auprc",
    "auroc",
    "score",
];
const SETTINGS: [&str; 13] = [
    "thr",
    "threshold",
    "seed",
    "state",
    "epochs",
    "depth",
    "estimators",
    "rate",
    "lr",
    "alpha",
    "lambda",
    "batch",
    "size",
];
const DATES: [&str; 11] = [
    "timestamp",
    "trained_at",
    "created",
    "created_at",
    "date",
    "training_date",
    "train_date",
    "finished_at",
    "completed_at",
    "end_time",
    "trained_on",
];
const NAMES: [&str; 4] = ["run_name", "model_name", "model_id", "experiment_name"];
const TARGETS: [&str; 6] =
    ["target", "target_column", "label", "label_column", "label_col", "target_col"];
/// A longer text is a document, not a fact.
const FACT_BYTES_MAX: usize = 8 * 1024;

/// Reads the files that describe one model: name and content of each.
pub(super) fn read(files: &[(String, Vec<u8>)]) -> Told {
    let mut told = Told::default();
    for (name, bytes) in files {
        let text = match super::text(bytes) {
            Some(text) => text,
            None => {
                told.unreadable.push((name.clone(), "it is no text".to_owned()));
                continue;
            }
        };
        if text.contains("\"lineage.metadata/1\"") {
            continue;
        }
        let result = match is_feature_list(name) {
            true => features_from_file(text.as_bytes()).map(|found| told.add_features(found)),
            false => parameters_from_json(text.as_bytes()).map(|found| told.add(name, found)),
        };
        if let Err(error) = result {
            told.unreadable.push((name.clone(), error.to_string()));
        }
    }
    told
}

/// Whether a file's name says that it lists feature columns.
pub(super) fn is_feature_list(name: &str) -> bool {
    let (stem, ending) = words::split_ending(words::last_part(name));
    let stem = stem.to_ascii_lowercase();
    let importance = stem.contains("importance");
    matches!(ending.as_str(), "json" | "txt")
        && !importance
        && (stem.contains("feature") || stem.ends_with("columns"))
}

/// Whether the name of a file that lies beside a model says that it describes one.
pub(super) fn speaks_of_a_model(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let other = ["config", "param", "threshold", "model", "train"];
    is_feature_list(&name) || METRIC_FILES.iter().chain(&other).any(|word| name.contains(word))
}

impl Told {
    fn add_features(&mut self, found: Vec<String>) {
        let mut seen: BTreeSet<String> = self.features.iter().cloned().collect();
        for name in found {
            match seen.insert(name.clone()) {
                true => self.features.push(name),
                false => self.repeated.push(name),
            }
        }
    }

    fn add(&mut self, file: &str, leaves: Vec<Parameter>) {
        let base = words::last_part(file).to_ascii_lowercase();
        let of_metrics = METRIC_FILES.iter().any(|word| base.contains(word));
        for mut leaf in leaves {
            let name = leaf.name.as_str().to_owned();
            let key = name.rsplit('.').next().unwrap_or(&name).to_ascii_lowercase();
            if redaction::is_secret_name(&name) {
                leaf.text = redaction::REMOVED.to_owned();
                leaf.r#type = ParameterType::String;
                self.params.push(leaf);
                continue;
            }
            if DATES.contains(&key.as_str())
                && let Some(time) = words::moment(&leaf.text)
            {
                self.date(time, format!("{file}: {name}"));
                self.fact(file, &name, &leaf.text);
                continue;
            }
            let number = matches!(leaf.r#type, ParameterType::Int | ParameterType::Float);
            match MetricValue::parse(&leaf.text).filter(|_| number) {
                Some(value) => self.number(file, (name, key), value, leaf, of_metrics),
                None => self.word(file, name, &key, leaf, of_metrics),
            }
        }
    }

    fn number(
        &mut self,
        file: &str,
        (name, key): (String, String),
        value: MetricValue,
        leaf: Parameter,
        of_metrics: bool,
    ) {
        let says = |words: &[&str]| key.split(['_', '-', ' ']).any(|word| words.contains(&word));
        let metric = says(&METRICS) || (of_metrics && !says(&SETTINGS));
        if matches!(key.as_str(), "seed" | "random_state" | "random_seed")
            && leaf.r#type == ParameterType::Int
            && self.seed.is_none()
        {
            self.seed = Some(leaf.text.clone());
        }
        if !metric {
            return self.param(file, leaf);
        }
        let Ok(MetricName { split, name }) = name.parse() else {
            return self.fact(file, &name, &leaf.text);
        };
        let same = self.metrics.iter().find(|known| known.split == split && known.name == name);
        match same {
            None => self.metrics.push(Metric { split, name, value }),
            Some(known) if known.value == value => {}
            Some(_) => self.fact(file, &name, &leaf.text),
        }
    }

    fn word(&mut self, file: &str, name: String, key: &str, leaf: Parameter, of_metrics: bool) {
        let string = leaf.r#type == ParameterType::String;
        if string && NAMES.contains(&key) {
            self.names.push(leaf.text.clone());
        }
        if string && TARGETS.contains(&key) && self.target.is_none() {
            self.target = Some(leaf.text.clone());
        }
        if of_metrics || string {
            self.fact(file, &name, &leaf.text);
        } else {
            self.param(file, leaf);
        }
    }

    fn param(&mut self, file: &str, leaf: Parameter) {
        match self.params.iter().find(|known| known.name == leaf.name) {
            None => self.params.push(leaf),
            Some(known) if known.text == leaf.text => {}
            Some(_) => self.fact(file, leaf.name.as_str(), &leaf.text),
        }
    }

    fn fact(&mut self, file: &str, name: &str, text: &str) {
        if text.len() <= FACT_BYTES_MAX {
            self.facts.insert(format!("{file}: {name}"), text.to_owned());
        } else {
            self.unreadable.push((file.to_owned(), format!("{name} is too long to be kept")));
        }
    }

    /// The latest of several dates counts: that is when all of it was there.
    fn date(&mut self, time: Timestamp, place: String) {
        if self.created.as_ref().is_none_or(|(known, _)| *known < time) {
            self.created = Some((time, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[(&str, &str)]) -> Told {
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect();
        read(&files)
    }

    #[test]
    fn metrics_settings_columns_and_dates_are_told_apart() {
        let told = told(&[
            ("features.json", r#"{"numeric": ["amount", "hour"], "categorical": ["amount"]}"#),
            (
                "threshold.json",
                "\u{feff}{\"threshold\": 0.5,\r\n \"trained_at\": \"20251013\"}\r\n",
            ),
            (
                "training_summary.json",
                r#"{"run_name": "fraud_candidate", "ap_val": 0.25, "thr_selected": 0.5,
                    "label_column": "is_fraud", "random_state": 7, "timestamp": "20251014"}"#,
            ),
            ("config.json", r#"{"max_depth": 3, "api_key": "hunter2", "early": true}"#),
            ("broken.json", "{"),
        ]);
        let metrics: Vec<_> = told.metrics.iter().map(|m| m.full_name().to_string()).collect();
        assert_eq!(metrics, ["ap_val"]);
        let params: Vec<_> = told.params.iter().map(|p| format!("{}={}", p.name, p.text)).collect();
        assert_eq!(
            params,
            [
                "threshold=0.5",
                "random_state=7",
                "thr_selected=0.5",
                "api_key=[removed]",
                "early=true",
                "max_depth=3"
            ]
        );
        assert_eq!(told.features, ["amount", "hour"]);
        assert_eq!(told.repeated, ["amount"]);
        assert_eq!(told.target.as_deref(), Some("is_fraud"));
        assert_eq!(told.seed.as_deref(), Some("7"));
        assert_eq!(told.names, ["fraud_candidate"]);
        let (time, place) = told.created.unwrap();
        assert_eq!(time.to_string(), "2025-10-14T00:00:00.000000Z");
        assert_eq!(place, "training_summary.json: timestamp");
        assert_eq!(told.unreadable.len(), 1);
    }

    #[test]
    fn a_metric_that_two_files_give_differently_is_kept_twice() {
        let told =
            told(&[("a_metrics.json", r#"{"auc": 0.9}"#), ("b_metrics.json", r#"{"auc": 0.8}"#)]);
        assert_eq!(told.metrics.len(), 1);
        assert_eq!(told.facts["b_metrics.json: auc"], "0.8");
    }
}
