//! What a write-behind writer is handed, what it logs, and what readers see of a pending write.

use syn::ReturnType;

use super::arguments::Given;
use super::kept::{self, Words};
use super::names::Reader;
use super::signature::find_borrow;
use super::{handed_in, numbers, value, values};
use crate::diagnostics::{Diagnostics, all_of};
use crate::function::{Function, Param, plain};
use crate::model::{Argument, KeyModel, KeyPiece, Merge, Queueing, Root, WriteBehind};

/// A longer tuple is not `Serialize`.
const MOST_ARGUMENTS: usize = 16;

const ZERO_FLUSH: &str =
    "with a `flush` of 0 no write would wait for another; the least is `\"1ms\"`";

const MERGE: (&str, &str) = ("a `fn(&mut T, T)`", "add");

const BATCH_WITH: (&str, &str) = (
    "an `async fn(…, Vec<Write<…>>) -> Result<(), E>`",
    "count_all",
);

/// What is said of an argument that cannot be logged.
const LOGGED: Words = Words {
    pattern: "the arguments of a write are logged by their names; give this one a name, and take it apart in the body",
    mutable: "a write-behind writer cannot take `&mut`: its body runs later, on a copy; mark what the cache is to hand in as \
        `#[context]`",
    forever: "what is read from the log does not live for ever; leave `'static` out",
    unnamed: "the type of a logged argument has to be known when it is read from the log; write the type itself",
    dynamic: "what is behind `dyn` cannot be logged; take the type itself, or mark what the cache is to hand in as `#[context]`",
    borrow: "a logged argument outlives the call and cannot hold a borrow; take an owned type, such as `Option<String>` for \
        `Option<&str>`",
};

pub(super) fn writer(
    given: &Given<'_>,
    key: Option<&KeyModel>,
    function: &Function,
    errors: &mut Diagnostics,
) -> WriteBehind {
    check_function(function, errors);
    let params = function.params();
    handed_in::check(given, &params, "writes", errors);
    let logged = logged(&params);
    check_logged(function, &logged, errors);
    let merge = given.get("merge").and_then(|arg| {
        let path = values::path(arg, MERGE, errors);
        let of = key.map(|key| not_in_key(&logged, key)).unwrap_or_default();
        if key.is_some() && of.is_empty() {
            errors.on(
                &arg.name,
                "`merge` adds up the arguments that are not in the key, and there are none",
            );
        }
        let of = of.iter().map(|param| param.index).collect();
        Some(Merge { path: path?, of })
    });
    WriteBehind {
        value: seen(given, key, function, &logged, errors),
        merge,
        batch_with: given
            .get("batch_with")
            .and_then(|arg| values::path(arg, BATCH_WITH, errors)),
        queueing: queueing(given, errors),
    }
}

fn logged<'p, 'f>(params: &'p [Param<'f>]) -> Vec<&'p Param<'f>> {
    params
        .iter()
        .filter(|param| param.handed_in().is_none())
        .collect()
}

fn queueing(given: &Given<'_>, errors: &mut Diagnostics) -> Queueing {
    let mut count = |name: &str, most: u64| {
        given
            .get(name)
            .and_then(|arg| numbers::count(arg, most, errors))
    };
    let batch = count("batch", 100_000).and_then(|writes| u32::try_from(writes).ok());
    let max_pending = count("max_pending", u64::MAX);
    Queueing {
        flush_ms: given
            .get("flush")
            .and_then(|arg| numbers::duration(arg, ZERO_FLUSH, errors)),
        batch,
        max_pending,
        when_full: given
            .get("when_full")
            .and_then(|arg| values::when_full(arg, errors)),
    }
}

/// The cache runs the body by itself, in whichever process finds the write in the log.
fn check_function(function: &Function, errors: &mut Diagnostics) {
    let generics = &function.sig.generics;
    if let Some(receiver) = function.receiver() {
        errors.on(
            receiver,
            "a write-behind writer is a free function: its body runs later, when there is no `self`; take what it needs as \
             `#[context]`",
        );
    } else if function.is_associated() {
        errors.on(
            &function.sig.ident,
            "a write-behind writer is a free function, and cannot say `Self`: name the type",
        );
    }
    if !generics.params.is_empty() {
        errors.on(
            &generics.params,
            "a write-behind writer cannot be generic: it is registered once, and its writes are read from the log without the \
             types of a call; name the types, and leave lifetimes out",
        );
    }
    if let ReturnType::Type(_, ty) = &function.sig.output
        && let Some(found) = find_borrow(ty)
    {
        errors.add(syn::Error::new_spanned(
            found,
            "the body of a write-behind writer runs when its call is over, and its error cannot borrow from it",
        ));
    }
}

fn check_logged(function: &Function, logged: &[&Param<'_>], errors: &mut Diagnostics) {
    for param in logged {
        kept::check(param, &LOGGED, errors);
    }
    if let Some(param) = logged.get(MOST_ARGUMENTS) {
        errors.on(
            &param.typed.pat,
            format!(
                "`{}` logs more than {MOST_ARGUMENTS} arguments; put some of them into a struct",
                plain(&function.sig.ident)
            ),
        );
    }
}

/// What readers see of a pending write: exactly one of a value, nothing, or nothing because writes are changes that add up.
fn seen(
    given: &Given<'_>,
    key: Option<&KeyModel>,
    function: &Function,
    logged: &[&Param<'_>],
    errors: &mut Diagnostics,
) -> Option<Argument> {
    match (given.get("value"), given.get("merge")) {
        (Some(value), Some(_)) => {
            let message = if value::is_none(value) {
                "`merge` says already that nothing is cached, as a change is no value; leave `value` out"
            } else {
                "`value` and `merge` exclude each other: writes that are merged are changes, and no value that could be cached; leave \
                 one of them out"
            };
            errors.on(&value.name, message);
            None
        }
        (Some(value), None) if !value::is_none(value) => {
            value::argument(value, function, Reader::WriteBehind, errors)
        }
        (Some(_), None) | (None, Some(_)) => {
            check_nothing_cached(given, errors);
            None
        }
        (None, None) => {
            let key = key?;
            let rest = not_in_key(logged, key);
            if let [only] = rest[..]
                && key
                    .pieces()
                    .iter()
                    .any(|piece| field_of(piece) == Some(only.index))
            {
                return only.plain().map(|pat| Argument {
                    ident: pat.ident.clone(),
                    index: only.index,
                });
            }
            if let Some(arg) = given.get("pattern") {
                errors.on(arg.value_tokens(), which(&rest));
            }
            None
        }
    }
}

/// The logged arguments of which the key does not take the whole.
fn not_in_key<'p, 'f>(logged: &[&'p Param<'f>], key: &KeyModel) -> Vec<&'p Param<'f>> {
    let whole = |param: &Param<'_>| {
        key.pieces().iter().any(|piece| {
            matches!(piece, KeyPiece::Value(value) if value.fields.is_empty()
                && matches!(value.root, Root::Param { index, .. } if index == param.index))
        })
    };
    logged
        .iter()
        .copied()
        .filter(|param| !whole(param))
        .collect()
}

/// The parameter of which the piece is a field.
fn field_of(piece: &KeyPiece) -> Option<usize> {
    match piece {
        KeyPiece::Value(value) if !value.fields.is_empty() => match value.root {
            Root::Param { index, .. } => Some(index),
            _ => None,
        },
        _ => None,
    }
}

/// Asks for what is missing.
fn which(candidates: &[&Param<'_>]) -> String {
    let names: Vec<String> = candidates
        .iter()
        .flat_map(|param| param.names.iter().map(|name| plain(name)))
        .collect();
    let quoted: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some(first) = names.first() else {
        return "say what readers see while a write is pending: all arguments are in the key, so there is no value to cache; write \
                `value = none`"
            .to_owned();
    };
    let among = if names.len() > 1 {
        format!(
            " (the arguments that are not in the key are {})",
            all_of(&quoted)
        )
    } else {
        String::new()
    };
    format!(
        "say what readers see while a write is pending: the argument that is the new value, as in `value = {first}`{among}; or \
         nothing, as in `value = none`; or nothing because writes add up, as in `merge = add`"
    )
}

/// What is about a cached value has nothing to say where none is cached.
fn check_nothing_cached(given: &Given<'_>, errors: &mut Diagnostics) {
    for name in ["ttl", "ttl_with", "jitter", "stale_if_error"] {
        if let Some(arg) = given.get(name) {
            errors.on(
                &arg.name,
                format!(
                    "`{name}` is about the cached value, and this writer caches none; leave it out"
                ),
            );
        }
    }
}
