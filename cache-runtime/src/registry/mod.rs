//! What the program consists of: every annotated function, and the loaders that the cache can run by their keys.
//!
//! The macros enter each function when the program starts, before `main`. Nothing is entered later, so what is read here once stays true.

mod build;
mod check;
mod functions;
mod get;
pub(crate) mod template;
mod value_name;

use once_cell::sync::Lazy;

pub(crate) use build::check;
pub use check::{Check, Finding, FindingKind};
pub use functions::{FunctionInfo, Place};
pub(crate) use get::load;
pub use get::{GetError, LoadFailure};
pub(crate) use template::{Kinds, Template};

use crate::key::Key;
use crate::pattern::read_through::{Arguments, Loader};
use crate::spec::{Spec, WriterSpec};

/// A function with `#[cached]`. Entered by its expansion.
#[derive(Debug)]
pub struct CachedFunction {
    spec: &'static Spec,
    /// The name of the type that holds what is stored, of a function that is not generic.
    value: Option<fn() -> &'static str>,
    stores: bool,
    versioned: bool,
    kinds: Kinds,
}

impl CachedFunction {
    /// A function of which no more is known than its annotation says.
    #[must_use]
    pub const fn new(spec: &'static Spec) -> Self {
        Self {
            spec,
            value: None,
            stores: true,
            versioned: false,
            kinds: Kinds {
                numbers: 0,
                texts: 0,
            },
        }
    }

    /// Sets the type that holds what is stored: a result, or an argument.
    #[must_use]
    pub const fn value(mut self, name: fn() -> &'static str) -> Self {
        self.value = Some(name);
        self
    }

    /// Says which placeholders of the template stand for integers, from the lowest bit on.
    #[must_use]
    pub const fn numbers(mut self, numbers: u64) -> Self {
        self.kinds.numbers = numbers;
        self
    }

    /// Says which placeholders of the template stand for any text, from the lowest bit on.
    #[must_use]
    pub const fn texts(mut self, texts: u64) -> Self {
        self.kinds.texts = texts;
        self
    }

    /// Says that the function stores by the version of its row.
    #[must_use]
    pub const fn versioned(mut self) -> Self {
        self.versioned = true;
        self
    }

    /// Says that the function removes entries, and stores none.
    #[must_use]
    pub const fn stores_nothing(mut self) -> Self {
        self.stores = false;
        self
    }
}

inventory::collect!(CachedFunction);

/// A function with `#[invalidates]`. Entered by its expansion.
#[derive(Debug)]
pub struct InvalidatingFunction(pub &'static WriterSpec);

inventory::collect!(InvalidatingFunction);

/// A read-through loader. Entered by its expansion.
#[derive(Debug)]
pub struct RegisteredLoader(pub fn() -> Box<dyn Loader>);

inventory::collect!(RegisteredLoader);

/// A loader with its template.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) loader: Box<dyn Loader>,
    pub(crate) template: Template,
}

impl Entry {
    /// Its arguments, as the key says them.
    pub(crate) fn arguments(&self, key: &Key) -> Option<Arguments> {
        self.loader.arguments(&self.template.values(key)?)
    }

    /// Its name and place, for a message.
    pub(crate) fn described(&self) -> String {
        Place::of(self.loader.spec()).to_string()
    }
}

/// The read-through loaders of the program, in the order of their places.
pub(crate) fn loaders() -> &'static [Entry] {
    static LOADERS: Lazy<Vec<Entry>> = Lazy::new(|| {
        let registered = inventory::iter::<RegisteredLoader>();
        let mut loaders: Vec<_> = registered
            .map(|registered| {
                let loader = (registered.0)();
                let template = Template::parse(loader.spec().template());
                Entry { loader, template }
            })
            .collect();
        loaders.sort_by_key(|entry| {
            let spec = entry.loader.spec();
            (spec.file(), spec.line())
        });
        loaders
    });
    &LOADERS
}

/// The loader of this description.
pub(crate) fn loader_of(spec: &'static Spec) -> Option<&'static Entry> {
    loaders()
        .iter()
        .find(|entry| std::ptr::eq(entry.loader.spec(), spec))
}

/// The cached functions of the program, with their templates.
fn functions() -> impl Iterator<Item = (&'static Spec, Template)> {
    let all = inventory::iter::<CachedFunction>();
    all.map(|function| (function.spec, Template::parse(function.spec.template())))
}
