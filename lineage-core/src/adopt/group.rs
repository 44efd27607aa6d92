//! Which files and folders are one artifact each.

use std::collections::{BTreeMap, BTreeSet};

use super::words;
use crate::digest::Kind;

/// A file of the folder that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Relative to that folder, with `/`.
    pub(super) path: String,
    pub(super) size_bytes: u64,
    /// When it was last changed, in microseconds since 1970.
    pub(super) modified_us: i64,
}

/// One artifact to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Relative to the folder that is looked at; a file or a folder.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// The model files that it consists of.
    pub(super) models: Vec<String>,
}

/// Files that make their folder one model in a format of its own.
const MARKERS: [&str; 2] = ["MLmodel", "saved_model.pb"];

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Finds the artifacts: a folder with models in it is one, with all that is below it. In folders that
/// hold versions side by side (by their name, or because the names of the models differ in digits
/// alone) each model file is one.
pub(super) fn group(files: &[Listed]) -> Vec<Group> {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut whole: BTreeSet<&str> = BTreeSet::new();
    for file in files {
        if MARKERS.contains(&words::last_part(&file.path)) {
            whole.insert(parent(&file.path));
            folders.entry(parent(&file.path)).or_default();
        }
        if words::is_model(&file.path) {
            folders.entry(parent(&file.path)).or_default().push(&file.path);
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for (folder, models) in folders {
        let inside = |group: &Group| {
            group.kind == Kind::Directory
                && folder.strip_prefix(&group.path).is_some_and(|rest| rest.starts_with('/'))
        };
        if let Some(around) = groups.iter_mut().find(|group| inside(group)) {
            around.models.extend(models.iter().map(|path| (*path).to_owned()));
            continue;
        }
        let own = |path: &&str| (*path).to_owned();
        if folder.is_empty() || (!whole.contains(folder) && side_by_side(folder, &models)) {
            groups.extend(models.iter().map(|path| Group {
                path: own(path),
                kind: Kind::File,
                models: vec![own(path)],
            }));
        } else {
            let models = models.iter().map(own).collect();
            groups.push(Group { path: folder.to_owned(), kind: Kind::Directory, models });
        }
    }
    groups.sort_by(|a, b| a.path.cmp(&b.path));
    groups
}

fn side_by_side(folder: &str, models: &[&str]) -> bool {
    let mut skeletons = models.iter().map(|path| words::skeleton(words::last_part(path)));
    let first = skeletons.next();
    words::is_container(words::last_part(folder))
        || (models.len() > 1 && skeletons.all(|other| Some(other) == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouped(paths: &[&str]) -> Vec<String> {
        let file = |path: &&str| Listed { path: (*path).to_owned(), size_bytes: 1, modified_us: 0 };
        let files: Vec<Listed> = paths.iter().map(file).collect();
        let shown = |group: Group| {
            let slash = if group.kind == Kind::Directory { "/" } else { "" };
            format!("{}{slash} {}", group.path, group.models.len())
        };
        group(&files).into_iter().map(shown).collect()
    }

    #[test]
    fn a_folder_of_one_training_is_one_artifact() {
        let found = grouped(&[
            "models/A/model.joblib",
            "models/A/threshold.json",
            "models/B/model.joblib",
            "models/B/scaler.pkl",
            "models/B/deep/part.onnx",
            "models/PROD_POINTER.txt",
        ]);
        assert_eq!(found, ["models/A/ 1", "models/B/ 3"]);
    }

    #[test]
    fn versions_side_by_side_are_one_each() {
        let found =
            grouped(&["models/a.pkl", "models/b.pkl", "x/m_v1.pt", "x/m_v12.pt", "top.onnx"]);
        assert_eq!(
            found,
            ["models/a.pkl 1", "models/b.pkl 1", "top.onnx 1", "x/m_v1.pt 1", "x/m_v12.pt 1"]
        );
    }

    #[test]
    fn formats_that_are_folders_stay_whole() {
        let found =
            grouped(&["model/MLmodel", "model/model.pkl", "tf/1/saved_model.pb", "data/x.pkl"]);
        assert_eq!(found, ["model/ 1", "tf/1/ 1"]);
    }
}
