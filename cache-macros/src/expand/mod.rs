//! From a model to tokens. Generated code names rooted paths of `cache_runtime::private` and `core` only, and every
//! variable of its own is hygienic, so nothing that a user declares can get in its way.

mod apart;
mod background;
mod batch;
mod cached;
mod companion;
mod invalidates;
mod key;
mod read_through;
mod spec;
mod tags;
mod write_behind;
mod write_through;

pub(crate) use cached::{cached, cached_with_errors};
pub(crate) use invalidates::invalidates;

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ExprPath, GenericArgument, Ident, PathArguments, ReturnType, Signature, Type};

use crate::function::{Function, bare};

/// A variable that user code can neither see nor shadow.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The same, shown at another place.
fn local_at(name: &str, at: Span) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(at))
}

/// The variable, resolved as before and shown elsewhere.
fn shown_at(variable: &Ident, at: Span) -> Ident {
    let mut variable = variable.clone();
    variable.set_span(at.resolved_at(variable.span()));
    variable
}

/// For a variable that is bound once more under its name: no lint of the user's crate has anything to say of it.
fn bound_again() -> TokenStream {
    quote_spanned! {Span::mixed_site()=>
        #[allow(unused_variables, clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
    }
}

/// The cache to use.
fn handle(cache: Option<&Expr>) -> TokenStream {
    let here = Span::mixed_site();
    match cache {
        None => quote_spanned!(here=> ::cache_runtime::private::current()),
        Some(expr) => {
            let at = expr
                .to_token_stream()
                .into_iter()
                .next()
                .map_or(here, |token| here.located_at(token.span()));
            quote_spanned!(at=> ::cache_runtime::private::given(&#expr))
        }
    }
}

/// The shape of the return type, found by type.
fn shape(return_type: &TokenStream, at: Span) -> TokenStream {
    let probe = local_at("__cache_probe", at);
    // The return type stands outside of the block with the traits: it may have the name of one of them.
    quote_spanned! {at=> {
        let #probe = ::cache_runtime::private::Probe::<#return_type>::new();
        {
            use ::cache_runtime::private::via::*;
            (&&&&&#probe).shape()
        }
    }}
}

/// The same for a value that is to be stored.
fn stored_shape(return_type: &TokenStream, at: Span, assert: bool) -> TokenStream {
    stored(&shape(return_type, at), at, assert)
}

/// The shape for a value that is to be stored: an `Arc` is stored as it is. With `assert` it asks first that the value can be
/// cached. Where that is not so the shape found is one that fits all the same, so that nothing more is said of it.
fn stored(shape: &TokenStream, at: Span, assert: bool) -> TokenStream {
    let found = local_at("__cache_found", at);
    let assert =
        assert.then(|| quote_spanned!(at=> ::cache_runtime::private::assert_value(&#found);));
    quote_spanned! {at=> {
        let #found = #shape;
        #assert
        let #found = ::cache_runtime::private::Kept(#found);
        {
            use ::cache_runtime::private::via::*;
            (&&&#found).kept()
        }
    }}
}

/// The shape with a TTL that comes from the value, if it does. A wrong function is reported at its own path.
fn timed_shape(shape: &TokenStream, ttl_with: Option<&ExprPath>) -> Option<TokenStream> {
    let path = ttl_with?;
    Some(quote_spanned!(Span::mixed_site()=> ::cache_runtime::private::with_ttl(#shape, #path)))
}

/// The type without its own reference.
fn behind_reference(ty: &Type) -> &Type {
    match bare(ty) {
        Type::Reference(reference) => bare(&reference.elem),
        ty => ty,
    }
}

/// The type that a writer keeps of an argument: what is behind its reference, owned. A type that cannot be copied stays as it is, so that
/// this is said of it once, and nothing else.
fn owned_type(ty: &Type) -> TokenStream {
    let inner = behind_reference(ty);
    let at = type_span(inner);
    match inner {
        Type::Slice(slice) => {
            let element = &slice.elem;
            quote_spanned!(at=> ::std::vec::Vec<#element>)
        }
        inner if has_no_size(inner) => {
            quote_spanned!(at=> <#inner as ::std::borrow::ToOwned>::Owned)
        }
        inner => inner.to_token_stream(),
    }
}

/// Whether it is one of the types of the standard library that exist behind a reference only.
fn has_no_size(ty: &Type) -> bool {
    const NAMES: [&str; 4] = ["str", "Path", "OsStr", "CStr"];
    let Type::Path(path) = ty else {
        return false;
    };
    let last = path.path.segments.last();
    last.is_some_and(|last| NAMES.iter().any(|name| last.ident == name))
}

/// A copy of what is behind a reference, if one can be made.
fn copy_of(reference: &TokenStream, at: Span) -> TokenStream {
    let found = local_at("__cache_copy", at);
    quote_spanned! {at=> {
        let #found = ::cache_runtime::private::CopyOf(#reference);
        {
            use ::cache_runtime::private::via::*;
            (&&#found).copy()
        }
    }}
}

/// Where to say that a value cannot be cached. It is one token, and the calls that ask for it all stand there: the
/// compiler says a thing once for each place, and would say it of every call otherwise.
fn value_span(function: &Function) -> Span {
    return_span(function, blamed)
}

/// Where to say what is wrong with a writer's result.
fn result_span(function: &Function) -> Span {
    return_span(function, |ty| ty)
}

/// The one token of the return type that says most: the last name of a path.
fn return_span(function: &Function, part: impl Fn(&Type) -> &Type) -> Span {
    let shown = match &function.sig.output {
        ReturnType::Default => Some(function.sig.ident.span()),
        ReturnType::Type(_, ty) => return type_span(part(ty)),
    };
    let here = Span::mixed_site();
    shown.map_or(here, |shown| here.located_at(shown))
}

/// The one token of a type that says most.
fn type_span(ty: &Type) -> Span {
    let shown = match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map(|segment| segment.ident.span()),
        ty => ty
            .to_token_stream()
            .into_iter()
            .next()
            .map(|token| token.span()),
    };
    let here = Span::mixed_site();
    shown.map_or(here, |shown| here.located_at(shown))
}

/// The type inside `Result<…>` and `Option<…>` by their names: good enough to choose a place for a message, which is
/// all that it is used for.
fn blamed(ty: &Type) -> &Type {
    if let Type::Path(path) = ty
        && let Some(last) = path.path.segments.last()
        && (last.ident == "Option" || last.ident.to_string().ends_with("Result"))
        && let PathArguments::AngleBracketed(args) = &last.arguments
        && let Some(GenericArgument::Type(inner)) = args.args.first()
    {
        return blamed(inner);
    }
    ty
}

/// The user's body as a future.
fn body(function: &Function) -> TokenStream {
    body_after(function, &TokenStream::new(), &function.statements())
}

/// The body as a future, after other statements. The return that is never taken fixes the type, so that a body of the wrong
/// type is reported on the user's own lines.
fn body_after(function: &Function, first: &TokenStream, statements: &TokenStream) -> TokenStream {
    let here = Span::mixed_site();
    let return_type = function.return_type();
    let edge = quote_spanned! {here=>
        if false {
            return ::cache_runtime::private::never::<#return_type>();
        }
    };
    // In the user's own braces, and not in a block inside of others: a lint would call those unnecessary.
    let block = function.body.as_ref().map(|body| {
        let mut block = Group::new(Delimiter::Brace, quote!(#edge #first #statements));
        block.set_span(body.block.span());
        block
    });
    quote_spanned!(here=> async move #block)
}

/// The function with another body.
fn with_body(function: &Function, body: &TokenStream) -> TokenStream {
    with_signature(function, &function.sig, body)
}

/// The function with another signature and another body.
fn with_signature(function: &Function, sig: &Signature, body: &TokenStream) -> TokenStream {
    let Function { attrs, vis, .. } = function;
    let inner = function.body.iter().flat_map(|body| &body.inner_attrs);
    quote!(#(#attrs)* #vis #sig { #(#inner)* #body })
}
