//! Ids as SQLite keeps them: texts.

use crate::domain::ids::{AgentId, IterationId, MissionId, RunId, StepId, UserId};
use crate::store::db::{self, FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

macro_rules! texts {
    ($($id:ident)*) => { $(
        impl ToSql for $id {
            fn to_sql(&self) -> db::Result<ToSqlOutput<'_>> {
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
