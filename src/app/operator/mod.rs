//! What whoever runs the program does with all of it: looks at every user's missions and runs, moves the log in and out, checks
//! and saves the database. It needs no server beside it, and no model.

mod check;
mod missions;
mod preview;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

pub use missions::NotFound;
pub use preview::PlanPreview;

use super::sign_in::new_link;
use crate::auth::LocalKey;
use crate::domain::ids::{MissionId, UserId};
use crate::domain::person::PersonRole;
use crate::runner::Clock;
use crate::store::{
    Appended, LogRow, MovedRows, Person, Progress, RemovalStart, RoleChange, RowFilter, RunRow, Session, SetAside, Staging, Store,
    StoreError, StoreResult, WhichSessions,
};

/// The fact under which a server notes its address, so that commands beside it print links to it.
const LISTENS_AT: &str = "listens at";
/// Rows of an export that are held in memory at a time; no reader of the database stays open for longer than one page takes.
const PAGE: u32 = 1_000;

/// The use cases of an operator. Clones share the database.
#[derive(Clone)]
pub struct Operator {
    store: Store,
    clock: Clock,
}

/// Rows of the log, each or why it is set aside.
pub type ExportPage = Vec<Result<LogRow, SetAside>>;

/// How the JSON columns of an export are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportOf {
    /// What they say.
    Contents,
    /// As they stand there, to the byte.
    Bytes,
}

impl Operator {
    pub fn new(store: Store, clock: Clock) -> Self {
        Operator { store, clock }
    }

    /// The time that everything here goes by.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The database, for the parts of the program that are made over it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// The latest runs, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs(&self, user: Option<UserId>, mission: Option<MissionId>, limit: u32) -> StoreResult<Vec<RunRow>> {
        self.store.runs(user, mission, limit).await
    }

    /// Users that have an agent or a mission, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn users(&self, limit: u32) -> StoreResult<Vec<UserId>> {
        self.refresh().await?;
        self.store.users(limit).await
    }

    /// Shows pages of the log in its order, until `show` fails or there are no more.
    ///
    /// # Errors
    /// What `show` says, or the database.
    pub async fn export<E: From<StoreError>>(
        &self,
        filter: RowFilter,
        of: ExportOf,
        mut show: impl FnMut(&ExportPage) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = 0;
        loop {
            let rows = match of {
                ExportOf::Contents => self.store.export_after(filter.clone(), after, PAGE).await?,
                ExportOf::Bytes => self.store.export_verbatim_after(filter.clone(), after, PAGE).await?,
            };
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.as_ref().map_or_else(|set_aside| set_aside.seq, |row| row.seq);
            show(&rows)?;
        }
    }

    /// Begins to stage changes for an import, in a file of the data directory. It blocks.
    ///
    /// # Errors
    /// When no file can be made there.
    pub fn stage(&self) -> StoreResult<Staging> {
        self.store.stage(self.now())
    }

    /// Appends what was staged, all of it or nothing. `progress` hears from time to time how many rows were looked at.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn import(&self, staging: Staging, progress: impl Fn(u64) + Send + 'static) -> StoreResult<Appended> {
        self.store.append_staged(staging, progress).await
    }

    /// Writes the database as it is now into a new file.
    ///
    /// # Errors
    /// When it cannot be read, or the file not be written.
    pub async fn backup(&self, to: PathBuf, progress: Progress) -> StoreResult<()> {
        self.store.backup(to, progress).await
    }

    /// Copies everything into another database; `moved` is told after each part, and may stop it.
    ///
    /// # Errors
    /// Those of [`Store::move_into`].
    pub async fn move_into(&self, other: &Operator, moved: impl Fn(MovedRows) -> bool) -> StoreResult<MovedRows> {
        self.store.move_into(&other.store, moved).await
    }

    /// Who is signed in, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sessions(&self, user: Option<UserId>, limit: u32) -> StoreResult<Vec<Session>> {
        self.store.sessions(user, self.now(), limit).await
    }

    /// Ends sessions, and answers how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_sessions(&self, which: WhichSessions) -> StoreResult<usize> {
        self.store.end_sessions(which).await
    }

    /// Who uses the server, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn people(&self, limit: u32) -> StoreResult<Vec<Person>> {
        self.store.people(limit).await
    }

    /// Gives somebody a role, also who never signed in.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_role(&self, user: &UserId, role: PersonRole) -> StoreResult<RoleChange> {
        self.store.add_person(user, role).await?;
        self.store.set_role(user, role).await
    }

    /// Removes a person with everything, and answers how many rows that were; nothing where it cannot begin. What is cut short goes
    /// on when it is asked for again, or in a running server.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_person(&self, user: &UserId) -> StoreResult<(RemovalStart, usize)> {
        let start = self.store.begin_removal(user).await?;
        let (mut rows, mut done) = (0, start != RemovalStart::Begun);
        while !done {
            let batch = self.store.remove_batch(user).await?;
            rows += batch.rows;
            done = batch.done;
        }
        Ok((start, rows))
    }

    /// Whether anybody ever signed in.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn was_signed_in(&self) -> StoreResult<bool> {
        self.store.was_signed_in().await
    }

    /// Makes the path of a link that signs in once, as `user` or as whom the visitor chooses.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn link(&self, user: Option<UserId>, key: &LocalKey) -> StoreResult<String> {
        new_link(&self.store, user, key, self.now()).await
    }

    /// Where the last server listened.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn listens_at(&self) -> StoreResult<Option<SocketAddr>> {
        Ok(self.store.fact(LISTENS_AT).await?.and_then(|at| at.parse().ok()))
    }

    /// Notes where this server listens.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn listen_at(&self, address: SocketAddr) -> StoreResult<()> {
        self.store.set_fact(LISTENS_AT, address.to_string()).await
    }

    /// Folds what came into the log since the last look.
    async fn refresh(&self) -> StoreResult<()> {
        crate::projection::refresh(&self.store).await.map(drop)
    }
}
