//! Which due missions a tick looks at: a bounded number, each user's share of it, and the next ones the next time.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::domain::ids::UserId;
use crate::store::{Due, DueKey, Store, StoreResult};

/// Rows read at a time.
const PAGE: u32 = 2_000;

/// The bounds of one tick.
#[derive(Debug, Clone, Copy)]
struct ScanBounds {
    /// Due missions passed over or taken.
    seen: usize,
    taken: usize,
    /// Taken of one user in a round, so that nobody's missions stand before everybody else's.
    of_user: usize,
}

const BOUNDS: ScanBounds = ScanBounds { seen: 200_000, taken: 10_000, of_user: 1_000 };

/// Where the ticks of this process go on. A round has gone through all due missions once.
#[derive(Debug, Default)]
pub(super) struct Scan {
    after: Option<DueKey>,
    /// How many this round took of each user.
    of_users: HashMap<UserId, usize>,
    /// Where users go on who have more due missions than their share.
    users: HashMap<UserId, DueKey>,
    /// Those of them of whom this round took any.
    advanced: HashSet<UserId>,
}

impl Scan {
    /// The due missions of the next tick.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next(&mut self, store: &Store, now: Timestamp) -> StoreResult<Vec<Due>> {
        let mut tick = InTick::new(BOUNDS);
        loop {
            let page = store.due(now, self.after.clone(), PAGE).await?;
            let last = page.len() < PAGE as usize;
            if self.take(page, &mut tick) {
                return Ok(tick.due);
            }
            if last {
                self.end_round();
                return Ok(tick.due);
            }
        }
    }

    /// Whether the last tick came to the end of a round.
    pub fn is_at_start(&self) -> bool {
        self.after.is_none()
    }

    /// Whether a user has more due missions than a round takes, and the next one goes on with them.
    pub fn goes_on_with(&self, user: &UserId) -> bool {
        self.users.contains_key(user)
    }

    /// Goes through a page; `true` where a bound ended it.
    fn take(&mut self, page: Vec<Due>, tick: &mut InTick) -> bool {
        let last = page.last().map(Due::key);
        for due in page {
            tick.seen += 1;
            let key = due.key();
            if self.takes(&key, tick.bounds) {
                tick.due.push(due);
            }
            if tick.seen >= tick.bounds.seen || tick.due.len() >= tick.bounds.taken {
                self.after = Some(key);
                return true;
            }
        }
        self.after = last.or(self.after.take());
        false
    }

    fn takes(&mut self, key: &DueKey, bounds: ScanBounds) -> bool {
        let user = &key.user_id;
        let count = self.of_users.entry(user.clone()).or_default();
        let at = self.users.get(user);
        if *count >= bounds.of_user || at.is_some_and(|at| key <= at) {
            return false;
        }
        *count += 1;
        if at.is_some() || *count == bounds.of_user {
            self.users.insert(user.clone(), key.clone());
            self.advanced.insert(user.clone());
        }
        true
    }

    /// Begins anew, also for users of whom nothing was left.
    fn end_round(&mut self) {
        self.after = None;
        self.of_users.clear();
        let advanced = std::mem::take(&mut self.advanced);
        self.users.retain(|user, _| advanced.contains(user));
    }
}

/// What one tick has taken by now.
struct InTick {
    bounds: ScanBounds,
    seen: usize,
    due: Vec<Due>,
}

impl InTick {
    fn new(bounds: ScanBounds) -> Self {
        InTick { bounds, seen: 0, due: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Plans;

    /// Due missions, none of which ever runs, as `user:mission`, the longest waiting first.
    fn world(users: &[(&str, usize)]) -> Vec<Due> {
        let mut all = Vec::new();
        for (user, missions) in users {
            for n in 0..*missions {
                all.push(Due {
                    user_id: (*user).into(),
                    mission_id: format!("{n:03}").into(),
                    agent_id: None,
                    scheduled_for: Timestamp::UNIX_EPOCH,
                    plans: Plans::default(),
                });
            }
        }
        all.sort_by_key(Due::key);
        all
    }

    fn tick(scan: &mut Scan, world: &[Due], bounds: ScanBounds) -> Vec<String> {
        let mut tick = InTick::new(bounds);
        let rest = world.iter().filter(|due| scan.after.as_ref().is_none_or(|after| due.key() > *after)).cloned().collect();
        if !scan.take(rest, &mut tick) {
            scan.end_round();
        }
        tick.due.iter().map(|due| format!("{}{}", due.user_id, due.mission_id)).collect()
    }

    /// Each mission is looked at within so many ticks, and each tick keeps to its bounds.
    fn all_are_seen(users: &[(&str, usize)], bounds: ScanBounds, within: usize) {
        let (mut scan, world) = (Scan::default(), world(users));
        for _ in 0..3 {
            let mut seen = HashSet::new();
            for _ in 0..within {
                let taken = tick(&mut scan, &world, bounds);
                assert!(taken.len() <= bounds.taken, "{taken:?}");
                seen.extend(taken);
            }
            assert_eq!(seen.len(), world.len(), "{users:?} {bounds:?}");
        }
        assert!(scan.users.len() <= users.len() && scan.advanced.len() <= users.len());
    }

    #[test]
    fn missions_that_never_run_keep_no_other_from_being_looked_at() {
        let wide = ScanBounds { seen: 1_000, taken: 1_000, of_user: 10 };
        all_are_seen(&[("a", 9), ("b", 3)], wide, 1);
        all_are_seen(&[("a", 95), ("b", 3)], wide, 21);
        all_are_seen(&[("a", 95), ("b", 30)], ScanBounds { taken: 12, ..wide }, 80);
        all_are_seen(&[("a", 95), ("b", 30)], ScanBounds { seen: 20, ..wide }, 160);
    }

    #[test]
    fn everybody_has_a_place_beside_one_who_has_many() {
        let bounds = ScanBounds { seen: 1_000, taken: 30, of_user: 10 };
        let taken = tick(&mut Scan::default(), &world(&[("a", 500), ("b", 2)]), bounds);
        assert_eq!((taken.len(), &taken[10..]), (12, &["b000".to_owned(), "b001".to_owned()][..]));
    }
}
