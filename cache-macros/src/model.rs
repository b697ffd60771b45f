//! What an annotation means, after validation: all that the expansion needs, and nothing to check any more.

use proc_macro2::{Span, TokenStream};
use syn::{Expr, ExprPath, Ident, LitStr};

use crate::template::Field;

/// A valid `#[cached(…)]`.
pub(crate) struct Cached {
    pub(crate) key: KeyModel,
    pub(crate) timing: Timing,
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
    /// The argument of which each element has a key of its own: its name, and its index among the parameters.
    pub(crate) fn each(&self) -> Option<(&Ident, usize)> {
        self.pieces().iter().find_map(|piece| match piece {
            KeyPiece::Value(Value {
                root: Root::Param { ident, index },
                each_after: Some(_),
                ..
            }) => Some((ident, *index)),
            _ => None,
        })
    }

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

/// How long a value lives and how it grows old.
pub(crate) struct Timing {
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) ttl_with: Option<ExprPath>,
    pub(crate) jitter: Option<f64>,
    pub(crate) stampede: Stampede,
    pub(crate) refresh_after_ms: Option<u64>,
    pub(crate) beta: Option<f64>,
    pub(crate) stale_if_error_ms: Option<u64>,
    pub(crate) negative_ttl: Option<NegativeTtl>,
    pub(crate) timeout_ms: Option<u64>,
}

impl Timing {
    /// Whether a load may go on when its call has ended.
    pub(crate) fn in_background(&self) -> bool {
        self.stampede.swr || self.timeout_ms.is_some()
    }
}

/// The TTL of `None`.
pub(crate) struct NegativeTtl {
    pub(crate) ms: u64,
    /// Where to say that the function has no `None`.
    pub(crate) span: Span,
}

/// As in `cache_runtime::Stampede`. Without any of them it is `none`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(crate) struct Stampede {
    pub(crate) lock: bool,
    pub(crate) early: bool,
    pub(crate) swr: bool,
}

impl Stampede {
    /// The default.
    pub(crate) const LOCK: Self = Self {
        lock: true,
        early: false,
        swr: false,
    };

    /// The runtime's constants that make it up; `None` for the default.
    pub(crate) fn constants(self) -> Option<Vec<TokenStream>> {
        if self == Self::LOCK {
            return None;
        }
        let all = [
            (self.lock, quote::quote!(LOCK)),
            (self.early, quote::quote!(EARLY)),
            (self.swr, quote::quote!(SWR)),
        ];
        let chosen: Vec<_> = all
            .into_iter()
            .filter_map(|(chosen, constant)| chosen.then_some(constant))
            .collect();
        Some(if chosen.is_empty() {
            vec![quote::quote!(NONE)]
        } else {
            chosen
        })
    }
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
