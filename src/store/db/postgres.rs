//! Postgres: statements, values and rows.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::error::Error as StdError;

use ::postgres::types::{Format, IsNull, ToSql as ToPostgres, Type, private::BytesMut};
use ::postgres::{Client, Config, Portal, Row, Statement, Transaction};
use rusqlite::types::{FromSql, FromSqlError, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Error, Result};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::domain::json::REPLACEMENT;

/// Statements that a connection keeps prepared, at most.
const STATEMENTS: usize = 500;
/// Rows that are fetched at first, and bytes that a further fetch aims at.
const FIRST_ROWS: i32 = 8;
const FETCH_BYTES: usize = 1024 * 1024;

/// What a transaction on Postgres can be asked.
pub(in crate::store) trait ServerSession {
    fn query(&self, sql: &str, given: &[&dyn ToSql]) -> Result<Vec<Row>>;
    fn execute(&self, sql: &str, given: &[&dyn ToSql]) -> Result<usize>;
    fn batch(&self, sql: &str) -> Result<()>;
    fn open(&self, sql: &str, given: &[&dyn ToSql]) -> Result<Portal>;
    fn fetch(&self, portal: &Portal, rows: i32) -> Result<Vec<Row>>;
}

/// A client that may be dropped anywhere: it blocks when it ends, which a thread that runs tasks may not.
pub(in crate::store) struct Blocking(Option<Client>);

impl Blocking {
    pub fn connect(config: &Config, tls: &MakeRustlsConnect) -> std::result::Result<Self, ::postgres::Error> {
        config.connect(tls.clone()).map(|client| Blocking(Some(client)))
    }

    /// `None` never, as long as it is not being dropped.
    pub fn client(&mut self) -> Result<&mut Client> {
        self.0.as_mut().ok_or(Error::InvalidQuery)
    }

    pub fn is_closed(&self) -> bool {
        self.0.as_ref().is_none_or(Client::is_closed)
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            // Without a thread it would have to be leaked.
            let _ = std::thread::Builder::new().name("store-close".into()).spawn(move || drop(client));
        }
    }
}

/// A client with the statements that it has prepared.
pub(in crate::store) struct PgClient {
    client: Blocking,
    statements: HashMap<String, Statement>,
    /// Hears of every answer.
    answered: Box<dyn Fn() + Send>,
}

impl PgClient {
    pub fn new(client: Blocking, answered: impl Fn() + Send + 'static) -> Self {
        PgClient { client, statements: HashMap::new(), answered: Box::new(answered) }
    }

    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Begins a transaction, one that only reads sees one state.
    pub fn begin(&mut self, reads_only: bool) -> Result<PgSession<'_>> {
        let transaction = if reads_only {
            let level = ::postgres::IsolationLevel::RepeatableRead;
            self.client.client()?.build_transaction().isolation_level(level).read_only(true).start()
        } else {
            self.client.client()?.transaction()
        };
        let transaction = transaction.map_err(postgres_error)?;
        (self.answered)();
        let open = Open { transaction, statements: &mut self.statements, answered: &*self.answered, has_failed: false };
        Ok(PgSession(RefCell::new(open)))
    }
}

/// A transaction.
pub(in crate::store) struct PgSession<'t>(RefCell<Open<'t>>);

struct Open<'t> {
    transaction: Transaction<'t>,
    statements: &'t mut HashMap<String, Statement>,
    answered: &'t (dyn Fn() + Send),
    /// The last statement failed, and perhaps the whole transaction with it.
    has_failed: bool,
}

impl Open<'_> {
    /// Does something in the transaction, and notes whether it went well.
    fn noted<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let outcome = run(self);
        self.has_failed = outcome.is_err();
        outcome
    }

    fn prepared(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        let statement = self.transaction.prepare(&numbered(sql)).map_err(postgres_error)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn with<T>(
        &mut self,
        sql: &str,
        given: &[&dyn ToSql],
        run: impl FnOnce(&mut Transaction<'_>, &Statement, &[&(dyn ToPostgres + Sync)]) -> std::result::Result<T, ::postgres::Error>,
    ) -> Result<T> {
        self.noted(|open| {
            let statement = open.prepared(sql)?;
            let given: Vec<BoundValue<'_>> = given.iter().map(|value| value.to_sql().map(BoundValue)).collect::<Result<_>>()?;
            let given: Vec<&(dyn ToPostgres + Sync)> = given.iter().map(|value| value as &(dyn ToPostgres + Sync)).collect();
            let answer = run(&mut open.transaction, &statement, &given).map_err(postgres_error);
            (open.answered)();
            answer
        })
    }
}

impl PgSession<'_> {
    /// # Errors
    /// When it cannot be known that all of it is kept. In a transaction that failed, Postgres keeps nothing and answers COMMIT
    /// as if all were well, but refuses everything else.
    pub fn commit(self) -> Result<()> {
        let Open { mut transaction, answered, has_failed, .. } = self.0.into_inner();
        if has_failed {
            transaction.batch_execute("SELECT 1").map_err(postgres_error)?;
        }
        transaction.commit().map_err(postgres_error)?;
        answered();
        Ok(())
    }
}

impl ServerSession for PgSession<'_> {
    fn query(&self, sql: &str, given: &[&dyn ToSql]) -> Result<Vec<Row>> {
        self.0.borrow_mut().with(sql, given, |transaction, statement, given| transaction.query(statement, given))
    }

    fn execute(&self, sql: &str, given: &[&dyn ToSql]) -> Result<usize> {
        let changed = self.0.borrow_mut().with(sql, given, |transaction, statement, given| transaction.execute(statement, given))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.0.borrow_mut().noted(|open| open.transaction.batch_execute(sql).map_err(postgres_error))
    }

    fn open(&self, sql: &str, given: &[&dyn ToSql]) -> Result<Portal> {
        self.0.borrow_mut().with(sql, given, |transaction, statement, given| transaction.bind(statement, given))
    }

    fn fetch(&self, portal: &Portal, rows: i32) -> Result<Vec<Row>> {
        self.0.borrow_mut().noted(|open| open.transaction.query_portal(portal, rows).map_err(postgres_error))
    }
}

/// Rows that are fetched some at a time, fewer where they are large.
pub(super) struct Fetched<'s> {
    session: &'s dyn ServerSession,
    portal: Portal,
    rows: VecDeque<Row>,
    current: Option<Row>,
    wanted: i32,
    more: bool,
}

impl<'s> Fetched<'s> {
    pub fn open(session: &'s dyn ServerSession, sql: &str, given: &[&dyn ToSql]) -> Result<Self> {
        let portal = session.open(sql, given)?;
        Ok(Fetched { session, portal, rows: VecDeque::new(), current: None, wanted: FIRST_ROWS, more: true })
    }

    pub fn next(&mut self) -> Result<Option<&Row>> {
        if self.rows.is_empty() && self.more {
            let rows = self.session.fetch(&self.portal, self.wanted)?;
            self.more = rows.len() == usize::try_from(self.wanted).unwrap_or(usize::MAX);
            let bytes: usize = rows.iter().map(bytes).sum();
            let fitting = FETCH_BYTES.saturating_mul(rows.len()) / bytes.max(1);
            self.wanted = i32::try_from(fitting).unwrap_or(i32::MAX).clamp(1, self.wanted.saturating_mul(8).min(10_000));
            self.rows = rows.into();
        }
        self.current = self.rows.pop_front();
        Ok(self.current.as_ref())
    }
}

fn bytes(row: &Row) -> usize {
    let texts = (0..row.len()).filter_map(|column| cell(row, column).ok());
    texts
        .map(|value| match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
            _ => 8,
        })
        .sum()
}

/// Writes `?1` as `$1`, and a `?` without a number as the next one; hints for the planner of SQLite go.
fn numbered(sql: &str) -> String {
    let sql = &without_hints(sql);
    let mut written = String::with_capacity(sql.len() + 8);
    let (mut in_text, mut last) = (false, 0);
    let mut rest = sql.chars().peekable();
    while let Some(char) = rest.next() {
        in_text ^= char == '\'';
        if char != '?' || in_text {
            written.push(char);
            continue;
        }
        written.push('$');
        if rest.peek().is_none_or(|next| !next.is_ascii_digit()) {
            last += 1;
            written += &last.to_string();
        }
    }
    written
}

fn without_hints(sql: &str) -> String {
    let mut parts = sql.split(" INDEXED BY ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |sql, part| sql + part.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || char == '_'))
}

/// A value on its way to Postgres, which says of which type it wants it.
#[derive(Debug)]
struct BoundValue<'a>(ToSqlOutput<'a>);

impl ToPostgres for BoundValue<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let value = match &self.0 {
            ToSqlOutput::Borrowed(value) => *value,
            ToSqlOutput::Owned(value) => ValueRef::from(value),
            other => return Err(format!("a value of a kind that only SQLite has: {other:?}").into()),
        };
        match (value, kind) {
            (ValueRef::Null, _) => return Ok(IsNull::Yes),
            (ValueRef::Integer(number), &Type::INT8) => return ToPostgres::to_sql(&number, kind, out),
            (ValueRef::Integer(number), &Type::INT4) => return ToPostgres::to_sql(&i32::try_from(number)?, kind, out),
            (ValueRef::Integer(number), &Type::BOOL) => return ToPostgres::to_sql(&(number != 0), kind, out),
            (ValueRef::Integer(number), &Type::TEXT) => out.extend_from_slice(number.to_string().as_bytes()),
            (ValueRef::Text(text), &Type::TEXT | &Type::VARCHAR | &Type::JSON) => extend_without_nul(out, text),
            (ValueRef::Blob(bytes), &Type::BYTEA) => out.extend_from_slice(bytes),
            (value, kind) => return Err(format!("a value of the kind {} where {kind} belongs", value.data_type()).into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    ::postgres::types::to_sql_checked!();
}

/// Postgres keeps no U+0000 in a text and refuses it in every query; changes have U+FFFD in its place when they come in.
fn extend_without_nul(out: &mut BytesMut, text: &[u8]) {
    let mut parts = text.split(|byte| *byte == 0);
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        out.extend_from_slice(REPLACEMENT.as_bytes());
        out.extend_from_slice(part);
    }
}

/// A column, read as the value of another engine would be.
pub(super) fn get<T: FromSql>(row: &Row, column: usize) -> Result<T> {
    let value = cell(row, column)?;
    T::column_result(value).map_err(|error| {
        let name = row.columns().get(column).map_or_else(String::new, |column| column.name().to_owned());
        match error {
            FromSqlError::InvalidType => Error::InvalidColumnType(column, name, value.data_type()),
            FromSqlError::OutOfRange(number) => Error::IntegralValueOutOfRange(column, number),
            FromSqlError::Utf8Error(error) => Error::Utf8Error(column, error),
            error => Error::FromSqlConversionFailure(column, value.data_type(), Box::new(error)),
        }
    })
}

/// Looks at a column.
pub(super) fn cell(row: &Row, column: usize) -> Result<ValueRef<'_>> {
    let Some(kind) = row.columns().get(column).map(|column| column.type_().clone()) else { return Err(Error::InvalidColumnIndex(column)) };
    let value = match kind {
        Type::INT8 => row.try_get::<_, Option<i64>>(column).map(|value| value.map(ValueRef::Integer)),
        Type::INT4 => row.try_get::<_, Option<i32>>(column).map(|value| value.map(|value| ValueRef::Integer(value.into()))),
        Type::INT2 => row.try_get::<_, Option<i16>>(column).map(|value| value.map(|value| ValueRef::Integer(value.into()))),
        Type::BOOL => row.try_get::<_, Option<bool>>(column).map(|value| value.map(|value| ValueRef::Integer(value.into()))),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(column).map(|value| value.map(ValueRef::Real)),
        Type::BYTEA => row.try_get::<_, Option<&[u8]>>(column).map(|value| value.map(ValueRef::Blob)),
        _ => row.try_get::<_, Option<&str>>(column).map(|value| value.map(|text| ValueRef::Text(text.as_bytes()))),
    };
    Ok(value.map_err(postgres_error)?.unwrap_or(ValueRef::Null))
}

/// An error of Postgres, as queries pass it on.
fn postgres_error(error: ::postgres::Error) -> Error {
    Error::ToSqlConversionFailure(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::{BytesMut, extend_without_nul, numbered};

    #[test]
    fn a_text_goes_to_postgres_without_nul() {
        for (text, sent) in [("a", "a"), ("", ""), ("a\0b\0", "a\u{FFFD}b\u{FFFD}")] {
            let mut out = BytesMut::new();
            extend_without_nul(&mut out, text.as_bytes());
            assert_eq!(out, sent.as_bytes());
        }
    }

    #[test]
    fn values_are_numbered_and_texts_stay() {
        assert_eq!(numbered("SELECT '?1', a FROM t WHERE b = ?2 AND c = ?1"), "SELECT '?1', a FROM t WHERE b = $2 AND c = $1");
        assert_eq!(numbered("SELECT a FROM t WHERE b = ? AND c = ?"), "SELECT a FROM t WHERE b = $1 AND c = $2");
    }
}
