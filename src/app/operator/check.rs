//! Checking the database, and repairing what follows from the log.

use super::Operator;
use crate::store::{Check, Finding, StoreError, StoreResult};

impl Operator {
    /// Checks the file, the log, and what was made out of the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn check(&self) -> StoreResult<Check> {
        self.store.take_in_arrivals().await?;
        let check = self.store.check_log().await?;
        if check.log_in_doubt {
            return Ok(check);
        }
        // What no refresh has seen yet is folded in once, and not again for each record; where that fails, the check tells why.
        let _ = self.refresh().await;
        self.store.check_projection(check).await
    }

    /// Repairs until nothing is left, or a round repairs nothing. Answers what is left, and what was repaired.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn repair(&self, mut check: Check) -> StoreResult<(Check, Vec<Finding>)> {
        let mut repaired = Vec::new();
        while !check.findings.is_empty() {
            match self.store.repair(&check.findings).await {
                // What the rows themselves do not allow, no second try fixes.
                Err(StoreError::Engine { .. }) => break,
                outcome => outcome?,
            }
            let again = self.check().await?;
            let (left, gone): (Vec<_>, Vec<_>) = check.findings.into_iter().partition(|finding| again.findings.contains(finding));
            repaired.extend(gone);
            check = again;
            if check.findings == left {
                break;
            }
        }
        Ok((check, repaired))
    }
}
