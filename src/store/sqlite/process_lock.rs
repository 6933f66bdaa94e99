//! Proof that a process lives: an exclusive lock on a file, which the system gives up when the process ends,
//! however it ends (docs/design.md, section 6).

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, statat, unlinkat};
use uuid::Uuid;

use crate::durable::chown_to_directory_owner;

/// The presence of this process in a data directory.
pub struct ProcessLock {
    owner: String,
    /// The directory of locks itself, whatever its path leads to later.
    dir: File,
    /// Holds the lock for as long as it is open.
    _held: File,
}

/// The presence cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("cannot lock a file in {}: {cause}; check that you may write there, and that it is a directory and no link to one", dir.display())]
pub struct ProcessLockError {
    dir: PathBuf,
    cause: std::io::Error,
}

impl ProcessLock {
    /// Takes a lock under a new name.
    ///
    /// # Errors
    /// When no file can be made or locked in the directory.
    pub fn show(data_dir: &Path) -> Result<Self, ProcessLockError> {
        let path = data_dir.join("locks");
        let failed = |cause| ProcessLockError { dir: path.clone(), cause };
        let new = path.symlink_metadata().is_err();
        if new {
            DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
        }
        // Whoever may write here could have put a link to another directory in its place, whose files are not ours to clear.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = File::from(openat(CWD, &path, flags, Mode::empty()).map_err(|error| failed(error.into()))?);
        if new {
            chown_to_directory_owner(&dir, data_dir).map_err(failed)?;
        }
        loop {
            let owner = Uuid::new_v4().to_string();
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let held = openat(&dir, file_of(&owner), flags, Mode::RUSR | Mode::WUSR).map_err(|error| failed(error.into()))?;
            let held = File::from(held);
            chown_to_directory_owner(&held, data_dir).map_err(failed)?;
            match held.try_lock() {
                // Someone who clears away old files may have come between.
                Ok(()) if statat(&dir, file_of(&owner), AtFlags::SYMLINK_NOFOLLOW).is_ok() => {
                    return Ok(ProcessLock { owner, dir, _held: held });
                }
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
        // A pipe in its place would make the one who opens it wait.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.dir, file_of(owner), flags, Mode::empty()) {
            Ok(file) => File::from(file).try_lock().is_ok(),
            Err(error) => error == rustix::io::Errno::NOENT,
        }
    }

    /// Clears away the files of processes that ended. Files that no process of this program made stay.
    pub fn sweep(&self) {
        let Ok(entries) = Dir::read_from(&self.dir) else { return };
        for entry in entries.flatten() {
            let owner = entry.file_name().to_str().ok().and_then(|name| name.strip_suffix(".lock"));
            if let Some(owner) = owner.filter(|owner| Uuid::try_parse(owner).is_ok())
                && self.has_ended(owner)
            {
                // Another process may have been faster; a file that stays is harmless.
                let _ = unlinkat(&self.dir, file_of(owner), AtFlags::empty());
            }
        }
    }

    /// Takes the file away, when the claims were given back.
    pub fn end(&self) {
        let _ = unlinkat(&self.dir, file_of(&self.owner), AtFlags::empty());
    }
}

fn file_of(owner: &str) -> String {
    format!("{owner}.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_ends_with_its_holder() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (ProcessLock::show(dir.path()).unwrap(), ProcessLock::show(dir.path()).unwrap());
        assert!(!one.has_ended(other.owner()) && !one.has_ended(one.owner()));
        assert!(one.has_ended("never there"));
        let name = other.owner().to_owned();
        drop(other);
        assert!(one.has_ended(&name));
        one.sweep();
        let left: Vec<_> = std::fs::read_dir(dir.path().join("locks")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, [std::ffi::OsString::from(format!("{}.lock", one.owner()))]);
    }

    #[test]
    fn a_link_in_the_place_of_the_directory_is_refused_and_what_it_leads_to_stays() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let foreign = other.path().join(format!("{}.lock", Uuid::new_v4()));
        std::fs::write(&foreign, "").unwrap();
        std::os::unix::fs::symlink(other.path(), dir.path().join("locks")).unwrap();
        let Err(error) = ProcessLock::show(dir.path()) else { panic!("it followed the link") };
        assert!(error.to_string().contains("no link to one"), "{error}");
        assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_that_comes_later_leads_nowhere_and_foreign_names_stay() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let presence = ProcessLock::show(dir.path()).unwrap();
        let locks = dir.path().join("locks");
        std::fs::write(locks.join("apt.lock"), "").unwrap();
        presence.sweep();
        assert!(locks.join("apt.lock").exists());
        std::fs::rename(&locks, dir.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(other.path(), &locks).unwrap();
        let foreign = other.path().join(format!("{}.lock", Uuid::new_v4()));
        std::fs::write(&foreign, "").unwrap();
        presence.sweep();
        presence.end();
        assert!(foreign.exists());
        assert_eq!(std::fs::read_dir(dir.path().join("moved")).unwrap().count(), 1, "its own file is gone, the other stays");
    }
}
