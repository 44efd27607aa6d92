//! What a version was made from, what was made from it, and where each of these was live.

mod dot;
mod layers;
mod mermaid;
mod svg;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::Serialize;

use crate::context::Timestamp;
use crate::digest::Sha256;
use crate::events::{DatasetUse, Event};
use crate::lookup::{self, LookupError};
use crate::names::{ModelName, PointerName, Reference};
use crate::store::{Reader, StoreError, VersionRow};
use crate::tenure::{Tenure, Turn, tenures};

/// Versions, the data that they were made from, and the pointers that named them.
#[derive(Debug, Clone, Serialize)]
pub struct Graph {
    /// The version that was asked for: the id of its node.
    pub root: String,
    /// Each once, in the order in which they were met.
    pub nodes: Vec<Node>,
    /// From what was there before to what came of it.
    pub edges: Vec<Edge>,
    /// Whether something was left out: beyond the depth, or beyond the largest number of versions.
    pub truncated: bool,
}

/// A thing in the graph.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// Unique in the graph: `fraud@3`, `sha256:…`, `pointer:fraud@prod`.
    pub id: String,
    /// What it is.
    #[serde(flatten)]
    pub thing: Thing,
}

/// What a node stands for.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[allow(missing_docs, reason = "as in the rows")]
pub enum Thing {
    Version {
        model: ModelName,
        version: u64,
        label: Option<String>,
        sha256: Sha256,
        created: Timestamp,
        session: String,
    },
    Dataset {
        sha256: Sha256,
        content_sha256: Option<Sha256>,
        rows: Option<u64>,
        /// Where it was first met.
        path: String,
    },
    Pointer {
        model: ModelName,
        pointer: PointerName,
    },
}

/// That one thing led to another.
#[derive(Debug, Clone, Serialize)]
pub struct Edge {
    /// The id of the earlier node.
    pub from: String,
    /// The id of the later node.
    pub to: String,
    /// How.
    #[serde(flatten)]
    pub link: Link,
}

/// How one thing led to another.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[allow(missing_docs, reason = "as in the rows")]
pub enum Link {
    /// The dataset was used to make the version.
    Data {
        role: String,
        name: String,
        path: String,
        source: Option<String>,
        transformations: Vec<String>,
    },
    /// The version was made from the other.
    Derived,
    /// The pointer named the version for a time.
    Live { since: Turn, until: Option<Turn> },
}

/// More versions are not followed.
const VERSIONS_MAX: usize = 1000;

/// The graph around a version: what it was made from and what was made from it, at most `depth`
/// derivations away, with their data and pointers.
pub fn graph(reader: &Reader<'_>, reference: &Reference, depth: u64) -> Result<Graph, LookupError> {
    let root = lookup::version(reader, reference)?;
    let mut builder = Builder::default();
    let ancestors = builder.follow(reader, &root, depth, Direction::Up)?;
    let descendants = builder.follow(reader, &root, depth, Direction::Down)?;
    let versions = [&root].into_iter().chain(&ancestors).chain(&descendants);
    for row in versions.clone() {
        builder.version(row);
    }
    // Data belongs to the ancestry; what else went into descendants is another question.
    for row in [&root].into_iter().chain(&ancestors) {
        builder.datasets(reader, row)?;
    }
    builder.derivations(reader, versions.clone())?;
    builder.pointers(reader, versions)?;
    Ok(Graph {
        root: root.reference(),
        nodes: builder.nodes,
        edges: builder.edges,
        truncated: builder.truncated,
    })
}

impl Graph {
    /// The node with an id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// As a document of Graphviz.
    pub fn to_dot(&self) -> String {
        dot::write(self)
    }

    /// As a document of Mermaid.
    pub fn to_mermaid(&self) -> String {
        mermaid::write(self)
    }

    /// As a picture.
    pub fn to_svg(&self) -> String {
        svg::write(self)
    }
}

impl Node {
    /// What a picture says of it: one or two lines.
    fn lines(&self) -> Vec<String> {
        match &self.thing {
            Thing::Version { label, sha256, .. } => {
                let label = label.as_ref().map(|label| format!("{label}  ")).unwrap_or_default();
                vec![self.id.clone(), format!("{label}{}", sha256.short())]
            }
            Thing::Dataset { path, sha256, .. } => vec![path.clone(), sha256.short()],
            Thing::Pointer { model, pointer } => vec![format!("{model}@{pointer}")],
        }
    }
}

impl Edge {
    /// What a picture writes on it.
    fn label(&self) -> String {
        match &self.link {
            Link::Data { role, transformations, .. } if transformations.is_empty() => role.clone(),
            Link::Data { role, transformations, .. } => {
                format!("{role}: {}", transformations.join(", "))
            }
            Link::Derived => "base".to_owned(),
            Link::Live { since, until } => {
                let day = |turn: &Turn| turn.time.to_string().chars().take(10).collect::<String>();
                match until {
                    None => format!("since {}", day(since)),
                    Some(until) => format!("{} to {}", day(since), day(until)),
                }
            }
        }
    }

    /// Whether it says what holds now, and not what once held.
    fn holds(&self) -> bool {
        !matches!(self.link, Link::Live { until: Some(_), .. })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Up,
    Down,
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    ids: BTreeSet<String>,
    truncated: bool,
}

impl Builder {
    /// The versions above or below one, without itself, the nearest first.
    fn follow(
        &mut self,
        reader: &Reader<'_>,
        root: &VersionRow,
        depth: u64,
        direction: Direction,
    ) -> Result<Vec<VersionRow>, StoreError> {
        let mut seen = BTreeSet::from([root.reference()]);
        let mut queue = VecDeque::from([(root.clone(), 0)]);
        let mut found = Vec::new();
        while let Some((row, distance)) = queue.pop_front() {
            let next = match direction {
                Direction::Up => reader.bases(&row.model, row.number)?,
                Direction::Down => reader.derived(&row.model, row.number)?,
            };
            for other in next {
                if seen.contains(&other.reference()) {
                    continue;
                }
                if distance == depth || found.len() == VERSIONS_MAX {
                    self.truncated = true;
                    continue;
                }
                seen.insert(other.reference());
                found.push(other.clone());
                queue.push_back((other, distance + 1));
            }
        }
        Ok(found)
    }

    fn node(&mut self, id: String, thing: Thing) {
        if self.ids.insert(id.clone()) {
            self.nodes.push(Node { id, thing });
        }
    }

    fn version(&mut self, row: &VersionRow) {
        let thing = Thing::Version {
            model: row.model.clone(),
            version: row.number,
            label: row.label.as_ref().map(ToString::to_string),
            sha256: row.sha256,
            created: row.created,
            session: row.session.clone(),
        };
        self.node(row.reference(), thing);
    }

    fn datasets(&mut self, reader: &Reader<'_>, row: &VersionRow) -> Result<(), StoreError> {
        let (entry, _) = lookup::entry(reader, row.seq)?;
        let Event::SessionCompleted(details) = entry.event()? else { return Ok(()) };
        for dataset in details.datasets {
            let id = format!("sha256:{}", dataset.sha256);
            let DatasetUse { role, name, path, source, transformations, .. } = dataset;
            let table = dataset.table.as_ref();
            let thing = Thing::Dataset {
                sha256: dataset.sha256,
                content_sha256: table.and_then(|table| table.content_sha256),
                rows: table.map(|table| table.rows),
                path: path.clone(),
            };
            self.node(id.clone(), thing);
            let (role, name) = (role.to_string(), name.to_string());
            let link = Link::Data { role, name, path, source, transformations };
            self.edges.push(Edge { from: id, to: row.reference(), link });
        }
        Ok(())
    }

    /// Every derivation between versions of the graph.
    fn derivations<'r>(
        &mut self,
        reader: &Reader<'_>,
        versions: impl Iterator<Item = &'r VersionRow>,
    ) -> Result<(), StoreError> {
        for row in versions {
            for base in reader.bases(&row.model, row.number)? {
                if self.ids.contains(&base.reference()) {
                    let (from, to) = (base.reference(), row.reference());
                    self.edges.push(Edge { from, to, link: Link::Derived });
                }
            }
        }
        Ok(())
    }

    fn pointers<'r>(
        &mut self,
        reader: &Reader<'_>,
        versions: impl Iterator<Item = &'r VersionRow>,
    ) -> Result<(), StoreError> {
        let mut known: BTreeMap<ModelName, Vec<Tenure>> = BTreeMap::new();
        for row in versions {
            if !known.contains_key(&row.model) {
                known.insert(row.model.clone(), tenures(reader, &row.model)?);
            }
            let own = known.get(&row.model).into_iter().flatten();
            for tenure in own.filter(|tenure| tenure.version == row.number) {
                let id = format!("pointer:{}@{}", tenure.model, tenure.pointer);
                let (model, pointer) = (tenure.model.clone(), tenure.pointer.clone());
                self.node(id.clone(), Thing::Pointer { model, pointer });
                let (since, until) = (tenure.since.clone(), tenure.until.clone());
                let link = Link::Live { since, until };
                self.edges.push(Edge { from: row.reference(), to: id, link });
            }
        }
        Ok(())
    }
}
