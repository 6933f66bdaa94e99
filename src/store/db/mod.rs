//! A connection of either engine, and one way to ask it.
//!
//! A query is written once, in SQL that both engines read, with `?1` for its first value. Values and errors are those of
//! rusqlite on both; an error of Postgres travels inside one.

pub(super) use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, Type, Value, ValueRef};
pub(super) use rusqlite::{Error, OptionalExtension, Result, params};

mod postgres;

pub(super) use postgres::{Blocking, PgClient, ServerSession};

/// A connection, in a transaction or not.
#[derive(Clone, Copy)]
pub(super) struct Db<'c>(ConnectedTo<'c>);

#[derive(Clone, Copy)]
enum ConnectedTo<'c> {
    Sqlite(&'c rusqlite::Connection),
    Postgres(&'c dyn ServerSession),
}

impl<'c> From<&'c rusqlite::Connection> for Db<'c> {
    fn from(connection: &'c rusqlite::Connection) -> Self {
        Db(ConnectedTo::Sqlite(connection))
    }
}

impl<'c> From<&'c dyn ServerSession> for Db<'c> {
    fn from(session: &'c dyn ServerSession) -> Self {
        Db(ConnectedTo::Postgres(session))
    }
}

impl<'c> Db<'c> {
    /// That of SQLite; `None` on Postgres.
    pub fn sqlite(&self) -> Option<&'c rusqlite::Connection> {
        match self.0 {
            ConnectedTo::Sqlite(connection) => Some(connection),
            ConnectedTo::Postgres(_) => None,
        }
    }

    /// A statement, prepared once for each connection.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'c>> {
        // Without its values, which are somebody's.
        tracing::trace!(target: "mana_ai::sql", sql, "a query");
        Ok(match self.0 {
            ConnectedTo::Sqlite(connection) => Statement(Prepared::Sqlite(connection.prepare_cached(sql)?)),
            ConnectedTo::Postgres(session) => Statement(Prepared::Postgres { session, sql: sql.to_owned() }),
        })
    }

    /// Runs a statement that changes rows, and answers how many.
    pub fn execute(&self, sql: &str, given: impl BoundValues) -> Result<usize> {
        self.prepare_cached(sql)?.execute(given)
    }

    /// Shows the first row.
    pub fn query_row<T>(&self, sql: &str, given: impl BoundValues, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        self.prepare_cached(sql)?.query_row(given, read)
    }

    /// Runs statements without values.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        match self.0 {
            ConnectedTo::Sqlite(connection) => connection.execute_batch(sql),
            ConnectedTo::Postgres(session) => session.batch(sql),
        }
    }

    /// Rows that this connection has written so far; `None` where the engine does not count them.
    pub fn changes(&self) -> Option<u64> {
        self.sqlite().map(rusqlite::Connection::total_changes)
    }

    /// Whether the engine gave up the transaction by itself.
    pub fn is_lost(&self) -> bool {
        self.sqlite().is_some_and(rusqlite::Connection::is_autocommit)
    }
}

/// A prepared statement.
pub(super) struct Statement<'c>(Prepared<'c>);

enum Prepared<'c> {
    Sqlite(rusqlite::CachedStatement<'c>),
    Postgres { session: &'c dyn ServerSession, sql: String },
}

impl<'c> Statement<'c> {
    pub fn execute(&mut self, given: impl BoundValues) -> Result<usize> {
        given.with(|given| match &mut self.0 {
            Prepared::Sqlite(statement) => statement.execute(given),
            Prepared::Postgres { session, sql } => session.execute(sql, given),
        })
    }

    /// Whether there is a row.
    pub fn exists(&mut self, given: impl BoundValues) -> Result<bool> {
        self.query_row(given, |_| Ok(())).optional().map(|found| found.is_some())
    }

    /// Shows the first row; an error where there is none.
    pub fn query_row<T>(&mut self, given: impl BoundValues, read: impl FnOnce(&Row<'_>) -> Result<T>) -> Result<T> {
        match &mut self.0 {
            Prepared::Sqlite(_) => match self.query(given)?.next()? {
                Some(row) => read(&row),
                None => Err(Error::QueryReturnedNoRows),
            },
            Prepared::Postgres { session, sql } => match given.with(|given| session.query(sql, given))?.first() {
                Some(row) => read(&Row(Read::Postgres(row))),
                None => Err(Error::QueryReturnedNoRows),
            },
        }
    }

    /// Reads every row.
    pub fn query_map<T>(
        &mut self,
        given: impl BoundValues,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<std::vec::IntoIter<Result<T>>> {
        let all: Vec<Result<T>> = match &mut self.0 {
            Prepared::Sqlite(_) => {
                let (mut rows, mut all) = (self.query(given)?, Vec::new());
                while let Some(row) = rows.next()? {
                    all.push(read(&row));
                }
                all
            }
            // All are wanted, so they come with one answer.
            Prepared::Postgres { session, sql } => {
                let rows = given.with(|given| session.query(sql, given))?;
                rows.iter().map(|row| read(&Row(Read::Postgres(row)))).collect()
            }
        };
        Ok(all.into_iter())
    }

    /// The rows, one after the other.
    pub fn query(&mut self, given: impl BoundValues) -> Result<DbRows<'_>> {
        given.with(|given| {
            Ok(match &mut self.0 {
                Prepared::Sqlite(statement) => DbRows(FoundRows::Sqlite(statement.query(given)?)),
                Prepared::Postgres { session, sql } => DbRows(FoundRows::Postgres(postgres::Fetched::open(*session, sql, given)?)),
            })
        })
    }
}

/// The rows of an answer.
pub(super) struct DbRows<'s>(FoundRows<'s>);

enum FoundRows<'s> {
    Sqlite(rusqlite::Rows<'s>),
    Postgres(postgres::Fetched<'s>),
}

impl DbRows<'_> {
    pub fn next(&mut self) -> Result<Option<Row<'_>>> {
        Ok(match &mut self.0 {
            FoundRows::Sqlite(rows) => rows.next()?.map(|row| Row(Read::Sqlite(row))),
            FoundRows::Postgres(rows) => rows.next()?.map(|row| Row(Read::Postgres(row))),
        })
    }
}

/// A row of an answer.
pub(super) struct Row<'r>(Read<'r>);

enum Read<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r ::postgres::Row),
}

impl Row<'_> {
    /// Reads a column, by its place or its name.
    pub fn get<I: Place, T: FromSql>(&self, column: I) -> Result<T> {
        match &self.0 {
            Read::Sqlite(row) => row.get(column),
            Read::Postgres(row) => postgres::get(row, column.of(row)?),
        }
    }

    /// Looks at a column as it is.
    pub fn get_ref(&self, column: impl Place) -> Result<ValueRef<'_>> {
        match &self.0 {
            Read::Sqlite(row) => row.get_ref(column),
            Read::Postgres(row) => postgres::cell(row, column.of(row)?),
        }
    }
}

/// A column, by its place or its name.
pub(super) trait Place: rusqlite::RowIndex {
    fn of(&self, row: &::postgres::Row) -> Result<usize>;
}

impl Place for usize {
    fn of(&self, row: &::postgres::Row) -> Result<usize> {
        if *self < row.len() { Ok(*self) } else { Err(Error::InvalidColumnIndex(*self)) }
    }
}

impl Place for &str {
    fn of(&self, row: &::postgres::Row) -> Result<usize> {
        row.columns().iter().position(|column| column.name() == *self).ok_or_else(|| Error::InvalidColumnName((*self).to_owned()))
    }
}

/// The values of a statement.
pub(super) trait BoundValues {
    fn with<T>(self, run: impl FnOnce(&[&dyn ToSql]) -> T) -> T;
}

impl BoundValues for &[&dyn ToSql] {
    fn with<T>(self, run: impl FnOnce(&[&dyn ToSql]) -> T) -> T {
        run(self)
    }
}

impl<V: ToSql> BoundValues for Vec<V> {
    fn with<T>(self, run: impl FnOnce(&[&dyn ToSql]) -> T) -> T {
        let values: Vec<&dyn ToSql> = self.iter().map(|value| value as &dyn ToSql).collect();
        run(&values)
    }
}

impl<V: ToSql, const N: usize> BoundValues for [V; N] {
    fn with<T>(self, run: impl FnOnce(&[&dyn ToSql]) -> T) -> T {
        run(&self.each_ref().map(|value| value as &dyn ToSql))
    }
}
