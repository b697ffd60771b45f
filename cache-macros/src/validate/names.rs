//! What the names in a template stand for, and the default key.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Ident, Type};

use crate::diagnostics::{Diagnostics, all_of, closest, in_literal};
use crate::function::{Function, Param, bare, borrow, has_impl_trait, plain};
use crate::model::{KeyPiece, Root, Value};
use crate::template::{Piece, Placeholder, Template};

const LIST_HELP: &str = "`<ids[]>` makes a batch loader, one entry for each element of an argument such as `ids: &[u64]`; `<ids>` is \
     the whole list as one key";

/// What a template is for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Reader {
    /// The key of a loader.
    Loader,
    /// The key of a loader that is run from its key alone.
    ReadThrough,
    /// The keys of `#[invalidates]`.
    Invalidates,
    /// The key of a write-through writer that announces it before its body runs.
    WriteThrough,
    /// The key of a write-through writer with versions, or the version itself: either can be told from the result.
    Versioned,
    /// The key of a write-behind writer, or a tag of what it writes.
    WriteBehind,
    /// A tag of what is cached: either can be told from the result.
    Tags,
    /// A tag of a write-through writer that stores an argument.
    TagsOfArgument,
}

impl Reader {
    fn knows_result(self) -> bool {
        matches!(self, Self::Invalidates | Self::Versioned | Self::Tags)
    }

    /// Why there is no result, and what to do.
    fn without_result(self) -> (&'static str, &'static str) {
        match self {
            Self::WriteThrough => (
                "there is no result to read yet",
                "readers are told of a write before its body runs, and so of its key; take the id as an argument, or give the \
                 row's `version`, as in `version = \"<return.version>\"`: the key may come from the result then",
            ),
            Self::WriteBehind => (
                "there is no result to read",
                "a write-behind writer returns before its body has run; take the id as an argument",
            ),
            Self::TagsOfArgument => (
                "it is not the result that is cached",
                "name the field of the argument that is, as in `<user.org_id>`",
            ),
            _ => (
                "there is no result to read yet",
                "a key is needed before the body runs; `<return…>` is for `#[invalidates]`",
            ),
        }
    }
}

/// The names that a template of this function may use.
pub(super) struct Names<'f> {
    function: &'f Function,
    params: Vec<Param<'f>>,
    reader: Reader,
}

impl<'f> Names<'f> {
    pub(super) fn of(function: &'f Function, reader: Reader) -> Self {
        Self {
            function,
            params: function.params(),
            reader,
        }
    }

    /// The template with every name looked up; `None` if one is wrong.
    pub(super) fn resolve(
        &self,
        template: &Template,
        errors: &mut Diagnostics,
    ) -> Option<Vec<KeyPiece>> {
        let mut sound = true;
        let mut list: Option<&str> = None;
        for placeholder in template.placeholders() {
            if let Some((range, message, help)) = self.problem(placeholder) {
                errors.add(in_literal(&template.literal, range, &message, &help));
                sound = false;
            } else if placeholder.each_after.is_some()
                && self.reader == Reader::Loader
                && *list.get_or_insert(&placeholder.name) != placeholder.name
            {
                let message = "this is a second list, and a batch loader walks over one";
                let range = placeholder.range.clone();
                errors.add(in_literal(&template.literal, range, message, LIST_HELP));
                sound = false;
            }
        }
        let pieces = template.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => Some(KeyPiece::Text(text.clone())),
            Piece::Placeholder(placeholder) => {
                self.value(placeholder, template).map(KeyPiece::Value)
            }
        });
        pieces.collect::<Option<Vec<_>>>().filter(|_| sound)
    }

    /// What is wrong with a name, where, and what to do.
    fn problem(
        &self,
        placeholder: &Placeholder,
    ) -> Option<(std::ops::Range<usize>, String, String)> {
        let name = placeholder.name.as_str();
        let whole = placeholder.range.clone();
        if name == "return" && !self.reader.knows_result() {
            let (message, help) = self.reader.without_result();
            return Some((whole, message.to_owned(), help.to_owned()));
        }
        if let Some(root) = self.root(name) {
            let wrong = self
                .elements_of_one(placeholder)
                .or_else(|| self.field_of_told(placeholder));
            if let Some((message, help)) = wrong {
                return Some((whole, message.to_owned(), help.to_owned()));
            }
            if let Some(message) = self.handed_in(&root) {
                let help = "name an argument that the caller hands in";
                return Some((whole, message, help.to_owned()));
            }
            let message = self.unfit_list(&root, placeholder)?;
            return Some((whole, message, LIST_HELP.to_owned()));
        }
        let at = placeholder.name_range.clone();
        if self.function.types().any(|ty| plain(ty) == name) {
            let help = "only values can be part of a key, arguments and const generics";
            return Some((at, format!("`{name}` is a type"), help.to_owned()));
        }
        if name == "self" {
            let help = "name an argument";
            return Some((
                at,
                "this function has no `self`".to_owned(),
                help.to_owned(),
            ));
        }
        let function = plain(&self.function.sig.ident);
        Some((
            at,
            format!("`{name}` is not an argument of `{function}`"),
            self.suggestion(name, "<", ">"),
        ))
    }

    /// What is wrong with `[]` in what has one value.
    fn elements_of_one(&self, placeholder: &Placeholder) -> Option<(&'static str, &'static str)> {
        placeholder.each_after?;
        match self.reader {
            Reader::Loader | Reader::Invalidates | Reader::Tags | Reader::TagsOfArgument => None,
            Reader::ReadThrough => Some((
                "a read-through loader is run for one key, and this is one for each element",
                "`<ids>` is the whole list as one key; for one entry for each element leave `pattern` out: a batch loader is cache-aside",
            )),
            Reader::WriteThrough | Reader::Versioned | Reader::WriteBehind => Some((
                "a call of a writer writes one entry, and this is one for each element",
                "`[]` is for batch loaders and for `#[invalidates]`; call the writer for each element, or annotate it with \
                 `#[invalidates]`",
            )),
        }
    }

    /// What is wrong with a part of an argument that has to be told from the key.
    fn field_of_told(&self, placeholder: &Placeholder) -> Option<(&'static str, &'static str)> {
        (self.reader == Reader::ReadThrough && !placeholder.fields.is_empty()).then_some((
            "the cache tells the arguments of a read-through loader from its key, and this is only a part of one",
            "take what the key holds as an argument of its own, as in `user_id: u64` and `<user_id>`",
        ))
    }

    /// What is wrong with what the cache hands in: it is not there when the key is made.
    fn handed_in(&self, root: &Root) -> Option<String> {
        let Root::Param { ident, .. } = root else {
            return None;
        };
        let why = match self.reader {
            Reader::WriteBehind => "is handed in when the body runs, long after the key is made",
            Reader::ReadThrough | Reader::Tags => {
                "is handed in by the cache when the body runs, and no argument of the call"
            }
            _ => return None,
        };
        let param = self.param(root)?;
        param.handed_in()?;
        Some(format!("`{}` {why}", plain(ident)))
    }

    fn param(&self, root: &Root) -> Option<&Param<'f>> {
        let Root::Param { index, .. } = root else {
            return None;
        };
        self.params.iter().find(|param| param.index == *index)
    }

    /// What is wrong with the list of a batch loader.
    fn unfit_list(&self, root: &Root, placeholder: &Placeholder) -> Option<String> {
        let before = placeholder.each_after?;
        if self.reader != Reader::Loader {
            return None;
        }
        let Root::Param { index, .. } = root else {
            return Some(format!(
                "`{}` is not an argument that a batch loader could be called with in part",
                placeholder.name
            ));
        };
        let param = self.params.iter().find(|param| param.index == *index)?;
        if before > 0 || !param.is_plain() {
            return Some(
                "the list of a batch loader has to be an argument of its own: the body is called with a part of it"
                    .to_owned(),
            );
        }
        let ty = bare(&param.typed.ty);
        let ty = borrow(ty).map_or(ty, |reference| bare(&reference.elem));
        (has_impl_trait(ty) || matches!(ty, Type::Array(_) | Type::TraitObject(_)))
            .then(|| "no list of this type can be made of a part of it".to_owned())
    }

    /// "did you mean", or what there is.
    fn suggestion(&self, name: &str, open: &str, close: &str) -> String {
        let all = self.all();
        let names: Vec<&str> = all.iter().map(String::as_str).collect();
        match closest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{open}{near}{close}`?"),
            None if names.is_empty() => "it has no arguments that a key could name".to_owned(),
            None => format!("its arguments are {}", all_of(&names)),
        }
    }

    fn all(&self) -> Vec<String> {
        let receiver = self.function.receiver().map(|_| "self".to_owned());
        let params = self
            .params
            .iter()
            .filter(|param| {
                !matches!(
                    self.reader,
                    Reader::WriteBehind | Reader::ReadThrough | Reader::Tags
                ) || param.handed_in().is_none()
            })
            .flat_map(|param| &param.names)
            .map(|name| plain(name));
        receiver
            .into_iter()
            .chain(params)
            .chain(self.function.consts().map(plain))
            .collect()
    }

    /// What is wrong with a name in `skip(…)` or the like.
    pub(super) fn not_an_argument(&self, name: &Ident) -> Option<String> {
        let text = plain(name);
        if matches!(
            self.root(&text),
            Some(Root::Param { .. } | Root::Receiver(_))
        ) {
            return None;
        }
        let function = plain(&self.function.sig.ident);
        Some(format!(
            "`{text}` is not an argument of `{function}`; {}",
            self.suggestion(&text, "", "")
        ))
    }

    fn root(&self, name: &str) -> Option<Root> {
        if name == "self" {
            return self
                .function
                .receiver()
                .map(|receiver| Root::Receiver(Ident::new("self", receiver.self_token.span)));
        }
        if name == "return" && self.reader.knows_result() {
            return Some(Root::Return);
        }
        let param = self.params.iter().find_map(|param| {
            let ident = param.names.iter().find(|ident| plain(ident) == name)?;
            Some(Root::Param {
                ident: (*ident).clone(),
                index: param.index,
            })
        });
        param.or_else(|| {
            self.function
                .consts()
                .find(|ident| plain(ident) == name)
                .cloned()
                .map(Root::Const)
        })
    }

    fn value(&self, placeholder: &Placeholder, template: &Template) -> Option<Value> {
        let root = self.root(&placeholder.name)?;
        let literal = template.literal.span();
        // A whole argument is blamed at its type in the signature. For a field the signature shows nothing.
        let blame = if placeholder.fields.is_empty() {
            self.blame(&root)
        } else {
            None
        };
        Some(Value {
            root,
            fields: placeholder.fields.clone(),
            each_after: placeholder.each_after,
            blame: blame.unwrap_or((literal, literal)),
        })
    }

    fn blame(&self, root: &Root) -> Option<(Span, Span)> {
        match root {
            Root::Param { ident, index } => {
                let param = self.params.iter().find(|param| param.index == *index)?;
                if param.is_plain() {
                    ends(param.typed.ty.to_token_stream())
                } else {
                    Some((ident.span(), ident.span()))
                }
            }
            Root::Receiver(ident) => Some((ident.span(), ident.span())),
            Root::Const(_) | Root::Return => None,
        }
    }

    /// The parts of the default key after its prefix: all that may tell two calls apart.
    pub(super) fn default_key(&self, skipped: &[Ident], companion: bool) -> Vec<KeyPiece> {
        let mut pieces = Vec::new();
        let mut add = |piece| pieces.extend([KeyPiece::Text(":".to_owned()), piece]);
        if self.function.is_associated() {
            add(KeyPiece::SelfName);
        } else if !companion {
            add(KeyPiece::Surroundings);
        }
        for ty in self.function.types() {
            add(KeyPiece::TypeName(ty.clone()));
        }
        let consts = self.function.consts().cloned().map(Root::Const);
        let receiver = self.root("self").into_iter();
        let params = self.params.iter().flat_map(|param| {
            param.names.iter().map(|&ident| Root::Param {
                ident: ident.clone(),
                index: param.index,
            })
        });
        for root in consts.chain(receiver).chain(params) {
            if matches!(&root, Root::Param { ident, .. } | Root::Receiver(ident) if skipped.contains(ident))
            {
                continue;
            }
            if let Root::Param { ident, index } = &root
                && self
                    .params
                    .iter()
                    .any(|param| param.index == *index && has_impl_trait(&param.typed.ty))
            {
                add(KeyPiece::TypeNameOf(ident.clone()));
            }
            let here = Span::call_site();
            let blame = self.blame(&root).unwrap_or((here, here));
            add(KeyPiece::Value(Value {
                root,
                fields: Vec::new(),
                each_after: None,
                blame,
            }));
        }
        pieces
    }
}

/// The spans of the first and the last token.
fn ends(tokens: TokenStream) -> Option<(Span, Span)> {
    let mut spans = tokens.into_iter().map(|token| token.span());
    let first = spans.next()?;
    Some((first, spans.last().unwrap_or(first)))
}
