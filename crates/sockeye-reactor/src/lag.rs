//! How far a thread has heard of what happened: deadlines act up to there and no further.
//!
//! A thread may lag: it was stopped, starved of the processor, or has more to do than one wait tells of.
//! What arrived meanwhile arrived in time, so a peer is judged only when everything that it may have sent
//! by its deadline has been read.

use sockeye_proto::Time;

/// What a thread has heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Everything that happened up to this moment has been told.
    until: Time,
    /// Waits in a row that told as much as one can, and when the first of them began.
    full: u32,
    since: Time,
}

impl Heard {
    /// Takes note of a wait that began at `asked` and told of `count` things, when it tells of `most` at
    /// a time and there are `sources` that it can tell of.
    pub(crate) fn told(&mut self, asked: Time, count: usize, most: usize, sources: u32) {
        if count < most {
            (self.until, self.full) = (asked, 0);
            return;
        }
        if self.full == 0 {
            self.since = asked;
        }
        self.full += 1;
        // Each source stands in the system's list once, and behind those that came before: after so
        // many, it has told all that the first wait could have. So a load without end does not put
        // deadlines off for ever.
        if u64::from(self.full) * most as u64 > u64::from(sources) {
            (self.until, self.full) = (self.since, 0);
        }
    }

    /// Returns the moment up to which deadlines may act.
    pub(crate) fn until(&self) -> Time {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Time {
        Time::from_micros(micros)
    }

    #[test]
    fn a_wait_that_tells_less_than_it_can_has_told_all_up_to_its_beginning() {
        let mut heard = Heard::default();
        heard.told(at(5), 0, 4, 100);
        assert_eq!(heard.until(), at(5));
        heard.told(at(9), 3, 4, 100);
        assert_eq!(heard.until(), at(9));
    }

    #[test]
    fn after_full_waits_for_all_sources_what_came_before_the_first_has_been_told() {
        let mut heard = Heard::default();
        heard.told(at(1), 0, 4, 8);
        for (asked, until) in [(10, 1), (11, 1), (12, 10), (13, 10), (14, 10), (15, 13)] {
            heard.told(at(asked), 4, 4, 8);
            assert_eq!(heard.until(), at(until), "{asked}");
        }
        heard.told(at(16), 1, 4, 8);
        assert_eq!(heard.until(), at(16));
    }
}
