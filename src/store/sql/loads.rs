//! What a user's missions are decided by: agents, open runs, and what the last 24 hours took.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::changes::from_text;
use super::error::store_error;
use super::insights::count_of_agent;
use super::runs::{OPEN_COLUMNS, open_run};
use super::{OpenRun, Store, StoreResult};
use crate::domain::agent::{Agent, AgentState};
use crate::domain::decision::{Used, day};
use crate::domain::ids::{AgentId, UserId};
use crate::domain::raw::RawRecord;
use crate::domain::time;
use crate::store::db::{self, Db, params};

/// A user and the agents that matter.
#[derive(Debug, Clone, Default)]
pub struct LoadQuery {
    pub user_id: UserId,
    pub agents: BTreeSet<AgentId>,
    /// Set where every mission in question has one of these agents. A paused or archived agent decides by itself: its tokens are not
    /// looked up (0), and where all of them are, neither is `used`.
    pub rest_decides: bool,
}

/// What decides about the missions of one user.
#[derive(Debug, Clone, Default)]
pub struct UserLoad {
    /// The wanted agents that live, each with the tokens that it used in the last 24 hours, as far as they matter.
    pub agents: HashMap<AgentId, (RawRecord, u64)>,
    /// Runs that have not ended.
    pub open: Vec<OpenRun>,
    pub used: Used,
}

/// More of one attempt is no count of tokens; the bound keeps a sum over any number of rows within its type.
macro_rules! tokens {
    () => {
        "CAST(coalesce(sum(min(max(total_tokens, 0), 1000000000)), 0) AS BIGINT)"
    };
}
pub(super) use tokens;

/// Without its index, all runs that the user ever had would be read.
pub(super) const OPEN_OF: &str = "SELECT {} FROM runs INDEXED BY runs_one_open_per_mission WHERE user_id = ?1 AND outcome IS NULL";
pub(super) const AGENT: &str = "SELECT record FROM agent_snapshots WHERE user_id = ?1 AND agent_id = ?2 AND liveness = 'live'";
/// What runs took in a time, and what trials did.
pub(super) const TOKENS_OF_AGENT: &str = concat!(
    "SELECT (SELECT ",
    tokens!(),
    " FROM run_attempts WHERE user_id = ?1 AND agent_id = ?2 AND finished_at > ?3 AND finished_at <= ?4) + (SELECT ",
    tokens!(),
    " FROM trials WHERE user_id = ?1 AND agent_id = ?2 AND finished_at > ?3 AND finished_at <= ?4)"
);
pub(super) const USED: &str = concat!(
    "SELECT CAST(sum(calls) AS BIGINT), CAST(sum(tokens) AS BIGINT) FROM (SELECT coalesce(sum(min(max(calls, 0), 1000)), 0) AS calls, ",
    tokens!(),
    " AS tokens FROM run_attempts WHERE user_id = ?1 AND finished_at > ?2 AND finished_at <= ?3 \
      UNION ALL SELECT coalesce(sum(calls), 0), ",
    tokens!(),
    " FROM trials WHERE user_id = ?1 AND finished_at > ?2 AND finished_at <= ?3) AS taken"
);

impl Store {
    /// What decides about the missions of these users at `now`, one answer for each: what fails for one user fails for
    /// nobody else.
    ///
    /// # Errors
    /// When no user's data can be read at all.
    pub async fn loads(&self, users: Vec<LoadQuery>, now: Timestamp) -> StoreResult<Vec<(UserId, StoreResult<UserLoad>)>> {
        let path = self.path().to_owned();
        self.read(move |c| {
            let load = |wanted: LoadQuery| {
                let load = load(c, &wanted, now).map_err(|error| store_error(&path, error));
                (wanted.user_id, load)
            };
            Ok(users.into_iter().map(load).collect())
        })
        .await
    }

    /// What decides about the missions of one user at `now`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn load(&self, wanted: LoadQuery, now: Timestamp) -> StoreResult<UserLoad> {
        self.read(move |c| load(c, &wanted, now)).await
    }

    /// Notes what a trial of an agent took.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_trial(&self, user: &UserId, agent: &AgentId, at: Timestamp, tokens: u64, calls: u32) -> StoreResult<()> {
        let (user, agent) = (user.to_owned(), agent.to_owned());
        let insert = "INSERT INTO trials (user_id, agent_id, finished_at, total_tokens, calls) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.write(move |tx| {
            tx.sql(|c| {
                let all = i64::try_from(tokens).unwrap_or(i64::MAX);
                c.execute(insert, params![user, agent, time::to_micros(at), all, calls])?;
                count_of_agent(c, &user, agent.as_str(), at, tokens)
            })
        })
        .await
    }

    /// Tokens that an agent used in the 24 hours before `now`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens_of(&self, user: &UserId, agent: &AgentId, now: Timestamp) -> StoreResult<u64> {
        let (user, agent) = (user.to_owned(), agent.to_owned());
        self.read(move |c| tokens_of(c, &user, &agent, now)).await
    }
}

fn load(c: &Db<'_>, wanted: &LoadQuery, now: Timestamp) -> db::Result<UserLoad> {
    let user = &wanted.user_id;
    let (mut load, mut at_rest) = (UserLoad::default(), 0);
    for agent in &wanted.agents {
        let mut statement = c.prepare_cached(AGENT)?;
        if let Some(row) = statement.query(params![user, agent])?.next()? {
            let record = from_text(row.get_ref(0)?.as_str()?, || format!("the snapshot of agent {agent} of user {user}"))?;
            let rests = wanted.rest_decides && Agent::read(agent, &record).0.state != AgentState::Active;
            at_rest += usize::from(rests);
            let tokens = if rests { 0 } else { tokens_of(c, user, agent, now)? };
            load.agents.insert(agent.clone(), (record, tokens));
        }
    }
    let open = OPEN_OF.replace("{}", OPEN_COLUMNS);
    load.open = c.prepare_cached(&open)?.query_map([user], open_run)?.collect::<Result<_, _>>()?;
    if at_rest == 0 || at_rest < wanted.agents.len() {
        load.used = used(c, user, now)?;
    }
    Ok(load)
}

/// What a user's missions and trials took in the last 24 hours.
pub(super) fn used(c: &Db<'_>, user: &UserId, now: Timestamp) -> db::Result<Used> {
    let (from, to) = day(now);
    let used = |row: &db::Row<'_>| Ok(Used { calls: row.get(0)?, tokens: row.get(1)? });
    c.prepare_cached(USED)?.query_row(params![user, time::to_micros(from), time::to_micros(to)], used)
}

fn tokens_of(c: &Db<'_>, user: &UserId, agent: &AgentId, now: Timestamp) -> db::Result<u64> {
    let (from, to) = day(now);
    c.prepare_cached(TOKENS_OF_AGENT)?.query_row(params![user, agent, time::to_micros(from), time::to_micros(to)], |row| row.get(0))
}

impl UserLoad {
    /// Runs of an agent that a process works on.
    pub fn in_flight(&self, agent: &AgentId) -> u64 {
        self.open.iter().filter(|run| run.owner.is_some() && run.agent_id.as_deref() == Some(agent)).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::change;
    use crate::domain::limits::admit;
    use crate::store::{Options, StoreError};

    #[tokio::test]
    async fn what_was_used_is_left_out_where_all_agents_rest() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &Options::default()).unwrap();
        let (user, now) = (UserId::from("anna"), Timestamp::now());
        for (id, state) in [("awake", "active"), ("resting", "paused"), ("old", "archived")] {
            let line = json!({
                "appId": "ai", "table": "agents", "recordId": id, "userId": "anna", "op": "insert", "data": {"name": id, "state": state},
                "createdAt": "2026-04-15T07:00:00.000000Z", "clientId": "test",
            });
            let change = change::from_json(line.as_object().unwrap().into(), || uuid::Uuid::new_v4().to_string()).unwrap();
            store.append([Ok::<_, StoreError>(admit(change).unwrap())]).await.unwrap();
            store.add_trial(&user, &id.into(), now, 7, 1).await.unwrap();
        }
        crate::projection::refresh(&store).await.unwrap();
        let later = now + jiff::SignedDuration::from_secs(1);
        let load = async |agents: &[&str], rest_decides| {
            let agents = agents.iter().map(|id| AgentId::from(*id)).collect();
            let load = store.load(LoadQuery { user_id: user.clone(), agents, rest_decides }, later).await.unwrap();
            let mut tokens: Vec<_> = load.agents.into_iter().map(|(id, (_, tokens))| (id.to_string(), tokens)).collect();
            tokens.sort();
            (tokens, load.used.tokens)
        };
        let of = |id: &str, tokens| (id.to_owned(), tokens);
        assert_eq!(load(&["resting", "old"], true).await, (vec![of("old", 0), of("resting", 0)], 0));
        assert_eq!(load(&["resting", "old"], false).await, (vec![of("old", 7), of("resting", 7)], 21));
        assert_eq!(load(&["resting", "awake"], true).await, (vec![of("awake", 7), of("resting", 0)], 21));
        assert_eq!(load(&["resting", "gone"], true).await, (vec![of("resting", 0)], 21), "a mission whose agent is gone runs");
    }
}
