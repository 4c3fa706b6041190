use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

/// The service manager's socket, which goes away with the test.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn listen(name: &str) -> Self {
        let file = format!("sockeye-notify-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(file);
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        assert!(path.symlink_metadata().unwrap().file_type().is_socket());
        Self { socket, path }
    }

    fn notifier(&self, watchdog: Option<Duration>) -> Notifier {
        Notifier { socket: Some(address(self.path.as_os_str()).unwrap()), watchdog }
    }

    fn told(&self) -> String {
        let mut bytes = [0; 1024];
        let count = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

// SIG-015
#[test]
fn each_step_of_a_life_is_one_datagram_to_the_managers_socket() {
    let manager = Manager::listen("life");
    let notifier = manager.notifier(None);
    notifier.ready("serving on 127.0.0.1:8080");
    assert_eq!(manager.told(), "READY=1\nSTATUS=serving on 127.0.0.1:8080\n");
    let before = clock_gettime(ClockId::Monotonic);
    notifier.reloading();
    let told = manager.told();
    let micros = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
    let now = clock_gettime(ClockId::Monotonic);
    let micros: i64 = micros.parse().unwrap();
    assert!((before.tv_sec..=now.tv_sec).contains(&(micros / 1_000_000)), "{micros}");
    notifier.status("READY=1\nMAINPID=1");
    assert_eq!(manager.told(), "STATUS=READY=1 MAINPID=1\n", "a status is one line");
    notifier.stopping("draining");
    assert_eq!(manager.told(), "STOPPING=1\nSTATUS=draining\n");
}

#[cfg(target_os = "linux")]
#[test]
fn manager_may_listen_at_a_name_without_a_file() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("sockeye-notify-{}", std::process::id());
    let at = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&at).unwrap();
    let told = address(OsStr::new(&format!("@{name}"))).unwrap();
    Notifier { socket: Some(told), watchdog: None }.status("x");
    let mut bytes = [0; 16];
    assert_eq!(socket.recv(&mut bytes).unwrap(), "STATUS=x\n".len());
}

#[test]
fn manager_that_is_gone_or_none_changes_nothing() {
    let manager = Manager::listen("gone");
    let notifier = manager.notifier(None);
    drop(manager);
    notifier.ready("x");
    Notifier::default().ready("x");
    assert!(address(OsStr::new("vsock:2:1")).is_err());
}

// SIG-015
#[tokio::test(start_paused = true)]
async fn watchdog_hears_of_a_server_that_is_alive_in_half_of_its_time() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let manager = Manager::listen("watchdog");
    manager.socket.set_nonblocking(true).unwrap();
    let period = Duration::from_secs(10);
    let (notifier, alive) = (manager.notifier(Some(period)), AtomicBool::new(true));
    let feeding = notifier.keep_alive(|| alive.load(Ordering::Relaxed));
    tokio::pin!(feeding);
    let mut heard = async |wait| {
        assert!(tokio::time::timeout(wait, &mut feeding).await.is_err());
        let count = std::iter::from_fn(|| manager.socket.recv(&mut [0; 64]).ok()).count();
        if count > 0 { Some(count) } else { None }
    };
    assert_eq!(heard(Duration::from_secs(1)).await, Some(1));
    assert_eq!(heard(Duration::from_secs(40)).await, Some(4));
    alive.store(false, Ordering::Relaxed);
    assert_eq!(heard(Duration::from_secs(40)).await, None);
}

// SIG-015
#[test]
fn watchdog_is_for_the_process_that_it_names() {
    let (us, other) = (std::process::id().to_string(), "1".to_owned());
    let half = |micros: &str, pid: Option<String>| watchdog(Some(micros.to_owned()), pid);
    assert_eq!(half("30000000", Some(us.clone())), Some(Duration::from_secs(15)));
    assert_eq!(half("30000000", None), Some(Duration::from_secs(15)));
    assert_eq!(half("30000000", Some(other)), None);
    for wrong in ["", "0", "-1", "x"] {
        assert_eq!(half(wrong, None), None);
    }
    assert_eq!(watchdog(None, Some(us)), None);
}

#[test]
fn names_are_as_many_as_sockets_or_none() {
    let named = |count, list| names(count, list).map_err(|error| error.to_string());
    let web = Some("web".to_owned());
    assert_eq!(named("2", None), Ok(vec![None, None]));
    assert_eq!(named("0", Some("")), Ok(vec![]));
    assert_eq!(named("1", Some("")), Ok(vec![None]));
    assert_eq!(named("3", Some("web::unknown")), Ok(vec![web, None, None]));
    assert!(named("2", Some("web")).is_err());
    for count in ["", "x", "-1", "65", "99999999999999999999"] {
        assert!(named(count, None).is_err(), "{count}");
    }
}

/// Runs this test in a process that was given sockets as systemd gives them: from descriptor 3 on, and
/// with its number in `LISTEN_PID`. Returns what it says.
fn activate(test: &str, variables: &str, sockets: [Stdio; 2]) -> String {
    let script = format!("exec 3<&0 4<&2 2>&1 </dev/null; export {variables}; exec \"$@\"");
    let [third, fourth] = sockets;
    let output = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .stdin(third)
        .stderr(fourth)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Tells what this process was given, a line each.
fn tell() {
    match activated() {
        Ok(passed) => passed.iter().for_each(|Activated { name, listener }| {
            println!("socket {name:?} {}", listener.local_addr().unwrap());
        }),
        Err(error) => println!("refused: {error}"),
    }
    println!("again {}", activated().unwrap().len());
}

// SIG-015
#[test]
fn sockets_that_the_manager_passed_are_taken_in_order_by_the_process_they_are_for() {
    let name = "systemd::tests::sockets_that_the_manager_passed_are_taken_in_order_by_the_process_they_are_for";
    if std::env::var_os(CHILD).is_some() {
        return tell();
    }
    let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (a, b) = (bind(), bind());
    let pass = || {
        [&a, &b].map(|socket| Stdio::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap())))
    };
    let (first, second) = (a.local_addr().unwrap(), b.local_addr().unwrap());
    let said = activate(name, "LISTEN_PID=$$ LISTEN_FDS=2", pass());
    assert!(
        said.contains(&format!("socket None {first}\nsocket None {second}\nagain 0")),
        "{said}"
    );
    let said = activate(name, "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:admin", pass());
    let named = format!("socket Some(\"web\") {first}\nsocket Some(\"admin\") {second}\n");
    assert!(said.contains(&named), "{said}");
    for others in ["LISTEN_PID=1 LISTEN_FDS=2", "LISTEN_FDS=2", "LISTEN_PID=$$"] {
        let said = activate(name, others, pass());
        assert!(said.contains("again 0") && !said.contains("socket "), "{said}");
    }
    // One that does not listen, and what is no socket at all.
    let connected = std::net::TcpStream::connect(first).unwrap();
    let wrong = [Stdio::from(std::os::fd::OwnedFd::from(connected)), Stdio::null()];
    let said = activate(name, "LISTEN_PID=$$ LISTEN_FDS=2", wrong);
    assert!(said.contains("refused: descriptor 3 does not listen"), "{said}");
    let null = [Stdio::null(), Stdio::null()];
    let said = activate(name, "LISTEN_PID=$$ LISTEN_FDS=1", null);
    assert!(said.contains("refused: fd 3 is not a socket"), "{said}");
}

/// Set in a process that a test started to be passed sockets.
const CHILD: &str = "SOCKEYE_TEST_ACTIVATED";
