//! Counting what is in the database and what is in the registry, each by itself.

use std::collections::BTreeMap;

use super::super::import::{Counts, points};
use super::super::report::{Count, LeftTable};
use super::pieces::DATES;
use crate::events::SessionFacts;
use crate::record::RecordRequest;
use crate::store::ForeignDatabase;
use crate::takeover::TakeoverError;

/// Tables that are imported whole.
const TABLES: [&str; 19] = [
    "experiments",
    "experiment_tags",
    "runs",
    "params",
    "latest_metrics",
    "metrics",
    "tags",
    "datasets",
    "inputs",
    "input_tags",
    "registered_models",
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
    "logged_models",
    "logged_model_params",
    "logged_model_tags",
    "logged_model_metrics",
];

/// Tables whose dates are counted.
const DATED: [&str; 5] =
    ["experiments", "runs", "registered_models", "model_versions", "logged_models"];

/// Tables with nothing of a training in them.
const OWN: [&str; 4] = ["alembic_version", "workspaces", "scheduler_leases", "job_locks"];

/// What was found in the registry.
#[derive(Default)]
pub(super) struct Tally {
    counts: Counts,
    pub(super) infinite: u64,
}

impl Tally {
    /// Counts one session: as it stands in the log, or in a dry run as it would.
    pub(super) fn add(&mut self, request: &RecordRequest, recorded: Option<&SessionFacts>) {
        let none = BTreeMap::new();
        let claims = recorded.map_or(request.claims.as_ref(), |found| found.claims.as_ref());
        let facts = claims.map_or(&none, |claims| &claims.facts);
        let (params, metrics, tags, points) = match recorded {
            Some(found) => (
                found.params.len() as u64,
                found.metrics.len() as u64,
                found.tags.len() as u64,
                found.points.len() as u64 + found.series.iter().map(|s| s.points).sum::<u64>(),
            ),
            None => (
                request.params.len() as u64,
                request.metrics.len() as u64,
                request.tags.len() as u64,
                points(&request.series),
            ),
        };
        let starting =
            |prefix: &str| facts.keys().filter(|key| key.starts_with(prefix)).count() as u64;
        let params = params + starting("param ");
        let tags = tags + starting("tag ");
        let mut add = |kind, number: u64| *self.counts.entry(kind).or_default() += number;
        match facts.get("mlflow").map(String::as_str) {
            Some("experiment") => {
                add("experiments", 1);
                add("experiment_tags", tags);
            }
            Some("run") => {
                add("runs", 1);
                add("params", params);
                add("latest_metrics", metrics);
                add("metrics", points);
                add("tags", tags);
                let inputs = facts.keys().filter(|key| key.starts_with("input "));
                add("inputs", inputs.clone().filter(|k| k.ends_with(".input_uuid")).count() as u64);
                add("input_tags", inputs.filter(|key| key.contains(".tag ")).count() as u64);
            }
            Some("dataset") => add("datasets", 1),
            Some("registered-model") => {
                add("registered_models", 1);
                add("registered_model_tags", tags);
                add("registered_model_aliases", starting("alias "));
            }
            Some("logged-model") => {
                add("logged_models", 1);
                add("logged_model_params", params);
                add("logged_model_tags", tags);
                add("logged_model_metrics", points);
            }
            _ => {}
        }
        add("model_versions", u64::from(facts.contains_key("version.version")));
        add("model_version_tags", starting("version tag "));
        let dated = facts.keys().filter(|key| {
            let column = key.strip_prefix("version.").unwrap_or(key);
            DATES.contains(&column)
        });
        add("dates", dated.count() as u64);
    }

    /// Beside what the database holds now.
    pub(super) fn compare(&self, database: &ForeignDatabase) -> Result<Vec<Count>, TakeoverError> {
        let mut counts = Vec::new();
        for table in TABLES {
            let Some(found) = database.count(table, None)? else { continue };
            let imported = self.counts.get(table).copied().unwrap_or(0);
            counts.push(Count { kind: table.to_owned(), found, imported });
        }
        let mut found = 0;
        for table in DATED {
            for column in DATES {
                found += database.count(table, Some(column))?.unwrap_or(0);
            }
        }
        let imported = self.counts.get("dates").copied().unwrap_or(0);
        counts.push(Count { kind: "dates".to_owned(), found, imported });
        Ok(counts)
    }
}

/// Tables with rows that were not looked at.
pub(super) fn left(database: &ForeignDatabase) -> Result<Vec<LeftTable>, TakeoverError> {
    let mut left = Vec::new();
    for table in database.tables()? {
        let ours = TABLES.contains(&table.as_str()) || OWN.contains(&table.as_str());
        let rows = if ours { None } else { database.count(&table, None)? };
        if let Some(rows) = rows.filter(|rows| *rows > 0) {
            left.push(LeftTable { table, rows });
        }
    }
    Ok(left)
}
