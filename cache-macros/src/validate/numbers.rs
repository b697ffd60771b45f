//! The values that are durations, shares and factors.

use syn::{Expr, Lit, UnOp};

use crate::args::{Arg, Value};
use crate::diagnostics::Diagnostics;
use crate::duration;

/// A duration above 0, in milliseconds. `zero` says what 0 would mean, and the way out.
pub(super) fn duration(arg: &Arg, zero: &str, errors: &mut Diagnostics) -> Option<u64> {
    let parsed = match arg.literal() {
        Some(Lit::Str(text)) => duration::parse(&text.value()),
        Some(Lit::Int(number)) if number.suffix().is_empty() => number
            .base10_parse()
            .map_err(|error| error.to_string())
            .and_then(duration::from_seconds),
        _ => Err(format!(
            "`{}` takes whole seconds, or text such as `\"90s\"`, `\"5m\"`, `\"1h30m\"` or `\"250ms\"`",
            arg.name
        )),
    };
    match parsed {
        Ok(0) => {
            errors.on(arg.value_tokens(), zero);
            None
        }
        Ok(ms) => Some(ms),
        Err(message) => {
            errors.on(arg.value_tokens(), message);
            None
        }
    }
}

/// A percentage below 100, as a share of 1.
pub(super) fn share(arg: &Arg, errors: &mut Diagnostics) -> Option<f64> {
    let share = match arg.literal() {
        Some(Lit::Str(text)) => percentage(&text.value()),
        _ => None,
    };
    if share.is_none() {
        errors.on(
            arg.value_tokens(),
            format!(
                "`{0}` takes a percentage in quotes, from `\"0%\"` to `\"99%\"`, as in `{0} = \"10%\"`",
                arg.name
            ),
        );
    }
    share
}

/// `2.5%` as 0.025. Digits and a point only: `f64` would read `inf` and `1e1` too.
fn percentage(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let percent: f64 = number.parse().ok()?;
    (percent <= 99.0).then_some(percent / 100.0)
}

/// A whole number from 1 to `most`.
pub(super) fn count(arg: &Arg, most: u64, errors: &mut Diagnostics) -> Option<u64> {
    let number: Option<u64> = match arg.literal() {
        Some(Lit::Int(number)) if number.suffix().is_empty() => number.base10_parse().ok(),
        _ => None,
    };
    let found = number.filter(|number| (1..=most).contains(number));
    if found.is_none() {
        let range = if most == u64::MAX {
            "a whole number from 1 on".to_owned()
        } else {
            format!("a whole number from 1 to {most}")
        };
        errors.on(
            arg.value_tokens(),
            format!("`{0}` takes {range}, as in `{0} = 1000`", arg.name),
        );
    }
    found
}

/// A number above 0.
pub(super) fn factor(arg: &Arg, errors: &mut Diagnostics) -> Option<f64> {
    let number: Option<f64> = match arg.literal() {
        Some(Lit::Int(number)) if number.suffix().is_empty() => number.base10_parse().ok(),
        Some(Lit::Float(number)) if number.suffix().is_empty() => number.base10_parse().ok(),
        _ => None,
    };
    let found = number.filter(|number| number.is_finite() && *number > 0.0);
    if found.is_none() {
        let number = if number.is_some() || is_negative(arg) {
            "a number above 0"
        } else {
            "a number"
        };
        errors.on(
            arg.value_tokens(),
            format!("`{0}` takes {number}, as in `{0} = 1.5`", arg.name),
        );
    }
    found
}

fn is_negative(arg: &Arg) -> bool {
    matches!(&arg.value, Value::Expr(Expr::Unary(unary)) if matches!(unary.op, UnOp::Neg(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::TokenStream;
    use quote::quote;

    fn value<T>(
        tokens: TokenStream,
        read: impl Fn(&Arg, &mut Diagnostics) -> Option<T>,
    ) -> Result<T, Vec<String>> {
        let mut errors = Diagnostics::default();
        let args = crate::args::parse_named(tokens, &mut errors);
        match read(&args[0], &mut errors) {
            Some(value) => Ok(value),
            None => Err(errors.messages()),
        }
    }

    #[test]
    fn a_percentage_is_a_share_below_one() {
        for (text, expected) in [("0%", 0.0), ("10%", 0.1), ("2.5%", 0.025), ("99%", 0.99)] {
            assert_eq!(value(quote!(jitter = #text), share), Ok(expected));
        }
        for text in [
            "10", "%", "", "-1%", "100%", "99.5%", "1e1%", "inf%", "10 %", ".%", "1.2.3%",
        ] {
            let errors = value(quote!(jitter = #text), share).expect_err(text);
            assert!(
                errors[0].starts_with("`jitter` takes a percentage"),
                "{errors:?}"
            );
        }
        assert!(value(quote!(jitter = 0.1), share).is_err());
    }

    #[test]
    fn a_count_is_a_whole_number_within_its_bounds() {
        let up_to_ten = |arg: &Arg, errors: &mut Diagnostics| count(arg, 10, errors);
        assert_eq!(value(quote!(batch = 1), up_to_ten), Ok(1));
        assert_eq!(value(quote!(batch = 10), up_to_ten), Ok(10));
        for tokens in [
            quote!(batch = 0),
            quote!(batch = 11),
            quote!(batch = -1),
            quote!(batch = 1.0),
            quote!(batch = "5"),
            quote!(batch = 5u8),
        ] {
            assert_eq!(
                value(tokens, up_to_ten).expect_err("no such count"),
                ["`batch` takes a whole number from 1 to 10, as in `batch = 1000`"]
            );
        }
    }

    #[test]
    fn a_factor_is_a_number_above_zero() {
        assert_eq!(value(quote!(beta = 2), factor), Ok(2.0));
        assert_eq!(value(quote!(beta = 1.5), factor), Ok(1.5));
        for tokens in [
            quote!(beta = 0),
            quote!(beta = 0.0),
            quote!(beta = -1.0),
            quote!(beta = 1e400),
        ] {
            let errors = value(tokens, factor).expect_err("not above 0");
            assert_eq!(
                errors,
                ["`beta` takes a number above 0, as in `beta = 1.5`"]
            );
        }
        assert!(value(quote!(beta = "1.5"), factor).is_err());
    }

    #[test]
    fn a_duration_names_its_argument_and_is_not_zero() {
        let read = |arg: &Arg, errors: &mut Diagnostics| duration(arg, "zero", errors);
        assert_eq!(value(quote!(timeout = "250ms"), read), Ok(250));
        assert_eq!(value(quote!(timeout = 2), read), Ok(2000));
        assert_eq!(
            value(quote!(timeout = "0s"), read),
            Err(vec!["zero".to_owned()])
        );
        let errors = value(quote!(timeout = soon), read).expect_err("not a duration");
        assert!(
            errors[0].starts_with("`timeout` takes whole seconds"),
            "{errors:?}"
        );
    }
}
