//! What other instances and programs commit, as soon as the server tells of it (LISTEN).

use std::sync::{Arc, Weak};
use std::time::Duration;

use fallible_iterator::FallibleIterator;
use tokio::sync::watch;

use super::{ServerAddress, store_error};
use crate::store::{StoreError, StoreResult};

/// The channel on which the log says that it has new rows, or that some wait for their place. A message says no more: who hears
/// it reads the log from where they were.
const CHANNEL: &str = "mana_ai_rs";
/// How long a look for messages takes, after which the listener sees whether anybody still listens.
const LOOK: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Tells `commits` of every message until nobody listens any more. Who waits for commits looks by themselves now and then, so a
/// message that is lost while the server is away delays, and loses nothing.
pub(in crate::store) fn listen(address: Arc<ServerAddress>, commits: Weak<watch::Sender<()>>) -> StoreResult<()> {
    let run = move || {
        let mut pause = LOOK;
        while commits.strong_count() > 0 {
            match hear(&address, &commits) {
                Ok(()) => pause = LOOK,
                Err(error) => {
                    tracing::debug!(%error, "commits of other instances are learnt by looking");
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    };
    std::thread::Builder::new().name("store-listener".into()).spawn(run).map(drop).map_err(|_| StoreError::Stopped)
}

/// Hears until the session ends or nobody listens any more.
fn hear(address: &ServerAddress, commits: &Weak<watch::Sender<()>>) -> StoreResult<()> {
    let fail = |error| store_error(&address.shown, &error);
    let mut session = address.connect()?;
    let Ok(client) = session.client() else { return Ok(()) };
    client.batch_execute(&format!("LISTEN {CHANNEL}")).map_err(fail)?;
    // What was told before, nobody heard.
    let mut is_news = true;
    while let Some(commits) = commits.upgrade()
        && !client.is_closed()
    {
        if is_news {
            commits.send_replace(());
        }
        drop(commits);
        is_news = client.notifications().timeout_iter(LOOK).next().map_err(fail)?.is_some();
        // One look is enough for all that came together.
        while client.notifications().iter().next().map_err(fail)?.is_some() {}
        // That the server lives, others rely on.
        client.batch_execute("").map_err(fail)?;
        address.heartbeats.any.beat();
    }
    Ok(())
}
