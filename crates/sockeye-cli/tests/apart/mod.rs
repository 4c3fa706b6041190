//! Runs tests that need a piece of the system to themselves in namespaces of their own.

use std::process::Command;

/// Tells whether this process has its own namespaces, which `unshare` calls `--net` and the like.
/// If not, runs the test of that name once more in a process that has, and fails as it fails.
pub(crate) fn is_apart(test: &str, namespaces: &[&str]) -> bool {
    if std::env::var_os(APART).is_some() {
        return true;
    }
    let mut again = Command::new("unshare");
    again.args(["--user", "--map-root-user"]).args(namespaces);
    again.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let output = again.env(APART, "1").output().expect("unshare, of util-linux, is there");
    let told = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (told(&output.stdout), told(&output.stderr));
    // A name that is none runs no test, and well.
    let passed = output.status.success() && stdout.contains("test result: ok. 1 passed");
    assert!(passed, "apart, which takes namespaces of users:\n{stdout}\n{stderr}");
    false
}

/// Runs a program of the system that must succeed.
pub(crate) fn system(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status();
    assert!(
        status.unwrap_or_else(|error| panic!("{program}: {error}")).success(),
        "{program} {args:?}"
    );
}

/// Set in processes that have namespaces of their own.
const APART: &str = "SOCKEYE_TEST_APART";
