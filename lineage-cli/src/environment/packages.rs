//! Interpreters and their packages: Python, conda, R. No code of a project or of a package is run.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lineage_core::environment::{CondaPackage, Package, Part, Python, R};

use super::program;
use crate::settings;

const LIMIT: Duration = Duration::from_secs(20);
const BYTES_MAX: u64 = 16 * 1024 * 1024;
const LIST: &str = include_str!("packages.py");
/// One line for R itself and one for each package: name, tab, version.
const LIST_R: &str = r#"p <- installed.packages()[, c("Package", "Version"), drop = FALSE]; cat(paste(c("R", p[, 1]), c(as.character(getRversion()), p[, 2]), sep = "\t"), sep = "\n")"#;

/// The Python to ask: the one named, the one that was started, or that of the active environment.
pub(super) fn interpreter(named: Option<&Path>, command: Option<&[OsString]>) -> Option<PathBuf> {
    let started = command.and_then(<[OsString]>::first).map(PathBuf::from);
    let started = started.filter(|path| is_called(path, "python") || is_called(path, "pypy"));
    let (folder, name) = if cfg!(windows) { ("Scripts", "python.exe") } else { ("bin", "python") };
    let venv = || Some(settings::path_variable("VIRTUAL_ENV")?.join(folder).join(name));
    let conda = || {
        let prefix = settings::path_variable("CONDA_PREFIX")?;
        Some(if cfg!(windows) { prefix.join(name) } else { prefix.join(folder).join(name) })
    };
    named.map(Path::to_owned).or(started).or_else(venv).or_else(conda)
}

/// `python`, `python3`, `python3.12`, `python.exe`, wherever it lies.
fn is_called(path: &Path, name: &str) -> bool {
    let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let file = file.strip_suffix(".exe").unwrap_or(&file);
    let version = file.strip_prefix(name);
    version.is_some_and(|version| version.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

pub(super) fn python(interpreter: Option<&Path>) -> Part<Python> {
    let Some(interpreter) = interpreter else {
        return Part::unavailable("no Python environment is active; --python PATH names one");
    };
    let mut command = Command::new(interpreter);
    let asked = program::ask(command.args(["-I", "-S", "-c", LIST]), LIMIT, BYTES_MAX);
    let parsed = asked.and_then(|bytes| {
        serde_json::from_slice(&bytes).map_err(|_| "it did not list its packages".to_owned())
    });
    parsed.into()
}

/// The packages of the active conda environment, by the names of the files that conda keeps of them.
pub(super) fn conda() -> Part<Vec<CondaPackage>> {
    let Some(prefix) = settings::path_variable("CONDA_PREFIX") else {
        return Part::unavailable("no conda environment is active");
    };
    let Ok(entries) = fs::read_dir(prefix.join("conda-meta")) else {
        return Part::unavailable("the conda environment has no readable folder conda-meta");
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut packages: Vec<CondaPackage> = names.filter_map(|name| conda_package(&name)).collect();
    packages.sort();
    Part::Known(packages)
}

/// `numpy-1.26.4-py312h2809609_0.json`
fn conda_package(file: &str) -> Option<CondaPackage> {
    let mut parts = file.strip_suffix(".json")?.rsplitn(3, '-').map(str::to_owned);
    let (build, version, name) = (parts.next()?, parts.next()?, parts.next()?);
    Some(CondaPackage { name, version, build })
}

/// R, where the project or the command uses it: asking it takes long.
pub(super) fn r(folder: &Path, command: Option<&[OsString]>) -> Part<R> {
    let started = command.and_then(<[OsString]>::first).map(Path::new);
    let started = started.is_some_and(|path| is_called(path, "r") || is_called(path, "rscript"));
    let used = ["renv.lock", "packrat.lock", ".Rprofile", "DESCRIPTION"];
    if !started && !used.iter().any(|name| folder.join(name).is_file()) {
        return Part::unavailable("neither the project nor its command uses R");
    }
    let mut command = Command::new("Rscript");
    let asked = program::ask(command.args(["--vanilla", "-e", LIST_R]), LIMIT, BYTES_MAX);
    asked.and_then(|bytes| r_listing(&bytes)).into()
}

fn r_listing(bytes: &[u8]) -> Result<R, String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().filter_map(|line| line.split_once('\t'));
    let (_, version) = lines.next().ok_or("Rscript did not list its packages")?;
    let package = |(name, version): (&str, &str)| Package {
        name: name.to_owned(),
        version: version.to_owned(),
    };
    let mut packages: Vec<Package> = lines.map(package).collect();
    packages.sort();
    packages.dedup_by(|a, b| a.name == b.name);
    Ok(R { version: version.to_owned(), packages })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_known_by_their_names() {
        for name in ["python", "/usr/bin/python3", "python3.12", "Python.exe", "./venv/bin/python"]
        {
            assert!(is_called(Path::new(name), "python"), "{name}");
        }
        for name in ["pythonic", "python-config", "train.py", "ipython"] {
            assert!(!is_called(Path::new(name), "python"), "{name}");
        }
    }

    #[test]
    fn listings_are_read() {
        let package = conda_package("scikit-learn-1.5.1-py312h_0.json").unwrap();
        assert_eq!((&*package.name, &*package.version), ("scikit-learn", "1.5.1"));
        assert_eq!(conda_package("history"), None);
        let r = r_listing(b"R\t4.4.1\nzoo\t1.8\nabc\t2.0\nabc\t1.0\n").unwrap();
        assert_eq!(
            (r.version.as_str(), r.packages.len(), &*r.packages[0].name),
            ("4.4.1", 2, "abc")
        );
        assert!(r_listing(b"").is_err());
    }
}
