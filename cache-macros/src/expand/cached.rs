//! A cached function by its pattern. A loader is the key, one question to the runtime, and the body if the answer asks for it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::key::Loops;
use super::{
    background, batch, body, companion, handle, key, local_at, read_through, result_span, spec,
    stored_shape, tags, timed_shape, value_span, with_body, with_signature, write_behind,
    write_through,
};
use crate::function::Function;
use crate::model::{Cached, Pattern};

/// The function and its companion.
pub(crate) fn cached(model: &Cached, function: &Function) -> TokenStream {
    let function_itself = match &model.pattern {
        Pattern::Aside => loader(model, function),
        Pattern::ReadThrough => read_through::loader(model, function),
        Pattern::WriteThrough(writer) => write_through::writer(model, writer, function),
        Pattern::WriteBehind(writer) => write_behind::writer(model, writer, function),
    };
    let companion = model
        .companion
        .then(|| companion::companion(model, function));
    quote!(#function_itself #companion)
}

fn loader(model: &Cached, function: &Function) -> TokenStream {
    if let Some(each) = model.key.each() {
        batch::loader(model, function, each)
    } else if model.timing.in_background() {
        in_background(model, function)
    } else {
        within_call(model, function)
    }
}

/// A function whose loads end with their calls.
fn within_call(model: &Cached, function: &Function) -> TokenStream {
    let at = value_span(function);
    let [body_var, answer] = ["__cache_body", "__cache_answer"].map(|name| local_at(name, at));
    let spec = spec::named(model, function);
    let question = question(model, function, &spec, &TokenStream::new());
    let body = body(function);
    let calls = quote_spanned! {at=>
        let #answer = #question;
        let #body_var = ::core::pin::pin!(#body);
        ::cache_runtime::private::finish(#answer, #body_var).await
    };
    with_body(function, &calls)
}

/// A function whose loads may go on without it.
fn in_background(model: &Cached, function: &Function) -> TokenStream {
    let at = value_span(function);
    let [body_var, answer, late] =
        ["__cache_body", "__cache_answer", "__cache_late"].map(|name| local_at(name, at));
    let body = background::body(function);
    let spec = spec::named(model, function);
    let calls = if model.timing.timeout_ms.is_some() {
        let question = question(model, function, &spec, &late_fn(function));
        quote_spanned! {at=>
            let (#answer, #late) = #question;
            let #body_var = #body;
            ::cache_runtime::private::finish_in_time(#answer, #body_var, #late).await
        }
    } else {
        let question = question(model, function, &spec, &TokenStream::new());
        quote_spanned! {at=>
            let #answer = #question;
            let #body_var = #body;
            ::cache_runtime::private::finish_in_background(#answer, #body_var).await
        }
    };
    with_signature(function, &background::signature(function), &calls)
}

/// How a call says that it is late. Whether the function can say so is asked of its result as a whole.
pub(super) fn late_fn(function: &Function) -> TokenStream {
    let result = result_span(function);
    let shape = local_at("__cache_shape", result);
    quote_spanned!(result=> , ::cache_runtime::private::late(&#shape))
}

/// A block that asks the runtime for the value, and what else is to come out of it. Each part has a statement of its own, and all
/// of them a block: nothing of theirs lives across the `await`.
pub(super) fn question(
    model: &Cached,
    function: &Function,
    spec: &TokenStream,
    and: &TokenStream,
) -> TokenStream {
    let at = value_span(function);
    let [cache_var, key_var, shape_var] =
        ["__cache", "__cache_key", "__cache_shape"].map(|name| local_at(name, at));
    let shape = stored_shape(&function.return_type(), at, true);
    let timed = timed_shape(&quote!(#shape_var), model.timing.ttl_with.as_ref())
        .map(|timed| quote_spanned!(at=> let #shape_var = #timed;));
    let optional = optional(model);
    let (writer, key) = key::written_by_loader(model, function);
    let cache = handle(model.cache.as_ref());
    let tagged = tags::tagged_shape(&quote!(#shape_var), model, at)
        .map(|tagged| quote_spanned!(at=> let #shape_var = #tagged;));
    let read = if model.tags.is_empty() {
        quote_spanned!(at=> ::cache_runtime::private::read(#spec, #cache_var, #key_var, #shape_var))
    } else {
        let known = tags::known(model, &Loops::default());
        quote_spanned! {at=>
            ::cache_runtime::private::read_tagged(#spec, #cache_var, #key_var, #shape_var, &|| #known)
        }
    };
    let result = if and.is_empty() {
        read
    } else {
        quote_spanned!(at=> (#read #and))
    };
    quote_spanned! {at=> {
        let #cache_var = #cache;
        #key
        let #key_var = ::cache_runtime::private::KeyWriter::key(&#writer);
        let #shape_var = #shape;
        #optional
        #timed
        #tagged
        #result
    }}
}

/// Asks at `negative_ttl` whether there is a `None`.
fn optional(model: &Cached) -> Option<TokenStream> {
    let negative = model.timing.negative_ttl.as_ref()?;
    // All of one place, else the compiler underlines everything from here to the return type.
    let at = Span::mixed_site().located_at(negative.span);
    let shape = local_at("__cache_shape", at);
    Some(quote_spanned!(at=> ::cache_runtime::private::assert_optional(&#shape);))
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
