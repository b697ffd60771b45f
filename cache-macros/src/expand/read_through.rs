//! A read-through loader: its body as the cache runs it, registered with the program, and a function that reads the cache.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};

use super::apart::{Apart, joined};
use super::cached::{late_fn, question};
use super::{
    behind_reference, local_at, owned_type, result_span, shape, spec, stored_shape, tags,
    timed_shape, type_span, value_span,
};
use crate::function::{Function, Param};
use crate::model::{Cached, KeyPiece, Root};

/// The function. All of the loader is inside of it: nothing is seen from outside.
pub(super) fn loader(model: &Cached, function: &Function) -> TokenStream {
    let through = Through(Apart::of(function));
    // All that is not handed in is in the key.
    let body = through.0.body(|param| param.handed_in().is_none());
    let registered = through.registered(model);
    let call = through.call(model);
    let statements = quote_spanned!(Span::mixed_site()=> #body #registered #call);
    through.0.called(value_span(function), &statements)
}

struct Through<'f>(Apart<'f>);

impl Through<'_> {
    /// The description of the loader, and its entry in the program's list.
    fn registered(&self, model: &Cached) -> TokenStream {
        let here = Span::mixed_site();
        let function = self.0.function;
        let name = static_name();
        let (arguments, result) = (self.0.arguments_type(), function.return_type());
        let spec = spec::named(model, function);
        let (told, body) = (self.told(model), self.run());
        let contexts = self.0.contexts().next().map(|_| {
            let (needs, lacking) = (self.0.needs(), self.lacking());
            quote_spanned!(here=> .contexts(#needs, #lacking))
        });
        let at = value_span(function);
        let shape = stored_shape(&result, at, false);
        let shape = timed_shape(&shape, model.timing.ttl_with.as_ref()).unwrap_or(shape);
        let shape = tags::tagged_shape(&shape, model, at).unwrap_or(shape);
        let tags = (!model.tags.is_empty()).then(|| self.tags(model));
        // What is wrong with the error is said at the result as a whole.
        let at = result_span(function);
        let shape_var = local_at("__cache_shape", at);
        let registered = quote_spanned! {at=> {
            let #shape_var = #shape;
            ::cache_runtime::private::loader(&#name, #shape_var)
        }};
        quote_spanned! {here=>
            static #name: ::cache_runtime::private::ReadThrough<#arguments, #result> =
                ::cache_runtime::private::ReadThrough::new(#spec, #told, #body) #contexts #tags;
            ::cache_runtime::private::inventory::submit! {
                ::cache_runtime::private::RegisteredLoader(|| #registered)
            }
        }
    }

    /// What a call does.
    fn call(&self, model: &Cached) -> TokenStream {
        let function = self.0.function;
        let at = value_span(function);
        let [answer, late] = ["__cache_answer", "__cache_late"].map(|name| local_at(name, at));
        let name = static_name();
        let spec = if model.companion {
            spec::named(model, function)
        } else {
            quote_spanned!(at=> ::cache_runtime::private::ReadThrough::spec(&#name))
        };
        let arguments = self.0.kept();
        let (asked, late) = if model.timing.timeout_ms.is_some() {
            let question = question(model, function, &spec, &late_fn(function));
            (
                quote_spanned!(at=> let (#answer, #late) = #question;),
                quote_spanned!(at=> ::core::option::Option::Some(#late)),
            )
        } else {
            let question = question(model, function, &spec, &TokenStream::new());
            (
                quote_spanned!(at=> let #answer = #question;),
                quote_spanned!(at=> ::core::option::Option::None),
            )
        };
        quote_spanned! {at=>
            #asked
            ::cache_runtime::private::finish_read_through(#answer, &#name, move || #arguments, #late).await
        }
    }

    /// A closure that tells the arguments from the texts in a key.
    fn told(&self, model: &Cached) -> TokenStream {
        let here = Span::mixed_site();
        let values = Ident::new("__cache_values", here);
        let pieces = model.key.pieces();
        let mut same = TokenStream::new();
        let told: Vec<_> = self
            .0
            .arguments()
            .map(|param| {
                let places = places(pieces, param);
                let first = places.first().copied().unwrap_or_default();
                for other in places.iter().skip(1) {
                    same.extend(quote_spanned!(here=> ::cache_runtime::private::Values::same(#values, #first, #other)?;));
                }
                told(param, &values, first)
            })
            .collect();
        let told = joined(told.into_iter());
        quote_spanned! {here=>
            |#values| {
                #same
                ::core::option::Option::Some(#told)
            }
        }
    }

    /// A closure that tells the tags from the arguments.
    fn tags(&self, model: &Cached) -> TokenStream {
        let here = Span::mixed_site();
        let arguments = Ident::new("__cache_arguments", here);
        let known = self.0.known(&arguments, model);
        quote_spanned!(here=> .tags(|#arguments| #known))
    }

    /// A closure that runs the body.
    fn run(&self) -> TokenStream {
        let at = result_span(self.0.function);
        let [contexts, arguments] =
            ["__cache_contexts", "__cache_arguments"].map(|name| local_at(name, at));
        let (taken, run) = self.0.run(at, &contexts, &arguments, None);
        quote_spanned! {at=>
            |#contexts, #arguments| ::cache_runtime::private::loading(async move {
                #taken
                #run
            })
        }
    }

    /// A closure that makes the result of a call whose context is not there.
    fn lacking(&self) -> TokenStream {
        let at = result_span(self.0.function);
        let error = local_at("__cache_error", at);
        let shape = shape(&self.0.function.return_type(), at);
        quote_spanned!(at=> |#error| ::cache_runtime::private::lacking(#shape, #error))
    }
}

/// Which placeholders stand for the argument.
fn places(pieces: &[KeyPiece], param: &Param<'_>) -> Vec<usize> {
    let values = pieces.iter().filter_map(|piece| match piece {
        KeyPiece::Value(value) => Some(value),
        _ => None,
    });
    values
        .enumerate()
        .filter(
            |(_, value)| matches!(value.root, Root::Param { index, .. } if index == param.index),
        )
        .map(|(place, _)| place)
        .collect()
}

/// The argument that stands at a placeholder; whether it can be told is said at its type.
fn told(param: &Param<'_>, values: &Ident, place: usize) -> TokenStream {
    let ty = owned_type(&param.typed.ty);
    let at = type_span(behind_reference(&param.typed.ty));
    let found = local_at("__cache_parsed", at);
    let values = super::shown_at(values, at).into_token_stream();
    quote_spanned! {at=> {
        let #found = ::cache_runtime::private::ParsedOf::<#ty>::new();
        let #found = {
            use ::cache_runtime::private::via::*;
            (&&&#found).parsed()
        };
        ::cache_runtime::private::assert_parsed(&#found);
        ::cache_runtime::private::Parse::value(&#found, #values, #place)?
    }}
}

/// The static that describes the loader.
fn static_name() -> Ident {
    Ident::new("__CACHE_LOADER", Span::mixed_site())
}
