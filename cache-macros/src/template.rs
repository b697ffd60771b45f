//! Key templates: `"user:<id>"` parsed into literal text and placeholders, each problem with its place.
//!
//! This module knows the form only. Whether a name is an argument is checked in [`validate`](crate::validate).

mod parse;

use syn::LitStr;

pub(crate) use self::parse::{Field, Piece, Placeholder};
use self::parse::{Kind, Problem, parse};
use crate::diagnostics::{Diagnostics, in_literal};

/// A parsed template.
pub(crate) struct Template {
    pub(crate) literal: LitStr,
    pub(crate) pieces: Vec<Piece>,
}

impl Kind {
    fn message(&self) -> (&'static str, &'static str) {
        match self {
            Self::EmptyTemplate => (
                "the key template is empty",
                "name what is cached, as in `user:<id>`",
            ),
            Self::Unclosed => (
                "this `<` is never closed",
                "close the placeholder with `>`, or write `<<` for a literal `<`",
            ),
            Self::StrayClose => (
                "this `>` closes nothing",
                "a placeholder is `<name>`; a literal `>` is not allowed in a key",
            ),
            Self::EmptyPlaceholder => (
                "this placeholder is empty",
                "name an argument in it, as in `<id>`, or write `<<` for a literal `<`",
            ),
            Self::Space => ("no space is allowed in a placeholder", "write `<id>`"),
            Self::Call => (
                "a placeholder names an argument and its fields, and calls nothing",
                "write `<user.id>`, or hand in what the call returns as an argument of its own",
            ),
            Self::NotAName => (
                "this is not the name of an argument or field",
                "a placeholder is `<id>`, `<user.org.id>`, `<pair.0>` or `<ids[]>`",
            ),
            Self::SecondEach => (
                "`[]` may stand once in a placeholder",
                "a key is made for each element of one collection",
            ),
            Self::Brace => (
                "`{` and `}` are not allowed in a key",
                "Redis Cluster reads them as a hash tag; for a placeholder write `<id>`",
            ),
            Self::Percent => (
                "`%` is not allowed in the text of a key",
                "it begins the escapes of values",
            ),
            Self::Control => (
                "a control character is not allowed in a key",
                "write visible text",
            ),
            Self::NotSeparated => (
                "these two placeholders are not kept apart: different arguments would share a key",
                "write a `:` between them, which no value can hold",
            ),
        }
    }
}

impl Template {
    /// Parses the literal; what is wrong goes to `errors`, each with its place.
    pub(crate) fn parse(literal: &LitStr, errors: &mut Diagnostics) -> Option<Self> {
        match parse(&literal.value()) {
            Ok(pieces) => Some(Self {
                literal: literal.clone(),
                pieces,
            }),
            Err(problems) => {
                for Problem { range, kind } in problems {
                    let (message, help) = kind.message();
                    errors.add(in_literal(literal, range, message, help));
                }
                None
            }
        }
    }

    /// The placeholders, in order.
    pub(crate) fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(placeholder) => Some(placeholder),
            Piece::Text(_) => None,
        })
    }
}
