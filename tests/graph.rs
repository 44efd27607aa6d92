//! What a version was made from, and what came of it.

use serde_json::{Value, json};

use crate::support::Env;

/// base@1 → fraud@1 → fraud@2 → risk@1, and fraud@1 → risk@1; fraud@1 was live and fraud@2 is.
fn project() -> Env {
    let env = Env::new();
    env.write("train.csv", "a,b\n1,2\n3,4\n");
    env.write("more.csv", "a,b\n5,6\n");
    for name in ["b", "f1", "f2", "r"] {
        env.write(&format!("{name}.bin"), format!("model {name}"));
    }
    for arguments in [
        &["base", "--artifact", "b.bin", "--data", "training=more.csv"][..],
        &[
            "fraud",
            "--artifact",
            "f1.bin",
            "--label",
            "1.0.0",
            "--derived-from",
            "base@1",
            "--data",
            "training=train.csv",
            "--transform",
            "training=drop nulls",
            "--source",
            "training=s3://bucket/train.csv",
            "--data",
            "test=more.csv",
        ],
        &["fraud", "--artifact", "f2.bin", "--derived-from", "fraud@1"],
        &["risk", "--artifact", "r.bin", "--derived-from", "fraud@2", "--derived-from", "fraud@1"],
    ] {
        env.run(&[&["record"], arguments].concat()).ok();
    }
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["promote", "fraud", "--version", "2"]).ok();
    env
}

fn ids(document: &Value) -> Vec<&str> {
    document["nodes"].as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap()).collect()
}

#[test]
fn the_tree_tells_both_directions() {
    let env = project();
    insta::assert_snapshot!(env.run(&["graph", "fraud@1"]), @"
    fraud@1 (1.0.0)  96e8e9aadec3  2026-03-01 00:02:00Z
    ├─ made from
    │  ├─ test  more.csv  4e8c86da29e5  1 row
    │  ├─ training  train.csv  b94851485464  2 rows
    │  │  ├─ from s3://bucket/train.csv
    │  │  └─ after drop nulls
    │  └─ base base@1  edb66ad36d41  2026-03-01 00:01:00Z
    │     └─ training  more.csv  4e8c86da29e5  1 row
    ├─ base of
    │  ├─ fraud@2  084a6e31a084  2026-03-01 00:03:00Z  live at prod
    │  │  └─ risk@1  910e990ef0f2  2026-03-01 00:04:00Z
    │  └─ risk@1  910e990ef0f2  2026-03-01 00:04:00Z  (as above)
    └─ live at
       └─ prod  since 2026-03-01 00:05:00Z by Test Person, until 2026-03-01 00:06:00Z by Test Person
    ");
    insta::assert_snapshot!(env.run(&["graph", "risk@1"]), @"
    risk@1  910e990ef0f2  2026-03-01 00:04:00Z
    └─ made from
       ├─ base fraud@1 (1.0.0)  96e8e9aadec3  2026-03-01 00:02:00Z
       │  ├─ test  more.csv  4e8c86da29e5  1 row
       │  ├─ training  train.csv  b94851485464  2 rows
       │  │  ├─ from s3://bucket/train.csv
       │  │  └─ after drop nulls
       │  └─ base base@1  edb66ad36d41  2026-03-01 00:01:00Z
       │     └─ training  more.csv  4e8c86da29e5  1 row
       └─ base fraud@2  084a6e31a084  2026-03-01 00:03:00Z  live at prod
          └─ base fraud@1 (1.0.0)  96e8e9aadec3  2026-03-01 00:02:00Z  (as above)
    ");
    env.write("alone.bin", "alone");
    env.run(&["record", "alone", "--artifact", "alone.bin"]).ok();
    insta::assert_snapshot!(env.run(&["graph", "alone@1"]), @"alone@1  facf8b54e5c0  2026-03-01 00:09:00Z");
    assert_eq!(env.run(&["graph", "fraud@prod", "-q"]).ok().stdout, "fraud@2\n");
    env.refused(&["graph", "fraud@9"], 5, "unknown-version", "fraud@9");
}

#[test]
fn json_has_nodes_and_edges() {
    let env = project();
    let graph = env.json(&["graph", "fraud@2"], "lineage.graph/1");
    assert_eq!(graph["root"], "fraud@2");
    assert_eq!(graph["truncated"], false);
    let ids = ids(&graph);
    assert_eq!(&ids[..4], ["fraud@2", "fraud@1", "base@1", "risk@1"]);
    assert!(ids.contains(&"pointer:fraud@prod"));
    let edges = graph["edges"].as_array().unwrap();
    let count = |kind: &str| edges.iter().filter(|edge| edge["kind"] == kind).count();
    assert_eq!((count("data"), count("derived"), count("live")), (3, 4, 2));
    for edge in edges {
        for end in ["from", "to"] {
            assert!(ids.contains(&edge[end].as_str().unwrap()), "{edge}");
        }
    }
    let data = edges.iter().find(|e| e["role"] == "training" && e["to"] == "fraud@1").unwrap();
    assert_eq!(data["transformations"], json!(["drop nulls"]));
    assert_eq!(data["source"], "s3://bucket/train.csv");
    let same = env.run(&["graph", "fraud@2", "--format", "json"]).ok().json();
    assert_eq!(same, graph);
}

#[test]
fn depth_limits_both_directions_and_says_so() {
    let env = project();
    let ran = env.run(&["graph", "fraud@2", "--depth", "1", "--json"]).ok();
    let graph = ran.json();
    assert_eq!(graph["truncated"], true);
    assert!(!ids(&graph).contains(&"base@1"), "{ran}");
    assert!(ran.stderr.contains("--depth N"), "{ran}");
    let own = env.run(&["graph", "base@1", "--depth", "0"]).ok();
    assert!(!own.stdout.contains("fraud@1"), "{own}");
}

#[test]
fn dot_mermaid_and_svg() {
    let env = project();
    insta::assert_snapshot!(env.run(&["graph", "fraud@2", "--format", "dot"]), @r#"
    digraph lineage {
      rankdir=LR;
      node [fontname="sans-serif"];
      "fraud@2" [shape=box, label="fraud@2\n084a6e31a084", style=bold];
      "fraud@1" [shape=box, label="fraud@1\n1.0.0  96e8e9aadec3"];
      "base@1" [shape=box, label="base@1\nedb66ad36d41"];
      "risk@1" [shape=box, label="risk@1\n910e990ef0f2"];
      "sha256:4e8c86da29e58cbb82cbdc25a6494527c7864aeef1556b60dc4010a88506b762" [shape=cylinder, label="more.csv\n4e8c86da29e5"];
      "sha256:b9485148546419a0f6a85e8d708c923557c15d7f3c7d078ef1fa7f7c0f57d5a5" [shape=cylinder, label="train.csv\nb94851485464"];
      "pointer:fraud@prod" [shape=cds, label="fraud@prod"];
      "sha256:4e8c86da29e58cbb82cbdc25a6494527c7864aeef1556b60dc4010a88506b762" -> "fraud@1" [label="test"];
      "sha256:b9485148546419a0f6a85e8d708c923557c15d7f3c7d078ef1fa7f7c0f57d5a5" -> "fraud@1" [label="training: drop nulls"];
      "sha256:4e8c86da29e58cbb82cbdc25a6494527c7864aeef1556b60dc4010a88506b762" -> "base@1" [label="training"];
      "fraud@1" -> "fraud@2" [label="base"];
      "base@1" -> "fraud@1" [label="base"];
      "fraud@1" -> "risk@1" [label="base"];
      "fraud@2" -> "risk@1" [label="base"];
      "fraud@2" -> "pointer:fraud@prod" [label="since 2026-03-01"];
      "fraud@1" -> "pointer:fraud@prod" [label="2026-03-01 to 2026-03-01", style=dashed];
    }
    "#);
    insta::assert_snapshot!(env.run(&["graph", "fraud@2", "--format", "mermaid"]), @r#"
    flowchart LR
      n0["fraud@2<br>084a6e31a084"]
      n1["fraud@1<br>1.0.0  96e8e9aadec3"]
      n2["base@1<br>edb66ad36d41"]
      n3["risk@1<br>910e990ef0f2"]
      n4[("more.csv<br>4e8c86da29e5")]
      n5[("train.csv<br>b94851485464")]
      n6(["fraud@prod"])
      n4 -->|"test"| n1
      n5 -->|"training: drop nulls"| n1
      n4 -->|"training"| n2
      n1 -->|"base"| n0
      n2 -->|"base"| n1
      n1 -->|"base"| n3
      n0 -->|"base"| n3
      n0 -->|"since 2026-03-01"| n6
      n1 -.->|"2026-03-01 to 2026-03-01"| n6
      style n0 stroke-width:3px
    "#);
    let svg = env.run(&["graph", "fraud@2", "--format", "svg"]).ok().stdout;
    assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{svg}");
    assert!(svg.ends_with("</svg>\n"), "{svg}");
    for text in [">fraud@2<", ">train.csv<", ">training: drop nulls<", ">fraud@prod<"] {
        assert!(svg.contains(text), "{text}: {svg}");
    }
}
