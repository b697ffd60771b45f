//! The one place that says what is allowed: from the syntax of an annotation and of its function to a model.
//!
//! Nothing returns early: every argument and the whole signature are looked at, so that all errors come at once.

mod background;
mod batch;
mod names;
mod numbers;
mod signature;
#[cfg(test)]
mod tests;
mod timing;
mod values;

use proc_macro2::Span;
use syn::{Ident, LitStr};

use crate::args::{Arg, Listed, Value};
use crate::diagnostics::{Diagnostics, closest, suggest};
use crate::function::Function;
use crate::model::{Cached, Consistency, Invalidates, KeyModel, KeyPiece, Root};
use crate::template::Template;
use names::Names;

/// The arguments of `#[cached]`.
const CACHED: [&str; 17] = [
    "pattern",
    "key",
    "ttl",
    "ttl_with",
    "jitter",
    "stampede",
    "refresh_after",
    "beta",
    "stale_if_error",
    "negative_ttl",
    "timeout",
    "consistency",
    "codec",
    "cache",
    "skip",
    "schema",
    "companion",
];

/// Arguments of `#[cached]` that are known, and do nothing yet.
const CACHED_LATER: [&str; 8] = [
    "tags",
    "version",
    "flush",
    "batch",
    "merge",
    "max_pending",
    "when_full",
    "value",
];

/// The arguments of `#[invalidates]` beside its templates.
const INVALIDATES: [&str; 3] = ["when", "consistency", "cache"];

/// Arguments of `#[invalidates]` that are known, and do nothing yet.
const INVALIDATES_LATER: [&str; 1] = ["tags"];

/// What a feature that a later version brings is refused with.
fn not_yet(what: &str) -> String {
    format!("{what} is not in this version yet; a later one brings it")
}

/// Takes the arguments apart by name; the first of a name counts.
struct Given<'a>(Vec<&'a Arg>);

impl<'a> Given<'a> {
    fn check(
        macro_name: &str,
        args: &'a [Arg],
        known: &[&str],
        later: &[&str],
        errors: &mut Diagnostics,
    ) -> Self {
        let mut given: Vec<&Arg> = Vec::new();
        for arg in args {
            let name = arg.name.to_string();
            if given.iter().any(|earlier| earlier.name == name) {
                errors.on(&arg.name, format!("`{name}` is given twice"));
            } else if later.contains(&name.as_str()) {
                errors.on(&arg.name, not_yet(&format!("`{name}`")));
                // Remembered, so that giving it twice is not reported as two missing features.
                given.push(arg);
            } else if known.contains(&name.as_str()) {
                given.push(arg);
            } else {
                // A misspelled argument of a later version is still told apart from nonsense.
                let all: Vec<&str> = known.iter().chain(later).copied().collect();
                let candidates = if closest(&name, all.iter().copied()).is_some() {
                    &all[..]
                } else {
                    known
                };
                errors.on(
                    &arg.name,
                    format!(
                        "`{macro_name}` has no argument `{name}`; {}",
                        suggest(&name, candidates)
                    ),
                );
            }
        }
        Self(given)
    }

    fn get(&self, name: &str) -> Option<&'a Arg> {
        self.0.iter().copied().find(|arg| arg.name == name)
    }
}

/// Validates `#[cached(…)]`. The model is there if its key is sound, even if something else is wrong: the companion is
/// made from it then, so that calls of it raise no errors of their own.
pub(crate) fn cached(
    args: &[Arg],
    function: &Function,
    errors: &mut Diagnostics,
) -> Option<Cached> {
    let given = Given::check("#[cached]", args, &CACHED, &CACHED_LATER, errors);
    signature::check_cached(function, errors);
    if let Some(arg) = given.get("pattern") {
        values::pattern(arg, errors);
    }
    let companion = companion(given.get("companion"), function, errors);
    let key = key(&given, function, companion, errors);
    let cache = given
        .get("cache")
        .and_then(|arg| values::expression(arg, errors));
    let timing = timing::timing(&given, errors);
    if key.as_ref().is_some_and(|key| key.each().is_some()) {
        batch::check(&given, &timing, function, errors);
    } else {
        background::check(&timing, function, errors);
    }
    Some(Cached {
        timing,
        consistency: values::consistency(given.get("consistency"), errors),
        codec: given
            .get("codec")
            .and_then(|arg| values::codec(arg, errors)),
        schema: given
            .get("schema")
            .and_then(|arg| values::schema(arg, errors))
            .unwrap_or(0),
        companion,
        cache,
        key: key?,
    })
}

fn companion(arg: Option<&Arg>, function: &Function, errors: &mut Diagnostics) -> bool {
    let associated = function.is_associated();
    let asked = arg.and_then(|arg| values::boolean(arg, errors));
    if let (Some(arg), Some(true), true) = (arg, asked, associated) {
        errors.on(
            arg.value_tokens(),
            "only a free function has a companion: no struct can be declared inside an `impl`",
        );
    }
    asked != Some(false) && !associated
}

fn key(
    given: &Given<'_>,
    function: &Function,
    companion: bool,
    errors: &mut Diagnostics,
) -> Option<KeyModel> {
    let names = Names::of(function, false);
    let skipped = given.get("skip").map(|arg| skipped(arg, &names, errors));
    let Some(key) = given.get("key") else {
        return Some(KeyModel::Default {
            pieces: names.default_key(&skipped.unwrap_or_default(), companion),
        });
    };
    if let Some(skip) = given.get("skip") {
        errors.on(
            &skip.name,
            "`skip` and `key` exclude each other: `skip` leaves arguments out of the default key, \
             a template names those that it takes",
        );
    }
    let literal = values::template(key, errors)?;
    let template = Template::parse(&literal, errors)?;
    let pieces = names.resolve(&template, errors)?;
    Some(KeyModel::Template { literal, pieces })
}

fn skipped(arg: &Arg, names: &Names<'_>, errors: &mut Diagnostics) -> Vec<Ident> {
    let Value::List(list) = &arg.value else {
        errors.on(
            arg.value_tokens(),
            "`skip` takes names in parentheses, as in `skip(db)`",
        );
        return Vec::new();
    };
    let found = crate::args::parse_names(list.clone()).unwrap_or_else(|error| {
        errors.add(error);
        Vec::new()
    });
    if list.is_empty() {
        errors.on(&arg.name, "`skip` names no argument");
    }
    let mut skipped: Vec<Ident> = Vec::new();
    for name in found {
        if skipped.contains(&name) {
            errors.on(&name, format!("`{name}` is skipped twice"));
        } else if let Some(message) = names.not_an_argument(&name) {
            errors.on(&name, message);
        } else {
            skipped.push(name);
        }
    }
    skipped
}

/// Validates `#[invalidates(…)]`.
pub(crate) fn invalidates(
    listed: &Listed,
    function: &Function,
    errors: &mut Diagnostics,
) -> Option<Invalidates> {
    let given = Given::check(
        "#[invalidates]",
        &listed.args,
        &INVALIDATES,
        &INVALIDATES_LATER,
        errors,
    );
    signature::check_writer(function, errors);
    let only_ok = given
        .get("when")
        .is_some_and(|arg| values::when_ok(arg, errors));
    let consistency = values::consistency(given.get("consistency"), errors);
    let cache = given
        .get("cache")
        .and_then(|arg| values::expression(arg, errors));
    if listed.templates.is_empty()
        && listed
            .args
            .iter()
            .all(|arg| INVALIDATES.contains(&arg.name.to_string().as_str()))
    {
        errors.at(Span::call_site(), "`#[invalidates]` needs the key of what it invalidates, as in `#[invalidates(\"user:<id>\")]`");
    }
    let keys = keys(&listed.templates, function, errors);
    if consistency == Consistency::Strict {
        check_strict(&given, &listed.templates, &keys, errors);
    }
    let keys = keys.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Invalidates {
        templates: listed.templates.clone(),
        keys,
        only_ok,
        consistency,
        cache,
    })
}

fn keys(
    templates: &[LitStr],
    function: &Function,
    errors: &mut Diagnostics,
) -> Vec<Option<Vec<KeyPiece>>> {
    let names = Names::of(function, true);
    let mut seen: Vec<String> = Vec::new();
    let mut keys = Vec::new();
    for literal in templates {
        if seen.contains(&literal.value()) {
            errors.on(literal, "this template is given twice");
        }
        seen.push(literal.value());
        let pieces =
            Template::parse(literal, errors).and_then(|template| names.resolve(&template, errors));
        if pieces.as_deref().is_some_and(|pieces| {
            pieces.iter().any(reads_result) && pieces.iter().any(walks_argument)
        }) {
            errors.on(
                literal,
                "`<return…>` and the elements of an argument cannot stand in one template: the argument is gone when the \
                 result is there; return what the keys need, and walk over `<return…[]>`",
            );
        }
        keys.push(pieces);
    }
    keys
}

fn reads_result(piece: &KeyPiece) -> bool {
    matches!(piece, KeyPiece::Value(value) if matches!(value.root, Root::Return))
}

fn walks_argument(piece: &KeyPiece) -> bool {
    matches!(piece, KeyPiece::Value(value) if value.each_after.is_some() && !matches!(value.root, Root::Return))
}

/// A strict write tells readers of its keys before the body runs, and therefore whatever the body returns.
fn check_strict(
    given: &Given<'_>,
    templates: &[LitStr],
    keys: &[Option<Vec<KeyPiece>>],
    errors: &mut Diagnostics,
) {
    if let Some(when) = given.get("when") {
        errors.on(
            &when.name,
            "`when` and `consistency = \"strict\"` exclude each other: a strict write removes the entry before its body \
             runs, whatever comes of it",
        );
    }
    for (literal, pieces) in templates.iter().zip(keys) {
        if pieces.iter().flatten().any(reads_result) {
            errors.on(
                literal,
                "`<return…>` and `consistency = \"strict\"` exclude each other: a strict write announces its keys before its \
                 body runs, when there is no result to read; use `\"fenced\"`, or take what is needed as an argument",
            );
        }
    }
}
