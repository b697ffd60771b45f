//! What referee and members say to each other, a line at a time.

use tests::driver::Line;

/// From the referee to a member.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    /// Say [`Word::Held`] between the next commit and its acknowledgement to the log, and let it go no further.
    Hold,
    /// Say [`Word::Wrote`] when a write that begins from now on is acknowledged.
    TellOfWrite,
    /// Write no more, and say [`Word::Stopped`] when what is under way has ended.
    StopWriting,
}

impl Order {
    const ALL: [Self; 3] = [Self::Hold, Self::TellOfWrite, Self::StopWriting];
}

impl Line for Order {
    fn line(&self) -> String {
        let line = match self {
            Self::Hold => "hold",
            Self::TellOfWrite => "tell of write",
            Self::StopWriting => "stop writing",
        };
        line.to_owned()
    }

    fn read(line: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.line() == line)
    }
}

/// From a member to the referee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Word {
    Acknowledged { page: u64, number: u64 },
    Held,
    Wrote,
    Stopped,
}

impl Line for Word {
    fn line(&self) -> String {
        match self {
            Self::Acknowledged { page, number } => format!("acknowledged {page} {number}"),
            Self::Held => "held".to_owned(),
            Self::Wrote => "wrote".to_owned(),
            Self::Stopped => "stopped".to_owned(),
        }
    }

    fn read(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.split(' ').collect();
        Some(match parts[..] {
            ["acknowledged", page, number] => Self::Acknowledged {
                page: page.parse().ok()?,
                number: number.parse().ok()?,
            },
            ["held"] => Self::Held,
            ["wrote"] => Self::Wrote,
            ["stopped"] => Self::Stopped,
            _ => return None,
        })
    }
}
