//! Files that appear whole or not at all, and in the place of another only where that is said.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Writes a new file of a mode; `false` where it is there already, so that two processes agree on what it holds.
///
/// # Errors
/// When the file cannot be written.
pub fn write_new(path: &Path, text: &str, mode: u32) -> Result<bool> {
    let draft = write_draft(path, text, mode)?;
    let put = put(&draft, path);
    if put.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    match put {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a file of a mode, also in the place of another.
///
/// # Errors
/// When the file cannot be written; the old one stays then.
pub fn write_over(path: &Path, text: &str, mode: u32) -> Result<()> {
    let draft = write_draft(path, text, mode)?;
    std::fs::rename(&draft, path)?;
    sync_directory(&directory_of(path))
}

fn write_draft(path: &Path, text: &str, mode: u32) -> Result<PathBuf> {
    let draft = draft_of(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file
        // The mode that a file is made with may lose bits to the umask.
        .set_permissions(Permissions::from_mode(mode))
        .and_then(|()| chown_to_directory_owner(&file, &directory_of(path)))
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written.map(|()| draft)
}

/// The name under which a file is written before it gets its own; no other process uses it.
pub fn draft_of(file: &Path) -> PathBuf {
    let mut draft = file.as_os_str().to_owned();
    draft.push(format!(".{}.part", uuid::Uuid::new_v4().simple()));
    PathBuf::from(draft)
}

/// Gives a draft its name, durably.
///
/// # Errors
/// When there is a file of that name, or the directory cannot be written.
pub fn put(draft: &Path, path: &Path) -> Result<()> {
    // Unlike a rename, a link does not take the place of a file that came meanwhile.
    match std::fs::hard_link(draft, path) {
        Ok(()) => std::fs::remove_file(draft)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
        // Sticks and shares often have no links.
        Err(error) => {
            rename_new(draft, path).map_err(|renamed| if renamed.kind() == ErrorKind::AlreadyExists { renamed } else { error })?
        }
    }
    sync_directory(&directory_of(path))
}

#[cfg(target_os = "linux")]
fn rename_new(draft: &Path, path: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE).map_err(Error::from)
}

#[cfg(not(target_os = "linux"))]
fn rename_new(_: &Path, _: &Path) -> Result<()> {
    Err(Error::from(ErrorKind::Unsupported))
}

/// Gives a new file to the owner of the directory, where the system's administrator makes it: else the user who runs the
/// server could not use it.
///
/// # Errors
/// When the owner cannot be told or set.
pub fn chown_to_directory_owner(file: &File, dir: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let dir = dir.metadata()?;
    fchown(file, Some(dir.uid()), Some(dir.gid()))
}

/// Makes the names in a directory as durable as the files.
///
/// # Errors
/// When the disk fails.
pub fn sync_directory(dir: &Path) -> Result<()> {
    File::open(dir)?.sync_all()
}

/// The directory of a file.
pub fn directory_of(file: &Path) -> PathBuf {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    dir.unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once_with_its_mode_and_without_a_draft() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(write_new(&path, "first", 0o640).unwrap() && !write_new(&path, "second", 0o640).unwrap());
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), path.metadata().unwrap().mode() & 0o777), ("first", 0o640));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_new(&dir.path().join("no/such"), "", 0o600).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_rename_takes_no_place_either() {
        let dir = tempfile::tempdir().unwrap();
        let (draft, path) = (dir.path().join("draft"), dir.path().join("file"));
        std::fs::write(&draft, "new").unwrap();
        std::fs::write(&path, "old").unwrap();
        assert!(rename_new(&draft, &path).is_err());
        std::fs::remove_file(&path).unwrap();
        rename_new(&draft, &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    }
}
