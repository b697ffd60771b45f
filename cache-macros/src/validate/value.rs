//! An argument that is cached: `value = user`.

use quote::ToTokens;
use syn::{Expr, Ident, Type};

use super::names::{Names, Reader};
use super::signature::find_borrow;
use crate::args::{Arg, Value};
use crate::diagnostics::Diagnostics;
use crate::function::{Function, Param, bare, find_impl_trait, plain};
use crate::model::Argument;

/// The argument that is named; `None` after an error.
pub(super) fn argument(
    arg: &Arg,
    function: &Function,
    reader: Reader,
    errors: &mut Diagnostics,
) -> Option<Argument> {
    let Some(name) = name(arg) else {
        errors.on(
            arg.value_tokens(),
            "`value` takes the name of the argument that is cached, as in `value = user`",
        );
        return None;
    };
    let problem = if name == "self" {
        Some(
            "`self` is not cached as a value; take what is to be cached as an argument of its own"
                .to_owned(),
        )
    } else if name == "none" && reader == Reader::WriteThrough {
        Some("`none` is for write-behind; a write-through writer that stores nothing is `#[invalidates(\"…\")]`".to_owned())
    } else {
        Names::of(function, reader).not_an_argument(name)
    };
    if let Some(message) = problem {
        errors.on(name, message);
        return None;
    }
    let params = function.params();
    let param = params
        .iter()
        .find(|param| param.names.iter().any(|ident| plain(ident) == plain(name)))?;
    if let (Some(_), Reader::WriteBehind) = (param.handed_in(), reader) {
        let message = format!(
            "`{}` is handed in when the body runs, and is no part of what is written",
            plain(name)
        );
        errors.on(name, message);
        return None;
    }
    let Some(pat) = param.plain() else {
        let message = "this is a part of an argument; give the argument a name, and take it apart in the body";
        errors.on(name, message);
        return None;
    };
    Some(Argument {
        ident: pat.ident.clone(),
        index: param.index,
    })
}

/// Whether it says that nothing is cached.
pub(super) fn is_none(arg: &Arg) -> bool {
    name(arg).is_some_and(|name| name == "none")
}

fn name(arg: &Arg) -> Option<&Ident> {
    match &arg.value {
        Value::Expr(Expr::Path(path)) if path.attrs.is_empty() => path.path.get_ident(),
        _ => None,
    }
}

/// Asks whether a copy of the argument can be made before the body takes it.
pub(super) fn check_copied(param: &Param<'_>, errors: &mut Diagnostics) {
    let ty = bare(&param.typed.ty);
    let inner = match ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            errors.on(
                ty,
                "the value is copied before the body runs, which may change what is behind `&mut`; take the value itself, or leave \
                 `value` out and return it",
            );
            return;
        }
        Type::Reference(reference) => bare(&reference.elem),
        ty => ty,
    };
    if let Some(found) = find_impl_trait(inner) {
        errors.on(
            found,
            "the type of a cached value has to be named; write the type itself, or a type parameter",
        );
    } else if matches!(inner, Type::TraitObject(_)) {
        errors.on(
            ty,
            "what is behind `dyn` cannot be cached; take the type itself",
        );
    } else if let Some(found) = find_borrow(inner) {
        errors.on(
            found.into_token_stream(),
            "a cached value outlives the call and cannot borrow; take an owned type, such as `String` for `&str`, or an `Arc`",
        );
    }
}
