//! `sockeye check-config` and `sockeye token` as processes: what they print, and how they end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the functions that tests share fail the test in which they fail"
)]

mod scratch;

use std::net::TcpListener;
use std::process::{Command, Output};

use scratch::Scratch;

const SECRET: &str = "correct-horse-battery-staple-123";

/// Runs a command with this environment and no other.
fn sockeye(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    command.args(args).env_clear().envs(env.iter().copied()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Checks that a command refused a configuration, and returns the one line that it said.
fn refusal(output: &Output) -> String {
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

// CMD-020, PUB-009, SIG-011
#[test]
fn bad_configuration_is_refused_with_file_line_and_message() {
    let files = Scratch::new("bad-config");
    let long = "#".repeat(10 << 20);
    for (text, line, names) in [
        ("deflate = true\nfrobnicate = 1", 2, "frobnicate"),
        ("[limits]\nqueue = 'much'", 2, "limits.queue"),
        ("[limits]\nqueue = 5", 2, "limits.queue"),
        ("deflate = true\ndeflate = true", 2, "deflate"),
        ("\u{feff}deflate = true", 1, "byte order mark"),
        (long.as_str(), 1, "1048576 bytes"),
        ("listen = ['0.0.0.0:0']", 1, "listen"),
    ] {
        let path = files.write("sockeye.toml", text);
        for command in ["check-config", "serve"] {
            let told = refusal(&sockeye(&[command, "--config", &path], &[]));
            let place = format!("{path}:{line}: ");
            assert!(told.starts_with(&place) && told.contains(names), "{told}");
        }
    }
    let missing = files.write("sockeye.toml", "") + ".not";
    for command in ["check-config", "serve"] {
        let told = refusal(&sockeye(&[command, "--config", &missing], &[]));
        assert!(told.starts_with(&format!("{missing}:1: cannot be read")), "{told}");
    }
}

// CMD-020
#[test]
fn checking_binds_no_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let printed = stdout(&sockeye(&["check-config", "--listen", &address], &[]));
    assert!(printed.contains(&format!("listen = [\"{address}\"]")), "{printed}");
}

// SIG-013
#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
    let files = Scratch::new("precedence");
    let path = files.write("sockeye.toml", "max_message = 1\n[time]\ndrain = '1s'\nping = '1s'");
    let env = [("SOCKEYE_MAX_MESSAGE", "2"), ("SOCKEYE_DRAIN", "2"), ("SOCKEYE_CONFIG", &path)];
    let flags = ["check-config", "--max-message", "3", "--trusted-proxy", "10.0.0.0/8"];
    let printed = stdout(&sockeye(&[&flags[..], &["--trusted-proxy=10.1.0.1"]].concat(), &env));
    for line in [
        "max_message = 3",
        "drain = \"2s\"",
        "ping = \"1s\"",
        "pong = \"10s\"",
        "trusted_proxies = [\"10.0.0.0/8\", \"10.1.0.1/32\"]",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in {printed}");
    }
}

// SIG-013
#[test]
fn secret_comes_from_the_environment_or_a_file_never_from_a_flag_and_is_not_printed() {
    let env = [("SOCKEYE_AUTH_JWT_SECRET", SECRET), ("SOCKEYE_AUTH_API_KEYS", SECRET)];
    let output = sockeye(&["check-config"], &env);
    let printed = stdout(&output) + &String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("secret = \"***\"") && !printed.contains(SECRET), "{printed}");
    for flag in ["--auth-jwt-secret", "--auth-webhook-secret", "--auth-api-keys"] {
        let told = sockeye(&["check-config", flag, SECRET], &[]);
        assert_eq!(told.status.code(), Some(2));
        assert!(!String::from_utf8_lossy(&told.stderr).contains(SECRET), "{told:?}");
    }
}

#[test]
fn flag_of_true_or_false_needs_no_value() {
    for (flag, line) in [("--deflate", "deflate = true"), ("--deflate=false", "deflate = false")] {
        let env = [("SOCKEYE_DEFLATE", "true")];
        assert!(stdout(&sockeye(&["check-config", flag], &env)).contains(line), "{flag}");
    }
}

#[test]
fn what_is_less_safe_is_warned_of() {
    let open = ["check-config", "--listen", "0.0.0.0:80", "--allow-anonymous"];
    let output = sockeye(&open, &[]);
    assert!(stdout(&output).contains("allow_anonymous = true"));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("sockeye: warning: allow_anonymous: "), "{told}");
}

#[test]
fn example_is_a_configuration_of_defaults() {
    let files = Scratch::new("example");
    let path = files.write("e.toml", &stdout(&sockeye(&["check-config", "--default"], &[])));
    let defaults = stdout(&sockeye(&["check-config"], &[]));
    assert_eq!(stdout(&sockeye(&["check-config", &path], &[])), defaults);
}

#[test]
fn certificate_that_is_none_is_refused() {
    let files = Scratch::new("no-certificate");
    let pem = files.write("a.pem", "nothing");
    let told = refusal(&sockeye(&["check-config", "--tls-cert", &pem, "--tls-key", &pem], &[]));
    assert!(told.starts_with("sockeye: tls: "), "{told}");
}

#[test]
fn token_is_one_line_in_three_parts_whatever_gives_the_secret() {
    let files = Scratch::new("token");
    let secret = files.write("secret", SECRET);
    let config = files.write("c.toml", &format!("[auth.jwt]\nsecret = '{SECRET}'\nissuer = 'me'"));
    let wanted =
        ["--sub", "ann", "--publish", "a", "b*", "--info", "{\"nick\":1}", "--expires", "10m"];
    for (from, env) in [
        (vec!["--secret-file", &secret], vec![]),
        (vec!["--config", &config], vec![]),
        (vec![], vec![("SOCKEYE_AUTH_JWT_SECRET", SECRET)]),
        (vec![], vec![("SOCKEYE_AUTH_JWT_SECRET_FILE", &*secret)]),
    ] {
        let args = [&["token"][..], &wanted, &from].concat();
        let token = stdout(&sockeye(&args, &env));
        let parts: Vec<_> = token.trim_end().split('.').collect();
        assert!(parts.len() == 3 && token.lines().count() == 1, "{token}");
    }
}

#[test]
fn token_that_no_server_would_take_or_without_a_secret_is_not_made() {
    let env = [("SOCKEYE_AUTH_JWT_SECRET", SECRET)];
    let short = [("SOCKEYE_AUTH_JWT_SECRET", "short")];
    for (args, env, told) in [
        (&["--sub", "ann"][..], &[][..], "there is no secret to sign with"),
        (&["--sub", "ann"], &short, "SOCKEYE_AUTH_JWT_SECRET: auth.jwt.secret: found a shorter"),
        (&["--sub", ""], &env, "no server would take that token"),
        (&["--sub", "ann", "--publish", "a*b"], &env, "no server would take that token"),
        (&["--sub", "ann", "--expires", "0s"], &env, "no server would take that token"),
    ] {
        let refused = refusal(&sockeye(&[&["token"][..], args].concat(), env));
        assert!(refused.contains(told), "{refused}");
    }
    let unread = sockeye(&["token", "--sub", "ann", "--expires", "1 hour"], &env);
    assert_eq!(unread.status.code(), Some(2));
}
