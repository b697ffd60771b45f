//! How far a warm-up is: a bar on a terminal, lines in the log elsewhere.
//!
//! The bar is one line of text and is written here. A crate for it would bring its own threads, its table of character widths and its terminal
//! handling into every program that depends on this one.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use super::report::WarmReport;
use crate::clock::Moment;

/// How a warm-up shows how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Progress {
    /// Not at all. The report is all that is said, by whoever called it.
    #[default]
    Silent,
    /// By lines in the log (`tracing`, level info): one every ten seconds, and one at the end.
    Log,
    /// By a bar on stderr if that is a terminal, else as [`Log`](Self::Log).
    Bar,
}

/// A bar is drawn so often at most.
const REDRAWN: Duration = Duration::from_millis(100);
const LOGGED: Duration = Duration::from_secs(10);
const WIDTH: usize = 30;

/// Shows how far one warm-up is.
#[derive(Debug)]
pub(super) struct Display {
    how: Progress,
    began: Moment,
    next: Moment,
    /// The characters that the last line took on the terminal.
    drawn: usize,
}

impl Display {
    pub(super) fn new(wanted: Progress, now: Moment) -> Self {
        let how = match wanted {
            Progress::Bar if !io::stderr().is_terminal() => Progress::Log,
            how => how,
        };
        Self {
            how,
            began: now,
            next: match how {
                Progress::Log => now.after(LOGGED),
                _ => now,
            },
            drawn: 0,
        }
    }

    /// Called after each item; shows something now and then.
    pub(super) fn update(&mut self, report: &WarmReport, total: Option<u64>, now: Moment) {
        if self.how == Progress::Silent || now < self.next {
            return;
        }
        if self.how == Progress::Bar {
            self.next = now.after(REDRAWN);
            self.draw(&Line::new(report, total, now.since(self.began)).to_string());
        } else {
            self.next = now.after(LOGGED);
            let (done, failed) = (report.done(), report.failed);
            tracing::info!(done, total, failed, "cache warm-up under way");
        }
    }

    /// Called once at the end.
    pub(super) fn end(&mut self, report: &WarmReport) {
        match self.how {
            Progress::Silent => {}
            Progress::Log => tracing::info!(%report, "cache warm-up ended"),
            Progress::Bar => {
                self.draw(&format!("cache warm-up: {report}"));
                self.write("\n");
                self.drawn = 0;
            }
        }
    }

    /// Over the line before it, which may have been longer.
    fn draw(&mut self, line: &str) {
        let length = line.chars().count();
        let rest = self.drawn.saturating_sub(length);
        self.drawn = length;
        self.write(&format!("\r{line}{:rest$}", ""));
    }

    /// A terminal that has gone away takes the bar with it, and nothing else.
    fn write(&mut self, text: &str) {
        let mut stderr = io::stderr().lock();
        let written = stderr.write_all(text.as_bytes());
        if written.and_then(|()| stderr.flush()).is_err() {
            self.how = Progress::Silent;
        }
    }
}

impl Drop for Display {
    /// A warm-up that is dropped leaves its bar half-way; what is printed next begins on a line of its own.
    fn drop(&mut self) {
        if self.how == Progress::Bar && self.drawn > 0 {
            self.write("\n");
        }
    }
}

/// The bar with its figures.
struct Line {
    done: u64,
    total: Option<u64>,
    failed: u64,
    elapsed: Duration,
}

impl Line {
    fn new(report: &WarmReport, total: Option<u64>, elapsed: Duration) -> Self {
        Self {
            done: report.done(),
            total,
            failed: report.failed,
            elapsed,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cache warm-up ")?;
        let rate = self.done as f64 / self.elapsed.as_secs_f64().max(1e-3);
        match self.total.filter(|&total| total >= self.done) {
            Some(total) => {
                let filled = (self.done as f64 / total.max(1) as f64 * WIDTH as f64) as usize;
                f.write_char('[')?;
                for place in 0..WIDTH {
                    f.write_char(if place < filled { '#' } else { '.' })?;
                }
                write!(f, "] {} of {total}, {rate:.0}/s", self.done)?;
                let left = (total - self.done) as f64 / rate.max(1e-3);
                if self.done > 0 && left < 1e6 {
                    write!(f, ", {left:.0} s to go")?;
                }
            }
            // A list that does not say how long it is.
            None => write!(f, "{}, {rate:.0}/s", self.done)?,
        }
        if self.failed > 0 {
            write!(f, ", {} failed", self.failed)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(done: u64, total: Option<u64>, failed: u64) -> String {
        let report = WarmReport {
            loaded: done - failed,
            failed,
            ..WarmReport::default()
        };
        Line::new(&report, total, Duration::from_secs(2)).to_string()
    }

    #[test]
    fn a_line_says_how_far_it_is_and_how_long_it_will_take() {
        let half = "cache warm-up [###############...............] 100 of 200, 50/s, 2 s to go";
        assert_eq!(line(100, Some(200), 0), half);
        let full =
            "cache warm-up [##############################] 200 of 200, 100/s, 0 s to go, 3 failed";
        assert_eq!(line(200, Some(200), 3), full);
        let none = "cache warm-up [..............................] 0 of 200, 0/s";
        assert_eq!(line(0, Some(200), 0), none);
    }

    #[test]
    fn a_list_that_does_not_know_its_length_has_no_bar() {
        assert_eq!(line(100, None, 1), "cache warm-up 100, 50/s, 1 failed");
        // Or one that was wrong about it.
        assert_eq!(line(100, Some(50), 0), "cache warm-up 100, 50/s");
        assert_eq!(
            line(0, Some(0), 0),
            "cache warm-up [..............................] 0 of 0, 0/s"
        );
    }
}
