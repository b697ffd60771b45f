//! The attribute macros of `cache-runtime`, which re-exports them. Name that crate, not this one.
//!
//! [`macro@cached`] keeps what an async function returns, [`macro@invalidates`] removes what a write makes old. The macros turn an
//! annotation into a static description and one call of the runtime; they hold no caching logic.

mod args;
mod body;
mod diagnostics;
mod duration;
mod expand;
mod function;
mod model;
mod template;
mod validate;

use diagnostics::Diagnostics;
use function::Function;
use proc_macro::TokenStream;
use quote::quote;

#[doc = include_str!("../docs/cached.md")]
#[doc = include_str!("../docs/read_through.md")]
#[doc = include_str!("../docs/write_through.md")]
#[doc = include_str!("../docs/write_behind.md")]
#[proc_macro_attribute]
pub fn cached(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let mut errors = Diagnostics::default();
    let args = args::parse_named(args.into(), &mut errors);
    let Some(function) = annotated("#[cached]", &item, &mut errors) else {
        return with_errors(&item, errors);
    };
    let model = validate::cached(&args, &function, &mut errors);
    match model {
        Some(model) if errors.is_empty() => expand::cached(&model, &function).into(),
        model => with_errors(
            &expand::cached_with_errors(model.as_ref(), &function),
            errors,
        ),
    }
}

#[doc = include_str!("../docs/invalidates.md")]
#[proc_macro_attribute]
pub fn invalidates(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = proc_macro2::TokenStream::from(item);
    let mut errors = Diagnostics::default();
    let listed = args::parse_listed(args.into(), &mut errors);
    let Some(function) = annotated("#[invalidates]", &item, &mut errors) else {
        return with_errors(&item, errors);
    };
    match validate::invalidates(&listed, &function, &mut errors) {
        Some(model) if errors.is_empty() => expand::invalidates(&model, &function).into(),
        // What a `#[cached]` below makes of the function is there whatever is wrong here.
        _ if function.attrs.iter().any(function::is_cached) => with_errors(&item, errors),
        _ => with_errors(&function.unchanged(), errors),
    }
}

/// The item as a function. What is no function at all gets one error and is left alone.
fn annotated(
    macro_name: &str,
    item: &proc_macro2::TokenStream,
    errors: &mut Diagnostics,
) -> Option<Function> {
    let function = syn::parse2(item.clone()).ok();
    if function.is_none() {
        errors.at(
            function::keyword(item),
            format!("`{macro_name}` annotates an async function, and this is none"),
        );
    }
    function
}

fn with_errors(item: &proc_macro2::TokenStream, errors: Diagnostics) -> TokenStream {
    let errors = errors.into_tokens();
    quote!(#item #errors).into()
}
