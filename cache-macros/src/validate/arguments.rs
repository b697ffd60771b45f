//! Which arguments there are, and which of them a pattern takes.

use crate::args::Arg;
use crate::diagnostics::{Diagnostics, suggest};
use crate::model::PatternName;

/// The arguments of `#[cached]`.
pub(super) const CACHED: [&str; 26] = [
    "pattern",
    "key",
    "ttl",
    "ttl_with",
    "jitter",
    "stampede",
    "refresh_after",
    "beta",
    "stale_if_error",
    "negative_ttl",
    "timeout",
    "consistency",
    "codec",
    "cache",
    "skip",
    "schema",
    "companion",
    "value",
    "version",
    "merge",
    "batch_with",
    "flush",
    "batch",
    "max_pending",
    "when_full",
    "tags",
];

/// The arguments of `#[invalidates]` beside its templates.
pub(super) const INVALIDATES: [&str; 4] = ["tags", "when", "consistency", "cache"];

/// What a feature that a later version brings is refused with.
pub(super) fn not_yet(what: &str) -> String {
    format!("{what} is not in this version yet; a later one brings it")
}

/// Takes the arguments apart by name; the first of a name counts.
pub(super) struct Given<'a>(Vec<&'a Arg>);

impl<'a> Given<'a> {
    pub(super) fn check(
        macro_name: &str,
        args: &'a [Arg],
        known: &[&str],
        errors: &mut Diagnostics,
    ) -> Self {
        let mut given: Vec<&Arg> = Vec::new();
        for arg in args {
            let name = arg.name.to_string();
            if given.iter().any(|earlier| earlier.name == name) {
                errors.on(&arg.name, format!("`{name}` is given twice"));
            } else if known.contains(&name.as_str()) {
                given.push(arg);
            } else {
                errors.on(
                    &arg.name,
                    format!(
                        "`{macro_name}` has no argument `{name}`; {}",
                        suggest(&name, known)
                    ),
                );
            }
        }
        Self(given)
    }

    /// Refuses what the pattern does not take, and forgets it, so that nothing more is said of it.
    pub(super) fn retain_for(&mut self, pattern: PatternName, errors: &mut Diagnostics) {
        self.0.retain(|arg| {
            let name = arg.name.to_string();
            let refused = why_not(pattern, &name);
            if let Some(why) = refused {
                errors.on(&arg.name, format!("`{name}` {why}"));
            }
            refused.is_none()
        });
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Arg> {
        self.0.iter().copied().find(|arg| arg.name == name)
    }
}

/// Why a pattern does not take an argument; the sentence goes on after its name.
fn why_not(pattern: PatternName, name: &str) -> Option<&'static str> {
    match pattern {
        PatternName::Aside => why_not_aside(name),
        PatternName::ReadThrough => why_not_read_through(name),
        PatternName::WriteThrough => why_not_write_through(name),
        PatternName::WriteBehind => why_not_write_behind(name),
    }
}

fn why_not_aside(name: &str) -> Option<&'static str> {
    Some(match name {
        "value" => {
            "is for writers, of `pattern = \"write-through\"` or `\"write-behind\"`: a loader stores what it returns"
        }
        "version" => {
            "is for writers, of `pattern = \"write-through\"`: a loader's value is kept from being older than a write by its lease"
        }
        "merge" | "batch_with" | "flush" | "batch" | "max_pending" | "when_full" => {
            "is for writers, of `pattern = \"write-behind\"`: a loader has nothing to write later"
        }
        _ => return None,
    })
}

fn why_not_read_through(name: &str) -> Option<&'static str> {
    match name {
        "skip" => Some(
            "is about the default key, and a read-through loader has none: the cache tells the arguments from the `key`",
        ),
        _ => why_not_aside(name),
    }
}

fn why_not_write_through(name: &str) -> Option<&'static str> {
    Some(match name {
        "stampede" | "refresh_after" | "beta" => {
            "is for loaders: a write-through writer always runs its body"
        }
        "negative_ttl" => {
            "is for loaders: a write-through writer stores what it wrote, and when that is `None` it removes the entry"
        }
        "timeout" => {
            "is for loaders: a write-through writer waits for its body, for a write that is given up may still be committed; \
             limit the body with the database's own timeout"
        }
        "skip" => SKIP_OF_WRITER,
        "merge" | "batch_with" | "flush" | "batch" | "max_pending" | "when_full" => {
            "is for `pattern = \"write-behind\"`: a write-through writer runs its body within the call"
        }
        _ => return None,
    })
}

fn why_not_write_behind(name: &str) -> Option<&'static str> {
    Some(match name {
        "stampede" | "refresh_after" | "beta" | "negative_ttl" => {
            "is for loaders: a write-behind writer reads nothing"
        }
        "timeout" => {
            "is for loaders: how long a call waits for the log, and how long an attempt of the body may take, is said by \
             `WriteBehind::log_timeout` and `WriteBehind::attempt_timeout` when the cache is built"
        }
        "consistency" => {
            "is not for write-behind, which has one level: readers of the cache see a write from its call on, and the database \
             has it when the body has run"
        }
        "version" => {
            "is for `pattern = \"write-through\"`: the log of a write-behind writer has an order of its own, and hands it to the \
             body in an argument marked `#[sequence]`"
        }
        "skip" => SKIP_OF_WRITER,
        _ => return None,
    })
}

const SKIP_OF_WRITER: &str =
    "is about the default key, and a writer has none: `key` names the arguments that it takes";
