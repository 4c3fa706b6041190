//! The page of a report in a real browser, driven by the script beside this file.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails so")]

mod example;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Longer than the script takes on a busy machine by far; it only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory of this test's own, gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sockeye-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn tool(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: run the tests with `cargo xtask test`"),
    }
}

async fn drive(script: &str, page: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report").join(script);
    let child = Command::new("node")
        .arg(&script)
        .env("REPORT", page)
        .env("EVIL", example::EVIL)
        .env("SOCKEYE_TEST_NODE_MODULES", tool("SOCKEYE_TEST_NODE_MODULES"))
        .env("SOCKEYE_TEST_CHROMIUM", tool("SOCKEYE_TEST_CHROMIUM"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output =
        timeout(PATIENCE, child.wait_with_output()).await.expect("the script ends").unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script:?}\n{out}\n{err}");
    assert!(out.ends_with("done\n"), "the script came to its end: {out}");
}

#[tokio::test]
async fn the_page_shows_filters_and_opens_results_and_runs_nothing_a_peer_sent() {
    let scratch = Scratch::new("report");
    let page = scratch.0.join("index.html");
    std::fs::write(&page, example::example().to_html()).unwrap();
    drive("page.mjs", &page).await;
}
