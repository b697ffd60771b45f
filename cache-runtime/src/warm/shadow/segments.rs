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
    /// The file that is being written, with its size.
    open: Option<(File, u64)>,
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
        let (_, size) = self.open.as_ref()?;
        let next = size + (self.batch_bytes() + LONGEST_RECORD) as u64;
        (next <= self.segment_bytes).then_some(*size as usize)
    }

    /// Begins a segment. One that another process left is never gone on with: its end may be torn.
    pub(super) fn begin(&mut self, header: Header) -> Result<(), FileError> {
        self.end()?;
        let known = numbers(&self.path)?;
        let next = known.last().map_or(1, |last| last + 1);
        // The new one is of the number too.
        let outdated = (known.len() + 1).saturating_sub(SEGMENTS as usize);
        for number in &known[..outdated] {
            let path = numbered(&self.path, *number);
            fs::remove_file(&path)
                .map_err(|error| FileError::new(&path, FileProblem::Io(error)))?;
        }
        let path = numbered(&self.path, next);
        let mut bytes = Vec::with_capacity(HEADER);
        header.write(&mut bytes);
        let file = File::create_new(&path).and_then(|mut file| {
            file.write_all(&bytes)?;
            Ok(file)
        });
        let file = file.map_err(|error| FileError::new(&path, FileProblem::Io(error)))?;
        self.open = Some((file, bytes.len() as u64));
        Ok(())
    }

    /// Appends to the open segment. After an error there is none: what is written may be a part of it.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let Some((mut file, size)) = self.open.take() else {
            return Ok(());
        };
        file.write_all(bytes)
            .map_err(|error| FileError::new(&self.path, FileProblem::Io(error)))?;
        self.open = Some((file, size + bytes.len() as u64));
        Ok(())
    }

    /// Ends the open segment, and sees to it that it is on the disk.
    pub(super) fn end(&mut self) -> Result<(), FileError> {
        match self.open.take() {
            None => Ok(()),
            Some((file, _)) => file
                .sync_data()
                .map_err(|error| FileError::new(&self.path, FileProblem::Io(error))),
        }
    }
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
