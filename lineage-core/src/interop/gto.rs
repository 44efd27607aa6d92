//! From the git tags of GTO: registrations, stage assignments and deprecations, each a session with the
//! tag's facts as claims. A registration whose file is here, with the bytes of its commit, makes a
//! version. The caller runs git; here its answer is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::import::{Importer, Piece, shown};
use super::report::{Count, ImportReport, ImportedPointer, ImportedVersion};
use super::{dvc, model_name, yaml};
use crate::context::{Context, Timestamp};
use crate::events::Claims;
use crate::files;
use crate::names::ModelName;
use crate::record::RecordRequest;
use crate::settings::Settings;
use crate::store::Registry;
use crate::takeover::TakeoverError;

/// What `git for-each-ref` is to be asked for tags: fields that end in NUL.
pub const TAG_FORMAT: &str = "%(refname:strip=2)%00%(objectname)%00%(objecttype)%00%(*objectname)%00\
    %(taggername)%00%(taggeremail)%00%(creatordate:iso-strict)%00%(contents)%00";

/// A git tag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitTag {
    /// Its name.
    pub name: String,
    /// The id of the tag object; of a lightweight tag, of the commit.
    pub object: String,
    /// The commit.
    pub commit: String,
    /// Whether it has a tagger and message of its own.
    pub annotated: bool,
    /// Who made it.
    pub tagger: String,
    /// When; of a lightweight tag, when the commit was made.
    pub date: Option<Timestamp>,
    /// The message; empty for a lightweight tag.
    pub message: String,
}

/// What a tag says by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GtoTag {
    /// The artifact, with the folder before it if there is one: `dir=name`.
    pub artifact: String,
    /// What happened.
    pub action: GtoAction,
    /// The number at its end, by which GTO orders the tags of an artifact.
    pub count: Option<u64>,
}

/// What happened to an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GtoAction {
    /// `name@v1.2.3`
    Register(String),
    /// `name@v1.2.3!`
    Deregister(String),
    /// `name#stage#N`, or `name#stage`
    Assign(String),
    /// `name#stage!#N`, or `name#stage!`
    Unassign(String),
    /// `name@deprecated`
    Deprecate,
    /// `name@deprecated!`
    Restore,
}

impl GtoAction {
    fn word(&self) -> &'static str {
        match self {
            GtoAction::Register(_) => "register",
            GtoAction::Deregister(_) => "deregister",
            GtoAction::Assign(_) => "assign",
            GtoAction::Unassign(_) => "unassign",
            GtoAction::Deprecate => "deprecate",
            GtoAction::Restore => "restore",
        }
    }
}

/// What to import.
pub struct GtoRequest<'a> {
    /// The working tree.
    pub folder: PathBuf,
    /// Its tags, in git's words.
    pub tags: &'a [u8],
    /// Whether the file at a path of the working tree is, byte for byte, that of a commit.
    pub in_commit: &'a dyn Fn(&str, &str) -> bool,
    /// Look, count, write nothing.
    pub dry_run: bool,
}

/// Reads git's answer to [`TAG_FORMAT`].
pub fn parse_tags(answer: &[u8]) -> Vec<GitTag> {
    let text = String::from_utf8_lossy(answer);
    let fields: Vec<&str> = text.split('\0').collect();
    let tag = |fields: &[&str]| {
        let annotated = fields[2] == "tag";
        let commit = if annotated { fields[3] } else { fields[1] };
        let tagger = format!("{} {}", fields[4], fields[5]);
        GitTag {
            name: fields[0].trim_start_matches('\n').to_owned(),
            object: fields[1].to_owned(),
            commit: commit.to_owned(),
            annotated,
            tagger: tagger.trim().to_owned(),
            date: fields[6].parse().ok(),
            // Of a lightweight tag git gives the commit's message.
            message: if annotated { fields[7].trim_end().to_owned() } else { String::new() },
        }
    };
    fields.chunks_exact(8).map(tag).collect()
}

/// What a tag's name says; none when it is not one of GTO's.
pub fn parse_name(name: &str) -> Option<GtoTag> {
    let count = name.rsplit('#').next().and_then(|count| count.parse().ok());
    let made = |artifact: &str, action| {
        let artifact = artifact.to_owned();
        is_artifact(&artifact).then_some(GtoTag { artifact, action, count })
    };
    if let Some((artifact, rest)) = name.split_once('@') {
        let (word, count) = rest.split_once('#').map_or((rest, None), |(w, n)| (w, Some(n)));
        if count.is_some_and(|count| !is_count(count)) {
            return None;
        }
        let (word, undone) = word.strip_suffix('!').map_or((word, false), |word| (word, true));
        return match (word, undone) {
            ("deprecated", false) => made(artifact, GtoAction::Deprecate),
            ("deprecated", true) => made(artifact, GtoAction::Restore),
            (version, _) if !is_version(version) || count.is_some() => None,
            (version, false) => made(artifact, GtoAction::Register(version.to_owned())),
            (version, true) => made(artifact, GtoAction::Deregister(version.to_owned())),
        };
    }
    let (artifact, rest) = name.split_once('#')?;
    let (stage, count) = rest.split_once('#').map_or((rest, None), |(s, n)| (s, Some(n)));
    let (stage, undone) = stage.strip_suffix('!').map_or((stage, false), |stage| (stage, true));
    if !is_word(stage) || count.is_some_and(|count| !is_count(count)) {
        return None;
    }
    match undone {
        false => made(artifact, GtoAction::Assign(stage.to_owned())),
        true => made(artifact, GtoAction::Unassign(stage.to_owned())),
    }
}

fn is_count(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c))
}

fn is_artifact(text: &str) -> bool {
    match text.split_once('=') {
        Some((folder, name)) => !folder.is_empty() && !folder.contains('=') && is_word(name),
        None => is_word(text),
    }
}

fn is_version(text: &str) -> bool {
    let Some(text) = text.strip_prefix('v') else { return false };
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = numbers.split('.').collect();
    parts.len() == 3
        && parts.iter().all(|part| is_count(part))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-+.".contains(c))
}

/// Imports every tag that is one of GTO's.
pub fn import(
    registry: &mut Registry,
    settings: &Settings,
    request: &GtoRequest<'_>,
    context: &Context<'_>,
) -> Result<ImportReport, TakeoverError> {
    let mut tags: Vec<(GitTag, GtoTag)> = parse_tags(request.tags)
        .into_iter()
        .filter_map(|tag| parse_name(&tag.name).map(|said| (tag, said)))
        .collect();
    if tags.is_empty() {
        let path = shown(&request.folder);
        return Err(TakeoverError::NotASource {
            path,
            expected: "a git repository with tags of GTO",
        });
    }
    // A registration and an assignment may have the same second.
    let rank = |said: &GtoTag| !matches!(said.action, GtoAction::Register(_));
    tags.sort_by(|(a, x), (b, y)| (a.date, rank(x), &a.name).cmp(&(b.date, rank(y), &b.name)));
    let report = ImportReport {
        source: shown(&request.folder),
        dry_run: request.dry_run,
        ..ImportReport::default()
    };
    let mut importer = Importer { registry, settings, context, report };
    let versions = versions(&tags);
    let mut imported = 0;
    for (tag, said) in &tags {
        one(&mut importer, request, tag, said, &versions)?;
        imported += 1;
    }
    importer.report.pointers = stages(&tags, &versions);
    let found = tags.len() as u64;
    importer.report.counts = vec![Count { kind: "tags".to_owned(), found, imported }];
    Ok(importer.report)
}

/// Which version is in each stage, by the last tag that speaks of it.
fn stages(
    tags: &[(GitTag, GtoTag)],
    versions: &BTreeMap<(&str, &str), &str>,
) -> Vec<ImportedPointer> {
    let mut ordered: Vec<&(GitTag, GtoTag)> = tags.iter().collect();
    ordered.sort_by_key(|(tag, said)| (said.count, tag.date));
    let mut stages: BTreeMap<(&str, &str), Option<String>> = BTreeMap::new();
    for (tag, said) in ordered {
        let artifact = said.artifact.as_str();
        match &said.action {
            GtoAction::Assign(stage) => {
                let version = versions.get(&(artifact, tag.commit.as_str()));
                let named = version.map_or(tag.commit.clone(), |version| (*version).to_owned());
                stages.insert((artifact, stage.as_str()), Some(named));
            }
            GtoAction::Unassign(stage) => {
                stages.insert((artifact, stage.as_str()), None);
            }
            _ => {}
        }
    }
    let pointers = stages.into_iter().filter_map(|((artifact, stage), version)| {
        let model = model_name(artifact).unwrap_or_else(ModelName::imported).to_string();
        Some(ImportedPointer { model, name: stage.to_owned(), original: version?, set: false })
    });
    pointers.collect()
}

/// The version that an artifact has at a commit.
fn versions(tags: &[(GitTag, GtoTag)]) -> BTreeMap<(&str, &str), &str> {
    let registered = tags.iter().filter_map(|(tag, said)| match &said.action {
        GtoAction::Register(version) => {
            Some(((said.artifact.as_str(), tag.commit.as_str()), version.as_str()))
        }
        _ => None,
    });
    registered.collect()
}

fn one(
    importer: &mut Importer<'_, '_>,
    request: &GtoRequest<'_>,
    tag: &GitTag,
    said: &GtoTag,
    versions: &BTreeMap<(&str, &str), &str>,
) -> Result<(), TakeoverError> {
    let model = model_name(&said.artifact).unwrap_or_else(ModelName::imported);
    let mut facts: BTreeMap<String, String> = BTreeMap::new();
    let mut fact = |name: &str, text: &str| {
        if !text.is_empty() {
            facts.insert(name.to_owned(), text.to_owned());
        }
    };
    fact("gto", said.action.word());
    fact("tag", &tag.name);
    fact("artifact", &said.artifact);
    fact("object", &tag.object);
    fact("commit", &tag.commit);
    fact("annotated", if tag.annotated { "true" } else { "false" });
    fact("tagger", &tag.tagger);
    fact("message", &tag.message);
    let version = match &said.action {
        GtoAction::Register(version) | GtoAction::Deregister(version) => Some(version.as_str()),
        _ => versions.get(&(said.artifact.as_str(), tag.commit.as_str())).copied(),
    };
    fact("version", version.unwrap_or_default());
    if let GtoAction::Assign(stage) | GtoAction::Unassign(stage) = &said.action {
        fact("stage", stage);
    }
    let mut recorded = RecordRequest::new(model.clone());
    recorded.claims = Some(Claims { source: "gto".to_owned(), created: tag.date, facts });
    let mut artifact = None;
    if let GtoAction::Register(version) = &said.action {
        artifact = file_of(request, tag, &said.artifact, importer.context)?;
        recorded.artifact.clone_from(&artifact);
        recorded.label = artifact.as_ref().and_then(|_| version.parse().ok());
    }
    let id = format!("gto:{}", tag.object_name());
    let piece = Piece::completed(tag.name.clone(), id, recorded);
    let done = importer.import(piece)?;
    if let GtoAction::Register(version) = &said.action {
        importer.report.versions.push(ImportedVersion {
            model: model.to_string(),
            version: done.number(),
            label: done.label(),
            original: format!("{}@{version}", said.artifact),
            path: artifact.as_deref().map(shown),
        });
    }
    Ok(())
}

impl GitTag {
    /// Tells a lightweight tag from others of its commit.
    fn object_name(&self) -> String {
        format!("{}:{}", self.name, self.object)
    }
}

/// The file of a registered artifact, if the working tree has it with the bytes of the tag's commit; or
/// the commit's own `.dvc` file, and the workspace or DVC's cache the bytes that it names.
fn file_of(
    request: &GtoRequest<'_>,
    tag: &GitTag,
    artifact: &str,
    context: &Context<'_>,
) -> Result<Option<PathBuf>, TakeoverError> {
    let Some(path) = path_of(&request.folder, artifact)? else { return Ok(None) };
    let file = request.folder.join(&path);
    if file.is_file() && (request.in_commit)(&tag.commit, &path) {
        return Ok(Some(file));
    }
    match (request.in_commit)(&tag.commit, &format!("{path}.dvc")) {
        true => dvc::tracked(&request.folder, &path, context),
        false => Ok(None),
    }
}

/// The path that `dvc.yaml`, or GTO's older `artifacts.yaml`, gives an artifact.
fn path_of(folder: &Path, artifact: &str) -> Result<Option<String>, TakeoverError> {
    let (inside, name) = artifact.split_once('=').unwrap_or(("", artifact));
    if inside.split('/').any(|part| part == "..") {
        return Ok(None);
    }
    for file in ["dvc.yaml", "artifacts.yaml"] {
        let Some(bytes) = files::read_small(&folder.join(inside).join(file), 16 * 1024 * 1024)?
        else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Ok(node) = yaml::parse(&text) else { continue };
        let entry = if file == "dvc.yaml" { node.get("artifacts") } else { Some(&node) };
        let path = entry.and_then(|entry| entry.get(name)?.text_of("path"));
        if let Some(path) = path {
            let outside = path.starts_with('/') || path.split('/').any(|part| part == "..");
            let whole =
                if inside.is_empty() { path.to_owned() } else { format!("{inside}/{path}") };
            return Ok((!outside).then_some(whole));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tags_are_understood() {
        let of = |name: &str| parse_name(name).map(|tag| (tag.artifact, tag.action));
        let some = |artifact: &str, action| Some((artifact.to_owned(), action));
        assert_eq!(of("fraud@v1.2.3"), some("fraud", GtoAction::Register("v1.2.3".into())));
        assert_eq!(
            of("fraud@v1.2.3-rc.1"),
            some("fraud", GtoAction::Register("v1.2.3-rc.1".into()))
        );
        assert_eq!(of("fraud@v1.2.3!"), some("fraud", GtoAction::Deregister("v1.2.3".into())));
        assert_eq!(of("a/b#prod#12"), some("a/b", GtoAction::Assign("prod".into())));
        assert_eq!(of("fraud#prod"), some("fraud", GtoAction::Assign("prod".into())));
        assert_eq!(of("fraud#prod!#3"), some("fraud", GtoAction::Unassign("prod".into())));
        assert_eq!(
            of("dir/x=fraud@v0.0.1"),
            some("dir/x=fraud", GtoAction::Register("v0.0.1".into()))
        );
        assert_eq!(of("fraud@deprecated"), some("fraud", GtoAction::Deprecate));
        assert_eq!(of("fraud@deprecated!#2"), some("fraud", GtoAction::Restore));
        for other in [
            "v1.2.3",
            "fraud@1.2.3",
            "fraud@v1.2",
            "fraud#",
            "#prod",
            "a#b#c",
            "fraud@v1.2.3#4",
            "@v1.0.0",
            "x y#prod",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn answers_of_git_are_read() {
        let answer = b"a@v1.0.0\0o1\0tag\0c1\0Ada\0<ada@example.org>\x002025-01-01T10:00:00+02:00\0why\n\nmore\n\0\n\
                       a#prod\0c2\0commit\0\0\0\x002025-01-02T00:00:00Z\0commit message\0\n";
        let tags = parse_tags(answer);
        assert_eq!(tags.len(), 2);
        assert_eq!((tags[0].commit.as_str(), tags[0].object.as_str()), ("c1", "o1"));
        assert_eq!(tags[0].tagger, "Ada <ada@example.org>");
        assert_eq!(tags[0].message, "why\n\nmore");
        assert_eq!(tags[0].date.unwrap().to_string(), "2025-01-01T08:00:00.000000Z");
        assert_eq!((tags[1].name.as_str(), tags[1].commit.as_str()), ("a#prod", "c2"));
        assert!(!tags[1].annotated && tags[1].message.is_empty());
        assert_eq!(parse_tags(b"nonsense"), []);
    }
}
