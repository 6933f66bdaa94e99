//! What agents and missions came to: what was approved and rejected, and what it took.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::App;
use crate::domain::days::ZoneDays;
use crate::domain::ids::{AgentId, MissionId, UserId};
use crate::domain::price::Price;
use crate::store::{AgentCard, Insights, MissionCard, PlanTally, StepAgainst, StoreResult};

/// What some days came to.
pub struct InsightsView {
    /// The number of today, in the zone that was asked for.
    pub today: i64,
    pub insights: Insights,
    pub all: PlanTally,
    /// Steps that were rejected or taken back, the last first.
    pub against: Vec<StepAgainst>,
    /// The agents and missions that these are about, as far as they are still there.
    pub agents: Vec<AgentCard>,
    pub missions: Vec<MissionCard>,
    /// Of a million tokens.
    pub price: Option<Price>,
}

impl App {
    /// What the last days of a user came to in a zone, today included, and at most `limit` steps that were rejected before a moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn insights(
        &self,
        user: &UserId,
        (zone, days): (&TimeZone, u16),
        before: Timestamp,
        limit: u32,
    ) -> StoreResult<InsightsView> {
        self.refresh().await?;
        let days = ZoneDays::up_to(self.now(), zone, days);
        let today = days.last();
        let insights = self.store.insights(user, days).await?;
        let against = self.store.steps_against(user, before, limit).await?;
        let mut all = PlanTally::default();
        for tally in insights.days.values() {
            all.approved += tally.approved;
            all.rejected += tally.rejected;
            all.tokens += tally.tokens;
        }
        let agents: BTreeSet<AgentId> = insights.agents.iter().map(|(id, _)| id.clone()).collect();
        let missions = insights.missions.iter().map(|(id, _)| id).chain(against.iter().map(|step| &step.mission_id));
        let missions: BTreeSet<MissionId> = missions.cloned().collect();
        Ok(InsightsView {
            today,
            all,
            agents: self.store.agent_cards_of(user, agents.into_iter().collect()).await?,
            missions: self.store.mission_cards_of(user, missions.into_iter().collect()).await?,
            insights,
            against,
            price: self.token_price(),
        })
    }
}
