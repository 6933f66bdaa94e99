//! Ids as SQLite keeps them: texts.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};

use crate::domain::ids::{AgentId, IterationId, MissionId, RunId, StepId, UserId};

macro_rules! texts {
    ($($id:ident)*) => { $(
        impl ToSql for $id {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $id {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str().map($id::from)
            }
        }
    )* };
}

texts! { AgentId IterationId MissionId RunId StepId UserId }
