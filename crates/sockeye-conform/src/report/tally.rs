//! How often each verdict was given.

use crate::report::Agent;
use crate::verdict::Verdict;

/// The results of some cases, counted by verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally([usize; Verdict::ALL.len()]);

impl Tally {
    /// Returns how many results have this verdict.
    pub fn of(&self, verdict: Verdict) -> usize {
        Verdict::ALL
            .into_iter()
            .zip(self.0)
            .find(|(each, _)| *each == verdict)
            .map_or(0, |(_, n)| n)
    }

    /// Returns the verdicts that were given, from best to worst, and how often.
    pub fn given(&self) -> impl Iterator<Item = (Verdict, usize)> {
        Verdict::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    /// Returns how many results there are.
    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// Returns how many of them count as failed.
    pub fn failures(&self) -> usize {
        self.given().filter(|(verdict, _)| verdict.is_failure()).map(|(_, count)| count).sum()
    }

    /// Returns how many results in a hundred passed: neither failed nor for want of an extension.
    /// To one place and never rounded up: with one failure among thousands it is not 100.
    pub fn passed_percent(&self) -> f64 {
        let passed = self.total() - self.failures() - self.of(Verdict::Unimplemented);
        let total = self.total().max(1);
        (passed as f64 * 1e3 / total as f64).floor() / 10.0
    }
}

impl FromIterator<Verdict> for Tally {
    fn from_iter<I: IntoIterator<Item = Verdict>>(verdicts: I) -> Self {
        let mut tally = Self::default();
        for verdict in verdicts {
            let places = Verdict::ALL.into_iter().zip(&mut tally.0);
            for (_, count) in places.filter(|(each, _)| *each == verdict) {
                *count += 1;
            }
        }
        tally
    }
}

impl Agent {
    /// Counts its results by verdict.
    pub fn tally(&self) -> Tally {
        self.results.values().map(|result| result.verdict()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_counted() {
        let tally: Tally =
            [Verdict::Failed, Verdict::Ok, Verdict::Ok, Verdict::Unclean].into_iter().collect();
        assert_eq!(tally.of(Verdict::Ok), 2);
        assert_eq!(tally.of(Verdict::WrongCode), 0);
        assert_eq!((tally.total(), tally.failures()), (4, 2));
        let given: Vec<_> = tally.given().collect();
        assert_eq!(given, [(Verdict::Ok, 2), (Verdict::Unclean, 1), (Verdict::Failed, 1)]);
    }

    #[test]
    fn one_failure_in_ten_thousand_is_not_a_hundred_percent() {
        let verdicts = std::iter::repeat_n(Verdict::Ok, 9_999).chain([Verdict::Failed]);
        assert_eq!(verdicts.collect::<Tally>().passed_percent(), 99.9);
        assert_eq!([Verdict::Ok].into_iter().collect::<Tally>().passed_percent(), 100.0);
        assert_eq!(Tally::default().passed_percent(), 0.0);
    }

    #[test]
    fn case_of_an_extension_that_is_lacking_did_not_pass() {
        let tally: Tally = [Verdict::NonStrict, Verdict::Unimplemented].into_iter().collect();
        assert_eq!((tally.failures(), tally.passed_percent()), (0, 50.0));
    }
}
