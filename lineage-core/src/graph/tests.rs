use super::*;
use proptest::prelude::*;

/// A graph of datasets and versions with hostile names.
fn made_of(names: &[String], links: &[(usize, usize)]) -> Graph {
    let digest = Sha256::of(b"x");
    let nodes: Vec<Node> = names
        .iter()
        .enumerate()
        .map(|(index, name)| Node {
            id: format!("{index}{name}"),
            thing: Thing::Dataset {
                sha256: digest,
                content_sha256: None,
                rows: None,
                path: name.clone(),
            },
        })
        .collect();
    let edges = links
        .iter()
        .map(|(from, to)| Edge {
            from: nodes[from % nodes.len()].id.clone(),
            to: nodes[to % nodes.len()].id.clone(),
            link: Link::Data {
                role: "training".to_owned(),
                name: "n".to_owned(),
                path: "p".to_owned(),
                source: None,
                transformations: vec![names[0].clone()],
            },
        })
        .collect();
    Graph { root: nodes[0].id.clone(), nodes, edges, truncated: false }
}

/// Whether a picture is balanced markup with only the elements that we write.
fn is_plain_svg(text: &str) -> bool {
    let known = ["svg", "title", "defs", "marker", "path", "rect", "text", "g"];
    let mut open: Vec<&str> = Vec::new();
    for part in text.split('<').skip(1) {
        let Some((tag, _)) = part.split_once('>') else { return false };
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return false;
            }
            continue;
        }
        let name = tag.split([' ', '/']).next().unwrap();
        if !known.contains(&name) || tag.matches('"').count() % 2 != 0 {
            return false;
        }
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    open.is_empty() && text.chars().all(|c| c == '\n' || !c.is_control())
}

#[test]
fn hostile_names_stay_text() {
    let names: Vec<String> = [
        "</text><script>alert(1)</script>",
        "\" onload=\"x",
        "a\"]; evil [label=\"b",
        "n0[\"x\"]-->|y| #quot; <b>",
        "line\nbreak\u{1b}[2J",
        "\\\" -> \\N",
    ]
    .map(str::to_owned)
    .into();
    let graph = made_of(&names, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]);
    assert!(is_plain_svg(&graph.to_svg()), "{}", graph.to_svg());
    let dot = graph.to_dot();
    assert!(dot.contains("evil [label=\\\"b"), "{dot}");
    assert_eq!(dot.lines().count(), 3 + 6 + 5 + 1, "{dot}");
    let mermaid = graph.to_mermaid();
    assert_eq!(mermaid.lines().count(), 1 + 6 + 5 + 1, "{mermaid}");
    assert!(!mermaid.contains("script>") && !mermaid.contains("#quot;"), "{mermaid}");
}

proptest! {
    #[test]
    fn every_graph_has_places_of_its_own(
        names in prop::collection::vec("\\PC{0,6}", 1..12),
        links in prop::collection::vec((0_usize..12, 0_usize..12), 0..30),
    ) {
        // Circles too, which no sound registry has.
        let graph = made_of(&names, &links);
        let places = layers::places(&graph).nodes;
        let distinct: BTreeSet<_> = places.iter().collect();
        prop_assert_eq!(distinct.len(), names.len());
        prop_assert!(is_plain_svg(&graph.to_svg()));
    }
}
