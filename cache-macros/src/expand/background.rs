//! A body that may outlive its call: it takes copies of what its function borrows.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{FnArg, Pat, Signature, TypeReference};

use super::{body_after, bound_again, shown_at, type_span};
use crate::body::{uses, with_self_as};
use crate::function::{Function, Param, borrow};

/// The name of the copy of `self`.
const SELF: &str = "__cache_self";

/// A closure that copies the borrowed arguments and makes the body's future, which borrows from the copies.
pub(super) fn body(function: &Function) -> TokenStream {
    let (mut copies, mut borrows) = (TokenStream::new(), TokenStream::new());
    for param in function.params() {
        if let Some((ident, reference)) = copied(&param, function) {
            let at = type_span(&reference.elem);
            let mutability = param.plain().and_then(|pat| pat.mutability);
            let shown = shown_at(ident, at);
            copies.extend(copy(ident, &shown, at));
            borrows.extend(lend(&quote!(#mutability #ident), ident, reference, at));
        }
    }
    let mut statements = function.statements();
    if let Some(receiver) = function.receiver()
        && let Some(reference) = borrow(&receiver.ty)
    {
        let (renamed, found) = with_self_as(statements.clone(), SELF);
        if found {
            let at = Span::mixed_site().located_at(receiver.self_token.span);
            let ident = Ident::new(SELF, Span::mixed_site());
            copies.extend(copy(
                &ident,
                &Ident::new("self", receiver.self_token.span),
                at,
            ));
            borrows.extend(lend(&quote!(#ident), &ident, reference, at));
            statements = renamed;
        }
    }
    let body = body_after(function, &borrows, &statements);
    quote_spanned!(Span::mixed_site()=> move || { #copies #body })
}

/// The signature as its body leaves it: what is bound anew inside has no use for a `mut` outside.
pub(super) fn signature(function: &Function) -> Signature {
    let mut sig = function.sig.clone();
    for param in function.params() {
        if copied(&param, function).is_some()
            && let Some(FnArg::Typed(typed)) = sig.inputs.iter_mut().nth(param.index)
            && let Pat::Ident(pat) = &mut *typed.pat
        {
            pat.mutability = None;
        }
    }
    sig
}

/// The name and type of an argument that the body borrows.
fn copied<'f>(param: &Param<'f>, function: &Function) -> Option<(&'f Ident, &'f TypeReference)> {
    let ident = &param.plain()?.ident;
    let reference = borrow(&param.typed.ty)?;
    uses(function.statements(), ident).then_some((ident, reference))
}

fn copy(name: &Ident, from: &Ident, at: Span) -> TokenStream {
    let allow = bound_again();
    quote_spanned!(at=> #allow let #name = ::cache_runtime::private::own(#from);)
}

/// The name again, as a reference to the copy.
fn lend(pattern: &TokenStream, name: &Ident, reference: &TypeReference, at: Span) -> TokenStream {
    let (ty, allow) = (&reference.elem, bound_again());
    quote_spanned! {at=>
        #allow
        let #pattern: &#ty = ::cache_runtime::private::lend(&#name);
    }
}
