//! Tags: `tags = ["org:<org>"]` of what is cached, `tags("org:<org>")` of what is invalidated.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, LitStr, Token};

use super::names::{Names, Reader};
use crate::args::{Arg, Value};
use crate::diagnostics::Diagnostics;
use crate::function::Function;
use crate::model::{KeyPiece, Tag};
use crate::template::Template;

/// The tags of what a function caches.
pub(super) fn of_cached(
    arg: &Arg,
    function: &Function,
    reader: Reader,
    errors: &mut Diagnostics,
) -> Vec<Tag> {
    let Value::Expr(Expr::Array(list)) = &arg.value else {
        errors.on(
            arg.value_tokens(),
            "`tags` takes a list of templates, as in `tags = [\"org:<org_id>\"]`",
        );
        return Vec::new();
    };
    let mut literals = Vec::new();
    for element in &list.elems {
        match literal(element) {
            Some(template) => literals.push(template.clone()),
            None => errors.on(element, NOT_A_TEMPLATE),
        }
    }
    if list.elems.is_empty() {
        errors.on(list, "`tags` names no tag");
    }
    tags(&literals, function, reader, errors)
}

/// The tags that a writer invalidates.
pub(super) fn of_writer(arg: &Arg, function: &Function, errors: &mut Diagnostics) -> Vec<Tag> {
    const HELP: &str =
        "`tags` takes templates in parentheses, as in `#[invalidates(tags(\"org:<org>\"))]`";
    let Value::List(list) = &arg.value else {
        errors.on(arg.value_tokens(), HELP);
        return Vec::new();
    };
    if list.is_empty() {
        errors.on(&arg.name, "`tags` names no tag");
    }
    match templates(list.clone()) {
        Ok(literals) => tags(&literals, function, Reader::Invalidates, errors),
        Err(error) => {
            errors.add(error);
            Vec::new()
        }
    }
}

const NOT_A_TEMPLATE: &str = "expected a template in quotes, as in `\"org:<org_id>\"`";

fn literal(element: &Expr) -> Option<&LitStr> {
    match element {
        // A literal that a `macro_rules` macro hands on comes in a group without delimiters.
        Expr::Group(group) => literal(&group.expr),
        Expr::Lit(ExprLit {
            lit: Lit::Str(template),
            ..
        }) => Some(template),
        _ => None,
    }
}

fn templates(list: TokenStream) -> syn::Result<Vec<LitStr>> {
    let elements = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(list)?;
    let found = elements.iter().map(|element| {
        let wrong = || syn::Error::new_spanned(element, NOT_A_TEMPLATE);
        literal(element).cloned().ok_or_else(wrong)
    });
    found.collect()
}

fn tags(
    literals: &[LitStr],
    function: &Function,
    reader: Reader,
    errors: &mut Diagnostics,
) -> Vec<Tag> {
    let names = Names::of(function, reader);
    let mut seen: Vec<String> = Vec::new();
    let mut tags = Vec::new();
    for literal in literals {
        if seen.contains(&literal.value()) {
            errors.on(literal, "this tag is given twice");
            continue;
        }
        seen.push(literal.value());
        let pieces =
            Template::parse(literal, errors).and_then(|template| names.resolve(&template, errors));
        let Some(pieces) = pieces else { continue };
        if mixes_result_and_elements(&pieces) {
            errors.on(literal.to_token_stream(), MIXED);
            continue;
        }
        tags.push(Tag {
            literal: literal.clone(),
            pieces,
        });
    }
    tags
}

/// What is said of a template that walks over an argument when there is a result.
pub(super) const MIXED: &str = "`<return…>` and the elements of an argument cannot stand in one template: the argument is gone when the \
     result is there; return what the keys need, and walk over `<return…[]>`";

/// Whether the template needs the elements of an argument when there is a result.
pub(super) fn mixes_result_and_elements(pieces: &[KeyPiece]) -> bool {
    let walks_argument = |piece: &KeyPiece| matches!(piece, KeyPiece::Value(value) if value.each_after.is_some() && !value.is_of_result());
    pieces.iter().any(KeyPiece::reads_result) && pieces.iter().any(walks_argument)
}
