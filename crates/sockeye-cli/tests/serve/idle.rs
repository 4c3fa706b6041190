//! A server that has nothing to do.

use std::fs;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::support::{Raw, Served, TEXT};

/// Returns how often the threads of a process have gone to sleep so far.
fn wake_ups(pid: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let statuses = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("status")));
    let slept = statuses.map(|status| {
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    });
    slept.sum()
}

/// Sees to it that a connection is served and has had its answer.
async fn exchange(raw: &mut Raw) {
    raw.send(0x80 | TEXT, b"there").await;
    assert_eq!(raw.frame().await.unwrap().text(), "there");
}

// RES-023
#[tokio::test]
async fn threads_wake_for_their_own_clocks_a_few_times_a_second_and_not_for_who_is_idle() {
    let served = Served::start(&["serve", "--log", "warn"]).await;
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(served.open("/echo").await);
        exchange(idle.last_mut().unwrap()).await;
    }
    let request = |wait| {
        let target = format!("/t/nothing?since=oldest&wait={wait}");
        format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    };
    // What the connections' beginnings have left to be done is done with this.
    served.ask(&request(1)).await;
    let (before, started) = (wake_ups(served.pid()), Instant::now());
    let answer = served.ask(&request(3)).await;
    let (woken, seconds) = (wake_ups(served.pid()) - before, started.elapsed().as_secs());
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    println!("{woken} in {seconds} s");
    assert!(woken < 20 * seconds, "{woken} in {seconds} s");
    let mut tasks = JoinSet::new();
    for mut raw in idle {
        tasks.spawn(async move { exchange(&mut raw).await });
    }
    tasks.join_all().await;
}
