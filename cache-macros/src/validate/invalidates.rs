//! `#[invalidates(…)]`: its templates, and what they exclude.

use proc_macro2::Span;
use syn::LitStr;

use super::arguments::{Given, INVALIDATES};
use super::names::{Names, Reader};
use super::tags::{self, MIXED, mixes_result_and_elements};
use super::{signature, values};
use crate::args::Listed;
use crate::diagnostics::Diagnostics;
use crate::function::Function;
use crate::model::{Consistency, Invalidates, KeyPiece};
use crate::template::Template;

/// Validates `#[invalidates(…)]`.
pub(crate) fn invalidates(
    listed: &Listed,
    function: &Function,
    errors: &mut Diagnostics,
) -> Option<Invalidates> {
    let given = Given::check("#[invalidates]", &listed.args, &INVALIDATES, errors);
    signature::check_writer(function, errors);
    let only_ok = given
        .get("when")
        .is_some_and(|arg| values::when_ok(arg, errors));
    let consistency = values::consistency(given.get("consistency"), errors);
    let cache = given
        .get("cache")
        .and_then(|arg| values::expression(arg, errors));
    let tags = given.get("tags");
    if listed.templates.is_empty()
        && tags.is_none()
        && listed
            .args
            .iter()
            .all(|arg| INVALIDATES.contains(&arg.name.to_string().as_str()))
    {
        errors.at(Span::call_site(), "`#[invalidates]` needs the key of what it invalidates, as in `#[invalidates(\"user:<id>\")]`");
    }
    if let (Some(arg), Consistency::Strict) = (tags, consistency) {
        errors.on(
            &arg.name,
            "`tags` and `consistency = \"strict\"` exclude each other: a strict write announces its keys before its body runs, and \
             whose a tag is nobody knows; name the keys, or use `\"fenced\"`",
        );
    }
    let tags = tags.map(|arg| tags::of_writer(arg, function, errors));
    let keys = keys(&listed.templates, function, errors);
    if consistency == Consistency::Strict {
        check_strict(&given, &listed.templates, &keys, errors);
    }
    let keys = keys.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Invalidates {
        templates: listed.templates.clone(),
        keys,
        tags: tags.unwrap_or_default(),
        only_ok,
        consistency,
        cache,
    })
}

fn keys(
    templates: &[LitStr],
    function: &Function,
    errors: &mut Diagnostics,
) -> Vec<Option<Vec<KeyPiece>>> {
    let names = Names::of(function, Reader::Invalidates);
    let mut seen: Vec<String> = Vec::new();
    let mut keys = Vec::new();
    for literal in templates {
        if seen.contains(&literal.value()) {
            errors.on(literal, "this template is given twice");
        }
        seen.push(literal.value());
        let pieces =
            Template::parse(literal, errors).and_then(|template| names.resolve(&template, errors));
        if pieces.as_deref().is_some_and(mixes_result_and_elements) {
            errors.on(literal, MIXED);
        }
        keys.push(pieces);
    }
    keys
}

/// A strict write tells readers of its keys before the body runs, and therefore whatever the body returns.
fn check_strict(
    given: &Given<'_>,
    templates: &[LitStr],
    keys: &[Option<Vec<KeyPiece>>],
    errors: &mut Diagnostics,
) {
    if let Some(when) = given.get("when") {
        errors.on(
            &when.name,
            "`when` and `consistency = \"strict\"` exclude each other: a strict write removes the entry before its body \
             runs, whatever comes of it",
        );
    }
    for (literal, pieces) in templates.iter().zip(keys) {
        if pieces.iter().flatten().any(KeyPiece::reads_result) {
            errors.on(
                literal,
                "`<return…>` and `consistency = \"strict\"` exclude each other: a strict write announces its keys before its \
                 body runs, when there is no result to read; use `\"fenced\"`, or take what is needed as an argument",
            );
        }
    }
}
