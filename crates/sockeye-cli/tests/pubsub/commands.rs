//! The commands in fair weather: what is published and printed, and the exit statuses.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use crate::process::{KEEPS_ALL, Run, publish, serve, url};
use crate::scratch::Scratch;
use crate::support::{PATIENCE, Served, command, run};

// CMD-001
#[tokio::test]
async fn help_succeeds_and_wrong_usage_exits_with_2() {
    for args in [&["pub", "--help"][..], &["sub", "--help"]] {
        let ended = run(args).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("Exit status:") && ended.stderr.is_empty(), "{ended:?}");
    }
    let wrong: [&[&str]; 14] = [
        &["pub"],
        &["pub", "localhost"],
        &["pub", "localhost", ""],
        &["pub", "localhost", "a", "m", "--whole"],
        &["pub", "localhost", "a", "m", "--nonsense"],
        &["pub", "localhost", "a", "m", "--event"],
        &["pub", "ftp://localhost", "a", "m"],
        &["pub", "localhost/?token=x", "a", "m"],
        &["pub", "localhost", "a", "--if-version", "x-1"],
        &["pub", "localhost", "a", "m", "--base64", "--event", "\n", "--key", ""],
        &["sub", "localhost"],
        &["sub", "ftp://localhost", "a"],
        &["sub", "localhost", "a", "--since", "x-1", "--history", "2"],
        &["sub", "localhost", "a", "--retry-first", "0"],
    ];
    for args in wrong {
        let ended = run(args).await;
        assert_eq!(ended.code, Some(2), "{args:?} {ended:?}");
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{args:?} {ended:?}");
    }
}

#[tokio::test]
async fn what_is_published_is_printed_with_the_ids_that_the_publisher_printed() {
    let served = Served::start(&["serve"]).await;
    let url = url(&served);
    let mut json = Run::subscribed(&[&url, "a", "--json", "--count", "5"]).await;
    let plain = Run::subscribed(&[&url, "a", "--base64", "--count", "5"]).await;
    let lines = ["one".to_owned(), String::new(), "\u{1f41f}\r".to_owned()];
    let mut ids: Vec<String> = Vec::new();
    let ended = Run::publishing(&[&url, "a", "--event", "caf\u{e9} 1%"], lines).end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ids.extend(ended.stdout.lines().map(str::to_owned));
    ids.push(publish(&url, "a", "two\nlines").await);
    let bytes = Run::publishing(&[&url, "a", "--base64"], ["AP8=".to_owned()]).end().await;
    ids.extend(bytes.stdout.lines().map(str::to_owned));

    let mut came = Vec::new();
    while let Some(frame) = json.envelope().await {
        came.push(frame);
    }
    assert!(came.iter().map(|frame| &frame["id"]).eq(&ids), "{came:?} {ids:?}");
    let data: Vec<&Value> = came.iter().map(|frame| &frame["data"]).collect();
    assert_eq!(data[..4], ["one", "", "\u{1f41f}", "two\nlines"]);
    assert_eq!(came[4]["base64"], "AP8=");
    assert_eq!((&came[0]["event"], &came[3]["event"]), (&"caf\u{e9} 1%".into(), &Value::Null));
    assert_eq!(json.end().await.code, Some(0));
    let plain = plain.end().await;
    assert_eq!(plain.stdout, "one\n\n\u{1f41f}\ntwo\nlines\nAP8=\n");
    assert_eq!((plain.code, &*plain.stderr), (Some(0), ""));
}

#[tokio::test]
async fn all_of_standard_input_can_be_one_message_and_nul_can_end_messages() {
    let served = Served::start(&["serve"]).await;
    let url = url(&served);
    let lines = |nul: &str| ["a".to_owned(), format!("b{nul}c")];
    for (flag, nul) in [("--whole", " "), ("--binary", "\0"), ("-0", "\0")] {
        let ended = Run::publishing(&[&url, "a", flag, "-q"], lines(nul)).end().await;
        assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "", ""), "{flag}");
    }
    for flags in [&[][..], &["--whole"]] {
        let ended =
            Run::publishing(&[&[&*url, "no-text"], flags].concat(), lines("\0")).end().await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("offset 3 is NUL"), "{ended:?}");
    }
    let ended = run(&["sub", &url, "a", "--since", "oldest", "--count", "4", "-0"]).await;
    assert_eq!(ended.stdout, "a\nb c\n\0a\nb\0c\n\0a\nb\0c\n\0");
}

#[tokio::test]
async fn an_interrupted_publisher_exits_with_130() {
    let served = Served::start(&["serve"]).await;
    let mut publisher = Run::start(&["pub", &url(&served), "a"]);
    publisher.feed(["one".to_owned()]).await;
    assert!(publisher.line().await.is_some());
    publisher.interrupt();
    assert_eq!(publisher.status().await, Some(130));
}

#[tokio::test]
async fn history_comes_first_in_order_and_what_follows_without_a_seam() {
    let scratch = Scratch::new("pubsub-history");
    let served = serve(&scratch, KEEPS_ALL, "127.0.0.1:0").await;
    let url = url(&served);
    let numbers = (0..700).map(|number| number.to_string());
    assert_eq!(Run::publishing(&[&url, "a", "-q"], numbers).end().await.code, Some(0));
    publish(&url, "b", "of another").await;
    let mut run = Run::start(&["sub", &url, "a", "b", "--history", "650", "--count", "652"]);
    for expected in (50..700).map(|number| number.to_string()).chain(["of another".to_owned()]) {
        assert_eq!(run.line().await, Some(expected));
    }
    publish(&url, "a", "live").await;
    assert_eq!(run.line().await.as_deref(), Some("live"));
    assert_eq!(run.end().await.code, Some(0));
}

#[tokio::test]
async fn who_becomes_a_member_is_told_of_beside_the_messages() {
    let scratch = Scratch::new("pubsub-presence");
    let announced = "[[topic]]\nmatch = \"a\"\npresence = \"announced\"\n";
    let served = serve(&scratch, announced, "127.0.0.1:0").await;
    let url = url(&served);
    let mut plain = Run::subscribed(&[&url, "a", "--count", "1"]).await;
    let mut json = Run::start(&["sub", &url, "a", "b", "--json", "--presence", "--count", "1"]);
    let absent = json.complaint().await;
    assert!(absent.starts_with("sockeye: no member of b: "), "{absent}");
    let told = plain.complaint().await;
    assert!(told.starts_with("sockeye: join in a: {\"client\":"), "{told}");
    publish(&url, "a", "m").await;
    assert_eq!(json.envelope().await.unwrap()["event"], "join");
    assert_eq!(json.envelope().await.unwrap()["data"], "m");
    let (plain, json) = (plain.end().await, json.end().await);
    assert_eq!((plain.code, &*plain.stdout, json.code), (Some(0), "m\n", Some(0)));
}

#[tokio::test]
async fn a_key_publishes_once_and_a_version_only_behind_it() {
    let served = Served::start(&["serve"]).await;
    let url = url(&served);
    let keyed = ["pub", &url, "a", "m", "--key", "k \u{e9}%"];
    let (one, other) = (run(&keyed).await, run(&keyed).await);
    assert_eq!((one.code, &one.stdout), (Some(0), &other.stdout));
    let id = one.stdout.trim_end();
    let late = run(&["pub", &url, "a", "m", "--if-version", "x-1"]).await;
    assert_eq!((late.code, &*late.stdout), (Some(1), ""), "{late:?}");
    assert!(late.stderr.contains("conflict") && late.stderr.contains(id), "{late:?}");
    assert_eq!(run(&["pub", &url, "a", "m", "--if-version", id]).await.code, Some(0));
    // Lines have keys of their own.
    let lines = || ["x".to_owned(), "y".to_owned()];
    let args = [&*url, "b", "--key", "run"];
    let (one, other) =
        (Run::publishing(&args, lines()).end().await, Run::publishing(&args, lines()).end().await);
    assert_eq!(one.stdout.lines().count(), 2);
    assert_eq!(one.stdout, other.stdout);
}

#[tokio::test]
async fn statuses_tell_a_refusal_from_a_server_that_is_not_there() {
    let served = Served::start(&["serve"]).await;
    let url = url(&served);
    for command in ["pub", "sub"] {
        let refused = run(&[command, &url, "*"]).await;
        let code = if command == "pub" { Some(0) } else { Some(1) };
        // Standard input is empty, so nothing is published to the topic that is none.
        assert_eq!(refused.code, code, "{refused:?}");
    }
    let refused = Run::publishing(&[&url, "*"], ["m".to_owned()]).end().await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("message 1 of standard input"), "{refused:?}");
    assert!(refused.stderr.contains("bad_request: "), "{refused:?}");
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", holder.local_addr().unwrap());
    drop(holder);
    let absent = run(&["pub", &nobody, "a", "m", "--retries", "1"]).await;
    assert_eq!((absent.code, absent.stderr.lines().count()), (Some(3), 2), "{absent:?}");
    let absent = run(&["sub", &nobody, "a", "-q", "--timeout", "1"]).await;
    assert_eq!((absent.code, absent.stderr.lines().count()), (Some(3), 1), "{absent:?}");
    // Both have been subscribers before their time is up.
    let late = Run::subscribed(&[&url, "a", "--count", "1", "--timeout", "3"]).await;
    let through = Run::subscribed(&[&url, "a", "--timeout", "3"]).await;
    assert_eq!((late.end().await.code, through.end().await.code), (Some(5), Some(0)));
}

// TLS-003
#[tokio::test]
async fn tls_is_checked_against_what_is_trusted() {
    let scratch = Scratch::new("pubsub-tls");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = scratch.write("certificate.pem", &made.cert.pem());
    let key = scratch.write("key.pem", &made.signing_key.serialize_pem());
    let served = Served::start(&["serve", "--tls-cert", &certificate, "--tls-key", &key]).await;
    let url = format!("https://localhost:{}", served.address.port());
    let trusting = ["--cacert", &certificate];
    assert_eq!(run(&["pub", &url, "a", "m", "--retries", "0"]).await.code, Some(3));
    assert_eq!(run(&["sub", &url, "a"]).await.code, Some(3));
    assert_eq!(run(&[&["pub", &url, "a", "m"], &trusting[..]].concat()).await.code, Some(0));
    let args = ["sub", &url, "a", "--since", "oldest", "--count", "1"];
    assert_eq!(run(&[&args[..], &trusting].concat()).await.stdout, "m\n");
    for args in [&args[..], &["pub", &url, "a", "m"]] {
        let insecure = run(&[args, &["--insecure", "-q"]].concat()).await;
        assert_eq!(insecure.code, Some(0), "{insecure:?}");
        // At the start, and of the connection.
        let warnings = insecure.stderr.lines();
        assert_eq!(warnings.filter(|line| line.starts_with("warning: --insecure")).count(), 2);
    }
}

/// Runs the examples of the page in their order against one server, and compares what they print.
#[tokio::test]
async fn the_examples_of_the_page_are_true() {
    let page = include_str!("../../../../docs/cli.md");
    let (_, page) = page.split_once("\n## `sockeye pub`\n").unwrap();
    let (page, _) = page.split_once("\n## `sockeye conform`\n").unwrap();
    let examples = page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let examples: String = examples.collect();
    let directory = std::path::Path::new(env!("CARGO_BIN_EXE_sockeye")).parent().unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    let served = Served::start(&["serve"]).await;
    // The first example prints an id, which tells what the server's life is called.
    let mut life = String::new();
    let mut count = 0;
    for example in examples.split("\n$ ").map(|example| example.trim_start_matches("$ ")) {
        let (line, expected) = example.split_once('\n').unwrap_or((example, ""));
        let line = line.replace("localhost:8080", &served.address.to_string());
        let line = line.replace("k3x", &life);
        let mut shell = tokio::process::Command::new("sh");
        let running = shell.args(["-c", &line]).env("PATH", &path).kill_on_drop(true).output();
        let output = tokio::time::timeout(PATIENCE, running).await.expect(&line).unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        if life.is_empty() {
            life = printed.rsplit_once('-').unwrap().0.to_owned();
        }
        let printed = printed.replace(&life, "k3x");
        assert_eq!(at_one_time(&printed).trim_end(), at_one_time(expected).trim_end(), "{line}");
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

/// Takes the time out of envelopes.
fn at_one_time(lines: &str) -> String {
    let (mut out, mut rest) = (String::new(), lines);
    while let Some((before, after)) = rest.split_once("\"time\":") {
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}

#[tokio::test]
async fn tokens_and_keys_stand_in_files_or_the_environment_and_are_shown_nowhere() {
    let scratch = Scratch::new("pubsub-auth");
    let (secret, key) = ("s".repeat(40), "k".repeat(40));
    let file = scratch.write("secret", &secret);
    let configuration = format!("[auth]\napi_keys = [\"{key}\"]\njwt.secret = \"{secret}\"\n");
    let served = serve(&scratch, &configuration, "127.0.0.1:0").await;
    let url = url(&served);
    let minted = ["token", "--secret-file", &file, "--sub", "ann", "--publish", "a"];
    let token = run(&[&minted[..], &["--subscribe", "a"]].concat()).await.stdout;
    let token_file = format!("@{}", scratch.write("token", &token));
    let key_file = scratch.write("key", &key);

    for refused in [
        run(&["pub", &url, "a", "m"]).await,
        run(&["pub", &url, "b", "m", "--token", &token_file]).await,
        run(&["sub", &url, "a"]).await,
        run(&["sub", &url, "b", "--token", &token_file]).await,
        run(&["sub", &url, "a", "--token", "wrong-secret"]).await,
    ] {
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(!refused.stderr.contains("wrong-secret"), "{refused:?}");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    }
    assert_eq!(run(&["pub", &url, "a", "1", "--token", &token_file]).await.code, Some(0));
    assert_eq!(run(&["pub", &url, "a", "2", "--api-key-file", &key_file]).await.code, Some(0));
    let in_environment = command(&["pub", &url, "a", "3"]).env("SOCKEYE_API_KEY", &key).status();
    assert!(in_environment.await.unwrap().success());
    let mut reader = command(&["sub", &url, "a", "--since", "oldest", "--count", "3"]);
    let output = reader.env("SOCKEYE_TOKEN", &token_file).output().await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "1\n2\n3\n");
}

// CMD-006
#[tokio::test]
async fn nobody_reading_ends_a_subscriber_in_silence_and_not_a_publisher() {
    let served = Served::start(&["serve"]).await;
    let url = url(&served);
    let mut child = command(&["sub", &url, "a", "--since", "oldest"]).spawn().unwrap();
    publish(&url, "a", "first").await;
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await.unwrap().unwrap();
    assert_eq!(line, "first\n");
    drop(reader);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));

    let mut shell = tokio::process::Command::new("sh");
    let line = format!(
        "for n in $(seq 300); do echo $n; done | {{ '{}' pub {url} b; echo $? >&2; }} | true",
        env!("CARGO_BIN_EXE_sockeye")
    );
    let output = shell.args(["-c", &line]).output().await.unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "0\n");
    let last = run(&["sub", &url, "b", "--history", "1", "--count", "1"]).await;
    assert_eq!(last.stdout, "300\n");
}
