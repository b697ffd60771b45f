//! Templates at run time: which keys fit one, and which two fit one key.

use std::collections::HashSet;

use crate::key::KeyText;

/// No value holds these, and of any two placeholders one of them stands between.
const SEPARATORS: [char; 3] = [':', '<', '*'];

/// A template, with its placeholders by their places only: their names are those of one function's arguments.
#[derive(Debug, Clone)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Value(Kind),
}

/// What is known of the values of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing: it may be a type's other name.
    Unknown,
    /// Any text.
    Text,
    /// Integers.
    Number,
}

/// What is known of a template's placeholders, each by one bit, from the lowest on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kinds {
    /// They stand for integers.
    pub(crate) numbers: u64,
    /// They stand for any text.
    pub(crate) texts: u64,
}

impl Kinds {
    /// What is known of the first placeholder; and goes on to the next.
    fn next(&mut self) -> Kind {
        let kind = match (self.numbers & 1, self.texts & 1) {
            (1, _) => Kind::Number,
            (_, 1) => Kind::Text,
            _ => Kind::Unknown,
        };
        self.numbers >>= 1;
        self.texts >>= 1;
        kind
    }
}

/// A piece of one character, or a value of at least one.
#[derive(Clone, Copy)]
enum Symbol {
    Char(char),
    Value(Kind),
}

/// Those are one that have the same text and placeholders in the same places.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(&other.0).all(|pair| match pair {
                (Piece::Text(a), Piece::Text(b)) => a == b,
                (Piece::Value(_), Piece::Value(_)) => true,
                _ => false,
            })
    }
}

impl Template {
    /// Takes a template apart that a macro has checked.
    pub(crate) fn parse(source: &str) -> Self {
        Self::with_kinds(source, Kinds::default())
    }

    /// The same, with what is known of its placeholders.
    pub(crate) fn with_kinds(source: &str, mut kinds: Kinds) -> Self {
        let mut template = Self(Vec::new());
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('<') {
            template.push(before);
            if let Some(after) = after.strip_prefix('<') {
                template.push("<");
                rest = after;
            } else {
                template.0.push(Piece::Value(kinds.next()));
                rest = after.split_once('>').map_or("", |(_, after)| after);
            }
        }
        template.push(rest);
        template
    }

    fn push(&mut self, more: &str) {
        match self.0.last_mut() {
            Some(Piece::Text(text)) => text.push_str(more),
            _ if more.is_empty() => {}
            _ => self.0.push(Piece::Text(more.to_owned())),
        }
    }

    /// The texts of the placeholders, in their order, if the key could have been made by this template.
    pub(crate) fn values<'k>(&self, key: &'k str) -> Option<Vec<KeyText<'k>>> {
        let mut values = Vec::new();
        let mut rest = key;
        let mut pieces = self.0.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Text(text) => rest = rest.strip_prefix(text.as_str())?,
                Piece::Value(_) => {
                    let length = match pieces.peek() {
                        Some(Piece::Text(text)) => before(rest, text)?,
                        _ => rest.len(),
                    };
                    let value = rest.get(..length)?;
                    if value.is_empty() || !value.chars().all(is_of_value) {
                        return None;
                    }
                    values.push(KeyText::new(value));
                    rest = &rest[length..];
                }
            }
        }
        rest.is_empty().then_some(values)
    }

    /// Whether there may be a key that fits both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.meets(other, meet)
    }

    /// Whether there is a key that fits both, whatever the types are of which nothing is known: their values might be no words.
    pub(crate) fn surely_overlaps(&self, other: &Self) -> bool {
        self.meets(other, |one, other| match (one, other) {
            (Symbol::Char(_), Symbol::Value(Kind::Unknown))
            | (Symbol::Value(Kind::Unknown), Symbol::Char(_)) => false,
            _ => meet(one, other),
        })
    }

    fn meets(&self, other: &Self, meet: impl Fn(Symbol, Symbol) -> bool) -> bool {
        let (ours, theirs) = (self.symbols(), other.symbols());
        let mut seen = HashSet::new();
        // A state is a place before a symbol, and whether the value there has begun.
        let mut states = vec![((0, false), (0, false))];
        while let Some((a, b)) = states.pop() {
            if !seen.insert((a, b)) {
                continue;
            }
            if is_end(&ours, a) && is_end(&theirs, b) {
                return true;
            }
            for (read, next) in moves(&ours, a) {
                for (also, after) in moves(&theirs, b) {
                    if meet(read, also) {
                        states.push((next, after));
                    }
                }
            }
        }
        false
    }

    /// How many characters have to be changed until the key fits.
    pub(crate) fn distance(&self, key: &str) -> usize {
        let key: Vec<char> = key.chars().collect();
        let mut row: Vec<usize> = (0..=key.len()).collect();
        for symbol in self.symbols() {
            let mut next = vec![row[0] + 1];
            for (at, &c) in key.iter().enumerate() {
                let changed = row[at] + usize::from(!meet(symbol, Symbol::Char(c)));
                let mut least = changed.min(row[at + 1] + 1).min(next[at] + 1);
                if matches!(symbol, Symbol::Value(_)) && is_of_value(c) {
                    least = least.min(next[at]);
                }
                next.push(least);
            }
            row = next;
        }
        row.last().copied().unwrap_or_default()
    }

    /// How many characters its text has.
    pub(crate) fn literal_length(&self) -> usize {
        let chars = self.symbols();
        chars
            .iter()
            .filter(|symbol| matches!(symbol, Symbol::Char(_)))
            .count()
    }

    /// A text like its keys, to be compared with other templates.
    pub(crate) fn example(&self) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Value(_) => "0",
        });
        pieces.collect()
    }

    fn symbols(&self) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => symbols.extend(text.chars().map(Symbol::Char)),
                Piece::Value(kind) => symbols.push(Symbol::Value(*kind)),
            }
        }
        symbols
    }
}

/// How long a value is that is followed by this text.
fn before(rest: &str, text: &str) -> Option<usize> {
    match text.find(SEPARATORS) {
        // The first in the rest is the first in the text, as the value holds none.
        Some(separator) => rest.find(SEPARATORS)?.checked_sub(separator),
        // No further value follows.
        None => rest.len().checked_sub(text.len()),
    }
}

type Place = (usize, bool);

fn is_end(symbols: &[Symbol], (at, begun): Place) -> bool {
    at + usize::from(begun) == symbols.len()
}

/// What can be read at a place, and the place after it.
fn moves(symbols: &[Symbol], (at, begun): Place) -> Vec<(Symbol, Place)> {
    let mut moves = Vec::new();
    if begun && let Some(&value) = symbols.get(at) {
        // The value goes on, or was all.
        moves.push((value, (at, true)));
    }
    let at = at + usize::from(begun);
    match symbols.get(at) {
        Some(&value @ Symbol::Value(_)) => moves.push((value, (at, true))),
        Some(&char) => moves.push((char, (at + 1, false))),
        None => {}
    }
    moves
}

fn meet(one: Symbol, other: Symbol) -> bool {
    match (one, other) {
        (Symbol::Char(a), Symbol::Char(b)) => a == b,
        (Symbol::Char(c), Symbol::Value(kind)) | (Symbol::Value(kind), Symbol::Char(c)) => {
            match kind {
                Kind::Unknown | Kind::Text => is_of_value(c),
                Kind::Number => c.is_ascii_digit() || c == '-',
            }
        }
        (Symbol::Value(_), Symbol::Value(_)) => true,
    }
}

/// Whether the text of a value may hold the character. It may hold `%`, which begins its escapes.
fn is_of_value(c: char) -> bool {
    !matches!(c, ':' | '<' | '>' | '{' | '}' | '*') && !c.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(template: &str, key: &str) -> Option<Vec<String>> {
        let values = Template::parse(template).values(key)?;
        Some(
            values
                .iter()
                .map(|value| value.as_str().to_owned())
                .collect(),
        )
    }

    #[test]
    fn a_key_is_taken_apart_where_its_template_says() {
        let some = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(values("user:<id>", "user:42"), some(&["42"]));
        assert_eq!(values("a:<x>-y:<z>", "a:1-y-y:2"), some(&["1-y", "2"]));
        assert_eq!(values("a:<x>.json", "a:b.json.json"), some(&["b.json"]));
        assert_eq!(values("config", "config"), some(&[]));
        assert_eq!(values("a<<b:<x>", "a<b:1"), some(&["1"]));
        assert_eq!(values("<x>:<y>", "1:2"), some(&["1", "2"]));
        assert_eq!(values("name:<ids[]>", "name:1"), some(&["1"]));
        for (template, key) in [
            ("user:<id>", "user:"),
            ("user:<id>", "user:1:2"),
            ("user:<id>", "users:1"),
            ("a:<x>-y:<z>", "a:-y:2"),
            ("a:<x>ß:<z>", "a:b\u{e9}:2"),
            ("a:<x>.json", "a:.json"),
            ("config", "config2"),
            ("user:<id>:posts", "user:1"),
        ] {
            assert_eq!(values(template, key), None, "{template} {key}");
        }
    }

    #[test]
    fn templates_overlap_where_a_key_fits_both() {
        let overlap = |a: &str, b: &str| {
            let (a, b) = (Template::parse(a), Template::parse(b));
            assert_eq!(a.overlaps(&b), b.overlaps(&a));
            a.overlaps(&b)
        };
        assert!(overlap("user:<id>", "user:<name>"));
        assert!(overlap("user:<id>", "user:all"));
        assert!(overlap("user:<id>", "<kind>:<id>"));
        assert!(overlap("a:<x>b", "a:c<y>"));
        assert!(overlap("a:<x>", "a:x<y>"));
        assert!(!overlap("a:x", "a:x<y>"));
        assert!(!overlap("user:<id>", "user:<id>:posts"));
        assert!(!overlap("user:<id>", "users:<id>"));
        assert!(!overlap("a:<x>-b", "a:<x>-c"));
        assert!(!overlap("a:<x>", "a:"));
        assert!(!overlap("a:<x>", "a:*"));
    }

    #[test]
    fn integers_overlap_with_no_other_text() {
        let numbers = |source, numbers| Template::with_kinds(source, Kinds { numbers, texts: 0 });
        let number = numbers("user:<id>", 1);
        assert!(!number.overlaps(&Template::parse("user:all")));
        assert!(number.overlaps(&Template::parse("user:007")));
        assert!(number.overlaps(&Template::parse("user:<name>")));
        assert_eq!(number, Template::parse("user:<name>"));
        let second = numbers("<a>:<b>", 2);
        assert!(second.overlaps(&Template::parse("x:1")));
        assert!(!second.overlaps(&Template::parse("1:x")));
    }

    #[test]
    fn what_nothing_is_known_of_surely_overlaps_with_no_text() {
        let texts = |source, texts| Template::with_kinds(source, Kinds { numbers: 0, texts });
        let all = Template::parse("user:all");
        assert!(Template::parse("user:<id>").overlaps(&all));
        assert!(!Template::parse("user:<id>").surely_overlaps(&all));
        assert!(!all.surely_overlaps(&Template::parse("user:<id>")));
        assert!(texts("user:<name>", 1).surely_overlaps(&all));
        assert!(!texts("<id>:<name>", 2).surely_overlaps(&all));
        assert!(Template::parse("user:<id>").surely_overlaps(&Template::parse("user:<name>")));
    }

    #[test]
    fn the_closest_template_is_the_one_with_the_fewest_changes() {
        let user = Template::parse("user:<id>");
        assert_eq!(user.distance("user:42"), 0);
        assert_eq!(user.distance("usr:42"), 1);
        assert_eq!(user.distance("user:"), 1);
        assert_eq!(user.distance("user:42:posts"), 1);
        assert_eq!(user.literal_length(), 5);
    }
}
