//! What the fuzz targets do with their bytes: one plain function each, so that a crash is replayed
//! by an ordinary test as well.
//!
//! Every function panics where the core breaks a promise, and returns where it keeps them. Inputs
//! begin with a few bytes of settings; the rest is what a peer would send.
#![forbid(unsafe_code)]

mod addresses;
mod conversation;
mod differential;
mod drive;
mod encoder;
mod extensions;
mod frames;
mod handshake;
mod inflate;
mod jwt;
mod session;
mod setup;
mod split;
mod utf8;
mod wire;

pub use addresses::addresses;
pub use conversation::conversation;
pub use differential::differential;
pub use encoder::encoder;
pub use extensions::extensions;
pub use frames::{frames_client, frames_server};
pub use handshake::{handshake_client, handshake_server};
pub use inflate::inflate;
pub use jwt::jwt;
pub use session::session;
pub use sockeye_reactor::simulation::play as reactor;
pub use split::split;
pub use utf8::utf8;

/// A target: its name, which its corpus has too, and what it runs.
pub struct Target {
    /// The name of the binary and of the directory with the corpus.
    pub name: &'static str,
    /// The code behind it.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "addresses", run: addresses },
    Target { name: "conversation", run: conversation },
    Target { name: "differential", run: differential },
    Target { name: "encoder", run: encoder },
    Target { name: "extensions", run: extensions },
    Target { name: "frames_client", run: frames_client },
    Target { name: "frames_server", run: frames_server },
    Target { name: "handshake_client", run: handshake_client },
    Target { name: "handshake_server", run: handshake_server },
    Target { name: "inflate", run: inflate },
    Target { name: "reactor", run: reactor },
    Target { name: "jwt", run: jwt },
    Target { name: "session", run: session },
    Target { name: "split", run: split },
    Target { name: "utf8", run: utf8 },
];
