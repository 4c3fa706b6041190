//! Files that are refused, and that the line told is one of the file's.

use proptest::prelude::*;

use super::*;

#[test]
fn file_with_a_fault_is_refused_by_file_line_and_message() {
    for (text, told) in [
        (
            "deflate = true\nconnections = 5",
            "f:2: unknown key \"connections\"; did you mean `limits.connections`?",
        ),
        (
            "[limits]\nconections = 5",
            "f:2: unknown key \"limits.conections\"; did you mean `limits.connections`?",
        ),
        ("[limit]\nqueue = 70000", "f:1: unknown key \"limit\""),
        ("\n\nfrobnicate = 5", "f:3: unknown key \"frobnicate\""),
        (
            "[[topic]]\nmatch = 'a'\nhistroy = 5",
            "f:3: unknown key of a topic \"histroy\"; did you mean `history`?",
        ),
        ("deflate = 'yes'", "f:1: deflate: found \"yes\"; allowed is true or false"),
        (
            "listen = '127.0.0.1:1'",
            "f:1: listen: found \"127.0.0.1:1\"; allowed is a list of HOST:PORT, 1 to 16",
        ),
        (
            "listen = [1]",
            "f:1: listen: found a list with other things in it; allowed is a list of HOST:PORT, 1 to 16",
        ),
        ("listen = []", "f:1: listen: found 0 addresses; allowed is 1 to 16"),
        (
            "max_message = 1.5",
            "f:1: max_message: found 1.5; allowed is a number of bytes from 1 to 1073741824",
        ),
        (
            "max_message = 2026-01-01",
            "f:1: max_message: found a date; allowed is a number of bytes from 1 to 1073741824",
        ),
        ("time = 5", "f:1: time: found a value; allowed is a section, [time]"),
        ("[[time]]", "f:1: time: write [time], once"),
        ("[topic]\nmatch = 'a'", "f:1: topic: write [[topic]], once for each rule"),
        ("topic = [1]", "f:1: topic: write [[topic]], once for each rule"),
        ("[time]\nping = 25", "f:2: time.ping: found 25; allowed is a time from \"1s\" to \"1h\""),
        (
            "[time]\nping = '25'",
            "f:2: time.ping: found \"25\"; allowed is a time from \"1s\" to \"1h\"",
        ),
        (
            "[time]\nping = '1s 5ms'",
            "f:2: time.ping: found \"1s 5ms\"; allowed is a time from \"1s\" to \"1h\"",
        ),
        (
            "[time]\nping = '2h'",
            "f:2: time.ping: found \"2h\"; allowed is a time from \"1s\" to \"1h\"",
        ),
        (
            "[limits]\nqueue = 0",
            "f:2: limits.queue: found 0; allowed is a number of bytes from 65536 to 1073741824",
        ),
        (
            "[limits]\nper_ip = -1",
            "f:2: limits.per_ip: found -1; allowed is a number from 1 to 10000000",
        ),
        (
            "[log]\nformat = 'xml'",
            "f:2: log.format: found \"xml\"; allowed is one of \"text\", \"json\"",
        ),
        ("[[topic]]\nhistory = 5", "f:1: topic: `match` is missing"),
        ("deflate = true\ndeflate = true", "f:2: duplicate key \"deflate\""),
        ("[log]\n[time]\n[log]", "f:3: duplicate key \"log\""),
        (
            "\u{feff}deflate = true",
            "f:1: the file begins with a byte order mark; save it as UTF-8 without one",
        ),
        ("[tls]\ncert = 'a'", "f:2: tls.cert: needs tls.key"),
        ("[tls]\nclient_ca = 'a'", "f:2: tls.client_ca: needs tls.cert and tls.key"),
        (
            "admin = '127.0.0.1:8080'",
            "f:1: admin: 127.0.0.1:8080 is in `listen` too; it needs its own port",
        ),
        ("[auth.jwt]\nissuer = 'a'", "f:2: auth.jwt.issuer: no keys are set to check tokens with"),
        ("[auth]\ncookie = 'a b'", "f:2: auth.cookie: \"a b\" is no name of a cookie"),
        (
            "[[topic]]\nmatch = 'a'\n[[topic]]\nmatch = 'b'\nhook = 'http://a.example'",
            "f:5: topic[1].hook: http is for the loop-back interface only; use https",
        ),
    ] {
        assert_eq!(error(text), told, "{text}");
    }
}

#[test]
fn file_that_is_missing_too_long_or_no_text_is_refused_by_name() {
    let refused = |path: &Path| File::read(path).unwrap_err().to_string();
    let missing = Path::new("/nowhere/sockeye.toml");
    assert!(refused(missing).starts_with("/nowhere/sockeye.toml:1: cannot be read: "));
    let directory = std::env::temp_dir();
    assert!(refused(&directory).contains(":1: cannot be read: "));
    let long = Scratch::new("long", vec![b'#'; 10 << 20]);
    assert!(refused(long.path()).ends_with(":1: the file has more than 1048576 bytes"));
    let binary = File::from_bytes(Path::new("f"), b"deflate = true\n\xff".to_vec()).unwrap_err();
    assert_eq!(binary.to_string(), "f:2: what stands here is not UTF-8");
}

#[test]
fn first_fault_in_the_file_is_told() {
    assert!(error("zebra = 1\nadmin = 2").starts_with("f:1: unknown key \"zebra\""));
}

#[test]
fn value_that_could_command_a_terminal_is_escaped_and_cut() {
    let told = error(&format!("admin = \"\\u001b]0;\\n\u{202e}{}\"", "x".repeat(5000)));
    assert!(told.contains(r"\u001B]0;\n\u202E") && told.len() < 300, "{told}");
}

#[test]
fn depth_of_nesting_is_bounded() {
    let deep = format!("x = {}", "[".repeat(200_000));
    assert!(parse(&deep).is_err());
    let dotted = format!("{}x = 1", "a.".repeat(200_000));
    assert!(parse(&dotted).is_err());
}

/// Makes lines such as those of a configuration, right and wrong.
fn line() -> impl Strategy<Value = String> {
    let sections = ["[limits]", "[time]", "[[topic]]", "[auth.jwt]", "[auth", "[auth.webhook]"];
    let names = keys().iter().map(|key| key.path.rsplit('.').next().unwrap());
    let topic = topic_keys().iter().map(|key| key.path);
    let name = prop::sample::select(names.chain(topic).collect::<Vec<_>>());
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("\"\"\"\n\n".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "\"[a-z0-9:*/.]{0,12}\"",
        "\"[0-9]{1,3}(ms|s|m|h|d)\"",
        "\\[(\"[a-z:*]{0,4}\",?\n?){0,3}\\]",
        ".{0,12}",
    ];
    prop_oneof![
        1 => prop::sample::select(sections.to_vec()).prop_map(str::to_owned),
        4 => (name, value).prop_map(|(name, value)| format!("{name} = {value}")),
        1 => ".{0,20}",
    ]
}

/// Reads a file and checks that an error is one line and names one of the file's.
fn judge(bytes: &[u8]) -> Result<(), TestCaseError> {
    let read = File::from_bytes(Path::new("f"), bytes.to_vec());
    let Err(error) = read.and_then(|file| Config::from_file(&file)) else { return Ok(()) };
    prop_assert_eq!(error.to_string().lines().count(), 1, "{}", error);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    match error.place() {
        Some(Place::Line { line, .. }) => prop_assert!((1..=lines).contains(line), "{}", error),
        other => prop_assert!(false, "{:?}: {}", other, error),
    }
    let ends = usize::from(bytes.len() > 1 && bytes.ends_with(b"\n"));
    let Some(Place::Line { line, .. }) = error.place() else { return Ok(()) };
    prop_assert!(*line <= lines - ends, "{}", error);
    Ok(())
}

proptest! {
        #[test]
    fn no_bytes_panic_and_every_error_is_a_line_of_the_file(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in ".{0,200}",
    ) {
        judge(&bytes)?;
        judge(text.as_bytes())?;
    }

        #[test]
    fn no_configuration_panics_and_every_error_is_a_line_of_it(
        lines in prop::collection::vec(line(), 0..12),
        end in "\n{0,2}",
    ) {
        judge((lines.join("\n") + &end).as_bytes())?;
    }

    #[test]
    fn no_variable_panics(name in "SOCKEYE_[A-Z_]{0,20}", value in ".{0,20}") {
        let _ = env(&[(&name, &value)]);
        for key in keys().iter().filter_map(Key::env) {
            let _ = env(&[(key, &value)]);
        }
    }

    #[test]
    fn time_is_read_back_as_it_is_shown(millis in any::<u32>()) {
        let time = Duration::from_millis(millis.into());
        prop_assert_eq!(parse_time(&value::show_time(time)), Some(time));
    }
}

#[test]
fn time_is_a_number_and_a_unit_and_nothing_else() {
    for bad in [
        "",
        "s",
        "25",
        "25 s",
        " 25s",
        "-1s",
        "+1s",
        "1.5s",
        "1s1s",
        "1S",
        "25sec",
        "99999999999999999999s",
        "18446744073709551615d",
    ] {
        assert_eq!(parse_time(bad), None, "{bad}");
    }
    for (text, millis) in [
        ("500ms", 500),
        ("25s", 25_000),
        ("10m", 600_000),
        ("1h", 3_600_000),
        ("2d", 172_800_000),
        ("0s", 0),
    ] {
        assert_eq!(parse_time(text), Some(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn address_is_a_host_and_a_port() {
    for bad in [
        "",
        "a",
        ":80",
        "a:",
        "a:x",
        "a:65536",
        "a:+1",
        "::1:80",
        "[::1]",
        "[a]:80",
        "a b:80",
        "http://a:80",
        "a/b:80",
    ] {
        assert!(bad.parse::<Address>().is_err(), "{bad}");
    }
    for (good, is_loopback) in [
        ("127.0.0.1:0", true),
        ("[::1]:80", true),
        ("localhost:80", true),
        ("127.9.9.9:1", true),
        ("0.0.0.0:80", false),
        ("[::]:80", false),
        ("example.com:65535", false),
        ("localhost.example.com:80", false),
    ] {
        let address: Address = good.parse().unwrap();
        assert_eq!((address.to_string().as_str(), address.is_loopback()), (good, is_loopback));
    }
}
