//! What referee and members say to each other, a line at a time.

use std::fmt::Write;

use ::tests::driver::Line;

use crate::clock::Moment;
use crate::keys::RowId;

/// From the referee to a member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    /// Begin to read and write.
    Begin,
    /// Halt one write of a row on Redis between its commit and its invalidation, and say [`Word::Halted`].
    Halt,
    /// Let the halted write go on.
    Release,
    /// Begin no more writes, and say [`Word::Held`] when none is under way.
    HoldWrites,
    /// Write again.
    Write,
    /// Say [`Word::Recovered`] when the backend is used again and no invalidation is kept, and then [`Word::Healthy`].
    TellOfHealth,
    /// Read every row once, and say [`Word::AllRead`].
    ReadAll,
}

impl Order {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Begin, "begin"),
        (Self::Halt, "halt"),
        (Self::Release, "release"),
        (Self::HoldWrites, "hold writes"),
        (Self::Write, "write"),
        (Self::TellOfHealth, "tell of health"),
        (Self::ReadAll, "read all"),
    ];
}

impl Line for Order {
    fn line(&self) -> String {
        let (_, line) = Self::ALL
            .into_iter()
            .find(|(order, _)| order == self)
            .unwrap_or(Self::ALL[0]);
        line.to_owned()
    }

    fn read(line: &str) -> Option<Self> {
        let (order, _) = Self::ALL.into_iter().find(|&(_, name)| name == line)?;
        Some(order)
    }
}

/// How a write reaches the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Invalidates,
    WriteThrough,
    ByVersion,
}

impl How {
    const ALL: [Self; 3] = [Self::Invalidates, Self::WriteThrough, Self::ByVersion];
}

/// A read that returned a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Read {
    pub(crate) row: RowId,
    pub(crate) session: u64,
    pub(crate) began: Moment,
    pub(crate) ended: Moment,
    /// What it returned.
    pub(crate) version: u64,
    /// When that was asked of the database, and when it had come from there, in which process.
    pub(crate) asked: Moment,
    pub(crate) loaded: Moment,
    pub(crate) loader: u64,
    /// Whether it is not from a load, but what a writer stored.
    pub(crate) written: bool,
    /// Whether this process could not reach its backend, for all that it knew.
    pub(crate) away: bool,
}

impl Read {
    /// How the value came to be.
    pub(crate) fn origin(&self) -> &'static str {
        if self.written { "written" } else { "loaded" }
    }
}

/// A commit that its writer knows of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Commit {
    pub(crate) row: RowId,
    pub(crate) session: u64,
    /// When the writer was called.
    pub(crate) began: Moment,
    pub(crate) at: Moment,
    pub(crate) version: u64,
    pub(crate) how: How,
}

/// The return of a writer that has committed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Return {
    pub(crate) row: RowId,
    pub(crate) version: u64,
    /// When its body was over, and what follows it began.
    pub(crate) since: Moment,
    pub(crate) ended: Moment,
    /// Whether the backend may not know of it yet: it failed, and the invalidation is kept.
    pub(crate) kept: bool,
}

/// From a member to the referee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Word {
    Read(Read),
    Commit(Commit),
    Return(Return),
    /// Everything that was kept before `upto` has been delivered.
    Recovered {
        upto: Moment,
        at: Moment,
    },
    /// Whatever ended until then has been said.
    Mark(Moment),
    Halted {
        row: RowId,
        version: u64,
    },
    Held,
    Healthy,
    AllRead,
}

/// The end of a line: one that was cut off, as by a kill, has none.
const END: &str = " .";

impl Line for Word {
    fn line(&self) -> String {
        let mut line = String::with_capacity(120);
        self.put(&mut line);
        line
    }

    fn read(line: &str) -> Option<Self> {
        let (word, rest) = line.strip_suffix(END)?.split_once(' ')?;
        let mut numbers = [0; 10];
        let mut count = 0;
        for number in rest.split_ascii_whitespace() {
            *numbers.get_mut(count)? = number.parse().ok()?;
            count += 1;
        }
        Some(match (word, &numbers[..count]) {
            (
                "r",
                &[
                    row,
                    session,
                    began,
                    ended,
                    version,
                    asked,
                    loaded,
                    loader,
                    written,
                    away,
                ],
            ) => Self::Read(Read {
                row: RowId(row),
                session,
                began: Moment(began),
                ended: Moment(ended),
                version,
                asked: Moment(asked),
                loaded: Moment(loaded),
                loader,
                written: written != 0,
                away: away != 0,
            }),
            ("c", &[row, session, began, at, version, how]) => Self::Commit(Commit {
                row: RowId(row),
                session,
                began: Moment(began),
                at: Moment(at),
                version,
                how: *How::ALL.get(usize::try_from(how).ok()?)?,
            }),
            ("w", &[row, version, since, ended, kept]) => Self::Return(Return {
                row: RowId(row),
                version,
                since: Moment(since),
                ended: Moment(ended),
                kept: kept != 0,
            }),
            ("recovered", &[upto, at]) => Self::Recovered {
                upto: Moment(upto),
                at: Moment(at),
            },
            ("m", &[at]) => Self::Mark(Moment(at)),
            ("halted", &[row, version]) => Self::Halted {
                row: RowId(row),
                version,
            },
            ("held", &[0]) => Self::Held,
            ("healthy", &[0]) => Self::Healthy,
            ("all-read", &[0]) => Self::AllRead,
            _ => return None,
        })
    }
}

impl Word {
    /// Appends its line, without the line's end.
    pub(crate) fn put(&self, line: &mut String) {
        let (name, numbers) = self.parts();
        line.push_str(name);
        for number in numbers {
            // A string can be written to.
            let _ = write!(line, " {number}");
        }
        line.push_str(END);
    }

    fn parts(&self) -> (&'static str, Vec<u64>) {
        match *self {
            Self::Read(read) => {
                let Read {
                    row,
                    session,
                    began,
                    ended,
                    version,
                    asked,
                    loaded,
                    loader,
                    written,
                    away,
                } = read;
                let numbers = vec![
                    row.0,
                    session,
                    began.0,
                    ended.0,
                    version,
                    asked.0,
                    loaded.0,
                    loader,
                    u64::from(written),
                    u64::from(away),
                ];
                ("r", numbers)
            }
            Self::Commit(commit) => {
                let Commit {
                    row,
                    session,
                    began,
                    at,
                    version,
                    how,
                } = commit;
                (
                    "c",
                    vec![row.0, session, began.0, at.0, version, how as u64],
                )
            }
            Self::Return(write) => {
                let Return {
                    row,
                    version,
                    since,
                    ended,
                    kept,
                } = write;
                ("w", vec![row.0, version, since.0, ended.0, u64::from(kept)])
            }
            Self::Recovered { upto, at } => ("recovered", vec![upto.0, at.0]),
            Self::Mark(at) => ("m", vec![at.0]),
            Self::Halted { row, version } => ("halted", vec![row.0, version]),
            Self::Held => ("held", vec![0]),
            Self::Healthy => ("healthy", vec![0]),
            Self::AllRead => ("all-read", vec![0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_says_nothing() {
        let word = Word::Return(Return {
            row: RowId(7),
            version: 3,
            since: Moment(5),
            ended: Moment(123),
            kept: true,
        });
        let line = word.line();
        assert_eq!(Word::read(&line), Some(word));
        for end in 0..line.len() {
            assert_eq!(Word::read(&line[..end]), None, "{}", &line[..end]);
        }
    }
}
