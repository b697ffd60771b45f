//! The one place that says what is allowed: from the syntax of an annotation and of its function to a model.
//!
//! Nothing returns early: every argument and the whole signature are looked at, so that all errors come at once.

mod arguments;
mod background;
mod batch;
mod handed_in;
mod invalidates;
mod kept;
mod names;
mod numbers;
mod read_through;
mod signature;
mod tags;
#[cfg(test)]
mod tests;
mod timing;
mod value;
mod values;
mod write_behind;
mod write_through;

pub(crate) use invalidates::invalidates;

use syn::Ident;

use crate::args::{Arg, Value};
use crate::diagnostics::Diagnostics;
use crate::function::Function;
use crate::model::{Cached, KeyModel, Pattern, PatternName};
use crate::template::Template;
use arguments::{CACHED, Given};
use names::{Names, Reader};

/// Validates `#[cached(…)]`. The model is there if its key is sound, even if something else is wrong: the companion is
/// made from it then, so that calls of it raise no errors of their own.
pub(crate) fn cached(
    args: &[Arg],
    function: &Function,
    errors: &mut Diagnostics,
) -> Option<Cached> {
    let mut given = Given::check("#[cached]", args, &CACHED, errors);
    let name = given
        .get("pattern")
        .map_or(PatternName::Aside, |arg| values::pattern(arg, errors));
    given.retain_for(name, errors);
    signature::check_cached(name, function, errors);
    let companion = companion(given.get("companion"), function, errors);
    let key = key(&given, name, function, companion, errors);
    let cache = given
        .get("cache")
        .and_then(|arg| values::expression(arg, errors));
    let timing = timing::timing(&given, name, errors);
    let consistency = values::consistency(given.get("consistency"), errors);
    let tags = given.get("tags").map(|arg| {
        let reader = tags_reader(name, &given);
        tags::of_cached(arg, function, reader, errors)
    });
    let pattern = match name {
        PatternName::Aside => {
            if key.as_ref().is_some_and(|key| key.each().is_some()) {
                batch::check(&given, &timing, function, errors);
            } else {
                background::check(&timing, function, errors);
            }
            Pattern::Aside
        }
        PatternName::ReadThrough => {
            read_through::check(&given, key.as_ref(), function, errors);
            Pattern::ReadThrough
        }
        PatternName::WriteThrough => {
            Pattern::WriteThrough(write_through::writer(&given, consistency, function, errors))
        }
        PatternName::WriteBehind => {
            Pattern::WriteBehind(write_behind::writer(&given, key.as_ref(), function, errors))
        }
    };
    Some(Cached {
        pattern,
        timing,
        consistency,
        codec: given
            .get("codec")
            .and_then(|arg| values::codec(arg, errors)),
        schema: given
            .get("schema")
            .and_then(|arg| values::schema(arg, errors))
            .unwrap_or(0),
        companion,
        cache,
        tags: tags.unwrap_or_default(),
        key: key?,
    })
}

/// What a tag may read: the value that is stored, as long as it is what the function returns.
fn tags_reader(pattern: PatternName, given: &Given<'_>) -> Reader {
    match pattern {
        PatternName::Aside | PatternName::ReadThrough => Reader::Tags,
        PatternName::WriteThrough if given.get("value").is_some() => Reader::TagsOfArgument,
        PatternName::WriteThrough => Reader::Tags,
        PatternName::WriteBehind => Reader::WriteBehind,
    }
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
    pattern: PatternName,
    function: &Function,
    companion: bool,
    errors: &mut Diagnostics,
) -> Option<KeyModel> {
    let reader = match pattern {
        PatternName::Aside => Reader::Loader,
        PatternName::ReadThrough => Reader::ReadThrough,
        PatternName::WriteThrough if given.get("version").is_some() => Reader::Versioned,
        PatternName::WriteThrough => Reader::WriteThrough,
        PatternName::WriteBehind => Reader::WriteBehind,
    };
    let names = Names::of(function, reader);
    let skipped = given.get("skip").map(|arg| skipped(arg, &names, errors));
    let Some(key) = given.get("key") else {
        if let (Some(arg), true) = (given.get("pattern"), pattern != PatternName::Aside) {
            let why = if pattern == PatternName::ReadThrough {
                "a read-through loader needs a `key`, as in `key = \"user:<id>\"`: by it the cache finds the loader, and its arguments"
            } else {
                "a writer needs the `key` that its readers use, as in `key = \"user:<id>\"`: a default key is shared with nobody"
            };
            errors.on(arg.value_tokens(), why);
            return None;
        }
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
