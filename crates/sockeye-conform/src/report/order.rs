//! The order of case ids: `1.2.10` comes after `1.2.9`, and Autobahn's numbers before our groups.

/// A part of an id; numbers come before words.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Word(String),
}

/// Returns the key to sort a case's id by.
pub(super) fn id_order(id: &str) -> impl Ord + use<> {
    let parts = id.split(['.', '-']).map(|part| match part.parse() {
        Ok(number) => Part::Number(number),
        Err(_) => Part::Word(part.to_owned()),
    });
    // The id itself tells `1.01` from `1.1`.
    (parts.collect::<Vec<_>>(), id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_by_number_and_autobahns_come_first() {
        let mut ids = ["FRM-012.10", "9.1.1", "CLS-001", "10.1.1", "FRM-012.2", "1.1.10", "1.1.2"];
        ids.sort_by_cached_key(|id| id_order(id));
        assert_eq!(
            ids,
            ["1.1.2", "1.1.10", "9.1.1", "10.1.1", "CLS-001", "FRM-012.2", "FRM-012.10"]
        );
    }
}
