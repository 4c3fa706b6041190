//! A server that lacks what it would need: threads, memory, room for its log, somebody who reads it.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use sockeye::{CloseCode, Message};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::timeout;

use crate::support::{Ended, PATIENCE, Raw, Served, TEXT, command, receive};

/// A server whose outputs go nowhere good.
struct Unheard {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Unheard {
    async fn start(stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Self {
        let (address, admin) = (free_address(), free_address());
        let mut command = command(&["serve", "--log", "debug"]);
        command.args(["--listen", &address.to_string(), "--admin", &admin.to_string()]);
        let child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        let accepts = async || TcpStream::connect(admin).await.is_ok();
        until(accepts).await;
        Self { child, address, admin }
    }

    /// Asks the admin's listener how many lines of the log were dropped.
    async fn dropped(&self) -> u64 {
        let mut raw = Raw::new(TcpStream::connect(self.admin).await.unwrap());
        raw.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        let text = String::from_utf8(raw.rest().await).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("sockeye_log_dropped_total "));
        line.expect(&text).parse().unwrap()
    }

    async fn assert_serves(&self) {
        assert_echoes(self.address).await;
    }

    /// Sees to it that the end that it is asked for comes, in good order.
    async fn assert_ends(mut self) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let ended = timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap();
        assert_eq!(ended.code(), Some(0));
    }
}

async fn assert_echoes(address: SocketAddr) {
    let mut ws = sockeye::connect(&format!("ws://{address}/echo")).await.unwrap();
    ws.send("there").await.unwrap();
    assert_eq!(receive(&mut ws).await, Message::from("there"));
    ws.close(CloseCode::NORMAL, "").await.unwrap();
}

/// Waits until something is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    let looking = async {
        while !is_so().await {
            yield_now().await;
        }
    };
    timeout(PATIENCE, looking).await.expect("it is so in the end");
}

/// Returns an address where nobody listens.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Returns a pipe that takes nothing any more.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    // Not even a single byte finds room.
    while writer.write(b"\n").is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

/// The binary under a limit that the shell sets, with one arena: each takes room from what is limited.
fn limited(limit: &str, args: &str) -> Command {
    let mut sh = Command::new("sh");
    sh.args(["-c", &format!("ulimit {limit}; exec \"$0\" {args}"), env!("CARGO_BIN_EXE_sockeye")]);
    sh.env("MALLOC_ARENA_MAX", "1").kill_on_drop(true);
    sh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    sh
}

// RES-005
#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_threads_the_start_fails_with_a_line_and_with_just_enough_connections_need_none() {
    let most = 4 * std::thread::available_parallelism().unwrap().get() + 16;
    for threads in 0..most {
        // The stacks of so many threads find room.
        let room = PROGRAM_KIB + threads * STACK_KIB;
        let mut command = limited(&format!("-v {room}"), "serve --listen 127.0.0.1:0 --log off");
        command.env("RUST_MIN_STACK", (STACK_KIB * 1024).to_string());
        match Served::try_spawn(&mut command).await {
            Err(ended) => assert_says_what_is_missing(&ended),
            Ok(served) => return needs_no_more_threads(&served).await,
        }
    }
    panic!("{most} threads are not enough");
}

fn assert_says_what_is_missing(ended: &Ended) {
    let line = ended.stderr.strip_suffix('\n').unwrap_or_default();
    assert!(line.starts_with("sockeye: cannot start: ") && line.contains("thread"), "{ended:?}");
    assert!(!line.contains('\n'), "{ended:?}");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
}

async fn needs_no_more_threads(served: &Served) {
    let threads = || std::fs::read_dir(format!("/proc/{}/task", served.pid())).unwrap().count();
    let before = threads();
    let mut connected = Vec::new();
    for _ in 0..100 {
        connected.push(served.open("/echo").await);
    }
    assert_echoes(served.address).await;
    assert!(threads() <= before, "{} {before}", threads());
}

// RES-004
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_message_that_memory_does_not_suffice_for_fails_its_connection_and_no_other() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let room = PROGRAM_KIB + 8 * cores * 1024;
    let args = "serve --listen 127.0.0.1:0 --max-message 1073741824";
    let mut command = limited(&format!("-v {room}"), args);
    let served = Served::spawn(command.env("RUST_MIN_STACK", "1048576")).await;
    let mut bystander = served.open("/echo").await;
    for (path, header) in [
        // In one frame, and a first fragment: of 512 MiB, masked with zeros.
        ("/echo", b"\x82\xff\0\0\0\0\x20\0\0\0\0\0\0\0"),
        ("/echo", b"\x02\xff\0\0\0\0\x20\0\0\0\0\0\0\0"),
        ("/t/long", b"\x82\xff\0\0\0\0\x20\0\0\0\0\0\0\0"),
    ] {
        let mut raw = served.open(path).await;
        raw.write(header).await;
        for _ in 0..room / 1024 {
            raw.write(&[0; 1 << 20]).await;
        }
        let close = raw.frame().await.unwrap();
        assert_eq!(close.close_code(), Some(1011), "{path}");
        assert!(close.payload[2..].starts_with(b"no memory for "), "{close:?}");
        drop(raw);
        bystander.send(0x80 | TEXT, b"still there").await;
        assert_eq!(bystander.frame().await.unwrap().text(), "still there");
    }
    drop(bystander);
    assert_echoes(served.address).await;
    served.signal(Signal::TERM);
    assert_eq!(served.end().await.code, Some(0));
}

// RES-006
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_log_on_a_full_disk_stops_nobody_and_its_lost_lines_are_counted() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let server = Unheard::start(full(), full()).await;
    assert_loses_all(&server).await;
    server.assert_ends().await;
}

// RES-007
#[tokio::test]
async fn outputs_that_are_closed_stop_nobody_and_the_lines_that_are_lost_are_counted() {
    let closed = || std::io::pipe().unwrap().1;
    let server = Unheard::start(closed(), closed()).await;
    assert_loses_all(&server).await;
    server.assert_ends().await;
}

/// Sees to it that a server serves, and counts each line of its log as lost.
async fn assert_loses_all(server: &Unheard) {
    for connections in 1..=20 {
        server.assert_serves().await;
        // Each is told of when it opens and when it ends.
        until(async || server.dropped().await >= 2 * connections).await;
    }
}

// RES-007
#[tokio::test]
async fn outputs_that_nobody_reads_hold_nobody_up_and_the_lines_that_are_lost_are_counted() {
    let ((_stdout, full_stdout), (stderr, full_stderr)) = (full_pipe(), full_pipe());
    let server = Unheard::start(full_stdout, full_stderr).await;
    while server.dropped().await < 100 {
        server.assert_serves().await;
    }
    let before = server.dropped().await;
    let told = spawn_blocking(|| first_told(stderr)).await.unwrap();
    assert!((before..=server.dropped().await).contains(&told), "{before} {told}");
    server.assert_serves().await;
    server.assert_ends().await;
}

/// Returns how many lines were lost, when that is told for the first time.
fn first_told(stderr: PipeReader) -> u64 {
    let mut lines = BufReader::new(stderr).lines().map(Result::unwrap);
    let told = lines.find_map(|line| Some(line.split_once(" WARN log.dropped n=")?.1.to_owned()));
    told.expect("it is told").parse().unwrap()
}

/// Room for the program without its threads.
const PROGRAM_KIB: usize = 128 << 10;

/// Room for a thread; more than what is left of the program's.
const STACK_KIB: usize = 256 << 10;
