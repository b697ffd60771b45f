//! What `Cache::builder().provide(…)` gave, for the arguments marked `#[context]`.

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
