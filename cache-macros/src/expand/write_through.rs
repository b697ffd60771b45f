//! A write-through writer: the key, a copy of what is stored if that is an argument, and one call with the body.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::Type;

use super::key::{self, Loops, Parts};
use super::{
    body, copy_of, handle, local, local_at, owned_type, result_span, shape, shown_at, spec, stored,
    stored_shape, tags, timed_shape, type_span, value_span, with_body,
};
use crate::function::{Function, bare};
use crate::model::{Argument, Cached, Consistency, Value, WriteThrough};

/// The function.
pub(super) fn writer(model: &Cached, writer: &WriteThrough, function: &Function) -> TokenStream {
    let at = result_span(function);
    let [cache_var, key_var, known_var, shape_var, written_var, call] = [
        "__cache",
        "__cache_key",
        "__cache_known",
        "__cache_shape",
        "__cache_written",
        "__cache_call",
    ]
    .map(|name| local_at(name, at));
    let spec = spec::named(model, function);
    let cache = handle(model.cache.as_ref());
    let shape = shape(&function.return_type(), at);
    let written = written(model, writer, function);
    let body = body(function);
    let Place {
        before: place,
        key,
        then,
    } = place(model, writer, function);
    let path = quote_spanned!(at=> ::cache_runtime::private);
    let known = tags::known(model, &Loops::default());
    let asked = if writer.version.is_some() {
        quote_spanned! {at=>
            #path::write_through_versioned(
                #spec, #cache_var, (#key_var, #known_var), #shape_var, #written_var, #then, #body,
            )
        }
    } else if model.consistency == Consistency::Strict {
        quote_spanned! {at=>
            #path::write_through_strict(
                #spec, #cache_var, (#key_var, #known_var), #shape_var, #written_var, #path::refusal(&#shape_var), #body,
            )
        }
    } else {
        quote_spanned! {at=>
            #path::write_through(#spec, #cache_var, (#key_var, #known_var), #shape_var, #written_var, #body)
        }
    };
    // A block for all but the call itself: nothing of it lives across the `await`.
    let calls = quote_spanned! {at=>
        let #call = {
            let #cache_var = #cache;
            #place
            let #key_var = #key;
            let #known_var = #known;
            let #shape_var = #shape;
            let #written_var = #written;
            #asked
        };
        #call.await
    };
    with_body(function, &calls)
}

/// What is stored: the result, or a copy of an argument.
fn written(model: &Cached, writer: &WriteThrough, function: &Function) -> TokenStream {
    let ttl_with = model.timing.ttl_with.as_ref();
    let params = function.params();
    let argument = writer.value.as_ref().and_then(|value| {
        let param = params.iter().find(|param| param.index == value.index)?;
        Some((value, &*param.typed.ty))
    });
    let Some((value, ty)) = argument else {
        let at = value_span(function);
        let held = held(function, at);
        let shape = timed_shape(&held, ttl_with).unwrap_or(held);
        let shape = tags::tagged_shape(&shape, model, at).unwrap_or(shape);
        return quote_spanned!(at=> ::cache_runtime::private::OfResult(#shape));
    };
    let at = type_span(super::behind_reference(ty));
    let shape = stored_shape(&owned_type(ty), at, true);
    let shape = timed_shape(&shape, ttl_with).unwrap_or(shape);
    let copy = copy(value, ty, at);
    quote_spanned!(at=> ::cache_runtime::private::OfArgument(#shape, #copy))
}

/// The shape of a result that is stored. It has to hold something.
fn held(function: &Function, at: Span) -> TokenStream {
    let [result, held] = ["__cache_result", "__cache_held"].map(|name| local_at(name, at));
    let found = shape(&function.return_type(), at);
    let stored = stored(&quote_spanned!(at=> #result), at, true);
    quote_spanned! {at=> {
        let #result = #found;
        let #held = ::cache_runtime::private::Held(#result);
        ::cache_runtime::private::assert_storable({
            use ::cache_runtime::private::via::*;
            (&&#held).held()
        });
        #stored
    }}
}

/// A copy of an argument, made before the body takes it.
fn copy(value: &Argument, ty: &Type, at: Span) -> TokenStream {
    let ident: Ident = shown_at(&value.ident, at);
    let argument = match bare(ty) {
        Type::Reference(_) => quote_spanned!(at=> #ident),
        _ => quote_spanned!(at=> &#ident),
    };
    copy_of(&argument, at)
}

/// Where the value is stored, and in what order.
struct Place {
    /// Statements that take from the arguments what the rest needs of them.
    before: TokenStream,
    /// The key; an `Option` of it with versions.
    key: TokenStream,
    /// With versions: what is known when the body has run.
    then: TokenStream,
}

fn place(model: &Cached, writer: &WriteThrough, function: &Function) -> Place {
    let here = Span::mixed_site();
    let Some(version) = &writer.version else {
        return Place {
            before: TokenStream::new(),
            key: key::of_loader(model, function),
            then: TokenStream::new(),
        };
    };
    let result = local("__cache_result");
    let (mut before, number) = version_of(version);
    let none = quote_spanned!(here=> ::core::option::Option::None);
    let (key, later) = if model.key_reads_result() {
        let pieces = model.key.pieces();
        let (parts, statements) = Parts::before_body(pieces, 0);
        before.extend(statements);
        let later = key::after_body(pieces, &parts);
        (
            none,
            quote_spanned!(here=> ::core::option::Option::Some(#later)),
        )
    } else {
        let key = key::of_loader(model, function);
        (
            quote_spanned!(here=> ::core::option::Option::Some(#key)),
            none,
        )
    };
    Place {
        before,
        key,
        then: quote_spanned! {here=>
            move |#result| (#later, #number)
        },
    }
}

/// The statement that reads a version from the arguments, if it comes from there, and an expression of the version.
fn version_of(version: &Value) -> (TokenStream, TokenStream) {
    let here = Span::mixed_site();
    let number = key::version(version);
    if version.is_of_result() {
        return (TokenStream::new(), number);
    }
    let known = local("__cache_version");
    let read = quote_spanned!(here=> let #known = #number;);
    (read, quote_spanned!(here=> #known))
}
