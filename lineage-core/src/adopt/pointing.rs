//! Which artifact a pointer file names, and how lineage would have to write the file so that its
//! readers go on understanding it.

use serde_json::Value;

use crate::pointer_file;
use crate::settings::PointerFormat;

/// A path that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// As written.
    pub(super) written: String,
    /// With `/` between its parts and nothing around it.
    path: String,
    /// The whole text, without a byte order mark and white space around it.
    text: String,
    json: bool,
}

/// An artifact that a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Which of the artifacts.
    pub(super) index: usize,
    /// The rest of the path, within the artifact; empty when it names the artifact itself.
    pub(super) inside: String,
    /// The folder that the path is relative to, as recorded.
    pub(super) base: String,
}

/// Keys whose values name what is live, the likeliest first.
const KEYS: [&str; 12] = [
    "path",
    "model_path",
    "model_dir",
    "artifact",
    "artifact_path",
    "current",
    "prod",
    "production",
    "champion",
    "live",
    "model",
    "uri",
];

/// What a pointer file may name: the one path of a text, or the strings of a JSON object, the
/// likeliest first.
pub(super) fn read(content: &[u8]) -> Vec<Named> {
    let Some(text) = super::text(content) else { return Vec::new() };
    let text = text.trim().to_owned();
    if let Ok(Value::Object(object)) = serde_json::from_str::<Value>(&text) {
        let rank = |key: &str| KEYS.iter().position(|known| *known == key).unwrap_or(KEYS.len());
        let mut strings: Vec<(usize, String)> = object
            .iter()
            .filter_map(|(key, value)| {
                Some((rank(&key.to_lowercase()), value.as_str()?.to_owned()))
            })
            .collect();
        strings.sort_by_key(|(rank, _)| *rank);
        return strings
            .into_iter()
            .map(|(_, written)| Named::new(written, text.clone(), true))
            .collect();
    }
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else { return Vec::new() };
    let value = match line.split_once('=') {
        Some((key, value)) if key.trim().chars().all(|c| c.is_alphanumeric() || c == '_') => value,
        _ => line,
    };
    let written = value.trim().trim_matches(['"', '\'']).to_owned();
    vec![Named::new(written, text.clone(), false)]
}

impl Named {
    fn new(written: String, text: String, json: bool) -> Named {
        let plain = written.strip_prefix("file://").unwrap_or(&written);
        let path = pointer_file::read(plain.replace('\\', "/").as_bytes()).path;
        let path = path.unwrap_or_default();
        // `file:///C:/models` leaves `/C:/models`.
        let drive = path.strip_prefix('/').filter(|rest| rest.as_bytes().get(1) == Some(&b':'));
        let path = drive.map(str::to_owned).unwrap_or(path);
        Named { written, path, text, json }
    }

    /// Whether it is a path at all, rather than another word.
    pub(super) fn is_path(&self) -> bool {
        self.path.contains('/')
    }

    fn is_absolute(&self) -> bool {
        self.path.starts_with('/') || self.path.as_bytes().get(1) == Some(&b':')
    }

    /// The artifact that is meant, among those recorded at `paths`, by a file at `file`: the path is
    /// tried from the project root, then from the file's folder and those above it; else what counts
    /// is where it ends, since it may be from another machine.
    pub(super) fn target(&self, file: &str, paths: &[&str]) -> Option<Target> {
        if self.path.is_empty() {
            return None;
        }
        if !self.is_absolute() {
            let mut bases = vec![""];
            let mut folder = file;
            while let Some((parent, _)) = folder.rsplit_once('/') {
                bases.push(parent);
                folder = parent;
            }
            for base in bases {
                let Some(whole) = joined(base, &self.path) else { continue };
                if let Some((index, inside)) = within(&whole, paths) {
                    let base = if base.is_empty() { "." } else { base };
                    return Some(Target { index, inside, base: base.to_owned() });
                }
            }
        }
        self.by_its_end(paths)
    }

    fn by_its_end(&self, paths: &[&str]) -> Option<Target> {
        let written =
            joined("", self.path.trim_start_matches('/')).unwrap_or_else(|| self.path.clone());
        let mut best: Option<(usize, Target)> = None;
        for (index, path) in paths.iter().enumerate() {
            // The longest run of whole parts that the artifact's path ends in and the text holds.
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            for skipped in 0..parts.len() {
                let end = parts[skipped..].join("/");
                let Some(inside) = after(&written, &end) else { continue };
                let base = parts[..skipped].join("/");
                let base = if base.is_empty() { ".".to_owned() } else { base };
                let length = parts.len() - skipped;
                // A single part proves little: it must be all that is written, or the whole path.
                let enough = length > 1 || skipped == 0 || written == end;
                match &best {
                    Some((known, _)) if *known > length => {}
                    Some((known, other)) if *known == length && other.index != index => {
                        best = Some((length, Target { index: usize::MAX, ..other.clone() }));
                    }
                    _ if enough => best = Some((length, Target { index, inside, base })),
                    _ => {}
                }
                break;
            }
        }
        best.map(|(_, target)| target).filter(|target| target.index != usize::MAX)
    }

    /// The format, template and path base with which lineage writes the same file.
    pub(super) fn format(&self, target: &Target) -> Option<(PointerFormat, Option<String>)> {
        let inside = match target.inside.as_str() {
            "" => String::new(),
            inside => format!("/{inside}"),
        };
        if self.text == self.written && inside.is_empty() {
            return Some((PointerFormat::Path, None));
        }
        let quoted = serde_json::to_string(&self.written).ok()?;
        let (old, new) = match self.json {
            true => (quoted, format!("\"{{path}}{inside}\"")),
            false => (self.written.clone(), format!("{{path}}{inside}")),
        };
        (self.text.matches(&old).count() == 1)
            .then(|| (PointerFormat::Template, Some(self.text.replacen(&old, &new, 1))))
    }
}

/// `base/path` with `.` and `..` resolved by name; none when it leads out of the project.
fn joined(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The artifact at `whole` or above it, and the rest of the path.
fn within(whole: &str, paths: &[&str]) -> Option<(usize, String)> {
    paths.iter().enumerate().find_map(|(index, path)| {
        let rest = whole.strip_prefix(path)?;
        match rest.strip_prefix('/') {
            Some(inside) => Some((index, inside.to_owned())),
            None => rest.is_empty().then(|| (index, String::new())),
        }
    })
}

/// What follows the last occurrence of the parts `end` in `written`.
fn after(written: &str, end: &str) -> Option<String> {
    let padded = format!("/{written}/");
    let at = padded.rfind(&format!("/{end}/"))?;
    Some(padded[at + end.len() + 1..].trim_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 4] = ["models/A", "models/B", "old/A", "top.pkl"];

    fn found(content: &[u8], file: &str) -> Option<(usize, String, String)> {
        let named = read(content);
        named.iter().find_map(|named| {
            let target = named.target(file, &PATHS)?;
            Some((target.index, target.inside, target.base))
        })
    }

    fn at(index: usize, inside: &str, base: &str) -> Option<(usize, String, String)> {
        Some((index, inside.to_owned(), base.to_owned()))
    }

    #[test]
    fn paths_in_all_spellings_lead_to_the_artifact() {
        let file = "models/PROD_POINTER.txt";
        assert_eq!(found(b"models\\A", file), at(0, "", "."));
        assert_eq!(found(b"\xef\xbb\xbfmodels/A\r\n", file), at(0, "", "."));
        assert_eq!(found(b"\xff\xfem\0o\0d\0e\0l\0s\0/\0A\0", file), at(0, "", "."));
        assert_eq!(found(b"A\n", file), at(0, "", "models"));
        assert_eq!(found(b"../old/A", file), at(2, "", "models"));
        assert_eq!(found(b"C:\\work\\fraud\\models\\B\\", file), at(1, "", "."));
        assert_eq!(found(b"/home/someone/models/B/xgb.joblib", file), at(1, "xgb.joblib", "."));
        assert_eq!(found(b"file:///C:/x/old/A", file), at(2, "", "."));
        assert_eq!(found(b"# live\nMODEL_PATH=models/B\n", file), at(1, "", "."));
        assert_eq!(found(br#"{"who": "me", "model_path": "models\\B"}"#, file), at(1, "", "."));
        assert_eq!(found(b"B", "PROD_POINTER.txt"), at(1, "", "models"));
        assert_eq!(found(b"A", "PROD_POINTER.txt"), None, "two end so");
        assert_eq!(found(b"models/C", file), None);
        assert_eq!(found(b"a\nb\n", file), None);
        assert_eq!(found(b"\xff", file), None);
        assert_eq!(found(b"", file), None);
        assert_eq!(found(b"../../../..", file), None);
    }

    #[test]
    fn the_file_goes_on_being_understood() {
        let formats = |content: &[u8]| {
            let named = read(content).remove(0);
            let target = named.target("models/P.txt", &PATHS).unwrap();
            named.format(&target).unwrap()
        };
        assert_eq!(formats(b"models\\A\r\n"), (PointerFormat::Path, None));
        let template = |text: &str| (PointerFormat::Template, Some(text.to_owned()));
        assert_eq!(formats(b"models/A/x.joblib"), template("{path}/x.joblib"));
        assert_eq!(formats(b"MODEL=models/A"), template("MODEL={path}"));
        assert_eq!(
            formats(br#"{"model_path": "models\\A", "by": "x"}"#),
            template(r#"{"model_path": "{path}", "by": "x"}"#)
        );
    }
}
