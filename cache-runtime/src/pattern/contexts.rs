//! What `Cache::builder().provide(…)` gave, for the arguments marked `#[context]`: of writers and loaders that the runtime runs by itself.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// One value of each type. Cheap to clone.
#[derive(Clone, Default)]
pub struct Contexts(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Contexts {
    /// Adds a value; of one type the last counts.
    pub(crate) fn provide<T: Send + Sync + 'static>(&mut self, value: T) {
        Arc::make_mut(&mut self.0).insert(TypeId::of::<T>(), Arc::new(value));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of this type.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = self.0.get(&TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }

    /// The name of this type, if there is no value of it.
    #[must_use]
    pub fn missing<T: Send + Sync + 'static>(&self) -> Option<&'static str> {
        (!self.0.contains_key(&TypeId::of::<T>())).then(type_name::<T>)
    }
}

impl fmt::Debug for Contexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contexts({})", self.0.len())
    }
}

/// What the cache can hand in.
pub trait Context: Send + Sync + 'static {}

impl<T: Send + Sync + 'static> Context for T {}

/// The name of the type, if the cache was given no value of it.
#[must_use]
pub fn missing<T: Context>(contexts: &Contexts) -> Option<&'static str> {
    contexts.missing::<T>()
}

/// Hands a context in: `#[context] db: Db` is a copy of it, `#[context] db: &Db` borrows it.
#[must_use]
pub fn handed_in<T: Context>(contexts: &Contexts) -> Arc<T> {
    match contexts.get() {
        Some(context) => context,
        // No body is run before all of its contexts have been found.
        None => unreachable!("contexts are looked for before a body is run"),
    }
}

/// A context that the body takes by value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be handed in by value",
    label = "not `Clone`: each run of the body would take it",
    note = "take it by reference, or derive `Clone` for it"
)]
pub trait Shared: Sized {
    /// A copy for one run of the body.
    fn share(&self) -> Self;
}

impl<T: Clone> Shared for T {
    fn share(&self) -> T {
        self.clone()
    }
}
