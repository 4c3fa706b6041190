//! The body of a refusal whose request still has a body on its way.
//!
//! A server that answers and closes while the client sends makes the client's kernel throw the
//! answer away. So the refusal is sent at once, and ends when the rest has come and been dropped, or
//! after a while; then the connection is closed.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONNECTION, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Method};
use http_body::{Body as _, Frame};
use tokio::time::{Sleep, sleep};

use super::HttpLimits;
use super::problem::Problem;

struct Lingering {
    answer: Option<Bytes>,
    request: Body,
    over: Pin<Box<Sleep>>,
}

/// Makes the response of a refusal, after which `rest` may still come.
pub(super) fn refuse(
    problem: &Problem,
    parts: &Parts,
    rest: Body,
    limits: &HttpLimits,
) -> Response {
    let mut response = problem.into_response();
    // A client that waits for leave to send (RFC 9110, section 10.1.1) sends nothing now.
    let sends = matches!(parts.method, Method::POST) && !parts.headers.contains_key(EXPECT);
    if rest.is_end_stream() || !sends {
        return response;
    }
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let answer = Some(problem.json().into());
    let over = Box::pin(sleep(limits.linger));
    response.map(|_| Body::new(Lingering { answer, request: rest, over }))
}

impl http_body::Body for Lingering {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(answer) = self.answer.take() {
            return Poll::Ready(Some(Ok(Frame::data(answer))));
        }
        while self.over.as_mut().poll(context).is_pending() {
            let frame = ready!(Pin::new(&mut self.request).poll_frame(context));
            if !matches!(frame, Some(Ok(_))) {
                break;
            }
        }
        Poll::Ready(None)
    }
}
