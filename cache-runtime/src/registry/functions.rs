//! Every annotated function of the program.

use std::fmt;
use std::time::Duration;

use super::{CachedFunction, InvalidatingFunction, Template, value_name};
use crate::cache::Cache;
use crate::spec::{Consistency, Pattern, Spec, WriterSpec};

/// A function's name and where it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Place {
    /// The source file, as the compiler names it.
    pub file: &'static str,
    /// The line of the annotation.
    pub line: u32,
    /// The module.
    pub module: &'static str,
    /// The function's name.
    pub name: &'static str,
}

impl Place {
    pub(crate) fn of(spec: &Spec) -> Self {
        Self {
            file: spec.file(),
            line: spec.line(),
            module: spec.module(),
            name: spec.name(),
        }
    }

    fn of_writer(spec: &WriterSpec) -> Self {
        Self {
            file: spec.file(),
            line: spec.line(),
            module: spec.module(),
            name: spec.name(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}:{})", self.name, self.file, self.line)
    }
}

/// What is known of an annotated function before it is called.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FunctionInfo {
    /// Its name, and where it is written.
    pub place: Place,
    /// What it does with the entries of its templates; `None` for `#[invalidates]`.
    pub pattern: Option<Pattern>,
    /// The template of its key as it is written, or for a default key the function's path and the names of its arguments; the templates of `#[invalidates]`.
    pub templates: Vec<&'static str>,
    /// The name of the type that it caches, inside of `Result`, `Option`, `Arc` and a batch loader's collection; `None` for what caches nothing, and for a method or a generic function,
    /// whose types are those of a call.
    pub value: Option<&'static str>,
    /// `ttl`; `None` for the cache's default, or one that comes from each value.
    pub ttl: Option<Duration>,
    /// `negative_ttl`.
    pub negative_ttl: Option<Duration>,
    /// `refresh_after`.
    pub refresh_after: Option<Duration>,
    /// The templates of its entries' tags; for `#[invalidates]` of the tags that it invalidates.
    pub tags: Vec<&'static str>,
    /// `consistency`.
    pub consistency: Consistency,
    /// The functions that invalidate or replace an entry that it may have cached.
    pub invalidated_by: Vec<Place>,
}

impl fmt::Display for FunctionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place {
            file, line, name, ..
        } = &self.place;
        write!(f, "{file}:{line}: {name}: ")?;
        match self.pattern {
            Some(pattern) => f.write_str(pattern.name())?,
            None => f.write_str("invalidates")?,
        }
        for template in &self.templates {
            write!(f, " `{template}`")?;
        }
        for tag in &self.tags {
            write!(f, ", tag `{tag}`")?;
        }
        let times = [
            ("ttl", self.ttl),
            ("negative_ttl", self.negative_ttl),
            ("refresh_after", self.refresh_after),
        ];
        for (name, time) in times {
            if let Some(time) = time {
                write!(f, ", {name} {time:?}")?;
            }
        }
        if let Some((first, rest)) = self.invalidated_by.split_first() {
            write!(f, ", invalidated by {first}")?;
            rest.iter().try_for_each(|place| write!(f, ", {place}"))?;
        }
        Ok(())
    }
}

/// A cached function as the program's list has it, taken apart.
#[derive(Debug)]
pub(super) struct CachedBy {
    pub(super) spec: &'static Spec,
    pub(super) template: Template,
    pub(super) value: Option<&'static str>,
    pub(super) stores: bool,
    /// It stores what is newer by the version of its row.
    pub(super) versioned: bool,
    pub(super) tags: Vec<(&'static str, Template)>,
}

fn parsed(sources: &'static [&'static str]) -> Vec<(&'static str, Template)> {
    let parsed = |&source| (source, Template::parse(source));
    sources.iter().map(parsed).collect()
}

impl CachedBy {
    fn new(function: &CachedFunction) -> Self {
        let spec = function.spec;
        let is_batch = spec.template().contains("[]");
        Self {
            spec,
            template: Template::with_kinds(spec.template(), function.kinds),
            value: function.value.map(|name| value_name::of(name(), is_batch)),
            stores: function.stores,
            versioned: function.versioned,
            tags: parsed(spec.tag_templates()),
        }
    }

    pub(super) fn place(&self) -> Place {
        Place::of(self.spec)
    }

    pub(super) fn loads(&self) -> bool {
        matches!(self.spec.pattern(), Pattern::Aside | Pattern::ReadThrough)
    }

    /// Whether its key is made of its own path: no other function can name it.
    pub(super) fn has_default_key(&self) -> bool {
        let rest = self.spec.template().strip_prefix(self.spec.module());
        rest.and_then(|rest| rest.strip_prefix("::"))
            .is_some_and(|rest| rest.starts_with(self.spec.name()))
    }
}

/// An `#[invalidates]`, taken apart.
#[derive(Debug)]
pub(super) struct InvalidatedBy {
    pub(super) spec: &'static WriterSpec,
    pub(super) templates: Vec<(&'static str, Template)>,
    pub(super) tags: Vec<(&'static str, Template)>,
}

impl InvalidatedBy {
    pub(super) fn place(&self) -> Place {
        Place::of_writer(self.spec)
    }

    /// Whether it may invalidate an entry of the function, by its key or by a tag.
    pub(super) fn reaches(&self, function: &CachedBy) -> bool {
        let by_key = |(_, template): &(_, Template)| template.overlaps(&function.template);
        let carries = |tag: &Template| function.tags.iter().any(|(_, own)| own.overlaps(tag));
        self.templates.iter().any(by_key) || self.tags.iter().any(|(_, tag)| carries(tag))
    }
}

/// The functions with `#[cached]`, in the order of their places.
pub(super) fn cached() -> Vec<CachedBy> {
    let all = inventory::iter::<CachedFunction>();
    let mut all: Vec<_> = all.map(CachedBy::new).collect();
    all.sort_by_key(CachedBy::place);
    all
}

/// The functions with `#[invalidates]`, in the order of their places.
pub(super) fn invalidating() -> Vec<InvalidatedBy> {
    let taken_apart = |InvalidatingFunction(spec): &InvalidatingFunction| InvalidatedBy {
        spec,
        templates: parsed(spec.templates()),
        tags: parsed(spec.tag_templates()),
    };
    let all = inventory::iter::<InvalidatingFunction>();
    let mut all: Vec<_> = all.map(taken_apart).collect();
    all.sort_by_key(InvalidatedBy::place);
    all
}

/// The functions that invalidate or replace what this one caches.
pub(super) fn changed_by(
    function: &CachedBy,
    cached: &[CachedBy],
    invalidating: &[InvalidatedBy],
) -> Vec<Place> {
    let writers = cached
        .iter()
        .filter(|other| !other.loads() && !std::ptr::eq(other.spec, function.spec))
        .filter(|writer| writer.template.overlaps(&function.template))
        .map(CachedBy::place);
    let invalidating = invalidating
        .iter()
        .filter(|writer| writer.reaches(function))
        .map(InvalidatedBy::place);
    let mut places: Vec<_> = writers.chain(invalidating).collect();
    places.sort();
    places
}

impl Cache {
    /// Every annotated function of the program, in the order of their places: methods, generic functions and functions inside of others, whether they were called or not.
    ///
    /// A function with both attributes is there once for each. Functions of a library are there if the library is linked in.
    ///
    /// ```standalone_crate
    /// use cache_runtime::{Cache, Pattern, cached, invalidates};
    ///
    /// #[cached(key = "user:<id>", ttl = 300)]
    /// async fn load_user(id: u64) -> u64 { id }
    ///
    /// #[invalidates("user:<id>")]
    /// async fn rename_user(id: u64, name: &str) {}
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// let cache = Cache::builder().build().await?;
    /// let functions = cache.functions();
    /// let load_user = functions.iter().find(|function| function.place.name == "load_user").unwrap();
    /// assert_eq!(load_user.pattern, Some(Pattern::Aside));
    /// assert_eq!(load_user.templates, ["user:<id>"]);
    /// assert_eq!(load_user.invalidated_by[0].name, "rename_user");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn functions(&self) -> Vec<FunctionInfo> {
        let (cached, invalidating) = (cached(), invalidating());
        let of_cached = cached.iter().map(|function| {
            let spec = function.spec;
            FunctionInfo {
                place: function.place(),
                pattern: Some(spec.pattern()),
                templates: vec![spec.template()],
                value: function.value,
                ttl: spec.ttl(),
                negative_ttl: spec.negative_ttl(),
                refresh_after: spec.refresh_after(),
                tags: spec.tag_templates().to_vec(),
                consistency: spec.consistency_level(),
                invalidated_by: changed_by(function, &cached, &invalidating),
            }
        });
        let of_writers = invalidating.iter().map(|writer| FunctionInfo {
            place: writer.place(),
            pattern: None,
            templates: writer.spec.templates().to_vec(),
            value: None,
            ttl: None,
            negative_ttl: None,
            refresh_after: None,
            tags: writer.spec.tag_templates().to_vec(),
            consistency: writer.spec.consistency_level(),
            invalidated_by: Vec::new(),
        });
        let mut all: Vec<_> = of_cached.chain(of_writers).collect();
        all.sort_by(|a, b| a.place.cmp(&b.place));
        all
    }
}
