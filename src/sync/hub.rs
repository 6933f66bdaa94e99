//! Who listens for changes, and what each has not heard yet.
//!
//! A listener has a mailbox that says which tables changed, not what changed: whoever is slow finds the news of an hour
//! in the room of a minute, and asks for the rows by its cursor. So no listener holds up a writer or fills the memory.

use crate::domain::ids::UserId;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, watch};

/// Listeners that one user may have at a time.
const PER_USER: usize = 32;
/// Table names that a mailbox keeps for an app, and their bytes; beyond, it only says that something changed.
const TABLES_NAMED: usize = 64;
const BYTES_NAMED: usize = 2 * 1024;
/// Apps that a mailbox keeps; one that would need more is closed, so that its listener comes back and pulls.
const APPS_NAMED: usize = 64;

/// Apps with the tables that changed; no tables means: any.
pub type PendingTables = BTreeMap<String, BTreeSet<String>>;

/// A user has as many listeners as one may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this user has {PER_USER} streams open, which is the maximum; close one")]
pub struct TooMany;

/// All listeners of the process.
#[derive(Default)]
pub struct Hub {
    listeners: Mutex<HashMap<UserId, Vec<Weak<Inner>>>>,
    closed: watch::Sender<bool>,
}

/// One listener's news. Dropping it ends the listening.
pub struct Mailbox {
    inner: Arc<Inner>,
}

struct Inner {
    /// The only app to hear of; `None`: all.
    app: Option<String>,
    /// The client that listens; its own pushes are no news.
    client: Option<String>,
    state: Mutex<MailboxState>,
    ready: Notify,
}

#[derive(Default)]
struct MailboxState {
    pending: PendingTables,
    closed: bool,
}

impl Hub {
    /// Listens to a user's changes.
    ///
    /// # Errors
    /// When the user has as many listeners as one may have.
    pub fn listen(&self, user: &UserId, app: Option<String>, client: Option<String>) -> Result<Mailbox, TooMany> {
        let mut listeners = lock(&self.listeners);
        let closed = *self.closed.borrow();
        let of_user = listeners.entry(user.to_owned()).or_default();
        of_user.retain(|listener| listener.strong_count() > 0);
        if of_user.len() >= PER_USER {
            return Err(TooMany);
        }
        let state = Mutex::new(MailboxState { closed, ..MailboxState::default() });
        let inner = Arc::new(Inner { app, client, state, ready: Notify::new() });
        of_user.push(Arc::downgrade(&inner));
        Ok(Mailbox { inner })
    }

    /// Tells a user's listeners that a client changed a table of an app.
    pub fn publish(&self, user: &UserId, app: &str, table: &str, client: &str) {
        let mut listeners = lock(&self.listeners);
        let Some(of_user) = listeners.get_mut(user) else { return };
        of_user.retain(|listener| listener.upgrade().map(|inner| inner.hear(app, table, client)).is_some());
        if of_user.is_empty() {
            listeners.remove(user);
        }
    }

    /// How many listen.
    pub fn listening(&self) -> usize {
        lock(&self.listeners).values().flatten().filter(|listener| listener.strong_count() > 0).count()
    }

    /// Ends every listening, now and later: the program stops.
    pub fn close(&self) {
        let listeners = lock(&self.listeners);
        self.closed.send_replace(true);
        for inner in listeners.values().flatten().filter_map(Weak::upgrade) {
            lock(&inner.state).closed = true;
            inner.ready.notify_one();
        }
    }

    /// Waits for the end of every listening.
    pub async fn closed(&self) {
        // The sender is here, so it cannot be gone.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }
}

impl Inner {
    fn hear(&self, app: &str, table: &str, client: &str) {
        let foreign_app = self.app.as_ref().is_some_and(|only| only != app);
        let own = self.client.as_ref().is_some_and(|own| own == client);
        if foreign_app || own {
            return;
        }
        let mut state = lock(&self.state);
        state.closed |= !note(&mut state.pending, app, table);
        drop(state);
        self.ready.notify_one();
    }
}

/// Keeps the news; `false` where there is no room for another app.
fn note(pending: &mut PendingTables, app: &str, table: &str) -> bool {
    if !pending.contains_key(app) && pending.len() >= APPS_NAMED {
        return false;
    }
    let tables = pending.entry(app.to_owned()).or_insert_with(|| BTreeSet::from([table.to_owned()]));
    let bytes = tables.iter().map(String::len).sum::<usize>().saturating_add(table.len());
    if tables.is_empty() || tables.len() >= TABLES_NAMED || bytes > BYTES_NAMED {
        tables.clear();
    } else {
        tables.insert(table.to_owned());
    }
    true
}

impl Mailbox {
    /// Waits for news and takes it; `None` ends the listening: the program stops, or more changed than fits.
    pub async fn news(&self) -> Option<PendingTables> {
        loop {
            {
                let mut state = lock(&self.inner.state);
                if state.closed {
                    return None;
                }
                if !state.pending.is_empty() {
                    return Some(std::mem::take(&mut state.pending));
                }
            }
            self.inner.ready.notified().await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(entries: &[(&str, &[&str])]) -> Option<PendingTables> {
        let tables = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Some(entries.iter().map(|(app, names)| ((*app).to_owned(), tables(names))).collect())
    }

    #[tokio::test]
    async fn news_are_of_the_user_and_the_app_and_of_other_clients() {
        let hub = Hub::default();
        let all = hub.listen(&"ada".into(), None, Some("phone".into())).unwrap();
        let one = hub.listen(&"ada".into(), Some("notes".into()), None).unwrap();
        hub.publish(&"ada".into(), "notes", "notes", "phone");
        hub.publish(&"ada".into(), "notes", "folders", "laptop");
        hub.publish(&"ada".into(), "todo", "tasks", "laptop");
        hub.publish(&"ben".into(), "notes", "notes", "laptop");
        assert_eq!(all.news().await, pending(&[("notes", &["folders"]), ("todo", &["tasks"])]));
        assert_eq!(one.news().await, pending(&[("notes", &["folders", "notes"])]));
    }

    #[tokio::test]
    async fn a_listener_that_sleeps_holds_a_bounded_amount() {
        let hub = Hub::default();
        let mailbox = hub.listen(&"ada".into(), None, None).unwrap();
        for n in 0..10_000 {
            hub.publish(&"ada".into(), "notes", &format!("table {n}"), "c");
            hub.publish(&"ada".into(), &format!("app {}", n % (APPS_NAMED - 1)), "t", "c");
        }
        let news = mailbox.news().await.unwrap();
        assert_eq!(news.len(), APPS_NAMED);
        assert!(news["notes"].is_empty(), "any table");
        for n in 0..=APPS_NAMED {
            hub.publish(&"ada".into(), &format!("app {n}"), "t", "c");
        }
        assert_eq!(mailbox.news().await, None, "it hears that it must come back, not too little");
    }

    #[tokio::test]
    async fn listeners_are_bounded_and_leave_nothing_behind() {
        let hub = Hub::default();
        let mailboxes: Vec<_> = (0..PER_USER).map(|_| hub.listen(&"ada".into(), None, None).unwrap()).collect();
        assert!(hub.listen(&"ada".into(), None, None).is_err() && hub.listen(&"ben".into(), None, None).is_ok());
        drop(mailboxes);
        assert_eq!(hub.listening(), 0);
        hub.publish(&"ada".into(), "notes", "notes", "c");
        assert!(!lock(&hub.listeners).contains_key("ada"));
        assert!(hub.listen(&"ada".into(), None, None).is_ok());
    }

    #[tokio::test]
    async fn closing_ends_all() {
        let hub = Hub::default();
        let mailbox = hub.listen(&"ada".into(), None, None).unwrap();
        hub.close();
        assert_eq!(mailbox.news().await, None);
        assert_eq!(hub.listen(&"ada".into(), None, None).unwrap().news().await, None);
    }
}
