//! Errors: collected rather than returned, so that one compilation shows all that is wrong with an annotation.

use std::ops::Range;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::LitStr;

/// The errors found so far in one annotation.
#[derive(Default)]
pub(crate) struct Diagnostics(Option<syn::Error>);

impl Diagnostics {
    /// An error on one token.
    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.add(syn::Error::new(span, message));
    }

    /// An error on all of some tokens.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// An error made elsewhere.
    pub(crate) fn add(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Whether nothing was wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The errors as `compile_error!` calls.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0
            .map(syn::Error::into_compile_error)
            .unwrap_or_default()
    }

    /// The messages, for unit tests.
    #[cfg(test)]
    pub(crate) fn messages(self) -> Vec<String> {
        self.0
            .into_iter()
            .flatten()
            .map(|error| error.to_string())
            .collect()
    }
}

/// An error inside a string literal. A span cannot point into a literal on stable Rust, so the message draws the
/// text and a caret line under the place; the error itself underlines the literal.
pub(crate) fn in_literal(
    literal: &LitStr,
    range: Range<usize>,
    message: &str,
    help: &str,
) -> syn::Error {
    let drawing = draw(&literal.value(), range);
    let help = if help.is_empty() {
        String::new()
    } else {
        format!("\n\nhelp: {help}")
    };
    syn::Error::new(literal.span(), format!("{message}\n\n{drawing}{help}"))
}

/// The text, and carets under `range` (in bytes of the text).
fn draw(text: &str, range: Range<usize>) -> String {
    let width = |part: &str| {
        part.chars()
            .map(|c| shown(c).chars().count())
            .sum::<usize>()
    };
    let before = text.get(..range.start).map_or(0, width);
    let under = text.get(range).map_or(0, width).max(1);
    let line: String = text.chars().map(shown).collect();
    format!("    {line}\n    {:before$}{:^<under$}", "", "")
}

/// A control character would break the caret line, so it is drawn as its escape.
fn shown(c: char) -> String {
    if c.is_control() {
        c.escape_default().to_string()
    } else {
        c.to_string()
    }
}

/// The candidate that the user may have meant, if one is close.
pub(crate) fn closest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let allowed = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| {
            (
                distance(&word.to_lowercase(), &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|&(distance, candidate)| {
            distance <= allowed && distance < candidate.chars().count()
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean" where something is close, else what there is to choose from.
pub(crate) fn suggest(word: &str, candidates: &[&str]) -> String {
    match closest(word, candidates.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("expected {}", one_of(candidates)),
    }
}

/// "`a`, `b` or `c`".
pub(crate) fn one_of(words: &[&str]) -> String {
    listed(words, "or")
}

/// "`a`, `b` and `c`".
pub(crate) fn all_of(words: &[&str]) -> String {
    listed(words, "and")
}

fn listed(words: &[&str], last_word: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} {last_word} {last}", rest.join(", ")),
    }
}

/// Edits between two words; two neighbours swapped count as one edit, as fingers do that most.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        assert_eq!(closest("idd", ["db", "id"]), Some("id"));
        assert_eq!(closest("tll", ["key", "ttl"]), Some("ttl"));
        assert_eq!(
            closest("consistancy", ["consistency", "codec"]),
            Some("consistency")
        );
        assert_eq!(closest("banana", ["key", "ttl"]), None);
        assert_eq!(closest("x", ["a", "b"]), None);
    }

    #[test]
    fn carets_stand_under_the_place_whatever_comes_before() {
        assert_eq!(draw("user:<idd>", 6..9), "    user:<idd>\n          ^^^");
        assert_eq!(draw("ü:<x>", 4..5), "    ü:<x>\n       ^");
        assert_eq!(draw("a\n<x>", 3..4), "    a\\n<x>\n        ^");
        assert_eq!(draw("", 0..0), "    \n    ^");
    }
}
