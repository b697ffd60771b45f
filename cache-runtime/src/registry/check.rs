//! Whether the annotations of the program agree with each other.

use std::fmt;
use std::time::Duration;

use super::functions::{CachedBy, InvalidatedBy, cached, changed_by, invalidating};
use super::{Place, Template};
use crate::cache::Cache;

/// What [`Cache::check`] found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Check {
    /// What is wrong.
    pub errors: Vec<Finding>,
    /// What may be meant so.
    pub warnings: Vec<Finding>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// The function to look at, and others that it is about.
    pub places: Vec<Place>,
    /// What was found, and the way out.
    pub text: String,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// A template is invalidated, and no function caches what it names.
    NeverCached,
    /// A template is cached, and nothing invalidates or replaces it: an entry is as old as its TTL allows.
    NeverInvalidated,
    /// A writer stores what no loader reads.
    NeverRead,
    /// Two templates can make the same key.
    Overlap,
    /// Two functions of one template cache values of different types.
    OtherType,
    /// Two functions of one template store for different times.
    OtherTtl,
    /// Two functions of one template store entries with different tags.
    OtherTags,
    /// A writer stores by the version of its row, and another writer of the row has none.
    Unversioned,
    /// A tag is invalidated, and no entry carries it.
    TagNeverCarried,
    /// Entries carry a tag, and nothing invalidates it.
    TagNeverInvalidated,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { file, line, .. }) = self.places.first() {
            write!(f, "{file}:{line}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.errors.iter().map(|finding| ("error", finding));
        let warnings = self.warnings.iter().map(|finding| ("warning", finding));
        for (level, finding) in errors.chain(warnings) {
            writeln!(f, "{level}: {finding}")?;
        }
        Ok(())
    }
}

impl Check {
    /// Whether there is no error; there may be warnings.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty()
    }

    /// For a test: there is no error.
    ///
    /// # Panics
    ///
    /// With all findings, if there is one.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "annotations that do not agree:\n{self}");
    }

    /// For a test: there is neither an error nor a warning.
    ///
    /// # Panics
    ///
    /// With all findings, if there is one.
    #[track_caller]
    pub fn assert_without_warnings(&self) {
        let nothing = self.is_clean() && self.warnings.is_empty();
        assert!(nothing, "annotations that do not agree:\n{self}");
    }

    /// Without the findings that the test knows of, errors and warnings: `|finding| finding.kind == FindingKind::NeverInvalidated`, say.
    #[must_use]
    pub fn tolerating(mut self, known: impl Fn(&Finding) -> bool) -> Self {
        self.errors.retain(|finding| !known(finding));
        self.warnings.retain(|finding| !known(finding));
        self
    }

    fn error(&mut self, kind: FindingKind, places: Vec<Place>, text: String) {
        self.errors.push(Finding { kind, places, text });
    }

    fn warn(&mut self, kind: FindingKind, places: Vec<Place>, text: String) {
        self.warnings.push(Finding { kind, places, text });
    }
}

impl Cache {
    /// Compares the annotations of the program with each other. One line in a test keeps them right:
    ///
    /// ```standalone_crate
    /// # use cache_runtime::{Cache, cached, invalidates};
    /// #[cached(key = "user:<id>", ttl = 300)]
    /// async fn load_user(id: u64) -> u64 { id }
    ///
    /// #[invalidates("usr:<id>")]
    /// async fn rename_user(id: u64, name: &str) {}
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// # let cache = Cache::builder().build().await?;
    /// // cache.check().assert_clean(); // would panic with this:
    /// let found = cache.check().to_string();
    /// assert!(found.contains("invalidates `usr:<id>`, which no function caches; did you mean `user:<id>`?"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Errors are: a template that is invalidated and never cached, a tag that is invalidated and never carried; two templates that can make the same key, as `user:<name>` of a `&str` and `user:all`; two functions of one
    /// template that cache different types, or under different tags. Warnings are: a template that is cached and never invalidated, so that only its TTL bounds its age (a default key is not
    /// among them: no writer can name it); a tag that nothing invalidates; a value that a writer stores and no loader reads; different TTLs for one template; a writer that stores by
    /// `version` beside one that has none.
    ///
    /// What two functions differ in is a warning where either names its cache (`cache = …`), as they may be on different ones. So is `user:<id>` beside `user:all` where the type of `id` does not tell:
    /// a `u64` is never a word, a `&str` or `String` may be any, and of `UserId` nothing is known.
    ///
    /// What is invalidated by [`Cache::invalidate`], [`Cache::invalidate_tag`] or a companion is not seen, and functions with a default key are not compared with others.
    #[must_use]
    pub fn check(&self) -> Check {
        let (cached, invalidating) = (cached(), invalidating());
        let mut check = Check::default();
        for writer in &invalidating {
            never_cached(writer, &cached, &mut check);
            never_carried(writer, &cached, &mut check);
        }
        for (index, function) in cached.iter().enumerate() {
            let earlier = &cached[..index];
            let is_first = !earlier
                .iter()
                .any(|other| other.stores && other.template == function.template);
            if function.stores && is_first {
                unmatched(function, &cached, &invalidating, &mut check);
            }
            if function.stores {
                tags_not_invalidated(function, earlier, &invalidating, &mut check);
            }
            if function.versioned {
                without_version(function, &cached, &invalidating, &mut check);
            }
            for other in earlier.iter().filter(|other| other.stores) {
                if function.stores {
                    compare(other, function, self.inner.settings.default_ttl, &mut check);
                }
            }
        }
        check
    }
}

fn never_cached(writer: &InvalidatedBy, cached: &[CachedBy], check: &mut Check) {
    for (source, template) in &writer.templates {
        let stored = cached.iter().filter(|function| function.stores);
        if stored
            .clone()
            .any(|function| function.template.overlaps(template))
        {
            continue;
        }
        let near = near(
            template,
            stored.map(|function| (function.spec.template(), &function.template)),
        );
        let place = writer.place();
        let text = format!(
            "`{}` invalidates `{source}`, which no function caches{near}",
            place.name
        );
        check.error(FindingKind::NeverCached, vec![place], text);
    }
}

/// Looks for writers whose writes are not in the order of the versions.
fn without_version(
    function: &CachedBy,
    cached: &[CachedBy],
    invalidating: &[InvalidatedBy],
    check: &mut Check,
) {
    let storing = cached.iter().filter(|other| {
        !other.loads() && !other.versioned && other.template.overlaps(&function.template)
    });
    let reaching = invalidating
        .iter()
        .filter(|writer| writer.reaches(function));
    let others = storing
        .map(CachedBy::place)
        .chain(reaching.map(InvalidatedBy::place));
    for other in others {
        let place = function.place();
        let text = format!(
            "`{}` stores `{}` by its `version`, and {other} changes it without one: an older write that is on its way meanwhile \
             may be stored after that, and stay until its TTL; give every writer of the row a version, or none",
            place.name,
            function.spec.template()
        );
        check.warn(FindingKind::Unversioned, vec![place, other], text);
    }
}

fn never_carried(writer: &InvalidatedBy, cached: &[CachedBy], check: &mut Check) {
    for (source, tag) in &writer.tags {
        let carried = cached.iter().filter(|function| function.stores);
        let carried = carried.flat_map(|function| &function.tags);
        if carried.clone().any(|(_, carried)| carried.overlaps(tag)) {
            continue;
        }
        let near = near(tag, carried.map(|(source, carried)| (*source, carried)));
        let place = writer.place();
        let text = format!(
            "`{}` invalidates the tag `{source}`, which no entry carries{near}",
            place.name
        );
        check.error(FindingKind::TagNeverCarried, vec![place], text);
    }
}

/// Looks for tags that nothing invalidates; each is reported of the first function that has it.
fn tags_not_invalidated(
    function: &CachedBy,
    earlier: &[CachedBy],
    invalidating: &[InvalidatedBy],
    check: &mut Check,
) {
    for (source, tag) in &function.tags {
        let reported = earlier
            .iter()
            .filter(|other| other.stores)
            .flat_map(|other| &other.tags)
            .any(|(_, other)| other == tag);
        let mut invalidated = invalidating.iter().flat_map(|writer| &writer.tags);
        if reported || invalidated.any(|(_, other)| other.overlaps(tag)) {
            continue;
        }
        let place = function.place();
        let text = format!(
            "entries of `{}` carry the tag `{source}`, which nothing invalidates",
            place.name
        );
        check.warn(FindingKind::TagNeverInvalidated, vec![place], text);
    }
}

/// What may have been meant by a template that fits none of these.
fn near<'t>(
    template: &Template,
    known: impl Iterator<Item = (&'static str, &'t Template)>,
) -> String {
    let example = template.example();
    let nearest = known
        .map(|(source, known)| (known.distance(&example), known.literal_length(), source))
        .min_by_key(|(distance, ..)| *distance)
        .filter(|(distance, length, _)| *distance <= length / 3);
    nearest.map_or(String::new(), |(.., source)| {
        format!("; did you mean `{source}`?")
    })
}

/// Looks for those who change what this function caches, and for those who read what it stores.
fn unmatched(
    function: &CachedBy,
    cached: &[CachedBy],
    invalidating: &[InvalidatedBy],
    check: &mut Check,
) {
    let (place, source) = (function.place(), function.spec.template());
    let of_template = || {
        cached
            .iter()
            .filter(|other| other.template == function.template)
    };
    let is_read = cached
        .iter()
        .any(|other| other.loads() && other.template.overlaps(&function.template));
    if !is_read {
        let text = format!("`{}` stores `{source}`, which no loader reads", place.name);
        check.warn(FindingKind::NeverRead, vec![place], text);
    } else if !function.has_default_key()
        && of_template().all(CachedBy::loads)
        && changed_by(function, cached, invalidating).is_empty()
    {
        let text = format!(
            "`{}` caches `{source}`, which nothing invalidates: an entry may be as old as its TTL",
            place.name
        );
        check.warn(FindingKind::NeverInvalidated, vec![place], text);
    }
}

fn compare(one: &CachedBy, other: &CachedBy, default_ttl: Duration, check: &mut Check) {
    // Such a key has its function's path, and what its arguments are is not in the template.
    if one.has_default_key() || other.has_default_key() {
        return;
    }
    // Where a cache is named they need not be on the same one.
    let apart = one.spec.has_own_cache() || other.spec.has_own_cache();
    let mut report = |is_sure: bool, kind, places, text| {
        if is_sure && !apart {
            check.error(kind, places, text);
        } else {
            check.warn(kind, places, text);
        }
    };
    let places = || vec![other.place(), one.place()];
    let (name, with) = (other.spec.name(), one.place());
    if one.template != other.template {
        if one.template.overlaps(&other.template) {
            let text = format!(
                "`{}` of `{name}` and `{}` of {with} can make the same key: give one of them another text",
                other.spec.template(),
                one.spec.template()
            );
            let is_sure = one.template.surely_overlaps(&other.template);
            report(is_sure, FindingKind::Overlap, places(), text);
        }
        return;
    }
    let template = other.spec.template();
    if let (Some(a), Some(b)) = (other.value, one.value)
        && a != b
    {
        let text = format!("`{name}` caches `{a}` as `{template}`, and {with} `{b}`");
        report(true, FindingKind::OtherType, places(), text);
    }
    let lacks = |a: &CachedBy, b: &CachedBy| {
        let carries = |tag| a.tags.iter().any(|(_, own)| own == tag);
        let missing = b.tags.iter().find(|(_, tag)| !carries(tag));
        missing.map(|(source, _)| (*source, a.place().name))
    };
    if let Some((tag, without)) = lacks(other, one).or_else(|| lacks(one, other)) {
        let text = format!(
            "`{name}` and {with} both store `{template}`, and `{without}` without the tag `{tag}`: invalidating it would not \
             reach what that one has stored"
        );
        report(true, FindingKind::OtherTags, places(), text);
    }
    let ttl = |function: &CachedBy| function.spec.own_ttl(default_ttl);
    if let (Some(a), Some(b)) = (ttl(other), ttl(one))
        && a != b
    {
        let text = format!("`{name}` caches `{template}` for {a:?}, and {with} for {b:?}");
        report(false, FindingKind::OtherTtl, places(), text);
    }
}
