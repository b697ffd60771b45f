//! What is printed.

use std::fmt;

use serde::Serialize;

/// What the database was asked for in one of the ways.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) way: &'static str,
    /// Loads before the first access.
    pub(crate) loads_before: u64,
    /// Loads in the accesses that are looked at.
    pub(crate) loads: u64,
    /// The most loads in as many accesses, until all keys are where they belong.
    pub(crate) most_loads: u64,
    pub(crate) hit_ratio: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) workload: String,
    pub(crate) products: u32,
    /// Accesses before the restart.
    pub(crate) accesses_before: usize,
    /// Accesses after it that are looked at.
    pub(crate) accesses: usize,
    pub(crate) rows: Vec<Row>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "workload  {}", self.workload)?;
        writeln!(
            f,
            "restart   after {} accesses; the next {} are looked at\n",
            self.accesses_before, self.accesses
        )?;
        let (first, most) = (
            format!("first {}", self.accesses),
            format!("worst {}", self.accesses),
        );
        writeln!(
            f,
            "{:44}  {:>12}  {first:>12}  {most:>12}  {:>9}",
            "database loads", "before", "hit ratio"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "{:44}  {:>12}  {:>12}  {:>12}  {:>8.1}%",
                row.way,
                row.loads_before,
                row.loads,
                row.most_loads,
                row.hit_ratio * 100.0
            )?;
        }
        Ok(())
    }
}
