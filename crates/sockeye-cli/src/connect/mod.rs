//! `sockeye connect`: a conversation with a WebSocket server, by a person or through pipes.
//!
//! This is the way in: what happens before the connection is open. `talk` holds what follows. What the
//! protocol demands is the library's business.

mod args;
mod commands;
mod dial;
mod editor;
mod exit;
mod input;
mod output;
mod show;
mod signals;
mod talk;

use std::io::{self, IsTerminal};

use sockeye::WebSocket;

use crate::terminal::Editing;

pub(crate) use args::Args;
pub(crate) use exit::Exit;
use exit::Failure;
use output::{Output, complain};
use show::Form;
use signals::Signals;
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
    if args.insecure {
        complain(
            "warning: --insecure: the server's certificate is not checked; \
             anyone on the way can read and change what is sent",
        );
    }
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
