//! The companion of a free function: a struct of the same name in the type namespace, with the calls on its entries.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericParam, Pat, PatType, TypeParamBound, WherePredicate};

use super::{handle, key, local, local_at, spec, stored_shape, tags, timed_shape, value_span};
use crate::body::mentions;
use crate::function::{Function, generic_name, has_impl_trait, plain};
use crate::model::{Cached, KeyPiece, Pattern, Root};

/// The name of the struct: that of the function. Lints of the user's crate pass over it, as it comes from a macro.
pub(super) fn name(function: &Function) -> Ident {
    let mut name = function.sig.ident.clone();
    name.set_span(Span::mixed_site().located_at(name.span()));
    name
}

/// The struct and its calls.
pub(super) fn companion(model: &Cached, function: &Function) -> TokenStream {
    let vis = &function.vis;
    let here = Span::mixed_site();
    let name = name(function);
    let spec = spec::of_loader(model, function);
    let declared = declared(function);
    let Calls {
        key,
        value,
        refresh,
    } = Calls::of(model);
    let on_key = key.then(|| {
        let mut calls = key_fn(model, function);
        calls.extend(invalidate_fn(model, function));
        calls
    });
    let on_value = value.then(|| {
        let mut calls = peek_fn(model, function);
        calls.extend(put_fn(model, function));
        calls
    });
    let refresh = refresh.then(|| refresh_fn(function));
    let allow = allow();
    quote_spanned! {here=>
        #declared
        #allow
        impl #name {
            /// What the annotation says.
            #vis const SPEC: &'static ::cache_runtime::private::Spec = #spec;
            #on_key
            #on_value
            #refresh
        }
    }
}

/// Which calls a companion has.
struct Calls {
    /// `key` and `invalidate`.
    key: bool,
    /// `peek` and `put`.
    value: bool,
    /// `refresh`.
    refresh: bool,
}

impl Calls {
    fn of(model: &Cached) -> Self {
        // A key that is told from the result cannot be made from arguments.
        let key = !model.key_reads_result();
        Self {
            key,
            // One value is not what a batch loader returns.
            value: key && model.stores_result() && model.key.each().is_none(),
            refresh: matches!(model.pattern, Pattern::Aside | Pattern::ReadThrough),
        }
    }
}

/// The struct and the signatures of its calls, after an error: uses of them are checked and raise no errors of their own.
pub(super) fn hollow(model: &Cached, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let (vis, name) = (&function.vis, name(function));
    let (bare, allow) = (bare(function), allow());
    let (
        Call {
            generics, bounds, ..
        },
        args,
    ) = (
        Call::of_key(model, function),
        key_args(model, function, false),
    );
    let never = quote_spanned!(here=> ::cache_runtime::private::never());
    let with_value = function.sig.asyncness.map(|_| function.return_type()).map(|value| {
        let (Call { generics, bounds, .. }, args) = (Call::of_value(model, function), key_args(model, function, true));
        let (of_put, put_args) = (Call::of_put(model, function), put_args(model, function));
        let (put, put_bounds) = (put_generics(&of_put.generics), of_put.bounds);
        quote_spanned! {here=>
            #vis async fn peek #generics(#args) -> ::core::option::Option<#value> #bounds { #never }
            #vis async fn put #put(#put_args _: __CacheValue)
                -> ::core::result::Result<(), ::cache_runtime::private::Error> #put_bounds { #never }
        }
    });
    let calls = Calls::of(model);
    let with_value = with_value.filter(|_| calls.value && !returns_unnamed(function));
    let (key, keys) = of_key(model);
    let with_key = calls.key.then(|| {
        quote_spanned! {here=>
            #vis fn #key #generics(#args) -> #keys #bounds { #never }
            #vis async fn invalidate #generics(#args)
                -> ::core::result::Result<(), ::cache_runtime::private::Error> #bounds { #never }
        }
    });
    let refresh = (calls.refresh && !returns_unnamed(function)).then(|| refresh_hollow(function));
    quote_spanned! {here=>
        #bare
        #allow
        impl #name {
            #with_key
            #with_value
            #refresh
        }
    }
}

fn refresh_hollow(function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let (vis, value) = (&function.vis, function.return_type());
    let Call {
        generics, bounds, ..
    } = Call::whole(function);
    let args: Vec<_> = function
        .params()
        .iter()
        .filter(|param| param.handed_in().is_none())
        .map(|param| renamed(function, param.index, param.typed).0)
        .collect();
    quote_spanned! {here=>
        #vis async fn refresh #generics(#(#args),*) -> #value #bounds { ::cache_runtime::private::never() }
    }
}

/// The struct alone, after an error in the key: what its calls would take is not known.
pub(super) fn bare(function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let (vis, name, declared, allow) = (&function.vis, name(function), declared(function), allow());
    quote_spanned! {here=>
        #declared
        #allow
        impl #name {
            #vis const SPEC: &'static ::cache_runtime::private::Spec = {
                static SPEC: ::cache_runtime::private::Spec = ::cache_runtime::private::Spec::new("", "", "", 0, "");
                &SPEC
            };
        }
    }
}

fn returns_unnamed(function: &Function) -> bool {
    match &function.sig.output {
        syn::ReturnType::Default => true,
        syn::ReturnType::Type(_, ty) => has_impl_trait(ty) || matches!(**ty, syn::Type::Never(_)),
    }
}

fn declared(function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let (vis, name) = (&function.vis, name(function));
    let hidden = function
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("doc") && attr.meta.require_list().is_ok());
    let doc = format!(
        "The entries of [`{0}()`]: their keys, and calls on them.",
        plain(&function.sig.ident)
    );
    quote_spanned! {here=>
        #(#hidden)*
        #[doc = #doc]
        #[allow(non_camel_case_types, dead_code, missing_debug_implementations)]
        #vis struct #name {}
    }
}

/// The arguments are repeated as the user wrote them: what a lint says of them it says once, at the function.
fn allow() -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        #[allow(dead_code, deprecated, private_interfaces, unused_mut, unused_variables, clippy::all, clippy::pedantic)]
    }
}

/// The name of the call that makes keys, and what it returns.
fn of_key(model: &Cached) -> (TokenStream, TokenStream) {
    let here = Span::mixed_site();
    let key = quote_spanned!(here=> ::cache_runtime::private::Key);
    if model.key.each().is_some() {
        (
            quote_spanned!(here=> keys),
            quote_spanned!(here=> ::std::vec::Vec<#key>),
        )
    } else {
        (quote_spanned!(here=> key), key)
    }
}

fn key_fn(model: &Cached, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let vis = &function.vis;
    let Call {
        generics, bounds, ..
    } = Call::of_key(model, function);
    let args = key_args(model, function, false);
    let (name, returned) = of_key(model);
    let made = made_key(model, function);
    let doc = if model.key.each().is_some() {
        "The keys of the entries for these arguments, one for each element."
    } else {
        "The key of the entry for these arguments."
    };
    quote_spanned! {here=>
        #[doc = #doc]
        #vis fn #name #generics(#args) -> #returned #bounds { #made }
    }
}

/// An expression of the key, or of all keys of a batch.
fn made_key(model: &Cached, function: &Function) -> TokenStream {
    if model.key.each().is_none() {
        return key::of_loader(model, function);
    }
    let here = Span::mixed_site();
    let keys = local("__cache_keys");
    let pushes = key::of_elements(
        model,
        &|key, _| quote_spanned!(here=> ::std::vec::Vec::push(&mut #keys, #key);),
    );
    quote_spanned! {here=> {
        let mut #keys = ::std::vec::Vec::new();
        #pushes
        #keys
    }}
}

fn invalidate_fn(model: &Cached, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let vis = &function.vis;
    let Call {
        generics, bounds, ..
    } = Call::of_key(model, function);
    let args = key_args(model, function, true);
    let key = own_key(model, function);
    let cache = handle(model.cache.as_ref());
    let (doc, call) = if model.key.each().is_some() {
        let doc = "Removes the entries of all elements; a load of them that is under way does not store its result.";
        (doc, quote_spanned!(here=> invalidate_all))
    } else {
        let doc = "Removes the entry for these arguments; a load that is under way does not store its result.";
        (doc, quote_spanned!(here=> invalidate))
    };
    quote_spanned! {here=>
        #[doc = #doc]
        #vis fn invalidate #generics(#args) -> ::cache_runtime::private::companion::Invalidation #bounds {
            ::cache_runtime::private::companion::#call(#cache, #key)
        }
    }
}

/// The key of the arguments by way of the companion's own `key`, where that takes no more than their names: it is written and
/// checked once.
fn own_key(model: &Cached, function: &Function) -> TokenStream {
    let params = function.params();
    let used = params.iter().filter(|param| is_in_key(model, param.index));
    let names: Option<Vec<&Ident>> = used
        .map(|param| param.plain().map(|pat| &pat.ident))
        .collect();
    match names {
        Some(names) if function.sig.generics.params.is_empty() => {
            let (key, _) = of_key(model);
            quote_spanned!(Span::mixed_site()=> Self::#key(#(#names),*))
        }
        _ => made_key(model, function),
    }
}

fn is_in_key(model: &Cached, param: usize) -> bool {
    let mut pieces = model.key.pieces().iter();
    pieces.any(|piece| piece.is_of_param(param))
}

fn is_in_tags(model: &Cached, param: usize) -> bool {
    let mut pieces = model.tags.iter().flat_map(|tag| &tag.pieces);
    pieces.any(|piece| piece.is_of_param(param))
}

fn peek_fn(model: &Cached, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let vis = &function.vis;
    let value = function.return_type();
    let Call {
        generics,
        bounds,
        captures,
        ..
    } = Call::of_value(model, function);
    let args = key_args(model, function, true);
    let key = own_key(model, function);
    let cache = handle(model.cache.as_ref());
    let at = value_span(function);
    let shape = stored_shape(&value, at, asserts(function));
    let call = quote_spanned! {at=>
        ::cache_runtime::private::companion::peek(Self::SPEC, #cache, #key, #shape)
    };
    quote_spanned! {here=>
        /// What a call with these arguments would return if it is a hit. Loads nothing.
        #vis fn peek #generics(#args)
            -> impl ::core::future::Future<Output = ::core::option::Option<#value>> #captures
        #bounds
        {
            #call
        }
    }
}

fn put_fn(model: &Cached, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let vis = &function.vis;
    let value = function.return_type();
    let Call {
        generics, bounds, ..
    } = Call::of_put(model, function);
    let args = put_args(model, function);
    let key = own_key(model, function);
    let known = tags::known(model, &key::Loops::default());
    let cache = handle(model.cache.as_ref());
    let at = value_span(function);
    let value_var = local_at("value", at);
    let shape = stored_shape(&value, at, asserts(function));
    let shape = timed_shape(&shape, model.timing.ttl_with.as_ref()).unwrap_or(shape);
    let shape = tags::tagged_shape(&shape, model, at).unwrap_or(shape);
    // The tags before the key, which takes its arguments.
    let known_var = local_at("__cache_known", at);
    let call = quote_spanned! {at=>
        let #known_var = #known;
        ::cache_runtime::private::companion::put(Self::SPEC, #cache, #key, #known_var, #shape, #value_var)
    };
    quote_spanned! {here=>
        /// Stores a value, or the whole of what a call would return, for these arguments.
        #vis fn put #generics(#args #value_var: impl ::cache_runtime::private::IntoOutput<#value>)
            -> impl ::core::future::Future<Output = ::core::result::Result<(), ::cache_runtime::private::Error>>
        #bounds
        {
            #call
        }
    }
}

/// The function asks already whether its value can be cached. A companion that is generic asks again: it has dropped some of
/// the bounds, and must not take a value for one that cannot be cached where it only knows too little.
fn asserts(function: &Function) -> bool {
    function.types().next().is_some()
}

fn refresh_fn(function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let (vis, name) = (&function.vis, &function.sig.ident);
    let value = function.return_type();
    let Call {
        generics,
        bounds,
        turbofish,
        ..
    } = Call::whole(function);
    let (args, names): (Vec<_>, Vec<_>) = function
        .params()
        .iter()
        .filter(|param| param.handed_in().is_none())
        .map(|param| renamed(function, param.index, param.typed))
        .unzip();
    quote_spanned! {here=>
        /// Calls the function so that it loads even on a hit, and stores what it returns. Shares a load that is under way.
        #vis fn refresh #generics(#(#args),*) -> impl ::core::future::Future<Output = #value> #bounds {
            ::cache_runtime::private::companion::refresh(Self::SPEC, #name #turbofish(#(#names),*))
        }
    }
}

/// A parameter under a name that can be passed on, whatever pattern it is. One of the function's own name would hide the function.
fn renamed(function: &Function, index: usize, typed: &PatType) -> (TokenStream, Ident) {
    let name = match &*typed.pat {
        Pat::Ident(pat) if pat.subpat.is_none() && pat.ident != function.sig.ident => {
            pat.ident.clone()
        }
        _ => local(&format!("__cache_arg_{index}")),
    };
    let ty = &typed.ty;
    (quote!(#name: #ty), name)
}

/// The parameters that the key needs, in their order, each with a comma. With `cache` also those that choose the cache.
fn key_args(model: &Cached, function: &Function, cache: bool) -> TokenStream {
    args(model, function, cache, &|param| is_in_key(model, param))
}

/// The parameters that key and tags need, and those that choose the cache.
fn put_args(model: &Cached, function: &Function) -> TokenStream {
    args(model, function, true, &|param| {
        is_in_key(model, param) || is_in_tags(model, param)
    })
}

fn args(
    model: &Cached,
    function: &Function,
    cache: bool,
    needed: &dyn Fn(usize) -> bool,
) -> TokenStream {
    let params = function.params();
    let used = params.iter().filter(|param| {
        let in_key = needed(param.index);
        let chooses = |expr: &syn::Expr| {
            param
                .names
                .iter()
                .any(|name| mentions(expr.to_token_stream(), name))
        };
        in_key || cache && model.cache.as_ref().is_some_and(chooses)
    });
    used.map(|param| {
        let PatType { pat, ty, .. } = param.typed;
        quote!(#pat: #ty,)
    })
    .collect()
}

/// The generics of one call: only those that its arguments and its result mention, as others could not be inferred.
struct Call {
    generics: TokenStream,
    bounds: Option<TokenStream>,
    /// `::<…>`, with the types and constants.
    turbofish: Option<TokenStream>,
    /// `+ use<…>`: the future holds the key and not the arguments.
    captures: Option<TokenStream>,
}

impl Call {
    fn of_key(model: &Cached, function: &Function) -> Self {
        let args = key_args(model, function, true);
        Self::of(
            function,
            |name| in_key(model, name) || mentions(args.clone(), name),
            &args,
        )
    }

    fn of_value(model: &Cached, function: &Function) -> Self {
        Self::of_value_with(model, function, &key_args(model, function, true))
    }

    fn of_put(model: &Cached, function: &Function) -> Self {
        Self::of_value_with(model, function, &put_args(model, function))
    }

    fn of_value_with(model: &Cached, function: &Function, args: &TokenStream) -> Self {
        let value = function.return_type();
        Self::of(
            function,
            |name| {
                in_key(model, name) || mentions(args.clone(), name) || mentions(value.clone(), name)
            },
            args,
        )
    }

    fn whole(function: &Function) -> Self {
        Self::of(function, |_| true, &TokenStream::new())
    }

    fn of(function: &Function, keep: impl Fn(&Ident) -> bool, args: &TokenStream) -> Self {
        let here = Span::mixed_site();
        let all = &function.sig.generics;
        let dropped: Vec<&Ident> = all
            .params
            .iter()
            .filter_map(generic_name)
            .filter(|name| !keep(name))
            .collect();
        let sound =
            |tokens: TokenStream| !dropped.iter().any(|name| mentions(tokens.clone(), name));
        let kept: Vec<GenericParam> = all
            .params
            .iter()
            .filter(|param| generic_name(param).is_none_or(&keep))
            .map(|param| with_bounds(param, |bound| sound(bound.to_token_stream())))
            .collect();
        let predicates: Vec<&WherePredicate> = all
            .where_clause
            .iter()
            .flat_map(|clause| &clause.predicates)
            .filter(|predicate| sound(predicate.to_token_stream()))
            .collect();
        let names: Vec<&Ident> = kept.iter().filter_map(generic_name).collect();
        // Nothing can name the type of an `impl Trait` argument, so that its future has to capture all.
        let unnamed = function.params().iter().any(|param| {
            has_impl_trait(&param.typed.ty)
                && param.names.iter().any(|name| mentions(args.clone(), name))
        });
        Self {
            generics: if kept.is_empty() {
                TokenStream::new()
            } else {
                quote_spanned!(here=> <#(#kept),*>)
            },
            bounds: (!predicates.is_empty()).then(|| quote_spanned!(here=> where #(#predicates),*)),
            turbofish: (!names.is_empty()).then(|| quote_spanned!(here=> ::<#(#names),*>)),
            captures: (!unnamed).then(|| quote_spanned!(here=> + use<#(#names),*>)),
        }
    }
}

fn in_key(model: &Cached, name: &Ident) -> bool {
    let tags = model.tags.iter().flat_map(|tag| &tag.pieces);
    let mut pieces = model.key.pieces().iter().chain(tags);
    pieces.any(|piece| match piece {
        KeyPiece::TypeName(ty) => ty == name,
        KeyPiece::Value(value) => matches!(&value.root, Root::Const(constant) if constant == name),
        _ => false,
    })
}

fn with_bounds(param: &GenericParam, keep: impl Fn(&TypeParamBound) -> bool) -> GenericParam {
    let mut param = param.clone();
    if let GenericParam::Type(ty) = &mut param {
        let bounds = std::mem::take(&mut ty.bounds);
        ty.bounds = bounds.into_iter().filter(keep).collect();
    }
    param
}

fn put_generics(generics: &TokenStream) -> TokenStream {
    let inner = generics.clone().into_iter();
    let mut inner: Vec<_> = inner.collect();
    if inner.is_empty() {
        return quote!(<__CacheValue>);
    }
    inner.pop();
    quote!(#(#inner)*, __CacheValue>)
}
