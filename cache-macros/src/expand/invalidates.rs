//! A writer: keys from the arguments before its body, keys from its result after.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::key::{self, Parts, Pushed};
use super::{body, handle, local, local_at, result_span, shape, spec, with_body};
use crate::function::Function;
use crate::model::{Consistency, Invalidates, KeyPiece};

/// The function.
pub(crate) fn invalidates(model: &Invalidates, function: &Function) -> TokenStream {
    let spec = spec::of_writer(model, function);
    let cache = handle(model.cache.as_ref());
    let at = result_span(function);
    let [cache_var, keys_var, shape_var] =
        ["__cache", "__cache_keys", "__cache_shape"].map(|name| local_at(name, at));
    let shape = shape(&function.return_type(), at);
    let Keys {
        before,
        parts,
        from_return,
    } = keys(model);
    let body = body(function);
    let call = if model.consistency == Consistency::Strict {
        quote_spanned! {at=>
            let __cache_refuse = ::cache_runtime::private::refusal(&#shape_var);
            ::cache_runtime::private::write_strict(#spec, #cache_var, #keys_var, #shape_var, __cache_refuse, #body).await
        }
    } else {
        quote_spanned! {at=>
            ::cache_runtime::private::write(#spec, #cache_var, #keys_var, #shape_var, #from_return, #body).await
        }
    };
    let calls = quote_spanned! {at=>
        let #cache_var = #cache;
        let mut #keys_var = ::cache_runtime::private::Keys::new();
        #before
        #parts
        let #shape_var = #shape;
        #call
    };
    with_body(function, &calls)
}

struct Keys {
    /// Statements that push the keys of the arguments.
    before: TokenStream,
    /// Statements that write the arguments' parts of keys that also read the result.
    parts: TokenStream,
    /// A closure that pushes the keys of the result.
    from_return: TokenStream,
}

fn keys(model: &Invalidates) -> Keys {
    let here = Span::mixed_site();
    let keys_var = local("__cache_keys");
    let result = local("__cache_result");
    let (mut before, mut parts, mut after) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new());
    let of_keys = model.keys.iter().map(|pieces| (pieces, Pushed::Key));
    let of_tags = model.tags.iter().map(|tag| (&tag.pieces, Pushed::Tag));
    for (index, (pieces, kind)) in of_keys.chain(of_tags).enumerate() {
        if pieces.iter().any(KeyPiece::reads_result) {
            let (written, statements) = Parts::before_body(pieces, index);
            parts.extend(statements);
            after.extend(key::push(
                pieces,
                &quote_spanned!(here=> #keys_var),
                kind,
                &written,
            ));
        } else {
            before.extend(key::push(
                pieces,
                &quote_spanned!(here=> &mut #keys_var),
                kind,
                &Parts::default(),
            ));
        }
    }
    let from_return = if after.is_empty() {
        quote_spanned!(here=> |_, _| {})
    } else {
        quote_spanned!(here=> move |#result, #keys_var| { #after })
    };
    Keys {
        before,
        parts,
        from_return,
    }
}
