//! A queue that serves users in turn, however much one of them has waiting (docs/design.md, section 6).

use std::collections::{HashMap, VecDeque};

use crate::domain::ids::UserId;

/// First come, first served within a user; round robin over the users.
pub struct FairQueue<T> {
    turns: VecDeque<UserId>,
    waiting: HashMap<UserId, VecDeque<T>>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        FairQueue { turns: VecDeque::new(), waiting: HashMap::new() }
    }
}

impl<T> FairQueue<T> {
    pub fn push(&mut self, user: &UserId, item: T) {
        let line = self.waiting.entry(user.clone()).or_default();
        if line.is_empty() {
            self.turns.push_back(user.clone());
        }
        line.push_back(item);
    }

    pub fn pop(&mut self) -> Option<T> {
        let user = self.turns.pop_front()?;
        let line = self.waiting.get_mut(&user)?;
        let item = line.pop_front();
        if line.is_empty() {
            self.waiting.remove(&user);
        } else {
            self.turns.push_back(user);
        }
        item
    }
}

/// Brings items into the order in which such a queue would serve them.
pub fn in_turns<T>(items: impl IntoIterator<Item = T>, user: impl Fn(&T) -> UserId) -> Vec<T> {
    let mut queue = FairQueue::default();
    for item in items {
        queue.push(&user(&item), item);
    }
    std::iter::from_fn(|| queue.pop()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_take_turns() {
        let items = ["a1", "a2", "a3", "b1", "c1", "c2"];
        assert_eq!(in_turns(items, |i| i[..1].into()), ["a1", "b1", "c1", "a2", "c2", "a3"]);
    }

    #[test]
    fn one_who_comes_late_is_served_in_the_next_round() {
        let mut queue = FairQueue::default();
        for n in 0..1_000 {
            queue.push(&"many".into(), n);
        }
        assert_eq!(queue.pop(), Some(0));
        queue.push(&"one".into(), -1);
        assert_eq!([queue.pop(), queue.pop(), queue.pop()], [Some(1), Some(-1), Some(2)]);
    }
}
