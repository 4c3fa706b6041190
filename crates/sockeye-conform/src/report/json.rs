//! A report for programs: our own form, which can be read again, and that of the Autobahn test
//! suite's `index.json`.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::report::order::id_order;
use crate::report::{Agent, CaseResult, Report};
use crate::verdict::Verdict;

/// Why a report cannot be read.
#[derive(Debug)]
pub enum ReadError {
    /// It is not JSON, or not of a report's form.
    Malformed(serde_json::Error),
    /// It is of a version that this tester does not know.
    UnknownVersion(u64),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "this is no report: {error}"),
            Self::UnknownVersion(version) => {
                write!(f, "the report is of version {version}, only {VERSION} is known")
            }
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::UnknownVersion(_) => None,
        }
    }
}

impl Report {
    /// Writes it as JSON, with the `version` of this form.
    pub fn to_json(&self) -> String {
        pretty(&Document { version: VERSION, report: self })
    }

    /// Reads what [`Report::to_json`] wrote.
    ///
    /// # Errors
    /// [`ReadError::Malformed`] if the text is no report, [`ReadError::UnknownVersion`] if it is
    /// one of another version.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        // The version first: a later one may lack members that this one must have.
        let Version { version } = serde_json::from_str(text).map_err(ReadError::Malformed)?;
        if version != VERSION {
            return Err(ReadError::UnknownVersion(version));
        }
        serde_json::from_str(text).map_err(ReadError::Malformed)
    }

    /// Writes the outline of all results in the form of Autobahn's `index.json`, for the scripts
    /// that read that. `reportfile` leads to the result in the page of [`Report::to_html`].
    pub fn to_index_json(&self) -> String {
        pretty(&Index(self))
    }
}

/// Writes a part of a report for people who look into the file.
#[expect(clippy::expect_used, reason = "every key is a string and the writer is memory")]
fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("a report can be written") + "\n"
}

/// Writes a part of a report in as few bytes as it takes.
#[expect(clippy::expect_used, reason = "every key is a string and the writer is memory")]
pub(super) fn compact(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a report can be written")
}

/// Encodes as `encodeURIComponent` does, or more.
pub(super) fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[derive(Serialize)]
struct Document<'a> {
    version: u64,
    #[serde(flatten)]
    report: &'a Report,
}

#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// All results as `index.json` has them: by agent, then by case.
struct Index<'a>(&'a Report);

/// One agent's results in it.
struct IndexAgent<'a> {
    label: &'a str,
    agent: &'a Agent,
}

/// One result in it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexResult {
    behavior: Verdict,
    behavior_close: Verdict,
    duration: u64,
    remote_close_code: Option<u16>,
    reportfile: String,
}

impl Serialize for Index<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let labels = self.0.labels();
        let agents = labels.iter().zip(&self.0.agents);
        serializer.collect_map(agents.map(|(label, agent)| (label, IndexAgent { label, agent })))
    }
}

impl Serialize for IndexAgent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut results: Vec<_> = self.agent.results.iter().collect();
        results.sort_by_cached_key(|(id, _)| id_order(id));
        let mut map = serializer.serialize_map(Some(results.len()))?;
        for (id, result) in results {
            map.serialize_entry(id, &IndexResult::new(self.label, id, result))?;
        }
        map.end()
    }
}

impl IndexResult {
    fn new(label: &str, id: &str, result: &CaseResult) -> Self {
        Self {
            behavior: result.behavior,
            behavior_close: result.behavior_close,
            duration: result.duration_ms.round() as u64,
            remote_close_code: result.close_code,
            reportfile: format!("index.html#{}/{}", percent_encode(label), percent_encode(id)),
        }
    }
}

/// The version of our own form; it grows when a reader of the one before would be misled.
const VERSION: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example::{EXAMPLE, example, run};

    // CMD-017
    #[test]
    fn report_has_a_stable_form_with_its_version() {
        assert_eq!(example().to_json(), EXAMPLE);
    }

    // CMD-017
    #[test]
    fn report_that_is_read_is_written_the_same() {
        let again = Report::from_json(EXAMPLE).unwrap();
        assert_eq!(again.to_json(), EXAMPLE);
        assert_eq!(again.agents[0].results["5.10"].wire.left_out, 3);
    }

    #[test]
    fn report_of_another_version_is_refused_by_its_version() {
        let error = Report::from_json(r#"{"version": 2, "agents": "elsewhere"}"#).unwrap_err();
        assert!(matches!(error, ReadError::UnknownVersion(2)));
        assert_eq!(error.to_string(), "the report is of version 2, only 1 is known");
    }

    #[test]
    fn what_is_no_report_is_malformed() {
        for text in ["", "[]", "{}", r#"{"version": 1}"#, "nonsense"] {
            assert!(matches!(Report::from_json(text), Err(ReadError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn index_has_autobahns_shape_in_numeric_order() {
        let expected = r#"{
  "otter/1.0 (β)": {
    "1.1.1": {
      "behavior": "OK",
      "behaviorClose": "OK",
      "duration": 2,
      "remoteCloseCode": 1000,
      "reportfile": "index.html#otter%2F1.0%20%28%CE%B2%29/1.1.1"
    },
    "5.10": {
      "behavior": "OK",
      "behaviorClose": "UNCLEAN",
      "duration": 1004,
      "remoteCloseCode": null,
      "reportfile": "index.html#otter%2F1.0%20%28%CE%B2%29/5.10"
    },
    "FRM-015.2": {
      "behavior": "OK",
      "behaviorClose": "WRONG CODE",
      "duration": 3,
      "remoteCloseCode": 1009,
      "reportfile": "index.html#otter%2F1.0%20%28%CE%B2%29/FRM-015.2"
    }
  }
}
"#;
        assert_eq!(example().to_index_json(), expected);
    }

    #[test]
    fn index_keeps_agents_of_one_name_apart() {
        let mut report = run("otter", &["2.1"]);
        report.agents.extend(run("otter", &["2.1"]).agents);
        let index = report.to_index_json();
        assert!(index.contains("\"otter\": {") && index.contains("\"otter (server)\": {"));
    }
}
