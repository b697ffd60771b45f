//! Files that are whole or not there, and what is wrong with those that are neither.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What is wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileProblem {
    /// The system says so.
    Io(io::Error),
    /// It is not one of these files, or of a version that this program does not know, or larger than such a file can be.
    Foreign(Cow<'static, str>),
    /// It was one, and has been changed or cut.
    Damaged {
        /// Where it begins to be wrong, in bytes from its beginning.
        offset: u64,
        /// What is wrong there.
        problem: Cow<'static, str>,
    },
}

/// A file that could not be read or written. Nothing was taken from it.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    problem: FileProblem,
}

impl FileError {
    pub(crate) fn new(path: &Path, problem: FileProblem) -> Self {
        Self {
            path: path.to_owned(),
            problem,
        }
    }

    /// Which file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problem(&self) -> &FileProblem {
        &self.problem
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.problem {
            FileProblem::Io(error) => error.fmt(f),
            FileProblem::Foreign(problem) => f.write_str(problem),
            FileProblem::Damaged { offset, problem } => {
                write!(f, "damaged at byte {offset}: {problem}")
            }
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            FileProblem::Io(error) => Some(error),
            FileProblem::Foreign(_) | FileProblem::Damaged { .. } => None,
        }
    }
}

/// Writes the file under another name, sees to it that it is on the disk, and gives it its name then: whatever happens meanwhile, there is
/// the file of before or that of after.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let (aside, mut file) =
        create_aside(path).map_err(|error| FileError::new(path, FileProblem::Io(error)))?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&aside, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|error| {
        // What is left of it is of no use; the error that counts is the first.
        let _ = fs::remove_file(&aside);
        FileError::new(path, FileProblem::Io(error))
    })
}

/// A new file beside that one. Neither two processes that write one file at a time nor two tasks of this one must write into each other's.
fn create_aside(path: &Path) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut aside = OsString::from(path);
        aside.push(format!(".{}.{count}.tmp", std::process::id()));
        let aside = PathBuf::from(aside);
        match File::create_new(&aside) {
            Ok(file) => return Ok((aside, file)),
            // Left by a process of the same number that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// The new name is on the disk too.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Folders are no files here.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Reads a file of at most so many bytes.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, FileError> {
    let io = |error| FileError::new(path, FileProblem::Io(error));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io)?;
    // By what it gives and not by what it says of itself: it may be a pipe, or grow.
    file.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most {
        let problem = format!("larger than the {most} bytes that such a file can have");
        return Err(FileError::new(path, FileProblem::Foreign(problem.into())));
    }
    Ok(bytes)
}

/// Does work with a file where a slow disk holds up nobody.
pub(super) async fn in_background<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    let named = path.clone();
    match tokio::task::spawn_blocking(move || work(&path)).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => {
                let ended = io::Error::new(io::ErrorKind::Interrupted, "the runtime has ended");
                Err(FileError::new(&named, FileProblem::Io(ended)))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_written_at_once_are_each_whole() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("warm-file-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let path = folder.join("hot.keys");
        let (first, second) = (create_aside(&path)?, create_aside(&path)?);
        assert_ne!(first.0, second.0);
        std::thread::scope(|scope| {
            for byte in 0..8_u8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..20 {
                        replace(path, &[byte; 10_000]).expect("written");
                    }
                });
            }
        });
        let bytes = read(&path, 1 << 20).expect("whole");
        assert_eq!(bytes.len(), 10_000);
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
        drop((fs::remove_file(first.0), fs::remove_file(second.0)));
        assert_eq!(
            fs::read_dir(&folder)?.count(),
            1,
            "nothing is left beside it"
        );
        fs::remove_dir_all(&folder)
    }
}
