//! The opening handshake (RFC 6455 section 4), for both roles.
//!
//! Owns everything up to the first frame: reading heads, the server's checks and its answer, the
//! client's request and its checks. It does no I/O and draws no randomness; what arrived behind a
//! head stays with the caller and belongs to the connection that follows.
//!
//! A server reads a head, judges it, and writes either answer:
//!
//! ```
//! use sockeye_proto::Limits;
//! use sockeye_proto::handshake::{HeadReader, Policy, RequestHead, accept};
//!
//! let received = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
//!     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
//!     Sec-WebSocket-Version: 13\r\n\r\n";
//! let mut out = Vec::new();
//! let mut reader = HeadReader::request();
//! let Some(length) = reader.read(received, &Limits::default())? else {
//!     unreachable!("the whole head is there; otherwise read more and try again");
//! };
//! let head = RequestHead::parse(&received[..length])?;
//! match accept(&head, &Policy::default()) {
//!     Ok(accepted) => accepted.write(&mut out),
//!     Err(rejection) => rejection.write(&mut out),
//! }
//! assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
//! # Ok::<(), sockeye_proto::handshake::HeadError>(())
//! ```

mod authority;
mod client;
mod extensions;
mod fields;
mod forwarded;
mod head;
mod key;
mod misuse;
mod origin;
mod proxy;
mod rejection;
mod request;
mod response;
mod server;
#[cfg(test)]
mod testing;
mod url;

pub use client::ClientRequest;
pub use extensions::{Extension, ExtensionSyntax, parse_extensions};
pub use forwarded::{ForwardedHeader, Network, NetworkError, client_addr};
pub use head::{HeadError, HeadReader};
pub use key::accept_key;
pub use misuse::HandshakeMisuse;
pub use origin::{OriginPattern, Origins, Scheme};
pub use proxy::{ProxyError, ProxyHeader};
pub use rejection::Rejection;
pub use request::{RequestHead, Version};
pub use response::{BodyLength, ClientError, ClientHandshake, Established, Refusal};
pub use server::{Accepted, Policy, accept};
pub use url::{Url, UrlError};
