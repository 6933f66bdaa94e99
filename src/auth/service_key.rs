//! The service key: given by the configuration, or made once and kept in the data directory.

use std::path::Path;

use aws_lc_rs::{constant_time, digest, rand};
use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::secret_file::{SecretError, SecretFile};

const FILE: SecretFile =
    SecretFile { what: "service key", name: "service-key", remedy: "set MANA_SERVICE_KEY, or remove the file to have a new key made" };

/// The key of the internal routes.
pub struct ServiceKey {
    /// Hashes compare in constant time whatever the length of what was sent.
    hash: digest::Digest,
}

impl ServiceKey {
    /// The name of its file in the data directory.
    pub const FILE_NAME: &str = FILE.name;

    pub fn new(key: &str) -> Self {
        ServiceKey { hash: hash(key.as_bytes()) }
    }

    /// The configured key, else the one in the data directory, which is made where it is missing.
    ///
    /// # Errors
    /// When the file cannot be read or made, or is too short.
    pub fn load(configured: Option<&str>, data_dir: &Path) -> Result<Self, SecretError> {
        if let Some(key) = configured {
            return Ok(Self::new(key));
        }
        let text = FILE.load(data_dir, make)?;
        if text.trim().len() < 16 {
            return Err(FILE.unusable(data_dir, "it holds less than 16 characters".into()));
        }
        Ok(Self::new(text.trim()))
    }

    /// Whether `given` is the key.
    pub fn verify(&self, given: &[u8]) -> bool {
        constant_time::verify_slices_are_equal(self.hash.as_ref(), hash(given).as_ref()).is_ok()
    }
}

fn hash(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

fn make() -> Option<Zeroizing<String>> {
    let mut random = Zeroizing::new([0; 32]);
    rand::fill(random.as_mut_slice()).ok()?;
    Some(Zeroizing::new(HEXLOWER.encode(random.as_slice()) + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        ServiceKey::load(None, dir.path()).unwrap();
        let path = dir.path().join(FILE.name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.trim().len(), path.metadata().unwrap().permissions().mode() & 0o777), (64, 0o600));
        let again = ServiceKey::load(None, dir.path()).unwrap();
        assert!(again.verify(text.trim().as_bytes()) && !again.verify(b"") && !again.verify(b"guess"));
        assert!(ServiceKey::load(Some("configured"), dir.path()).unwrap().verify(b"configured"));
        std::fs::write(&path, "").unwrap();
        assert!(ServiceKey::load(None, dir.path()).is_err());
    }
}
