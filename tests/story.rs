//! The main job, from a training script to a rollback, as a person sees it.

use crate::support::Env;

#[test]
fn record_promote_resolve_rollback_verify() {
    let env = Env::with_versions(3);
    env.run(&["promote", "fraud", "--version", "1"]).ok();
    env.run(&["promote", "fraud"]).ok();
    insta::assert_snapshot!(env.run(&["resolve", "fraud"]), @"v3/model.bin");
    insta::assert_snapshot!(
        env.run(&["rollback", "fraud", "--expect", "3", "--reason", "INC-1"]),
        @"
    fraud@prod 3 → 1  v1/model.bin
      version 3 is now quarantined on prod
      PROD_POINTER.txt written
    ------- stderr -------
    hint: when it is mended: lineage promote fraud --version 3 --allow-quarantined
    "
    );
    assert_eq!(env.read("PROD_POINTER.txt"), "v1/model.bin\n");
    insta::assert_snapshot!(env.run(&["verify"]), @"
    checked 8 log entries, 25 rows, 3 artifacts, 0 datasets, 1 pointer file, 3 metadata files
    internally consistent; completeness not proven
    ");
}
