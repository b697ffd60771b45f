//! Refresh-ahead: entries that are being read are replaced when they reach their soft TTL, before they expire and without a caller.
//!
//! Each cache has one task that sleeps until the next of its entries is due. What was read since it was loaded is loaded again, under the lease that any load
//! takes, so that of several processes one does it; what was not is forgotten. Each loader has places of its own for its loads. A read leaves no more than the time, in two slots that
//! its key is hashed to: a key may be taken for read whose slots are both shared with keys that were, never the other way round.

mod lanes;
mod plan;
mod reads;

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::lanes::Lanes;
use self::plan::{Due, Plan, Watched};
use self::reads::Reads;
use crate::backend::Life;
use crate::cache::{Cache, Inner};
use crate::clock::Clock;
use crate::key::Key;
use crate::race;
use crate::registry;
use crate::spec::Spec;

/// After this an entry is looked at again of which no more is known than that now nothing can be done.
const PAUSE: Duration = Duration::from_millis(250);

/// What a look at an entry that is due came to.
#[derive(Debug, Clone, Copy)]
pub enum Next {
    /// There is nothing to be kept fresh.
    Forget,
    /// It is newer than was known: so old, and due in so long.
    Newer {
        /// How old.
        age: Duration,
        /// Due in how long.
        left: Duration,
        /// Expires in how long.
        ttl_left: Duration,
    },
    /// It could not be replaced now. Without a time: soon.
    Later(Option<Duration>),
}

/// The entries that a cache keeps fresh. Ends with the cache.
pub(crate) struct Ahead(Arc<Shared>);

struct Shared {
    clock: Clock,
    reads: Reads,
    plan: Mutex<Plan>,
    lanes: Mutex<Lanes>,
    /// Rung when something is due earlier than was known, and when there is a place for what waits.
    changed: Notify,
    stopped: AtomicBool,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Ahead {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self(Arc::new(Shared {
            clock: clock.clone(),
            reads: Reads::default(),
            plan: Mutex::default(),
            lanes: Mutex::default(),
            changed: Notify::new(),
            stopped: AtomicBool::new(false),
            task: Mutex::default(),
        }))
    }

    /// Notes that the key was read.
    #[inline]
    pub(crate) fn saw(&self, key: &Key) {
        if let Some(marks) = self.0.reads.of(key) {
            marks.set(self.0.clock.coarse().number());
        }
    }
}

/// Notes that an entry of this process was read. The first read since it was stored sees to it that it is watched: a writer, another
/// function or another cache of the same store may have stored it.
#[inline]
pub(crate) fn read_here(cache: &Cache, spec: &'static Spec, key: &Key, life: &Life) {
    if !cache.inner.settings.loaders {
        return;
    }
    let shared = &cache.inner.ahead.0;
    shared.reads.begin();
    let Some(marks) = shared.reads.of(key) else {
        return;
    };
    let now = shared.clock.coarse();
    let last = marks.last();
    if last >= now.number() {
        return;
    }
    let loaded = now.before(life.age()).number();
    // Where that could not be found out the marks are as old as the entry: a read all the same, and the next one tries again.
    let found_out = last > loaded || meet(cache, spec, key, life);
    marks.set(if found_out { now.number() } else { loaded });
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        self.0.changed.notify_one();
    }
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ahead")
    }
}

/// Watches an entry of the function, which has just been stored. Without a runtime there is nobody to replace it, and nothing is done.
pub(crate) fn watch(cache: &Cache, spec: &'static Spec, key: &Key, life: &Life) {
    let inner = &cache.inner;
    let shared = &inner.ahead.0;
    let Some(watched) = to_be_watched(inner, spec, life) else {
        return;
    };
    if Shared::ensure_task(inner) && shared.plan().watch(key, watched) {
        shared.changed.notify_one();
    }
}

/// Watches an entry that was read, unless it is watched already. A reader does not wait to find out: `false` if it would have had to.
#[cold]
pub(crate) fn meet(cache: &Cache, spec: &'static Spec, key: &Key, life: &Life) -> bool {
    let inner = &cache.inner;
    let shared = &inner.ahead.0;
    let mut plan = match shared.plan.try_lock() {
        Ok(plan) => plan,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return false,
    };
    if !plan.knows(key)
        && let Some(watched) = to_be_watched(inner, spec, life)
        && Shared::ensure_task(inner)
        && plan.watch(key, watched)
    {
        shared.changed.notify_one();
    }
    true
}

/// What is to be known of an entry of the function; `None` if it is not to be replaced ahead.
fn to_be_watched(inner: &Inner, spec: &'static Spec, life: &Life) -> Option<Watched> {
    let soft = life.soft().or(spec.refresh_after())?;
    if soft >= life.ttl() || !can_load(inner, spec) {
        return None;
    }
    let shared = &inner.ahead.0;
    shared.reads.begin();
    let (age, now) = (life.age(), shared.clock.now());
    Some(Watched {
        spec,
        loaded: shared.clock.coarse().before(age),
        due: now.after(soft.saturating_sub(age)),
        expires: now.after(life.ttl().saturating_sub(age)),
    })
}

/// Whether this cache is to run the loader, and has what it takes.
fn can_load(inner: &Inner, spec: &'static Spec) -> bool {
    inner.settings.loaders
        && registry::loader_of(spec)
            .is_some_and(|entry| entry.loader.missing(&inner.contexts).is_none())
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the task, or another one if it has ended with its runtime.
    fn ensure_task(cache: &Arc<Inner>) -> bool {
        let shared = &cache.ahead.0;
        let mut task = shared.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return true;
        }
        let Ok(runtime) = Handle::try_current() else {
            return false;
        };
        let work = keep_fresh(Arc::clone(shared), Arc::downgrade(cache));
        *task = Some(runtime.spawn(work));
        true
    }

    /// What is to be replaced now, or when that will be.
    fn next(&self) -> Due {
        let now = self.clock.now();
        self.plan()
            .next(now, |key, loaded| self.reads.was_read_since(key, loaded))
    }
}

/// Replaces what is due for as long as there is the cache.
async fn keep_fresh(shared: Arc<Shared>, cache: Weak<Inner>) {
    loop {
        let mut changed = pin!(shared.changed.notified());
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        if shared.lanes().is_ready() {
            let Some(inner) = cache.upgrade() else {
                return;
            };
            // Nothing can be told of any entry: they wait, instead of each finding that out for itself.
            if inner.guarded.is_open() {
                drop(inner);
                race::first(changed, pin!(shared.clock.sleep(PAUSE))).await;
                continue;
            }
            let next = shared.lanes().enter();
            if let Some((key, watched)) = next {
                let work = Replacing::new(&shared, key, watched);
                tokio::spawn(work.run(Cache { inner }));
            }
            continue;
        }
        match shared.next() {
            Due::Now(key, watched) => {
                shared.lanes().wait(key, watched);
                // Thousands may be due at once, and others want to run too.
                tokio::task::yield_now().await;
            }
            Due::At(moment) => {
                race::first(changed, pin!(shared.clock.sleep_until(moment))).await;
            }
            Due::Never => changed.as_mut().await,
        }
    }
}

/// An entry that is being replaced. Dropped, as by a panic of the loader, it is looked at again later.
struct Replacing {
    shared: Arc<Shared>,
    key: Key,
    watched: Watched,
    next: Next,
}

impl Replacing {
    fn new(shared: &Arc<Shared>, key: Key, watched: Watched) -> Self {
        Self {
            shared: Arc::clone(shared),
            key,
            watched,
            next: Next::Later(None),
        }
    }

    async fn run(mut self, cache: Cache) {
        let found = registry::loader_of(self.watched.spec)
            .and_then(|entry| Some((entry, entry.arguments(&self.key)?)));
        let Some((entry, arguments)) = found else {
            self.next = Next::Forget;
            return;
        };
        // In the cache's scope, so that what the loader calls in turn is on this cache too.
        let load = entry
            .loader
            .refresh_if_due(cache.clone(), self.key.clone(), arguments);
        self.next = cache.scope(load).await;
    }

    /// Goes on watching the entry, if there is still one; whether it is the next one that is due.
    fn go_on(&mut self) -> bool {
        let now = self.shared.clock.now();
        let mut watched = self.watched;
        match self.next {
            Next::Forget => {
                self.shared.plan().forget(&self.key);
                return false;
            }
            Next::Newer {
                age,
                left,
                ttl_left,
            } => {
                watched.loaded = self.shared.clock.coarse().before(age);
                watched.due = now.after(left);
                watched.expires = now.after(ttl_left);
            }
            Next::Later(pause) => watched.due = now.after(pause.unwrap_or(PAUSE)),
        }
        self.shared.plan().go_on(&self.key, watched)
    }
}

impl Drop for Replacing {
    fn drop(&mut self) {
        let is_next = self.go_on();
        if self.shared.lanes().leave(self.watched.spec) || is_next {
            self.shared.changed.notify_one();
        }
    }
}
