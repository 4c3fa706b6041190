//! A line for each server: how it fares over all points at which messages are echoed.

use super::points::{Group, Point};
use super::results::{Measured, Results};
use super::stats::geometric_mean;

/// How a server fares, as ratios to another; a mean is geometric.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    pub(super) server: &'a str,
    /// At how many points both were measured.
    pub(super) points: usize,
    pub(super) mean: f64,
    pub(super) worst: f64,
    pub(super) worst_at: &'a Point,
    /// The mean of user time alone.
    pub(super) user: Option<f64>,
}

impl<'a> Summary<'a> {
    /// Sums up a server over the echoes, or returns nothing if there are none of both.
    pub(super) fn of(results: &'a Results, server: &'a str, base: &str) -> Option<Self> {
        Self::over(results.of(Group::Echo), server, base)
    }

    /// Sums up a server over the echoes at which messages queue or connections are many.
    pub(super) fn crowded(results: &'a Results, server: &'a str, base: &str) -> Option<Self> {
        let crowded = results.of(Group::Echo).filter(|measured| measured.point.is_crowded());
        Self::over(crowded, server, base)
    }

    fn over(
        points: impl Iterator<Item = &'a Measured>,
        server: &'a str,
        base: &str,
    ) -> Option<Self> {
        let rated: Vec<(f64, &Measured)> =
            points.filter_map(|measured| Some((measured.ratio(server, base)?, measured))).collect();
        let (worst, at) = rated.iter().copied().max_by(|(a, _), (b, _)| a.total_cmp(b))?;
        let users = rated.iter().filter_map(|(_, measured)| measured.user_ratio(server, base));
        Some(Self {
            server,
            points: rated.len(),
            mean: geometric_mean(rated.iter().map(|(ratio, _)| *ratio))?,
            worst,
            worst_at: &at.point,
            user: geometric_mean(users),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::sample;
    use super::*;

    #[test]
    fn a_summary_is_over_echoes_and_names_the_worst_of_them() {
        let results = sample();
        let summary = Summary::of(&results, "b", "a").unwrap();
        assert_eq!(summary.points, 2);
        assert!((summary.mean - 1.5_f64.sqrt()).abs() < 1e-12);
        assert_eq!((summary.worst, summary.worst_at.size), (3.0, 16));
        assert!((summary.user.unwrap() - 2.0_f64.sqrt()).abs() < 1e-12);
        assert!(Summary::of(&results, "c", "a").is_none());
    }
}
