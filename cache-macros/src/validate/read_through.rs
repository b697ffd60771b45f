//! What a loader has to be so that the cache can run it from a key alone.

use super::arguments::Given;
use super::handed_in;
use super::kept::{self, Words};
use crate::diagnostics::Diagnostics;
use crate::function::{Function, plain};
use crate::model::{KeyModel, KeyPiece, Root};

/// What is said of an argument that the cache cannot make.
const TOLD: Words = Words {
    pattern: "the arguments of a read-through loader are told from its key by their names; give this one a name, and take it apart in \
              the body",
    mutable: "a read-through loader cannot take `&mut`: the cache runs it by itself, with arguments that it has told from a key; mark what \
              it is to hand in as `#[context]`",
    forever: "what is told from a key does not live for ever; leave `'static` out",
    unnamed: "the type of an argument has to be known when it is told from a key; write the type itself",
    dynamic: "what is behind `dyn` cannot be told from a key; take the type itself, or mark what the cache is to hand in as `#[context]`",
    borrow: "an argument that is told from a key cannot hold a borrow; take an owned type, such as `Option<String>` for `Option<&str>`",
};

pub(super) fn check(
    given: &Given<'_>,
    key: Option<&KeyModel>,
    function: &Function,
    errors: &mut Diagnostics,
) {
    check_function(function, errors);
    let params = function.params();
    handed_in::check(given, &params, "loads", errors);
    for param in params.iter().filter(|param| param.handed_in().is_none()) {
        kept::check(param, &TOLD, errors);
        if let (Some(key), Some(pat)) = (key, param.plain())
            && !is_in(key, param.index)
        {
            let name = plain(&pat.ident);
            errors.on(
                &param.typed.pat,
                format!(
                    "`{name}` is not in the key, and by the key alone the cache cannot know it; add `<{name}>` to the key, or mark what the \
                     cache is to hand in as `#[context]`"
                ),
            );
        }
    }
}

fn is_in(key: &KeyModel, param: usize) -> bool {
    key.pieces().iter().any(|piece| {
        matches!(piece, KeyPiece::Value(value) if matches!(value.root, Root::Param { index, .. } if index == param))
    })
}

/// The cache runs the body by itself, for whatever key it is asked.
fn check_function(function: &Function, errors: &mut Diagnostics) {
    let generics = &function.sig.generics;
    if let Some(receiver) = function.receiver() {
        errors.on(
            receiver,
            "a read-through loader is a free function: where the cache runs it by itself there is no `self`; take what it needs as \
             `#[context]`",
        );
    } else if function.is_associated() {
        errors.on(
            &function.sig.ident,
            "a read-through loader is a free function, and cannot say `Self`: name the type",
        );
    }
    if !generics.params.is_empty() {
        errors.on(
            &generics.params,
            "a read-through loader cannot be generic: it is registered once, and run from its key without the types of a call; name the \
             types, and leave lifetimes out",
        );
    }
}
