//! Smoke.
#[tokio::main]
async fn main() {
    let suite = sockeye_conform::Suite::builtin().unwrap();
    let patterns = std::env::var("CASES").unwrap_or_default();
    let cases = suite.select(&patterns).unwrap();
    let start = std::time::Instant::now();
    let report = sockeye_conform::ServerTest::new(std::env::var("URL").unwrap())
        .cases(&cases)
        .run()
        .await
        .unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for (id, result) in &report.agents[0].results {
        *counts.entry(result.verdict()).or_insert(0) += 1;
        if result.verdict() > sockeye_conform::Verdict::Informational {
            println!("{id} {} {} {}", result.behavior, result.behavior_close, result.reason);
        }
    }
    let mut slow: Vec<_> =
        report.agents[0].results.iter().map(|(id, r)| (r.duration_ms as u64, id)).collect();
    slow.sort();
    slow.reverse();
    println!("{:?}", &slow[..slow.len().min(40)]);
    println!("{counts:?} in {:?}", start.elapsed());
}
