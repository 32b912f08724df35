//! The incoming row that stays for each key, in bounded memory.
//!
//! A key is known by 128 bits: two 64-bit SipHashes of its exact encoding, under random keys of
//! this process. Two of a billion keys meet with a probability below 10^-20, and nobody outside
//! can choose keys that do.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use crate::keys::is_null_cursor;

/// Bytes that one incoming key may take here.
pub(super) const KEY_BYTES: u64 = 100;

/// Bytes that one incoming key may take with the positions of the table that it meets.
pub(super) const MEETING_KEY_BYTES: u64 = 200;

/// A strong enough hash of encoded keys and rows.
#[derive(Clone, Debug, Default)]
pub(super) struct WideHash {
    low: RandomState,
    high: RandomState,
}

impl WideHash {
    /// Returns the hash of some bytes.
    pub(super) fn of(&self, bytes: &[u8]) -> u128 {
        (u128::from(self.high.hash_one(bytes)) << 64) | u128::from(self.low.hash_one(bytes))
    }
}

/// Takes what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = u64::try_from(value & u128::from(u64::MAX)).unwrap_or_default();
    }
}

/// A map by [`WideHash`].
pub(super) type WideMap<V> = HashMap<u128, V, BuildHasherDefault<Taken>>;

/// Bytes of a cursor, most of them without an allocation.
#[derive(Clone, Debug)]
enum CursorBytes {
    Short([u8; 22], u8),
    Long(Box<[u8]>),
}

impl CursorBytes {
    fn new(bytes: &[u8]) -> Self {
        let mut short = [0; 22];
        match (short.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(bytes);
                Self::Short(short, length)
            }
            _ => Self::Long(bytes.into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(bytes, length) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

/// Where an incoming row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) part: usize,
    pub(super) row: u64,
}

/// The incoming row that stays for one key.
#[derive(Clone, Debug)]
pub(super) struct Winner {
    cursor: CursorBytes,
    /// Where it is.
    pub(super) place: Place,
    /// Whether it loses against the table.
    pub(super) superseded: bool,
}

impl Winner {
    /// Returns whether it has no cursor.
    pub(super) fn is_without_cursor(&self) -> bool {
        is_null_cursor(self.cursor.bytes())
    }

    /// Compares its cursor with another row's.
    pub(super) fn compare(&self, cursor: &[u8]) -> std::cmp::Ordering {
        self.cursor.bytes().cmp(cursor)
    }
}

/// The incoming row that stays for each key.
#[derive(Debug, Default)]
pub(super) struct Winners {
    map: WideMap<Winner>,
}

impl Winners {
    /// Offers the next incoming row in order, and returns the row that now loses, if any.
    pub(super) fn offer(&mut self, key: u128, cursor: &[u8], place: Place) -> Option<Place> {
        let row = || Winner { cursor: CursorBytes::new(cursor), place, superseded: false };
        match self.map.entry(key) {
            Entry::Vacant(slot) => {
                slot.insert(row());
                None
            }
            Entry::Occupied(mut slot) => {
                if slot.get().compare(cursor).is_gt() {
                    return Some(place);
                }
                Some(slot.insert(row()).place)
            }
        }
    }

    /// Returns the row that stays for a key.
    pub(super) fn get(&self, key: u128) -> Option<&Winner> {
        self.map.get(&key)
    }

    /// Returns the row that stays for a key.
    pub(super) fn get_mut(&mut self, key: u128) -> Option<&mut Winner> {
        self.map.get_mut(&key)
    }

    /// Returns all rows that stay.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, &Winner)> {
        self.map.iter().map(|(key, winner)| (*key, winner))
    }
}

/// Tells apart keys that certainly come once from those that may come again.
///
/// With it, the usual batch without doubles needs the map for a few keys only, whatever its size.
/// Each key marks two slots; a key that comes twice finds both marked twice. A slot has two bits.
#[derive(Debug)]
pub(super) struct Suspects {
    once: Vec<u64>,
    again: Vec<u64>,
    noted: u64,
    repeated: u64,
}

impl Suspects {
    /// Makes slots of about `bytes` in all.
    pub(super) fn new(bytes: u64) -> Self {
        let words = usize::try_from(bytes / 16).unwrap_or(1).max(1);
        Self { once: vec![0; words], again: vec![0; words], noted: 0, repeated: 0 }
    }

    /// Notes a key.
    pub(super) fn note(&mut self, key: u128) {
        let mut repeats = true;
        for (word, bit) in self.slots(key) {
            if let (Some(once), Some(again)) = (self.once.get_mut(word), self.again.get_mut(word)) {
                repeats &= *once & bit != 0;
                *again |= *once & bit;
                *once |= bit;
            }
        }
        self.noted += 1;
        self.repeated += u64::from(repeats);
    }

    /// Returns whether the key may have been noted more than once.
    pub(super) fn may_repeat(&self, key: u128) -> bool {
        let marked =
            |(word, bit): (usize, u64)| self.again.get(word).is_some_and(|again| again & bit != 0);
        self.slots(key).into_iter().all(marked)
    }

    /// Returns about how many of the noted keys are suspects.
    pub(super) fn estimate(&self) -> u64 {
        // A key that comes m times was seen again m-1 times. Of the others, as many are suspects
        // by chance as both slots happen to be marked twice.
        let marked: u64 = self.again.iter().map(|word| u64::from(word.count_ones())).sum();
        let slots = self.again.len() as u64 * 64;
        let by_chance = u128::from(self.noted) * u128::from(marked) * u128::from(marked)
            / (u128::from(slots) * u128::from(slots));
        let by_chance = u64::try_from(by_chance).unwrap_or(u64::MAX);
        self.repeated.saturating_mul(2).saturating_add(by_chance)
    }

    /// Returns the two slots of a key, from the half of its hash that the map does not go by.
    fn slots(&self, key: u128) -> [(usize, u64); 2] {
        let slots = self.once.len() as u64 * 64;
        let half = u64::try_from(key >> 64).unwrap_or_default();
        // Multiplying by an odd constant and turning makes other low bits of the same half.
        let other = half.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
        [half % slots, other % slots]
            .map(|slot| (usize::try_from(slot / 64).unwrap_or_default(), 1 << (slot % 64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_cursor_stays_and_of_equal_ones_the_later_row() {
        let mut winners = Winners::default();
        let at = |row| Place { part: 0, row };
        let long = |tail: u8| [vec![7; 40], vec![tail]].concat();
        assert_eq!(winners.offer(1, &long(2), at(0)), None);
        assert_eq!(winners.offer(1, &long(1), at(1)), Some(at(1)));
        assert_eq!(winners.offer(1, &long(2), at(2)), Some(at(0)));
        assert_eq!(winners.offer(1, &long(3), at(3)), Some(at(2)));
        assert_eq!(winners.offer(2, &[0], at(4)), None);
        assert_eq!(winners.get(1).map(|winner| winner.place), Some(at(3)));
    }

    #[test]
    fn a_key_that_comes_twice_is_always_a_suspect() {
        let hash = WideHash::default();
        let mut suspects = Suspects::new(4096);
        let keys: Vec<u128> = (0..1000_u64).map(|key| hash.of(&key.to_be_bytes())).collect();
        for key in keys.iter().chain(keys.iter().step_by(10)) {
            suspects.note(*key);
        }
        assert!((200..400).contains(&suspects.estimate()), "{}", suspects.estimate());
        assert!(keys.iter().step_by(10).all(|key| suspects.may_repeat(*key)));
        assert!(keys.iter().any(|key| !suspects.may_repeat(*key)));
    }
}
