//! What a load that may outlive its call asks of the function: arguments that can be made its own.

use proc_macro2::TokenStream;
use syn::{Pat, Type};

use super::signature::find_borrow;
use crate::body::captured_self;
use crate::diagnostics::Diagnostics;
use crate::function::{Function, Param, bare, borrow, find_impl_trait};
use crate::model::Timing;

/// Nothing, if loads end with their calls.
pub(super) fn check(timing: &Timing, function: &Function, errors: &mut Diagnostics) {
    if !timing.in_background() {
        return;
    }
    let why = if timing.stampede.swr {
        "stampede = \"swr\""
    } else {
        "timeout"
    };
    for param in function.params() {
        check_param(&param, why, errors);
    }
    if let Some(receiver) = function.receiver() {
        check_type(&receiver.ty, why, errors);
        if borrow(&receiver.ty).is_some() {
            check_captures(function, why, errors);
        }
    }
}

fn check_param(param: &Param<'_>, why: &str, errors: &mut Diagnostics) {
    let named = param.is_plain() || matches!(&*param.typed.pat, Pat::Wild(_));
    if !named && borrow(&param.typed.ty).is_some() {
        errors.on(
            &param.typed.pat,
            format!(
                "{}; a pattern cannot borrow from a copy: give the argument a name, and take it apart in the body",
                copied(why)
            ),
        );
    } else {
        check_type(&param.typed.ty, why, errors);
    }
}

/// The function's own reference is taken off, and nothing else that borrows.
fn check_type(ty: &Type, why: &str, errors: &mut Diagnostics) {
    let Some(reference) = borrow(ty) else {
        check_owned(ty, why, errors);
        return;
    };
    let inner = bare(&reference.elem);
    if matches!(inner, Type::TraitObject(_)) {
        errors.on(
            ty,
            format!(
                "{}; what is behind `&dyn` cannot be copied: take an `Arc<dyn …>`",
                copied(why)
            ),
        );
    } else if let Some(found) = find_impl_trait(inner) {
        errors.on(
            found,
            format!(
                "{}; the copy of an `impl …` has no type that could be named: write a type parameter instead",
                copied(why)
            ),
        );
    } else {
        check_owned(inner, why, errors);
    }
}

fn check_owned(ty: &Type, why: &str, errors: &mut Diagnostics) {
    if let Some(found) = find_borrow(ty) {
        refuse_borrow(found, why, errors);
    }
}

fn refuse_borrow(found: TokenStream, why: &str, errors: &mut Diagnostics) {
    errors.add(syn::Error::new_spanned(
        found,
        format!(
            "{}; a borrow inside of a type cannot be copied: take an owned type, such as `String` for `&str`, or an `Arc`, or \
             leave `{why}` out",
            copied(why)
        ),
    ));
}

/// `self` in a format string is out of reach of the copy's name.
fn check_captures(function: &Function, why: &str, errors: &mut Diagnostics) {
    if let Some(literal) = captured_self(function.statements()) {
        errors.at(
            literal.span(),
            format!(
                "{}; a format string cannot name the copy of `self`: write it as an argument, as in `\"{{}}\", self`",
                copied(why)
            ),
        );
    }
}

fn copied(why: &str) -> String {
    format!("with `{why}` a load may outlive its call and takes copies of what it borrows")
}
