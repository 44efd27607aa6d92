//! Places for the nodes of a picture: columns from what was first to what came of it, and in each
//! column an order with few crossings.

use std::collections::BTreeMap;

use super::{Graph, Thing};

/// A column and a row.
pub(super) type Place = (usize, usize);

/// Where everything is.
pub(super) struct Places {
    /// Of each node of the graph, by its index.
    pub(super) nodes: Vec<Place>,
    /// Of the ends of each edge, and between them the free places through which it goes past other
    /// nodes, by its index; empty for an edge between nodes that the graph lacks.
    pub(super) edges: Vec<Vec<Place>>,
}

pub(super) fn places(graph: &Graph) -> Places {
    let index: BTreeMap<&str, usize> =
        graph.nodes.iter().enumerate().map(|(index, node)| (node.id.as_str(), index)).collect();
    let ends: Vec<Option<(usize, usize)>> = graph
        .edges
        .iter()
        .map(|edge| Some((*index.get(edge.from.as_str())?, *index.get(edge.to.as_str())?)))
        .collect();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); graph.nodes.len()];
    for (from, to) in ends.iter().flatten() {
        before[*to].push(*from);
    }
    let mut columns = columns(graph, &before);
    // What lies between the ends of a long edge gets a place in each column that it crosses.
    let mut ways: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (from, to) in ends.iter().flatten() {
        ways.entry((*from, *to)).or_insert_with(|| {
            let mut way = vec![*from];
            for column in columns[*from] + 1..columns[*to] {
                before.push(way.last().copied().into_iter().collect());
                way.push(columns.len());
                columns.push(column);
            }
            way.push(*to);
            way
        });
    }
    let rows = rows(&columns, &before);
    let place = |vertex: &usize| (columns[*vertex], rows[*vertex]);
    let way = |ends: &Option<(usize, usize)>| {
        let way = ends.and_then(|ends| ways.get(&ends));
        way.map(|way| way.iter().map(place).collect()).unwrap_or_default()
    };
    Places {
        nodes: (0..graph.nodes.len()).map(|node| place(&node)).collect(),
        edges: ends.iter().map(way).collect(),
    }
}

/// In each column, each beside what it came from: by the mean of their rows.
fn rows(columns: &[usize], before: &[Vec<usize>]) -> Vec<usize> {
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (vertex, column) in columns.iter().enumerate() {
        members.entry(*column).or_default().push(vertex);
    }
    let mut rows = vec![0; columns.len()];
    for (_, mut members) in members {
        members.sort_by_key(|vertex| {
            let above = &before[*vertex];
            let sum: usize = above.iter().map(|other| rows[*other] * 1000).sum();
            (sum.checked_div(above.len()).unwrap_or(usize::MAX), *vertex)
        });
        for (row, vertex) in members.into_iter().enumerate() {
            rows[vertex] = row;
        }
    }
    rows
}

/// The longest way from a beginning; data beside the first version that it went into, and pointers in
/// a last column of their own.
fn columns(graph: &Graph, before: &[Vec<usize>]) -> Vec<usize> {
    let count = graph.nodes.len();
    let mut columns = vec![0; count];
    // A version follows its bases, so each round settles at least one more column. The bound holds also
    // for a registry whose tables were edited into a circle.
    for _ in 0..count {
        let mut changed = false;
        for node in 0..count {
            let after = before[node].iter().map(|other| columns[*other] + 1).max().unwrap_or(0);
            if after > columns[node] && after <= count {
                columns[node] = after;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    for node in 0..count {
        if matches!(graph.nodes[node].thing, Thing::Dataset { .. }) {
            let users = (0..count).filter(|other| before[*other].contains(&node));
            let first = users.map(|user| columns[user]).min().unwrap_or(1);
            columns[node] = first.saturating_sub(1);
        }
    }
    let is_pointer = |node: &usize| matches!(graph.nodes[*node].thing, Thing::Pointer { .. });
    let others = (0..count).filter(|node| !is_pointer(node));
    let last = others.map(|node| columns[node] + 1).max().unwrap_or(0);
    for node in (0..count).filter(is_pointer) {
        columns[node] = last;
    }
    columns
}
