//! The values of single arguments.

use syn::{Expr, Lit, LitStr};

use super::not_yet;
use crate::args::{Arg, Value};
use crate::diagnostics::{Diagnostics, suggest};
use crate::duration;
use crate::model::{Codec, Consistency, Stampede};

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

pub(super) fn pattern(arg: &Arg, errors: &mut Diagnostics) {
    word(
        arg,
        &["aside"],
        &["read-through", "write-through", "write-behind"],
        errors,
    );
}

pub(super) fn template(arg: &Arg, errors: &mut Diagnostics) -> Option<LitStr> {
    text(
        arg,
        "a template in quotes, as in `key = \"user:<id>\"`",
        errors,
    )
}

pub(super) fn stampede(arg: Option<&Arg>, errors: &mut Diagnostics) -> Stampede {
    let Some(arg) = arg else {
        return Stampede::Lock;
    };
    if let Some(Lit::Str(literal)) = arg.literal() {
        let given = literal.value();
        let modes: Vec<&str> = given.split('+').map(str::trim).collect();
        if modes.len() > 1
            && modes
                .iter()
                .all(|mode| ["lock", "early", "swr", "none"].contains(mode))
        {
            let message = if modes.contains(&"none") {
                "`none` excludes every other stampede mode".to_owned()
            } else {
                not_yet(&format!("`stampede = \"{given}\"`"))
            };
            errors.on(literal, message);
            return Stampede::Lock;
        }
    }
    match word(arg, &["lock", "none"], &["early", "swr"], errors) {
        Some("none") => Stampede::None,
        _ => Stampede::Lock,
    }
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

pub(super) fn when_ok(arg: &Arg, errors: &mut Diagnostics) -> bool {
    word(arg, &["ok"], &[], errors).is_some()
}

/// In milliseconds.
pub(super) fn ttl(arg: &Arg, errors: &mut Diagnostics) -> Option<u64> {
    let parsed = match arg.literal() {
        Some(Lit::Str(text)) => duration::parse(&text.value()),
        Some(Lit::Int(number)) if number.suffix().is_empty() => {
            number.base10_parse().map_err(|error| error.to_string()).and_then(duration::from_seconds)
        }
        _ => Err("`ttl` takes whole seconds, or text such as `\"90s\"`, `\"5m\"`, `\"1h30m\"` or `\"250ms\"`".to_owned()),
    };
    match parsed {
        Ok(0) => {
            errors.on(
                arg.value_tokens(),
                "a TTL of 0 caches nothing; leave `ttl` out for the cache's default of 300 seconds",
            );
            None
        }
        Ok(ms) => Some(ms),
        Err(message) => {
            errors.on(arg.value_tokens(), message);
            None
        }
    }
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
