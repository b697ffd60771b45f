//! The text of a template, taken apart: slices of the source with their places. Knows nothing of literals and carets, so that it can be tried on any text.

use std::ops::Range;

/// Literal text may hold these, and an escaped value never does: they alone keep two placeholders apart.
/// (`%`, `{`, `}` and controls never occur in a value either, but are refused in literal text.)
const SEPARATORS: [char; 3] = [':', '<', '*'];

/// A piece of a template.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// Literal text, with `<<` already made `<`.
    Text(String),
    /// What stands between `<` and `>`.
    Placeholder(Placeholder),
}

/// `user.org.id` or `ids[].org`.
#[derive(Debug, PartialEq, Clone)]
pub(crate) struct Placeholder {
    pub(crate) name: String,
    /// The fields after the name, in order.
    pub(crate) fields: Vec<Field>,
    /// How many of the fields come before `[]`, if it is there.
    pub(crate) each_after: Option<usize>,
    /// The place between the brackets, in bytes of the template.
    pub(crate) range: Range<usize>,
    /// The place of the name alone.
    pub(crate) name_range: Range<usize>,
}

/// A field of a struct or of a tuple.
#[derive(Debug, PartialEq, Clone)]
pub(crate) enum Field {
    Named(String),
    Index(u32),
}

/// What is wrong in a template, and where.
#[derive(Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    EmptyTemplate,
    Unclosed,
    StrayClose,
    EmptyPlaceholder,
    Space,
    Call,
    NotAName,
    SecondEach,
    Brace,
    Percent,
    Control,
    NotSeparated,
}

/// Takes a template apart, or tells everything that is wrong with it.
pub(crate) fn parse(source: &str) -> Result<Vec<Piece>, Vec<Problem>> {
    let mut parser = Parser {
        source,
        at: 0,
        pieces: Vec::new(),
        problems: Vec::new(),
    };
    parser.run();
    if parser.problems.is_empty() {
        parser.check_separation();
    }
    if parser.problems.is_empty() {
        Ok(parser.pieces)
    } else {
        Err(parser.problems)
    }
}

struct Parser<'s> {
    source: &'s str,
    at: usize,
    pieces: Vec<Piece>,
    problems: Vec<Problem>,
}

impl<'s> Parser<'s> {
    fn run(&mut self) {
        if self.source.is_empty() {
            self.problem(0..0, Kind::EmptyTemplate);
        }
        while let Some(next) = self.rest().chars().next() {
            if self.rest().starts_with("<<") {
                self.text('<');
                self.at += 2;
            } else if next == '<' {
                self.placeholder();
            } else {
                self.literal(next);
            }
        }
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn problem(&mut self, range: Range<usize>, kind: Kind) {
        self.problems.push(Problem { range, kind });
    }

    fn text(&mut self, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => self.pieces.push(Piece::Text(c.to_string())),
        }
    }

    fn literal(&mut self, c: char) {
        let mut here = self.at..self.at + c.len_utf8();
        if c == '{' {
            // `{id}`, as in `format!`, is one mistake.
            here.end = self
                .rest()
                .find('}')
                .map_or(here.end, |length| self.at + length + 1);
        }
        self.at = here.end;
        match c {
            '>' => self.problem(here, Kind::StrayClose),
            '{' | '}' => self.problem(here, Kind::Brace),
            '%' => self.problem(here, Kind::Percent),
            c if c.is_control() => self.problem(here, Kind::Control),
            c => self.text(c),
        }
    }

    /// At a `<`. Another `<` before the `>` means that this one was never closed, and parsing goes on from there.
    fn placeholder(&mut self) {
        let inner = self.at + 1;
        let length = self.source[inner..]
            .find(['<', '>'])
            .unwrap_or(self.source.len() - inner);
        let end = inner + length;
        if self.source[end..].starts_with('>') {
            if let Some(placeholder) = self.path(inner..end) {
                self.pieces.push(Piece::Placeholder(placeholder));
            }
            self.at = end + 1;
        } else {
            self.problem(self.at..end, Kind::Unclosed);
            self.at = end;
        }
    }

    fn path(&mut self, range: Range<usize>) -> Option<Placeholder> {
        let text = &self.source[range.clone()];
        if text.is_empty() {
            // The brackets too: a caret under nothing would be hard to read.
            self.problem(range.start - 1..range.end + 1, Kind::EmptyPlaceholder);
            return None;
        }
        if text.contains(char::is_whitespace) {
            self.problem(range, Kind::Space);
            return None;
        }
        if text.contains('(') {
            self.problem(range, Kind::Call);
            return None;
        }
        let mut found = Placeholder {
            name: String::new(),
            fields: Vec::new(),
            each_after: None,
            name_range: range.start..range.start,
            range: range.clone(),
        };
        let mut at = range.start;
        for (index, segment) in text.split('.').enumerate() {
            let here = at..at + segment.len();
            at = here.end + 1;
            self.segment(segment, here, index, &mut found)?;
        }
        Some(found)
    }

    fn segment(
        &mut self,
        segment: &str,
        here: Range<usize>,
        index: usize,
        found: &mut Placeholder,
    ) -> Option<()> {
        let name = segment.strip_suffix("[]").unwrap_or(segment);
        let name_range = here.start..here.start + name.len();
        let each = name.len() < segment.len();
        let name = name.strip_prefix("r#").unwrap_or(name);
        if index == 0 && is_name(name) {
            name.clone_into(&mut found.name);
            found.name_range = name_range;
        } else if index > 0 && is_name(name) {
            found.fields.push(Field::Named(name.to_owned()));
        } else if let (1.., Ok(number)) = (index, name.parse::<u32>()) {
            found.fields.push(Field::Index(number));
        } else {
            let shown = if name.is_empty() {
                here.start.saturating_sub(1)..here.end.max(here.start)
            } else {
                name_range
            };
            self.problem(shown, Kind::NotAName);
            return None;
        }
        if each {
            if found.each_after.is_some() {
                self.problem(here.end - 2..here.end, Kind::SecondEach);
                return None;
            }
            found.each_after = Some(found.fields.len());
        }
        Some(())
    }

    /// Values are escaped so that they hold no separator; without one between two placeholders, (`a`, `bc`) and
    /// (`ab`, `c`) would meet in one key.
    fn check_separation(&mut self) {
        let mut last: Option<Range<usize>> = None;
        let mut problems = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) if text.contains(SEPARATORS) => last = None,
                Piece::Text(_) => {}
                Piece::Placeholder(placeholder) => {
                    if let Some(before) = last.replace(placeholder.range.clone()) {
                        let both = before.start - 1..placeholder.range.end + 1;
                        problems.push(Problem {
                            range: both,
                            kind: Kind::NotSeparated,
                        });
                    }
                }
            }
        }
        self.problems.append(&mut problems);
    }
}

fn is_name(text: &str) -> bool {
    // `syn` would accept `_`, which is a pattern and not a name.
    text != "_" && syn::parse_str::<syn::Ident>(text).is_ok() || is_keyword(text)
}

/// `self` and `return` have a meaning; other keywords may name a raw argument or field (`r#type`).
fn is_keyword(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase())
        && !text.is_empty()
        && syn::parse_str::<syn::Ident>(text).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str, range: Range<usize>) -> Piece {
        Piece::Placeholder(Placeholder {
            name: name.to_owned(),
            fields: Vec::new(),
            each_after: None,
            name_range: range.clone(),
            range,
        })
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn only(source: &str) -> Placeholder {
        match parse(source).as_deref() {
            Ok([Piece::Placeholder(placeholder)]) => placeholder.clone(),
            other => panic!("{source}: {other:?}"),
        }
    }

    fn problem(source: &str) -> (&str, Kind) {
        let problems = parse(source).expect_err(source);
        assert_eq!(problems.len(), 1, "{source}: {problems:?}");
        let Problem { range, kind } = problems.into_iter().next().expect("counted");
        (&source[range], kind)
    }

    #[test]
    fn text_and_placeholders_are_slices_of_the_source() {
        assert_eq!(
            parse("user:<id>").expect("valid"),
            [text("user:"), name("id", 6..8)]
        );
        assert_eq!(parse("settings").expect("valid"), [text("settings")]);
        assert_eq!(
            parse("<a>:ü:<b>x").expect("valid"),
            [name("a", 1..2), text(":ü:"), name("b", 8..9), text("x")]
        );
    }

    #[test]
    fn two_opening_brackets_are_one_literal_bracket() {
        assert_eq!(
            parse("a<<b<id>").expect("valid"),
            [text("a<b"), name("id", 5..7)]
        );
    }

    #[test]
    fn paths_have_fields_indices_and_elements() {
        let path = only("<user.org.0>");
        assert_eq!(path.name, "user");
        assert_eq!(path.fields, [Field::Named("org".into()), Field::Index(0)]);
        assert_eq!(path.each_after, None);
        assert_eq!(only("<ids[]>").each_after, Some(0));
        assert_eq!(only("<order.lines[].sku>").each_after, Some(1));
        assert_eq!(only("<self.tenant>").name, "self");
        assert_eq!(only("<return.id>").name, "return");
        assert_eq!(only("<user.type>").fields, [Field::Named("type".into())]);
    }

    #[test]
    fn a_bracket_that_is_not_closed_is_an_error_and_not_text() {
        assert_eq!(problem("user:<id"), ("<id", Kind::Unclosed));
        assert_eq!(problem("<org:<id>"), ("<org:", Kind::Unclosed));
        assert_eq!(problem("user:id>"), (">", Kind::StrayClose));
        assert_eq!(problem("a:<<id>"), (">", Kind::StrayClose));
    }

    #[test]
    fn malformed_placeholders_are_pointed_at() {
        assert_eq!(problem("user:<>"), ("<>", Kind::EmptyPlaceholder));
        assert_eq!(problem("user:< id >"), (" id ", Kind::Space));
        assert_eq!(problem("user:<id.len()>"), ("id.len()", Kind::Call));
        assert_eq!(problem("user:<user..id>"), (".", Kind::NotAName));
        assert_eq!(problem("user:<user.>"), (".", Kind::NotAName));
        assert_eq!(problem("user:<0.id>"), ("0", Kind::NotAName));
        assert_eq!(problem("user:<a-b>"), ("a-b", Kind::NotAName));
        assert_eq!(problem("user:<_>"), ("_", Kind::NotAName));
        assert_eq!(problem("<a[].b[]>"), ("[]", Kind::SecondEach));
    }

    #[test]
    fn text_that_could_be_mistaken_is_refused() {
        assert_eq!(problem(""), ("", Kind::EmptyTemplate));
        assert_eq!(problem("a}"), ("}", Kind::Brace));
        assert_eq!(problem("a:{id}:<b>"), ("{id}", Kind::Brace));
        assert_eq!(problem("a:{id"), ("{", Kind::Brace));
        assert_eq!(problem("50%"), ("%", Kind::Percent));
        assert_eq!(problem("a\nb"), ("\n", Kind::Control));
    }

    #[test]
    fn placeholders_need_a_character_between_them_that_no_value_holds() {
        for joined in ["<a><b>", "<a>/<b>", "<a>-<b>", "<a>, <b>"] {
            assert_eq!(problem(joined), (joined, Kind::NotSeparated));
        }
        for apart in ["<a>:<b>", "<a>/:<b>", "<a><<<b>", "<a>*<b>"] {
            assert!(parse(apart).is_ok(), "{apart}");
        }
    }

    #[test]
    fn all_problems_are_found_at_once() {
        assert_eq!(parse("<>:{:<a b>").expect_err("three").len(), 3);
    }
}
