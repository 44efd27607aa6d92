//! The one way out: results on standard output, everything else on standard error.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use lineage_core::files::reason;
use lineage_core::redaction;
use serde::Serialize;
use serde_json::json;

use crate::args::{Color, Global};
use crate::error::{CliError, ErrorKind};
use crate::observer::Terminal;
use crate::render;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// Where a command puts what it has to say.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    ask: bool,
    yes: bool,
    observer: Terminal,
}

/// A JSON document: its schema's name, then the value's own fields.
#[derive(Serialize)]
struct Document<'a, T> {
    schema: &'a str,
    #[serde(flatten)]
    value: &'a T,
}

/// For a text that is no result. Nobody may be there to read it, which is no error.
pub(crate) fn to_stdout(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

pub(crate) fn to_stderr(text: &str) {
    let mut stream = anstream::AutoStream::auto(std::io::stderr().lock());
    let _ = stream.write_all(text.as_bytes());
}

impl Output {
    pub(crate) fn new(global: &Global) -> Output {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Output {
            json: global.json,
            quiet: global.quiet,
            ask: terminal && !global.no_input,
            yes: global.yes,
            observer: Terminal::new(global.verbose, global.quiet, to_stderr),
        }
    }

    pub(crate) fn observer(&self) -> &Terminal {
        &self.observer
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one result: as JSON, as its bare id, or as text for people.
    pub(crate) fn result<T: Serialize>(
        &mut self,
        schema: &str,
        value: &T,
        id: &str,
        text: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        self.observer.clear();
        if self.json {
            return self.json_line(&Document { schema, value });
        }
        let text = if self.quiet { id.to_owned() } else { text() };
        self.text(&text)
    }

    /// Prints one result as JSON, whether it was asked for by `--json` or otherwise.
    pub(crate) fn document<T: Serialize>(&self, schema: &str, value: &T) -> Result<(), CliError> {
        self.observer.clear();
        self.json_line(&Document { schema, value })
    }

    /// Prints a stream: one JSON document a line, one bare id a line, or one text for people.
    pub(crate) fn stream<T: Serialize>(
        &mut self,
        schema: &str,
        values: &[T],
        id: impl Fn(&T) -> String,
        text: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        self.observer.clear();
        if self.json {
            for value in values {
                self.json_line(&Document { schema, value })?;
            }
            return Ok(());
        }
        if self.quiet {
            let ids: Vec<String> = values.iter().map(id).collect();
            return self.text(&ids.join("\n"));
        }
        self.text(&text())
    }

    /// Prints bytes as they are.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        finish_write(stdout.write_all(bytes).and_then(|()| stdout.flush()))
    }

    fn json_line(&self, value: &impl Serialize) -> Result<(), CliError> {
        let mut line = serde_json::to_string(value).map_err(|error| {
            CliError::new(ErrorKind::Failure, format!("the result cannot be shown: {error}"))
        })?;
        line.push('\n');
        self.raw(line.as_bytes())
    }

    pub(crate) fn text(&mut self, text: &str) -> Result<(), CliError> {
        if text.is_empty() {
            return Ok(());
        }
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        self.raw(format!("{text}{newline}").as_bytes())
    }

    /// Something that is allowed but worth knowing.
    pub(crate) fn warning(&self, message: &str) {
        self.say(WARNING, "warning", &redaction::without_assigned(message));
    }

    /// What to type next.
    pub(crate) fn hint(&self, message: &str) {
        if !self.quiet && !self.json {
            self.say(HINT, "hint", message);
        }
    }

    /// A plain line for people.
    pub(crate) fn remark(&self, message: &str) {
        if !self.quiet && !self.json {
            self.observer.clear();
            to_stderr(&format!("{message}\n"));
        }
    }

    /// A plain line that scripts should find in their logs too.
    pub(crate) fn note(&self, message: &str) {
        self.observer.clear();
        to_stderr(&format!("{message}\n"));
    }

    fn say(&self, style: Style, word: &str, message: &str) {
        self.observer.clear();
        // A name in a message must not play tricks on the terminal.
        to_stderr(&format!("{style}{word}:{style:#} {}\n", render::safe(message)));
    }

    /// Asks a yes-or-no question; without a terminal the answer must come as a flag.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        if !self.ask {
            return Err(CliError::new(
                ErrorKind::Usage,
                format!("cannot ask without a terminal: {question}"),
            )
            .hint("pass --yes to say so without being asked"));
        }
        to_stderr(&format!("{question} [y/N] "));
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
            return Ok(());
        }
        Err(CliError::new(ErrorKind::Failure, "left as it was"))
    }

    /// Prints the error, if there is one, and gives the exit code.
    pub(crate) fn finish(&mut self, result: Result<ExitCode, CliError>) -> ExitCode {
        self.observer.clear();
        let mut error = match result {
            Ok(code) => return code,
            Err(error) => error,
        };
        // What was typed is often part of the message.
        error.message = redaction::without_assigned(&error.message);
        error.hint = error.hint.map(|hint| redaction::without_assigned(&hint));
        if let Some(warning) = &error.warning {
            self.warning(warning);
        }
        if !error.reported && self.json {
            let document = json!({
                "schema": "lineage.error/1",
                "error": {
                    "code": error.kind.word(),
                    "message": error.message,
                    "hint": error.hint,
                },
            });
            let _ = self.raw(format!("{document}\n").as_bytes());
        } else if !error.reported {
            self.say(ERROR, "error", &error.message);
            if let Some(excerpt) = &error.excerpt {
                to_stderr(excerpt);
            }
            if let Some(hint) = &error.hint {
                self.say(HINT, "hint", hint);
            }
        }
        ExitCode::from(error.kind.exit_code())
    }
}

/// A reader that went away has seen enough; that is no error of ours.
fn finish_write(result: std::io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CliError::new(
            ErrorKind::Failure,
            format!("cannot write the result: {}", reason(&error)),
        )),
        _ => Ok(()),
    }
}
