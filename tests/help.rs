//! Help, completions, and wrong usage.

use crate::support::Env;

const COMMANDS: [&[&str]; 39] = [
    &["init"],
    &["record"],
    &["run"],
    &["session", "start"],
    &["session", "data"],
    &["session", "param"],
    &["session", "metric"],
    &["session", "artifact"],
    &["session", "complete"],
    &["session", "fail"],
    &["session", "list"],
    &["session", "show"],
    &["log"],
    &["search"],
    &["show"],
    &["history"],
    &["status"],
    &["promote"],
    &["rollback"],
    &["pointer", "list"],
    &["pointer", "unset"],
    &["resolve"],
    &["checkout"],
    &["verify"],
    &["fingerprint"],
    &["diff"],
    &["graph"],
    &["impact"],
    &["inspect"],
    &["reproduce"],
    &["adopt"],
    &["import", "mlflow"],
    &["import", "dvc"],
    &["import", "gto"],
    &["demo"],
    &["doctor"],
    &["completions"],
    &["help"],
    &[],
];

#[test]
fn each_command_has_help_with_examples() {
    let env = Env::empty();
    for command in COMMANDS {
        let ran = env.run(&[command, &["--help"]].concat()).ok();
        assert_eq!(ran.stderr, "");
        let examples = if command.is_empty() { "First steps:" } else { "Examples:" };
        assert!(ran.stdout.contains(examples), "{command:?}: {ran}");
        let example = format!("  lineage {}", command.join(" "));
        assert!(ran.stdout.contains(&example), "{command:?}: {ran}");
        assert!(ran.stdout.contains("--json"), "{command:?}");
        let short = env.run(&[command, &["-h"]].concat()).ok();
        assert!(short.stdout.lines().all(|line| line.chars().count() <= 100), "{short}");
        let again = env.run(&[&["help"], command].concat()).ok();
        assert_eq!(again.stdout.trim(), ran.stdout.trim(), "{command:?}");
    }
}

#[test]
fn the_list_of_commands_is_complete() {
    let env = Env::empty();
    let help = env.run(&["--help"]).ok().stdout;
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    let mut expected: Vec<&str> = COMMANDS.iter().filter_map(|c| c.first().copied()).collect();
    expected.dedup();
    assert_eq!(listed, expected);
}

#[test]
fn every_mutating_verb_has_a_dry_run() {
    let env = Env::empty();
    for command in [
        &["init"][..],
        &["record"],
        &["run"],
        &["session", "start"],
        &["session", "data"],
        &["session", "param"],
        &["session", "metric"],
        &["session", "artifact"],
        &["session", "complete"],
        &["session", "fail"],
        &["promote"],
        &["rollback"],
        &["pointer", "unset"],
        &["checkout"],
        &["adopt"],
        &["import", "mlflow"],
        &["import", "dvc"],
        &["import", "gto"],
        &["doctor"],
    ] {
        let help = env.run(&[command, &["--help"]].concat()).ok().stdout;
        assert!(help.contains("--dry-run"), "{command:?}");
    }
}

#[test]
fn the_topics_tell_codes_and_environment() {
    let env = Env::empty();
    let codes = env.run(&["help", "exit-codes"]).ok().stdout;
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "10", "130"] {
        let line = codes.lines().find(|line| line.trim_start().starts_with(&format!("{code}  ")));
        assert!(line.is_some(), "{code}: {codes}");
    }
    let environment = env.run(&["help", "environment"]).ok().stdout;
    for name in ["LINEAGE_REGISTRY", "LINEAGE_ACTOR", "NO_COLOR"] {
        assert!(environment.contains(name), "{environment}");
    }
    env.refused(&["help", "nonsense"], 2, "usage", "no command or topic \"nonsense\"");
}

#[test]
fn help_of_topics_and_commands_is_json_when_asked_for() {
    let env = Env::empty();
    for arguments in [&["help", "exit-codes"][..], &["help", "environment"], &["help", "record"]] {
        let ran = env.run(&[arguments, &["--json"]].concat()).ok();
        assert!(ran.json()["schema"].is_string(), "{arguments:?}");
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    let env = Env::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = env.run(&["completions", shell]).ok().stdout;
        for word in ["rollback", "pointer", "fingerprint", "idempotency-key"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
    env.refused(&["completions", "tcsh"], 2, "usage", "tcsh");
    env.refused(&["completions"], 2, "usage", "<SHELL>");
}

#[test]
fn bash_takes_the_completion_script() {
    let env = Env::empty();
    let script = env.run(&["completions", "bash"]).ok().stdout;
    env.write("lineage.bash", script);
    let Ok(output) = env.command_of("bash".as_ref(), &["-n", "lineage.bash"]).output() else {
        eprintln!("there is no bash here to try the script with");
        return;
    };
    env.finish(output).ok();
}

#[test]
fn wrong_usage_is_told_for_people_and_as_json() {
    let env = Env::with_versions(1);
    for (arguments, message) in [
        (&["nonsense"][..], "nonsense"),
        (&["promot", "fraud"], "promot"),
        (&["promote"], "<MODEL>"),
        (&["promote", "fraud", "--nonsense"], "--nonsense"),
        (&["promote", "fraud", "extra"], "extra"),
        (&["promote", "fraud", "--version"], "--version"),
        (&["pointer"], "subcommand"),
        (&["pointer", "set"], "set"),
        (&["log", "--limit", "many"], "many"),
        (&["log", "--limit", "-1"], "-1"),
        (&["status", "--lock-timeout", "soon"], "soon"),
        (&["status", "--color", "pink"], "pink"),
        (&["show"], "<REF>"),
        (&["show", "fraud"], "not a valid reference"),
        (&["record"], "<MODEL>"),
        (&["fingerprint"], "<PATH>"),
        (&["diff"], "<A>"),
        (&["inspect"], "<FILE>"),
        (&["adopt"], "<DIR>"),
        (&["import"], "subcommand"),
        (&["import", "mlflow"], "<DATABASE>"),
        (&["history", "fraud", "--pointer", "a b"], "not a valid pointer name"),
        (&[], "subcommand"),
    ] {
        let ran = env.run(arguments).code(2);
        assert_eq!(ran.stdout, "", "{arguments:?}: {ran}");
        assert!(ran.stderr.contains("Usage:") || ran.stderr.contains("error: "), "{ran}");
        env.refused_json(arguments, 2, "usage", message);
    }
    env.verifies();
}

#[test]
fn a_hint_of_a_usage_error_says_what_to_type() {
    let env = Env::with_versions(1);
    let document = env.run(&["promot", "fraud", "--json"]).code(2).json();
    let hint = document["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("promote"), "the similar command is known to clap: {hint}");
}

#[test]
fn json_after_a_double_dash_is_an_argument_and_no_flag() {
    let env = Env::with_versions(1);
    let ran = env.run(&["promote", "--", "--json"]).code(2);
    assert_eq!(ran.stdout, "");
}

#[test]
fn the_version_is_printed() {
    let env = Env::empty();
    let expected = format!("lineage {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(env.run(&["--version"]).ok().stdout, expected);
}

#[test]
fn colours_are_used_only_where_they_are_asked_for() {
    let env = Env::with_versions(1);
    let coloured = |arguments: &[&str], no_color: bool| {
        let mut command = env.command(arguments);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        env.finish(command.output().unwrap()).stderr.contains('\u{1b}')
    };
    assert!(!coloured(&["show", "fraud@9"], false), "no terminal");
    assert!(coloured(&["show", "fraud@9", "--color", "always"], false));
    assert!(!coloured(&["show", "fraud@9", "--color", "never"], false));
    assert!(!coloured(&["show", "fraud@9"], true));
}
