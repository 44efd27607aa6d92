//! A disk without room: nothing is lost, and the registry still verifies.

use std::process::Command;

use crate::support::{Env, Ran};

/// Runs a shell script in a small file system of its own, which vanishes with it. `$LINEAGE` is the
/// binary, `$PWD` the file system. None where this machine lets nobody mount one.
fn in_small_disk(env: &Env, kibibytes: u32, script: &str) -> Option<Ran> {
    let mount = format!("mount -t tmpfs -o size={kibibytes}k tmpfs \"$1\" && cd \"$1\"");
    let binary = env!("CARGO_BIN_EXE_lineage");
    std::fs::create_dir_all(env.path("disk")).unwrap();
    let disk = env.path("disk");
    for unshare in [&["-m"][..], &["-Urm"]] {
        let possible = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", &mount, "sh"])
            .arg(&disk)
            .output()
            .is_ok_and(|output| output.status.success());
        if possible {
            let whole = format!("{mount} || exit 99\n{script}");
            let mut arguments = unshare.to_vec();
            arguments.extend(["sh", "-c", &whole, "sh", disk.to_str().unwrap()]);
            let output = env
                .command_of("unshare".as_ref(), &arguments)
                .env("LINEAGE", binary)
                .env_remove("LINEAGE_TEST_SEED")
                .output()
                .unwrap();
            return Some(env.finish(output));
        }
    }
    None
}

const FILL: &str = "
    \"$LINEAGE\" init -q >/dev/null || exit 90
    echo model > m.bin
    \"$LINEAGE\" record fraud --artifact m.bin -q >/dev/null || exit 91
    \"$LINEAGE\" promote fraud -q >/dev/null || exit 92
";

const CHECK: &str = "
    rm -f filler big.bin
    \"$LINEAGE\" verify >/dev/null 2>&1 || { echo 'does not verify'; \"$LINEAGE\" verify; exit 93; }
    \"$LINEAGE\" resolve fraud >/dev/null || exit 94
    echo another > n.bin
    \"$LINEAGE\" record fraud --artifact n.bin -q >/dev/null || exit 95
    \"$LINEAGE\" verify >/dev/null || exit 96
    ls .lineage/tmp | wc -l
";

#[test]
fn a_full_disk_refuses_the_artifact_and_loses_nothing() {
    let env = Env::empty();
    let script = format!(
        "{FILL}
        head -c 2000000 /dev/zero > big.bin
        \"$LINEAGE\" record fraud --artifact big.bin; echo \"code $?\"
        \"$LINEAGE\" record fraud --artifact big.bin --json; echo \"code $?\"
        {CHECK}"
    );
    let Some(ran) = in_small_disk(&env, 3000, &script) else {
        return limited_file_size(&env);
    };
    let ran = ran.ok().says("No space left on device");
    assert_eq!(ran.stdout.matches("code 1\n").count(), 2, "{ran}");
    assert!(ran.stdout.contains("\"code\":\"disk-full\""), "{ran}");
    assert!(ran.stdout.ends_with("0\n"), "temporaries stay behind: {ran}");
}

#[test]
fn a_disk_without_room_for_the_database_refuses_every_change() {
    let env = Env::empty();
    let script = format!(
        "{FILL}
        cat /dev/zero > filler 2>/dev/null
        for i in 1 2 3; do
            \"$LINEAGE\" record fraud --metric a=$i --json; echo \"code $?\"
            \"$LINEAGE\" record fraud --artifact m.bin --json; echo \"code $?\"
            \"$LINEAGE\" rollback fraud --reason x --json; echo \"code $?\"
        done
        {CHECK}"
    );
    let Some(ran) = in_small_disk(&env, 2000, &script) else {
        return limited_file_size(&env);
    };
    let ran = ran.ok();
    assert_eq!(ran.stdout.matches("\"code\":\"disk-full\"").count(), 9, "{ran}");
    assert_eq!(ran.stdout.matches("code 1\n").count(), 9, "{ran}");
}

#[test]
fn a_disk_that_is_full_can_still_be_read_from() {
    let env = Env::empty();
    let script = format!(
        "{FILL}
        cat /dev/zero > filler 2>/dev/null
        for command in 'resolve fraud' status log 'show fraud@1' 'history fraud' verify; do
            \"$LINEAGE\" $command || echo \"failed: $command\"
        done
        {CHECK}"
    );
    let Some(ran) = in_small_disk(&env, 2000, &script) else {
        return limited_file_size(&env);
    };
    let ran = ran.ok();
    assert!(!ran.stdout.contains("failed: "), "{ran}");
}

#[test]
fn init_on_a_full_disk_leaves_nothing_behind() {
    let env = Env::empty();
    let script = "cat /dev/zero > filler 2>/dev/null
        \"$LINEAGE\" init --json; echo \"code $?\"
        rm filler; ls -A; \"$LINEAGE\" init -q >/dev/null && \"$LINEAGE\" verify -q";
    let Some(ran) = in_small_disk(&env, 1000, script) else {
        return limited_file_size(&env);
    };
    let ran = ran.ok();
    assert!(ran.stdout.contains("\"code\":\"disk-full\""), "{ran}");
    assert!(ran.stdout.ends_with("code 1\nok\n"), "something stays behind: {ran}");
}

/// Where no file system can be mounted: files that may not grow stand in for a disk without room.
fn limited_file_size(env: &Env) {
    env.write("m.bin", "model");
    env.write("big.bin", vec![7; 3_000_000]);
    env.run(&["init"]).ok();
    env.run(&["record", "fraud", "--artifact", "m.bin"]).ok();
    let binary = env!("CARGO_BIN_EXE_lineage");
    // 1024 blocks of 512 bytes or 1 KiB: enough for the database, too little for the artifact.
    let script = format!("trap '' XFSZ; ulimit -f 1024; exec \"{binary}\" \"$@\"");
    let arguments = ["-c", &script, "sh", "record", "fraud", "--artifact", "big.bin", "--json"];
    let ran = env.finish(env.command_of("sh".as_ref(), &arguments).output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.json()["error"]["message"].is_string(), "{ran}");
    assert_eq!(env.query("SELECT COUNT(*) FROM version"), 1);
    env.verifies();
    env.run(&["record", "fraud", "--artifact", "big.bin"]).ok();
    assert_eq!(std::fs::read_dir(env.path(".lineage/tmp")).unwrap().count(), 0);
}

#[test]
fn a_file_that_may_not_grow_refuses_the_artifact_and_loses_nothing() {
    limited_file_size(&Env::empty());
}

#[test]
fn a_result_that_cannot_be_printed_is_a_failure_but_a_closed_pipe_is_none() {
    let env = Env::with_versions(1);
    let binary = env!("CARGO_BIN_EXE_lineage");
    let shell = |script: &str| {
        let script = format!("L=\"{binary}\"; {script}");
        env.finish(env.command_of("sh".as_ref(), &["-c", &script]).output().unwrap())
    };
    if std::path::Path::new("/dev/full").exists() {
        let ran = shell("\"$L\" log > /dev/full").code(1);
        ran.says("cannot write the result");
    }
    let ran = shell("\"$L\" help record | true");
    assert_eq!(ran.stderr, "", "{ran}");
}
