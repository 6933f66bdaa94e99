//! Secrets that the program makes once and keeps in the data directory, readable by its owner only.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// A secret file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the {what} file {}: {reason}; {remedy}", path.display())]
pub struct SecretError {
    what: &'static str,
    path: PathBuf,
    reason: String,
    remedy: &'static str,
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
            if write_new(&path, &secret).map_err(failed)? {
                tracing::info!(path = %path.display(), "made a {} file", self.what);
            }
        }
        std::fs::read_to_string(&path).map(Zeroizing::new).map_err(failed)
    }

    /// The error of a file that is there and not usable.
    pub fn unusable(&self, data_dir: &Path, reason: String) -> SecretError {
        SecretError { what: self.what, path: data_dir.join(self.name), reason, remedy: self.remedy }
    }
}

/// Writes a new file; `false` where another process was first.
/// The file appears whole, so that two processes that start together agree on one secret.
fn write_new(path: &Path, secret: &str) -> std::io::Result<bool> {
    let draft = path.with_extension(format!("{}.draft", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
