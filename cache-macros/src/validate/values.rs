//! The values of single arguments.

use syn::{Expr, ExprPath, Lit, LitStr};

use super::arguments::not_yet;
use crate::args::{Arg, Value};
use crate::diagnostics::{Diagnostics, closest, suggest};
use crate::model::{Codec, Consistency, PatternName, Stampede, WhenFull};

/// A string, or an error that says what the argument takes.
fn text(arg: &Arg, takes: &str, errors: &mut Diagnostics) -> Option<LitStr> {
    if let Some(Lit::Str(literal)) = arg.literal() {
        return Some(literal.clone());
    }
    errors.on(arg.value_tokens(), format!("`{}` takes {takes}", arg.name));
    None
}

/// One of a few words, or an error; words of a later version are told from unknown ones.
fn word(
    arg: &Arg,
    known: &[&'static str],
    later: &[&str],
    errors: &mut Diagnostics,
) -> Option<&'static str> {
    let takes = format!("one of {} in quotes", crate::diagnostics::all_of(known));
    let literal = text(arg, &takes, errors)?;
    let given = literal.value();
    let found = known.iter().copied().find(|word| *word == given);
    if found.is_none() {
        let name = &arg.name;
        if later.contains(&given.as_str()) {
            errors.on(&literal, not_yet(&format!("`{name} = \"{given}\"`")));
        } else {
            errors.on(
                &literal,
                format!("`{name}` cannot be \"{given}\"; {}", suggest(&given, known)),
            );
        }
    }
    found
}

/// The pattern. After an error it is the one that was meant, so that the other arguments are still judged by the right rules.
pub(super) fn pattern(arg: &Arg, errors: &mut Diagnostics) -> PatternName {
    const KNOWN: [&str; 4] = ["aside", "read-through", "write-through", "write-behind"];
    let meant = word(arg, &KNOWN, &[], errors).or_else(|| {
        let Some(Lit::Str(literal)) = arg.literal() else {
            return None;
        };
        closest(&literal.value(), KNOWN)
    });
    match meant {
        Some("read-through") => PatternName::ReadThrough,
        Some("write-through") => PatternName::WriteThrough,
        Some("write-behind") => PatternName::WriteBehind,
        _ => PatternName::Aside,
    }
}

pub(super) fn template(arg: &Arg, errors: &mut Diagnostics) -> Option<LitStr> {
    text(
        arg,
        "a template in quotes, as in `key = \"user:<id>\"`",
        errors,
    )
}

/// A template of one placeholder.
pub(super) fn placeholder(arg: &Arg, errors: &mut Diagnostics) -> Option<LitStr> {
    text(
        arg,
        "a placeholder in quotes, as in `version = \"<return.version>\"`",
        errors,
    )
}

const MODES: [&str; 4] = ["lock", "early", "swr", "none"];

/// Modes joined by `+`; `None` after an error.
pub(super) fn stampede(arg: &Arg, errors: &mut Diagnostics) -> Option<Stampede> {
    let literal = text(
        arg,
        "modes in quotes, as in `stampede = \"lock+early\"`",
        errors,
    )?;
    let given = literal.value();
    let modes: Vec<&str> = given.split('+').map(str::trim).collect();
    let problem = modes.iter().find(|mode| !MODES.contains(mode)).map_or_else(
        || twice_or_excluded(&modes),
        |unknown| {
            Some(format!(
                "`stampede` cannot be \"{unknown}\"; {}",
                suggest(unknown, &MODES)
            ))
        },
    );
    if let Some(message) = problem {
        errors.on(&literal, message);
        return None;
    }
    Some(Stampede {
        lock: modes.contains(&"lock"),
        early: modes.contains(&"early"),
        swr: modes.contains(&"swr"),
    })
}

fn twice_or_excluded(modes: &[&str]) -> Option<String> {
    let twice = modes
        .iter()
        .enumerate()
        .find(|(index, mode)| modes[..*index].contains(mode));
    if let Some((_, mode)) = twice {
        return Some(format!("`{mode}` is given twice"));
    }
    (modes.len() > 1 && modes.contains(&"none"))
        .then(|| "`none` excludes every other stampede mode".to_owned())
}

pub(super) fn consistency(arg: Option<&Arg>, errors: &mut Diagnostics) -> Consistency {
    match arg.and_then(|arg| word(arg, &["eventual", "fenced", "strict"], &[], errors)) {
        Some("eventual") => Consistency::Eventual,
        Some("strict") => Consistency::Strict,
        _ => Consistency::Fenced,
    }
}

pub(super) fn codec(arg: &Arg, errors: &mut Diagnostics) -> Option<Codec> {
    match word(
        arg,
        &["bincode", "postcard", "msgpack", "json"],
        &["protobuf"],
        errors,
    )? {
        "bincode" => Some(Codec::Bincode),
        "postcard" => Some(Codec::Postcard),
        "msgpack" => Some(Codec::MsgPack),
        _ => Some(Codec::Json),
    }
}

pub(super) fn when_full(arg: &Arg, errors: &mut Diagnostics) -> Option<WhenFull> {
    Some(
        match word(arg, &["block", "error", "through"], &[], errors)? {
            "block" => WhenFull::Block,
            "error" => WhenFull::Error,
            _ => WhenFull::Through,
        },
    )
}

pub(super) fn when_ok(arg: &Arg, errors: &mut Diagnostics) -> bool {
    word(arg, &["ok"], &[], errors).is_some()
}

pub(super) fn schema(arg: &Arg, errors: &mut Diagnostics) -> Option<u32> {
    let number = match arg.literal() {
        Some(Lit::Int(number)) if number.suffix().is_empty() => number.base10_parse().ok(),
        _ => None,
    };
    if number.is_none() {
        errors.on(
            arg.value_tokens(),
            "`schema` takes a whole number up to 4294967295, as in `schema = 2`",
        );
    }
    number
}

pub(super) fn boolean(arg: &Arg, errors: &mut Diagnostics) -> Option<bool> {
    if let Some(Lit::Bool(literal)) = arg.literal() {
        return Some(literal.value);
    }
    errors.on(
        arg.value_tokens(),
        format!("`{}` takes `true` or `false`", arg.name),
    );
    None
}

pub(super) fn expression(arg: &Arg, errors: &mut Diagnostics) -> Option<Expr> {
    if let Value::Expr(expr) = &arg.value {
        return Some(expr.clone());
    }
    errors.on(
        arg.value_tokens(),
        format!(
            "`{0}` takes an expression, as in `{0} = state.cache`",
            arg.name
        ),
    );
    None
}

/// The path of a function, which is described by its type and a name.
pub(super) fn path(
    arg: &Arg,
    (function, name): (&str, &str),
    errors: &mut Diagnostics,
) -> Option<ExprPath> {
    if let Value::Expr(Expr::Path(path)) = &arg.value {
        return Some(path.clone());
    }
    errors.on(
        arg.value_tokens(),
        format!(
            "`{0}` takes the path of {function}, as in `{0} = {name}`",
            arg.name
        ),
    );
    None
}
