//! What people decide about plans.

use serde_json::Value;

use super::{App, AppError, edit_by};
use crate::domain::merge::Record;
use crate::domain::mission::Mission;
use crate::domain::review::{Review, apply};
use crate::store::{StoreError, Table};

impl App {
    /// Writes a review into a mission, on its newest state: a plan that arrived meanwhile stays.
    ///
    /// # Errors
    /// Where there is no such mission, or the database cannot be written.
    pub async fn review(&self, user: &str, id: &str, review: Review) -> Result<(), AppError> {
        self.mission(user, id).await?;
        let mission_id = id.to_owned();
        let reviewed = move |before: Option<&Record>| {
            let iterations = before.map(|record| Mission::read(&mission_id, record).0.iterations).unwrap_or_default();
            let after = apply(&iterations, &review).filter(|after| *after != iterations);
            let after = after.map(|after| after.into_iter().map(Value::from).collect());
            Ok(after.map(|after| Record::from_iter([("iterations".to_owned(), after)])).unwrap_or_default())
        };
        Ok(self.store.edit::<StoreError>(edit_by(user, Table::Missions, id), reviewed).await?)
    }
}
