//! What referee and members say to each other, a line at a time.

use tests::driver::Line;

/// From the referee to a member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    /// Write the rows of this round.
    Round(u64),
    /// Write nothing until the next round, and say [`Word::Held`] when every event is on the bus.
    Hold,
    /// Say [`Word::Figures`].
    Report,
}

impl Line for Order {
    fn line(&self) -> String {
        match self {
            Self::Round(round) => format!("round {round}"),
            Self::Report => "report".to_owned(),
            Self::Hold => "hold".to_owned(),
        }
    }

    fn read(line: &str) -> Option<Self> {
        Some(match line {
            "report" => Self::Report,
            "hold" => Self::Hold,
            _ => Self::Round(line.strip_prefix("round ")?.parse().ok()?),
        })
    }
}

/// From a member to the referee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Word {
    /// The row has at least this version, it was invalidated since, and the event is on the bus.
    Acknowledged {
        row: u64,
        version: u64,
    },
    Figures(Figures),
    Held,
}

/// What a member's bus did. Lags are in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) applied: u64,
    pub(crate) taken_over: u64,
    pub(crate) flushes: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
}

impl Line for Word {
    fn line(&self) -> String {
        match self {
            Self::Acknowledged { row, version } => format!("acknowledged {row} {version}"),
            Self::Figures(figures) => {
                let Figures {
                    applied,
                    taken_over,
                    flushes,
                    p50,
                    p99,
                } = figures;
                format!("figures {applied} {taken_over} {flushes} {p50} {p99}")
            }
            Self::Held => "held".to_owned(),
        }
    }

    fn read(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers: Result<Vec<u64>, _> = rest.split_terminator(' ').map(str::parse).collect();
        Some(match (word, &numbers.ok()?[..]) {
            ("acknowledged", &[row, version]) => Self::Acknowledged { row, version },
            ("figures", &[applied, taken_over, flushes, p50, p99]) => Self::Figures(Figures {
                applied,
                taken_over,
                flushes,
                p50,
                p99,
            }),
            ("held", []) => Self::Held,
            _ => return None,
        })
    }
}
