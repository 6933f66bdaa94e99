//! Steps that were carried out without review, counted as long as their limit looks back (docs/design.md, section 13).

use jiff::Timestamp;

use super::StoreResult;
use super::writer::SqlTx;
use crate::domain::ids::{AgentId, UserId};
use crate::domain::time;
use crate::steps::AutoLimits;
use crate::store::db::{self, Db, params};

pub(super) const SINCE: &str =
    "SELECT count(*) FROM automatic_steps WHERE user_id = ?1 AND agent_id = ?2 AND tool = ?3 AND at > ?4 AND at <= ?5";

/// How many steps of a tool an agent has carried out since a time. What a clock that was ahead counted does not count.
pub(super) fn since(connection: &Db<'_>, user: &UserId, agent: &AgentId, tool: &str, since: Timestamp) -> db::Result<u64> {
    let until = since.checked_add(AutoLimits::WINDOW).unwrap_or(Timestamp::MAX);
    let given = params![user, agent, tool, time::to_micros(since), time::to_micros(until)];
    connection.prepare_cached(SINCE)?.query_row(given, |row| row.get(0))
}

/// Counts one, and forgets those that no longer count.
pub(super) fn count(tx: &SqlTx<'_>, user: &UserId, agent: &AgentId, tool: &str) -> StoreResult<()> {
    let now = tx.now();
    let old = now.checked_sub(AutoLimits::WINDOW).unwrap_or(Timestamp::MIN);
    tx.sql(|c| {
        c.prepare_cached("DELETE FROM automatic_steps WHERE user_id = ?1 AND agent_id = ?2 AND tool = ?3 AND at <= ?4")?
            .execute(params![user, agent, tool, time::to_micros(old)])?;
        c.prepare_cached("INSERT INTO automatic_steps (user_id, agent_id, tool, at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![user, agent, tool, time::to_micros(now)])
            .map(drop)
    })
}
