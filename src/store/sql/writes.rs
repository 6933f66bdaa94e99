//! Writes whose rules are scripts: each runs in the transaction of the writer.

use jiff::Timestamp;
use serde_json::Value;

use super::Store;
use crate::domain::ceilings::LogCeilings;
use crate::domain::ids::UserId;
use crate::domain::limits::Admitted;
use crate::domain::raw::RawRecord;
use crate::domain::retention::RetentionBounds;
use crate::steps::{Effects, UserLog};
use crate::store::script::{self, ClientPush};
use crate::store::{Appended, Attempt, Candidate, Claim, Claimed, Close, Closed, Edit, Lossy, Pull, PushOutcome, StoreError, StoreResult};

/// Changes that are appended together, at most.
const ROWS_AT_ONCE: usize = 200;

impl Store {
    /// Appends all changes in one transaction, in their order; changes whose event id is known are passed over.
    ///
    /// # Errors
    /// The first error of `changes` or of the database; nothing is kept then.
    pub async fn append<I, E>(&self, changes: I) -> Result<Appended, E>
    where
        I: IntoIterator<Item = Result<Admitted, E>> + Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write(move |tx| {
            let (mut appended, mut changes) = (Appended::default(), changes.into_iter());
            loop {
                let some = changes.by_ref().take(ROWS_AT_ONCE).collect::<Result<Vec<_>, E>>()?;
                if some.is_empty() {
                    return Ok(appended);
                }
                appended.count(script::append(tx, &some)?.iter().map(Option::is_some));
            }
        })
        .await
    }

    /// Appends what a client pushed, all or nothing, as far as the ceilings of its user allow; changes whose event id is known are
    /// passed over. Answers as well what the client asks for afterwards (`then`, which names the user), where that is short.
    ///
    /// # Errors
    /// The ceiling that the push would pass, and when the database cannot be written; nothing is kept then.
    pub async fn push(&self, changes: Vec<Admitted>, ceilings: LogCeilings, then: Pull) -> StoreResult<PushOutcome> {
        self.while_answered(true, self.shared.writer.push(ClientPush { changes, ceilings, then })).await
    }

    /// Writes the fields that `decide` makes of the live record, `None` where there is none yet; no fields write nothing.
    /// Its fields win over what the record has, also where a client's clock is ahead.
    ///
    /// # Errors
    /// What `decide` says, or the database; nothing is written then.
    pub async fn edit<E>(
        &self,
        edit: Edit,
        decide: impl FnOnce(Option<&RawRecord>) -> Result<RawRecord, E> + Send + 'static,
    ) -> Result<(), E>
    where
        E: From<StoreError> + Send + 'static,
    {
        self.edit_with(edit, |record, _| Ok((decide(record)?, Effects::default()))).await.map(drop)
    }

    /// Like [`Store::edit`], with everything else that a decision about steps does in the same transaction; `decide` sees the
    /// user's log as it is then. Answers what was done.
    ///
    /// # Errors
    /// What `decide` says, or the database; nothing is written then.
    pub async fn edit_with<E>(
        &self,
        edit: Edit,
        decide: impl FnOnce(Option<&RawRecord>, &dyn UserLog) -> Result<(RawRecord, Effects), E> + Send + 'static,
    ) -> Result<Effects, E>
    where
        E: From<StoreError> + Send + 'static,
    {
        self.write(move |tx| script::edit(tx, edit, decide)).await
    }

    /// Brings a deleted record back, as the clients' undo does; one that is not deleted, or ended for good, stays as it is.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn undelete(&self, edit: Edit) -> StoreResult<()> {
        self.write(move |tx| script::undelete(tx, edit)).await
    }

    /// Appends the rows that `decide` makes of a user's log as it is then, as far as the ceilings of the user allow. Answers
    /// how many are new.
    ///
    /// # Errors
    /// What `decide` says, the ceiling that they would pass, or the database; nothing is written then.
    pub async fn append_decided<E>(
        &self,
        user: &UserId,
        ceilings: LogCeilings,
        decide: impl FnOnce(&dyn UserLog) -> Result<Vec<Admitted>, E> + Send + 'static,
    ) -> Result<u64, E>
    where
        E: From<StoreError> + Send + 'static,
    {
        let user = user.to_owned();
        self.write(move |tx| script::append_decided(tx, &user, &ceilings, decide)).await
    }

    /// Claims what is still due and still within the bound of its agent, all in one transaction.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is claimed then.
    pub async fn claim(&self, candidates: Vec<Candidate>, owner: String, now: Timestamp) -> StoreResult<Vec<Claim>> {
        self.write(move |tx| candidates.into_iter().map(|candidate| script::claim(tx, candidate, &owner, now)).collect()).await
    }

    /// Closes a claimed run, with the attempt that led there, at `now` of the runner.
    ///
    /// # Errors
    /// When the database cannot be written; the run is still claimed then.
    pub async fn close(&self, run: Claimed, owner: String, attempt: Option<Attempt>, close: Close, now: Timestamp) -> StoreResult<Closed> {
        self.write(move |tx| script::close(tx, &run, &owner, attempt.as_ref(), close, now)).await
    }

    /// Puts back what a mission lost, in one row; a mission that ended stays gone. Answers how many iterations came back.
    ///
    /// # Errors
    /// When the database cannot be written; what was lost stays noted then.
    pub async fn restore_iterations(&self, of: Lossy, event_id: String, actor: Value, bounds: RetentionBounds) -> StoreResult<usize> {
        self.write(move |tx| script::restore_iterations(tx, &of, event_id, actor, bounds)).await
    }
}
