//! A batch loader: a key for each element, and a body that is called with those that are missing.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{FnArg, Pat, PatIdent, Signature, Type};

use super::key::Loops;
use super::{
    body_after, bound_again, handle, key, local_at, shown_at, spec, stored, tags, timed_shape,
    type_span, value_span, with_signature,
};
use crate::body::uses;
use crate::function::{Function, Param, bare};
use crate::model::Cached;

/// The function. `each` is the argument that it walks over.
pub(super) fn loader(model: &Cached, function: &Function, each: (&Ident, usize)) -> TokenStream {
    let at = value_span(function);
    let [cache_var, keys_var, form_var, element_var, call] = [
        "__cache",
        "__cache_keys",
        "__cache_form",
        "__cache_element",
        "__cache_call",
    ]
    .map(|name| local_at(name, at));
    let cache = handle(model.cache.as_ref());
    let none = no_keys(function, each);
    let keys = key::of_elements(model, &|key, element| {
        if model.tags.is_empty() {
            return quote_spanned!(at=> ::cache_runtime::private::BatchKeys::push(&mut #keys_var, #element, #key););
        }
        let known = tags::known(model, &Loops::of_key(model));
        quote_spanned! {at=>
            ::cache_runtime::private::BatchKeys::push_tagged(&mut #keys_var, #element, #key, || #known);
        }
    });
    let form = form(&function.return_type(), at);
    let fit = fit(&form_var, &keys_var, at);
    let keyed = (!has_order(function, each.1))
        .then(|| quote_spanned!(at=> ::cache_runtime::private::assert_keyed(&#form_var);));
    let element = quote_spanned!(at=> ::cache_runtime::private::element(&#form_var, &#keys_var));
    let element = stored(&element, at, true);
    let timed = timed_shape(&quote!(#element_var), model.timing.ttl_with.as_ref())
        .map(|timed| quote_spanned!(at=> let #element_var = #timed;));
    let tagged = tags::tagged_shape(&quote!(#element_var), model, at)
        .map(|tagged| quote_spanned!(at=> let #element_var = #tagged;));
    let spec = spec::named(model, function);
    let body = body(function, each.1);
    // A block for all but the call itself: nothing of it lives across the `await`.
    let calls = quote_spanned! {at=>
        let #call = {
            let #cache_var = #cache;
            let mut #keys_var = #none;
            #keys
            let #form_var = #form;
            #fit
            #keyed
            let #element_var = #element;
            #timed
            #tagged
            ::cache_runtime::private::batch(#spec, #cache_var, #keys_var, #form_var, #element_var, #body)
        };
        #call.await
    };
    with_signature(function, &signature(function, each.1), &calls)
}

/// No keys yet, said at the place where the loop over the list has its errors.
fn no_keys(function: &Function, (list, index): (&Ident, usize)) -> TokenStream {
    let here = Span::mixed_site();
    let params = function.params();
    let param = params.iter().find(|param| param.index == index);
    let last = param.and_then(|param| param.typed.ty.to_token_stream().into_iter().last());
    let at = last.map_or(here, |token| here.located_at(token.span()));
    let list = shown_at(list, at);
    quote_spanned!(at=> ::cache_runtime::private::BatchKeys::of(&#list))
}

/// The form of the return type, found by type.
fn form(return_type: &TokenStream, at: Span) -> TokenStream {
    let probe = local_at("__cache_probe", at);
    quote_spanned! {at=> {
        let #probe = ::cache_runtime::private::BatchProbe::<#return_type>::new();
        {
            use ::cache_runtime::private::via::*;
            (&&#probe).form()
        }
    }}
}

/// Asks whether the form holds a value for each element. Where that is not so the form found is one that fits all the same, so that
/// nothing more is said of it.
fn fit(form: &Ident, keys: &Ident, at: Span) -> TokenStream {
    let fit = local_at("__cache_fit", at);
    quote_spanned! {at=>
        ::cache_runtime::private::assert_collection(&#keys, &#form);
        let #form = {
            let #fit = ::cache_runtime::private::Fit(#form, &#keys);
            {
                use ::cache_runtime::private::via::*;
                (&&#fit).fit()
            }
        };
    }
}

/// A closure from the missing elements to the body's future. It may be called again, so it keeps what it was given.
fn body(function: &Function, each: usize) -> TokenStream {
    let here = Span::mixed_site();
    let part = Ident::new("__cache_part", here);
    let (mut copies, mut list) = (TokenStream::new(), TokenStream::new());
    for param in function.params() {
        if param.index == each {
            list.extend(param.plain().map(|pat| listed(pat, &param.typed.ty, &part)));
        } else {
            let at = |pat: &PatIdent| match param.plain() {
                Some(_) => type_span(&param.typed.ty),
                None => here.located_at(pat.ident.span()),
            };
            copies.extend(
                copied(&param, function)
                    .into_iter()
                    .map(|pat| copy(pat, at(pat))),
            );
        }
    }
    let body = body_after(function, &list, &function.statements());
    quote_spanned!(here=> |#part| { #copies #body })
}

/// The signature as its body leaves it: what is bound anew inside has no use for a `mut` outside.
fn signature(function: &Function, each: usize) -> Signature {
    let mut sig = function.sig.clone();
    for param in function.params() {
        if (param.index == each || !copied(&param, function).is_empty())
            && let Some(FnArg::Typed(typed)) = sig.inputs.iter_mut().nth(param.index)
        {
            *typed.pat = Pat::Verbatim(without_mut(typed.pat.to_token_stream()));
        }
    }
    sig
}

/// What each run of the body needs a copy of: all but references, which can be used again as they are.
fn copied<'f>(param: &Param<'f>, function: &Function) -> Vec<&'f PatIdent> {
    if param.plain().is_some() && matches!(bare(&param.typed.ty), Type::Reference(_)) {
        return Vec::new();
    }
    let used = |pat: &&PatIdent| uses(function.statements(), &pat.ident);
    param.bindings.iter().copied().filter(used).collect()
}

fn copy(pat: &PatIdent, at: Span) -> TokenStream {
    let PatIdent {
        mutability, ident, ..
    } = pat;
    let (from, allow) = (shown_at(ident, at), bound_again());
    quote_spanned! {at=>
        #allow
        let #mutability #ident = ::cache_runtime::private::again(&#from);
    }
}

/// The argument again, as a list of the same type that holds the missing elements.
fn listed(pat: &PatIdent, ty: &Type, part: &Ident) -> TokenStream {
    let here = Span::mixed_site();
    let (ty, value) = match bare(ty) {
        Type::Reference(reference) => {
            let elem = &reference.elem;
            let value = match bare(elem) {
                Type::Slice(_) => quote_spanned!(here=> &#part[..]),
                elem if is_vec(elem) => quote_spanned!(here=> &#part),
                elem => {
                    let made = made(elem, part);
                    quote_spanned!(here=> &#made)
                }
            };
            (quote_spanned!(here=> &#elem), value)
        }
        ty if is_vec(ty) => (quote!(#ty), quote!(#part)),
        ty => (quote!(#ty), made(ty, part)),
    };
    let PatIdent {
        mutability, ident, ..
    } = pat;
    let allow = bound_again();
    quote_spanned! {here=>
        #allow
        let #mutability #ident: #ty = #value;
    }
}

/// Whether the list is one whose elements stay in the order in which they were put there.
fn has_order(function: &Function, each: usize) -> bool {
    let params = function.params();
    let param = params.iter().find(|param| param.index == each);
    param.is_some_and(|param| match bare(&param.typed.ty) {
        Type::Reference(reference) => is_sequence(bare(&reference.elem)),
        ty => is_sequence(ty),
    })
}

fn is_sequence(ty: &Type) -> bool {
    let deque = |path: &syn::TypePath| {
        let last = path.path.segments.last();
        last.is_some_and(|last| last.ident == "VecDeque")
    };
    matches!(ty, Type::Slice(_)) || is_vec(ty) || matches!(ty, Type::Path(path) if deque(path))
}

fn made(ty: &Type, part: &Ident) -> TokenStream {
    let at = type_span(ty);
    quote_spanned!(at=> <#ty as ::core::iter::FromIterator<_>>::from_iter(#part))
}

fn is_vec(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Vec"))
}

/// A pattern whose variables are not `mut`; `&mut` and `ref mut` stay.
fn without_mut(tokens: TokenStream) -> TokenStream {
    let mut after_reference = false;
    tokens
        .into_iter()
        .filter_map(|token| {
            let dropped =
                matches!(&token, TokenTree::Ident(ident) if ident == "mut") && !after_reference;
            after_reference = match &token {
                TokenTree::Punct(punct) => punct.as_char() == '&',
                TokenTree::Ident(ident) => ident == "ref",
                _ => false,
            };
            match token {
                _ if dropped => None,
                TokenTree::Group(group) if group.delimiter() != Delimiter::None => {
                    let mut new = Group::new(group.delimiter(), without_mut(group.stream()));
                    new.set_span(group.span());
                    Some(new.into())
                }
                token => Some(token),
            }
        })
        .collect()
}
