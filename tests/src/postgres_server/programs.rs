//! Where PostgreSQL is installed, and as whom it is run.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian keeps the programs of a server out of `PATH`, in a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

pub(super) const MISSING: &str =
    "PostgreSQL (initdb and postgres) was not found, neither on PATH nor in /usr/lib/postgresql.
Run tests/run, which installs what is missing, or install it yourself:
  Debian, Ubuntu:  apt-get install postgresql
  Fedora:          dnf install postgresql-server
  macOS:           brew install postgresql";

/// The folder of `initdb` and `postgres`.
fn folder() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<PathBuf> = fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    let has_both = |folder: &PathBuf| {
        ["initdb", "postgres"]
            .iter()
            .all(|name| folder.join(name).is_file())
    };
    let mut folders = std::env::split_paths(&path).chain(versions);
    folders
        .find(has_both)
        .unwrap_or_else(|| panic!("{MISSING}"))
}

fn version(bin: &Path) -> Option<u32> {
    bin.parent()?.file_name()?.to_str()?.parse().ok()
}

/// A program of PostgreSQL, run in `folder`.
pub(super) fn program(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(self::folder().join(name));
    command.current_dir(folder);
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    command
}

/// Gives the folder to whom the programs run as.
pub(super) fn hand_over(folder: &Path) {
    if let Some((user, group)) = unprivileged() {
        chown(folder, Some(user), Some(group)).expect("root may give a folder away");
    }
}

/// Whom to run as: PostgreSQL refuses to be run by root. It wants a user with a name, so not just any number will do.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = ["postgres", "nobody"].iter().find_map(|name| {
        let mut fields = users
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}:")))?
            .split(':')
            .skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    Some(ids.expect("PostgreSQL cannot be run as root, and there is no user `postgres` or `nobody` to run it as"))
}
