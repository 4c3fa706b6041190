//! Where a simulation's choices come from: a seed, a fuzzer's bytes, or nowhere.

/// A source of choices. One that has ended, or is calm, makes the plainest choice each time: the
/// first, and no fault.
#[derive(Debug)]
pub(super) struct Script {
    source: Source,
    calm: bool,
}

#[derive(Debug)]
enum Source {
    /// A generator's state, and how many steps it still makes.
    Seed { state: u64, steps: u32 },
    /// What a fuzzer gave, and how much of it is used.
    Bytes { bytes: Vec<u8>, at: usize },
    #[cfg(test)]
    Nothing,
}

impl Script {
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut script = Self { source: Source::Seed { state: seed, steps: 0 }, calm: false };
        let count = 20 + script.below(200);
        if let Source::Seed { steps, .. } = &mut script.source {
            *steps = u32::try_from(count).unwrap_or(0);
        }
        script
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self { source: Source::Bytes { bytes: bytes.to_vec(), at: 0 }, calm: false }
    }

    /// A script of nothing: what happens is told from outside.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { source: Source::Nothing, calm: true }
    }

    /// From now on nothing surprising happens.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
    }

    /// Takes note of a step; tells whether there was one to be made.
    pub(super) fn step(&mut self) -> bool {
        match &mut self.source {
            Source::Seed { steps, .. } => {
                let is_left = *steps > 0;
                *steps = steps.saturating_sub(1);
                is_left
            }
            Source::Bytes { bytes, at } => *at < bytes.len(),
            #[cfg(test)]
            Source::Nothing => false,
        }
    }

    /// Chooses a number below `bound`, or 0 below 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        if self.calm || bound == 0 {
            return 0;
        }
        let wide = if bound > 256 { self.byte() << 8 } else { 0 };
        (wide | self.byte()) % bound
    }

    /// Says yes so many times in 256.
    pub(super) fn odds(&mut self, of_256: usize) -> bool {
        !self.calm && of_256 > 0 && self.byte() + of_256 >= 256
    }

    /// Chooses one of some.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(self.below(choices.len())).copied()
    }

    fn byte(&mut self) -> usize {
        let byte = match &mut self.source {
            Source::Seed { state, .. } => next(state),
            Source::Bytes { bytes, at } => {
                let byte = bytes.get(*at).copied().unwrap_or(0);
                *at += 1;
                byte
            }
            #[cfg(test)]
            Source::Nothing => 0,
        };
        byte.into()
    }
}

/// Makes the next byte of a generator (splitmix64).
fn next(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed.to_le_bytes().last().copied().unwrap_or(0)
}
