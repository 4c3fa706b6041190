//! Surroundings that a program seldom meets: bytes that are no text, no environment, nowhere to write.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use rustix::process::Signal;
use tokio::time::timeout;

use crate::scratch::Scratch;
use crate::support::{PATIENCE, Served, TEXT, command};

/// No UTF-8.
const NO_TEXT: &[u8] = b"\xff\xfe.toml";

/// Runs the binary to its end with one more argument, and returns its status and standard error.
async fn run(args: &[&str], last: &OsStr) -> (Option<i32>, String) {
    let mut command = command(args);
    command.arg(last).env_clear().env("LANG", "C");
    let Output { status, stderr, .. } =
        timeout(PATIENCE, command.output()).await.expect("it ends").unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{stderr}");
    (status.code(), stderr)
}

// CMD-021
#[tokio::test]
async fn arguments_that_are_no_text_are_usage_errors() {
    for name in ["serve", "echo", "connect", "pub", "sub", "conform", "check-config", "token"] {
        let (code, stderr) = run(&[name], OsStr::from_bytes(b"\xff\xfe")).await;
        assert_eq!(code, Some(2), "{name}: {stderr}");
    }
    let (code, stderr) = run(&[], OsStr::from_bytes(b"\xff\xfe")).await;
    assert_eq!(code, Some(2), "{stderr}");
}

// CMD-021
#[tokio::test]
async fn path_that_is_no_text_is_one_like_others() {
    let scratch = Scratch::new("strange");
    let path = std::path::PathBuf::from(scratch.path("")).join(OsStr::from_bytes(NO_TEXT));
    let (code, stderr) = run(&["check-config", "--config"], path.as_os_str()).await;
    assert_eq!((code, stderr.contains("cannot be read")), (Some(2), true), "{stderr}");
    std::fs::write(&path, "max_message = 5\n").unwrap();
    let (code, stderr) = run(&["check-config", "--config"], path.as_os_str()).await;
    assert_eq!(code, Some(0), "{stderr}");
}

// CMD-021
#[tokio::test]
async fn without_a_home_a_terminal_or_a_place_to_write_it_serves_and_connects() {
    let mut serve = command(&["serve", "--listen", "127.0.0.1:0"]);
    serve.env_clear().env("LANG", "C").current_dir("/proc");
    let served = Served::spawn(&mut serve).await;
    let mut raw = served.open("/echo").await;
    raw.send(0x80 | TEXT, "h\u{e9}".as_bytes()).await;
    assert_eq!(raw.frame().await.unwrap().text(), "h\u{e9}");
    drop(raw);
    let url = format!("ws://{}/echo", served.address);
    let (code, stderr) = run(&["connect"], OsStr::new(&url)).await;
    assert_eq!(code, Some(0), "{stderr}");
    served.signal(Signal::TERM);
    assert_eq!(served.end().await.code, Some(0));
}

// CMD-021
#[tokio::test]
async fn directory_that_takes_no_file_is_an_error_that_names_it() {
    let report = OsStr::new("/proc/report");
    let (code, stderr) = run(&["serve", "--listen", "127.0.0.1:0", "--takeover"], report).await;
    assert_ne!(code, Some(0));
    assert!(stderr.contains("/proc/report"), "{stderr}");
}
