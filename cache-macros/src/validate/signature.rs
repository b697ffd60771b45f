//! What the annotated function must look like.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit::Visit;
use syn::{FnArg, ReturnType, Type, TypeReference};

use crate::diagnostics::Diagnostics;
use crate::function::{Function, HandedIn, find_impl_trait, is_cached, plain};
use crate::model::PatternName;

/// What `#[cached]` asks of a function.
pub(super) fn check_cached(pattern: PatternName, function: &Function, errors: &mut Diagnostics) {
    check_common("#[cached]", function, errors);
    if let Some(twice) = function.attrs.iter().find(|attr| is_cached(attr)) {
        errors.on(twice, "`#[cached]` is given twice");
    }
    check_handed_in(Some(pattern), function, errors);
    // The return type of a function that is not async is a future, or wrong for other reasons.
    let is_async = function.sig.asyncness.is_some();
    match pattern {
        PatternName::Aside => {
            check_arguments(function, errors);
            if is_async {
                check_loaded(function, errors);
            }
        }
        PatternName::ReadThrough => {
            if is_async {
                check_loaded(function, errors);
            }
        }
        PatternName::WriteThrough | PatternName::WriteBehind if is_async => {
            check_result("#[cached]", function, errors);
        }
        PatternName::WriteThrough | PatternName::WriteBehind => {}
    }
}

/// What `#[invalidates]` asks of a function. It may well take `&mut`: a transaction, for one.
pub(super) fn check_writer(function: &Function, errors: &mut Diagnostics) {
    check_common("#[invalidates]", function, errors);
    // A `#[cached]` below this attribute judges its arguments by itself.
    if !function.attrs.iter().any(is_cached) {
        check_handed_in(None, function, errors);
    }
    if function.sig.asyncness.is_some() {
        check_result("#[invalidates]", function, errors);
    }
}

fn check_result(macro_name: &str, function: &Function, errors: &mut Diagnostics) {
    if let ReturnType::Type(_, ty) = &function.sig.output {
        check_named(macro_name, ty, errors);
    }
}

fn check_common(macro_name: &str, function: &Function, errors: &mut Diagnostics) {
    let sig = &function.sig;
    if function.body.is_none() {
        let message = format!(
            "`{macro_name}` needs a body to run; annotate the implementations of `{}`",
            plain(&sig.ident)
        );
        errors.on(&sig.ident, message);
    }
    if sig.asyncness.is_none() {
        not_async(macro_name, function, errors);
    }
    if let Some(token) = &sig.unsafety {
        errors.on(token, format!("`{macro_name}` cannot call an `unsafe fn`: the cache knows nothing of its conditions"));
    }
    if let Some(abi) = &sig.abi {
        errors.on(
            abi,
            format!("`{macro_name}` takes Rust functions only: other languages await no future"),
        );
    }
}

/// Arguments that the caller does not hand in are for functions that the runtime calls by itself.
fn check_handed_in(pattern: Option<PatternName>, function: &Function, errors: &mut Diagnostics) {
    for attr in function.sig.inputs.iter().flat_map(attrs) {
        let message = match (HandedIn::of(attr), pattern) {
            (None, _)
            | (_, Some(PatternName::WriteBehind))
            | (Some(HandedIn::Context), Some(PatternName::ReadThrough)) => continue,
            (Some(HandedIn::Context), Some(PatternName::WriteThrough)) => {
                "`#[context]` is not for write-through: the body runs within the call, and the caller hands in what it needs"
                    .to_owned()
            }
            (Some(HandedIn::Context), _) => {
                "`#[context]` is for functions that the cache runs by itself, of `pattern = \"read-through\"` or `\"write-behind\"`: \
                 choose one of those, or let the caller pass the argument"
                    .to_owned()
            }
            (Some(HandedIn::Sequence), _) => {
                "`#[sequence]` is for writers of `pattern = \"write-behind\"`: only what is logged has a number".to_owned()
            }
        };
        errors.on(attr, message);
    }
}

fn attrs(input: &FnArg) -> &[syn::Attribute] {
    match input {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(typed) => &typed.attrs,
    }
}

fn not_async(macro_name: &str, function: &Function, errors: &mut Diagnostics) {
    let name = plain(&function.sig.ident);
    let output = function.return_type().to_string();
    let message = if output.contains("Pin") && output.contains("Future") {
        format!(
            "`{name}` is not async any more: an attribute such as `#[async_trait]` has rewritten it first; put the body \
             into an async function of its own, annotate that with `{macro_name}`, and call it here"
        )
    } else if output.contains("Future") {
        format!(
            "`{macro_name}` needs an `async fn`: write `async fn {name}`, and as its return type what the future yields"
        )
    } else {
        format!("`{macro_name}` needs an `async fn`: write `async fn {name}`")
    };
    errors.on(function.sig.fn_token, message);
}

/// A hit does not run the body, so a loader must not be called for what it does to its arguments.
fn check_arguments(function: &Function, errors: &mut Diagnostics) {
    const WHY: &str = "a cached function cannot take `&mut`: on a hit its body does not run, and nothing would be changed";
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                // `self: &mut Self` carries its `&mut` in the type, `&mut self` before the name.
                if let Type::Reference(TypeReference {
                    mutability: Some(_),
                    ..
                }) = &*receiver.ty
                {
                    errors.on(receiver, WHY);
                }
            }
            FnArg::Typed(typed) => {
                if let Type::Reference(TypeReference {
                    mutability: Some(_),
                    ..
                }) = &*typed.ty
                {
                    errors.on(&typed.ty, WHY);
                }
            }
        }
    }
}

fn check_loaded(function: &Function, errors: &mut Diagnostics) {
    let ReturnType::Type(_, ty) = &function.sig.output else {
        errors.on(
            &function.sig.ident,
            format!(
                "`{}` returns nothing, so there is nothing to cache",
                plain(&function.sig.ident)
            ),
        );
        return;
    };
    if matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()) {
        errors.on(ty, "there is nothing to cache in `()`");
        return;
    }
    check_named("#[cached]", ty, errors);
    check_owned_result(ty, errors);
}

/// What is stored is no borrow.
pub(super) fn check_owned_result(ty: &Type, errors: &mut Diagnostics) {
    if let Some(found) = find_borrow(ty) {
        errors.add(syn::Error::new_spanned(
            found,
            "a cached value outlives the call and cannot borrow; return an owned type, such as `String` for `&str`, or an `Arc`",
        ));
    }
}

/// The type of the result has to be written into the expansion.
fn check_named(macro_name: &str, ty: &Type, errors: &mut Diagnostics) {
    if matches!(ty, Type::Never(_)) {
        errors.on(
            ty,
            format!("a function that never returns has no use for `{macro_name}`"),
        );
    } else if let Some(found) = find_impl_trait(ty) {
        errors.on(found, format!("`{macro_name}` has to name the type of the result; write the type itself instead of `impl …`"));
    }
}

/// Finds the first borrow that is not `'static`. What a function pointer or closure type takes is not borrowed by it.
struct Borrowed(Option<TokenStream>);

/// The first borrow in the type, if there is one.
pub(super) fn find_borrow(ty: &Type) -> Option<TokenStream> {
    let mut borrowed = Borrowed(None);
    borrowed.visit_type(ty);
    borrowed.0
}

impl<'t> Visit<'t> for Borrowed {
    fn visit_type_reference(&mut self, ty: &'t TypeReference) {
        if ty
            .lifetime
            .as_ref()
            .is_none_or(|lifetime| lifetime.ident != "static")
        {
            self.0.get_or_insert_with(|| ty.to_token_stream());
        } else {
            syn::visit::visit_type_reference(self, ty);
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'t syn::Lifetime) {
        if lifetime.ident != "static" {
            self.0.get_or_insert_with(|| lifetime.to_token_stream());
        }
    }

    fn visit_bound_lifetimes(&mut self, _: &'t syn::BoundLifetimes) {}

    fn visit_type_bare_fn(&mut self, _: &'t syn::TypeBareFn) {}

    fn visit_parenthesized_generic_arguments(&mut self, _: &'t syn::ParenthesizedGenericArguments) {
    }
}
