use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;

use super::*;

/// A path for a socket, which goes away with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sk-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder.join("takeover.sock"))
    }

    /// What there is in its directory.
    fn around(&self) -> usize {
        std::fs::read_dir(self.0.parent().unwrap()).unwrap().count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

/// A server that accepts, says its name to each client, and hands over when it is asked to.
struct Life {
    ending: JoinHandle<()>,
}

impl Life {
    fn begin(place: &Place, listener: TcpListener, name: u8) -> Self {
        let offered = vec![(ADDRESS.to_owned(), listener.try_clone().unwrap())];
        let offer = Takeover::offer(&place.0, offered).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let serving = async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                tokio::spawn(async move { client.write_all(&[name]).await });
            }
        };
        let ending = tokio::spawn(async move {
            tokio::select! {
                () = serving => {}
                () = offer.taken() => {}
            }
        });
        Self { ending }
    }

    async fn succeed(place: &Place, name: u8) -> Self {
        let mut inherited = Takeover::claim(&place.0).await.unwrap().unwrap();
        assert_eq!(inherited.addresses().collect::<Vec<_>>(), [ADDRESS]);
        let listener = inherited.take(ADDRESS).unwrap();
        assert!(inherited.take(ADDRESS).is_none());
        // It accepts before it says so.
        let spare = tokio::net::TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
        inherited.ready().await.unwrap();
        drop(spare);
        Self::begin(place, listener, name)
    }
}

fn bind() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Asks who serves.
async fn who(address: std::net::SocketAddr) -> std::io::Result<u8> {
    let mut client = TcpStream::connect(address).await?;
    client.read_u8().await
}

/// Talks to whoever offers by hand: says lines and returns what is said back, to the end.
async fn say(place: &Place, lines: &[u8]) -> String {
    let mut stream = UnixStream::connect(&place.0).await.unwrap();
    stream.write_all(lines).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

/// Answers the first that comes with lines, whatever it says.
fn answer(place: &Place, lines: &'static [&'static [u8]]) -> JoinHandle<()> {
    let listener = UnixListener::bind(&place.0).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        for line in lines {
            stream.read_line(&mut String::new()).await.unwrap();
            stream.write_all(line).await.unwrap();
        }
    })
}

// SIG-014
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_successors_under_load_and_no_connection_is_refused() {
    let place = Place::new("ten");
    let (listener, address) = bind();
    let mut life = Life::begin(&place, listener, 0);
    let (done, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = || {
        let (done, served) = (done.clone(), served.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                who(address).await.expect("no connection is refused, none is lost");
                served.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let load: Vec<_> = (0..4).map(|_| load()).collect();
    for name in 1..=10 {
        let next = Life::succeed(&place, name).await;
        // The old one has ended, with everything it had.
        life.ending.await.unwrap();
        life = next;
        assert_eq!(who(address).await.unwrap(), name);
        let before = served.load(Ordering::Relaxed);
        while served.load(Ordering::Relaxed) < before + 20 {
            tokio::task::yield_now().await;
        }
    }
    done.store(true, Ordering::Relaxed);
    for client in load {
        client.await.unwrap();
    }
}

// SIG-014
#[tokio::test]
async fn successor_that_dies_halfway_leaves_the_old_server_as_it_was() {
    let place = Place::new("dies");
    let (listener, address) = bind();
    let life = Life::begin(&place, listener, 1);
    // It dies before a word, in one, after it, with the sockets in hand.
    for words in [&b""[..], b"{\"takeover\":1,", b"{\"takeover\":1,\"step\":\"hello\"}\n"] {
        say(&place, words).await;
        assert_eq!(who(address).await.unwrap(), 1);
    }
    let mut inherited = Takeover::claim(&place.0).await.unwrap().unwrap();
    let socket = inherited.take(ADDRESS).unwrap();
    drop((inherited, socket));
    assert_eq!(who(address).await.unwrap(), 1);
    assert!(!life.ending.is_finished());
    Life::succeed(&place, 2).await;
    life.ending.await.unwrap();
}

// SIG-014
#[tokio::test]
async fn garbage_and_other_versions_are_refused_and_the_old_server_serves_on() {
    let place = Place::new("garbage");
    let (listener, address) = bind();
    let _life = Life::begin(&place, listener, 1);
    let hello = "{\"takeover\":1,\"step\":\"hello\"}\n";
    let long = "x".repeat(100_000);
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", "no line of it"),
        ("{\"step\":\"hello\"}\n", "no line of it"),
        ("{\"takeover\":1,\"step\":\"steal\"}\n", "no line of it"),
        ("{\"takeover\":1,\"step\":\"ready\"}\n", "a step out of order"),
        ("{\"takeover\":2,\"step\":\"greet\"}\n", "speaks version 2 of the protocol"),
        (&format!("{hello}{hello}"), "a step out of order"),
        (&format!("{hello}{{\"takeover\":2}}\n"), "speaks version 2 of the protocol"),
    ];
    for (words, why) in cases {
        let said = say(&place, words.as_bytes()).await;
        let last = said.lines().last().unwrap();
        assert!(last.contains("\"step\":\"refused\"") && last.contains(why), "{words}: {said}");
        assert_eq!(who(address).await.unwrap(), 1);
    }
    // What is not even read to its end may be answered with a reset.
    let mut stream = UnixStream::connect(&place.0).await.unwrap();
    let _ = stream.write_all(long.as_bytes()).await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(who(address).await.unwrap(), 1);
}

#[tokio::test]
async fn claim_tells_why_it_gets_nothing() {
    let version: &[&[u8]] = &[b"{\"takeover\":2,\"step\":\"welcome\",\"sockets\":3}\n"];
    let garbage: &[&[u8]] = &[b"HTTP/1.1 400 Bad Request\n"];
    let refusal: &[&[u8]] = &[b"{\"takeover\":1,\"step\":\"refused\",\"reason\":\"no\"}\n"];
    let missing: &[&[u8]] = &[b"{\"takeover\":1,\"step\":\"listeners\",\"addresses\":[\"a:1\"]}\n"];
    let early: &[&[u8]] = &[b"{\"takeover\":1,\"step\":\"draining\"}\n"];
    let cases = [
        (version, "speaks version 2"),
        (garbage, "no line of it"),
        (refusal, "refuses: no"),
        (missing, "another number of sockets"),
        (early, "a step out of order"),
        (&[], "has gone"),
    ];
    for (number, (lines, why)) in cases.into_iter().enumerate() {
        let place = Place::new(&format!("claim{number}"));
        let answering = answer(&place, lines);
        let error = Takeover::claim(&place.0).await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        answering.await.unwrap();
    }
}

#[tokio::test]
async fn old_server_that_does_not_confirm_is_an_error_of_the_successor() {
    let place = Place::new("confirm");
    let (step, end): (&[u8], &[u8]) =
        (b"{\"takeover\":1,\"step\":\"listeners\"}\n", b"{\"takeover\":1,\"step\":\"hello\"}\n");
    let lines: &'static [&'static [u8]] = Box::leak(Box::new([step, end]));
    let answering = answer(&place, lines);
    let inherited = Takeover::claim(&place.0).await.unwrap().unwrap();
    let error = inherited.ready().await.unwrap_err();
    assert!(matches!(error, TakeoverError::Broken(_)), "{error}");
    answering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_step_waits_for_ever() {
    let place = Place::new("late");
    let silent = UnixListener::bind(&place.0).unwrap();
    let started = tokio::time::Instant::now();
    let error = Takeover::claim(&place.0).await.unwrap_err();
    assert!(matches!(error, TakeoverError::Late), "{error}");
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    drop(silent);
    // The other way round: one who says nothing, and one who never gets ready.
    let (listener, _) = bind();
    let life = Life::begin(&place, listener, 1);
    for words in ["", "{\"takeover\":1,\"step\":\"hello\"}\n"] {
        let mut stream = UnixStream::connect(&place.0).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(said.ends_with("takes too long\"}\n"), "{said}");
    }
    assert!(started.elapsed() < Duration::from_secs(90), "{:?}", started.elapsed());
    assert!(!life.ending.is_finished());
}

// SIG-017
#[tokio::test]
async fn path_is_the_users_alone_and_a_stale_one_is_replaced() {
    let place = Place::new("path");
    assert!(Takeover::claim(&place.0).await.unwrap().is_none(), "nothing is there");
    // A server that was killed leaves its socket.
    drop(std::os::unix::net::UnixListener::bind(&place.0).unwrap());
    assert!(Takeover::claim(&place.0).await.unwrap().is_none(), "nobody is there");
    let first = Takeover::offer(&place.0, Vec::new()).unwrap();
    let mode = std::fs::symlink_metadata(&place.0).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(place.around(), 1, "no other file is left");
    // What another has bound since is not removed.
    let second = Takeover::offer(&place.0, Vec::new()).unwrap();
    drop(first);
    assert!(Takeover::claim(&place.0).await.is_err() || place.around() == 1);
    assert_eq!(place.around(), 1);
    drop(second);
    assert_eq!(place.around(), 0);
}

// SIG-017
#[tokio::test]
async fn what_is_no_socket_is_neither_asked_nor_replaced() {
    let place = Place::new("file");
    std::fs::write(&place.0, "precious").unwrap();
    let (asked, offered) =
        (Takeover::claim(&place.0).await.err(), Takeover::offer(&place.0, Vec::new()).err());
    for error in [asked.unwrap(), offered.unwrap()] {
        assert!(error.to_string().ends_with("takeover.sock: is there and no socket"), "{error}");
    }
    assert_eq!(std::fs::read(&place.0).unwrap(), b"precious");
    let nowhere = Path::new("/nowhere/at/all.sock");
    assert!(matches!(Takeover::offer(nowhere, Vec::new()), Err(TakeoverError::Path { .. })));
    let (listener, _) = bind();
    let many = (0..65).map(|_| (String::new(), listener.try_clone().unwrap())).collect();
    assert!(Takeover::offer(&place.0, many).is_err());
}

#[tokio::test]
async fn what_does_not_listen_is_not_taken_for_a_listener() {
    let (listener, address) = bind();
    let connected = std::net::TcpStream::connect(address).unwrap();
    assert!(super::listener(OwnedFd::from(connected)).is_err());
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(super::listener(OwnedFd::from(file)).is_err());
    let place = Place::new("unix");
    let unix = std::os::unix::net::UnixListener::bind(&place.0).unwrap();
    assert!(super::listener(OwnedFd::from(unix)).is_err());
    assert!(super::listener(OwnedFd::from(listener)).is_ok());
}

const ADDRESS: &str = "127.0.0.1:8080";
