//! A cached function: the key, one question to the runtime, and the body if the answer asks for it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::{body, companion, handle, key, local_at, spec, stored_shape, value_span, with_body};
use crate::function::Function;
use crate::model::Cached;

/// The function and its companion.
pub(crate) fn cached(model: &Cached, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let at = value_span(function);
    let [body_var, cache_var, key_var, shape_var, answer] = [
        "__cache_body",
        "__cache",
        "__cache_key",
        "__cache_shape",
        "__cache_answer",
    ]
    .map(|name| local_at(name, at));
    let spec = if model.companion {
        let name = companion::name(function);
        quote_spanned!(here=> #name::SPEC)
    } else {
        spec::of_loader(model, function)
    };
    let shape = stored_shape(&function.return_type(), at, true);
    let (writer, key) = key::written_by_loader(model, function);
    let cache = handle(model.cache.as_ref());
    let body = body(function);
    // Each part has a statement of its own, and all of them a block: nothing of theirs lives across the `await`.
    let calls = quote_spanned! {at=>
        let #answer = {
            let #cache_var = #cache;
            #key
            let #key_var = ::cache_runtime::private::KeyWriter::key(&#writer);
            let #shape_var = #shape;
            ::cache_runtime::private::read(#spec, #cache_var, #key_var, #shape_var)
        };
        let #body_var = ::core::pin::pin!(#body);
        ::cache_runtime::private::finish(#answer, #body_var).await
    };
    let function_tokens = with_body(function, &calls);
    let companion = model
        .companion
        .then(|| companion::companion(model, function));
    quote!(#function_tokens #companion)
}

/// The function as it was, and a companion that can be named and type-checked, so that no error follows from another.
pub(crate) fn cached_with_errors(model: Option<&Cached>, function: &Function) -> TokenStream {
    let unchanged = function.unchanged();
    let companion = match model {
        Some(model) if model.companion => companion::hollow(model, function),
        Some(_) => TokenStream::new(),
        None if function.is_associated() => TokenStream::new(),
        None => companion::bare(function),
    };
    quote!(#unchanged #companion)
}
