//! Every example in the README is run, and must give what the README shows.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Env, repository};

/// The commands of all `console` blocks, each with the output that follows it.
fn examples(text: &str) -> Vec<(String, String)> {
    let mut examples: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            line if inside => match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => examples.push((command.to_owned(), String::new())),
                (None, Some((_, output))) => {
                    output.push_str(line);
                    output.push('\n');
                }
                (None, None) => panic!("a console block begins with output: {line}"),
            },
            _ => {}
        }
    }
    examples
}

#[test]
fn every_example_of_the_readme_gives_what_it_shows() {
    let text = fs::read_to_string(repository().join("README.md")).unwrap();
    let examples = examples(&text);
    assert!(examples.len() > 10);
    let env = Env::empty();
    let binary = Path::new(env!("CARGO_BIN_EXE_lineage")).parent().unwrap();
    let path = std::env::join_paths(
        std::iter::once(binary.to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )
    .unwrap();
    let mut tick = 0;
    for (command, expected) in examples {
        let mut shell = Command::new("sh");
        let none: [&str; 0] = [];
        for (name, value) in env.command(&none).get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        // The clock ticks with lineage's own commands only.
        tick += u32::from(command.starts_with("lineage"));
        shell.env("LINEAGE_TEST_NOW", format!("2026-03-01T00:{tick:02}:00.000000Z"));
        shell.env("LINEAGE_TEST_SEED", tick.to_string());
        shell.env("PATH", &path).current_dir(env.root());
        let output = shell.args(["-c", &format!("{command} 2>&1")]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let said = said.replace(&*env.root().to_string_lossy(), "$PROJECT");
        assert_eq!(said, expected, "$ {command}");
    }
}

#[test]
fn the_demo_tells_its_story_to_the_end() {
    let env = Env::empty();
    // The demo's own commands need different random numbers, as in real life.
    let mut command = env.command(&["demo", "story"]);
    let ran = env.finish(command.env_remove("LINEAGE_TEST_SEED").output().unwrap()).ok();
    for step in 1..=13 {
        assert!(ran.stdout.contains(&format!("\n{step}. ")), "step {step} is missing:\n{ran}");
    }
    assert!(ran.stdout.contains("version is 1, the log says 3"), "{ran}");
    env.run(&["demo", "story"]).code(6).says("is not empty");
}

#[test]
fn the_help_topics_agree_with_the_documents() {
    let env = Env::empty();
    let shown = env.run(&["help", "exit-codes"]).ok().stdout;
    let document = fs::read_to_string(repository().join("docs/exit-codes.md")).unwrap();
    for line in shown.lines().skip(2) {
        let code = line.split_whitespace().next().unwrap_or_default();
        if let Ok(code) = code.parse::<u8>() {
            assert!(
                document.contains(&format!("| {code} |"))
                    || document.contains(&format!("| `{code}` |")),
                "{code}"
            );
        }
    }
    let environment = env.run(&["help", "environment"]).ok().stdout;
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(environment.contains("LINEAGE_ACTOR") && readme.contains("LINEAGE_ACTOR"));
}
