//! The annotated function: its signature parsed, its body left as raw tokens.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::visit::Visit;
use syn::{
    Attribute, FnArg, GenericParam, Ident, Pat, PatIdent, ReturnType, Signature, Token, Type,
    TypeReference, Visibility,
};

/// A function with its body unparsed: whatever the compiler accepts there, the macros pass on.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Option<Body>,
}

/// The body of a function.
pub(crate) struct Body {
    /// `#![…]` at its start: they belong to the function, and would be refused on an inner block.
    pub(crate) inner_attrs: Vec<Attribute>,
    /// The braces and the rest.
    pub(crate) block: Group,
}

/// A parameter and the names that it brings into the body.
pub(crate) struct Param<'f> {
    pub(crate) index: usize,
    pub(crate) typed: &'f syn::PatType,
    pub(crate) names: Vec<&'f Ident>,
    /// The same with how they are bound.
    pub(crate) bindings: Vec<&'f PatIdent>,
}

/// What the runtime hands in, in place of the caller.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum HandedIn {
    /// `#[context]`: a value that the cache was given.
    Context,
    /// `#[sequence]`: the number of the write.
    Sequence,
}

impl HandedIn {
    /// What the attribute marks, if it is one of those.
    pub(crate) fn of(attr: &Attribute) -> Option<Self> {
        let path = attr.path();
        if path.is_ident("context") {
            Some(Self::Context)
        } else if path.is_ident("sequence") {
            Some(Self::Sequence)
        } else {
            None
        }
    }
}

impl<'f> Param<'f> {
    /// What it is marked as.
    pub(crate) fn handed_in(&self) -> Option<HandedIn> {
        self.typed.attrs.iter().find_map(HandedIn::of)
    }

    /// Whether the parameter is one plain name rather than a pattern.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain().is_some()
    }

    /// The one plain name.
    pub(crate) fn plain(&self) -> Option<&'f PatIdent> {
        match &*self.typed.pat {
            Pat::Ident(pat) if pat.subpat.is_none() => Some(pat),
            _ => None,
        }
    }
}

impl Function {
    /// The parameters, without `self`.
    pub(crate) fn params(&self) -> Vec<Param<'_>> {
        self.sig
            .inputs
            .iter()
            .enumerate()
            .filter_map(|(index, input)| match input {
                FnArg::Typed(typed) => {
                    let bindings = bindings(&typed.pat);
                    Some(Param {
                        index,
                        typed,
                        names: bindings.iter().map(|pat| &pat.ident).collect(),
                        bindings,
                    })
                }
                FnArg::Receiver(_) => None,
            })
            .collect()
    }

    /// The `self` parameter.
    pub(crate) fn receiver(&self) -> Option<&syn::Receiver> {
        self.sig.receiver()
    }

    /// The return type as written, `()` if there is none.
    pub(crate) fn return_type(&self) -> TokenStream {
        match &self.sig.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, ty) => ty.to_token_stream(),
        }
    }

    /// The const generics.
    pub(crate) fn consts(&self) -> impl Iterator<Item = &Ident> {
        self.sig.generics.const_params().map(|param| &param.ident)
    }

    /// The body's tokens, without its braces.
    pub(crate) fn statements(&self) -> TokenStream {
        self.body
            .as_ref()
            .map(|body| body.block.stream())
            .unwrap_or_default()
    }

    /// The type parameters.
    pub(crate) fn types(&self) -> impl Iterator<Item = &Ident> {
        self.sig.generics.type_params().map(|param| &param.ident)
    }

    /// Whether the function can only be an associated function. One that has no receiver and never says `Self` cannot
    /// be told from a free function.
    pub(crate) fn is_associated(&self) -> bool {
        self.receiver().is_some()
            || mentions_self(self.sig.to_token_stream())
            || self
                .body
                .as_ref()
                .is_some_and(|body| mentions_self(body.block.stream()))
    }

    /// The function as the user wrote it, without the attributes that only the macros know. What the runtime hands in is no argument
    /// of its callers, after an error either.
    pub(crate) fn unchanged(&self) -> TokenStream {
        let sig = unmarked(&self.sig);
        let body = self.whole_body();
        let attrs = self.attrs.iter().filter(|attr| !is_cached(attr));
        let vis = &self.vis;
        if !self.can_be_reduced() {
            return quote!(#(#attrs)* #vis #sig #body);
        }
        let (name, called) = (&sig.ident, self.called());
        let mut own = sig.clone();
        own.ident = Ident::new("__cache_body", name.span());
        quote! {
            #(#attrs)*
            #[allow(unused_variables)]
            #vis #called {
                #[allow(dead_code)]
                #own #body
                ::cache_runtime::private::never()
            }
        }
    }

    /// The body with its braces, and `;` for none.
    pub(crate) fn whole_body(&self) -> TokenStream {
        let Some(Body { inner_attrs, block }) = &self.body else {
            return quote!(;);
        };
        let rest = block.stream();
        let mut whole = Group::new(
            proc_macro2::Delimiter::Brace,
            quote!(#(#inner_attrs)* #rest),
        );
        whole.set_span(block.span());
        whole.into_token_stream()
    }

    /// The signature as the function is called: without what the runtime hands in.
    pub(crate) fn called(&self) -> Signature {
        let mut sig = self.sig.clone();
        let inputs = std::mem::take(&mut sig.inputs).into_iter();
        let handed_in = |input: &FnArg| matches!(input, FnArg::Typed(typed) if typed.attrs.iter().any(|attr| HandedIn::of(attr).is_some()));
        sig.inputs = inputs.filter(|input| !handed_in(input)).collect();
        sig
    }

    /// Whether something is handed in, and the function can be put inside of one that takes the rest.
    fn can_be_reduced(&self) -> bool {
        self.params()
            .iter()
            .any(|param| param.handed_in().is_some())
            && self.body.is_some()
            && self.sig.generics.params.is_empty()
            && !self.is_associated()
            && !matches!(&self.sig.output, ReturnType::Type(_, ty) if has_impl_trait(ty))
    }
}

/// The signature without the marks of what the runtime hands in.
pub(crate) fn unmarked(sig: &Signature) -> Signature {
    let mut sig = sig.clone();
    for input in &mut sig.inputs {
        if let FnArg::Typed(typed) = input {
            typed.attrs.retain(|attr| HandedIn::of(attr).is_none());
        }
    }
    sig
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let sig = input.parse()?;
        let body = if input.peek(Token![;]) {
            input.parse::<Token![;]>()?;
            None
        } else {
            Some(body(&input.parse()?)?)
        };
        Ok(Self {
            attrs,
            vis,
            sig,
            body,
        })
    }
}

fn body(whole: &Group) -> syn::Result<Body> {
    let parser = |input: ParseStream<'_>| {
        Ok((
            Attribute::parse_inner(input)?,
            input.parse::<TokenStream>()?,
        ))
    };
    let (inner_attrs, rest) = parser.parse2(whole.stream())?;
    let mut block = Group::new(proc_macro2::Delimiter::Brace, rest);
    block.set_span(whole.span());
    Ok(Body { inner_attrs, block })
}

/// Whether the attribute is `#[cached]`, once more.
pub(crate) fn is_cached(attr: &Attribute) -> bool {
    let path = attr.path();
    let of_runtime = path.segments.len() == 2 && path.segments[0].ident == "cache_runtime";
    path.is_ident("cached") || of_runtime && path.segments[1].ident == "cached"
}

/// The token that says what an item is: the first after its attributes and visibility.
pub(crate) fn keyword(item: &TokenStream) -> Span {
    let parser = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        let keyword = input.span();
        input.parse::<TokenStream>()?;
        Ok(keyword)
    };
    parser
        .parse2(item.clone())
        .unwrap_or_else(|_| Span::call_site())
}

/// The variables that a pattern binds.
fn bindings(pat: &Pat) -> Vec<&PatIdent> {
    #[derive(Default)]
    struct Bindings<'p>(Vec<&'p PatIdent>);
    impl<'p> Visit<'p> for Bindings<'p> {
        fn visit_pat_ident(&mut self, pat: &'p PatIdent) {
            self.0.push(pat);
            syn::visit::visit_pat_ident(self, pat);
        }
    }
    let mut bindings = Bindings::default();
    bindings.visit_pat(pat);
    bindings.0
}

/// Whether `Self` occurs, other than in an `impl` or `trait` inside the body, which has a `Self` of its own.
fn mentions_self(tokens: TokenStream) -> bool {
    let mut own_self = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if ident == "Self" => return true,
            TokenTree::Ident(ident) if ident == "impl" || ident == "trait" => own_self = true,
            TokenTree::Group(group)
                if group.delimiter() == proc_macro2::Delimiter::Brace && own_self =>
            {
                own_self = false;
            }
            TokenTree::Group(group) if mentions_self(group.stream()) => return true,
            TokenTree::Punct(punct) if punct.as_char() == ';' => own_self = false,
            _ => {}
        }
    }
    false
}

/// The type without the parentheses and invisible groups around it.
pub(crate) fn bare(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            ty => return ty,
        };
    }
}

/// The reference that the type is, unless it is one for ever.
pub(crate) fn borrow(ty: &Type) -> Option<&TypeReference> {
    match bare(ty) {
        Type::Reference(reference) => Some(reference).filter(|reference| {
            let lifetime = reference.lifetime.as_ref();
            lifetime.is_none_or(|lifetime| lifetime.ident != "static")
        }),
        _ => None,
    }
}

/// Whether `impl Trait` occurs in the type.
pub(crate) fn has_impl_trait(ty: &Type) -> bool {
    find_impl_trait(ty).is_some()
}

/// The first `impl Trait` in the type.
pub(crate) fn find_impl_trait(ty: &Type) -> Option<&syn::TypeImplTrait> {
    #[derive(Default)]
    struct Find<'t>(Option<&'t syn::TypeImplTrait>);
    impl<'t> Visit<'t> for Find<'t> {
        fn visit_type_impl_trait(&mut self, ty: &'t syn::TypeImplTrait) {
            self.0.get_or_insert(ty);
        }
    }
    let mut find = Find::default();
    find.visit_type(ty);
    find.0
}

/// The name of a generic parameter, unless it is a lifetime.
pub(crate) fn generic_name(param: &GenericParam) -> Option<&Ident> {
    match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        GenericParam::Lifetime(_) => None,
    }
}

/// A name as templates write it, without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}
