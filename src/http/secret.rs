//! The service key: given by the configuration, or made once and kept in the data directory.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::{constant_time, digest, rand};

const FILE_NAME: &str = "service-key";

/// The key of the internal routes.
pub struct ServiceKey {
    /// Hashes compare in constant time whatever the length of what was sent.
    hash: digest::Digest,
}

/// The key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the service key file {}: {reason}; set MANA_SERVICE_KEY, or remove the file to have a new key made", path.display())]
pub struct SecretError {
    path: PathBuf,
    reason: String,
}

impl ServiceKey {
    pub fn new(key: &str) -> Self {
        ServiceKey { hash: hash(key.as_bytes()) }
    }

    /// The configured key, else the one in the data directory, which is made where it is missing.
    ///
    /// # Errors
    /// When the file cannot be read or made, or is empty.
    pub fn load(configured: Option<&str>, data_dir: &Path) -> Result<Self, SecretError> {
        if let Some(key) = configured {
            return Ok(Self::new(key));
        }
        let path = data_dir.join(FILE_NAME);
        let failed = |reason: String| SecretError { path: path.clone(), reason };
        let made = make(&path).map_err(|error| failed(error.to_string()))?;
        let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
        if text.trim().len() < 16 {
            return Err(failed("it holds less than 16 characters".into()));
        }
        if made {
            tracing::info!(path = %path.display(), "made a service key");
        }
        Ok(Self::new(text.trim()))
    }

    /// Whether `given` is the key.
    pub fn is(&self, given: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(self.hash.as_ref(), hash(given).as_ref()).is_ok()
    }
}

fn hash(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

/// Writes a new key, readable by its owner only; `false` where the file is there already.
/// The file appears whole, so that two processes that start together agree on one key.
fn make(path: &Path) -> std::io::Result<bool> {
    if path.exists() {
        return Ok(false);
    }
    let mut random = [0; 32];
    rand::fill(&mut random).map_err(|_| std::io::Error::other("no random numbers"))?;
    let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(format!("{key}\n").as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        ServiceKey::load(None, dir.path()).unwrap();
        let path = dir.path().join(FILE_NAME);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.trim().len(), path.metadata().unwrap().permissions().mode() & 0o777), (64, 0o600));
        let again = ServiceKey::load(None, dir.path()).unwrap();
        assert!(again.is(text.trim().as_bytes()) && !again.is(b"") && !again.is(b"guess"));
        assert!(ServiceKey::load(Some("configured"), dir.path()).unwrap().is(b"configured"));
        std::fs::write(&path, "").unwrap();
        assert!(ServiceKey::load(None, dir.path()).is_err());
    }
}
