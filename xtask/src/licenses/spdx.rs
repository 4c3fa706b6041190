//! SPDX licence expressions, as far as manifests use them: `AND`, `OR`, `WITH`, parentheses, and
//! the old `/` for `OR`. Knows no licence names.

/// Tells whether an expression can be met with the licences of a list.
///
/// # Errors
/// What is wrong with an expression that does not parse.
pub(super) fn allows(expression: &str, allowed: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut parser = Parser { words: spaced.split_whitespace().peekable(), allowed };
    let met = parser.either()?;
    match parser.words.next() {
        None => Ok(met),
        Some(word) => Err(format!("unexpected `{word}`")),
    }
}

/// A recursive descent over the words; `AND` binds closer than `OR`.
struct Parser<'a> {
    words: std::iter::Peekable<std::str::SplitWhitespace<'a>>,
    allowed: &'a [String],
}

impl Parser<'_> {
    fn either(&mut self) -> Result<bool, String> {
        let mut met = self.both()?;
        while self.words.next_if_eq(&"OR").is_some() {
            // The right side is parsed even when the left is met: its errors must come out.
            met |= self.both()?;
        }
        Ok(met)
    }

    fn both(&mut self) -> Result<bool, String> {
        let mut met = self.term()?;
        while self.words.next_if_eq(&"AND").is_some() {
            met &= self.term()?;
        }
        Ok(met)
    }

    fn term(&mut self) -> Result<bool, String> {
        match self.words.next() {
            None => Err("ends too early".to_owned()),
            Some("(") => {
                let met = self.either()?;
                match self.words.next() {
                    Some(")") => Ok(met),
                    _ => Err("a parenthesis is not closed".to_owned()),
                }
            }
            Some(word @ (")" | "AND" | "OR" | "WITH")) => Err(format!("unexpected `{word}`")),
            Some(license) => {
                let mut name = license.to_owned();
                if self.words.next_if_eq(&"WITH").is_some() {
                    let exception = self.words.next().ok_or("ends too early")?;
                    name = format!("{license} WITH {exception}");
                }
                Ok(self.allowed.contains(&name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(expression: &str) -> Result<bool, String> {
        allows(expression, &["MIT".to_owned(), "ISC".to_owned()])
    }

    #[test]
    fn either_side_of_or_is_enough() {
        assert_eq!(judge("MIT OR Apache-2.0"), Ok(true));
        assert_eq!(judge("Apache-2.0/MIT"), Ok(true));
        assert_eq!(judge("GPL-3.0-only OR MPL-2.0"), Ok(false));
    }

    #[test]
    fn both_sides_of_and_are_needed() {
        assert_eq!(judge("MIT AND ISC"), Ok(true));
        assert_eq!(judge("MIT AND OpenSSL"), Ok(false));
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert_eq!(judge("MIT OR OpenSSL AND OpenSSL"), Ok(true));
        assert_eq!(judge("(MIT OR OpenSSL) AND OpenSSL"), Ok(false));
    }

    #[test]
    fn exception_is_part_of_the_name() {
        assert_eq!(judge("MIT WITH some-exception"), Ok(false));
    }

    #[test]
    fn broken_expressions_are_errors() {
        for expression in ["", "MIT OR", "(MIT", "MIT)", "AND MIT", "MIT ISC", "MIT WITH"] {
            assert!(judge(expression).is_err(), "{expression}");
        }
    }
}
