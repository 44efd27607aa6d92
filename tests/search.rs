//! Finding sessions by what was recorded of them.

use crate::support::Env;

/// Five sessions: four versions of `fraud`, one of `risk`, and one without an artifact.
fn project() -> Env {
    let env = Env::new();
    env.write("train.csv", "a,b\n1,2\n3,4\n");
    env.write("train.ndjson", "{\"a\":1,\"b\":2}\n{\"a\":3,\"b\":4}\n");
    for number in 1..=4 {
        env.write(&format!("v{number}.bin"), format!("model {number}"));
    }
    for arguments in [
        &[
            "fraud",
            "--artifact",
            "v1.bin",
            "--data",
            "training=train.csv",
            "--metric",
            "validation.auc=0.85",
            "--metric",
            "f1 score=0.5",
            "--param",
            "depth=6",
            "--seed",
            "42",
        ][..],
        &[
            "fraud",
            "--artifact",
            "v2.bin",
            "--data",
            "test=train.ndjson",
            "--metric",
            "validation.auc=0.95",
            "--param",
            "depth=10",
            "--label",
            "1.0.0",
            "--tag",
            "team=risk",
        ],
        &[
            "fraud",
            "--artifact",
            "v3.bin",
            "--metric",
            "validation.auc=nan",
            "--param",
            "depth=deep",
            "--actor",
            "Ada <ada@example.org>",
        ],
        &[
            "risk",
            "--artifact",
            "v4.bin",
            "--metric",
            "validation.auc=inf",
            "--metric",
            "auc=-0",
            "--model-type",
            "xgboost",
            "--tag",
            "team=fraud",
        ],
        &["fraud", "--metric", "auc=0.1", "--param", "depth=6.0"],
    ] {
        env.run(&[&["record"], arguments].concat()).ok();
    }
    env.run(&["promote", "fraud", "--version", "2"]).ok();
    env.run(&["promote", "fraud", "--version", "2", "--pointer", "staging"]).ok();
    env
}

/// What is found, one word each, in order.
fn found(env: &Env, question: &str) -> String {
    let lines = env.json_lines(&["search", question], "lineage.search/1");
    let name = |line: &serde_json::Value| match line["version"].as_u64() {
        Some(number) => format!("{}@{number}", line["model"].as_str().unwrap()),
        None => "none".to_owned(),
    };
    lines.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_same_columns_as_the_log() {
    let env = project();
    insta::assert_snapshot!(env.run(&["search", "metric.validation.auc > 0.9"]), @"
    risk@1          2026-03-01 00:04:00Z  47b98be17c1c  auc=-0  validation.auc=Infinity
    fraud@2  1.0.0  2026-03-01 00:02:00Z  97e2521720cb  validation.auc=0.95
    ");
    insta::assert_snapshot!(env.run(&["search", "model = nobody"]), @"No session fits.");
    assert_eq!(env.run(&["search", "version = 2", "-q"]).ok().stdout, "fraud@2\n");
    let searched = env.run(&["search", "", "--json"]).ok().stdout;
    let logged = env.run(&["log", "--json"]).ok().stdout;
    assert_eq!(searched.replace("lineage.search/1", "lineage.log/1"), logged);
    assert_eq!(env.json_lines(&["search", "", "--limit", "2"], "lineage.search/1").len(), 2);
}

#[test]
fn each_field_finds_what_it_says() {
    let env = project();
    for (question, expected) in [
        ("model = fraud", "none fraud@3 fraud@2 fraud@1"),
        ("model != fraud", "risk@1"),
        ("model ~ is", "risk@1"),
        ("version >= 2", "fraud@3 fraud@2"),
        ("version exists and not version = 1", "fraud@3 fraud@2"),
        ("not version exists", "none"),
        ("version != 1", "fraud@3 fraud@2"),
        ("label = 1.0.0", "fraud@2"),
        ("label exists or model = risk", "risk@1 fraud@2"),
        ("label ~ .0", "fraud@2"),
        ("seed = 42", "fraud@1"),
        ("model_type = xgboost", "risk@1"),
        ("actor = Ada", "fraud@3"),
        ("actor = ada@example.org", "fraud@3"),
        ("actor != Ada and model = risk", "risk@1"),
        ("actor ~ Test and actor exists and version = 1", "risk@1 fraud@1"),
        ("pointer = prod", "fraud@2"),
        ("pointer exists", "fraud@2"),
        ("pointer != prod", ""),
        ("pointer ~ a", "fraud@2"),
        ("not pointer exists and model = fraud", "none fraud@3 fraud@1"),
        ("artifact exists and model = risk", "risk@1"),
        ("data exists", "fraud@2 fraud@1"),
        ("data.path ~ train", "fraud@2 fraud@1"),
        ("data.path = train.csv", "fraud@1"),
        ("data.path != train.csv", "fraud@2"),
        ("data.test exists", "fraud@2"),
        ("param.depth = 6", "none fraud@1"),
        ("param.depth = \"6\"", "fraud@1"),
        ("param.depth >= 6", "none fraud@2 fraud@1"),
        ("param.depth != 6", "fraud@3 fraud@2"),
        ("param.depth = deep", "fraud@3"),
        ("param.depth ~ e", "fraud@3"),
        ("param.other exists", ""),
        ("tag.team = risk", "fraud@2"),
        ("tag.team != risk", "risk@1"),
        ("not tag.team = risk and model = fraud", "none fraud@3 fraud@1"),
        ("created < 2026-03-01T00:03:00Z", "fraud@2 fraud@1"),
        ("created = 2026-03-01", "none risk@1 fraud@3 fraud@2 fraud@1"),
        ("created > 2026-03-01", ""),
        ("created <= 2026-03-01T01:01:00+01:00", "fraud@1"),
        ("created >= 2026-03-01 and created != 2026-03-01T00:01:00Z and seed exists", ""),
        ("metric.validation.auc > 0.9", "risk@1 fraud@2"),
        ("metric.validation.auc < inf", "fraud@2 fraud@1"),
        ("metric.validation.auc = inf", "risk@1"),
        ("metric.validation.auc = nan", "fraud@3"),
        ("metric.validation.auc != nan", "risk@1 fraud@2 fraud@1"),
        ("metric.validation.auc != 0.95", "risk@1 fraud@3 fraud@1"),
        ("metric.auc = 0", "risk@1"),
        ("metric.auc exists", "none risk@1"),
        ("metric.\"f1 score\" exists", "fraud@1"),
        ("metric.training.auc exists", ""),
    ] {
        assert_eq!(found(&env, question), expected, "{question}");
    }
}

#[test]
fn data_is_found_by_bytes_and_by_content() {
    let env = project();
    let print = |path: &str| env.json(&["fingerprint", path], "lineage.fingerprint/1");
    let (csv, ndjson) = (print("train.csv"), print("train.ndjson"));
    assert_eq!(csv["content_sha256"], ndjson["content_sha256"]);
    let ask = |field: &str, sign: &str, digest: &serde_json::Value| {
        found(&env, &format!("{field} {sign} sha256:{}", digest.as_str().unwrap()))
    };
    assert_eq!(ask("data", "=", &csv["sha256"]), "fraud@1");
    assert_eq!(ask("data", "=", &csv["content_sha256"]), "fraud@2 fraud@1");
    assert_eq!(ask("data.test", "=", &csv["content_sha256"]), "fraud@2");
    assert_eq!(ask("data", "!=", &csv["sha256"]), "fraud@2");
    assert_eq!(ask("data.training", "!=", &csv["sha256"]), "");
    let prefix = &csv["sha256"].as_str().unwrap()[..8];
    assert_eq!(found(&env, &format!("data = {prefix} and metric.validation.auc > 0")), "fraud@1");
    let model = print("v4.bin")["sha256"].as_str().unwrap()[..6].to_owned();
    assert_eq!(found(&env, &format!("artifact = sha256:{model}")), "risk@1");
    assert_eq!(found(&env, &format!("artifact != {model} and version = 1")), "fraud@1");
}

#[test]
fn what_has_no_value_comes_last_in_any_order() {
    let env = project();
    for (question, expected) in [
        ("order by created", "fraud@1 fraud@2 fraud@3 risk@1 none"),
        ("order by created desc", "none risk@1 fraud@3 fraud@2 fraud@1"),
        ("order by metric.validation.auc desc", "risk@1 fraud@2 fraud@1 none fraud@3"),
        ("order by metric.validation.auc", "fraud@1 fraud@2 risk@1 fraud@3 none"),
        ("model = fraud order by metric.validation.auc desc", "fraud@2 fraud@1 none fraud@3"),
        ("metric.validation.auc > 0 order by metric.validation.auc asc", "fraud@1 fraud@2 risk@1"),
        ("order by param.depth", "fraud@1 none fraud@2 fraud@3 risk@1"),
        ("order by version desc", "fraud@3 fraud@2 risk@1 fraud@1 none"),
        ("order by model desc", "risk@1 none fraud@3 fraud@2 fraud@1"),
        ("order by tag.team", "risk@1 fraud@2 fraud@1 fraud@3 none"),
        ("order by model_type", "risk@1 fraud@1 fraud@2 fraud@3 none"),
    ] {
        assert_eq!(found(&env, question), expected, "{question}");
    }
}

#[test]
fn a_mistake_is_shown_with_a_caret() {
    let env = project();
    insta::assert_snapshot!(env.run(&["search", "metric.auc > high"]), @r#"
    ------- stderr -------
    error: metric.auc is compared with a number, not with "high", at character 14
      metric.auc > high
                   ^
    [exit status: Some(2)]
    "#);
    insta::assert_snapshot!(env.run(&["search", "(modle = fraud"]), @"
    ------- stderr -------
    error: there is no field modle, at character 2
      (modle = fraud
       ^
    hint: did you mean model?
    [exit status: Some(2)]
    ");
    let long = format!("{} and model =", vec!["seed exists"; 20].join(" and "));
    insta::assert_snapshot!(env.run(&["search", &long]), @"
    ------- stderr -------
    error: expected a value after =, at character 328
      d seed exists and seed exists and seed exists and model =
                                                               ^
    [exit status: Some(2)]
    ");
    for question in ["order by nope", "order by seed", "order by"] {
        let ran = env.run(&["search", question]).code(2);
        ran.says(
            "created, model, version, session, model_type, metric.NAME, param.NAME or tag.NAME",
        );
    }
    env.refused(&["search", "model = 'fraud'"], 2, "usage", "' means nothing here, at character 9");
    let ran = env.run(&["search", "model = fraud\u{1b}[2J"]).code(2);
    assert!(!ran.stderr.contains('\u{1b}'), "{ran}");
}

#[test]
fn no_value_reaches_the_statement() {
    let env = project();
    for question in
        ["model = \"x' or '1'='1\"", "tag.\"'; DROP TABLE tag; --\" exists", "label ~ %"]
    {
        assert_eq!(found(&env, question), "", "{question}");
    }
    env.verifies();
}
