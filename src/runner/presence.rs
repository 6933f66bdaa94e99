//! Proof that a process lives: an exclusive lock on a file, which the system gives up when the process ends,
//! however it ends (DESIGN, section 6).

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use uuid::Uuid;

use crate::durable::hand_over;

/// The presence of this process in a data directory.
pub struct Presence {
    owner: String,
    dir: PathBuf,
    /// Holds the lock for as long as it is open.
    _held: File,
}

/// The presence cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("cannot lock a file in {}: {cause}; check that you may write there", dir.display())]
pub struct PresenceError {
    dir: PathBuf,
    cause: std::io::Error,
}

impl Presence {
    /// Takes a lock under a new name.
    ///
    /// # Errors
    /// When no file can be made or locked in the directory.
    pub fn show(data_dir: &Path) -> Result<Self, PresenceError> {
        let dir = data_dir.join("locks");
        let failed = |cause| PresenceError { dir: dir.clone(), cause };
        if !dir.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
            // Whoever may write here could have put a link to another directory in its place.
            let no_link = (OFlags::NOFOLLOW | OFlags::DIRECTORY).bits().cast_signed();
            let made = OpenOptions::new().read(true).custom_flags(no_link).open(&dir).map_err(failed)?;
            hand_over(&made, data_dir).map_err(failed)?;
        }
        loop {
            let owner = Uuid::new_v4().to_string();
            let path = path(&dir, &owner);
            let held = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).map_err(failed)?;
            hand_over(&held, data_dir).map_err(failed)?;
            match held.try_lock() {
                // Someone who clears away old files may have come between.
                Ok(()) if path.exists() => return Ok(Presence { owner, dir, _held: held }),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
    }

    /// The name under which this process claims runs.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Whether the process of that name has ended: its file is gone, or its lock can be had.
    pub fn has_ended(&self, owner: &str) -> bool {
        if owner == self.owner {
            return false;
        }
        match File::open(path(&self.dir, owner)) {
            Ok(file) => file.try_lock().is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// Clears away the files of processes that ended.
    pub fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if let Some(owner) = name.to_str().and_then(|name| name.strip_suffix(".lock"))
                && self.has_ended(owner)
            {
                // Another process may have been faster; a file that stays is harmless.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Takes the file away, when the claims were given back.
    pub fn end(&self) {
        let _ = std::fs::remove_file(path(&self.dir, &self.owner));
    }
}

fn path(dir: &Path, owner: &str) -> PathBuf {
    dir.join(format!("{owner}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (Presence::show(dir.path()).unwrap(), Presence::show(dir.path()).unwrap());
        assert!(!one.has_ended(other.owner()) && !one.has_ended(one.owner()));
        assert!(one.has_ended("never there"));
        let name = other.owner().to_owned();
        drop(other);
        assert!(one.has_ended(&name));
        one.sweep();
        let left: Vec<_> = std::fs::read_dir(dir.path().join("locks")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, [std::ffi::OsString::from(format!("{}.lock", one.owner()))]);
    }
}
