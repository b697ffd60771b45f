//! What an annotation means, after validation: all that the expansion needs, and nothing to check any more.

use proc_macro2::{Span, TokenStream};
use syn::{Expr, Ident, LitStr};

use crate::template::Field;

/// A valid `#[cached(…)]`.
pub(crate) struct Cached {
    pub(crate) key: KeyModel,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) stampede: Stampede,
    pub(crate) consistency: Consistency,
    pub(crate) codec: Option<Codec>,
    pub(crate) schema: u32,
    pub(crate) cache: Option<Expr>,
    pub(crate) companion: bool,
}

/// A valid `#[invalidates(…)]`.
pub(crate) struct Invalidates {
    pub(crate) templates: Vec<LitStr>,
    /// One for each template.
    pub(crate) keys: Vec<Vec<KeyPiece>>,
    pub(crate) only_ok: bool,
    pub(crate) consistency: Consistency,
    pub(crate) cache: Option<Expr>,
}

/// How the key of a cached function is made.
pub(crate) enum KeyModel {
    /// By a template.
    Template {
        literal: LitStr,
        pieces: Vec<KeyPiece>,
    },
    /// From the function's path and its arguments.
    Default { pieces: Vec<KeyPiece> },
}

impl KeyModel {
    /// What is written after the prefix, if there is one.
    pub(crate) fn pieces(&self) -> &[KeyPiece] {
        match self {
            Self::Template { pieces, .. } | Self::Default { pieces } => pieces,
        }
    }
}

/// A piece of a key.
pub(crate) enum KeyPiece {
    /// Literal text.
    Text(String),
    /// A value of the call.
    Value(Value),
    /// The name of a type parameter's type.
    TypeName(Ident),
    /// The name of the type of an `impl Trait` argument.
    TypeNameOf(Ident),
    /// The name of `Self`.
    SelfName,
    /// The types that an `impl` around the function is generic over, where no `Self` can be named: a free function has none.
    Surroundings,
}

/// A value of the call: where it comes from and how to reach it.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) root: Root,
    pub(crate) fields: Vec<Field>,
    /// One key for each element of the collection that is reached after so many fields.
    pub(crate) each_after: Option<usize>,
    /// From the first to the last token to underline if the value cannot be part of a key.
    pub(crate) blame: (Span, Span),
}

/// Where a value comes from.
#[derive(Clone)]
pub(crate) enum Root {
    /// A name that a parameter binds. `index` counts parameters, `self` included.
    Param { ident: Ident, index: usize },
    /// `self`, as the receiver's own token so that it resolves.
    Receiver(Ident),
    /// A const generic.
    Const(Ident),
    /// The value inside the result, in writers.
    Return,
}

/// As in `cache_runtime::Stampede`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Stampede {
    Lock,
    None,
}

/// As in `cache_runtime::Consistency`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Consistency {
    Eventual,
    Fenced,
    Strict,
}

impl Consistency {
    /// The setter's argument; `None` for the default.
    pub(crate) fn variant(self) -> Option<TokenStream> {
        match self {
            Self::Eventual => Some(quote::quote!(Eventual)),
            Self::Fenced => None,
            Self::Strict => Some(quote::quote!(Strict)),
        }
    }
}

/// As in `cache_runtime::CodecKind`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Codec {
    Bincode,
    Postcard,
    MsgPack,
    Json,
}

impl Codec {
    /// The name of the runtime's variant.
    pub(crate) fn variant(self) -> TokenStream {
        match self {
            Self::Bincode => quote::quote!(Bincode),
            Self::Postcard => quote::quote!(Postcard),
            Self::MsgPack => quote::quote!(MsgPack),
            Self::Json => quote::quote!(Json),
        }
    }
}
