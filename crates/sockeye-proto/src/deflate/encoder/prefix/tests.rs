use super::*;

/// Builds the code and checks that it is complete, within the limit, and costs what it says.
fn check<const N: usize>(frequencies: &[u16; N], limit: usize) -> Prefix<N> {
    let mut prefix = Prefix::new();
    // What stood there before does not matter.
    prefix.build(&[1; N], limit);
    prefix.build(frequencies, limit);
    let used = prefix.lengths.iter().filter(|&&length| length > 0);
    assert!(used.clone().all(|&length| usize::from(length) <= limit));
    let space: usize = used.map(|&length| 1 << (limit - usize::from(length))).sum();
    assert_eq!(space, 1 << limit, "complete");
    let costs = frequencies.iter().zip(&prefix.lengths);
    let cost: usize = costs.map(|(&n, &length)| usize::from(n) * usize::from(length)).sum();
    assert_eq!(prefix.cost(), cost);
    let without = |(&n, &length): (&u16, &u8)| n > 0 && length == 0;
    assert!(!frequencies.iter().zip(&prefix.lengths).any(without), "every symbol has a code");
    check_codes(&prefix);
    prefix
}

/// Checks that no code starts another one.
fn check_codes<const N: usize>(prefix: &Prefix<N>) {
    let codes: Vec<_> = (0..N)
        .filter(|&symbol| prefix.length(symbol) > 0)
        .map(|symbol| prefix.code(symbol))
        .collect();
    for (at, &(code, bits)) in codes.iter().enumerate() {
        assert!(codes.iter().skip(at + 1).all(|&(other, others)| {
            let common = (1 << bits.min(others)) - 1;
            code & common != other & common
        }));
    }
}

/// Returns the least that a code of any length costs.
fn least_cost(frequencies: &[u16]) -> usize {
    let mut weights: Vec<usize> =
        frequencies.iter().filter(|&&n| n > 0).map(|&n| n.into()).collect();
    let mut cost = 0;
    while weights.len() > 1 {
        weights.sort_unstable_by(|a, b| b.cmp(a));
        let joined = weights.pop().unwrap() + weights.pop().unwrap();
        cost += joined;
        weights.push(joined);
    }
    cost
}

#[test]
fn weights_of_fibonacci_stay_within_the_limit_and_cost_little_more() {
    let mut fibonacci = [0u16; 288];
    let (mut one, mut other) = (1, 1);
    for weight in fibonacci.iter_mut().take(23) {
        *weight = one;
        (one, other) = (other, one.saturating_add(other));
    }
    let prefix = check(&fibonacci, 15);
    let least = least_cost(&fibonacci);
    assert!(prefix.lengths.contains(&15), "the limit is felt");
    assert!(prefix.cost() >= least && prefix.cost() <= least + least / 100);
    let mut short = [0; 19];
    short.copy_from_slice(&fibonacci[..19]);
    let prefix = check(&short, 7);
    let least = least_cost(&short);
    assert!(prefix.cost() >= least && prefix.cost() <= least + least / 4);
}

#[test]
fn within_the_limit_no_code_costs_less() {
    let mut state = 1u32;
    for spread in 0..200u32 {
        let frequencies: [u16; 288] = core::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = (state >> 16) as u16 % 14;
            if (state >> 8) % 200 < spread { value } else { 0 }
        });
        let prefix = check(&frequencies, 15);
        if frequencies.iter().filter(|&&n| n > 0).count() > 1 {
            assert_eq!(prefix.cost(), least_cost(&frequencies));
        }
    }
    check(&[u16::MAX / 288; 288], 15);
    check(&[1; 19], 7);
    check(&[1; 32], 15);
}

#[test]
fn one_symbol_or_none_still_makes_a_complete_code() {
    assert_eq!(check(&[0; 32], 15).used_lengths(1), [1, 1]);
    for only in 0..32 {
        let mut frequencies = [0; 32];
        frequencies[only] = 7;
        let prefix = check(&frequencies, 15);
        assert_eq!((prefix.cost(), prefix.length(only)), (7, 1));
    }
}
