//! A hierarchical timer wheel: deadlines of a million connections, each set, moved and cancelled in
//! constant time.
//!
//! Every connection has one timer, named by its number. Time is counted in ticks; a timer never
//! fires early and at most a tick late, except that one further off than the wheel reaches fires at
//! its rim, and is set again by its owner.

use sockeye_proto::Time;

/// A wheel of levels, each with slots that hold lists of timers.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// The tick up to which all timers have fired.
    now: u64,
    /// The first timer of each slot, level by level.
    slots: Vec<u32>,
    /// A bit for each slot that is not empty, a word for each level.
    occupied: [u64; LEVELS],
    timers: Vec<Timer>,
    /// Lists gone to, and moments looked at: what all that was asked has cost.
    #[cfg(test)]
    steps: u64,
}

/// A timer: a member of its slot's list.
#[derive(Clone, Copy, Debug)]
struct Timer {
    tick: u32,
    previous: u32,
    next: u32,
    /// The slot, or [`NONE`] while it is not set.
    slot: u16,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            slots: vec![NOBODY; LEVELS * SLOTS],
            occupied: [0; LEVELS],
            timers: Vec::new(),
            #[cfg(test)]
            steps: 0,
        }
    }

    /// Counts a step, for the test that bounds them.
    fn step(&mut self) {
        #[cfg(test)]
        {
            self.steps += 1;
        }
    }

    /// Sets the timer of a connection, or moves it.
    pub(crate) fn set(&mut self, index: u32, due: Time) {
        self.cancel(index);
        let place = index as usize;
        if self.timers.len() <= place {
            self.timers.resize(place + 1, Timer::UNSET);
        }
        // The tick that begins at the moment or after it: never early.
        let tick = due.as_micros().div_ceil(TICK_MICROS).clamp(self.now + 1, self.now + REACH);
        self.insert(index, tick);
    }

    /// Stops the timer of a connection.
    pub(crate) fn cancel(&mut self, index: u32) {
        self.step();
        let Some(timer) = self.timers.get_mut(index as usize) else { return };
        if timer.slot == NONE {
            return;
        }
        let Timer { previous, next, slot, .. } = std::mem::replace(timer, Timer::UNSET);
        if let Some(next) = self.timers.get_mut(next as usize) {
            next.previous = previous;
        }
        if let Some(previous) = self.timers.get_mut(previous as usize) {
            previous.next = next;
            return;
        }
        let slot = usize::from(slot);
        if let Some(first) = self.slots.get_mut(slot) {
            *first = next;
            if next == NOBODY {
                self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
            }
        }
    }

    /// Returns when the timer of a connection fires, at the earliest.
    pub(crate) fn due(&self, index: u32) -> Option<Time> {
        let timer = self.timers.get(index as usize)?;
        let tick = self.unwrap_tick(timer.tick);
        (timer.slot != NONE).then(|| Time::from_micros(tick * TICK_MICROS))
    }

    /// Returns the next moment at which something may have to be done; `None` if no timer is set.
    pub(crate) fn next(&self) -> Option<Time> {
        let tick = (0..LEVELS).filter_map(|level| self.next_of(level)).min()?;
        Some(Time::from_micros(tick * TICK_MICROS))
    }

    /// Lets time pass; calls `fire` with the number of each timer that is due by then.
    pub(crate) fn advance(&mut self, now: Time, mut fire: impl FnMut(u32)) {
        let target = now.as_micros() / TICK_MICROS;
        while self.now < target {
            self.step();
            // Ticks in which nothing happens are passed over at once.
            let next = (0..LEVELS).filter_map(|level| self.next_of(level)).min();
            self.now = next.unwrap_or(target).min(target);
            if next.is_none_or(|next| next > self.now) {
                return;
            }
            for level in (0..LEVELS).rev() {
                if self.next_of_is_now(level) {
                    self.empty(level, &mut fire);
                }
            }
        }
    }

    /// Takes the timers of a level's current slot out: those due fire, the others move inwards.
    fn empty(&mut self, level: usize, fire: &mut impl FnMut(u32)) {
        let slot = level * SLOTS + Self::position(self.now, level);
        while let Some(index) = self.slots.get(slot).copied().filter(|first| *first != NOBODY) {
            let tick = self.timers.get(index as usize).map_or(0, |timer| timer.tick);
            let tick = self.unwrap_tick(tick);
            self.cancel(index);
            if tick <= self.now { fire(index) } else { self.insert(index, tick) }
        }
    }

    fn insert(&mut self, index: u32, tick: u64) {
        self.step();
        let distance = tick.saturating_sub(self.now);
        let level =
            (0..LEVELS).find(|level| distance < Self::span(level + 1)).unwrap_or(LEVELS - 1);
        let position = Self::position(tick, level);
        let slot = level * SLOTS + position;
        let Some(first) = self.slots.get_mut(slot) else { return };
        let next = std::mem::replace(first, index);
        if let Some(next) = self.timers.get_mut(next as usize) {
            next.previous = index;
        }
        if let Some(timer) = self.timers.get_mut(index as usize) {
            let slot = u16::try_from(slot).unwrap_or(NONE);
            *timer = Timer { tick: wrap_tick(tick), previous: NOBODY, next, slot };
        }
        self.occupied[level] |= 1 << position;
    }

    /// Returns the tick at which a level's next slot that is not empty begins.
    fn next_of(&self, level: usize) -> Option<u64> {
        let span = Self::span(level);
        let current = Self::position(self.now, level);
        // Bit 0 is the slot of now. What it holds is due in a whole turn, but on the innermost
        // level and where it begins at this very tick.
        let ahead = self.occupied[level].rotate_right(u32::try_from(current).unwrap_or(0));
        let later = ahead & !1;
        let slots = match (ahead, later) {
            (0, _) => return None,
            (_, 0) => SLOTS as u64,
            (_, later) => u64::from(later.trailing_zeros()),
        };
        Some((self.now / span + slots) * span)
    }

    /// Whether the slot of now, on this level, begins now and holds something.
    fn next_of_is_now(&self, level: usize) -> bool {
        let begins = self.now.is_multiple_of(Self::span(level));
        begins && self.occupied[level] >> Self::position(self.now, level) & 1 == 1
    }

    /// Returns how many ticks a slot of this level covers.
    fn span(level: usize) -> u64 {
        1 << (SLOT_BITS * level)
    }

    fn position(tick: u64, level: usize) -> usize {
        (tick >> (SLOT_BITS * level)) as usize % SLOTS
    }

    /// Returns the whole of a tick of which its lower half is kept: the one that is near now.
    fn unwrap_tick(&self, tick: u32) -> u64 {
        let ahead = tick.wrapping_sub(wrap_tick(self.now));
        // What lies behind now has wrapped round; it is at most a slot of the outermost level old.
        match i32::try_from(ahead) {
            Ok(_) => self.now + u64::from(ahead),
            Err(_) => self.now.saturating_sub(u64::from(ahead.wrapping_neg())),
        }
    }
}

impl Timer {
    const UNSET: Self = Self { tick: 0, previous: NOBODY, next: NOBODY, slot: NONE };
}

/// Keeps the lower half of a tick: timers reach less far than it counts.
fn wrap_tick(tick: u64) -> u32 {
    (tick & u64::from(u32::MAX)) as u32
}

/// How fine the wheel counts: deadlines are seconds, and a timer that fires wakes a thread.
const TICK_MICROS: u64 = 32_000;

const SLOT_BITS: usize = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Three levels reach 32 ms × 64³, which is over two hours.
const LEVELS: usize = 3;
/// The furthest that a timer is set ahead, in ticks.
const REACH: u64 = (SLOTS * SLOTS * (SLOTS - 1)) as u64;

const NOBODY: u32 = u32::MAX;
const NONE: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ticks: u64) -> Time {
        Time::from_micros(ticks * TICK_MICROS)
    }

    fn fired(wheel: &mut Wheel, now: Time) -> Vec<u32> {
        let mut fired = Vec::new();
        wheel.advance(now, |index| fired.push(index));
        fired.sort_unstable();
        fired
    }

    #[test]
    fn a_timer_fires_at_its_tick_and_not_before() {
        for ticks in [1, 2, 63, 64, 65, 4095, 4096, 5000, 100_000, REACH] {
            let mut wheel = Wheel::new();
            wheel.set(3, at(ticks));
            assert_eq!(fired(&mut wheel, at(ticks - 1)), [], "{ticks}");
            assert_eq!(wheel.due(3), Some(at(ticks)));
            assert_eq!(fired(&mut wheel, at(ticks)), [3], "{ticks}");
            assert_eq!(wheel.due(3), None);
            assert_eq!(wheel.next(), None);
        }
    }

    #[test]
    fn a_timer_that_is_moved_or_stopped_does_not_fire_before() {
        let mut wheel = Wheel::new();
        (0..10).for_each(|index| wheel.set(index, at(100)));
        wheel.set(4, at(200));
        wheel.cancel(0);
        wheel.cancel(9);
        assert_eq!(fired(&mut wheel, at(100)), [1, 2, 3, 5, 6, 7, 8]);
        assert_eq!(fired(&mut wheel, at(200)), [4]);
    }

    #[test]
    fn what_is_overdue_fires_with_the_next_tick() {
        let mut wheel = Wheel::new();
        assert_eq!(fired(&mut wheel, at(1000)), []);
        wheel.set(1, at(10));
        assert_eq!(fired(&mut wheel, at(1001)), [1]);
    }

    // LIM-018
    #[test]
    fn a_million_timers_cost_the_same_each_and_fire_within_a_second() {
        let seconds = |seconds: u64| Time::from_micros(seconds * 1_000_000);
        let (mut wheel, mut spent) = (Wheel::new(), 0);
        let mut due = vec![seconds(0); 1_000_000];
        // Pings, an idle limit, an hour's lifetime, and closing.
        for (index, due) in (0..).zip(&mut due) {
            *due = seconds([25, 300, 3_600, 5][index as usize % 4] + u64::from(index) / 50_000);
            wheel.set(index, *due);
            let cost = std::mem::replace(&mut spent, wheel.steps);
            assert!(wheel.steps - cost <= 2, "setting {index}");
        }
        for index in (0..1_000_000).step_by(3) {
            wheel.cancel(index);
            due[index as usize] = seconds(0);
            let cost = std::mem::replace(&mut spent, wheel.steps);
            assert!(wheel.steps - cost == 1, "cancelling {index}");
        }
        let mut left = due.iter().filter(|due| **due > seconds(0)).count();
        let ticks = 40 * 4_000;
        for tick in 0..ticks {
            let now = Time::from_micros(tick * 25_000);
            wheel.advance(now, |index| {
                let due = std::mem::take(&mut due[index as usize]);
                assert!(due <= now && now - due < std::time::Duration::from_secs(1), "{index}");
                left -= 1;
            });
        }
        assert_eq!((left, wheel.next()), (0, None));
        // Each moved inwards level by level, at most; out of a list and into the next.
        let most = 666_666 * 2 * LEVELS as u64 + ticks;
        assert!(wheel.steps - spent <= most, "{} steps", wheel.steps - spent);
    }

    proptest! {
        /// The wheel against a plain list of deadlines.
        #[test]
        fn timers_fire_as_a_list_of_deadlines_says(
            steps in prop::collection::vec((0_u32..50, 0_u64..20_000, 0_u64..3_000, any::<bool>()), 1..200)
        ) {
            let mut wheel = Wheel::new();
            let mut deadlines = std::collections::BTreeMap::new();
            let mut now = 0;
            for (index, ahead, step, stop) in steps {
                if stop {
                    wheel.cancel(index);
                    deadlines.remove(&index);
                } else {
                    wheel.set(index, at(now + ahead));
                    deadlines.insert(index, (now + ahead).max(now + 1));
                }
                let next = deadlines.values().min().copied();
                prop_assert_eq!(wheel.next().is_some(), next.is_some());
                if let (Some(promised), Some(next)) = (wheel.next(), next) {
                    prop_assert!(promised <= at(next), "it must wake no later than the first timer");
                    prop_assert!(promised > at(now));
                }
                now += step;
                let due: Vec<_> = deadlines.iter().filter(|(_, due)| **due <= now).map(|(index, _)| *index).collect();
                deadlines.retain(|_, due| *due > now);
                prop_assert_eq!(fired(&mut wheel, at(now)), due);
            }
        }
    }
}
