//! `lineage.toml`: where pointer files lie and what they look like. Parsed strictly; the schema is
//! `schema/json/lineage-toml.schema.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files::{self, FileError};
use crate::inspect::Verdict;
use crate::names::{ModelName, PointerName};

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not valid TOML, an unknown key, or a value of the wrong type.
    #[error("{path}, line {line}: {problem}", path = path.display())]
    Invalid {
        /// The settings file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
        /// The key that was probably meant.
        suggestion: Option<String>,
    },
    /// Two keys that do not go together.
    #[error("{path}: {problem}", path = path.display())]
    Conflict {
        /// The settings file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The contents of `lineage.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Settings by model.
    #[serde(default)]
    pub models: BTreeMap<ModelName, ModelSettings>,
    /// What is required.
    #[serde(default)]
    pub policies: Policies,
}

/// What is required of what is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policies {
    /// Of every session.
    #[serde(default)]
    pub training: TrainingPolicy,
}

/// What a session must have to be recorded as completed. What `adopt` and `import` take over is recorded as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct TrainingPolicy {
    /// A seed.
    pub require_seed: bool,
    /// At least one dataset.
    pub require_datasets: bool,
    /// A captured environment.
    pub require_environment: bool,
    /// Code that is as it was committed.
    pub require_clean_git: bool,
}

/// What one model's pointer files look like and where its bytes are served from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelSettings {
    /// The file that names the version at `prod`, relative to the project root.
    pub pointer_file: Option<String>,
    /// Its format.
    #[serde(default)]
    pub pointer_format: PointerFormat,
    /// The text to fill in when the format is `template`.
    pub pointer_template: Option<String>,
    /// The folder that the path in the file is relative to.
    #[serde(default)]
    pub pointer_relative_to: RelativeTo,
    /// Which copy of the bytes is served.
    #[serde(default)]
    pub serve_from: ServeFrom,
    /// Artifacts of this verdict, or of a worse one, are not recorded.
    pub refuse_verdict: Option<Verdict>,
    /// Files of pointers other than `prod`.
    #[serde(default)]
    pub pointers: BTreeMap<PointerName, PointerSettings>,
}

/// The file of one pointer; what is not given is as for `prod`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PointerSettings {
    /// The file, relative to the project root.
    pub file: String,
    /// Its format.
    pub format: Option<PointerFormat>,
    /// The text to fill in when the format is `template`.
    pub template: Option<String>,
    /// The folder that the path in the file is relative to.
    pub relative_to: Option<RelativeTo>,
}

/// What a pointer file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PointerFormat {
    /// One line: the served path.
    #[default]
    Path,
    /// A JSON object with model, version, path, sha256, kind, promoted_at and event_seq.
    Json,
    /// The template, with `{model}`, `{version}`, `{path}`, … filled in.
    Template,
}

/// The folder that paths in a pointer file are relative to: `project`, `file` (the pointer file's
/// own folder), or a folder given relative to the project root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RelativeTo {
    /// The project root.
    #[default]
    Project,
    /// The folder of the pointer file.
    File,
    /// A folder, relative to the project root.
    Folder(String),
}

impl<'de> Deserialize<'de> for RelativeTo {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match String::deserialize(deserializer)?.as_str() {
            "project" => RelativeTo::Project,
            "file" => RelativeTo::File,
            folder => RelativeTo::Folder(folder.to_owned()),
        })
    }
}

/// Which copy of the bytes promote and rollback name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServeFrom {
    /// The recorded path while its bytes match, else a checkout.
    #[default]
    Recorded,
    /// Always a checkout of the object store.
    Checkout,
}

/// The file of one pointer, with everything needed to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointerFile {
    /// Relative to the project root.
    pub path: String,
    /// What it holds.
    pub format: PointerFormat,
    /// The text to fill in when the format is `template`.
    pub template: String,
    /// What the path in it is relative to, itself relative to the project root.
    pub base: String,
}

/// Settings larger than this are a mistake.
const SETTINGS_BYTES_MAX: u64 = 4 * 1024 * 1024;

impl Settings {
    /// Reads the settings at `path`; a file that does not exist has no settings.
    pub fn load(path: &Path) -> Result<Settings, SettingsError> {
        let Some(bytes) = files::read_small(path, SETTINGS_BYTES_MAX)? else {
            return Ok(Settings::default());
        };
        let text = String::from_utf8(bytes).map_err(|error| SettingsError::Invalid {
            path: path.to_owned(),
            line: 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count(),
            problem: "the file is not valid UTF-8".to_owned(),
            suggestion: None,
        })?;
        Settings::parse(&text, path)
    }

    /// Reads settings from `text`; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Settings, SettingsError> {
        let settings: Settings =
            toml::from_str(text).map_err(|error| invalid(&error, text, path))?;
        settings.check(path)?;
        Ok(settings)
    }

    /// The settings of one model; those of a model that has none are the defaults.
    pub fn serve_from(&self, model: &ModelName) -> ServeFrom {
        self.models.get(model).map_or(ServeFrom::default(), |settings| settings.serve_from)
    }

    /// The file of a pointer, if one is configured.
    pub fn pointer_file(&self, model: &ModelName, pointer: &PointerName) -> Option<PointerFile> {
        let settings = self.models.get(model)?;
        let own = settings.pointers.get(pointer);
        let path = match own {
            Some(own) => &own.file,
            None if *pointer == PointerName::prod() => settings.pointer_file.as_ref()?,
            None => return None,
        };
        let relative_to =
            own.and_then(|own| own.relative_to.as_ref()).unwrap_or(&settings.pointer_relative_to);
        let template = own
            .and_then(|own| own.template.as_ref())
            .or(settings.pointer_template.as_ref())
            .cloned()
            .unwrap_or_default();
        let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
        Some(PointerFile {
            path: path.clone(),
            format: own.and_then(|own| own.format).unwrap_or(settings.pointer_format),
            template,
            base: match relative_to {
                RelativeTo::Project => ".".to_owned(),
                RelativeTo::File => folder.to_owned(),
                RelativeTo::Folder(folder) => folder.clone(),
            },
        })
    }

    /// Every configured pointer file, by model and pointer.
    pub fn pointer_files(&self) -> Vec<(ModelName, PointerName, PointerFile)> {
        let mut found = Vec::new();
        for (model, settings) in &self.models {
            let names = std::iter::once(PointerName::prod())
                .chain(settings.pointers.keys().filter(|p| **p != PointerName::prod()).cloned());
            for pointer in names {
                if let Some(file) = self.pointer_file(model, &pointer) {
                    found.push((model.clone(), pointer, file));
                }
            }
        }
        found
    }

    fn check(&self, path: &Path) -> Result<(), SettingsError> {
        let conflict = |problem: String| SettingsError::Conflict { path: path.to_owned(), problem };
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for (model, pointer, file) in self.pointer_files() {
            let name = format!("{model}@{pointer}");
            for part in [&file.path, &file.base] {
                let odd = |name: &str| matches!(name, "" | ".." | ".lineage");
                let plain = part == "." || !part.split('/').any(|name| odd(name) || name == ".");
                if !plain
                    || part == "lineage.toml"
                    || Path::new(part).is_absolute()
                    || part.contains('\\')
                {
                    let rule = "is not a plain path inside the project, with '/'";
                    return Err(conflict(format!("the pointer file of {name}: \"{part}\" {rule}")));
                }
            }
            if file.format == PointerFormat::Template
                && !file.template.contains("{path}")
                && !file.template.contains("{version}")
            {
                let rule = "needs a template that holds {path} or {version}";
                return Err(conflict(format!("the pointer file of {name} {rule}")));
            }
            if let Some(name_in) = unknown_word(&file.template) {
                let known = "{model} {version} {path} {sha256} {kind} {promoted_at} {event_seq}";
                let rule = format!("has no {{{name_in}}}; there are {known}");
                return Err(conflict(format!("the template of {name} {rule}")));
            }
            if let Some(other) = seen.insert(file.path.clone(), name.clone()) {
                let problem =
                    format!("\"{}\" is the pointer file of both {other} and {name}", file.path);
                return Err(conflict(problem));
            }
        }
        Ok(())
    }
}

/// A `{word}` in a template that stands for nothing.
fn unknown_word(template: &str) -> Option<String> {
    let known = ["model", "version", "path", "sha256", "kind", "promoted_at", "event_seq"];
    template
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .find(|name| {
            let word =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            word && !known.contains(name)
        })
        .map(str::to_owned)
}

/// Words a parse error with its line, and proposes the key that was probably meant.
fn invalid(error: &toml::de::Error, text: &str, path: &Path) -> SettingsError {
    let span = error.span().unwrap_or(0..0);
    let before = &text.as_bytes()[..span.start.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let message = error.message().to_owned();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let suggestion = match (message.starts_with("unknown"), quoted.next()) {
        (true, Some(given)) => quoted
            .map(|known| (strsim::damerau_levenshtein(given, known), known))
            .min()
            .filter(|(distance, known)| *distance <= 1 + known.len() / 3)
            .map(|(_, known)| known.to_owned()),
        _ => None,
    };
    let problem = message.lines().next().unwrap_or("not valid TOML").to_owned();
    SettingsError::Invalid { path: path.to_owned(), line, problem, suggestion }
}

/// What `init` writes: every setting, commented out, with its default.
pub const TEMPLATE: &str = r#"# Settings of lineage. Keep this file under version control.
# Every key is optional; an unknown key is an error.

# [models.fraud]
# pointer-file = "models/PROD_POINTER.txt"   # names what is live at `prod`; relative to this file
# pointer-format = "path"                    # path | json | template
# pointer-template = "{path} {sha256}"       # for "template": {model} {version} {path} {sha256}
#                                            #   {kind} {promoted_at} {event_seq}
# pointer-relative-to = "project"            # what the path in it is relative to: project | file | a folder
# serve-from = "recorded"                    # recorded: where training left it, while its bytes match
#                                            # checkout: always a read-only copy from the object store
# refuse-verdict = "dangerous"               # do not record an artifact that `lineage inspect` calls this
#                                            # or worse: unknown | suspicious | dangerous
#
# [models.fraud.pointers.staging]            # pointers besides `prod`
# file = "models/STAGING_POINTER.txt"        # also: format, template, relative-to
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(text, Path::new("lineage.toml"))
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_a_suggestion() {
        let error = parse("\n[models.fraud]\npointer-fil = \"x\"\n").unwrap_err();
        let SettingsError::Invalid { line, suggestion, .. } = error else { panic!("{error}") };
        assert_eq!((line, suggestion.as_deref()), (3, Some("pointer-file")));
        let error = parse("[models.fraud]\npointer-format = \"jsn\"\n").unwrap_err();
        let SettingsError::Invalid { line, suggestion, .. } = error else { panic!("{error}") };
        assert_eq!((line, suggestion.as_deref()), (2, Some("json")));
    }

    #[test]
    fn the_template_is_valid_and_empty() {
        assert_eq!(parse(TEMPLATE).unwrap(), Settings::default());
        let uncommented: String =
            TEMPLATE.lines().skip(3).map(|l| format!("{}\n", l.trim_start_matches("# "))).collect();
        let uncommented = uncommented.replace("\n#", "\n");
        let kept: String = uncommented
            .lines()
            .filter(|l| l.starts_with('[') || l.contains(" = "))
            .map(|l| format!("{l}\n"))
            .collect();
        let settings = parse(&kept).unwrap();
        assert_eq!(settings.pointer_files().len(), 2);
    }

    #[test]
    fn one_file_belongs_to_one_pointer() {
        let text = "[models.a]\npointer-file = \"P\"\n[models.b]\npointer-file = \"P\"\n";
        assert!(parse(text).unwrap_err().to_string().contains("both a@prod and b@prod"));
    }

    #[test]
    fn other_pointers_inherit_from_the_model() {
        let settings = parse(
            "[models.f]\npointer-file = \"m/P\"\npointer-format = \"json\"\npointer-relative-to = \"file\"\n\
             [models.f.pointers.staging]\nfile = \"m/S\"\n",
        )
        .unwrap();
        let file =
            settings.pointer_file(&"f".parse().unwrap(), &"staging".parse().unwrap()).unwrap();
        assert_eq!((file.format, file.base.as_str()), (PointerFormat::Json, "m"));
    }
}
