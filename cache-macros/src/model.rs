//! What an annotation means, after validation: all that the expansion needs, and nothing to check any more.

use proc_macro2::{Span, TokenStream};
use syn::{Expr, ExprPath, Ident, LitStr};

use crate::template::Field;

/// A valid `#[cached(…)]`.
pub(crate) struct Cached {
    pub(crate) pattern: Pattern,
    pub(crate) key: KeyModel,
    pub(crate) timing: Timing,
    pub(crate) consistency: Consistency,
    pub(crate) codec: Option<Codec>,
    pub(crate) schema: u32,
    pub(crate) cache: Option<Expr>,
    pub(crate) companion: bool,
    pub(crate) tags: Vec<Tag>,
}

/// A tag of what is cached or invalidated.
pub(crate) struct Tag {
    pub(crate) literal: LitStr,
    pub(crate) pieces: Vec<KeyPiece>,
}

impl Tag {
    /// Whether it is known only when the body has run.
    pub(crate) fn reads_result(&self) -> bool {
        self.pieces.iter().any(KeyPiece::reads_result)
    }
}

/// The value of `pattern`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum PatternName {
    Aside,
    ReadThrough,
    WriteThrough,
    WriteBehind,
}

/// A pattern with what only it has.
pub(crate) enum Pattern {
    Aside,
    ReadThrough,
    WriteThrough(WriteThrough),
    WriteBehind(WriteBehind),
}

/// What a write-through writer stores, and in what order.
pub(crate) struct WriteThrough {
    /// The argument that is stored; the result if there is none.
    pub(crate) value: Option<Argument>,
    /// The row's version.
    pub(crate) version: Option<Value>,
}

/// What a write-behind writer logs, and what its readers see of it meanwhile.
pub(crate) struct WriteBehind {
    /// The argument that readers see; without one they see nothing.
    pub(crate) value: Option<Argument>,
    /// How two writes of a key become one.
    pub(crate) merge: Option<Merge>,
    /// The form of the body that takes a list of writes.
    pub(crate) batch_with: Option<ExprPath>,
    pub(crate) queueing: Queueing,
}

/// The function that adds a later write to an earlier one.
pub(crate) struct Merge {
    pub(crate) path: ExprPath,
    /// The indices of the parameters that are added up: those of which the key does not take the whole.
    pub(crate) of: Vec<usize>,
}

/// How writes wait. What is not said is the runtime's default.
pub(crate) struct Queueing {
    pub(crate) flush_ms: Option<u64>,
    pub(crate) batch: Option<u32>,
    pub(crate) max_pending: Option<u64>,
    pub(crate) when_full: Option<WhenFull>,
}

/// As in `cache_runtime::WhenFull`.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum WhenFull {
    Block,
    Error,
    Through,
}

impl WhenFull {
    /// The name of the runtime's variant.
    pub(crate) fn variant(self) -> TokenStream {
        match self {
            Self::Block => quote::quote!(Block),
            Self::Error => quote::quote!(Error),
            Self::Through => quote::quote!(Through),
        }
    }
}

/// An argument by its name. `index` counts parameters, `self` included.
#[derive(Clone, PartialEq)]
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) index: usize,
}

impl Cached {
    /// Whether the key is known only when the body has run.
    pub(crate) fn key_reads_result(&self) -> bool {
        self.key.pieces().iter().any(KeyPiece::reads_result)
    }

    /// Whether what the function returns is what is stored.
    pub(crate) fn stores_result(&self) -> bool {
        match &self.pattern {
            Pattern::Aside | Pattern::ReadThrough => true,
            Pattern::WriteThrough(writer) => writer.value.is_none(),
            Pattern::WriteBehind(_) => false,
        }
    }
}

/// A valid `#[invalidates(…)]`.
pub(crate) struct Invalidates {
    pub(crate) templates: Vec<LitStr>,
    /// One for each template.
    pub(crate) keys: Vec<Vec<KeyPiece>>,
    pub(crate) tags: Vec<Tag>,
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

impl KeyPiece {
    /// Whether it is taken from what the body returns.
    pub(crate) fn reads_result(&self) -> bool {
        matches!(self, Self::Value(value) if value.is_of_result())
    }

    /// Whether it is taken from the parameter of this index.
    pub(crate) fn is_of_param(&self, param: usize) -> bool {
        matches!(self, Self::Value(value) if matches!(value.root, Root::Param { index, .. } if index == param))
    }
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

impl Value {
    /// Whether it is taken from what the body returns.
    pub(crate) fn is_of_result(&self) -> bool {
        matches!(self.root, Root::Return)
    }
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
