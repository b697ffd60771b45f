//! The command line.

use std::str::FromStr;

/// What a command line asks for.
#[derive(Debug, PartialEq)]
pub enum Asked<A> {
    /// How the program is used.
    Help,
    /// A run.
    Run(A),
}

/// The number that follows the argument `name`; the error is a sentence.
pub fn number<T: FromStr>(name: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("`{name}` needs a number"))?;
    let number = value.parse();
    number
        .map_err(|_| format!("`{name}` needs a whole number that is not too large, not `{value}`"))
}
