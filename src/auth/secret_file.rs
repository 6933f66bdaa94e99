//! Secrets that the program makes once and keeps in the data directory, readable by its owner only.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::durable::write_new;

/// A secret file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the {what} file {}: {reason}; {remedy}", path.display())]
pub struct SecretError {
    what: &'static str,
    path: PathBuf,
    reason: String,
    /// What its user can do.
    pub remedy: &'static str,
}

/// One kind of secret.
pub struct SecretFile {
    pub what: &'static str,
    pub name: &'static str,
    /// What a user can do where the file cannot be used.
    pub remedy: &'static str,
}

impl SecretFile {
    /// The file's text; where there is none, it is made with what `make` gives.
    ///
    /// # Errors
    /// When the file cannot be read or made.
    pub fn load(&self, data_dir: &Path, make: impl FnOnce() -> Option<Zeroizing<String>>) -> Result<Zeroizing<String>, SecretError> {
        let path = data_dir.join(self.name);
        let failed = |error: std::io::Error| self.unusable(data_dir, error.to_string());
        if !path.exists() {
            let secret = make().ok_or_else(|| self.unusable(data_dir, "no random numbers".into()))?;
            if write_new(&path, &secret, 0o600).map_err(failed)? {
                tracing::info!(path = %path.display(), "made a {} file", self.what);
            }
        }
        if let Some(mode) = path.metadata().ok().map(|file| file.permissions().mode() & 0o777).filter(|mode| mode & 0o077 != 0) {
            tracing::warn!(path = %path.display(), mode = format!("{mode:o}"), "others on this machine have access to a {}; chmod 600 it", self.what);
        }
        std::fs::read_to_string(&path).map(Zeroizing::new).map_err(failed)
    }

    /// The error of a file that is there and not usable.
    pub fn unusable(&self, data_dir: &Path, reason: String) -> SecretError {
        SecretError { what: self.what, path: data_dir.join(self.name), reason, remedy: self.remedy }
    }
}
