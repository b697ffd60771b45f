//! What a write-through writer stores, and the version that orders its writes.

use syn::{LitStr, ReturnType};

use super::arguments::Given;
use super::names::{Names, Reader};
use super::{signature, value, values};
use crate::args::Arg;
use crate::diagnostics::Diagnostics;
use crate::function::Function;
use crate::model::{Consistency, KeyPiece, Value, WriteThrough};
use crate::template::Template;

pub(super) fn writer(
    given: &Given<'_>,
    consistency: Consistency,
    function: &Function,
    errors: &mut Diagnostics,
) -> WriteThrough {
    let value = given
        .get("value")
        .and_then(|arg| value::argument(arg, function, Reader::WriteThrough, errors));
    let params = function.params();
    let stored = value
        .as_ref()
        .and_then(|value| params.iter().find(|param| param.index == value.index));
    if let Some(param) = stored {
        value::check_copied(param, errors);
    } else if given.get("value").is_none()
        && function.sig.asyncness.is_some()
        && let ReturnType::Type(_, ty) = &function.sig.output
    {
        signature::check_owned_result(ty, errors);
    }
    WriteThrough {
        value,
        version: given.get("version").and_then(|arg| {
            check_order(given, consistency, errors);
            version(arg, function, errors)
        }),
    }
}

/// A version is an order of its own.
fn check_order(given: &Given<'_>, consistency: Consistency, errors: &mut Diagnostics) {
    let Some(arg) = given.get("consistency") else {
        return;
    };
    let message = match consistency {
        Consistency::Fenced => return,
        Consistency::Strict => {
            "`version` and `consistency = \"strict\"` exclude each other: a strict write tells readers of itself before its body runs, \
             one with a version stores by the database's own order and tells nobody; leave one of them out"
        }
        Consistency::Eventual => {
            "`version` and `consistency = \"eventual\"` exclude each other: with a version the older value never takes the place of the \
             newer one, which `eventual` would allow; leave `consistency` out"
        }
    };
    errors.on(arg.value_tokens(), message);
}

/// One placeholder, and nothing else.
fn version(arg: &Arg, function: &Function, errors: &mut Diagnostics) -> Option<Value> {
    let literal = values::placeholder(arg, errors)?;
    let template = Template::parse(&literal, errors)?;
    let pieces = Names::of(function, Reader::Versioned).resolve(&template, errors)?;
    match <[KeyPiece; 1]>::try_from(pieces) {
        Ok([KeyPiece::Value(value)]) => Some(in_literal(value, &literal)),
        _ => {
            errors.on(
                &literal,
                "a version is one number: name where it stands, and nothing else, as in `version = \"<return.version>\"`",
            );
            None
        }
    }
}

/// A version that is not a number is reported where it is named, and not at the argument's type, which may be right for everything else.
fn in_literal(mut value: Value, literal: &LitStr) -> Value {
    value.blame = (literal.span(), literal.span());
    value
}
