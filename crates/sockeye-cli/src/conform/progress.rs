//! The line that tells how far a test is, on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use sockeye_conform::Progress;
use sockeye_conform::report;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::terminal;

/// A line that is drawn as cases end.
pub(super) struct Shown(JoinHandle<()>);

impl Shown {
    /// Draws the line on standard error until the sender of `news` is gone, if a person sees it.
    pub(super) fn start(mut news: UnboundedReceiver<Progress>) -> Self {
        Self(tokio::spawn(async move {
            let start = Instant::now();
            let mut line = report::Progress::default();
            let mut drawn = false;
            while let Some(ended) = news.recv().await {
                line.done = ended.done;
                line.total = ended.total;
                line.failures += usize::from(ended.verdict.is_failure());
                line.elapsed = start.elapsed();
                line.current = vec![ended.agent, ended.id];
                if io::stderr().is_terminal() {
                    draw(&line.line(terminal::width().saturating_sub(1)));
                    drawn = true;
                }
            }
            if drawn {
                draw("");
            }
        }))
    }

    /// Waits until the line is gone.
    pub(super) async fn end(self) {
        let _ = self.0.await;
    }
}

/// Draws over the line before.
fn draw(line: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\r\x1b[K{line}");
    let _ = err.flush();
}
