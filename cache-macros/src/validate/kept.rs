//! Arguments of which the runtime keeps a copy, or that it makes by itself, because it runs the body when no caller is there.

use syn::Type;

use super::signature::find_borrow;
use crate::diagnostics::Diagnostics;
use crate::function::{Param, bare, find_impl_trait};

/// What is said of an argument that cannot be kept.
pub(super) struct Words {
    /// It is a pattern and no name.
    pub(super) pattern: &'static str,
    /// It is taken by `&mut`.
    pub(super) mutable: &'static str,
    /// It is a `&'static`.
    pub(super) forever: &'static str,
    /// Its type is an `impl Trait`.
    pub(super) unnamed: &'static str,
    /// It is behind `dyn`.
    pub(super) dynamic: &'static str,
    /// It borrows, other than by its own `&`.
    pub(super) borrow: &'static str,
}

/// Whether such an argument can be made again in another place and at another time.
pub(super) fn check(param: &Param<'_>, words: &Words, errors: &mut Diagnostics) {
    if !param.is_plain() {
        errors.on(&param.typed.pat, words.pattern);
    }
    let ty = bare(&param.typed.ty);
    let inner = match ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            errors.on(ty, words.mutable);
            return;
        }
        Type::Reference(reference) => {
            if reference
                .lifetime
                .as_ref()
                .is_some_and(|lifetime| lifetime.ident == "static")
            {
                errors.on(ty, words.forever);
                return;
            }
            bare(&reference.elem)
        }
        ty => ty,
    };
    if let Some(found) = find_impl_trait(inner) {
        errors.on(found, words.unnamed);
    } else if matches!(inner, Type::TraitObject(_)) {
        errors.on(ty, words.dynamic);
    } else if let Some(found) = find_borrow(inner) {
        errors.add(syn::Error::new_spanned(found, words.borrow));
    }
}
