//! The arguments that say how long a value lives and how it grows old, and which of them need or exclude one another.

use super::arguments::Given;
use super::{numbers, values};
use crate::diagnostics::Diagnostics;
use crate::model::{NegativeTtl, PatternName, Stampede, Timing};

const ZERO_TTL: &str =
    "a TTL of 0 caches nothing; leave `ttl` out for the cache's default of 300 seconds";
const ZERO_REFRESH_AFTER: &str = "with a `refresh_after` of 0 every hit would load; give the age from which on a value is replaced, as in \
     `refresh_after = \"1m\"`";
const ZERO_STALE_IF_ERROR: &str =
    "0 is the default: no value is served past its TTL; leave `stale_if_error` out for that";
const ZERO_NEGATIVE_TTL: &str =
    "a TTL of 0 caches no `None`, which is the default; leave `negative_ttl` out for that";
const ZERO_TIMEOUT: &str =
    "a `timeout` of 0 leaves no time to load; leave `timeout` out to wait as long as a load takes";

/// The type of `ttl_with`, and a name for one.
const TTL_WITH: (&str, &str) = ("a `fn(&T) -> Option<Duration>`", "ttl_of_user");

/// Each argument by itself, and then those that depend on others.
pub(super) fn timing(given: &Given<'_>, pattern: PatternName, errors: &mut Diagnostics) -> Timing {
    let duration = |name: &str, zero: &str, errors: &mut Diagnostics| {
        given
            .get(name)
            .and_then(|arg| numbers::duration(arg, zero, errors))
    };
    let ttl_ms = duration("ttl", ZERO_TTL, errors);
    let refresh_after_ms = duration("refresh_after", ZERO_REFRESH_AFTER, errors);
    let stampede = match given.get("stampede") {
        None => Some(Stampede::LOCK),
        Some(arg) => values::stampede(arg, errors),
    };
    let timing = Timing {
        ttl_ms,
        ttl_with: given
            .get("ttl_with")
            .and_then(|arg| values::path(arg, TTL_WITH, errors)),
        jitter: given
            .get("jitter")
            .and_then(|arg| numbers::share(arg, errors)),
        stampede: stampede.unwrap_or(Stampede::LOCK),
        refresh_after_ms,
        beta: given
            .get("beta")
            .and_then(|arg| numbers::factor(arg, errors)),
        stale_if_error_ms: duration("stale_if_error", ZERO_STALE_IF_ERROR, errors),
        negative_ttl: negative_ttl(given, errors),
        timeout_ms: duration("timeout", ZERO_TIMEOUT, errors),
    };
    // Of a mode that is misspelled nothing is known.
    if let Some(stampede) = stampede {
        check_modes(given, stampede, pattern, errors);
    }
    check_ages(given, ttl_ms, refresh_after_ms, errors);
    timing
}

fn negative_ttl(given: &Given<'_>, errors: &mut Diagnostics) -> Option<NegativeTtl> {
    let arg = given.get("negative_ttl")?;
    let ms = numbers::duration(arg, ZERO_NEGATIVE_TTL, errors)?;
    let span = arg.literal()?.span();
    Some(NegativeTtl { ms, span })
}

/// A mode and its arguments come together.
fn check_modes(
    given: &Given<'_>,
    stampede: Stampede,
    pattern: PatternName,
    errors: &mut Diagnostics,
) {
    let refresh_after = given.get("refresh_after");
    if stampede.swr
        && refresh_after.is_none()
        && let Some(arg) = given.get("stampede")
    {
        errors.on(
            arg.value_tokens(),
            "`swr` needs the age from which on a value is replaced while it is served; add `refresh_after`, as in \
             `refresh_after = \"1m\"`",
        );
    }
    // The cache runs a read-through loader by itself when it is time.
    let ahead = pattern == PatternName::ReadThrough;
    if let (Some(arg), false) = (refresh_after, stampede.swr || ahead) {
        errors.on(
            &arg.name,
            format!("`refresh_after` is for `swr`: {}", with_mode(given, "swr")),
        );
    }
    if let (Some(arg), false) = (given.get("beta"), stampede.early) {
        errors.on(
            &arg.name,
            format!("`beta` is for `early`: {}", with_mode(given, "early")),
        );
    }
}

/// How to get a mode that is missing.
fn with_mode(given: &Given<'_>, mode: &str) -> String {
    let now = match given.get("stampede").and_then(|arg| arg.literal()) {
        Some(syn::Lit::Str(literal)) if literal.value() != "none" => literal.value(),
        Some(_) => return format!("write `stampede = \"{mode}\"`, or leave it out"),
        None => return format!("add `stampede = \"lock+{mode}\"`, or leave it out"),
    };
    format!("write `stampede = \"{now}+{mode}\"`, or leave it out")
}

fn check_ages(
    given: &Given<'_>,
    ttl_ms: Option<u64>,
    refresh_after_ms: Option<u64>,
    errors: &mut Diagnostics,
) {
    if let (Some(ttl), Some(refresh_after), Some(arg)) =
        (ttl_ms, refresh_after_ms, given.get("refresh_after"))
        && refresh_after >= ttl
    {
        let ttl = given.get("ttl").map(|arg| arg.value_tokens().to_string());
        errors.on(
            arg.value_tokens(),
            format!(
                "`refresh_after` has to be shorter than `ttl`, which is {}: past the TTL there is no value to serve",
                ttl.unwrap_or_default()
            ),
        );
    }
    if let (Some(_), Some(arg)) = (given.get("ttl"), given.get("ttl_with")) {
        errors.on(
            &arg.name,
            "`ttl_with` and `ttl` exclude each other: the TTL comes from each value, and a value for which the function returns \
             `None` is not stored; leave `ttl` out",
        );
    }
}
