//! Small YAML files of other tools, as a tree of texts. Aliases are refused: no tool that is imported
//! from writes them, and they let a small file stand for a huge one.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A scalar's text, and whether it stood there without quotes.
    Text(String, bool),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

const DEPTH_MAX: usize = 64;

/// The first document of a text. The error says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Node, String> {
    let mut open: Vec<Node> = Vec::new();
    let mut keys: Vec<Option<String>> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        let done = match event {
            Event::Alias(_) => return Err("it holds an alias".to_owned()),
            Event::SequenceStart(..) => {
                open.push(Node::List(Vec::new()));
                keys.push(None);
                None
            }
            Event::MappingStart(..) => {
                open.push(Node::Map(Vec::new()));
                keys.push(None);
                None
            }
            Event::SequenceEnd | Event::MappingEnd => {
                keys.pop();
                open.pop()
            }
            Event::Scalar(text, style, ..) => {
                Some(Node::Text(text.into_owned(), style == ScalarStyle::Plain))
            }
            _ => None,
        };
        if open.len() > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        let Some(node) = done else { continue };
        match (open.last_mut(), keys.last_mut()) {
            (Some(Node::List(items)), _) => items.push(node),
            (Some(Node::Map(members)), Some(key)) => match (key.take(), node) {
                (None, Node::Text(text, _)) => *key = Some(text),
                (None, _) => return Err("a key is not a text".to_owned()),
                (Some(name), node) => {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(format!("the key \"{name}\" occurs twice"));
                    }
                    members.push((name, node));
                }
            },
            _ => return Ok(node),
        }
    }
    Err("it is empty".to_owned())
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text, _) => Some(text),
            _ => None,
        }
    }

    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.text()
    }

    pub(super) fn members(&self) -> &[(String, Node)] {
        match self {
            Node::Map(members) => members,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match self {
            Node::List(items) => items,
            _ => &[],
        }
    }

    /// How many scalars there are in it.
    pub(super) fn leaves(&self) -> u64 {
        match self {
            Node::Text(..) => 1,
            Node::List(items) => items.iter().map(Node::leaves).sum(),
            Node::Map(members) => members.iter().map(|(_, node)| node.leaves()).sum(),
        }
    }

    /// Every scalar under its path: `outs.0.md5`. Secrets are taken out when it is imported.
    pub(super) fn flatten(&self, path: &str, facts: &mut BTreeMap<String, String>) {
        let below = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match self {
            Node::Text(text, _) => {
                let mut key = path.to_owned();
                while facts.contains_key(&key) {
                    key.push('_');
                }
                facts.insert(key, text.clone());
            }
            Node::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.flatten(&below(&index.to_string()), facts);
                }
            }
            Node::Map(members) => {
                for (name, node) in members {
                    node.flatten(&below(name), facts);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_dvc_are_read() {
        let text = "schema: '2.0'\nstages:\n  train:\n    cmd: python train.py --depth=6 >\n      out\n    \
                    deps:\n    - path: a.csv\n      md5: 0\n    outs: []\n";
        let node = parse(text).unwrap();
        assert_eq!(node.text_of("schema"), Some("2.0"));
        let mut facts = BTreeMap::new();
        node.flatten("", &mut facts);
        assert_eq!(facts["stages.train.cmd"], "python train.py --depth=6 > out");
        assert_eq!(facts["stages.train.deps.0.path"], "a.csv");
        assert_eq!(node.leaves(), 4);
    }

    #[test]
    fn what_could_grow_or_mislead_is_refused() {
        let deep = "[".repeat(10_000);
        for bad in [
            "",
            "a: &x [1]\nb: *x\n",
            "a: 1\na: 2\n",
            "? [1]\n: 2\n",
            "a: [",
            "\t- x: y\n z",
            &deep,
        ] {
            assert!(parse(bad).is_err(), "{bad:.40}");
        }
    }
}
