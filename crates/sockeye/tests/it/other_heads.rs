//! The same heads given to our parser and to hyper's.
//!
//! Every difference is one that the list at the end names.

use std::cell::Cell;
use std::convert::Infallible;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::collection::vec;
use proptest::prelude::*;
use sockeye_proto::Limits;
use sockeye_proto::handshake::{HeadError, HeadReader, Policy, RequestHead, Version, accept};

use crate::others::check;
use crate::support::REQUEST;

/// What a parser makes of a head. Headers stand in the order of their names, as hyper groups them.
#[derive(Clone, Debug, PartialEq)]
struct Head {
    method: String,
    target: String,
    is_http_10: bool,
    headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    fn new<'a>(
        (method, target): (&str, &str),
        is_http_10: bool,
        headers: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let mut headers: Vec<_> =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
        headers.sort_by(|one, other| one.0.cmp(&other.0));
        Self { method: method.into(), target: target.into(), is_http_10, headers }
    }
}

fn ours(bytes: &[u8]) -> Result<Head, HeadError> {
    let length = HeadReader::request().read(bytes, &Limits::default())?;
    let head = RequestHead::parse(&bytes[..length.ok_or(HeadError::Incomplete)?])?;
    let is_http_10 = head.version() == Version::Http10;
    Ok(Head::new((head.method(), head.target()), is_http_10, head.headers()))
}

/// Returns the head that hyper gives to its service, if it does.
fn theirs(bytes: &[u8]) -> Option<Head> {
    let seen = Arc::new(Mutex::new(None));
    let tell = seen.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let target = request.uri().to_string();
        let is_http_10 = request.version() == http::Version::HTTP_10;
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
        let head = Head::new((request.method().as_str(), &target), is_http_10, headers);
        tell.lock().unwrap().get_or_insert(head);
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let io = TokioIo::new(tokio::io::join(Cursor::new(bytes.to_vec()), tokio::io::sink()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
    let _ = runtime.block_on(connection);
    seen.lock().unwrap().take()
}

/// A request with some of its bytes replaced by what is troublesome in heads, or cut, or with more
/// put in.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let pieces: [&[u8]; 30] = [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"\0",
        b":",
        b"\x0b",
        b"\x7f",
        b"\xe9",
        b"\xff",
        b"\r\n ",
        b"A: b\r\n",
        b"A : b\r\n",
        b": b\r\n",
        b"A:\r\n",
        b"A:  b \t\r\n",
        b"\"",
        b"/",
        b"?",
        b"#",
        b"%",
        b"{",
        b"http://x",
        b"HTTP/1.0",
        b"HTTP/1.1",
        b"HTTP/2.0",
        b"HTTP/0.9",
        b"POST",
        b"\x16",
    ];
    let piece = prop::sample::select(pieces.to_vec());
    let change = (any::<prop::sample::Index>(), piece, 0..3usize);
    let end = prop_oneof![9 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (vec(change, 0..4), end).prop_map(|(changes, end)| {
        let mut bytes = REQUEST.as_bytes().to_vec();
        for (at, piece, removed) in changes {
            let at = at.index(bytes.len());
            let until = (at + removed).min(bytes.len());
            bytes.splice(at..until, piece.iter().copied());
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

// HSS-082
#[test]
fn hyper_reads_heads_as_we_do_but_for_what_is_listed() {
    let (read, refused) = (Cell::new(0), Cell::new(0));
    check(30_000, damaged(), |bytes| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match (ours(&bytes), theirs(&bytes)) {
            (Ok(ours), Some(theirs)) if ours == theirs => read.set(read.get() + 1),
            (Ok(ours), Some(theirs)) => {
                prop_assert!(is_written_otherwise(&bytes, &ours, &theirs), "{text:?}");
            }
            (Ok(_), None) => prop_assert!(is_refused_later(&bytes), "{text:?}"),
            (Err(why), Some(_)) => prop_assert!(only_we_refuse(why), "{why:?} {text:?}"),
            (Err(_), None) => refused.set(refused.get() + 1),
        }
        Ok(())
    });
    assert!(read.get() > 5_000 && refused.get() > 5_000, "{read:?} {refused:?}");
}

/// What hyper lets pass.
fn only_we_refuse(why: HeadError) -> bool {
    // RFC 9112 section 2.2 lets a recipient take a bare LF for a line's end; we need not.
    matches!(why, HeadError::LineEnding)
}

/// Whether the handshake is refused for what hyper's parser refuses already, so that no request gets
/// through us that hyper would have stopped.
fn is_refused_later(bytes: &[u8]) -> bool {
    let head = RequestHead::parse(bytes).unwrap();
    accept(&head, &Policy::default()).is_err()
}

/// Whether both mean the same by what they say of the target: hyper gives a full URL without a path
/// the path `/`, and cuts off a fragment, for which the handshake is refused.
fn is_written_otherwise(bytes: &[u8], ours: &Head, theirs: &Head) -> bool {
    let with_path = Head { target: format!("{}/", ours.target), ..ours.clone() };
    let is_url_without_path = ours.target.starts_with("http://") && &with_path == theirs;
    let has_fragment = ours.target.contains('#') && is_refused_later(bytes);
    is_url_without_path || has_fragment
}
