//! Reads cases as `cases/README.md` describes them.

use std::time::Duration;

use serde::Deserialize;

use super::{
    Action, Answer, Answers, Case, Client, Deflate, Echoes, End, Ending, FrameForm, LengthForm,
    MaskForm, Opening, Payload, Request, SampleKind, Script, Seen, Source, Starter,
};
use crate::judge;
use crate::report::{AgentRole, CaseInfo};

/// A case as it stands in its file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) id: String,
    about: Option<String>,
    rule: Option<String>,
    peer: Option<String>,
    open: Option<WrittenOpening>,
    send: Option<Vec<String>>,
    expect: Option<Vec<String>>,
    #[serde(alias = "non_strict")]
    lenient: Option<Vec<String>>,
    #[serde(default)]
    informational: bool,
    end: Option<String>,
    then_close: Option<bool>,
    // Runs of echoes, which only Autobahn's files have.
    kind: Option<String>,
    count: Option<usize>,
    length: Option<usize>,
    timeout: Option<u64>,
    fragment: Option<usize>,
    chop: Option<usize>,
    pattern: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOpening {
    deflate: Option<String>,
    headers: Option<String>,
    request: Option<String>,
    answer: Option<String>,
    field: Option<String>,
    #[serde(default)]
    last: bool,
    patience: Option<f64>,
    agree: Option<String>,
    response: Option<String>,
    client: Option<String>,
    chop: Option<usize>,
    pause: Option<f64>,
}

/// What the cases of a section have in common.
#[derive(Default, Deserialize)]
pub(super) struct Section {
    pub(super) title: String,
    #[serde(default)]
    pub(super) rule: String,
    kind: Option<String>,
    data: Option<String>,
    #[serde(default)]
    offers: Vec<String>,
    #[serde(default)]
    requests: Vec<(bool, u8)>,
}

impl Section {
    pub(super) fn new(title: String, rule: String) -> Self {
        Self { title, rule, ..Self::default() }
    }
}

/// Reads a case of a section; `name` is what reports call the section.
pub(super) fn read(
    written: &Written,
    section: &Section,
    name: &str,
    autobahn: bool,
) -> Result<Case, String> {
    let end = read_end(written.end.as_deref().unwrap_or("fuzzer 1000 clean"))?;
    let script = match written.count {
        Some(count) => Script::Echoes(read_echoes(written, section, count)?),
        None => read_actions(written, &end)?,
    };
    let optional = |list: &Option<Vec<String>>| match list {
        Some(list) => read_all_seen(list).map(Some),
        None => Ok(None),
    };
    let expect = match optional(&written.expect)? {
        _ if written.informational => None,
        expect => Some(expect.unwrap_or_default()),
    };
    let mut opening = match &written.open {
        Some(open) => read_opening(open)?,
        None => Opening::default(),
    };
    if section.data.is_some() {
        opening.deflate = Some(Deflate {
            offers: section.offers.clone(),
            requests: section
                .requests
                .iter()
                .map(|(no_context_takeover, window_bits)| Request {
                    no_context_takeover: *no_context_takeover,
                    window_bits: *window_bits,
                })
                .collect(),
            answer: None,
        });
    }
    let only = match written.peer.as_deref() {
        None | Some("both") => None,
        Some("server") => Some(AgentRole::Server),
        Some("client") => Some(AgentRole::Client),
        Some(other) => return Err(format!("no peer is called {other:?}")),
    };
    let info = CaseInfo {
        id: written.id.clone(),
        section: name.to_owned(),
        about: written.about.clone().unwrap_or_else(|| section.title.clone()),
        rule: written.rule.clone().unwrap_or_else(|| section.rule.clone()),
        sends: tell_sends(written, &script),
        expects: tell_expects(written, &opening, &script, expect.as_deref(), &end),
    };
    let lenient = optional(&written.lenient)?;
    Ok(Case { info, only, opening, script, expect, lenient, end, autobahn })
}

fn read_actions(written: &Written, end: &End) -> Result<Script, String> {
    let send = written.send.iter().flatten().map(|action| read_action(action));
    let send = send.collect::<Result<Vec<_>, _>>()?;
    let closes = send.iter().any(|action| matches!(action, Action::Close { .. }));
    let then_close = written.then_close.unwrap_or(end.starter == Starter::Tester && !closes);
    Ok(Script::Actions { send, then_close })
}

fn read_echoes(written: &Written, section: &Section, count: usize) -> Result<Echoes, String> {
    let kind = written.kind.as_ref().or(section.kind.as_ref()).ok_or("echoes of no kind")?;
    let source = match &section.data {
        Some(name) => Source::Sample(
            SampleKind::named(name).ok_or_else(|| format!("no sample is called {name:?}"))?,
        ),
        None => Source::Pattern(unhex(written.pattern.as_deref().unwrap_or_default())?),
    };
    Ok(Echoes {
        text: kind == "TEXT",
        count,
        length: written.length.ok_or("echoes of no length")?,
        fragment: written.fragment,
        chop: written.chop,
        timeout: Duration::from_secs(written.timeout.ok_or("echoes without a time-out")?),
        source,
    })
}

fn read_opening(open: &WrittenOpening) -> Result<Opening, String> {
    let client = match open.client.as_deref() {
        None | Some("works") => Client::Works,
        Some("fails") => Client::Fails,
        Some("works lenient fails") => Client::MayFail,
        Some("fails lenient works") => Client::MayWork,
        Some(other) => return Err(format!("a client that {other:?}")),
    };
    let answer = match &open.answer {
        None => Answers::default(),
        Some(answer) => {
            let (right, lenient) = answer.split_once(" lenient ").unwrap_or((answer, ""));
            Answers { right: read_answers(right)?, lenient: read_answers(lenient)? }
        }
    };
    let field = open.field.as_ref().map(|field| match field.split_once(": ") {
        Some((name, element)) => Ok((name.to_ascii_lowercase(), element.to_owned())),
        None => Err(format!("a field that looks like {field:?}")),
    });
    Ok(Opening {
        deflate: open.deflate.as_ref().map(|offer| Deflate {
            offers: vec![offer.clone()],
            requests: vec![Request::default()],
            answer: open.agree.clone(),
        }),
        headers: open.headers.clone().unwrap_or_default(),
        request: open.request.clone(),
        answer,
        field: field.transpose()?,
        last: open.last,
        patience: open.patience.map(Duration::from_secs_f64),
        response: open.response.clone(),
        client,
        chop: open.chop,
        pause: Duration::from_secs_f64(open.pause.unwrap_or_default()),
    })
}

fn read_answers(list: &str) -> Result<Vec<Answer>, String> {
    let read = |word: &str| match word {
        "drop" => Ok(Answer::Drop),
        "any" => Ok(Answer::Any),
        class if class.ends_with("xx") => {
            class.trim_end_matches('x').parse().map(Answer::Class).map_err(|_| class.to_owned())
        }
        status => status.parse().map(Answer::Status).map_err(|_| status.to_owned()),
    };
    let words = list.split(',').filter(|word| !word.is_empty());
    words.map(|word| read(word).map_err(|word| format!("no answer is called {word:?}"))).collect()
}

fn read_end(end: &str) -> Result<End, String> {
    let (first, lenient) = end.split_once(" lenient ").unwrap_or((end, ""));
    let mut words = first.split(' ');
    let starter = match words.next() {
        Some("fuzzer") => Starter::Tester,
        Some("peer") => Starter::Peer,
        other => return Err(format!("nobody of the name {other:?} closes")),
    };
    let right = read_endings(words.next().unwrap_or_default())?;
    let clean = match words.next() {
        None => false,
        Some("clean") => true,
        Some(other) => return Err(format!("an end that is {other:?}")),
    };
    Ok(End { starter, right, lenient: read_endings(lenient)?, clean })
}

fn read_endings(list: &str) -> Result<Vec<Ending>, String> {
    let read = |word: &str| match word {
        "drop" => Ok(Ending::Drop),
        "ends" => Ok(Ending::Ends),
        "any" => Ok(Ending::Any),
        "-" => Ok(Ending::NoCode),
        code => code.parse().map(Ending::Code).map_err(|_| format!("no end is called {code:?}")),
    };
    list.split(',').filter(|word| !word.is_empty()).map(read).collect()
}

/// Reads what is seen, `repeat 3 TEXT 'a'; PONG 'b'` as six items.
fn read_all_seen(list: &[String]) -> Result<Vec<Seen>, String> {
    let mut all = Vec::new();
    for item in list {
        let (times, items) = match item.strip_prefix("repeat ") {
            Some(rest) => {
                let (times, items) = split(rest);
                (number(times)?, items)
            }
            None => (1, item.as_str()),
        };
        let items: Vec<_> = items.split("; ").map(read_seen).collect::<Result<_, _>>()?;
        all.extend(std::iter::repeat_n(items, times).flatten());
    }
    Ok(all)
}

fn read_seen(item: &str) -> Result<Seen, String> {
    let (kind, rest) = split(item);
    let bytes = |rest| read_payload(rest).map(|payload| payload.bytes(0));
    Ok(match kind {
        "TEXT" => Seen::Text(bytes(rest)?),
        "BINARY" => Seen::Binary(bytes(rest)?),
        "PONG" if rest == "*" => Seen::Pongs,
        "PONG" => Seen::Pong(bytes(rest)?),
        "open" => Seen::Open(rest.into()),
        "any" => Seen::Anything,
        other => return Err(format!("nothing seen is called {other:?}")),
    })
}

fn read_action(action: &str) -> Result<Action, String> {
    let (verb, rest) = split(action);
    Ok(match verb {
        "message" => read_message(rest)?,
        "begin" => {
            let (opcode, length) = split(rest);
            Action::Begin { opcode: read_opcode(opcode)?, length: number(length)? }
        }
        "part" => Action::Part(read_payload(rest)?),
        "end" => Action::End,
        "raw" => Action::Raw(read_payload(rest)?),
        "cuts" => {
            let actions = rest.split("; ").map(read_action);
            Action::Cuts(actions.collect::<Result<_, _>>()?)
        }
        "repeat" => {
            let (times, action) = split(rest);
            Action::Repeat(number(times)?, Box::new(read_action(action)?))
        }
        "auto-fragment" => Action::AutoFragment(number(rest)?),
        "close" => {
            let (code, reason) = split(rest);
            let code = if code == "-" { None } else { Some(number(code)?) };
            Action::Close { code, reason: read_payload(reason)? }
        }
        "wait" => {
            let (time, note) = split(rest);
            let note = Some(note.to_owned()).filter(|note| !note.is_empty());
            Action::Wait { time: seconds(time)?, note }
        }
        "stall" => Action::Stall(seconds(rest)?),
        "half-close" => Action::HalfClose,
        "close-after" => Action::CloseAfter(seconds(rest)?),
        "drop-after" => Action::DropAfter(seconds(rest)?),
        opcode => Action::Frame(read_frame(read_opcode(opcode)?, rest)?),
    })
}

fn read_message(rest: &str) -> Result<Action, String> {
    let (opcode, rest) = split(rest);
    let (fragment, rest) = match rest.strip_prefix("fragment=") {
        Some(rest) => {
            let (count, rest) = split(rest);
            (Some(number(count)?), rest)
        }
        None => (None, rest),
    };
    Ok(Action::Message { opcode: read_opcode(opcode)?, payload: read_payload(rest)?, fragment })
}

fn read_frame(opcode: u8, mut rest: &str) -> Result<FrameForm, String> {
    let mut frame = FrameForm { opcode, ..FrameForm::default() };
    loop {
        let (word, behind) = split(rest);
        match word.split_once('=').unwrap_or((word, "")) {
            ("more", "") => frame.more = true,
            ("alone", "") => frame.alone = true,
            ("packed", "") => frame.packed = true,
            ("rsv", bits) => frame.rsv = number(bits)?,
            ("chop", bytes) => frame.chop = Some(number(bytes)?),
            ("declare", length) => frame.declare = Some(number(length)?),
            ("mask", "none") => frame.mask = MaskForm::Unmasked,
            ("mask", "yes") => frame.mask = MaskForm::Masked,
            ("mask", "zero") => frame.mask = MaskForm::Zeros,
            ("length", "16") => frame.length = LengthForm::Medium,
            ("length", "64") => frame.length = LengthForm::Long,
            _ => {
                frame.payload = read_payload(rest)?;
                return Ok(frame);
            }
        }
        rest = behind;
    }
}

fn read_opcode(name: &str) -> Result<u8, String> {
    Ok(match name {
        "CONT" => 0,
        "TEXT" => 1,
        "BINARY" => 2,
        "CLOSE" => 8,
        "PING" => 9,
        "PONG" => 10,
        other => {
            let number = other.strip_prefix("OP").and_then(|number| number.parse().ok());
            number.filter(|opcode| *opcode < 16).ok_or(format!("no action is called {other:?}"))?
        }
    })
}

/// Reads `'characters'`, `x:` and hexadecimal digits, or those with `*` and the length up to which
/// they are repeated, or `zeros:` and a length.
fn read_payload(text: &str) -> Result<Payload, String> {
    if text.is_empty() {
        return Ok(Payload::default());
    }
    if let Some(quoted) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return Ok(match quoted.contains("{n}") {
            true => Payload::Numbered(quoted.to_owned()),
            false => Payload::Bytes(quoted.as_bytes().to_vec()),
        });
    }
    if let Some(length) = text.strip_prefix("zeros:") {
        return Ok(Payload::Repeated(vec![0], number(length)?));
    }
    let hex = text.strip_prefix("x:").ok_or_else(|| format!("no payload looks like {text:?}"))?;
    match hex.split_once('*') {
        Some((pattern, length)) => Ok(Payload::Repeated(unhex(pattern)?, number(length)?)),
        None => Ok(Payload::Bytes(unhex(hex)?)),
    }
}

fn unhex(hex: &str) -> Result<Vec<u8>, String> {
    let digits = |at: usize| hex.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let bytes = (0..hex.len()).step_by(2).map(digits).collect::<Option<_>>();
    bytes.ok_or_else(|| format!("{hex:?} is not hexadecimal"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse().ok().and_then(|time| Duration::try_from_secs_f64(time).ok());
    time.ok_or_else(|| format!("{text:?} is no number of seconds"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number that fits"))
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// Tells a reader what the tester does.
fn tell_sends(written: &Written, script: &Script) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(open) = &written.open {
        let heads = [("request", &open.request), ("response", &open.response)];
        for (name, head) in heads {
            let head = head.iter().map(|head| format!("the {name} {}", head.escape_debug()));
            lines.extend(head);
        }
        lines.extend(open.headers.iter().map(|lines| format!("with {}", lines.escape_debug())));
        lines.extend(open.deflate.iter().map(|offer| format!("the offer {offer}")));
        lines.extend(open.agree.iter().map(|answer| format!("the answer to it {answer}")));
        lines.extend(open.chop.map(|bytes| format!("{bytes} bytes of it a write")));
    }
    match script {
        Script::Actions { .. } => lines.extend(written.send.iter().flatten().cloned()),
        Script::Echoes(echoes) => {
            let Echoes { count, length, text, .. } = echoes;
            let (kind, unit) = if *text { ("TEXT", "characters") } else { ("BINARY", "bytes") };
            let of = match &echoes.source {
                Source::Sample(kind) => format!(" of {}, compressed", kind.name()),
                Source::Pattern(_) => String::new(),
            };
            lines.push(format!("{count} times: {kind} of {length} {unit}{of}"));
            lines.extend(echoes.fragment.map(|bytes| format!("in frames of {bytes} bytes")));
            lines.extend(echoes.chop.map(|bytes| format!("in writes of {bytes} bytes")));
        }
    }
    lines
}

/// Tells a reader what the peer must do.
fn tell_expects(
    written: &Written,
    opening: &Opening,
    script: &Script,
    expect: Option<&[Seen]>,
    end: &End,
) -> Vec<String> {
    let open = written.open.as_ref();
    if opening.client == Client::Fails {
        return vec!["the client ends the connection without a frame".into()];
    }
    let mut lines = Vec::new();
    if opening.client != Client::Works {
        let client = open.and_then(|open| open.client.as_deref()).unwrap_or_default();
        lines.push(format!("the client {client}"));
    }
    if let Some(answer) = open.and_then(|open| open.answer.as_ref()) {
        lines.push(format!("answer {answer}"));
        lines
            .extend(open.and_then(|open| open.field.as_ref()).map(|field| format!("with {field}")));
        lines.extend(opening.last.then(|| "the end of the connection behind a refusal".into()));
        if !opening.answer.right.iter().any(|answer| answer.fits(Some(101))) {
            return lines;
        }
    }
    match script {
        Script::Echoes(echoes) => lines.push(format!("{} echoes", echoes.count)),
        Script::Actions { .. } if written.informational => lines.push("whatever it likes".into()),
        // In the words in which the report tells what was seen, unless they are too many.
        Script::Actions { .. } => match expect {
            Some(seen) if seen.len() <= judge::MOST => lines.extend(seen.iter().map(judge::tell)),
            _ => lines.extend(written.expect.iter().flatten().cloned()),
        },
    }
    if let Some(lenient) = &written.lenient {
        lines.push(format!("or, not strict: {}", lenient.join(", ")));
    }
    lines.extend(judge::tell_expected_end(end));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_with_all_its_words() {
        let frame = "TEXT more rsv=4 mask=none length=64 declare=9 chop=1 alone packed 'a b'";
        let Ok(Action::Frame(frame)) = read_action(frame) else {
            panic!("not a frame");
        };
        assert!(frame.more && frame.alone && frame.packed);
        assert_eq!((frame.rsv, frame.opcode, frame.chop, frame.declare), (4, 1, Some(1), Some(9)));
        assert_eq!((frame.mask, frame.length), (MaskForm::Unmasked, LengthForm::Long));
        assert_eq!(frame.payload, Payload::Bytes(b"a b".to_vec()));
    }

    #[test]
    fn payloads_are_read_in_every_form() {
        let bytes = |text| read_payload(text).map(|payload| payload.bytes(7));
        assert_eq!(bytes(""), Ok(vec![]));
        assert_eq!(bytes("'é'"), Ok("é".as_bytes().to_vec()));
        assert_eq!(bytes("x:00ff*5"), Ok(vec![0, 255, 0, 255, 0]));
        assert_eq!(bytes("zeros:3"), Ok(vec![0; 3]));
        assert_eq!(bytes("'a{n}'"), Ok(b"a7".to_vec()));
    }

    #[test]
    fn what_is_not_of_the_language_is_named() {
        for wrong in
            ["TXT 'a'", "OP16", "TEXT rsv=x", "TEXT hello", "wait long", "raw x:0", "PING x:zz"]
        {
            assert!(read_action(wrong).is_err(), "{wrong}");
        }
        for wrong in ["me 1000", "peer 70000", "fuzzer 1000 dirty"] {
            assert!(read_end(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_opening_is_read_with_all_that_it_asks() {
        let text = r#"{"request": "GET", "answer": "426 lenient 4xx,drop,any", "last": true,
            "field": "Sec-WebSocket-Version: 13", "patience": 1.5,
            "client": "works lenient fails", "deflate": "d", "agree": "a"}"#;
        let opening = read_opening(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(opening.field, Some(("sec-websocket-version".into(), "13".into())));
        assert_eq!(opening.patience, Some(Duration::from_millis(1500)));
        assert_eq!((opening.last, opening.client), (true, Client::MayFail));
        assert_eq!(opening.answer.right, [Answer::Status(426)]);
        assert_eq!(opening.answer.lenient, [Answer::Class(4), Answer::Drop, Answer::Any]);
        assert_eq!(opening.deflate.unwrap().answer.as_deref(), Some("a"));
        for wrong in [r#"{"field": "Allow"}"#, r#"{"client": "works, fails"}"#] {
            assert!(read_opening(&serde_json::from_str(wrong).unwrap()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_seen_several_times_is_written_once() {
        let read = |item: &str| read_all_seen(&[item.to_owned()]);
        let turn = [Seen::Text(b"a".to_vec()), Seen::Pong(b"b".to_vec())];
        assert_eq!(read("repeat 3 TEXT 'a'; PONG 'b'"), Ok([&turn[..]; 3].concat()));
        assert_eq!(read("TEXT 'a'"), Ok(turn[..1].to_vec()));
        assert!(read("repeat x TEXT 'a'").is_err());
    }

    #[test]
    fn ends_are_read_with_what_is_tolerable() {
        let end = read_end("peer 1002,drop lenient 1009,-").unwrap();
        assert_eq!(end.starter, Starter::Peer);
        assert_eq!(end.right, [Ending::Code(1002), Ending::Drop]);
        assert_eq!(end.lenient, [Ending::Code(1009), Ending::NoCode]);
        assert_eq!(read_end("peer ends lenient any").unwrap().right, [Ending::Ends]);
        assert!(!end.clean);
    }
}
