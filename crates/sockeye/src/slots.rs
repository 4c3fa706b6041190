//! Places that are kept until they are given up, and used again then.

/// A list of which each member keeps its place.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Adds a member; returns its place.
    pub(crate) fn add(&mut self, member: T) -> usize {
        let place = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(place) {
            Some(free) => *free = Some(member),
            None => self.places.push(Some(member)),
        }
        place
    }

    /// Takes a member out of its place.
    pub(crate) fn remove(&mut self, place: usize) -> Option<T> {
        let member = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        if self.is_empty() {
            *self = Self::default();
        }
        Some(member)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_and_used_again() {
        let mut slots = Slots::default();
        let [a, b] = ["a", "b"].map(|name| slots.add(name));
        assert_eq!(slots.remove(a), Some("a"));
        assert_eq!(slots.remove(a), None);
        assert_eq!((slots.add("c"), slots.add("d")), (a, b + 1));
        assert_eq!(slots.iter().copied().collect::<Vec<_>>(), ["c", "b", "d"]);
        assert_eq!([a, b, b + 1].map(|place| slots.remove(place).is_some()), [true; 3]);
        assert!(slots.is_empty() && slots.iter().next().is_none());
    }
}
