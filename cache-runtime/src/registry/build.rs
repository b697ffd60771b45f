//! What is looked at when a cache is built: whether it can run the program's loaders, and whether they agree.

use std::time::Duration;

use super::{Entry, loaders};
use crate::cache::Settings;
use crate::error::ConfigError;
use crate::pattern::contexts::Contexts;

/// If the cache is to run loaders, looks for a context that one of them lacks, and for two that claim one template and differ. One that names its cache
/// may never be run by this one, and is neither asked for its contexts nor compared.
pub(crate) fn check(contexts: &Contexts, settings: &Settings) -> Result<(), ConfigError> {
    if !settings.loaders {
        return Ok(());
    }
    let all = loaders().iter();
    let all: Vec<_> = all
        .filter(|entry| !entry.loader.spec().has_own_cache())
        .collect();
    for (index, one) in all.iter().enumerate() {
        let same = |other: &&&Entry| other.template == one.template;
        for other in all[index + 1..].iter().filter(same) {
            agree(one, other, settings.default_ttl)?;
        }
    }
    all.iter()
        .try_for_each(|entry| is_provided(entry, contexts))
}

fn agree(one: &Entry, other: &Entry, default_ttl: Duration) -> Result<(), ConfigError> {
    let (a, b) = (one.loader.value(), other.loader.value());
    let differ = if a.id == b.id {
        let ttl = |entry: &Entry| match entry.loader.spec().own_ttl(default_ttl) {
            Some(ttl) => format!("{ttl:?}"),
            None => "what each value says".to_owned(),
        };
        let (a, b) = (ttl(one), ttl(other));
        (a != b).then(|| format!("TTLs of {a} and {b}"))
    } else {
        Some(format!("values of `{}` and `{}`", a.name, b.name))
    };
    let Some(differ) = differ else {
        return Ok(());
    };
    Err(ConfigError::new(
        format!("template `{}`", one.loader.spec().template()),
        format!(
            "{} and {} both claim it, with {differ}: give one of them a template of its own",
            one.described(),
            other.described()
        ),
    ))
}

fn is_provided(entry: &Entry, contexts: &Contexts) -> Result<(), ConfigError> {
    let Some(context) = entry.loader.missing(contexts) else {
        return Ok(());
    };
    Err(ConfigError::new(
        format!("context of {}", entry.described()),
        format!(
            "it needs `{context}`: give it to the cache with `Cache::builder().provide(…)`, or leave loading to other processes with `.loaders(false)`"
        ),
    ))
}
