//! The static description.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use crate::function::{Function, plain};
use crate::model::{Cached, Invalidates, KeyModel, KeyPiece, Root, Stampede};

/// An expression of type `&'static Spec`. The static is in a block of its own, where no user code can see it.
pub(super) fn of_loader(model: &Cached, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let name = plain(&function.sig.ident);
    let template = match &model.key {
        KeyModel::Template { literal, .. } => {
            let text = literal.value();
            quote_spanned!(here=> #text)
        }
        KeyModel::Default { pieces } => {
            let described = format!("::{name}{}", describe(pieces));
            quote_spanned!(here=> ::core::concat!(::core::module_path!(), #described))
        }
    };
    let ttl = model.ttl_ms.map(|ms| quote_spanned!(here=> .ttl_ms(#ms)));
    let stampede = (model.stampede == Stampede::None)
        .then(|| quote_spanned!(here=> .stampede(::cache_runtime::private::Stampede::None)));
    let consistency = consistency(model.consistency);
    let codec = model.codec.map(|codec| {
        let codec = codec.variant();
        quote_spanned!(here=> .codec(::cache_runtime::private::CodecKind::#codec))
    });
    let schema = Some(model.schema)
        .filter(|&schema| schema != 0)
        .map(|n| quote_spanned!(here=> .schema(#n)));
    quote_spanned! {here=> {
        static SPEC: ::cache_runtime::private::Spec = ::cache_runtime::private::Spec::new(
            #name, ::core::module_path!(), ::core::file!(), ::core::line!(), #template,
        ) #ttl #stampede #consistency #codec #schema;
        &SPEC
    }}
}

/// An expression of type `&'static WriterSpec`.
pub(super) fn of_writer(model: &Invalidates, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let name = plain(&function.sig.ident);
    let templates = model.templates.iter().map(syn::LitStr::value);
    let only_ok = model.only_ok.then(|| quote_spanned!(here=> .only_ok()));
    let consistency = consistency(model.consistency);
    quote_spanned! {here=> {
        static SPEC: ::cache_runtime::private::WriterSpec = ::cache_runtime::private::WriterSpec::new(
            #name, ::core::module_path!(), ::core::file!(), ::core::line!(), &[#(#templates),*],
        ) #only_ok #consistency;
        &SPEC
    }}
}

fn consistency(level: crate::model::Consistency) -> Option<TokenStream> {
    let here = Span::mixed_site();
    let level = level.variant()?;
    Some(quote_spanned!(here=> .consistency(::cache_runtime::private::Consistency::#level)))
}

/// A default key as a template would write it.
fn describe(pieces: &[KeyPiece]) -> String {
    let piece = |piece: &KeyPiece| match piece {
        KeyPiece::Text(text) => text.clone(),
        KeyPiece::Value(value) => match &value.root {
            Root::Param { ident, .. } | Root::Receiver(ident) | Root::Const(ident) => {
                format!("<{}>", plain(ident))
            }
            Root::Return => "<return>".to_owned(),
        },
        KeyPiece::TypeName(ident) => format!("<{}>", plain(ident)),
        KeyPiece::TypeNameOf(ident) => format!("<impl {}>", plain(ident)),
        KeyPiece::SelfName | KeyPiece::Surroundings => "<Self>".to_owned(),
    };
    pieces.iter().map(piece).collect()
}
