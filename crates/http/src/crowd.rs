//! How many of one kind are inside at once: connections of an address, requests of a caller.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts, bounded per key.
#[derive(Debug)]
pub(crate) struct Crowd<K: Hash + Eq> {
    inside: Arc<Mutex<HashMap<K, usize>>>,
    most: usize,
}

impl<K: Hash + Eq> Clone for Crowd<K> {
    fn clone(&self) -> Self {
        Self { inside: Arc::clone(&self.inside), most: self.most }
    }
}

/// A place inside, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat<K: Hash + Eq + Clone> {
    crowd: Crowd<K>,
    key: K,
}

impl<K: Hash + Eq + Clone> Crowd<K> {
    /// At most `most` per key.
    pub(crate) fn new(most: usize) -> Self {
        Self { inside: Arc::default(), most: most.max(1) }
    }

    /// A place, unless as many as allowed are taken.
    pub(crate) fn enter(&self, key: K) -> Option<Seat<K>> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inside.entry(key.clone()).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Seat { crowd: self.clone(), key })
    }
}

impl<K: Hash + Eq + Clone> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut inside = self.crowd.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = inside.get_mut(&self.key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                inside.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_s_crowd_leaves_room_for_others_and_seats_come_back() {
        let crowd = Crowd::new(2);
        let seats = [crowd.enter("a"), crowd.enter("a")];
        assert!(seats.iter().all(Option::is_some) && crowd.enter("a").is_none() && crowd.enter("b").is_some());
        drop(seats);
        assert!(crowd.enter("a").is_some() && crowd.inside.lock().unwrap().is_empty());
    }
}
