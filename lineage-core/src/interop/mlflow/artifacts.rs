//! Where the files of a model are, of which MLflow gives a URI.

use std::path::{Path, PathBuf};

use super::folder_of;

/// Folders that may hold artifacts.
pub(super) struct Artifacts {
    roots: Vec<PathBuf>,
    given: bool,
}

impl Artifacts {
    /// The folder that the user names, else those that MLflow makes beside its database.
    pub(super) fn new(database: &Path, given: Option<&Path>) -> Artifacts {
        let folder = folder_of(database);
        match given {
            Some(path) => Artifacts { roots: vec![path.to_owned()], given: true },
            None => {
                let roots = ["mlruns", "mlartifacts", "artifacts"].map(|name| folder.join(name));
                Artifacts { roots: roots.to_vec(), given: false }
            }
        }
    }

    /// The file or folder that a URI means, if it is here. `ids` are those of the experiment, run and
    /// logged model: under a folder of artifacts, a path counts from the first of them.
    pub(super) fn find(&self, uri: &str, ids: &[&str]) -> Option<PathBuf> {
        let path = match uri.split_once(':') {
            Some(("file", rest)) => rest.trim_start_matches("//"),
            Some((scheme, rest)) if scheme.len() > 1 => rest,
            _ => uri,
        };
        let path = path.replace("%20", " ");
        let parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
        if parts.contains(&"..") {
            return None;
        }
        let local = uri.starts_with("file:") || !uri.contains(':');
        if !self.given && local && Path::new(&path).is_absolute() && Path::new(&path).exists() {
            return Some(PathBuf::from(&path));
        }
        let known = |part: &&str| ids.contains(part);
        let starts = parts.iter().enumerate().filter(|(_, part)| known(part)).map(|(at, _)| at);
        for start in starts {
            for root in &self.roots {
                let candidate =
                    parts[start..].iter().fold(root.clone(), |path, part| path.join(part));
                if candidate.exists() {
                    return Some(candidate);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_are_found_in_the_folder_that_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        std::fs::create_dir_all(root.join("1/abc/artifacts/model")).unwrap();
        let artifacts = Artifacts::new(&folder.path().join("mlflow.db"), Some(&root));
        let found = |uri: &str| artifacts.find(uri, &["1", "abc"]).is_some();
        assert!(found("mlflow-artifacts:/1/abc/artifacts/model"));
        assert!(found("file:///somewhere/else/mlruns/1/abc/artifacts/model"));
        assert!(found("s3://bucket/mlflow/1/abc/artifacts/model"));
        assert!(found("C:\\mlruns\\1\\abc\\artifacts\\model"));
        assert!(!found("mlflow-artifacts:/1/xyz/artifacts/model"));
        assert!(!found("file:///1/abc/../../../etc"));
    }

    #[test]
    fn artifacts_are_found_where_the_database_says() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("anywhere/model");
        std::fs::create_dir_all(&model).unwrap();
        let artifacts = Artifacts::new(&folder.path().join("mlflow.db"), None);
        let path = model.to_string_lossy().into_owned();
        assert_eq!(artifacts.find(&path, &[]), Some(model.clone()));
        assert_eq!(artifacts.find(&format!("file://{path}"), &[]), Some(model));
        assert_eq!(artifacts.find("s3://bucket/x", &["x"]), None);
    }
}
