//! `lineage graph`

use std::collections::BTreeSet;

use clap::ValueEnum;
use lineage_core::graph::{Edge, Graph, Link, Thing, graph};
use lineage_core::names::Reference;
use lineage_core::tenure::Turn;

use crate::args::Global;
use crate::error::CliError;
use crate::output::Output;
use crate::{render, settings};

/// Show what a version was made from, what was made from it, and where these were live
///
/// Datasets stand with their transformations and sources, base models as named by --derived-from, and
/// pointers with the times in which they named a version. DOT is for Graphviz; the SVG needs nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    lineage graph fraud@3\n  \
    lineage graph fraud@prod --format svg > lineage.svg\n  \
    lineage graph fraud@3 --format dot | dot -Tpdf > lineage.pdf\n  \
    lineage graph fraud@3 --depth 1 --json")]
pub(crate) struct GraphArgs {
    /// fraud@3, fraud@1.0.0, fraud@prod, fraud@latest or fraud@sha256:1b34b7
    #[arg(value_name = "REF")]
    reference: Reference,
    /// How to show it; --json is the same as json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Follow derivations so many steps up and down
    #[arg(long, value_name = "N", default_value_t = 20)]
    depth: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Dot,
    Mermaid,
    Json,
    Svg,
}

pub(crate) fn run(args: &GraphArgs, global: &Global, output: &mut Output) -> Result<(), CliError> {
    let found = settings::looking_up(global, output, |registry, _, _| {
        Ok(registry.read(|reader| graph(reader, &args.reference, args.depth))?)
    })?;
    if found.truncated {
        output.warning("not every derivation is shown; --depth N follows more of them");
    }
    match args.format {
        _ if output.is_json() => output.document("lineage.graph/1", &found),
        Format::Text => {
            output.result("lineage.graph/1", &found, &found.root, || Tree::new(&found).write())
        }
        Format::Json => output.document("lineage.graph/1", &found),
        Format::Dot => output.text(&found.to_dot()),
        Format::Mermaid => output.text(&found.to_mermaid()),
        Format::Svg => output.text(&found.to_svg()),
    }
}

/// The text for people: a tree whose branches are what each version was made from and led to.
struct Tree<'a> {
    graph: &'a Graph,
    lines: Vec<String>,
    /// Versions whose branches stand already.
    told: BTreeSet<&'a str>,
}

/// A branch: its text, and what hangs on it.
struct Branch {
    text: String,
    below: Vec<Branch>,
}

impl Branch {
    fn leaf(text: String) -> Branch {
        Branch { text, below: Vec::new() }
    }
}

impl<'a> Tree<'a> {
    fn new(graph: &'a Graph) -> Tree<'a> {
        Tree { graph, lines: Vec::new(), told: BTreeSet::new() }
    }

    fn write(mut self) -> String {
        let root = self.graph.root.as_str();
        self.lines.push(self.name(root));
        let mut branches = Vec::new();
        let made_from = self.made_from(root);
        if !made_from.is_empty() {
            branches.push(Branch { text: "made from".to_owned(), below: made_from });
        }
        self.told.clear();
        let led_to = self.led_to(root);
        if !led_to.is_empty() {
            branches.push(Branch { text: "base of".to_owned(), below: led_to });
        }
        let live = self.live(root);
        if !live.is_empty() {
            branches.push(Branch { text: "live at".to_owned(), below: live });
        }
        self.draw(branches, "");
        self.lines.join("\n")
    }

    fn draw(&mut self, branches: Vec<Branch>, indent: &str) {
        let last = branches.len().saturating_sub(1);
        for (index, branch) in branches.into_iter().enumerate() {
            let (fork, down) =
                if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.lines.push(format!("{indent}{fork}{}", branch.text));
            self.draw(branch.below, &format!("{indent}{down}"));
        }
    }

    fn edges(&self, test: impl Fn(&Edge) -> bool) -> Vec<&'a Edge> {
        self.graph.edges.iter().filter(|edge| test(edge)).collect()
    }

    /// A version as one line: its label, digest, date, and where it is live now.
    fn name(&self, id: &str) -> String {
        let Some(node) = self.graph.node(id) else { return render::safe(id) };
        let Thing::Version { label, sha256, created, .. } = &node.thing else {
            return render::safe(id);
        };
        let label = label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
        let live = self.edges(|e| e.from == id && matches!(e.link, Link::Live { until: None, .. }));
        let live: Vec<&str> =
            live.iter().filter_map(|e| e.to.rsplit_once('@')).map(|p| p.1).collect();
        let live = match live.as_slice() {
            [] => String::new(),
            names => format!("  live at {}", names.join(", ")),
        };
        format!("{id}{label}  {}  {}{live}", sha256.short(), render::time(created))
    }

    fn made_from(&mut self, id: &'a str) -> Vec<Branch> {
        let mut branches = Vec::new();
        for edge in self.edges(|edge| edge.to == id) {
            match &edge.link {
                Link::Data { role, path, source, transformations, .. } => {
                    branches.push(self.data(edge, role, path, source.as_deref(), transformations));
                }
                Link::Derived => {
                    let text = format!("base {}", self.name(&edge.from));
                    branches.push(self.once(&edge.from, text, Tree::made_from));
                }
                Link::Live { .. } => {}
            }
        }
        branches
    }

    fn led_to(&mut self, id: &'a str) -> Vec<Branch> {
        let edges = self.edges(|edge| edge.from == id && matches!(edge.link, Link::Derived));
        edges
            .into_iter()
            .map(|edge| self.once(&edge.to, self.name(&edge.to), Tree::led_to))
            .collect()
    }

    /// A version that several others lead to has its branches only once.
    fn once(
        &mut self,
        id: &'a str,
        text: String,
        below: fn(&mut Tree<'a>, &'a str) -> Vec<Branch>,
    ) -> Branch {
        if !self.told.insert(id) {
            return Branch::leaf(format!("{text}  (as above)"));
        }
        Branch { text, below: below(self, id) }
    }

    fn data(
        &self,
        edge: &Edge,
        role: &str,
        path: &str,
        source: Option<&str>,
        transformations: &[String],
    ) -> Branch {
        let (digest, rows) = match self.graph.node(&edge.from).map(|node| &node.thing) {
            Some(Thing::Dataset { sha256, rows, .. }) => (sha256.short(), *rows),
            _ => (String::new(), None),
        };
        let rows = rows.map(|rows| format!("  {}", render::count(rows, "row"))).unwrap_or_default();
        let source = source.map(|source| format!("from {}", render::safe(source)));
        let after = transformations.iter().map(|text| format!("after {}", render::safe(text)));
        Branch {
            text: format!("{}  {}  {digest}{rows}", render::safe(role), render::safe(path)),
            below: source.into_iter().chain(after).map(Branch::leaf).collect(),
        }
    }

    fn live(&self, id: &str) -> Vec<Branch> {
        let mut branches = Vec::new();
        for edge in self.edges(|edge| edge.from == id) {
            if let Link::Live { since, until } = &edge.link {
                let pointer = edge.to.rsplit_once('@').map_or(edge.to.as_str(), |parts| parts.1);
                branches.push(Branch::leaf(format!("{pointer}  {}", times(since, until.as_ref()))));
            }
        }
        branches
    }
}

fn times(since: &Turn, until: Option<&Turn>) -> String {
    let by = |turn: &Turn| format!("by {}", render::safe(&turn.by.to_string()));
    let end = match until {
        Some(until) => format!("until {} {}", render::time(until.time), by(until)),
        None => "and now".to_owned(),
    };
    format!("since {} {}, {end}", render::time(since.time), by(since))
}
