//! Who uses this server, who may administer it, and how each wants to be spoken to.

use jiff::Timestamp;

use super::removal::{has_no_other_admin, is_removed, let_in_again};
use super::{Store, StoreResult};
use crate::domain::ids::UserId;
use crate::domain::person::{PersonRole, Preferences};
use crate::domain::time;
use crate::store::db::{self, Db, OptionalExtension, Row, params};

/// Somebody who uses this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub user: UserId,
    pub role: PersonRole,
    pub added_at: Timestamp,
    /// `None`: invited, and never signed in.
    pub joined_at: Option<Timestamp>,
}

/// What became of a change of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleChange {
    Changed,
    /// There is no such person.
    NoPerson,
    /// Somebody has to administer the server.
    LastAdmin,
}

impl Store {
    /// People by their ids, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn people(&self, limit: u32) -> StoreResult<Vec<Person>> {
        let query = "SELECT user_id, role, added_at, joined_at FROM people ORDER BY user_id LIMIT ?1";
        self.read(move |c| c.prepare_cached(query)?.query_map([limit], person)?.collect()).await
    }

    /// Who has data here and is none of the people, by their ids, at most `limit`: it was imported, or came with a token.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn strangers(&self, limit: u32) -> StoreResult<Vec<UserId>> {
        let query = "SELECT user_id FROM user_log WHERE NOT EXISTS (SELECT 1 FROM people WHERE people.user_id = user_log.user_id) \
                     AND NOT EXISTS (SELECT 1 FROM removals WHERE removals.user_id = user_log.user_id) ORDER BY user_id LIMIT ?1";
        self.read(move |c| c.prepare_cached(query)?.query_map([limit], |row| row.get(0))?.collect()).await
    }

    /// One person.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn person(&self, user: &UserId) -> StoreResult<Option<Person>> {
        let (user, query) = (user.to_owned(), "SELECT user_id, role, added_at, joined_at FROM people WHERE user_id = ?1");
        self.read(move |c| c.prepare_cached(query)?.query_row([user], person).optional()).await
    }

    /// Adds somebody who was invited; `false` where they are there, or have data here already.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn invite(&self, user: &UserId, role: PersonRole) -> StoreResult<bool> {
        let user = user.to_owned();
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            tx.sql(|c| {
                if !let_in_again(c, &user)? {
                    return Ok(false);
                }
                let insert = "INSERT INTO people (user_id, role, added_at) SELECT ?1, ?2, ?3 \
                              WHERE NOT EXISTS (SELECT 1 FROM sync_changes WHERE user_id = ?1) ON CONFLICT (user_id) DO NOTHING";
                c.execute(insert, params![user, role.as_str(), now]).map(|n| n == 1)
            })
        })
        .await
    }

    /// Adds somebody who may have data here already; nothing where they are known, or were removed.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn add_person(&self, user: &UserId, role: PersonRole) -> StoreResult<()> {
        let user = user.to_owned();
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            let insert = "INSERT INTO people (user_id, role, added_at) VALUES (?1, ?2, ?3) ON CONFLICT (user_id) DO NOTHING";
            tx.sql(|c| match is_removed(c, user.as_str())? {
                true => Ok(()),
                false => c.execute(insert, params![user, role.as_str(), now]).map(drop),
            })
        })
        .await
    }

    /// Gives a person a role; the last who may administer the server keeps it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_role(&self, user: &UserId, role: PersonRole) -> StoreResult<RoleChange> {
        let user = user.to_owned();
        self.write(move |tx| {
            tx.sql(|c| {
                if role != PersonRole::Admin && has_no_other_admin(c, &user)? {
                    return Ok(RoleChange::LastAdmin);
                }
                let changed = c.execute("UPDATE people SET role = ?2 WHERE user_id = ?1", params![user, role.as_str()])?;
                Ok(if changed == 1 { RoleChange::Changed } else { RoleChange::NoPerson })
            })
        })
        .await
    }

    /// Takes back an invitation that nobody accepted, with its links; `false` where there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn uninvite(&self, user: &UserId) -> StoreResult<bool> {
        let user = user.to_owned();
        self.write(move |tx| {
            tx.sql(|c| {
                let gone = c.execute("DELETE FROM people WHERE user_id = ?1 AND joined_at IS NULL", [&user])? == 1;
                if gone {
                    c.execute("DELETE FROM sign_in_links WHERE user_id = ?1 AND used = 0", [&user])?;
                }
                Ok(gone)
            })
        })
        .await
    }

    /// What a user prefers.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn preferences(&self, user: &UserId) -> StoreResult<Preferences> {
        let (user, query) = (user.to_owned(), "SELECT language, time_zone FROM preferences WHERE user_id = ?1");
        let read = |row: &Row<'_>| Ok(Preferences { language: row.get(0)?, zone: row.get(1)? });
        Ok(self.read(move |c| c.prepare_cached(query)?.query_row([user], read).optional()).await?.unwrap_or_default())
    }

    /// # Errors
    /// When the database cannot be written.
    pub async fn set_preferences(&self, user: &UserId, preferences: Preferences) -> StoreResult<()> {
        let user = user.to_owned();
        let upsert = "INSERT INTO preferences (user_id, language, time_zone) VALUES (?1, ?2, ?3) \
                      ON CONFLICT (user_id) DO UPDATE SET language = excluded.language, time_zone = excluded.time_zone";
        self.write(move |tx| tx.sql(|c| c.execute(upsert, params![user, preferences.language, preferences.zone]).map(drop))).await
    }
}

/// Notes that somebody signed in; `role` is what it makes of them, where they have a lesser one.
pub(super) fn join(c: &Db<'_>, user: &UserId, role: PersonRole, now: i64) -> db::Result<()> {
    let upsert = "INSERT INTO people (user_id, role, added_at, joined_at) VALUES (?1, ?2, ?3, ?3) ON CONFLICT (user_id) DO UPDATE \
                  SET joined_at = coalesce(people.joined_at, excluded.joined_at), role = CASE WHEN excluded.role = 'admin' THEN 'admin' ELSE people.role END";
    c.execute(upsert, params![user, role.as_str(), now]).map(drop)
}

fn person(row: &Row<'_>) -> db::Result<Person> {
    Ok(Person {
        user: row.get(0)?,
        role: PersonRole::parse(&row.get::<_, String>(1)?).unwrap_or(PersonRole::Member),
        added_at: time::from_micros(row.get(2)?),
        joined_at: row.get::<_, Option<i64>>(3)?.map(time::from_micros),
    })
}
