//! What the cache hands in: to a writer whose body runs later, and to a loader that the cache runs by itself.

use syn::Type;

use super::arguments::Given;
use super::signature::find_borrow;
use crate::body::mentions;
use crate::diagnostics::Diagnostics;
use crate::function::{HandedIn, Param, bare, find_impl_trait, plain};

/// The marks of the parameters. `runs` names what the cache runs: writes or loads.
pub(super) fn check(given: &Given<'_>, params: &[Param<'_>], runs: &str, errors: &mut Diagnostics) {
    let mut numbered = false;
    for param in params {
        let marks = param
            .typed
            .attrs
            .iter()
            .filter_map(|attr| Some((attr, HandedIn::of(attr)?)));
        for (index, (attr, mark)) in marks.enumerate() {
            if attr.meta.require_path_only().is_err() {
                let name = attr.path().get_ident().map(plain).unwrap_or_default();
                errors.on(&attr.meta, format!("`#[{name}]` takes no arguments"));
            } else if index > 0 {
                errors.on(
                    attr,
                    "an argument is handed in once: as the context or as the sequence number",
                );
            } else if mark == HandedIn::Context {
                check_context(&param.typed.ty, runs, errors);
            } else if std::mem::replace(&mut numbered, true) {
                errors.on(
                    attr,
                    "a write has one sequence number, and an argument before this one has it",
                );
            }
        }
        let chosen = given.get("cache").map(crate::args::Arg::value_tokens);
        if let (Some(tokens), Some(_)) = (chosen, param.handed_in())
            && let Some(name) = param
                .names
                .iter()
                .find(|name| mentions(tokens.clone(), name))
        {
            errors.on(
                tokens,
                format!(
                    "`{}` is handed in by the cache, which is chosen before",
                    plain(name)
                ),
            );
        }
    }
}

/// A context is found by its type.
fn check_context(ty: &Type, runs: &str, errors: &mut Diagnostics) {
    let whole = bare(ty);
    let inner = match whole {
        Type::Reference(reference) if reference.mutability.is_some() => {
            errors.on(
                whole,
                format!("a context is shared by all {runs} and cannot be taken by `&mut`; take it by `&`"),
            );
            return;
        }
        Type::Reference(reference) => bare(&reference.elem),
        ty => ty,
    };
    let is_str = matches!(inner, Type::Path(path) if path.path.is_ident("str"));
    if let Some(found) = find_impl_trait(inner) {
        errors.on(
            found,
            "a context is found by its type; name the type that was provided",
        );
    } else if matches!(inner, Type::TraitObject(_) | Type::Slice(_)) || is_str {
        errors.on(
            whole,
            "a context is found by its type, which has to have a size; provide an `Arc` of it, and take `&Arc<…>`",
        );
    } else if let Some(found) = find_borrow(inner) {
        errors.add(syn::Error::new_spanned(
            found,
            "a context is kept by the cache and cannot borrow; provide an owned type, or an `Arc`",
        ));
    }
}
