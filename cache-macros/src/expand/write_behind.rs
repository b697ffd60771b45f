//! A write-behind writer: its body as the worker runs it, registered with the program, and a function that logs a write.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{Attribute, ExprPath, FnArg, Index, Meta, Pat, Path, Signature, Token, Type};

use super::key::Loops;
use super::{
    behind_reference, copy_of, handle, key, local, local_at, owned_type, result_span, shape,
    shown_at, spec, stored_shape, tags, timed_shape, type_span,
};
use crate::function::{Function, HandedIn, Param, bare, plain, unmarked};
use crate::model::{Argument, Cached, Merge, WriteBehind};

/// The struct that the body is a function of: so the body can have its own name, and what it calls by that name is the function
/// that its callers see.
const BODY: &str = "__CacheBody";

/// The function. All of the writer is inside of it: nothing is seen from outside.
pub(super) fn writer(model: &Cached, writer: &WriteBehind, function: &Function) -> TokenStream {
    let at = result_span(function);
    let behind = Behind {
        function,
        params: function.params(),
    };
    let body = behind.body();
    let registered = behind.registered(model, writer);
    let call = behind.call(model);
    let attrs = function.attrs.iter().filter(|attr| is_of_call(attr));
    let vis = &function.vis;
    let sig = called(function);
    quote_spanned! {at=>
        #(#attrs)*
        #vis #sig {
            #body
            #registered
            #call
        }
    }
}

/// Whether an attribute is about calling the function. The others are about its body, and stay with it.
fn is_of_call(attr: &Attribute) -> bool {
    if !attr.path().is_ident("cfg_attr") {
        return is_about_calls(attr.path());
    }
    // It goes where the attributes go that it stands for.
    let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
    attr.parse_args_with(parser)
        .is_ok_and(|parts| parts.iter().skip(1).all(|meta| is_about_calls(meta.path())))
}

fn is_about_calls(path: &Path) -> bool {
    const NAMES: [&str; 9] = [
        "doc",
        "deprecated",
        "must_use",
        "cfg",
        "allow",
        "expect",
        "warn",
        "deny",
        "forbid",
    ];
    NAMES.iter().any(|name| path.is_ident(name))
}

/// The signature for callers. What the body binds as `mut` is not changed out here.
fn called(function: &Function) -> Signature {
    let mut sig = function.called();
    for input in &mut sig.inputs {
        if let FnArg::Typed(typed) = input
            && let Pat::Ident(pat) = &mut *typed.pat
        {
            pat.mutability = None;
        }
    }
    sig
}

struct Behind<'f> {
    function: &'f Function,
    params: Vec<Param<'f>>,
}

impl Behind<'_> {
    /// The user's function as it was, as an associated function.
    fn body(&self) -> TokenStream {
        let here = Span::mixed_site();
        let owner = Ident::new(BODY, here);
        let attrs = self.function.attrs.iter().filter(|attr| !is_of_call(attr));
        let sig = unmarked(&self.function.sig);
        let body = self.function.whole_body();
        quote_spanned! {here=>
            struct #owner;
            impl #owner {
                #(#attrs)*
                #sig #body
            }
        }
    }

    /// The description of the writer, and its entry in the program's list.
    fn registered(&self, model: &Cached, writer: &WriteBehind) -> TokenStream {
        let here = Span::mixed_site();
        let name = static_name();
        let ty = self.arguments_type();
        let spec = spec::named(model, self.function);
        let names = self.logged().map(|param| {
            let name = param
                .plain()
                .map(|pat| plain(&pat.ident))
                .unwrap_or_default();
            quote_spanned!(here=> #name)
        });
        let log = log(here);
        let (needs, one) = (self.needs(), self.one());
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
        let at = result_span(self.function);
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
        let can_be_logged = self.logged().map(|param| {
            let ty = owned_type(&param.typed.ty);
            let at = type_span(behind_reference(&param.typed.ty));
            quote_spanned!(at=> ::cache_runtime::private::assert_logged::<#ty>();)
        });
        let cache = handle(model.cache.as_ref());
        let key = key::of_loader(model, self.function);
        let shape = shape(&self.function.return_type(), at);
        let answer = answer(&result_var, at);
        let arguments = joined(self.logged().map(logged_value));
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

    fn logged(&self) -> impl Iterator<Item = &Param<'_>> {
        self.params
            .iter()
            .filter(|param| param.handed_in().is_none())
    }

    fn contexts(&self) -> impl Iterator<Item = &Param<'_>> {
        self.params
            .iter()
            .filter(|param| param.handed_in() == Some(HandedIn::Context))
    }

    fn arguments_type(&self) -> TokenStream {
        joined(self.logged().map(|param| owned_type(&param.typed.ty)))
    }

    /// The place of a logged argument among them all.
    fn part(&self, whole: &Ident, param: usize) -> TokenStream {
        let position = self.logged().position(|logged| logged.index == param);
        if self.logged().count() == 1 {
            return whole.to_token_stream();
        }
        let index = Index::from(position.unwrap_or_default());
        quote_spanned!(whole.span()=> #whole.#index)
    }

    /// A closure that tells the first context that is not there.
    fn needs(&self) -> TokenStream {
        let here = Span::mixed_site();
        let [contexts, missing] = ["__cache_contexts", "__cache_missing"].map(local);
        let asked = self.contexts().map(|param| {
            let ty = behind_reference(&param.typed.ty);
            let at = type_span(ty);
            quote_spanned! {at=>
                let #missing = ::core::option::Option::or(
                    #missing, ::cache_runtime::private::missing::<#ty>(#contexts),
                );
            }
        });
        quote_spanned! {here=>
            |#contexts| {
                let #missing = ::core::option::Option::None;
                #(#asked)*
                #missing
            }
        }
    }

    /// A closure that runs the body.
    fn one(&self) -> TokenStream {
        let at = result_span(self.function);
        let [contexts, arguments, sequence, output, result] = [
            "__cache_contexts",
            "__cache_arguments",
            "__cache_sequence",
            "__cache_output",
            "__cache_result",
        ]
        .map(|name| local_at(name, at));
        let handed_in = self.handed_in(&contexts);
        let names = joined(
            self.logged()
                .map(|param| owned_name(param).to_token_stream()),
        );
        let passed = self.params.iter().map(|param| match param.handed_in() {
            Some(HandedIn::Context) => passed_context(param),
            Some(HandedIn::Sequence) => {
                let at = type_span(&param.typed.ty);
                let sequence = shown_at(&sequence, at);
                let ty = &param.typed.ty;
                quote_spanned!(at=> <#ty as ::cache_runtime::private::FromSequence>::from_sequence(#sequence))
            }
            None => passed_argument(param),
        });
        let owner = Ident::new(BODY, at);
        let name = &self.function.sig.ident;
        let shape = shape(&self.function.return_type(), at);
        let answer = answer(&result, at);
        quote_spanned! {at=>
            |#contexts, #arguments, #sequence| ::cache_runtime::private::running(async move {
                #handed_in
                let #names = #arguments;
                let #output = #owner::#name(#(#passed),*).await;
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
        let handed_in = self.handed_in(&contexts);
        let passed = self.contexts().map(|param| {
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

    /// Statements that take the contexts.
    fn handed_in(&self, contexts: &Ident) -> TokenStream {
        self.contexts()
            .map(|param| {
                let ty = behind_reference(&param.typed.ty);
                let at = type_span(ty);
                let (name, contexts) = (context_name(param), shown_at(contexts, at));
                quote_spanned!(at=> let #name = ::cache_runtime::private::handed_in::<#ty>(&#contexts);)
            })
            .collect()
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
        let all: Vec<_> = self.logged().map(|param| param.index).collect();
        let types = self
            .logged()
            .filter(|param| merge.of.contains(&param.index))
            .map(|param| owned_type(&param.typed.ty));
        let ty = joined(types);
        // Named with its type, so that a function of another type is reported at its path.
        let typed = quote_spanned!(at=> let #function: fn(&mut #ty, #ty) = #path;);
        let rest = all
            .iter()
            .filter(|index| !merge.of.contains(index))
            .map(|&index| {
                let (to, from) = (self.part(&earlier, index), self.part(&later, index));
                quote_spanned!(at=> #to = #from;)
            });
        let merging = match merge.of[..] {
            [only] => {
                let (to, from) = (self.part(&earlier, only), self.part(&later, only));
                if self.logged().count() == 1 {
                    quote_spanned!(at=> #function(#to, #from);)
                } else {
                    quote_spanned!(at=> #function(&mut #to, #from);)
                }
            }
            _ => {
                let of = &merge.of;
                let kept = of.iter().map(|&index| {
                    let part = self.part(&earlier, index);
                    copy_of(&quote_spanned!(at=> &#part), at)
                });
                let added = of.iter().map(|&index| self.part(&later, index));
                let back = of.iter().enumerate().map(|(position, &index)| {
                    let (to, from) = (self.part(&earlier, index), Index::from(position));
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
        let param = self.logged().find(|param| param.index == value.index)?;
        let ty = &param.typed.ty;
        let at = type_span(behind_reference(ty));
        let [arguments, keeper] =
            ["__cache_arguments", "__cache_keeper"].map(|name| local_at(name, at));
        // What can be logged can be cached: it is not asked for again.
        let shape = stored_shape(&owned_type(ty), at, false);
        let shape = timed_shape(&shape, model.timing.ttl_with.as_ref()).unwrap_or(shape);
        let known = self.known(&arguments, model);
        let part = self.part(&arguments, value.index);
        let part = if self.logged().count() == 1 {
            part
        } else {
            quote_spanned!(at=> &#part)
        };
        Some(quote_spanned! {at=>
            .value(|#arguments, #keeper| ::cache_runtime::private::Keeper::keep(&#keeper, #shape, #part, &#known))
        })
    }

    /// The tags of what the cache keeps, told from the logged arguments under their own names.
    fn known(&self, arguments: &Ident, model: &Cached) -> TokenStream {
        let here = Span::mixed_site();
        let known = tags::known(model, &Loops::default());
        let used = self.logged().filter(|param| {
            let pieces = model.tags.iter().flat_map(|tag| &tag.pieces);
            pieces
                .into_iter()
                .any(|piece| piece.is_of_param(param.index))
        });
        let names = used.filter_map(|param| {
            let name = &param.plain()?.ident;
            let part = self.part(arguments, param.index);
            let part = if self.logged().count() == 1 {
                part
            } else {
                quote_spanned!(here=> &#part)
            };
            Some(quote_spanned!(here=> let #name = #part;))
        });
        quote_spanned!(here=> { #(#names)* #known })
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

/// What is logged of an argument of the call.
fn logged_value(param: &Param<'_>) -> TokenStream {
    let at = type_span(behind_reference(&param.typed.ty));
    let Some(pat) = param.plain() else {
        return TokenStream::new();
    };
    let name = shown_at(&pat.ident, at);
    match bare(&param.typed.ty) {
        Type::Reference(_) => copy_of(&name.into_token_stream(), at),
        _ => name.into_token_stream(),
    }
}

fn context_name(param: &Param<'_>) -> Ident {
    local_at(
        &format!("__cache_context_{}", param.index),
        type_span(behind_reference(&param.typed.ty)),
    )
}

fn owned_name(param: &Param<'_>) -> Ident {
    local_at(
        &format!("__cache_argument_{}", param.index),
        type_span(behind_reference(&param.typed.ty)),
    )
}

fn passed_context(param: &Param<'_>) -> TokenStream {
    let context = context_name(param);
    let at = context.span();
    match bare(&param.typed.ty) {
        Type::Reference(_) => quote_spanned!(at=> &*#context),
        _ => quote_spanned!(at=> ::cache_runtime::private::Shared::share(&*#context)),
    }
}

fn passed_argument(param: &Param<'_>) -> TokenStream {
    let owned = owned_name(param);
    let at = owned.span();
    match bare(&param.typed.ty) {
        Type::Reference(_) => quote_spanned!(at=> ::cache_runtime::private::lend(&#owned)),
        _ => owned.into_token_stream(),
    }
}

/// One part as it is, or several as a tuple.
fn joined(parts: impl Iterator<Item = TokenStream>) -> TokenStream {
    let parts: Vec<_> = parts.collect();
    match &parts[..] {
        [only] => only.clone(),
        parts => quote_spanned!(Span::mixed_site()=> (#(#parts),*)),
    }
}

/// The last name of a path.
fn path_span(path: &ExprPath) -> Span {
    let here = Span::mixed_site();
    let last = path.path.segments.last();
    last.map_or(here, |segment| here.located_at(segment.ident.span()))
}
