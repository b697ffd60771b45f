//! The static description.

use proc_macro2::{Literal, Span, TokenStream};
use quote::quote_spanned;
use syn::Type;

use crate::function::{Function, plain};
use crate::model::{
    Cached, Invalidates, KeyModel, KeyPiece, Pattern, Queueing, Root, Stampede, Tag, Timing, Value,
};

/// The description by its name in the companion, if there is one.
pub(super) fn named(model: &Cached, function: &Function) -> TokenStream {
    if model.companion {
        let name = super::companion::name(function);
        quote_spanned!(Span::mixed_site()=> #name::SPEC)
    } else {
        of_loader(model, function)
    }
}

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
    let pattern = pattern(&model.pattern);
    let timing = timing(&model.timing);
    let stampede = stampede(model.timing.stampede);
    let consistency = consistency(model.consistency);
    let codec = model.codec.map(|codec| {
        let codec = codec.variant();
        quote_spanned!(here=> .codec(::cache_runtime::private::CodecKind::#codec))
    });
    let schema = Some(model.schema)
        .filter(|&schema| schema != 0)
        .map(|n| quote_spanned!(here=> .schema(#n)));
    let tags = (!model.tags.is_empty()).then(|| {
        let templates = model.tags.iter().map(|tag| tag.literal.value());
        let of_result = model.tags.iter().any(Tag::reads_result);
        quote_spanned!(here=> .tags(&[#(#templates),*], #of_result))
    });
    let own_cache = (model.cache.as_ref()).map(|_| quote_spanned!(here=> .own_cache()));
    let entry = entry(model, function);
    quote_spanned! {here=> {
        static SPEC: ::cache_runtime::private::Spec = ::cache_runtime::private::Spec::new(
            #name, ::core::module_path!(), ::core::file!(), ::core::line!(), #template,
        ) #pattern #timing #stampede #consistency #codec #schema #tags #own_cache;
        ::cache_runtime::private::inventory::submit!(#entry);
        &SPEC
    }}
}

/// The function's entry in the program's list.
fn entry(model: &Cached, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    // A type can be named out here only if it is of no generics and of no `impl`.
    let value = value_type(model, function)
        .filter(|_| model.companion && function.sig.generics.params.is_empty())
        .map(|ty| quote_spanned!(here=> .value(::core::any::type_name::<#ty>)));
    let stores_nothing =
        matches!(&model.pattern, Pattern::WriteBehind(writer) if writer.value.is_none())
            .then(|| quote_spanned!(here=> .stores_nothing()));
    let versioned =
        matches!(&model.pattern, Pattern::WriteThrough(writer) if writer.version.is_some())
            .then(|| quote_spanned!(here=> .versioned()));
    let of_types = |names| {
        let places = of_types(model.key.pieces(), function, names);
        (places != 0).then_some(places)
    };
    let numbers = of_types(INTEGERS).map(|places| quote_spanned!(here=> .numbers(#places)));
    let texts = of_types(TEXTS).map(|places| quote_spanned!(here=> .texts(#places)));
    quote_spanned!(here=> ::cache_runtime::private::CachedFunction::new(&SPEC) #value #stores_nothing #versioned #numbers #texts)
}

/// Types whose values are no words.
const INTEGERS: &[&str] = &[
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
];

/// Types whose values may be any words.
const TEXTS: &[&str] = &["str", "String"];

/// Which placeholders stand for values of these types, from the lowest bit on, as far as the types' names say so.
fn of_types(pieces: &[KeyPiece], function: &Function, names: &[&str]) -> u64 {
    let params = function.params();
    let is_one = |value: &Value| match value.root {
        Root::Param { index, .. } if value.fields.is_empty() => params
            .iter()
            .find(|param| param.index == index)
            .is_some_and(|param| is_named(&param.typed.ty, value.each_after.is_some(), names)),
        _ => false,
    };
    let placeholders = pieces
        .iter()
        .filter(|piece| !matches!(piece, KeyPiece::Text(_)));
    placeholders
        .take(64)
        .enumerate()
        .filter(|(_, piece)| matches!(piece, KeyPiece::Value(value) if is_one(value)))
        .fold(0, |places, (place, _)| places | 1 << place)
}

/// Whether the type is one of these, or a slice of one.
fn is_named(ty: &Type, of_elements: bool, names: &[&str]) -> bool {
    match super::behind_reference(ty) {
        Type::Slice(slice) if of_elements => is_named(&slice.elem, false, names),
        Type::Path(path) if !of_elements => names.iter().any(|name| path.path.is_ident(name)),
        _ => false,
    }
}

/// The type that holds what is stored.
fn value_type(model: &Cached, function: &Function) -> Option<TokenStream> {
    let argument = match &model.pattern {
        Pattern::Aside | Pattern::ReadThrough => return Some(function.return_type()),
        Pattern::WriteThrough(writer) => match &writer.value {
            None => return Some(function.return_type()),
            Some(argument) => argument,
        },
        Pattern::WriteBehind(writer) => writer.value.as_ref()?,
    };
    let params = function.params();
    let param = params.iter().find(|param| param.index == argument.index)?;
    Some(super::owned_type(&param.typed.ty))
}

/// An expression of type `&'static WriterSpec`.
pub(super) fn of_writer(model: &Invalidates, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    let name = plain(&function.sig.ident);
    let templates = model.templates.iter().map(syn::LitStr::value);
    let only_ok = model.only_ok.then(|| quote_spanned!(here=> .only_ok()));
    let consistency = consistency(model.consistency);
    let tags = (!model.tags.is_empty()).then(|| {
        let templates = model.tags.iter().map(|tag| tag.literal.value());
        quote_spanned!(here=> .tags(&[#(#templates),*]))
    });
    quote_spanned! {here=> {
        static SPEC: ::cache_runtime::private::WriterSpec = ::cache_runtime::private::WriterSpec::new(
            #name, ::core::module_path!(), ::core::file!(), ::core::line!(), &[#(#templates),*],
        ) #only_ok #consistency #tags;
        ::cache_runtime::private::inventory::submit!(::cache_runtime::private::InvalidatingFunction(&SPEC));
        &SPEC
    }}
}

/// The pattern, where it is not the default.
fn pattern(pattern: &Pattern) -> Option<TokenStream> {
    let here = Span::mixed_site();
    let path = quote_spanned!(here=> ::cache_runtime::private::Pattern);
    match pattern {
        Pattern::Aside => None,
        Pattern::ReadThrough => Some(quote_spanned!(here=> .pattern_of(#path::ReadThrough))),
        Pattern::WriteThrough(_) => Some(quote_spanned!(here=> .pattern_of(#path::WriteThrough))),
        Pattern::WriteBehind(writer) => {
            let queueing = queueing(&writer.queueing);
            Some(quote_spanned!(here=> .pattern_of(#path::WriteBehind) #queueing))
        }
    }
}

/// How writes wait, where something is said of it.
fn queueing(queueing: &Queueing) -> Option<TokenStream> {
    let here = Span::mixed_site();
    let Queueing {
        flush_ms,
        batch,
        max_pending,
        when_full,
    } = queueing;
    let mut said = TokenStream::new();
    said.extend(flush_ms.map(|ms| quote_spanned!(here=> .flush_ms(#ms))));
    said.extend(batch.map(|writes| quote_spanned!(here=> .batch(#writes))));
    said.extend(max_pending.map(|writes| quote_spanned!(here=> .max_pending(#writes))));
    said.extend(when_full.map(|what| {
        let what = what.variant();
        quote_spanned!(here=> .when_full(::cache_runtime::private::WhenFull::#what))
    }));
    (!said.is_empty())
        .then(|| quote_spanned!(here=> .queueing(::cache_runtime::private::Queueing::new() #said)))
}

/// What says how long a value lives and how it grows old.
fn timing(timing: &Timing) -> TokenStream {
    let here = Span::mixed_site();
    let ttl = timing.ttl_ms.map(|ms| quote_spanned!(here=> .ttl_ms(#ms)));
    let of_value = timing
        .ttl_with
        .as_ref()
        .map(|_| quote_spanned!(here=> .ttl_of_value()));
    let jitter = timing.jitter.map(|share| {
        let share = Literal::f64_unsuffixed(share);
        quote_spanned!(here=> .jitter(#share))
    });
    let refresh_after = timing
        .refresh_after_ms
        .map(|ms| quote_spanned!(here=> .refresh_after_ms(#ms)));
    let beta = timing.beta.map(|beta| {
        let beta = Literal::f64_unsuffixed(beta);
        quote_spanned!(here=> .beta(#beta))
    });
    let stale_if_error = timing
        .stale_if_error_ms
        .map(|ms| quote_spanned!(here=> .stale_if_error_ms(#ms)));
    let negative_ttl = timing.negative_ttl.as_ref().map(|negative| {
        let ms = negative.ms;
        quote_spanned!(here=> .negative_ttl_ms(#ms))
    });
    let timeout = timing
        .timeout_ms
        .map(|ms| quote_spanned!(here=> .timeout_ms(#ms)));
    quote_spanned!(here=> #ttl #of_value #jitter #refresh_after #beta #stale_if_error #negative_ttl #timeout)
}

fn stampede(mode: Stampede) -> Option<TokenStream> {
    let here = Span::mixed_site();
    let path = quote_spanned!(here=> ::cache_runtime::private::Stampede);
    let constants = mode.constants()?;
    let (first, rest) = constants.split_first()?;
    Some(quote_spanned!(here=> .stampede(#path::#first #(.and(#path::#rest))*)))
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
