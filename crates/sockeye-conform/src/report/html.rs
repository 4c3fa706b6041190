//! A report as one page for a browser, without anything from outside.
//!
//! Rust writes the summary of the agents, so that it is there without scripts, and the results as
//! JSON; the page's script makes the matrix and the details of them. A peer's words come into the
//! page as JSON or as escaped text only.

use std::fmt::Write as _;

use serde::Serialize;

use crate::report::json::{compact, percent_encode};
use crate::report::{Agent, CaseInfo, CaseResult, Report, Tally};
use crate::verdict::Verdict;

impl Report {
    /// Writes it as a page of HTML that stands alone.
    pub fn to_html(&self) -> String {
        let labels = self.labels();
        fill(PAGE, |name| match name {
            "style" => STYLE.to_owned(),
            "script" => SCRIPT.to_owned(),
            "fish" => FISH.to_owned(),
            "icon" => percent_encode(FISH),
            "tester" => escape(&self.tester),
            "agents" => self.agents_table(&labels),
            "data" => self.data(&labels),
            _ => String::new(),
        })
    }

    /// Writes the table of the agents with their counts.
    fn agents_table(&self, labels: &[String]) -> String {
        let tallies: Vec<Tally> = self.agents.iter().map(|agent| agent.tally()).collect();
        let given = |verdict: &Verdict| tallies.iter().any(|tally| tally.of(*verdict) > 0);
        let columns: Vec<Verdict> = Verdict::ALL.into_iter().filter(given).collect();
        let mut table =
            String::from("<table class=\"agents\">\n<thead><tr><th scope=\"col\">Agent");
        table += "</th><th scope=\"col\" class=\"share\">Passed</th>";
        for verdict in &columns {
            let _ = write!(table, "<th scope=\"col\" data-v=\"{verdict}\">{verdict}</th>");
        }
        table += "<th scope=\"col\">Time</th></tr></thead>\n<tbody>\n";
        for ((label, agent), tally) in labels.iter().zip(&self.agents).zip(&tallies) {
            let (name, role) = (escape(label), agent.role.name());
            let _ = write!(table, "<tr><th scope=\"row\">{name} <small>{role}</small></th>");
            let _ = write!(table, "<td class=\"share\">{}</td>", share(tally));
            for verdict in &columns {
                let count = tally.of(*verdict);
                let _ = write!(table, "<td data-v=\"{verdict}\" data-n=\"{count}\">{count}</td>");
            }
            let _ = writeln!(table, "<td>{:.1} s</td></tr>", agent.elapsed_ms / 1e3);
        }
        table + "</tbody>\n</table>"
    }

    /// Writes the results for the script: an overview of all, and the details of each agent in an
    /// element of its own, which the script need not read before they are asked for.
    fn data(&self, labels: &[String]) -> String {
        let agents = labels.iter().zip(&self.agents);
        let agents = agents.map(|(label, agent)| AgentOverview::new(label, agent, &self.cases));
        let agents = agents.collect();
        let mut data = element("overview", &Overview { cases: &self.cases, agents });
        for (number, agent) in self.agents.iter().enumerate() {
            data += &element(&format!("results-{number}"), &agent.results);
        }
        data
    }
}

/// What the script has to know to draw the matrix.
#[derive(Serialize)]
struct Overview<'a> {
    cases: &'a [CaseInfo],
    agents: Vec<AgentOverview<'a>>,
}

/// An agent's column, with a verdict or none for each case.
#[derive(Serialize)]
struct AgentOverview<'a> {
    label: &'a str,
    role: &'static str,
    verdicts: Vec<Option<Verdict>>,
}

impl<'a> AgentOverview<'a> {
    fn new(label: &'a str, agent: &Agent, cases: &[CaseInfo]) -> Self {
        let verdict = |case: &CaseInfo| agent.results.get(&case.id).map(CaseResult::verdict);
        Self { label, role: agent.role.name(), verdicts: cases.iter().map(verdict).collect() }
    }
}

/// Fills in the places of a template that stand in double braces, in one go: what is filled in is
/// not looked at again.
fn fill(template: &str, content: impl Fn(&str) -> String) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, place)| Some((before, place.split_once("}}")?)))
    {
        page += before;
        page += &content(name);
        rest = after;
    }
    page + rest
}

/// Writes a bar of the verdicts and the share that passed.
fn share(tally: &Tally) -> String {
    let mut bar = String::from("<div><span class=\"bar\" aria-hidden=\"true\">");
    for (verdict, count) in tally.given() {
        let _ = write!(bar, "<i data-v=\"{verdict}\" style=\"flex-grow:{count}\"></i>");
    }
    let _ = write!(bar, "</span> <b>{:.1}%</b></div>", tally.passed_percent());
    bar
}

/// Writes a value as JSON into an element that the browser takes no notice of.
fn element(id: &str, value: &impl Serialize) -> String {
    let json = harmless(&compact(value));
    format!("<script type=\"application/json\" id=\"{id}\">{json}</script>\n")
}

/// Escapes what would end or confuse a script element. Outside of strings JSON has none of these
/// characters, and within them the escapes mean the same.
fn harmless(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut text, c| {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            _ => text.push(c),
        }
        text
    })
}

/// Escapes text for HTML, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut text, c| {
        match c {
            '<' | '>' | '&' | '"' | '\'' => {
                let _ = write!(text, "&#{};", u32::from(c));
            }
            _ => text.push(c),
        }
        text
    })
}

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const FISH: &str = include_str!("fish.svg");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example::{example, run};

    #[test]
    fn payload_cannot_leave_its_script_element() {
        let page = example().to_html();
        assert!(!page.contains("<img"));
        assert!(
            page.contains(r"\u003c/script\u003e\u003cimg src=x onerror=alert(1)\u003e\u003c!--")
        );
        // The page's own script, the overview and the results of one agent.
        assert_eq!(page.matches("<script").count(), 3);
        assert_eq!(page.matches("</script").count(), 3);
    }

    #[test]
    fn separators_of_lines_are_escaped_in_scripts() {
        assert_eq!(harmless("\"\u{2028}\u{2029}\""), r#""\u2028\u2029""#);
    }

    #[test]
    fn escaped_json_is_read_as_it_was() {
        let evil = "</script><!-- \u{2028} &amp; ]]>";
        let json = harmless(&compact(&evil));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), evil);
    }

    #[test]
    fn name_of_an_agent_is_text() {
        let page = run("<b onclick='x'>\"&", &["1.1.1"]).to_html();
        assert!(page.contains("&#60;b onclick=&#39;x&#39;&#62;&#34;&#38;"));
        assert!(!page.contains("<b onclick"));
    }

    #[test]
    fn braces_in_a_payload_are_not_filled_in() {
        assert_eq!(
            fill("a {{x}} b {{y}}", |name| format!("<{name} {{{{x}}}}>")),
            "a <x {{x}}> b <y {{x}}>"
        );
        assert!(example().to_html().contains("{{results}}"));
    }

    #[test]
    fn style_and_script_stand_in_the_page() {
        let page = Report::default().to_html();
        assert!(page.contains(STYLE) && page.contains(SCRIPT));
    }

    #[test]
    fn page_names_nothing_outside_of_itself() {
        let page = example().to_html();
        for word in ["http://", "https://", "@import", "url("] {
            let found = page.matches(word).count();
            // The name space of the picture is a name, not an address.
            let allowed = page.matches("http://www.w3.org/2000/svg").count();
            assert_eq!(found, if word == "http://" { allowed } else { 0 }, "{word}");
        }
    }

    #[test]
    fn agents_and_their_counts_stand_in_the_page_without_scripts() {
        let page = example().to_html();
        assert!(page.contains("<td data-v=\"WRONG CODE\" data-n=\"1\">1</td>"));
        assert!(page.contains("<b>33.3%</b>"));
    }
}
