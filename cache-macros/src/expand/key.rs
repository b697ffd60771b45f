//! The code that writes keys.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Index;

use super::{local, shown_at};
use crate::function::Function;
use crate::model::{Cached, KeyModel, KeyPiece, Root, Value};
use crate::template::Field;

/// An expression of type `Key`: the key of a cached function.
pub(super) fn of_loader(model: &Cached, function: &Function) -> TokenStream {
    let (writer, writes) = written_by_loader(model, function);
    quote_spanned! {Span::mixed_site()=> {
        #writes
        ::cache_runtime::private::KeyWriter::finish(#writer)
    }}
}

/// The writer of the loader's key, and the statements that make it and write the key. A call borrows the key from its
/// writer: the runtime's hit path must not move what was written a moment ago.
pub(super) fn written_by_loader(model: &Cached, function: &Function) -> (Ident, TokenStream) {
    let prefix = matches!(model.key, KeyModel::Default { .. }).then(|| prefix(model, function));
    writes(prefix, model.key.pieces(), &|_, _| None)
}

/// The path of the function, as the name of a type that is declared where the function is. Unlike `module_path!` it tells
/// apart functions inside of function bodies and methods of one name.
fn prefix(model: &Cached, function: &Function) -> TokenStream {
    let here = Span::mixed_site();
    if model.companion {
        let name = super::companion::name(function);
        return quote_spanned!(here=> ::core::any::type_name::<#name>());
    }
    let mut marker = function.sig.ident.clone();
    marker.set_span(here.located_at(marker.span()));
    quote_spanned! {here=> {
        #[allow(non_camel_case_types)]
        struct #marker;
        ::core::any::type_name::<#marker>()
    }}
}

/// Statements that push the keys of one template of a writer onto `keys`, an expression of type `&mut Keys`.
pub(super) fn push(
    pieces: &[KeyPiece],
    keys: &TokenStream,
    kind: Pushed,
    parts: &Parts,
) -> TokenStream {
    let here = Span::mixed_site();
    for_each(pieces, parts, &|key, _| match kind {
        Pushed::Key => quote_spanned!(here=> ::cache_runtime::private::Keys::push(#keys, #key);),
        Pushed::Tag => {
            quote_spanned!(here=> ::cache_runtime::private::Keys::push_tag(#keys, #key);)
        }
    })
}

/// What a writer's template names.
#[derive(Clone, Copy)]
pub(super) enum Pushed {
    Key,
    Tag,
}

/// An expression of type `Key`: the key of a writer that is told from its result, when the body has run.
pub(super) fn after_body(pieces: &[KeyPiece], parts: &Parts) -> TokenStream {
    key(None, pieces, &|index, _| parts.written(index))
}

/// An expression of a number: the version that a writer's row has.
pub(super) fn version(value: &Value) -> TokenStream {
    let at = Span::mixed_site().located_at(value.blame.1);
    let value = reference(value, None);
    quote_spanned!(at=> ::cache_runtime::private::RowVersion::row_version(#value))
}

/// Statements that do something with each key of a batch loader, and with the element that it is of.
pub(super) fn of_elements(
    model: &Cached,
    with: &dyn Fn(&TokenStream, &TokenStream) -> TokenStream,
) -> TokenStream {
    for_each(model.key.pieces(), &Parts::default(), with)
}

/// Runs the statement for each key of the template, and with each element of its collections, or none.
fn for_each(
    pieces: &[KeyPiece],
    parts: &Parts,
    with: &dyn Fn(&TokenStream, &TokenStream) -> TokenStream,
) -> TokenStream {
    for_each_within(&Loops::default(), pieces, parts, with)
}

/// The same inside of a walk over other collections.
pub(super) fn for_each_within(
    outer: &Loops,
    pieces: &[KeyPiece],
    parts: &Parts,
    with: &dyn Fn(&TokenStream, &TokenStream) -> TokenStream,
) -> TokenStream {
    let here = Span::mixed_site();
    let loops = Loops::within(outer, pieces);
    let key = key(None, pieces, &|index, value| {
        parts.written(index).or_else(|| {
            let element = outer.element(value).or_else(|| loops.element(value))?;
            Some(Written::Value(element))
        })
    });
    let elements = loops.0.iter().map(|(element, _)| element);
    let mut statements = with(&key, &quote!(#(#elements),*));
    for (element, collection) in loops.0.iter().rev() {
        // All in one place, so that the compiler says once what it has against the collection.
        let at = here.located_at(collection.blame.1);
        let and = quote_spanned!(at=> &);
        let collection = place(collection, None);
        statements = quote_spanned! {at=>
            for #element in ::cache_runtime::private::KeyElements::elements(#and #collection) { #statements }
        };
    }
    statements
}

/// What the arguments contribute to a template that also reads the result: written before the body takes the arguments.
#[derive(Default)]
pub(super) struct Parts(Vec<(usize, TokenStream)>);

impl Parts {
    /// The statements that write them.
    pub(super) fn before_body(pieces: &[KeyPiece], template: usize) -> (Self, TokenStream) {
        let here = Span::mixed_site();
        let mut parts = Self::default();
        let mut statements = TokenStream::new();
        for (index, piece) in pieces.iter().enumerate() {
            if matches!(piece, KeyPiece::Value(value) if !matches!(value.root, Root::Return)) {
                let part = local(&format!("__cache_part_{template}_{index}"));
                let written = key(None, std::slice::from_ref(piece), &|_, _| None);
                statements.extend(quote_spanned!(here=> let #part = #written;));
                parts.add(
                    index,
                    quote_spanned!(here=> ::cache_runtime::private::Key::as_str(&#part)),
                );
            }
        }
        (parts, statements)
    }

    /// What was written of a piece is to be had by this expression, of type `&str`.
    pub(super) fn add(&mut self, index: usize, written: TokenStream) {
        self.0.push((index, written));
    }

    /// What was written of a piece.
    fn written(&self, index: usize) -> Option<Written> {
        let (_, part) = self.0.iter().find(|(at, _)| *at == index)?;
        Some(Written::Already(part.clone()))
    }
}

/// The collections that a template walks over; `<ids[].a>:<ids[].b>` walks over one.
#[derive(Default)]
pub(super) struct Loops(Vec<(Ident, Value)>);

impl Loops {
    /// Those of the key of a batch loader.
    pub(super) fn of_key(model: &Cached) -> Self {
        Self::within(&Self::default(), model.key.pieces())
    }

    fn within(outer: &Self, pieces: &[KeyPiece]) -> Self {
        let mut loops: Vec<(Ident, Value)> = Vec::new();
        for piece in pieces {
            let KeyPiece::Value(value) = piece else {
                continue;
            };
            let Some(collection) = collection(value) else {
                continue;
            };
            let all = outer.0.iter().chain(&loops);
            if !all.clone().any(|(_, known)| same(known, &collection)) {
                let element = local(&format!("__cache_element_{}", all.count()));
                loops.push((element, collection));
            }
        }
        Self(loops)
    }

    /// The element's part of a placeholder, as a reference.
    fn element(&self, value: &Value) -> Option<TokenStream> {
        let collection = collection(value)?;
        let (element, _) = self.0.iter().find(|(_, known)| same(known, &collection))?;
        let rest = &value.fields[collection.fields.len()..];
        if rest.is_empty() {
            // Already a reference.
            return Some(shown_at(element, value.blame.1).to_token_stream());
        }
        let element = Value {
            root: value.root.clone(),
            fields: rest.to_vec(),
            each_after: None,
            blame: value.blame,
        };
        Some(reference(&element, self.element_ident(&collection)))
    }

    fn element_ident(&self, collection: &Value) -> Option<&Ident> {
        self.0
            .iter()
            .find(|(_, known)| same(known, collection))
            .map(|(element, _)| element)
    }
}

fn collection(value: &Value) -> Option<Value> {
    let fields = value.fields[..value.each_after?].to_vec();
    Some(Value {
        root: value.root.clone(),
        fields,
        each_after: None,
        blame: value.blame,
    })
}

fn same(a: &Value, b: &Value) -> bool {
    let root = |value: &Value| match &value.root {
        Root::Param { ident, .. } | Root::Receiver(ident) | Root::Const(ident) => {
            Some(ident.clone())
        }
        Root::Return => None,
    };
    root(a) == root(b) && a.fields == b.fields
}

/// How a value is written, if not straight from where it comes.
enum Written {
    /// A reference to a value.
    Value(TokenStream),
    /// Text that is escaped already.
    Already(TokenStream),
}

/// An expression of type `Key`. `instead` may give another source for the value of a piece.
fn key(
    prefix: Option<TokenStream>,
    pieces: &[KeyPiece],
    instead: &dyn Fn(usize, &Value) -> Option<Written>,
) -> TokenStream {
    let (writer, writes) = writes(prefix, pieces, instead);
    quote_spanned! {Span::mixed_site()=> {
        #writes
        ::cache_runtime::private::KeyWriter::finish(#writer)
    }}
}

fn writes(
    prefix: Option<TokenStream>,
    pieces: &[KeyPiece],
    instead: &dyn Fn(usize, &Value) -> Option<Written>,
) -> (Ident, TokenStream) {
    let here = Span::mixed_site();
    let writer = local("__cache_key");
    let path = quote_spanned!(here=> ::cache_runtime::private::KeyWriter);
    let prefix = prefix.map(|prefix| quote_spanned!(here=> #path::literal(&mut #writer, #prefix);));
    let writes = pieces.iter().enumerate().map(|(index, piece)| match piece {
        KeyPiece::Text(text) => quote_spanned!(here=> #path::literal(&mut #writer, #text);),
        KeyPiece::TypeName(ty) => {
            quote_spanned!(here=> #path::text(&mut #writer, ::core::any::type_name::<#ty>());)
        }
        KeyPiece::TypeNameOf(arg) => {
            quote_spanned!(here=> #path::text(&mut #writer, ::core::any::type_name_of_val(&#arg));)
        }
        KeyPiece::SelfName => {
            quote_spanned!(here=> #path::text(&mut #writer, ::core::any::type_name::<Self>());)
        }
        KeyPiece::Surroundings => {
            // The type of a closure names all that the function around it is generic over.
            quote_spanned!(here=> #path::text(&mut #writer, ::core::any::type_name_of_val(&|| {}));)
        }
        KeyPiece::Value(value) => match instead(index, value) {
            Some(Written::Already(text)) => {
                quote_spanned!(here=> #path::literal(&mut #writer, #text);)
            }
            Some(Written::Value(value)) => {
                quote_spanned!(here=> #path::part(&mut #writer, #value);)
            }
            None => {
                let value = reference(value, None);
                quote_spanned!(here=> #path::part(&mut #writer, #value);)
            }
        },
    });
    let statements = quote_spanned! {here=>
        let mut #writer = #path::new();
        #prefix
        #(#writes)*
    };
    (writer, statements)
}

/// `&root.field.0`, each token where it is to be blamed. `root` may be replaced.
fn reference(value: &Value, root: Option<&Ident>) -> TokenStream {
    let place = place(value, root);
    if matches!(value.root, Root::Return) && root.is_none() && value.fields.is_empty() {
        // The result is handed in by reference.
        return place;
    }
    // Both ends of the expression are of one hygiene, else the compiler underlines only one of them.
    let hygiene = place
        .clone()
        .into_iter()
        .next()
        .map_or_else(Span::mixed_site, |root| root.span());
    let and = quote_spanned!(value.blame.0.resolved_at(hygiene)=> &);
    quote!(#and #place)
}

/// `root.field.0`.
fn place(value: &Value, root: Option<&Ident>) -> TokenStream {
    let last = value.blame.1;
    let ident = match (&value.root, root) {
        (_, Some(ident)) => ident.clone(),
        (Root::Param { ident, .. } | Root::Receiver(ident) | Root::Const(ident), None) => {
            ident.clone()
        }
        (Root::Return, None) => local("__cache_result"),
    };
    let ident = shown_at(&ident, last);
    // A field is of the macro's hygiene: else the compiler would offer to replace the whole template by a field of a similar name.
    let last = Span::mixed_site().located_at(last);
    let fields = value.fields.iter().map(|field| match field {
        Field::Index(index) => {
            let index = Index {
                index: *index,
                span: last,
            };
            quote_spanned!(last=> .#index)
        }
        Field::Named(name) => {
            let keyword = syn::parse_str::<Ident>(name).is_err();
            let field = if keyword {
                Ident::new_raw(name, last)
            } else {
                Ident::new(name, last)
            };
            quote_spanned!(last=> .#field)
        }
    });
    quote!(#ident #(#fields)*)
}
