//! `sockeye connect`: a conversation with a WebSocket server, by a person or through pipes.
//!
//! This is the way in: what happens before the connection is open. `talk` holds what follows. What the
//! protocol demands is the library's business.

mod args;
mod commands;
mod dial;
mod editor;
mod talk;

use std::io::{self, IsTerminal};

use sockeye::WebSocket;

use crate::client::exit::{Exit, Failure};
use crate::client::output::{Output, complain};
use crate::client::show::Form;
use crate::client::signals::Signals;
use crate::terminal::Editing;

pub(crate) use args::Args;
use talk::Talk;

/// Runs the command, and tells on standard error what went wrong.
///
/// The caller should not wait for the runtime's blocking threads before it exits: a look-up of a
/// name that was given up may still occupy one.
pub(crate) async fn run(args: Args) -> Exit {
    match converse(&args).await {
        Ok(exit) => exit,
        Err(failure) => {
            complain(&format!("sockeye: {}", failure.text));
            failure.exit
        }
    }
}

async fn converse(args: &Args) -> Result<Exit, Failure> {
    let signals = Signals::listen();
    let mut signals = signals
        .map_err(|error| Failure::new(Exit::Failure, format!("cannot catch signals: {error}")))?;
    args.tls.warn();
    let ws = tokio::select! {
        biased;
        exit = signals.first() => return Ok(exit),
        opened = dial::dial(args) => opened?,
    };
    let face = Face::choose(args);
    let output = Output::start(face.form);
    if args.verbose || face.editing.is_some() && !args.quiet {
        output.notice(&greeting(&ws, &face)).await;
    }
    let (sender, receiver) = ws.split();
    let talk = Talk::new(args, output, sender, face.editing.is_some());
    talk.hold(receiver, &mut signals).await
}

fn greeting(ws: &WebSocket, face: &Face) -> String {
    let peer = ws.peer_addr().map(|peer| format!(" to {peer}")).unwrap_or_default();
    let subprotocol =
        ws.subprotocol().map(|name| format!(", subprotocol {name}")).unwrap_or_default();
    let help = if face.editing.is_some() { "; /help lists commands" } else { "" };
    format!("connected{peer}{subprotocol}{help}")
}

/// How a conversation looks, which depends on where its two streams lead.
struct Face {
    form: Form,
    /// Lines are edited here while this lives.
    editing: Option<Editing>,
}

impl Face {
    fn choose(args: &Args) -> Self {
        let shown = io::stdout().is_terminal();
        let typed = io::stdin().is_terminal() && shown;
        let form = if shown && !args.raw {
            Form::Escaped { mark: if typed { "< " } else { "" } }
        } else {
            Form::Raw(if args.null { 0 } else { b'\n' })
        };
        Self { form, editing: typed.then(Editing::start).flatten() }
    }
}

/// The end of `--help`.
pub(super) const HELP: &str = "\
Exit status:
    0  done: standard input ended, --one was met, or the connection was closed
    1  the connection was lost, input could not be sent, or --fail-on-close applied
    2  wrong URL or flag
    3  no address for the host, or none answers
    4  something took too long
    5  TLS failed
    6  the server answered with an HTTP status instead of opening a WebSocket
    7  the server broke the protocol or a limit of this end
  130  Ctrl-C (143: SIGTERM)";
