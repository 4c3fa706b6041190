//! What the documentation keeps of a merged report: counts, and the cases that are not OK.
//!
//! Knows the form of the tester's JSON; leaves what went over the wire to the whole report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};

use super::run::is_failure;

/// The verdicts, from best to worst.
const VERDICTS: &[&str] =
    &["OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "UNCLEAN", "WRONG CODE", "FAILED"];

/// What Autobahn calls its chapters; the cases of ours stand in groups with a name of their own.
const CHAPTERS: &[(&str, &str)] = &[
    ("1", "Framing"),
    ("2", "Pings and pongs"),
    ("3", "Reserved bits"),
    ("4", "Opcodes"),
    ("5", "Fragmentation"),
    ("6", "UTF-8"),
    ("7", "Closing"),
    ("9", "Limits"),
    ("10", "Automatic fragmentation"),
    ("12", "Compression of different data"),
    ("13", "Compression with different parameters"),
];

/// A report, cut down to what is told of it.
struct Outline {
    tester: String,
    cases: Vec<Case>,
    agents: Vec<Agent>,
}

struct Case {
    id: String,
    section: String,
}

struct Agent {
    name: String,
    role: String,
    /// Verdict and reason by the case's id.
    results: BTreeMap<String, Outcome>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Outcome {
    /// Its place among [`VERDICTS`].
    verdict: usize,
    reason: String,
}

/// Writes the counts and the cases that are not OK as JSON.
pub(super) fn json(report: &Value) -> String {
    let outline = Outline::read(report);
    let agents: Vec<Value> = outline.agents.iter().map(|agent| outline.agent_json(agent)).collect();
    let mut text = format!("{{\n \"tester\": {},\n \"agents\": [", json!(outline.tester));
    // A line for each agent, so that a change shows where it is.
    let lines: Vec<String> = agents.iter().map(|agent| format!("\n  {agent}")).collect();
    text.push_str(&lines.join(","));
    text.push_str("\n ]\n}\n");
    text
}

/// Writes the same for readers.
pub(super) fn markdown(report: &Value) -> String {
    let outline = Outline::read(report);
    let mut text = format!(
        "<!-- Written by `cargo xtask conformance`; changes made here are lost. -->\n\
         # Conformance\n\n\
         How servers and clients fare in the suite of `sockeye conform` ({}): the 517 cases of the Autobahn\n\
         test suite and those that it lacks. To see it for yourself, with what went over the wire in each case:\n\n\
         ```\n\
         cargo xtask conformance    # half an hour; leaves the whole report in target/conformance.html\n\
         ```\n\n\
         The programs under test stand in `bench/src/bin` and `bench/peers`, each with its settings and the\n\
         reasons for them. All take messages of up to 64 MiB, check texts, and compress where they can. A case\n\
         that was not passed is played once more with nothing beside it, and that result counts.\n\n\
         Before the stroke stands how many cases of a row were passed, behind it how many there are. Those of an\n\
         extension that the peer lacks are not counted; a dash tells that they are all. What is NON-STRICT\n\
         was passed: the peer may do so, though the rule would rather have it otherwise.\n",
        outline.tester
    );
    for (role, title) in [("server", "Servers"), ("client", "Clients")] {
        let agents: Vec<_> = outline.agents.iter().filter(|agent| agent.role == role).collect();
        if !agents.is_empty() {
            let _ = write!(text, "\n## {title}\n\n{}", outline.matrix(&agents));
        }
    }
    text.push_str("\n## What is not OK\n");
    for agent in &outline.agents {
        text.push_str(&outline.agent_markdown(agent));
    }
    text
}

impl Outline {
    fn read(report: &Value) -> Self {
        let list = |name: &str| report[name].as_array().into_iter().flatten();
        Self {
            tester: string(&report["tester"]),
            cases: list("cases")
                .map(|case| Case { id: string(&case["id"]), section: string(&case["section"]) })
                .collect(),
            agents: list("agents").map(Agent::read).collect(),
        }
    }

    /// Returns the chapters in their order.
    fn chapters(&self) -> Vec<&str> {
        let mut chapters: Vec<&str> = Vec::new();
        for case in &self.cases {
            if !chapters.contains(&case.chapter()) {
                chapters.push(case.chapter());
            }
        }
        chapters
    }

    /// Returns what a chapter is called.
    fn title(&self, chapter: &str) -> String {
        let known = CHAPTERS.iter().find(|(number, _)| *number == chapter);
        let of_ours = || self.cases.iter().find(|case| case.chapter() == chapter);
        match known {
            Some((number, title)) => format!("{number} {title}"),
            None => of_ours().map_or_else(String::new, |case| case.section.clone()),
        }
    }

    fn matrix(&self, agents: &[&Agent]) -> String {
        let row =
            |first: &str, cells: Vec<String>| format!("| {first} | {} |\n", cells.join(" | "));
        let mut text = row("", agents.iter().map(|agent| agent.name.clone()).collect());
        text.push_str(&format!("|---|{}\n", "--:|".repeat(agents.len())));
        for chapter in self.chapters() {
            let cells: Vec<String> = agents
                .iter()
                .map(|agent| cell(&self.outcomes(agent, |case| case.chapter() == chapter)))
                .collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                text.push_str(&row(&self.title(chapter), cells));
            }
        }
        let all = |agent: &&Agent| format!("**{}**", cell(&self.outcomes(agent, |_| true)));
        text.push_str(&row("**All**", agents.iter().map(all).collect()));
        text
    }

    fn outcomes<'a>(&self, agent: &'a Agent, wanted: impl Fn(&Case) -> bool) -> Vec<&'a Outcome> {
        let cases = self.cases.iter().filter(|case| wanted(case));
        cases.filter_map(|case| agent.results.get(&case.id)).collect()
    }

    /// Groups an agent's cases that are not OK by verdict and reason, the worst first.
    fn not_ok<'a>(&'a self, agent: &'a Agent) -> Vec<(&'a Outcome, Vec<&'a str>)> {
        let mut groups: Vec<(&Outcome, Vec<&str>)> = Vec::new();
        for case in &self.cases {
            let Some(outcome) = agent.results.get(&case.id).filter(|one| one.verdict > 0) else {
                continue;
            };
            match groups.iter_mut().find(|(known, _)| *known == outcome) {
                Some((_, ids)) => ids.push(&case.id),
                None => groups.push((outcome, vec![&case.id])),
            }
        }
        groups.sort_by_key(|(outcome, _)| std::cmp::Reverse(outcome.verdict));
        groups
    }

    fn agent_json(&self, agent: &Agent) -> Value {
        let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for case in &self.cases {
            if let Some(outcome) = agent.results.get(&case.id) {
                let section = counts.entry(&case.section).or_default();
                *section.entry(VERDICTS[outcome.verdict]).or_default() += 1;
            }
        }
        let group = |(outcome, ids): (&Outcome, Vec<&str>)| {
            let verdict = VERDICTS[outcome.verdict];
            json!({ "verdict": verdict, "reason": outcome.reason, "cases": ids })
        };
        let not_ok: Vec<Value> = self.not_ok(agent).into_iter().map(group).collect();
        json!({ "name": agent.name, "role": agent.role, "counts": counts, "not_ok": not_ok })
    }

    fn agent_markdown(&self, agent: &Agent) -> String {
        let mut text = format!("\n### {}, {}\n\n", agent.name, agent.role);
        // Cases without a right outcome are there to be looked at.
        let groups = self.not_ok(agent);
        let told: Vec<_> = groups.iter().filter(|(one, _)| one.verdict > 1).collect();
        if told.is_empty() {
            text.push_str("Nothing.\n");
        }
        let played: Vec<&str> = self
            .cases
            .iter()
            .map(|case| case.id.as_str())
            .filter(|id| agent.results.contains_key(*id))
            .collect();
        for (outcome, ids) in told {
            let verdict = VERDICTS[outcome.verdict];
            let reason = escape(&outcome.reason);
            let _ = writeln!(text, "- {verdict} {}: {reason}", shorten(ids, &played));
        }
        text
    }
}

impl Case {
    /// Returns the number or the letters with which its id begins.
    fn chapter(&self) -> &str {
        chapter(&self.id)
    }
}

impl Agent {
    fn read(agent: &Value) -> Self {
        let results = agent["results"].as_object().into_iter().flatten();
        Self {
            name: string(&agent["name"]),
            role: string(&agent["role"]),
            results: results.map(|(id, result)| (id.clone(), Outcome::read(result))).collect(),
        }
    }
}

impl Outcome {
    fn read(result: &Value) -> Self {
        let place = |part: &str| {
            let known = VERDICTS.iter().position(|verdict| result[part] == *verdict);
            // One that is not known must not look well.
            known.unwrap_or(VERDICTS.len() - 1)
        };
        Self {
            verdict: place("behavior").max(place("behavior_close")),
            reason: string(&result["reason"]),
        }
    }

    fn is_failure(&self) -> bool {
        is_failure(VERDICTS[self.verdict])
    }

    fn is_unimplemented(&self) -> bool {
        VERDICTS[self.verdict] == "UNIMPLEMENTED"
    }
}

/// Tells how many passed of how many that are not for an extension which the peer lacks.
fn cell(outcomes: &[&Outcome]) -> String {
    let counted = outcomes.iter().filter(|outcome| !outcome.is_unimplemented());
    let failed = counted.clone().filter(|outcome| outcome.is_failure()).count();
    match (outcomes.len(), counted.count()) {
        (0, _) => String::new(),
        (_, 0) => "–".to_owned(),
        (_, counted) => format!("{}/{counted}", counted - failed),
    }
}

/// Lists ids, with `12.*` in place of all that begin so.
fn shorten(ids: &[&str], played: &[&str]) -> String {
    let ids: BTreeSet<&str> = ids.iter().copied().collect();
    let mut words: Vec<String> = Vec::new();
    for id in played.iter().filter(|id| ids.contains(*id)) {
        let whole = prefixes(id).find(|prefix| {
            let mut alike = played.iter().filter(|other| other.starts_with(prefix));
            alike.clone().count() > 1 && alike.all(|other| ids.contains(other))
        });
        let word = whole.map_or_else(|| (*id).to_owned(), |prefix| format!("{prefix}*"));
        if words.last() != Some(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

/// Returns the beginnings of an id that end with a separator, shortest first.
fn prefixes(id: &str) -> impl Iterator<Item = &str> {
    id.match_indices(['.', '-']).map(|(at, separator)| &id[..at + separator.len()])
}

fn chapter(id: &str) -> &str {
    id.split(['.', '-']).next().unwrap_or(id)
}

/// Keeps Markdown from reading anything into a reason, and cuts out what a long one quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    let length = text.chars().count();
    for (at, character) in text.chars().enumerate() {
        let is_cut = length > LONGEST && (HEAD..length - TAIL).contains(&at);
        if is_cut {
            escaped.push_str(if at == HEAD { "…" } else { "" });
            continue;
        }
        if matches!(character, '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '|') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A reason of more characters is cut, but for its beginning and its end.
const LONGEST: usize = 140;
const HEAD: usize = 60;
const TAIL: usize = 70;

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Value {
        let result = |behavior: &str, close: &str, reason: &str| json!({"behavior": behavior, "behavior_close": close, "reason": reason});
        let case = |id: &str, section: &str| json!({"id": id, "section": section});
        json!({
            "tester": "sockeye-conform 1",
            "cases": [case("2.1", "2 Pings"), case("2.2", "2 Pings"), case("12.1.1", "12.1 JSON"), case("FRM-1.1", "FRM Frames")],
            "agents": [{"name": "heron 2", "role": "server", "results": {
                "2.1": result("OK", "OK", ""),
                "2.2": result("OK", "UNCLEAN", "no <Close>"),
                "12.1.1": result("UNIMPLEMENTED", "OK", "not agreed"),
                "FRM-1.1": result("NON-STRICT", "OK", "so so"),
            }}],
        })
    }

    #[test]
    fn page_counts_by_chapter_and_tells_what_is_not_ok() {
        let page = markdown(&report());
        for line in [
            "|  | heron 2 |",
            "| 2 Pings and pongs | 1/2 |",
            "| 12 Compression of different data | – |",
            "| FRM Frames | 1/1 |",
            "| **All** | **2/3** |",
            "- UNCLEAN 2.2: no \\<Close\\>",
            "- NON-STRICT FRM-1.1: so so",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        assert!(page.find("UNCLEAN 2.2") < page.find("UNIMPLEMENTED 12.1.1"));
        assert!(!page.contains("## Clients"));
    }

    #[test]
    fn data_holds_counts_by_section_and_reasons_once() {
        let data: Value = serde_json::from_str(&json(&report())).unwrap();
        let agent = &data["agents"][0];
        assert_eq!(agent["counts"]["2 Pings"], json!({"OK": 1, "UNCLEAN": 1}));
        assert_eq!(agent["not_ok"][0]["cases"], json!(["2.2"]));
        assert_eq!(agent["not_ok"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn reasons_are_plain_text_and_short() {
        assert_eq!(escape("TEXT '*|'"), "TEXT '\\*\\|'");
        let long = escape(&format!("BINARY {} came", "ab".repeat(100)));
        assert!(long.starts_with("BINARY abab") && long.ends_with("abab came"), "{long}");
        assert_eq!(long.chars().count(), HEAD + 1 + TAIL);
    }

    #[test]
    fn ids_of_a_whole_section_or_chapter_become_one() {
        let played = ["1.1.1", "1.1.2", "1.2.1", "1.2.2", "2.1", "10.1.1"];
        assert_eq!(shorten(&["1.1.1", "1.1.2", "2.1"], &played), "1.1.*, 2.1");
        assert_eq!(shorten(&played[..4], &played), "1.*");
        assert_eq!(shorten(&["1.1.1", "1.2.2", "10.1.1"], &played), "1.1.1, 1.2.2, 10.1.1");
    }

    #[test]
    fn verdict_that_is_not_known_is_the_worst() {
        let outcome = Outcome::read(&json!({"behavior": "SPLENDID", "behavior_close": "OK"}));
        assert!(outcome.is_failure());
    }
}
