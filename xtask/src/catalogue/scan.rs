//! Finding tests and the rows they name, in Rust, Python and JavaScript.
//!
//! A test names its rows in a comment that starts with an id, in the comments and attributes
//! directly above it: `// FRM-001, FRM-002`. In JavaScript the title of the test may start with
//! the id instead. A mention elsewhere, or above a test that is skipped, proves nothing.

use std::path::{Path, PathBuf};

/// The languages tests are written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Language {
    JavaScript,
    Python,
    Rust,
}

/// A test that names a row.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) row: String,
    path: PathBuf,
    /// The line of the test itself, counted from 1.
    line: usize,
}

impl Proof {
    /// Returns `path:line`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.line)
    }
}

/// Returns every proof of one file, in order.
pub(super) fn proofs(path: &Path, text: &str, language: Language) -> Vec<Proof> {
    let mut proofs = Vec::new();
    let mut above = Above::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if above.take_in(line, language) {
            continue;
        }
        if let Some(mut rows) = above.rows_of_test(line, language) {
            rows.dedup();
            proofs.extend(rows.into_iter().map(|row| Proof {
                row,
                path: path.to_path_buf(),
                line: index + 1,
            }));
        }
        above = Above::default();
    }
    proofs
}

/// What stands directly above a line: its comments and attributes.
#[derive(Debug, Default)]
struct Above {
    rows: Vec<String>,
    is_test: bool,
    is_skipped: bool,
    /// Brackets of an attribute that are still open at the end of a line.
    open_brackets: usize,
}

impl Above {
    /// Takes a comment or an attribute in; tells whether the line was one.
    fn take_in(&mut self, line: &str, language: Language) -> bool {
        if self.open_brackets > 0 {
            self.count_brackets(line);
            return true;
        }
        match language {
            Language::Rust if line.starts_with("#[") => {
                let name = attribute_name(line);
                self.is_test |= name == "test" || name.ends_with("::test");
                self.is_skipped |= name == "ignore";
                self.count_brackets(line);
                true
            }
            Language::Python if line.starts_with('@') => {
                self.is_skipped |= line.contains("skip") || line.contains("xfail");
                true
            }
            _ => match comment(line, language) {
                Some(comment) => {
                    self.rows.extend(ids_of(comment));
                    true
                }
                None => false,
            },
        }
    }

    fn count_brackets(&mut self, line: &str) {
        for character in line.chars() {
            match character {
                '[' => self.open_brackets += 1,
                ']' => self.open_brackets = self.open_brackets.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// Returns the rows of the test that `line` opens, or `None` when it opens no test that runs.
    fn rows_of_test(&mut self, line: &str, language: Language) -> Option<Vec<String>> {
        if self.is_skipped {
            return None;
        }
        let mut rows = std::mem::take(&mut self.rows);
        match language {
            Language::Rust => (self.is_test && opens_function(line)).then_some(rows),
            Language::Python => {
                let line = line.strip_prefix("async ").unwrap_or(line);
                line.starts_with("def test_").then_some(rows)
            }
            Language::JavaScript => {
                let line = line.strip_prefix("await ").unwrap_or(line);
                let title =
                    ["test(", "it(", "t.test("].iter().find_map(|call| line.strip_prefix(call))?;
                let title = title.trim_start_matches(['"', '\'', '`']);
                rows.extend(ids_of(title));
                Some(rows)
            }
        }
    }
}

fn comment(line: &str, language: Language) -> Option<&str> {
    let marker = match language {
        Language::Python => "#",
        Language::JavaScript | Language::Rust => "//",
    };
    let text = line.strip_prefix(marker)?;
    Some(text.trim_start_matches('/').trim_start())
}

fn attribute_name(line: &str) -> &str {
    let inner = line.trim_start_matches("#[");
    let end =
        inner.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(inner.len());
    &inner[..end]
}

fn opens_function(line: &str) -> bool {
    line.split_whitespace().take_while(|word| !word.contains('(')).any(|word| word == "fn")
}

/// Returns every id of a text that starts with one; none when it starts with anything else.
fn ids_of(text: &str) -> Vec<String> {
    let words: Vec<&str> = text
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(|word| !word.is_empty())
        .collect();
    if !words.first().is_some_and(|word| is_id(word)) {
        return Vec::new();
    }
    words.into_iter().filter(|word| is_id(word)).map(str::to_owned).collect()
}

/// Tells whether a text is an id: three capitals or digits, a dash, three digits.
pub(super) fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 7
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            0..=2 => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            3 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, language: Language) -> Vec<String> {
        proofs(Path::new("f"), text, language)
            .iter()
            .map(|proof| format!("{}:{}", proof.row, proof.line))
            .collect()
    }

    #[test]
    fn rust_test_proves_the_rows_of_its_comment() {
        let text = "// FRM-001, FRM-002\n#[test]\nfn a() {}\n";
        assert_eq!(found(text, Language::Rust), ["FRM-001:3", "FRM-002:3"]);
    }

    #[test]
    fn comment_between_the_attribute_and_the_function_counts() {
        let text = "#[tokio::test(flavor = \"x\")]\n// H2X-001\npub async fn a() {}\n";
        assert_eq!(found(text, Language::Rust), ["H2X-001:3"]);
    }

    #[test]
    fn attribute_over_several_lines_is_one_attribute() {
        let text = "// FRM-001\n#[test]\n#[cfg_attr(\n  miri,\n  ignore\n)]\nfn a() {}\n";
        assert_eq!(found(text, Language::Rust), ["FRM-001:7"]);
    }

    #[test]
    fn tests_inside_proptest_are_found() {
        let text = "proptest! {\n  // FRM-031\n  #[test]\n  fn a(x in 0..9u8) {}\n}\n";
        assert_eq!(found(text, Language::Rust), ["FRM-031:4"]);
    }

    #[test]
    fn function_that_is_no_test_proves_nothing() {
        assert!(found("// FRM-001\nfn a() {}\n", Language::Rust).is_empty());
    }

    #[test]
    fn ignored_test_proves_nothing() {
        let text = "// FRM-001\n#[test]\n#[ignore = \"slow\"]\nfn a() {}\n";
        assert!(found(text, Language::Rust).is_empty());
    }

    #[test]
    fn blank_line_cuts_the_comment_off() {
        let text = "// FRM-001\n\n#[test]\nfn a() {}\n";
        assert!(found(text, Language::Rust).is_empty());
    }

    #[test]
    fn mention_inside_a_sentence_proves_nothing() {
        let text = "// As FRM-001 does, with SHA-256.\n#[test]\nfn a() {}\n";
        assert!(found(text, Language::Rust).is_empty());
    }

    #[test]
    fn remark_may_follow_the_ids() {
        let text = "/// FRM-001: the text half.\n#[test]\nfn a() {}\n";
        assert_eq!(found(text, Language::Rust), ["FRM-001:3"]);
    }

    #[test]
    fn python_test_proves_the_rows_of_its_comment() {
        let text = "# CMD-013\n@pytest.fixture\nasync def test_echo():\n";
        assert_eq!(found(text, Language::Python), ["CMD-013:3"]);
        let skipped = "# CMD-013\n@unittest.skip\ndef test_echo():\n";
        assert!(found(skipped, Language::Python).is_empty());
    }

    #[test]
    fn javascript_test_proves_the_rows_of_its_comment_and_title() {
        let text = "// CLS-001\ntest(\"CLS-002 reason\", () => {\n";
        assert_eq!(found(text, Language::JavaScript), ["CLS-001:2", "CLS-002:2"]);
        let skipped = "// CLS-001\ntest.skip(\"CLS-002 reason\", () => {\n";
        assert!(found(skipped, Language::JavaScript).is_empty());
    }

    #[test]
    fn ids_have_one_form() {
        assert!(is_id("HSS-001") && is_id("H2X-120"));
        for text in ["HSS-01", "HSS-0001", "hss-001", "HS-0011", "HSSx001"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
