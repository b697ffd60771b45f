//! Templates: the text is taken apart or refused with its places, and the macros and the runtime mean the same by it.

use cache_runtime::testing::hostile::template::Parsed;
use cache_runtime::{Key, KeyWriter};
use fastrand::Rng;

use super::mutate::mutate;
use super::source::Source;
use super::{Meter, Seen, Target, ensure};

/// The parser of the macros: their crate exports nothing else than macros, so its file is built here once more.
#[allow(dead_code, clippy::redundant_pub_crate)]
#[path = "../../../cache-macros/src/template/parse.rs"]
mod parse;

use parse::Piece;

/// A piece of one character is kept in some 100 bytes, and lists of pieces grow by doubling.
const AT_LEAST: usize = 8 << 10;
const AT_MOST: usize = 600;

/// Longer texts are not held against others: that takes a step for each two of their characters.
const COMPARED: usize = 40;

const SAMPLES: [&str; 10] = [
    "user:<id>",
    "org:<org>:user:<user.id>",
    "<a>:<b>-<c[].d>",
    "a<<b:<x>/:<y>*<z>",
    "settings",
    "<self.tenant>:<pair.0>.json",
    "<return.r#type>:x",
    "caf\u{e9}:<name>:\u{1f980}<id>",
    "{id}:%:<a b>:<f()>",
    "<>:<a><b>:<a[].b[]>:>",
];

/// Pieces of which templates are made.
const WORDS: [&str; 24] = [
    "<",
    ">",
    "<<",
    ":",
    "*",
    "<id>",
    "<a.b>",
    "<a.0>",
    "<ids[]>",
    "[]",
    ".",
    "r#",
    "self",
    "return",
    "_",
    "%",
    "{",
    "}",
    "-",
    "user",
    "\u{e9}",
    "\u{1f980}",
    " ",
    "(",
];

pub(super) struct Templates(Vec<Vec<u8>>);

impl Templates {
    pub(super) fn new() -> Self {
        Self(SAMPLES.map(|sample| sample.as_bytes().to_vec()).into())
    }
}

/// The key that the template makes of texts, as the macros write it.
fn key(pieces: &[Piece], mut text: impl FnMut() -> String) -> (Key, Vec<String>) {
    let (mut writer, mut texts) = (KeyWriter::new(), Vec::new());
    for piece in pieces {
        match piece {
            Piece::Text(literal) => writer.literal(literal),
            Piece::Placeholder(_) => {
                let text = text();
                writer.text(&text);
                texts.push(text);
            }
        }
    }
    (writer.finish(), texts)
}

/// Places of problems lie in the text, where carets are drawn under them.
fn check_problems(source: &str, problems: &[parse::Problem]) -> Result<(), String> {
    ensure(!problems.is_empty(), || {
        "it was refused without a reason".to_owned()
    })?;
    for problem in problems {
        ensure(source.get(problem.range.clone()).is_some(), || {
            format!("{problem:?} is not a place of {source:?}")
        })?;
    }
    Ok(())
}

fn check_pieces(source: &str, pieces: &[Piece], rest: &[u8]) -> Result<(), String> {
    for piece in pieces {
        if let Piece::Placeholder(placeholder) = piece {
            let place = source.get(placeholder.name_range.clone());
            ensure(
                place.is_some_and(|name| name.ends_with(&placeholder.name)),
                || format!("{placeholder:?} is not where it says in {source:?}"),
            )?;
        }
    }
    let template = Parsed::of(source);
    let mut values = Source(rest);
    let (one, texts) = key(pieces, || values.text(4));
    let read = template.values(&one);
    let read = read.map(|values| {
        let texts = values.iter().map(|value| value.text().map(String::from));
        texts.collect::<Option<Vec<_>>>()
    });
    ensure(read == Some(Some(texts.clone())), || {
        format!("{source:?} makes {one:?} of {texts:?}, which is read as {read:?}")
    })?;
    let (other, others) = key(pieces, || values.text(4));
    ensure((one == other) == (texts == others), || {
        format!("{source:?} makes {one:?} of {texts:?}, and {other:?} of {others:?}")
    })?;
    if source.len() <= COMPARED {
        ensure(template.distance(&one) == 0, || {
            format!("{one:?} is far from {source:?}")
        })?;
        ensure(template.overlaps(&template), || {
            format!("{source:?} does not overlap itself")
        })?;
    }
    Ok(())
}

impl Target for Templates {
    fn name(&self) -> &'static str {
        "templates"
    }

    fn make(&self, random: &mut Rng) -> Vec<u8> {
        let mut bytes = match random.bool() {
            true => self.0[random.usize(..self.0.len())].clone(),
            false => {
                let words = (0..random.usize(..12)).map(|_| WORDS[random.usize(..WORDS.len())]);
                words.collect::<String>().into_bytes()
            }
        };
        if random.bool() {
            mutate(&mut bytes, &self.0, random);
        }
        bytes.truncate(120);
        bytes
    }

    fn check(&self, bytes: &[u8], meter: Meter) -> Result<Seen, String> {
        let source = &*String::from_utf8_lossy(bytes);
        let most = AT_LEAST + AT_MOST * source.len();
        // No macro lets a bad one come here, and none panics.
        let parsed = meter.read(most, || Parsed::of(source))?;
        meter.read(most, || parsed.values(source).map(|values| values.len()))?;
        match meter.read(most, || parse::parse(source))? {
            Ok(pieces) => {
                check_pieces(source, &pieces, bytes)?;
                Ok(Seen::Accepted)
            }
            Err(problems) => {
                check_problems(source, &problems)?;
                Ok(Seen::Refused)
            }
        }
    }
}
