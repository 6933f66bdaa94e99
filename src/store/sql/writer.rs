//! The one thread that writes: jobs that wait together share a transaction and one sync of the disk.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::changes::{self, LogEnd, log_end};
use super::error::store_error;
use super::pull::short_page;
use super::{StoreError, StoreResult};
use crate::domain::time;
use crate::store::db;
use crate::store::script::{self, ClientPush};
use crate::store::tx::{NewRow, PlacedRow};
use crate::store::{Appended, PushOutcome};

/// At most this many jobs share a commit.
const GROUP: usize = 64;
/// No group waits longer for more jobs.
const LONGEST_WAIT: Duration = Duration::from_millis(5);
/// Where a sync is quicker, no group waits: a wait ends late by as much.
const LOOK_EVERY: Duration = Duration::from_micros(100);
/// Jobs that may wait before their callers wait to hand them in.
const QUEUE: usize = 1_024;

/// A transaction as a job sees it.
pub(super) struct SqlTx<'a> {
    pub connection: db::Db<'a>,
    pub path: &'a Path,
    clock: fn() -> Timestamp,
    /// Whether no other job is in the transaction: then its failure ends all of it.
    is_alone: bool,
    has_failed: Cell<bool>,
    end: Cell<Option<LogEnd>>,
    oddities: &'a Oddities,
}

/// What was odd in the rows that this process took into the log.
#[derive(Debug, Default)]
pub(super) struct Oddities {
    /// Texts in which something was replaced that no text can hold.
    pub replaced_texts: AtomicU64,
    /// Stamps far ahead of the clock.
    pub future_stamps: AtomicU64,
}

impl SqlTx<'_> {
    /// Counts what was odd in new rows.
    pub fn count_oddities(&self, replaced_texts: u64, future_stamps: u64) {
        self.oddities.replaced_texts.fetch_add(replaced_texts, Ordering::Relaxed);
        self.oddities.future_stamps.fetch_add(future_stamps, Ordering::Relaxed);
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The `sync_at` of the next row: max(now, last + 1), in microseconds (docs/design.md, section 2).
    pub fn next_sync_at(&self) -> db::Result<i64> {
        let end = self.end()?;
        let next = time::to_micros(self.now()).max(end.sync_at.saturating_add(1));
        self.end.set(Some(LogEnd { sync_at: next, ..end }));
        Ok(next)
    }

    fn end(&self) -> db::Result<LogEnd> {
        self.end.get().map_or_else(|| log_end(&self.connection), Ok)
    }

    /// Puts rows that are new beyond every row that the log ever had, and answers their `seq`; `None` for the others. Only rows
    /// that are there take a place, so that places have no gaps.
    pub fn place(&self, rows: &[NewRow<'_>], are_new: &[bool]) -> db::Result<Vec<Option<i64>>> {
        let end = self.end()?;
        let mut last = end.seq;
        let mut next = || {
            last += 1;
            last
        };
        let seqs: Vec<Option<i64>> = are_new.iter().map(|is_new| is_new.then(&mut next)).collect();
        let placed = rows.iter().zip(&seqs).filter_map(|(new, seq)| seq.map(|seq| PlacedRow { seq, new }));
        changes::insert(&self.connection, &placed.collect::<Vec<_>>())?;
        self.end.set(Some(LogEnd { seq: last, ..end }));
        Ok(seqs)
    }

    /// The transaction, unless the engine gave it up: its file is full.
    fn unless_lost(&self) -> StoreResult<&Self> {
        if self.connection.is_lost() { Err(StoreError::Full { path: self.path.to_owned() }) } else { Ok(self) }
    }

    /// Runs statements and sorts their error.
    pub fn sql<T>(&self, run: impl FnOnce(&db::Db<'_>) -> db::Result<T>) -> StoreResult<T> {
        run(&self.connection).map_err(|error| store_error(self.path, error))
    }
}

/// Tells a job's caller how it went, once the commit is known.
type JobAnswer = Box<dyn FnOnce(StoreResult<()>)>;
/// A script runs in the transaction, or hears why there is none.
type WriteScript = Box<dyn FnOnce(StoreResult<&SqlTx<'_>>) -> JobAnswer + Send>;

enum WriteJob {
    Script(WriteScript),
    Pushes(Vec<ClientPush>, Vec<oneshot::Sender<StoreResult<PushOutcome>>>),
}

pub(super) struct Writer {
    jobs: mpsc::Sender<WriteJob>,
    queued: Arc<AtomicUsize>,
    commits: watch::Receiver<()>,
    oddities: Arc<Oddities>,
}

impl Writer {
    /// Starts the thread, which tells `committed` of every commit.
    pub fn start(
        mut transactions: impl Transactions,
        path: PathBuf,
        clock: fn() -> Timestamp,
        committed: Arc<watch::Sender<()>>,
    ) -> StoreResult<Self> {
        let (jobs, mut inbox) = mpsc::channel::<WriteJob>(QUEUE);
        let queued = Arc::new(AtomicUsize::new(0));
        let waiting = Arc::clone(&queued);
        let oddities = Arc::new(Oddities::default());
        let counted = Arc::clone(&oddities);
        let commits = committed.subscribe();
        let run = move || {
            let mut pace = GroupCommit::default();
            while let Some(first) = inbox.blocking_recv() {
                let mut group = vec![first];
                pace.gather(&mut inbox, &mut group);
                waiting.fetch_sub(group.len(), Ordering::Relaxed);
                let size = group.len();
                let took = commit_group(&mut transactions, &path, clock, &counted, group);
                pace.answered(size, took);
                // Nobody may be listening.
                let _ = committed.send(());
            }
        };
        std::thread::Builder::new().name("store-writer".into()).spawn(run).map_err(|_| StoreError::Stopped)?;
        Ok(Writer { jobs, queued, commits, oddities })
    }

    /// What was odd in the rows so far.
    pub fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Whether a job would have to wait before it can be handed in.
    pub fn is_full(&self) -> bool {
        self.jobs.capacity() == 0
    }

    /// Changes after every group of writes.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.commits.clone()
    }

    pub async fn submit<T, E>(&self, job: impl FnOnce(&SqlTx<'_>) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let script: WriteScript = Box::new(move |tx| {
            let outcome = match tx {
                Ok(tx) => in_savepoint(tx, job),
                Err(error) => Err(error.into()),
            };
            answer(outcome, sender)
        });
        self.hand_in(WriteJob::Script(script)).await?;
        receiver.await.unwrap_or_else(|_| Err(StoreError::Stopped.into()))
    }

    /// Appends what a client pushed; pushes that wait together go into the log together.
    pub async fn push(&self, push: ClientPush) -> StoreResult<PushOutcome> {
        let (sender, receiver) = oneshot::channel();
        self.hand_in(WriteJob::Pushes(vec![push], vec![sender])).await?;
        receiver.await.unwrap_or(Err(StoreError::Stopped))
    }

    async fn hand_in(&self, job: WriteJob) -> StoreResult<()> {
        // A caller that gives up while it waits for a place must not count as queued.
        let place = self.jobs.reserve().await.map_err(|_| StoreError::Stopped)?;
        self.queued.fetch_add(1, Ordering::Relaxed);
        place.send(job);
        Ok(())
    }
}

/// How the last groups went. Callers that were answered together tend to come back together, but not at once: a wait of at
/// most what a sync takes brings them into one group, which saves a whole sync. What their rows cost, no wait saves.
#[derive(Default)]
struct GroupCommit {
    /// Jobs in the last group, and in the one before.
    sizes: [usize; 2],
    /// About the shortest that a commit took of late: what it takes with hardly a row.
    sync: Duration,
}

impl GroupCommit {
    /// Adds the jobs that wait, and those that are likely to come within the time of a commit.
    fn gather(&self, inbox: &mut mpsc::Receiver<WriteJob>, group: &mut Vec<WriteJob>) {
        let callers: usize = self.sizes.iter().sum();
        // One caller that does one thing after another must not be held up.
        let expected = if callers > 2 { callers.min(GROUP) } else { 0 };
        let started = Instant::now();
        loop {
            while group.len() < GROUP
                && let Ok(job) = inbox.try_recv()
            {
                group.push(job);
            }
            if group.len() >= expected || started.elapsed() + LOOK_EVERY > self.sync.min(LONGEST_WAIT) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Notes a group, and how long its commit took where it wrote anything.
    fn answered(&mut self, size: usize, took: Option<Duration>) {
        self.sizes = [size, self.sizes[0]];
        if let Some(took) = took {
            self.sync = if self.sync.is_zero() { took } else { took.min(self.sync + self.sync / 8) };
        }
    }
}

/// Runs a job so that its failure undoes its own statements and no one else's.
fn in_savepoint<T, E: From<StoreError>>(tx: &SqlTx<'_>, job: impl FnOnce(&SqlTx<'_>) -> Result<T, E>) -> Result<T, E> {
    if tx.is_alone {
        return job(tx).inspect_err(|_| tx.has_failed.set(true));
    }
    tx.sql(|c| c.execute_batch("SAVEPOINT job"))?;
    let last = tx.end.get();
    let outcome = job(tx);
    if outcome.is_err() {
        tx.end.set(last);
    }
    let end = if outcome.is_ok() { "RELEASE job" } else { "ROLLBACK TO job; RELEASE job" };
    match (outcome, tx.sql(|c| c.execute_batch(end))) {
        (Ok(value), Ok(())) => Ok(value),
        (Ok(_), Err(error)) => {
            // A statement failed and the job passed over it; others in the transaction go on.
            let _ = tx.sql(|c| c.execute_batch("ROLLBACK TO job; RELEASE job"));
            Err(error.into())
        }
        (Err(error), _) => Err(error),
    }
}

/// The jobs in their order, with pushes that follow one another as one.
fn joined(jobs: Vec<WriteJob>) -> Vec<WriteJob> {
    jobs.into_iter().fold(Vec::new(), |mut joined, job| {
        match (joined.last_mut(), job) {
            (Some(WriteJob::Pushes(pushes, callers)), WriteJob::Pushes(more, their_callers)) => {
                pushes.extend(more);
                callers.extend(their_callers);
            }
            (_, job) => joined.push(job),
        }
        joined
    })
}

impl WriteJob {
    fn run(self, tx: StoreResult<&SqlTx<'_>>) -> Vec<JobAnswer> {
        match self {
            WriteJob::Script(script) => vec![script(tx)],
            WriteJob::Pushes(pushes, callers) => {
                let outcomes = push_all(tx, &pushes);
                outcomes.into_iter().zip(callers).map(|(outcome, caller)| answer(outcome, caller)).collect()
            }
        }
    }
}

/// Appends pushes together, and reads for each what is new; where one of them fails, each by itself.
fn push_all(tx: StoreResult<&SqlTx<'_>>, pushes: &[ClientPush]) -> Vec<StoreResult<PushOutcome>> {
    let appended = tx.clone().and_then(|tx| in_savepoint(tx, |tx| script::push(tx, pushes)));
    match (appended, tx.and_then(SqlTx::unless_lost)) {
        (Ok(appended), Ok(tx)) => {
            let taken = |(push, appended): (&ClientPush, Appended)| PushOutcome {
                appended,
                page: short_page(&tx.connection, tx.now(), &push.then),
            };
            pushes.iter().zip(appended).map(|pushed| Ok(taken(pushed))).collect()
        }
        (Err(_), Ok(tx)) if pushes.len() > 1 => {
            pushes.iter().flat_map(|push| push_all(tx.unless_lost(), std::slice::from_ref(push))).collect()
        }
        (Err(error), _) | (Ok(_), Err(error)) => pushes.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// Tells a caller how its job went, once the commit is known.
fn answer<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    outcome: Result<T, E>,
    caller: oneshot::Sender<Result<T, E>>,
) -> JobAnswer {
    Box::new(move |committed| {
        // A caller that went away does not need the answer.
        let _ = caller.send(outcome.and_then(|value| committed.map(|()| value).map_err(E::from)));
    })
}

/// How a transaction ends.
pub(in crate::store) enum End {
    Commit,
    RollBack,
}

/// What runs groups of jobs, each in one transaction.
pub(in crate::store) trait Transactions: Send + 'static {
    /// Begins a transaction, runs the jobs in it and ends it as they say; it keeps nothing where they fail. What happens where
    /// it cannot begin, the jobs do not learn.
    fn run(&mut self, jobs: &mut dyn FnMut(db::Db<'_>) -> StoreResult<End>) -> StoreResult<()>;
}

/// Runs a group in one transaction, answers all after the commit, and tells how long the commit itself took; `None` where nothing
/// was written. Where it fails, all hear of it; where the engine gave up the whole transaction during a job (a full disk), so do
/// the jobs that ran before it.
fn commit_group(
    transactions: &mut dyn Transactions,
    path: &Path,
    clock: fn() -> Timestamp,
    oddities: &Oddities,
    group: Vec<WriteJob>,
) -> Option<Duration> {
    let (mut group, mut answers, mut ran) = (Some(group), Vec::new(), None);
    let committed = transactions.run(&mut |connection| {
        let jobs = group.take().unwrap_or_default();
        let (is_alone, has_failed, end) = (jobs.len() == 1, Cell::new(false), Cell::new(None));
        let tx = SqlTx { connection, path, clock, is_alone, has_failed, end, oddities };
        let changes = connection.changes();
        answers = joined(jobs).into_iter().flat_map(|job| job.run(tx.unless_lost())).collect();
        ran = (changes.is_none() || connection.changes() != changes).then(Instant::now);
        tx.unless_lost().map(|tx| if tx.has_failed.get() { End::RollBack } else { End::Commit })
    });
    let took = ran.filter(|_| committed.is_ok()).map(|ran| ran.elapsed());
    if let (Some(group), Err(error)) = (group, &committed) {
        answers = group.into_iter().flat_map(|job| job.run(Err(error.clone()))).collect();
    }
    for answer in answers {
        answer(committed.clone());
    }
    took
}
