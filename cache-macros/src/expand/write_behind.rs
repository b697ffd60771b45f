//! A write-behind writer: its body as the worker runs it, registered with the program, and a function that logs a write.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::{ExprPath, Index, Type};

use super::apart::{Apart, context_name, joined};
use super::{
    behind_reference, copy_of, handle, key, local_at, owned_type, result_span, shape, shown_at,
    spec, stored_shape, timed_shape, type_span,
};
use crate::function::{Function, bare, plain};
use crate::model::{Argument, Cached, Merge, WriteBehind};

/// The function. All of the writer is inside of it: nothing is seen from outside.
pub(super) fn writer(model: &Cached, writer: &WriteBehind, function: &Function) -> TokenStream {
    let behind = Behind(Apart::of(function));
    let body = behind.0.body(|_| false);
    let registered = behind.registered(model, writer);
    let call = behind.call(model);
    let statements = quote_spanned!(Span::mixed_site()=> #body #registered #call);
    behind.0.called(result_span(function), &statements)
}

struct Behind<'f>(Apart<'f>);

impl Behind<'_> {
    /// The description of the writer, and its entry in the program's list.
    fn registered(&self, model: &Cached, writer: &WriteBehind) -> TokenStream {
        let here = Span::mixed_site();
        let name = static_name();
        let ty = self.0.arguments_type();
        let spec = spec::named(model, self.0.function);
        let names = self.0.arguments().map(|param| {
            let name = param
                .plain()
                .map(|pat| plain(&pat.ident))
                .unwrap_or_default();
            quote_spanned!(here=> #name)
        });
        let log = log(here);
        let (needs, one) = (self.0.needs(), self.one());
        let all = writer.batch_with.as_ref().map(|path| self.all(path));
        let merge = writer.merge.as_ref().map(|merge| self.merge(merge));
        let value = writer
            .value
            .as_ref()
            .and_then(|value| self.value(value, model));
        quote_spanned! {here=>
            static #name: ::cache_runtime::private::Behind<#ty> =
                ::cache_runtime::private::Behind::new(#spec, &[#(#names),*], #needs, #one) #all #merge #value;
            ::cache_runtime::private::inventory::submit! {
                ::cache_runtime::private::Registered(|| ::cache_runtime::private::Log::writer(#log))
            }
        }
    }

    /// What a call does.
    fn call(&self, model: &Cached) -> TokenStream {
        let at = result_span(self.0.function);
        let [
            cache_var,
            key_var,
            shape_var,
            result_var,
            arguments_var,
            call,
        ] = [
            "__cache",
            "__cache_key",
            "__cache_shape",
            "__cache_result",
            "__cache_arguments",
            "__cache_call",
        ]
        .map(|name| local_at(name, at));
        let log = log(at);
        let can_be_logged = self.0.arguments().map(|param| {
            let ty = owned_type(&param.typed.ty);
            let at = type_span(behind_reference(&param.typed.ty));
            quote_spanned!(at=> ::cache_runtime::private::assert_logged::<#ty>();)
        });
        let cache = handle(model.cache.as_ref());
        let key = key::of_loader(model, self.0.function);
        let shape = shape(&self.0.function.return_type(), at);
        let answer = answer(&result_var, at);
        let arguments = self.0.kept();
        let path = quote_spanned!(at=> ::cache_runtime::private);
        // A block for all but the call itself: nothing of it lives across the `await`.
        quote_spanned! {at=>
            let #call = {
                let #cache_var = #cache;
                let #key_var = #key;
                let #result_var = #shape;
                let #shape_var = #answer;
                #path::assert_answer(&#result_var);
                #(#can_be_logged)*
                let #arguments_var = #arguments;
                #path::Log::write(
                    #log, #cache_var, #key_var, #arguments_var, #shape_var, #path::unlogged(&#shape_var),
                )
            };
            #call.await
        }
    }

    /// A closure that runs the body.
    fn one(&self) -> TokenStream {
        let at = result_span(self.0.function);
        let [contexts, arguments, sequence, output, result] = [
            "__cache_contexts",
            "__cache_arguments",
            "__cache_sequence",
            "__cache_output",
            "__cache_result",
        ]
        .map(|name| local_at(name, at));
        let (taken, run) = self.0.run(at, &contexts, &arguments, Some(&sequence));
        let shape = shape(&self.0.function.return_type(), at);
        let answer = answer(&result, at);
        quote_spanned! {at=>
            |#contexts, #arguments, #sequence| ::cache_runtime::private::running(async move {
                #taken
                let #output = #run;
                let #result = #shape;
                ::cache_runtime::private::ran(#answer, #output)
            })
        }
    }

    /// A closure that calls the form that takes a list. What is wrong with it is said at its path.
    fn all(&self, path: &ExprPath) -> TokenStream {
        let at = path_span(path);
        let [contexts, writes] =
            ["__cache_contexts", "__cache_writes"].map(|name| local_at(name, at));
        let handed_in = self.0.handed_in(&contexts);
        let passed = self.0.contexts().map(|param| {
            let context = shown_at(&context_name(param), at);
            match bare(&param.typed.ty) {
                Type::Reference(_) => quote_spanned!(at=> &*#context),
                _ => quote_spanned!(at=> ::cache_runtime::private::Shared::share(&*#context)),
            }
        });
        quote_spanned! {at=>
            .all(|#contexts, #writes| ::cache_runtime::private::running(async move {
                #handed_in
                ::cache_runtime::private::outcome(#path(#(#passed,)* #writes).await)
            }))
        }
    }

    /// A closure that makes one write of two: what is merged is merged, and of the rest the later counts.
    fn merge(&self, merge: &Merge) -> TokenStream {
        let at = path_span(&merge.path);
        let [earlier, later, function, merged] = [
            "__cache_earlier",
            "__cache_later",
            "__cache_merge",
            "__cache_merged",
        ]
        .map(|name| local_at(name, at));
        let path = &merge.path;
        let all: Vec<_> = self.0.arguments().map(|param| param.index).collect();
        let types = self
            .0
            .arguments()
            .filter(|param| merge.of.contains(&param.index))
            .map(|param| owned_type(&param.typed.ty));
        let ty = joined(types);
        // Named with its type, so that a function of another type is reported at its path.
        let typed = quote_spanned!(at=> let #function: fn(&mut #ty, #ty) = #path;);
        let rest = all
            .iter()
            .filter(|index| !merge.of.contains(index))
            .map(|&index| {
                let (to, from) = (self.0.part(&earlier, index), self.0.part(&later, index));
                quote_spanned!(at=> #to = #from;)
            });
        let merging = match merge.of[..] {
            [only] => {
                let (to, from) = (self.0.part(&earlier, only), self.0.part(&later, only));
                if self.0.arguments().count() == 1 {
                    quote_spanned!(at=> #function(#to, #from);)
                } else {
                    quote_spanned!(at=> #function(&mut #to, #from);)
                }
            }
            _ => {
                let of = &merge.of;
                let kept = of.iter().map(|&index| {
                    let part = self.0.part(&earlier, index);
                    copy_of(&quote_spanned!(at=> &#part), at)
                });
                let added = of.iter().map(|&index| self.0.part(&later, index));
                let back = of.iter().enumerate().map(|(position, &index)| {
                    let (to, from) = (self.0.part(&earlier, index), Index::from(position));
                    quote_spanned!(at=> #to = #merged.#from;)
                });
                quote_spanned! {at=>
                    let mut #merged = (#(#kept),*);
                    #function(&mut #merged, (#(#added),*));
                    #(#back)*
                }
            }
        };
        quote_spanned! {at=>
            .merge(|#earlier, #later| {
                #typed
                #merging
                #(#rest)*
            })
        }
    }

    /// A closure that makes what the cache keeps.
    fn value(&self, value: &Argument, model: &Cached) -> Option<TokenStream> {
        let param = self
            .0
            .arguments()
            .find(|param| param.index == value.index)?;
        let ty = &param.typed.ty;
        let at = type_span(behind_reference(ty));
        let [arguments, keeper] =
            ["__cache_arguments", "__cache_keeper"].map(|name| local_at(name, at));
        // What can be logged can be cached: it is not asked for again.
        let shape = stored_shape(&owned_type(ty), at, false);
        let shape = timed_shape(&shape, model.timing.ttl_with.as_ref()).unwrap_or(shape);
        let known = self.0.known(&arguments, model);
        let part = self.0.part(&arguments, value.index);
        let part = if self.0.arguments().count() == 1 {
            part
        } else {
            quote_spanned!(at=> &#part)
        };
        Some(quote_spanned! {at=>
            .value(|#arguments, #keeper| ::cache_runtime::private::Keeper::keep(&#keeper, #shape, #part, &#known))
        })
    }
}

/// The shape of what the body returns, taken from the shape of its type: one that fits whatever the type is.
fn answer(result: &Ident, at: Span) -> TokenStream {
    let answered = local_at("__cache_answered", at);
    quote_spanned! {at=> {
        let #answered = ::cache_runtime::private::Answered(#result);
        {
            use ::cache_runtime::private::via::*;
            (&&#answered).answer()
        }
    }}
}

/// The writer's log, as what its arguments' types allow.
fn log(at: Span) -> TokenStream {
    let found = local_at("__cache_log", at);
    let name = static_name();
    quote_spanned! {at=> {
        let #found = ::cache_runtime::private::LogOf(&#name);
        {
            use ::cache_runtime::private::via::*;
            (&&#found).log()
        }
    }}
}

/// The static that describes the writer.
fn static_name() -> Ident {
    Ident::new("__CACHE_WRITER", Span::mixed_site())
}

/// The last name of a path.
fn path_span(path: &ExprPath) -> Span {
    let here = Span::mixed_site();
    let last = path.path.segments.last();
    last.map_or(here, |segment| here.located_at(segment.ident.span()))
}
