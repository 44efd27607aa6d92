//! The details of `session.started`, `session.updated` and `session.failed`: a training session that is
//! recorded while it runs.

use serde::{Deserialize, Serialize};

use super::session::{Claims, Code, DatasetUse, Metric, Parameter, Payload, Run, Series, Tag};
use crate::context::Timestamp;
use crate::names::{ModelName, Split};

/// A session began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionStarted {
    /// The model that is trained.
    pub model: ModelName,
    /// What is known from the beginning.
    #[serde(flatten)]
    pub facts: SessionFacts,
    /// The key by which a repeated start finds it again, unique per model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// More became known of an open session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionUpdated {
    /// The model that is trained.
    pub model: ModelName,
    /// What became known.
    #[serde(flatten)]
    pub facts: SessionFacts,
}

/// A session ended without a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionFailed {
    /// The model that was trained.
    pub model: ModelName,
    /// Why, in clear.
    pub reason: Option<String>,
    /// What became known at its end.
    #[serde(flatten)]
    pub facts: SessionFacts,
    /// How the training program ran, when `lineage run` started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
}

/// Facts of a session that is not recorded as a whole yet. What has no value is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// Data, with the digests that it had when it was named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<DatasetUse>,
    /// Parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Parameter>,
    /// Metrics that belong to no step; a later value takes the place of an earlier one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Metrics at a step, when they are few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Point>,
    /// Metrics at steps, when they are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Series>,
    /// Free labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Where the artifact will be when the session completes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// What kind of model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_type: Option<String>,
    /// The seed as a decimal string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// Feature columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Target columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
    /// A remark, in clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Where the captured environment lies in the object store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Payload>,
    /// The code that is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// What was claimed of a session that another tracker recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Claims>,
}

/// A metric at a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The data it was measured on.
    pub split: Option<Split>,
    /// The metric's name without the split.
    pub name: String,
    /// The step, e.g. an epoch.
    pub step: i64,
    /// When it was measured, if that is known.
    pub time: Option<Timestamp>,
    /// The value.
    pub value: super::MetricValue,
}

impl SessionFacts {
    /// Adds what became known later.
    pub fn extend(&mut self, later: SessionFacts) {
        self.datasets.extend(later.datasets);
        self.params.extend(later.params);
        for metric in later.metrics {
            let name = metric.full_name();
            self.metrics.retain(|earlier| earlier.full_name() != name);
            self.metrics.push(metric);
        }
        self.points.extend(later.points);
        self.series.extend(later.series);
        for tag in later.tags {
            self.tags.retain(|earlier| earlier.name != tag.name);
            self.tags.push(tag);
        }
        self.artifact = later.artifact.or_else(|| self.artifact.take());
        self.model_type = later.model_type.or_else(|| self.model_type.take());
        self.seed = later.seed.or_else(|| self.seed.take());
        for (own, more) in [(&mut self.features, later.features), (&mut self.target, later.target)]
        {
            for name in more {
                if !own.contains(&name) {
                    own.push(name);
                }
            }
        }
        self.note = later.note.or_else(|| self.note.take());
        self.environment = later.environment.or(self.environment);
        self.code = later.code.or_else(|| self.code.take());
        self.claims = later.claims.or_else(|| self.claims.take());
    }
}
