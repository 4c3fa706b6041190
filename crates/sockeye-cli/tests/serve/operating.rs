//! Running the server as operators do: under systemd, with certificates that are renewed, with
//! successors, and by signals.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use sockeye::{Client, ErrorKind, Message, tls::Tls};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::process::{ChildStderr, Command};
use tokio::time::timeout;

use crate::command::certificate;
use crate::scratch::Scratch;
use crate::support::{PATIENCE, Served, command, handshake};

/// Writes a new certificate and its key; returns the certificate.
fn certify(scratch: &Scratch) -> String {
    let (cert, key) = certificate();
    scratch.write("cert.pem", &cert);
    scratch.write("key.pem", &key);
    cert
}

/// Plays the service manager: what it is told.
struct Manager {
    socket: UnixDatagram,
    path: String,
    _scratch: Scratch,
}

impl Manager {
    fn listen(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let path = scratch.path("notify");
        Self { socket: UnixDatagram::bind(&path).unwrap(), path, _scratch: scratch }
    }

    async fn told(&self) -> String {
        let mut bytes = [0; 1024];
        let count = timeout(PATIENCE, self.socket.recv(&mut bytes)).await.expect("it tells");
        String::from_utf8(bytes[..count.unwrap()].to_vec()).unwrap()
    }

    /// Whether it has been told nothing so far.
    fn heard_nothing(&self) -> bool {
        self.socket.try_recv(&mut [0; 8]).is_err()
    }
}

/// Reads the log up to a line with an event.
async fn logged(log: &mut BufReader<ChildStderr>, event: &str) -> String {
    loop {
        let mut line = String::new();
        let reading = timeout(PATIENCE, log.read_line(&mut line)).await;
        assert!(reading.expect("it is logged").unwrap() > 0, "the log ends without {event}");
        if line.contains(event) {
            return line;
        }
    }
}

/// Runs the binary as systemd runs what it passes a socket to: from descriptor 3 on.
fn activated(listener: std::net::TcpListener, args: &[&str]) -> Command {
    let plain = command(args);
    let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(plain.as_std().get_program()).args(args);
    command.stdin(Stdio::from(OwnedFd::from(listener)));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Gets the first page on a connection of its own.
async fn get(address: SocketAddr) -> std::io::Result<String> {
    let mut tcp = TcpStream::connect(address).await?;
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await?;
    let mut page = String::new();
    tcp.read_to_string(&mut page).await?;
    Ok(page)
}

// SIG-015
#[tokio::test]
async fn systemd_is_told_of_each_step_and_ready_comes_only_once_it_listens() {
    let manager = Manager::listen("steps");
    let mut plain = command(&["serve", "--listen", "127.0.0.1:0"]);
    plain.env("NOTIFY_SOCKET", &manager.path).env("WATCHDOG_USEC", "3600000000");
    // With the socket taken it can't listen, and is never ready.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let failed =
        command(&["serve", "--listen", &address]).env("NOTIFY_SOCKET", &manager.path).status();
    assert_eq!(timeout(PATIENCE, failed).await.unwrap().unwrap().code(), Some(1));
    assert!(manager.heard_nothing());
    let served = Served::spawn(&mut plain).await;
    let ready = format!("READY=1\nSTATUS=serving on http://{}\n", served.address);
    assert_eq!(manager.told().await, ready);
    assert_eq!(manager.told().await, "WATCHDOG=1\n");
    served.signal(Signal::HUP);
    assert!(manager.told().await.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(manager.told().await, ready);
    served.signal(Signal::TERM);
    assert!(manager.told().await.starts_with("STOPPING=1\n"));
    assert_eq!(served.end().await.code, Some(0));
}

// SIG-015
#[tokio::test]
async fn socket_that_systemd_passed_is_served_and_listen_is_not() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Who comes before it runs waits.
    let early = tokio::spawn(get(address));
    let mut command = activated(listener, &["serve", "--listen", "127.0.0.1:1"]);
    let served = Served::spawn(&mut command).await;
    assert_eq!(served.address, address);
    assert!(early.await.unwrap().unwrap().starts_with("HTTP/1.1 200 "));
    served.signal(Signal::TERM);
    assert_eq!(served.end().await.code, Some(0));
}

#[tokio::test]
async fn passed_socket_that_others_reach_needs_auth_as_an_address_does() {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let output = timeout(PATIENCE, activated(listener, &["serve"]).output()).await;
    let output = output.expect("it ends").unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&address) && said.contains("there is no auth"), "{said}");
}

// TLS-011
#[tokio::test]
async fn hangup_renews_the_certificate_unless_the_new_one_is_bad() {
    let scratch = Scratch::new("renew");
    let first = certify(&scratch);
    let (cert, key) = (scratch.path("cert.pem"), scratch.path("key.pem"));
    let mut served = Served::start(&["serve", "--tls-cert", &cert, "--tls-key", &key]).await;
    let mut log = served.take_stderr();
    let url = format!("wss://localhost:{}/echo", served.address.port());
    let trusts = async |certificate: &str| {
        let roots = scratch.write("roots.pem", certificate);
        let client = Client::builder().tls(Tls::with_roots(&roots).unwrap()).build();
        match client.request(&url).await {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::Tls => false,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(trusts(&first).await);
    let (other, _) = certificate();
    for bad in ["", "no PEM", &first[..first.len() / 2], &other] {
        std::fs::write(&cert, bad).unwrap();
        served.signal(Signal::HUP);
        let line = logged(&mut log, "tls.reload_failed").await;
        assert!(line.contains(".pem") && line.contains("ERROR"), "{line}");
        assert!(trusts(&first).await);
    }
    let second = certify(&scratch);
    served.signal(Signal::HUP);
    logged(&mut log, "tls.reloaded").await;
    assert!(trusts(&second).await);
    assert!(!trusts(&first).await);
    served.signal(Signal::TERM);
    assert_eq!(served.end().await.code, Some(0));
}

// SIG-002
#[tokio::test]
async fn second_signal_to_stop_ends_it_at_once_with_a_code_of_its_own() {
    for (second, code) in [(Signal::INT, 130), (Signal::TERM, 1)] {
        let served = Served::start(&["serve", "--drain", "3600"]).await;
        // One that never answers the Close frame.
        let mut silent = served.open("/echo").await;
        served.signal(Signal::TERM);
        assert_eq!(silent.frame().await.unwrap().close_code(), Some(1012));
        served.signal(second);
        assert_eq!(served.end().await.code, Some(code));
    }
}

// SIG-008, SIG-009
#[tokio::test]
async fn signals_that_ask_for_nothing_change_nothing() {
    let served = Served::start(&["serve"]).await;
    let mut client = served.connect("/echo").await;
    for ignored in [Signal::USR1, Signal::USR2, Signal::PIPE] {
        served.signal(ignored);
        client.send("still there").await.unwrap();
        let back = timeout(PATIENCE, client.recv()).await.unwrap().unwrap();
        assert_eq!(back, Some(Message::from("still there")));
    }
    assert!(get(served.address).await.unwrap().starts_with("HTTP/1.1 200 "));
    served.signal(Signal::TERM);
    drop(client);
    assert_eq!(served.end().await.code, Some(0));
}

// SIG-014
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_restarts_by_takeover_under_load_refuse_nobody() {
    let scratch = Scratch::new("ten");
    let path = scratch.path("takeover.sock");
    let args = ["serve", "--takeover", &path, "--drain", "1"];
    let mut served = Served::start(&args).await;
    let address = served.address;
    let (done, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = |pages: bool| {
        let (done, count) = (done.clone(), count.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                match pages {
                    true => {
                        let page = get(address).await.expect("nobody is refused");
                        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
                    }
                    false => echo(address).await,
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let load = [true, true, false, false].map(load);
    for _ in 0..10 {
        let next = Served::start(&args).await;
        assert_eq!(next.address, address, "it has the port of the one before");
        let ended = std::mem::replace(&mut served, next).end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let before = count.load(Ordering::Relaxed);
        while count.load(Ordering::Relaxed) < before + 20 {
            assert!(load.iter().all(|client| !client.is_finished()), "a client was refused");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for client in load {
        client.await.unwrap();
    }
    served.signal(Signal::TERM);
    assert_eq!(served.end().await.code, Some(0));
    assert!(!std::path::Path::new(&path).exists(), "the last one takes its socket away");
}

/// Opens a WebSocket and sends a message, which comes back unless the server ends meanwhile.
async fn echo(address: SocketAddr) {
    let mut client = sockeye::connect(&format!("ws://{address}/echo")).await.expect("it opens");
    let sent = client.send("there and back").await;
    match timeout(PATIENCE, client.recv()).await.expect("it answers") {
        Ok(Some(message)) => assert_eq!(message, Message::from("there and back")),
        Ok(None) | Err(_) => {
            let info = client.close_info().unwrap_or_else(|| panic!("{sent:?}"));
            assert_eq!(info.code.get(), 1012, "{info:?}");
        }
    }
}

// SIG-014
#[tokio::test]
async fn request_that_was_begun_before_the_successor_came_is_answered_by_the_old_server() {
    let scratch = Scratch::new("begun");
    let path = scratch.path("takeover.sock");
    let args = ["serve", "--takeover", &path];
    let old = Served::start(&args).await;
    let (mut page, mut socket) = (old.raw().await, old.raw().await);
    page.write(b"GET / HT").await;
    socket.write(handshake("/echo").trim_end().as_bytes()).await;
    // That both are in the old server's hands shows by an answer to one who came later.
    assert!(get(old.address).await.unwrap().starts_with("HTTP/1.1 200 "));
    let new = Served::start(&args).await;
    assert_eq!(new.address, old.address);
    page.write(b"TP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(page.response().await.starts_with("HTTP/1.1 200 "));
    socket.write(b"\r\n\r\n").await;
    assert!(socket.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(socket.frame().await.unwrap().close_code(), Some(1012));
    drop((page, socket));
    assert_eq!(old.end().await.code, Some(0));
    new.signal(Signal::TERM);
    assert_eq!(new.end().await.code, Some(0));
}

// SIG-014
#[tokio::test]
async fn successor_that_fails_to_start_leaves_the_old_server_serving() {
    let scratch = Scratch::new("fails");
    let path = scratch.path("takeover.sock");
    let served = Served::start(&["serve", "--takeover", &path]).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let wrong = scratch.path("missing.pem");
    let failing: [&[&str]; 2] = [
        &["serve", "--takeover", &path, "--listen", "127.0.0.1:0", "--listen", &taken],
        &["serve", "--takeover", &path, "--tls-cert", &wrong, "--tls-key", &wrong],
    ];
    for args in failing {
        let ended = crate::support::run(args).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stderr.lines().filter(|line| line.starts_with("sockeye:")).count(), 1);
        assert!(get(served.address).await.unwrap().starts_with("HTTP/1.1 200 "));
    }
    served.signal(Signal::TERM);
    assert_eq!(served.end().await.code, Some(0));
}

// SIG-017
#[tokio::test]
async fn path_of_takeover_that_cannot_be_used_is_one_line_that_names_it() {
    let scratch = Scratch::new("path");
    let file = scratch.write("file", "precious");
    let below_file = format!("{file}/takeover.sock");
    let (missing, long) = (scratch.path("no/takeover.sock"), scratch.path(&"x".repeat(120)));
    let unwritable = "/proc/takeover.sock".to_owned();
    for path in [&file, &below_file, &missing, &long, &unwritable] {
        let args = ["serve", "--listen", "127.0.0.1:0", "--takeover", path];
        let ended = crate::support::run(&args).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        let told: Vec<_> = ended.stderr.lines().collect();
        assert!(matches!(told[..], [line] if line.starts_with("sockeye: takeover: ")), "{told:?}");
        assert!(told[0].contains(path.as_str()), "{told:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

// SIG-017
#[tokio::test]
async fn path_that_a_killed_server_left_is_taken_by_the_next() {
    let scratch = Scratch::new("stale");
    let path = scratch.path("takeover.sock");
    let args = ["serve", "--takeover", &path];
    Served::start(&args).await.kill().await;
    assert!(std::path::Path::new(&path).exists(), "it is left behind");
    let served = Served::start(&args).await;
    assert!(get(served.address).await.unwrap().starts_with("HTTP/1.1 200 "));
    // It is the new one's now, for its own successor.
    let next = Served::start(&args).await;
    assert_eq!(next.address, served.address);
    assert_eq!(served.end().await.code, Some(0));
    next.signal(Signal::TERM);
    assert_eq!(next.end().await.code, Some(0));
}
