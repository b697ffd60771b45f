//! A body that the runtime runs by itself: apart from its calls, with the contexts that the cache hands in and with arguments of its own.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, Index, Meta, Pat, Path, Signature, Token, Type};

use super::key::Loops;
use super::{behind_reference, copy_of, local, local_at, owned_type, shown_at, tags, type_span};
use crate::function::{Function, HandedIn, Param, bare, unmarked};
use crate::model::Cached;

/// The struct that the body is a function of: so the body can have its own name, and what it calls by that name is the function
/// that its callers see.
const BODY: &str = "__CacheBody";

/// A function whose body stands apart.
pub(super) struct Apart<'f> {
    pub(super) function: &'f Function,
    pub(super) params: Vec<Param<'f>>,
}

impl<'f> Apart<'f> {
    pub(super) fn of(function: &'f Function) -> Self {
        Self {
            function,
            params: function.params(),
        }
    }

    /// The function as its callers see it, with these statements. All else of it is among them: nothing is seen from outside.
    pub(super) fn called(&self, at: Span, statements: &TokenStream) -> TokenStream {
        let attrs = self.function.attrs.iter().filter(|attr| is_of_call(attr));
        let vis = &self.function.vis;
        let sig = called(self.function);
        quote_spanned! {at=>
            #(#attrs)*
            #vis #sig { #statements }
        }
    }

    /// The user's function as it was, as an associated function. An argument in the key has a use even if the body has none for it.
    pub(super) fn body(&self, is_in_key: impl Fn(&Param<'_>) -> bool) -> TokenStream {
        let here = Span::mixed_site();
        let owner = owner(here);
        let attrs = self.function.attrs.iter().filter(|attr| !is_of_call(attr));
        let mut sig = unmarked(&self.function.sig);
        for param in self.params.iter().filter(|param| is_in_key(param)) {
            if let Some(FnArg::Typed(typed)) = sig.inputs.iter_mut().nth(param.index) {
                typed
                    .attrs
                    .push(syn::parse_quote_spanned!(here=> #[allow(unused_variables)]));
            }
        }
        let body = self.function.whole_body();
        quote_spanned! {here=>
            struct #owner;
            impl #owner {
                #(#attrs)*
                #sig #body
            }
        }
    }

    /// The parameters that the caller passes.
    pub(super) fn arguments(&self) -> impl Iterator<Item = &Param<'_>> {
        self.params
            .iter()
            .filter(|param| param.handed_in().is_none())
    }

    pub(super) fn contexts(&self) -> impl Iterator<Item = &Param<'_>> {
        self.params
            .iter()
            .filter(|param| param.handed_in() == Some(HandedIn::Context))
    }

    /// The type of the arguments as the runtime keeps them.
    pub(super) fn arguments_type(&self) -> TokenStream {
        joined(self.arguments().map(|param| owned_type(&param.typed.ty)))
    }

    /// What is kept of the arguments of a call.
    pub(super) fn kept(&self) -> TokenStream {
        joined(self.arguments().map(kept))
    }

    /// The place of an argument among all that are kept.
    pub(super) fn part(&self, whole: &Ident, param: usize) -> TokenStream {
        let position = self.arguments().position(|kept| kept.index == param);
        if self.arguments().count() == 1 {
            return whole.to_token_stream();
        }
        let index = Index::from(position.unwrap_or_default());
        quote_spanned!(whole.span()=> #whole.#index)
    }

    /// The tags of what the cache keeps, told from the arguments that are kept under their own names. `arguments` is a reference to them.
    pub(super) fn known(&self, arguments: &Ident, model: &Cached) -> TokenStream {
        let here = Span::mixed_site();
        let known = tags::known(model, &Loops::default());
        let used = self.arguments().filter(|param| {
            let mut pieces = model.tags.iter().flat_map(|tag| &tag.pieces);
            pieces.any(|piece| piece.is_of_param(param.index))
        });
        let names = used.filter_map(|param| {
            let name = &param.plain()?.ident;
            let part = self.part(arguments, param.index);
            let part = if self.arguments().count() == 1 {
                part
            } else {
                quote_spanned!(here=> &#part)
            };
            Some(quote_spanned!(here=> let #name = #part;))
        });
        quote_spanned!(here=> { #(#names)* #known })
    }

    /// A closure that tells the first context that is not there.
    pub(super) fn needs(&self) -> TokenStream {
        let here = Span::mixed_site();
        let [contexts, missing] = ["__cache_contexts", "__cache_missing"].map(local);
        let asked = self.contexts().map(|param| {
            let ty = behind_reference(&param.typed.ty);
            let at = type_span(ty);
            quote_spanned! {at=>
                let #missing = ::core::option::Option::or(
                    #missing, ::cache_runtime::private::missing::<#ty>(#contexts),
                );
            }
        });
        quote_spanned! {here=>
            |#contexts| {
                let #missing = ::core::option::Option::None;
                #(#asked)*
                #missing
            }
        }
    }

    /// Statements that take the contexts.
    pub(super) fn handed_in(&self, contexts: &Ident) -> TokenStream {
        self.contexts()
            .map(|param| {
                let ty = behind_reference(&param.typed.ty);
                let at = type_span(ty);
                let (name, contexts) = (context_name(param), shown_at(contexts, at));
                quote_spanned!(at=> let #name = ::cache_runtime::private::handed_in::<#ty>(&#contexts);)
            })
            .collect()
    }

    /// An expression that runs the body, after the statements that take its contexts and its arguments. `sequence` is the number of a write.
    pub(super) fn run(
        &self,
        at: Span,
        contexts: &Ident,
        arguments: &Ident,
        sequence: Option<&Ident>,
    ) -> (TokenStream, TokenStream) {
        let handed_in = self.handed_in(contexts);
        let names = joined(
            self.arguments()
                .map(|param| owned_name(param).to_token_stream()),
        );
        let passed = self.params.iter().map(|param| match param.handed_in() {
            Some(HandedIn::Context) => passed_context(param),
            Some(HandedIn::Sequence) => {
                let at = type_span(&param.typed.ty);
                let sequence = sequence.map(|sequence| shown_at(sequence, at));
                let ty = &param.typed.ty;
                quote_spanned!(at=> <#ty as ::cache_runtime::private::FromSequence>::from_sequence(#sequence))
            }
            None => passed_argument(param),
        });
        let owner = owner(at);
        let name = &self.function.sig.ident;
        (
            quote_spanned! {at=>
                #handed_in
                let #names = #arguments;
            },
            quote_spanned!(at=> #owner::#name(#(#passed),*).await),
        )
    }
}

fn owner(at: Span) -> Ident {
    Ident::new(BODY, Span::mixed_site().located_at(at))
}

/// Whether an attribute is about calling the function. The others are about its body, and stay with it.
fn is_of_call(attr: &Attribute) -> bool {
    if !attr.path().is_ident("cfg_attr") {
        return is_about_calls(attr.path());
    }
    // It goes where the attributes go that it stands for.
    let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
    attr.parse_args_with(parser)
        .is_ok_and(|parts| parts.iter().skip(1).all(|meta| is_about_calls(meta.path())))
}

fn is_about_calls(path: &Path) -> bool {
    const NAMES: [&str; 9] = [
        "doc",
        "deprecated",
        "must_use",
        "cfg",
        "allow",
        "expect",
        "warn",
        "deny",
        "forbid",
    ];
    NAMES.iter().any(|name| path.is_ident(name))
}

/// The signature for callers. What the body binds as `mut` is not changed out here.
fn called(function: &Function) -> Signature {
    let mut sig = function.called();
    for input in &mut sig.inputs {
        if let FnArg::Typed(typed) = input
            && let Pat::Ident(pat) = &mut *typed.pat
        {
            pat.mutability = None;
        }
    }
    sig
}

/// What is kept of an argument of the call.
fn kept(param: &Param<'_>) -> TokenStream {
    let at = type_span(behind_reference(&param.typed.ty));
    let Some(pat) = param.plain() else {
        return TokenStream::new();
    };
    let name = shown_at(&pat.ident, at);
    match bare(&param.typed.ty) {
        Type::Reference(_) => copy_of(&name.into_token_stream(), at),
        _ => name.into_token_stream(),
    }
}

pub(super) fn context_name(param: &Param<'_>) -> Ident {
    local_at(
        &format!("__cache_context_{}", param.index),
        type_span(behind_reference(&param.typed.ty)),
    )
}

fn owned_name(param: &Param<'_>) -> Ident {
    local_at(
        &format!("__cache_argument_{}", param.index),
        type_span(behind_reference(&param.typed.ty)),
    )
}

fn passed_context(param: &Param<'_>) -> TokenStream {
    let context = context_name(param);
    let at = context.span();
    match bare(&param.typed.ty) {
        Type::Reference(_) => quote_spanned!(at=> &*#context),
        _ => quote_spanned!(at=> ::cache_runtime::private::Shared::share(&*#context)),
    }
}

fn passed_argument(param: &Param<'_>) -> TokenStream {
    let owned = owned_name(param);
    let at = owned.span();
    match bare(&param.typed.ty) {
        Type::Reference(_) => quote_spanned!(at=> ::cache_runtime::private::lend(&#owned)),
        _ => owned.into_token_stream(),
    }
}

/// One part as it is, or several as a tuple.
pub(super) fn joined(parts: impl Iterator<Item = TokenStream>) -> TokenStream {
    let parts: Vec<_> = parts.collect();
    match &parts[..] {
        [only] => only.clone(),
        parts => quote_spanned!(Span::mixed_site()=> (#(#parts),*)),
    }
}
