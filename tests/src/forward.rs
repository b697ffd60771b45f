//! Backends that do most of what another does.

/// Operations of a [`Backend`](cache_runtime::backend::Backend) that are handed on to the field `inner`, inside of the `impl`:
///
/// ```ignore
/// impl Backend for Held {
///     tests::forward!(format, get, renew, release);
///     // … and what it does itself
/// }
/// ```
#[macro_export]
macro_rules! forward {
    ($($operation:ident),+ $(,)?) => { $($crate::forward!(@ $operation);)+ };
    (@ format) => {
        fn format(&self) -> ::cache_runtime::backend::Format {
            self.inner.format()
        }
    };
    (@ get) => { $crate::forward!(@ get(key: &'a ::cache_runtime::Key) -> Option<::cache_runtime::backend::Stored>); };
    (@ renew) => { $crate::forward!(@ renew(key: &'a ::cache_runtime::Key, token: ::cache_runtime::backend::Token, ttl: ::std::time::Duration) -> bool); };
    (@ fill) => {
        $crate::forward!(@ fill(
            key: &'a ::cache_runtime::Key,
            token: ::cache_runtime::backend::Token,
            value: ::cache_runtime::backend::Stored,
            keep: ::std::time::Duration
        ) -> bool);
    };
    (@ release) => { $crate::forward!(@ release(key: &'a ::cache_runtime::Key, token: ::cache_runtime::backend::Token) -> ()); };
    (@ invalidate) => { $crate::forward!(@ invalidate(keys: &'a [::cache_runtime::Key]) -> ()); };
    (@ put) => {
        $crate::forward!(@ put(
            key: &'a ::cache_runtime::Key,
            value: ::cache_runtime::backend::Stored,
            keep: ::std::time::Duration
        ) -> bool);
    };
    (@ begin_write) => {
        $crate::forward!(@ begin_write(
            key: &'a ::cache_runtime::Key,
            token: ::cache_runtime::backend::Token,
            ttl: ::std::time::Duration
        ) -> ::cache_runtime::backend::TagVersion);
    };
    (@ renew_write) => {
        $crate::forward!(@ renew_write(
            key: &'a ::cache_runtime::Key,
            token: ::cache_runtime::backend::Token,
            ttl: ::std::time::Duration
        ) -> bool);
    };
    (@ end_write) => {
        $crate::forward!(@ end_write(
            key: &'a ::cache_runtime::Key,
            token: ::cache_runtime::backend::Token,
            value: Option<(::cache_runtime::backend::Stored, ::std::time::Duration)>
        ) -> ::cache_runtime::backend::WriteEnd);
    };
    (@ put_if_newer) => {
        $crate::forward!(@ put_if_newer(
            key: &'a ::cache_runtime::Key,
            version: u64,
            value: ::cache_runtime::backend::Stored,
            keep: ::std::time::Duration
        ) -> bool);
    };
    (@ versions) => { $crate::forward!(@ versions(tags: &'a [::cache_runtime::Key]) -> ::cache_runtime::backend::Versions); };
    (@ invalidate_tags) => { $crate::forward!(@ invalidate_tags(tags: &'a [::cache_runtime::Key]) -> ()); };
    (@ bump_namespace) => { $crate::forward!(@ bump_namespace() -> ()); };
    (@ wait) => {
        $crate::forward!(@ wait(
            key: &'a ::cache_runtime::Key,
            token: ::cache_runtime::backend::Token,
            patience: ::std::time::Duration
        ) -> ());
    };
    (@ clear) => { $crate::forward!(@ clear() -> ()); };
    (@ ping) => { $crate::forward!(@ ping() -> ()); };
    (@ $operation:ident($($argument:ident: $type:ty),*) -> $answer:ty) => {
        fn $operation<'a>(&'a self, $($argument: $type),*) -> ::cache_runtime::backend::BackendFuture<'a, $answer> {
            self.inner.$operation($($argument),*)
        }
    };
}
