//! A body as raw tokens: which names it uses, and its `self` under another name.

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};

/// Whether the name occurs among the tokens.
pub(crate) fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

/// Whether a body may read the variable: by its name, or in a format string.
pub(crate) fn uses(tokens: TokenStream, name: &Ident) -> bool {
    let plain = crate::function::plain(name);
    let in_text = |literal: &Literal| text(literal).is_some_and(|text| text.contains(&plain));
    mentions(tokens.clone(), name) || find_literal(tokens, &in_text).is_some()
}

/// A format string of a macro that captures `self`.
pub(crate) fn captured_self(tokens: TokenStream) -> Option<Literal> {
    let mut called = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let found = if called {
                    find_literal(group.stream(), &captures_self)
                } else {
                    captured_self(group.stream())
                };
                if found.is_some() {
                    return found;
                }
                called = false;
            }
            TokenTree::Punct(punct) => called = punct.as_char() == '!',
            _ => called = false,
        }
    }
    None
}

fn captures_self(literal: &Literal) -> bool {
    let text = text(literal).unwrap_or_default().replace("{{", "");
    text.split("{self").skip(1).any(|rest| {
        let rest = rest.trim_start();
        rest.starts_with(['}', ':'])
    })
}

fn text(literal: &Literal) -> Option<String> {
    match syn::Lit::new(literal.clone()) {
        syn::Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

fn find_literal(tokens: TokenStream, wanted: &dyn Fn(&Literal) -> bool) -> Option<Literal> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Literal(literal) => Some(literal).filter(wanted),
        TokenTree::Group(group) => find_literal(group.stream(), wanted),
        _ => None,
    })
}

/// The tokens with `self` under another name, and whether there was any. Paths such as `self::f` stay, and so do items inside of
/// the body, which have a `self` of their own.
pub(crate) fn with_self_as(tokens: TokenStream, name: &str) -> (TokenStream, bool) {
    let mut renaming = Renaming { name, found: false };
    let renamed = renaming.stream(tokens);
    (renamed, renaming.found)
}

struct Renaming<'n> {
    name: &'n str,
    found: bool,
}

impl Renaming<'_> {
    fn stream(&mut self, tokens: TokenStream) -> TokenStream {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut outside = Outside::Nothing;
        let mut renamed = Vec::with_capacity(tokens.len());
        for (index, token) in tokens.iter().enumerate() {
            let (before, after) = (
                index.checked_sub(1).map(|at| &tokens[at]),
                &tokens[index + 1..],
            );
            let kept = outside.passes(token, before, after);
            renamed.push(match token {
                token if kept => token.clone(),
                TokenTree::Ident(ident) if ident == "self" && !is_path(after) => {
                    self.found = true;
                    let span = Span::mixed_site().located_at(ident.span());
                    Ident::new(self.name, span).into()
                }
                TokenTree::Group(group) => {
                    let mut new = Group::new(group.delimiter(), self.stream(group.stream()));
                    new.set_span(group.span());
                    new.into()
                }
                token => token.clone(),
            });
        }
        renamed.into_iter().collect()
    }
}

/// Where `self` is not the receiver.
enum Outside {
    Nothing,
    /// From the keyword of an item to the end of its braces.
    Item,
    /// From `use` to its `;`.
    Use,
}

impl Outside {
    /// Whether the token is to stay as it is.
    fn passes(
        &mut self,
        token: &TokenTree,
        before: Option<&TokenTree>,
        after: &[TokenTree],
    ) -> bool {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ';' => *self = Self::Nothing,
            TokenTree::Ident(ident) if matches!(self, Self::Nothing) => self.begin(ident, after),
            TokenTree::Group(group)
                if matches!(self, Self::Item)
                    && group.delimiter() == Delimiter::Brace
                    && !matches!(before, Some(TokenTree::Punct(punct)) if punct.as_char() == '<') =>
            {
                *self = Self::Nothing;
                return true;
            }
            // `pub(self)`
            TokenTree::Group(_) if matches!(before, Some(TokenTree::Ident(ident)) if ident == "pub") =>
            {
                return true;
            }
            _ => {}
        }
        !matches!(self, Self::Nothing)
    }

    fn begin(&mut self, keyword: &Ident, after: &[TokenTree]) {
        let named = matches!(after.first(), Some(TokenTree::Ident(_)));
        match keyword.to_string().as_str() {
            "impl" | "trait" | "macro_rules" => *self = Self::Item,
            // Without a name `fn` begins a type.
            "fn" | "mod" if named => *self = Self::Item,
            "use" => *self = Self::Use,
            _ => {}
        }
    }
}

/// Whether `::` follows.
fn is_path(after: &[TokenTree]) -> bool {
    let colon = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    colon(after.first()) && colon(after.get(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::{format_ident, quote};

    fn renamed(tokens: TokenStream) -> String {
        with_self_as(tokens, "it").0.to_string()
    }

    #[test]
    fn self_is_renamed_wherever_it_is_the_receiver() {
        for (from, to) in [
            (quote!(self.name), quote!(it.name)),
            (
                quote!(println!("{}", self.name)),
                quote!(println!("{}", it.name)),
            ),
            (
                quote!(|x| { x + self.a[self.i] }),
                quote!(|x| { x + it.a[it.i] }),
            ),
            (quote!(f(self, Self::new())), quote!(f(it, Self::new()))),
            (
                quote!(let f: fn(u8) -> u8 = g; f(self.n)),
                quote!(let f: fn(u8) -> u8 = g; f(it.n)),
            ),
        ] {
            assert_eq!(renamed(from), to.to_string());
        }
        assert!(!with_self_as(quote!(Self::f()), "it").1);
    }

    #[test]
    fn paths_and_items_inside_keep_their_own_self() {
        for same in [
            quote!(self::f()),
            quote!(
                use self::a;
                use b::{self, c};
            ),
            quote!(
                impl X for Y<{ 1 }> {
                    fn f(&self) -> u8 {
                        self.0
                    }
                }
            ),
            quote!(
                trait T {
                    fn f(self);
                }
            ),
            quote!(
                fn f(x: impl X) {}
            ),
            quote!(
                pub(self) struct S;
            ),
            quote!(
                macro_rules! m {
                    () => {
                        self
                    };
                }
            ),
        ] {
            assert_eq!(renamed(same.clone()), same.to_string());
        }
        // The rest of the body after such an item is looked at again.
        assert_eq!(
            renamed(quote!(
                impl X for Y {}
                use a::self;
                self.f()
            )),
            quote!(
                impl X for Y {}
                use a::self;
                it.f()
            )
            .to_string()
        );
    }

    #[test]
    fn a_captured_self_is_found_in_the_strings_of_macros_only() {
        let found = |tokens| captured_self(tokens).is_some();
        assert!(found(quote!({ println!("a {self}") })));
        assert!(found(quote!(write!(f, "{self:?}"))));
        assert!(!found(quote!(f("{self}"))));
        assert!(!found(quote!(println!("{{self}} {selfish} {}", self))));
    }

    #[test]
    fn a_variable_may_be_read_in_a_format_string() {
        let name = format_ident!("id");
        assert!(uses(quote!(f(id)), &name));
        assert!(uses(quote!(println!("{id:?}")), &name));
        assert!(!uses(quote!(f(di, "x")), &name));
    }
}
