//! A thread's connections: each at a place that it keeps, found by number.
//!
//! Grows by blocks, so that no connection is ever copied and memory is taken as it is needed. A key
//! holds the number of the place's tenant as well, so that a key of one that has left finds nobody.

/// Where something is kept, and which of the place's tenants it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) index: u32,
    tenant: u32,
}

impl Key {
    /// Returns the key as one number.
    pub(crate) fn number(self) -> u64 {
        u64::from(self.tenant) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_number(number: u64) -> Self {
        let half = |shift: u32| u32::try_from(number >> shift & u64::from(u32::MAX)).unwrap_or(0);
        Self { index: half(0), tenant: half(32) }
    }
}

/// Values at places of their own.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    blocks: Vec<Vec<Place<T>>>,
    /// The first of the free places, which form a list.
    free: Option<u32>,
}

#[derive(Debug)]
struct Place<T> {
    /// How many values have been here.
    tenant: u32,
    content: Content<T>,
}

#[derive(Debug)]
enum Content<T> {
    Value(T),
    /// Nothing; the next free place.
    Free(Option<u32>),
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { blocks: Vec::new(), free: None }
    }

    /// Puts a value at a free place. `None` where there are as many as can be numbered.
    #[cfg(test)]
    pub(crate) fn insert(&mut self, value: T) -> Option<Key> {
        self.insert_with(|_| Some(value))
    }

    /// Puts the value that is made for a key there. `None` where there is none, or where there are as
    /// many as can be numbered.
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(Key) -> Option<T>) -> Option<Key> {
        if self.free.is_none() {
            self.grow()?;
        }
        let index = self.free?;
        let place = self.place_mut(index)?;
        let Content::Free(next) = place.content else { return None };
        place.tenant = place.tenant.wrapping_add(1);
        let key = Key { index, tenant: place.tenant };
        place.content = Content::Value(make(key)?);
        self.free = next;
        Some(key)
    }

    /// Returns the key of whoever is at a place.
    pub(crate) fn key(&self, index: u32) -> Option<Key> {
        let (block, at) = (index >> BLOCK_BITS, index & (BLOCK - 1));
        let place = self.blocks.get(block as usize)?.get(at as usize)?;
        Some(Key { index, tenant: place.tenant })
    }

    /// Returns the value at a place, whoever it is.
    pub(crate) fn at(&mut self, index: u32) -> Option<&mut T> {
        match &mut self.place_mut(index)?.content {
            Content::Value(value) => Some(value),
            Content::Free(_) => None,
        }
    }

    /// Returns a value, if it is still there.
    pub(crate) fn get(&mut self, key: Key) -> Option<&mut T> {
        match self.place_mut(key.index)? {
            Place { tenant, content: Content::Value(value) } if *tenant == key.tenant => {
                Some(value)
            }
            _ => None,
        }
    }

    /// Takes the value at a place out.
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let free = self.free;
        let place = self.place_mut(index)?;
        if matches!(place.content, Content::Free(_)) {
            return None;
        }
        let content = std::mem::replace(&mut place.content, Content::Free(free));
        self.free = Some(index);
        match content {
            Content::Value(value) => Some(value),
            Content::Free(_) => None,
        }
    }

    /// Returns the number that every place is below.
    pub(crate) fn bound(&self) -> u32 {
        u32::try_from(self.blocks.len() << BLOCK_BITS).unwrap_or(u32::MAX)
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut Place<T>> {
        let (block, at) = (index >> BLOCK_BITS, index & (BLOCK - 1));
        self.blocks.get_mut(block as usize)?.get_mut(at as usize)
    }

    /// Adds a block of free places.
    fn grow(&mut self) -> Option<()> {
        let first = self.bound();
        let end = first.checked_add(BLOCK)?;
        let next = |index: u32| (index + 1 < end).then_some(index + 1);
        let places =
            (first..end).map(|index| Place { tenant: 0, content: Content::Free(next(index)) });
        self.blocks.push(places.collect());
        self.free = Some(first);
        Some(())
    }
}

/// Places per block, a power of two: enough that a block is a few pages, few enough that a small
/// server stays small.
const BLOCK: u32 = 1 << BLOCK_BITS;
const BLOCK_BITS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_where_they_are_and_places_are_used_again() {
        let mut slab = Slab::new();
        let keys: Vec<_> = (0..200).map(|value| slab.insert(value).unwrap()).collect();
        for (value, key) in keys.iter().enumerate() {
            assert_eq!(slab.get(*key).copied(), Some(value));
        }
        assert_eq!(slab.remove(keys[7].index), Some(7));
        assert_eq!(slab.remove(keys[7].index), None);
        let again = slab.insert(1000).unwrap();
        assert_eq!(again.index, keys[7].index);
        assert_eq!(slab.get(keys[7]), None, "the key of one that has left");
        assert_eq!(slab.get(again), Some(&mut 1000));
        assert_eq!(slab.key(again.index), Some(again));
        assert_eq!(Key::from_number(again.number()), again);
        assert_eq!(slab.at(again.index), Some(&mut 1000));
    }

    #[test]
    fn what_was_never_there_is_not_found() {
        let mut slab = Slab::<u8>::new();
        assert_eq!(slab.at(0), None);
        assert_eq!(slab.remove(3), None);
        assert_eq!(slab.bound(), 0);
    }
}
