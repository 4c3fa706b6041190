//! The command on a terminal, which is the slave of a pty whose master is read and typed on here.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use sockeye::CloseCode;
use tokio::process::{Child, Command};

use super::support::{HOSTILE, PATIENCE, TestServer, finish};

/// A terminal with the command running on it.
struct Terminal {
    master: File,
    slave: File,
    screen: mpsc::Receiver<Vec<u8>>,
    seen: String,
    child: Child,
}

impl Terminal {
    /// Runs `sockeye connect` on a terminal of its own, so that Ctrl-C typed there is a signal.
    fn start(args: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let noctty = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let slave = rustix::fs::open(&name, noctty, rustix::fs::Mode::empty()).unwrap();
        let (master, slave) = (File::from(master), File::from(slave));
        let stdio = || Stdio::from(slave.try_clone().unwrap());
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_sockeye"), "connect"])
            .args(args)
            .env("TERM", "xterm")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (show, screen) = mpsc::channel();
        let mut reading = master.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count) = reading.read(&mut buffer) {
                if count == 0 || show.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { master, slave, screen, seen: String::new(), child }
    }

    fn type_in(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until `text` is shown, and returns everything shown up to there.
    fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("no {text:?} in {:?}", self.seen),
            }
        }
    }

    fn local_modes(&self) -> LocalModes {
        tcgetattr(&self.slave).unwrap().local_modes
    }

    /// Waits for the end; returns the status and asserts that the terminal is as it was.
    async fn end(self, before: LocalModes) -> Option<i32> {
        let Self { child, slave, .. } = self;
        let code = finish(child).await.code;
        assert_eq!(tcgetattr(&slave).unwrap().local_modes, before);
        code
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_edited_sent_and_answered_above_the_prompt() {
    let mut server = TestServer::start().await;
    let mut terminal = Terminal::start(&[&server.url("/")]);
    let before = terminal.local_modes();
    terminal.wait_for("/help lists commands");
    terminal.wait_for("> ");
    assert!(!terminal.local_modes().intersects(LocalModes::ICANON | LocalModes::ECHO));
    terminal.type_in("hallo\x7f\x7f\x7f\x7fello\r");
    terminal.wait_for("\x1b[K> hello\r\n");
    terminal.wait_for("< hello\r\n");
    terminal.type_in("\x1b[A\r");
    terminal.wait_for("< hello\r\n");
    terminal.type_in("/binary 00 ff\r");
    terminal.wait_for("< 2 bytes\r\n  00000000  00 ff");
    terminal.type_in("/ping\r");
    terminal.wait_for("pong after ");
    terminal.type_in("/nonsense\r");
    terminal.wait_for("no command /nonsense");
    terminal.type_in("//slash\r");
    terminal.wait_for("< /slash\r\n");
    terminal.type_in("/close 4001 so long\r");
    let end = server.end().await;
    assert!(end.clean && end.code == CloseCode::new(4001) && end.reason == "so long", "{end:?}");
    assert_eq!(terminal.end(before).await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_d_closes_with_1000() {
    let mut server = TestServer::start().await;
    let mut terminal = Terminal::start(&[&server.url("/")]);
    let before = terminal.local_modes();
    terminal.wait_for("> ");
    terminal.type_in("\x04");
    assert_eq!(server.end().await.code, CloseCode::NORMAL);
    assert_eq!(terminal.end(before).await, Some(0));
}

// CMD-008
#[tokio::test(flavor = "multi_thread")]
async fn control_characters_are_escaped_on_a_terminal_unless_raw_is_asked_for() {
    let server = TestServer::start().await;
    let mut terminal = Terminal::start(&[&server.url("/hostile")]);
    terminal.wait_for("< ");
    let shown = terminal.wait_for("harmless");
    assert_eq!(shown, "\\x1b[2J\\x1b]0;owned\\x07 \\u{202e}harmless");
    let mut terminal = Terminal::start(&["--raw", &server.url("/hostile")]);
    terminal.wait_for(HOSTILE);
    let mut terminal = Terminal::start(&[&server.url("/close/4000")]);
    terminal.wait_for("closed code=4000 reason=why \\x1b[31mnot");
}

// CMD-009
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_typed_closes_with_1001_and_puts_the_terminal_back() {
    let mut server = TestServer::start().await;
    let mut terminal = Terminal::start(&[&server.url("/")]);
    let before = terminal.local_modes();
    terminal.wait_for("> ");
    terminal.type_in("half a li\x03");
    assert_eq!(server.end().await.code, CloseCode::AWAY);
    assert_eq!(terminal.end(before).await, Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_being_typed_survives_a_message() {
    let server = TestServer::with(|server| {
        server.route("/answer", |mut ws, _| async move {
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
                ws.send("unasked").await?;
            }
            Ok(())
        })
    })
    .await;
    let mut terminal = Terminal::start(&[&server.url("/answer")]);
    terminal.wait_for("> ");
    // The second line is not entered yet when the answers come.
    terminal.type_in("first\rsecond");
    terminal.wait_for("< unasked\r\n");
    terminal.wait_for("> second\r\x1b[8C");
    terminal.type_in("\r");
    terminal.wait_for("< second\r\n");
}
