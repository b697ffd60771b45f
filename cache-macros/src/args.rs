//! The arguments of an annotation, as syntax only: names and values, with nothing said yet about what they mean.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Token, parenthesized};

use crate::diagnostics::Diagnostics;

/// One argument: `name`, `name = value` or `name(a, b)`.
pub(crate) struct Arg {
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

/// The value of an argument.
pub(crate) enum Value {
    /// There is none: the name stands alone.
    Missing,
    /// After `=`.
    Expr(Expr),
    /// In parentheses.
    List(TokenStream),
}

impl Arg {
    /// The value, if it is a literal.
    pub(crate) fn literal(&self) -> Option<&Lit> {
        let Value::Expr(expr) = &self.value else {
            return None;
        };
        let mut expr = expr;
        // A literal that a `macro_rules` macro hands on comes in a group without delimiters.
        while let Expr::Group(group) = expr {
            expr = &group.expr;
        }
        match expr {
            Expr::Lit(ExprLit { lit, attrs }) if attrs.is_empty() => Some(lit),
            _ => None,
        }
    }

    /// The tokens to underline when the value is wrong.
    pub(crate) fn value_tokens(&self) -> TokenStream {
        use quote::ToTokens;
        match &self.value {
            Value::Missing => self.name.to_token_stream(),
            Value::Expr(expr) => expr.to_token_stream(),
            Value::List(list) if list.is_empty() => self.name.to_token_stream(),
            Value::List(list) => list.clone(),
        }
    }
}

/// What stands in `#[invalidates(…)]`.
#[derive(Default)]
pub(crate) struct Listed {
    pub(crate) templates: Vec<LitStr>,
    pub(crate) args: Vec<Arg>,
}

/// Parses `name = value, name(…), …`. An argument that cannot be parsed is reported, and the rest goes on after its comma.
pub(crate) fn parse_named(tokens: TokenStream, errors: &mut Diagnostics) -> Vec<Arg> {
    let mut args = Vec::new();
    each(tokens, errors, |input| {
        args.push(arg(input)?);
        Ok(())
    });
    args
}

/// Parses `"template", …, name = value, …`.
pub(crate) fn parse_listed(tokens: TokenStream, errors: &mut Diagnostics) -> Listed {
    let mut listed = Listed::default();
    each(tokens, errors, |input| {
        if input.peek(Lit) {
            match input.parse()? {
                Lit::Str(template) => listed.templates.push(template),
                other => {
                    return Err(syn::Error::new(
                        other.span(),
                        "expected a template in quotes, as in `\"user:<id>\"`",
                    ));
                }
            }
        } else {
            listed.args.push(arg(input)?);
        }
        Ok(())
    });
    listed
}

/// `a, b` in `skip(a, b)`.
pub(crate) fn parse_names(list: TokenStream) -> syn::Result<Vec<Ident>> {
    let parser = Punctuated::<Ident, Token![,]>::parse_terminated_with;
    let names = (|input: ParseStream<'_>| parser(input, Ident::parse_any)).parse2(list)?;
    Ok(names.into_iter().collect())
}

fn arg(input: ParseStream<'_>) -> syn::Result<Arg> {
    if !input.peek(Ident::peek_any) {
        return Err(input.error("expected the name of an argument, as in `ttl = 300`"));
    }
    let name = Ident::parse_any(input)?;
    let value = if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new(
                name.span(),
                format!("`{name}` has no value"),
            ));
        }
        Value::Expr(input.parse()?)
    } else if input.peek(syn::token::Paren) {
        let list;
        parenthesized!(list in input);
        Value::List(list.parse()?)
    } else {
        Value::Missing
    };
    Ok(Arg { name, value })
}

/// Calls `one` for each argument; an error skips to the next comma, so that each argument is looked at.
fn each(
    tokens: TokenStream,
    errors: &mut Diagnostics,
    mut one: impl FnMut(ParseStream<'_>) -> syn::Result<()>,
) {
    let parsed = (|input: ParseStream<'_>| {
        while !input.is_empty() {
            if let Err(error) = one(input).and_then(|()| comma(input)) {
                errors.add(error);
                while !input.is_empty() && !input.peek(Token![,]) {
                    input.parse::<proc_macro2::TokenTree>()?;
                }
                let _ = input.parse::<Option<Token![,]>>()?;
            }
        }
        Ok(())
    })
    .parse2(tokens);
    if let Err(error) = parsed {
        errors.add(error);
    }
}

fn comma(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() {
        return Ok(());
    }
    if !input.peek(Token![,]) {
        return Err(input.error("expected `,` between two arguments"));
    }
    input.parse::<Token![,]>().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn names(tokens: TokenStream) -> (Vec<String>, Vec<String>) {
        let mut errors = Diagnostics::default();
        let args = parse_named(tokens, &mut errors);
        (
            args.iter().map(|arg| arg.name.to_string()).collect(),
            errors.messages(),
        )
    }

    #[test]
    fn each_form_of_argument_is_parsed() {
        let mut errors = Diagnostics::default();
        let args = parse_named(
            quote!(key = "a", cache = map::<A, B>(x), skip(a, b), flag,),
            &mut errors,
        );
        assert!(errors.is_empty());
        assert!(matches!(args[0].literal(), Some(Lit::Str(_))));
        assert!(matches!(args[1].value, Value::Expr(Expr::Call(_))));
        let Value::List(list) = &args[2].value else {
            panic!("skip has a list")
        };
        assert_eq!(parse_names(list.clone()).expect("names").len(), 2);
        assert!(matches!(args[3].value, Value::Missing));
    }

    #[test]
    fn one_bad_argument_does_not_hide_the_others() {
        let (found, errors) = names(quote!(ttl = , "x" = 3, key = "a" codec = "json", schema = 2));
        assert_eq!(found, ["key", "schema"]);
        assert_eq!(
            errors,
            [
                "`ttl` has no value",
                "expected the name of an argument, as in `ttl = 300`",
                "expected `,` between two arguments"
            ]
        );
    }

    #[test]
    fn templates_and_named_arguments_mix() {
        let mut errors = Diagnostics::default();
        let listed = parse_listed(quote!("a:<b>", when = "ok", "c", 5), &mut errors);
        assert_eq!(listed.templates.len(), 2);
        assert_eq!(listed.args.len(), 1);
        assert_eq!(
            errors.messages(),
            ["expected a template in quotes, as in `\"user:<id>\"`"]
        );
    }
}
