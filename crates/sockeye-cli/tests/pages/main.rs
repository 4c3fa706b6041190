//! The real binary and its pages in a real browser.
//!
//! The browser is driven by the script beside this file, which starts and stops the server itself.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails so")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Longer than the script takes on a busy machine by far; it only bounds a hang.
const PATIENCE: Duration = Duration::from_secs(120);

fn tool(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set: run the tests with `cargo xtask test`"),
    }
}

async fn drive(script: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages").join(script);
    let child = Command::new("node")
        .arg(&script)
        .env("SOCKEYE", env!("CARGO_BIN_EXE_sockeye"))
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
async fn two_pages_chat_through_a_restart_of_the_server() {
    drive("chat.mjs").await;
}

#[tokio::test]
async fn the_console_shows_every_event() {
    drive("console.mjs").await;
}

// PUB-030
#[tokio::test]
async fn what_strangers_say_in_a_chat_is_text_and_nothing_else() {
    drive("strangers.mjs").await;
}
