//! The examples of the documentation do what it shows.

use std::sync::Arc;

use sockeye_hub::{Epoch, Hub, Limits, Rules};
use tokio::process::Command;

use crate::support::{KEY, Server, bounded, open};

/// A command and what it prints.
struct Example {
    command: String,
    output: String,
}

/// Reads the blocks of a page that begin with a prompt.
fn examples(page: &str) -> Vec<Example> {
    let blocks = page.split("```console\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    let example = |text: &str| {
        let lines = text.replace("\\\n", " ");
        let (command, output) = lines.split_once('\n').unwrap();
        Example { command: command.to_owned(), output: output.to_owned() }
    };
    commands.map(example).collect()
}

/// Replaces what differs from run to run: when a message was published.
fn without_times(text: &str) -> String {
    let mut parts = text.split("\"time\":");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\"time\":0");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

async fn run(page: &str) -> usize {
    // The epoch that the pages show.
    let hub = Hub::new(Epoch::from_random(26_061), Rules::default(), Limits::default());
    let server = Server::start(open(), |topics| topics.hub = Arc::new(hub)).await;
    let examples = examples(page);
    for Example { command, output } in &examples {
        assert!(command.starts_with("curl "), "{command}");
        let here = command.replace("localhost:8080", &server.addr.to_string());
        let mut shell = Command::new("sh");
        shell.args(["-c", &here]).env("KEY", KEY).kill_on_drop(true);
        let ran = bounded(shell.output()).await.expect("a shell, with curl");
        let printed = String::from_utf8(ran.stdout).unwrap().replace('\r', "");
        assert_eq!(without_times(&printed), without_times(output), "{command}");
    }
    examples.len()
}

#[tokio::test]
async fn examples_with_curl_print_what_the_documentation_shows() {
    assert!(run(include_str!("../../../../docs/topics.md")).await >= 8);
    assert!(run(include_str!("../../../../docs/recovery.md")).await >= 3);
}
