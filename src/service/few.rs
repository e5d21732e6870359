//! A set of the few things that one session has: names, rooms.

/// Looked through one by one. A tree's first entry takes a node of eleven, and nearly every session has one.
#[derive(Debug)]
pub struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq> Few<T> {
    pub fn insert(&mut self, item: T) {
        if !self.contains(&item) {
            // No room for more than there is: one more is rare.
            self.0.reserve_exact(1);
            self.0.push(item);
        }
    }

    pub fn remove(&mut self, item: &T) {
        self.0.retain(|other| other != item);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    pub fn contains(&self, item: &T) -> bool {
        self.0.contains(item)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

impl<T: PartialEq> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut few = Self::default();
        items.into_iter().for_each(|item| few.insert(item));
        few
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_there_once_and_nothing_is_held_for_none() {
        let mut few = Few::default();
        for item in [1, 2, 1] {
            few.insert(item);
        }
        assert_eq!((few.iter().collect::<Vec<_>>(), few.0.capacity()), (vec![&1, &2], 2));
        few.remove(&2);
        few.remove(&3);
        assert!(few.contains(&1) && !few.contains(&2));
        few.remove(&1);
        assert_eq!(few.0.capacity(), 0);
    }
}
