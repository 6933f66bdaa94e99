//! Missions by title, state, agent and what they wait for, in an order: all of it stands in the index that gives the order
//! (docs/design.md, section 9).

use jiff::Timestamp;
use serde_json::json;

use super::cards::{MISSION, mission};
use super::loads::{TOKENS_OF_AGENT, used};
use super::{LAST, MissionCard, Store, StoreResult};
use crate::domain::decision::{Ceilings, day};
use crate::domain::ids::{AgentId, MissionId, UserId};
use crate::domain::mission::MissionState;
use crate::domain::time;
use crate::store::db::{self, Db, ToSql, Value as Sql, params};

/// By what missions are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissionSort {
    Title,
    /// What runs next first.
    Next,
    /// What changed last first.
    Changed,
}

/// Which of a user's missions are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichMissions {
    All,
    /// Those with plans that await review.
    ToReview,
    /// Active ones that may not run before somebody does something, or a limit of a day is over: the decision says of each whether
    /// it is so, since something else may come first.
    Blocked,
}

/// What is asked of the list.
#[derive(Debug, Clone)]
pub struct MissionsWanted {
    /// A part of the title, as [`search_key`](crate::store::search_key) makes it.
    pub search: String,
    pub state: Option<MissionState>,
    pub agent: Option<AgentId>,
    pub which: WhichMissions,
    /// By which missions are blocked at a moment.
    pub ceilings: Ceilings,
    pub now: Timestamp,
    pub sort: MissionSort,
    /// A place in the order: the key and the id of a mission.
    pub after: Option<(String, MissionId)>,
}

/// Blocked missions that are sorted one by one; where there are more, the next of them are never far in the order.
const FEW: u32 = 500;
/// Missions with so many plans that await review, those of agents that run nothing, and those with a schedule that cannot be followed,
/// at most so many of each.
pub(super) const TOO_MANY_PLANS: &str = "SELECT mission_id FROM mission_snapshots WHERE user_id = ?1 AND liveness = 'live' \
     AND awaiting_review > 0 AND awaiting_review >= ?2 AND ?2 > 0 LIMIT ?3";
pub(super) const BAD_SCHEDULE: &str = "SELECT mission_id FROM mission_snapshots WHERE user_id = ?1 AND bad_schedule = 1 LIMIT ?2";
pub(super) fn agent_held() -> String {
    let held = held_agents("?3", "?4");
    format!(
        "SELECT m.mission_id FROM ({held}) AS a JOIN mission_snapshots m \
         ON m.user_id = ?1 AND m.agent_id = a.agent_id AND m.liveness = 'live' AND m.state = 'active' LIMIT ?2"
    )
}

/// Agents that run nothing, since they are paused or archived, or have used the tokens of their day.
fn held_agents(from: &str, to: &str) -> String {
    let tokens = TOKENS_OF_AGENT.replace("?2", "s.agent_id").replace("?3", from).replace("?4", to);
    format!(
        "SELECT agent_id FROM agent_snapshots WHERE user_id = ?1 AND liveness = 'live' AND state IN ('paused', 'archived') \
         UNION ALL SELECT s.agent_id FROM agent_snapshots s WHERE s.user_id = ?1 AND s.liveness = 'live' AND s.max_tokens IS NOT NULL \
         AND s.max_tokens <= ({tokens})"
    )
}

/// Those of some ids, in the order.
pub(super) fn few_where(sort: MissionSort) -> String {
    missions_where(sort, WhichMissions::Blocked).replace(
        "FROM mission_snapshots WHERE",
        "FROM mission_snapshots INDEXED BY sqlite_autoindex_mission_snapshots_1 WHERE mission_id IN (SELECT value FROM json_each(?12)) AND",
    )
}

/// The missions that may be blocked; `None` where they are many.
fn may_be_blocked(c: &Db<'_>, user: &UserId, unreviewed_plans: u64, (from, to): (i64, i64)) -> db::Result<Option<Vec<String>>> {
    let id = |row: &db::Row<'_>| row.get(0);
    let mut found: Vec<String> =
        c.prepare_cached(TOO_MANY_PLANS)?.query_map(params![user, unreviewed_plans, FEW], id)?.collect::<Result<_, _>>()?;
    let held = c.prepare_cached(&agent_held())?.query_map(params![user, FEW, from, to], id)?.collect::<Result<Vec<_>, _>>()?;
    let broken = c.prepare_cached(BAD_SCHEDULE)?.query_map(params![user, FEW], id)?.collect::<Result<Vec<_>, _>>()?;
    found.extend(held.into_iter().chain(broken));
    Ok((found.len() < FEW as usize).then_some(found))
}

/// Ids with their keys, after a place in the order.
pub(super) fn missions_where(sort: MissionSort, which: WhichMissions) -> String {
    let (key, after, order) = match sort {
        MissionSort::Title => ("title_key", ">", "title_key, mission_id"),
        MissionSort::Next => ("next_key", ">", "next_key, mission_id"),
        MissionSort::Changed => ("last_applied_at", "<", "last_applied_at DESC, mission_id DESC"),
    };
    let which = match which {
        WhichMissions::All => String::new(),
        WhichMissions::ToReview => " AND awaiting_review > 0".into(),
        WhichMissions::Blocked => format!(
            " AND state = 'active' AND (CAST(?11 AS BIGINT) = 1 OR (?8 > 0 AND awaiting_review >= ?8) OR bad_schedule = 1 OR agent_id IN ({}))",
            held_agents("?9", "?10")
        ),
    };
    format!(
        "SELECT mission_id, CAST({key} AS TEXT) FROM mission_snapshots WHERE user_id = ?1 AND liveness = 'live' \
         AND ({key}, mission_id) {after} (?2, ?3) AND (CAST(?4 AS TEXT) IS NULL OR state = ?4) AND (CAST(?5 AS TEXT) IS NULL OR agent_id = ?5) \
         AND (?6 = '' OR instr(title_key, ?6) > 0){which} ORDER BY {order} LIMIT ?7"
    )
}

impl Store {
    /// Missions of a user as they are wanted, at most `limit`, and the place after which further ones may follow.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn missions_where(
        &self,
        user: &UserId,
        wanted: MissionsWanted,
        limit: u32,
    ) -> StoreResult<(Vec<MissionCard>, Option<(String, MissionId)>)> {
        let user = user.to_owned();
        self.read(move |c| {
            let MissionsWanted { search, state, agent, which, ceilings, now, sort, after } = wanted;
            let (state, unreviewed) = (state.map(MissionState::as_str), ceilings.unreviewed_plans.min(u64::from(u32::MAX)));
            let (from, to) = day(now);
            let (from, to) = (time::to_micros(from), time::to_micros(to));
            let are_all = which == WhichMissions::Blocked && ceilings.are_reached(used(c, &user, now)?);
            let few = match which {
                WhichMissions::Blocked if !are_all => may_be_blocked(c, &user, unreviewed, (from, to))?,
                _ => None,
            };
            let ids = few.map(|ids| json!(ids).to_string());
            let query = if ids.is_some() { few_where(sort) } else { missions_where(sort, which) };
            let mut statement = c.prepare_cached(&query)?;
            let place = |row: &db::Row<'_>| Ok((row.get::<_, String>(1)?, row.get::<_, MissionId>(0)?));
            let (key, id) = match (sort, after) {
                (MissionSort::Title, after) => {
                    let (key, id) = after.unwrap_or_default();
                    (Sql::from(key), id)
                }
                (sort, after) => {
                    let first =
                        if sort == MissionSort::Next { (i64::MIN, MissionId::default()) } else { (i64::MAX, MissionId::from(LAST)) };
                    let (key, id) = after.and_then(|(key, id)| Some((key.parse().ok()?, id))).unwrap_or(first);
                    (Sql::from(key), id)
                }
            };
            let given = params![user, key, id, state, agent, search, limit];
            let of_blocked = params![unreviewed, from, to, i64::from(are_all)];
            let of_blocked = if which == WhichMissions::Blocked { of_blocked } else { &[] };
            let given = given.iter().chain(of_blocked).copied();
            let given: Vec<&dyn ToSql> = given.chain(ids.iter().map(|ids| ids as &dyn ToSql)).collect();
            let found: Vec<(String, MissionId)> = statement.query_map(&*given, place)?.collect::<Result<_, _>>()?;
            let mut statement = c.prepare_cached(MISSION)?;
            let mut cards = Vec::with_capacity(found.len());
            for (_, id) in &found {
                cards.extend(statement.query_map(params![user, id], mission)?.next().transpose()?);
            }
            let next = found.last().filter(|_| found.len() == limit as usize).cloned();
            Ok((cards, next))
        })
        .await
    }
}
