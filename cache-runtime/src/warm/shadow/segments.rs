//! An access log in files: `access.log.000001` and so on, of which the newest are kept.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::super::file::{FileError, FileProblem};
use super::format::{HEADER, Header, LONGEST_RECORD, Segment};

/// The log is cut into so many files, so that what is thrown away for new accesses is a small part of it.
const SEGMENTS: u64 = 8;
/// A file of a log is never larger, whatever was asked for when it was written.
const LARGEST: u64 = 1 << 32;

/// Writes the files.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    segment_bytes: u64,
    open: Option<Open>,
}

/// The file that is being written.
#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    begun: Option<Begun>,
}

/// A file that has no records yet, and those that give way to it once it has some.
#[derive(Debug)]
struct Begun {
    path: PathBuf,
    outdated: Vec<PathBuf>,
}

impl Files {
    /// A log of at most so many bytes.
    pub(super) fn new(path: PathBuf, most: u64) -> Self {
        Self {
            path,
            segment_bytes: most / SEGMENTS,
            open: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How much is written at once.
    pub(super) fn batch_bytes(&self) -> usize {
        (self.segment_bytes / 4) as usize
    }

    /// How many bytes of the open segment are written. `None`: there is no room for what is written at once, and the next begins a segment.
    pub(super) fn place(&self) -> Option<usize> {
        let Open { size, .. } = self.open.as_ref()?;
        let next = size + (self.batch_bytes() + LONGEST_RECORD) as u64;
        (next <= self.segment_bytes).then_some(*size as usize)
    }

    /// Begins a segment. One that another process left is never gone on with: its end may be torn.
    pub(super) fn begin(&mut self, header: Header) -> Result<(), FileError> {
        self.end()?;
        let known = numbers(&self.path)?;
        let next = known.last().map_or(Some(1), |last| last.checked_add(1));
        let Some(next) = next else {
            let problem = "there is a file with the last number of all: remove it";
            let problem = io::Error::new(io::ErrorKind::InvalidInput, problem);
            return Err(FileError::new(&self.path, FileProblem::Io(problem)));
        };
        // The new one is of the number too.
        let outdated = (known.len() + 1).saturating_sub(SEGMENTS as usize);
        let outdated = known[..outdated].iter();
        let path = numbered(&self.path, next);
        let io = |error| FileError::new(&path, FileProblem::Io(error));
        let mut file = File::create_new(&path).map_err(io)?;
        let mut bytes = Vec::with_capacity(HEADER);
        header.write(&mut bytes);
        if let Err(error) = file.write_all(&bytes) {
            let _ = fs::remove_file(&path);
            return Err(io(error));
        }
        self.open = Some(Open {
            file,
            size: bytes.len() as u64,
            begun: Some(Begun {
                outdated: outdated
                    .map(|number| numbered(&self.path, *number))
                    .collect(),
                path,
            }),
        });
        Ok(())
    }

    /// Appends to the open segment. After an error there is none: what is written may be a part of it.
    ///
    /// The oldest segments give way to a new one when it has its first records, and not before: a disk that takes none costs nothing of what there is. A
    /// segment that does not come to that is removed.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let begun = open.begun.take();
        let outdated = begun.iter().flat_map(|begun| &begun.outdated);
        let written = open
            .file
            .write_all(bytes)
            .map_err(|error| FileError::new(&self.path, FileProblem::Io(error)))
            .and_then(|()| remove_all(outdated));
        if let (Err(_), Some(Begun { path, .. })) = (&written, &begun) {
            // The error that counts is the first.
            let _ = fs::remove_file(path);
        }
        written?;
        open.size += bytes.len() as u64;
        self.open = Some(open);
        Ok(())
    }

    /// Ends the open segment, and sees to it that it is on the disk.
    pub(super) fn end(&mut self) -> Result<(), FileError> {
        match self.open.take() {
            None => Ok(()),
            Some(Open { file, .. }) => file
                .sync_data()
                .map_err(|error| FileError::new(&self.path, FileProblem::Io(error))),
        }
    }
}

fn remove_all<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<(), FileError> {
    for path in paths {
        match fs::remove_file(path) {
            Ok(()) => {}
            // Somebody else has.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(FileError::new(path, FileProblem::Io(error))),
        }
    }
    Ok(())
}

/// Reads all files of a log, in their order.
pub(super) fn read(path: &Path) -> Result<(Vec<Segment>, u64), FileError> {
    let numbers = numbers(path)?;
    let files: Vec<PathBuf> = if numbers.is_empty() {
        // One file by its own name, or a clear "not found".
        vec![path.to_owned()]
    } else {
        numbers
            .iter()
            .map(|number| numbered(path, *number))
            .collect()
    };
    let (mut segments, mut dropped) = (Vec::new(), 0);
    for file in files {
        let bytes = super::super::file::read(&file, LARGEST)?;
        let (segment, torn) =
            Segment::read(bytes).map_err(|problem| FileError::new(&file, problem))?;
        segments.extend(segment);
        dropped += torn;
    }
    Ok((segments, dropped))
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:06}"));
    name.into()
}

/// The numbers of the files that there are, ascending.
fn numbers(path: &Path) -> Result<Vec<u64>, FileError> {
    let io = |error| FileError::new(path, FileProblem::Io(error));
    let Some(name) = path.file_name() else {
        let problem = io::Error::new(io::ErrorKind::InvalidInput, "is not the name of a file");
        return Err(io(problem));
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder.unwrap_or(Path::new("."))).map_err(io)? {
        let found = entry.map_err(io)?.file_name();
        // The bytes of the name, a point, and at least six digits.
        let rest = found
            .as_encoded_bytes()
            .strip_prefix(name.as_encoded_bytes());
        let digits = rest.and_then(|rest| rest.strip_prefix(b"."));
        let digits = digits.filter(|digits| digits.len() >= 6);
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(digits) =
            digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            && let Ok(number) = digits.parse()
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Header = Header {
        one_in: 1,
        begun: 1,
    };

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = format!("segments-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            fs::create_dir_all(&folder).expect("a folder");
            Self(folder)
        }

        fn files(&self) -> Files {
            Files::new(self.0.join("log"), 1 << 16)
        }

        fn numbers(&self) -> Vec<u64> {
            numbers(&self.0.join("log")).expect("readable")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_there_gives_way_to_records_alone() {
        let folder = Folder::new("full");
        let mut files = folder.files();
        for _ in 0..SEGMENTS {
            files.begin(HEAD).expect("begun");
            files.append(b"a record").expect("appended");
        }
        let full: Vec<u64> = (1..=SEGMENTS).collect();
        assert_eq!(folder.numbers(), full);
        // A disk that takes the name of a file and nothing in it, again and again.
        for _ in 0..3 {
            files.begin(HEAD).expect("begun");
            let open = files.open.as_mut().expect("open");
            open.file = File::open(folder.0.join("log.000001")).expect("readable");
            files.append(b"a record").expect_err("it is read only");
            assert_eq!(folder.numbers(), full);
        }
        files.begin(HEAD).expect("begun");
        files.append(b"a record").expect("appended");
        assert_eq!(folder.numbers(), (2..=SEGMENTS + 1).collect::<Vec<_>>());
    }

    #[test]
    fn after_the_last_number_there_is_an_error() {
        let folder = Folder::new("last");
        let path = numbered(&folder.0.join("log"), u64::MAX);
        fs::write(path, b"").expect("written");
        let error = folder.files().begin(HEAD).expect_err("no number is left");
        assert!(error.to_string().contains("last number"), "{error}");
    }
}
