//! The tags of what is cached: those that the arguments tell, and those of the result.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;

use super::key::{self, Loops, Parts};
use super::{local, local_at};
use crate::model::{Cached, KeyPiece, Tag};

/// An expression of type `Known`: what is known before the body runs. `outer` has the elements that the code around it walks over.
pub(super) fn known(model: &Cached, outer: &Loops) -> TokenStream {
    let here = Span::mixed_site();
    let path = quote_spanned!(here=> ::cache_runtime::private::Known);
    if model.tags.is_empty() {
        return quote_spanned!(here=> #path::new());
    }
    let known = local("__cache_known");
    let mut statements = TokenStream::new();
    for tag in &model.tags {
        if tag.reads_result() {
            for piece in tag.pieces.iter().filter(|piece| is_of_arguments(piece)) {
                let part = std::slice::from_ref(piece);
                statements.extend(key::for_each_within(
                    outer,
                    part,
                    &Parts::default(),
                    &|key, _| quote_spanned!(here=> #path::part(&mut #known, #key);),
                ));
            }
        } else {
            statements.extend(key::for_each_within(
                outer,
                &tag.pieces,
                &Parts::default(),
                &|key, _| quote_spanned!(here=> #path::tag(&mut #known, #key);),
            ));
        }
    }
    quote_spanned! {here=> {
        let mut #known = #path::new();
        #statements
        #known
    }}
}

/// The shape with tags that come from the value, if any do. A wrong field is reported at its template.
pub(super) fn tagged_shape(shape: &TokenStream, model: &Cached, at: Span) -> Option<TokenStream> {
    if !model.tags.iter().any(Tag::reads_result) {
        return None;
    }
    let (result, parts, tags) = (
        local("__cache_result"),
        local_at("__cache_parts", at),
        local_at("__cache_tags", at),
    );
    let mut statements = TokenStream::new();
    let mut next = 0_usize;
    for tag in model.tags.iter().filter(|tag| tag.reads_result()) {
        let mut told = Parts::default();
        for (index, piece) in tag.pieces.iter().enumerate() {
            if is_of_arguments(piece) {
                told.add(
                    index,
                    quote_spanned!(at=> ::cache_runtime::private::part(#parts, #next)),
                );
                next += 1;
            }
        }
        statements.extend(key::for_each_within(
            &Loops::default(),
            &tag.pieces,
            &told,
            &|key, _| quote_spanned!(at=> ::cache_runtime::private::Tags::push(#tags, #key);),
        ));
    }
    Some(quote_spanned! {at=>
        ::cache_runtime::private::with_tags(#shape, |#result, #parts, #tags| {
            let _ = #parts;
            #statements
        })
    })
}

fn is_of_arguments(piece: &KeyPiece) -> bool {
    matches!(piece, KeyPiece::Value(value) if !value.is_of_result())
}
