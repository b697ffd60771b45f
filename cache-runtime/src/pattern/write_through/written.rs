//! What is stored of a write, and its version.

use crate::pattern::entries::CacheValue;
use crate::shape::Shape;

/// What is stored of a write.
pub trait Written<S: Shape> {
    /// What is stored.
    type Value: CacheValue;
    /// The shape of what is stored.
    type Kept: Shape<Value = Self::Value>;

    /// That shape.
    fn shape(&self) -> Self::Kept;

    /// The value, if the call succeeded and there is one.
    fn value<'v>(&'v self, shape: S, output: &'v S::Output) -> Option<&'v Self::Value>;
}

/// The writer's result is stored.
#[derive(Debug, Clone, Copy)]
pub struct OfResult<K>(pub K);

impl<S, K> Written<S> for OfResult<K>
where
    S: Shape,
    K: Shape<Output = S::Output>,
    K::Value: CacheValue,
{
    type Value = K::Value;
    type Kept = K;

    fn shape(&self) -> K {
        self.0
    }

    fn value<'v>(&'v self, _: S, output: &'v S::Output) -> Option<&'v K::Value> {
        self.0.peek(output)
    }
}

/// An argument is stored: `value = user`. It is copied before the body takes it.
#[derive(Debug, Clone, Copy)]
pub struct OfArgument<K: Shape>(pub K, pub K::Output);

impl<S, K> Written<S> for OfArgument<K>
where
    S: Shape,
    K: Shape,
    K::Value: CacheValue,
{
    type Value = K::Value;
    type Kept = K;

    fn shape(&self) -> K {
        self.0
    }

    fn value<'v>(&'v self, shape: S, output: &'v S::Output) -> Option<&'v K::Value> {
        shape
            .succeeded(output)
            .then(|| self.0.peek(&self.1))
            .flatten()
    }
}

/// A row's version: `version = "<return.version>"`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the version of a row",
    label = "not an integer of at most 64 bits",
    note = "versions are compared as numbers: take the row's own counter, which the database raises with each change"
)]
pub trait RowVersion {
    /// The version as the fence keeps it. What is negative counts as zero.
    fn row_version(&self) -> u64;
}

macro_rules! row_versions {
    ($($int:ty)*) => {$(
        impl RowVersion for $int {
            fn row_version(&self) -> u64 {
                u64::try_from(*self).unwrap_or(0)
            }
        }
    )*};
}

row_versions!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

impl<V: RowVersion + ?Sized> RowVersion for &V {
    fn row_version(&self) -> u64 {
        (**self).row_version()
    }
}
