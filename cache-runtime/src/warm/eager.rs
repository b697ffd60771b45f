//! Loads a list: so many at a time, at most so many a second.

use std::fmt;
use std::future::{Future, poll_fn};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;

use super::crew::Crew;
use super::items::{Arguments, Item, Items, Keys, Label, Unchosen};
use super::pace::Pace;
use super::progress::{Display, Progress};
use super::report::{WarmEnd, WarmReport};
use super::witness::{Seen, Sight, Witness};
use crate::cache::{self, Cache};
use crate::clock::Moment;
use crate::key::Key;
use crate::race;

/// After so many steps others have a turn: items that are there in memory never wait, and a warm-up of them would hold its task, and the deadline and
/// the stop with it.
const BREATH: u32 = 32;

impl Cache {
    /// Begins a warm-up of this cache: say what is to be loaded, and [`run`](WarmUp::run) it.
    ///
    /// Its items are ordinary calls: what is there stays, leases and invalidations hold, and other processes that warm the same keys share the
    /// loads. Callers of the service are not kept waiting by it, but for keys that are being loaded.
    ///
    /// ```
    /// use cache_runtime::{Cache, cached};
    ///
    /// #[cached(key = "square:<n>", ttl = 60)]
    /// async fn square(n: u64) -> u64 { n * n }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// let cache = Cache::builder().build().await?;
    /// let report = cache.warm().arguments(1..=100, square).concurrency(16).rate(500.0).run().await;
    /// assert_eq!((report.loaded, report.failed), (100, 0));
    /// let again = cache.warm().arguments(1..=100, square).run().await;
    /// assert_eq!((again.loaded, again.already_there), (0, 100));
    /// # Ok(())
    /// # }
    /// ```
    pub fn warm(&self) -> WarmUp<Unchosen> {
        WarmUp {
            cache: self.clone(),
            items: Unchosen::yet(),
            options: Options::default(),
        }
    }
}

/// A warm-up to be run. Made by [`Cache::warm`].
#[must_use = "a warm-up does nothing until `run`"]
#[derive(Debug)]
pub struct WarmUp<I> {
    pub(super) cache: Cache,
    pub(super) items: I,
    pub(super) options: Options,
}

#[derive(Debug)]
pub(super) struct Options {
    pub(super) concurrency: NonZeroUsize,
    pub(super) rate: Option<f64>,
    pub(super) deadline: Option<Duration>,
    pub(super) progress: Progress,
    pub(super) stop: Stop,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: NonZeroUsize::MIN.saturating_add(15),
            rate: None,
            deadline: None,
            progress: Progress::Silent,
            stop: Stop::default(),
        }
    }
}

/// Ends a warm-up early: [`WarmUp::stopper`].
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Stopped>);

#[derive(Debug, Default)]
struct Stopped {
    is_set: AtomicBool,
    set: Notify,
}

impl Stop {
    /// No further item begins; those under way come to their end, and then the warm-up returns its report.
    pub fn stop(&self) {
        self.0.is_set.store(true, Ordering::SeqCst);
        self.0.set.notify_one();
    }

    fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::SeqCst)
    }
}

impl WarmUp<Unchosen> {
    /// Warms these keys, by the read-through loaders whose templates they fit.
    pub fn keys<K: Into<Key>>(self, keys: impl IntoIterator<Item = K>) -> WarmUp<Keys> {
        let keys = keys.into_iter().map(Into::into).collect();
        self.with(Keys::new(keys))
    }

    /// Warms the hottest keys that the cache knows of, hottest first, by the read-through loaders whose templates they fit. It knows them if it
    /// [tracks](crate::CacheBuilder::track_hot_keys) them; after a restart, once they are [loaded](Cache::load_hot_keys).
    pub fn hottest(self, most: usize) -> WarmUp<Keys> {
        let keys = hottest(&self.cache, most).collect();
        self.with(Keys::new(keys))
    }

    /// Warms what `call` asks for, for each argument: any annotated functions, in the scope of this cache. Each argument is one item, whatever its
    /// call does: it counts as loaded if anything was loaded for it.
    ///
    /// Whether a load failed is known from the load itself. If the call's own `Err` is to count, and its text to be in the report, use
    /// [`try_arguments`](Self::try_arguments).
    pub fn arguments<L, F, W>(self, list: L, call: F) -> WarmUp<Arguments<L::IntoIter, F, W>>
    where
        L: IntoIterator,
        F: FnMut(L::Item) -> W,
        W: Future,
    {
        self.with(Arguments::new(list.into_iter(), call, |_| Ok(())))
    }

    /// As [`arguments`](Self::arguments), for calls that can fail.
    ///
    /// ```
    /// use cache_runtime::{Cache, cached};
    ///
    /// # struct Db;
    /// #[cached(key = "name:<id>", ttl = 60)]
    /// async fn name(db: &Db, id: u64) -> Result<String, String> {
    ///     # let _ = db;
    ///     if id == 3 { Err("a bad row".to_owned()) } else { Ok(format!("user {id}")) }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), cache_runtime::Error> {
    /// # let db = &Db;
    /// let cache = Cache::builder().build().await?;
    /// let report = cache.warm().try_arguments(1..=5, |id| name(db, id)).run().await;
    /// assert_eq!((report.loaded, report.failed), (4, 1));
    /// assert_eq!(report.errors[0].to_string(), "item 3: a bad row");
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_arguments<L, F, W, T, E>(
        self,
        list: L,
        call: F,
    ) -> WarmUp<Arguments<L::IntoIter, F, W>>
    where
        L: IntoIterator,
        F: FnMut(L::Item) -> W,
        W: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        self.with(Arguments::new(list.into_iter(), call, judge_result))
    }
}

fn judge_result<T, E: fmt::Display>(output: Result<T, E>) -> Result<(), String> {
    output.map(drop).map_err(|error| error.to_string())
}

fn hottest(cache: &Cache, most: usize) -> impl Iterator<Item = Key> + use<> {
    cache.hottest(most).into_iter().map(|hot| hot.key)
}

impl WarmUp<Keys> {
    /// These keys too, after the others.
    pub fn keys<K: Into<Key>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into);
        self.map(|known| known.and(keys))
    }

    /// The hottest keys too, after the others.
    pub fn hottest(self, most: usize) -> Self {
        let keys = hottest(&self.cache, most);
        self.map(|known| known.and(keys))
    }

    /// Calls `load` for each key, rather than the registered loaders: for keys of functions that are not read-through.
    pub fn load_with<F, W>(self, load: F) -> WarmUp<Arguments<std::vec::IntoIter<Key>, F, W>>
    where
        F: FnMut(Key) -> W,
        W: Future,
    {
        self.map(|keys| Arguments::new(keys.into_inner(), load, |_| Ok(())))
    }
}

impl<I> WarmUp<I> {
    pub(super) fn with<J>(self, items: J) -> WarmUp<J> {
        self.map(|_| items)
    }

    pub(super) fn map<J>(self, items: impl FnOnce(I) -> J) -> WarmUp<J> {
        WarmUp {
            cache: self.cache,
            items: items(self.items),
            options: self.options,
        }
    }

    /// Sets how many items are under way at a time, at least 1. Default 16.
    ///
    /// The database sees at most so many loads of this warm-up at once, if a call makes one at a time. A load counts until it ends, also one that goes on after its
    /// call: past the function's `timeout`, or in the background for `stampede = "swr"`.
    pub fn concurrency(mut self, most: usize) -> Self {
        self.options.concurrency = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        self
    }

    /// Sets how many items begin in a second at most, evenly spaced. What is not above 0, or no number, is no limit: the default.
    ///
    /// Items that turn out to be there count too: whether they are is not known before.
    pub fn rate(mut self, per_second: f64) -> Self {
        self.options.rate = Some(per_second).filter(|rate| *rate > 0.0 && rate.is_finite());
        self
    }

    /// Sets when the warm-up is over at the latest, from its beginning: then no item begins, and those under way are given up.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.options.deadline = Some(after);
        self
    }

    /// Sets how it shows how far it is. Default: not at all.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.options.progress = progress;
        self
    }

    /// A handle that ends the warm-up early, in order: what is under way comes to its end. To end it at once, drop the future of
    /// [`run`](WarmUp::run).
    pub fn stopper(&self) -> Stop {
        self.options.stop.clone()
    }
}

impl<I: Items> WarmUp<I> {
    /// Runs it, and tells what came of it. Nothing is an error but for its own item.
    ///
    /// Dropped, it begins nothing more, and what is under way is dropped with it: the leases are given back.
    pub async fn run(self) -> WarmReport {
        let clock = self.cache.inner.clock.clone();
        let began = clock.now();
        let Self {
            cache,
            items,
            options,
        } = self;
        let deadline = options.deadline;
        let mut run = Run {
            display: Display::new(options.progress, began),
            pace: Pace::new(options.rate),
            report: WarmReport::default(),
            under_way: 0,
            ended: false,
            waiting: None,
            options,
            cache,
            items,
            began,
        };
        let complete = match deadline {
            None => run.all().await,
            Some(after) => {
                let all = Box::pin(run.all());
                race::within(all, clock.sleep(after)).await == Some(true)
            }
        };
        run.end(complete)
    }
}

/// A warm-up that runs.
struct Run<I: Items> {
    cache: Cache,
    items: I,
    options: Options,
    pace: Pace,
    display: Display,
    report: WarmReport,
    began: Moment,
    under_way: u64,
    /// There are no more items.
    ended: bool,
    /// The next item, and when it may begin.
    waiting: Option<(Moment, Item<I::Work>)>,
}

/// What the driver does next.
enum Step<W> {
    Begin(Item<W>),
    /// Not yet, for so long.
    Later(Duration),
    /// Another item has to end first.
    Wait,
    Over,
}

impl<I: Items> Run<I> {
    /// `false` if the deadline passed.
    async fn all(&mut self) -> bool {
        let mut crew = Crew::new(self.options.concurrency.get());
        let mut steps = 0_u32;
        loop {
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(BREATH) {
                tokio::task::yield_now().await;
            }
            if self.is_late() {
                return false;
            }
            let stop = self.options.stop.clone();
            match self.step(crew.is_full(), crew.busy() == 0) {
                Step::Over => return true,
                Step::Begin(item) => crew.begin(work(self.cache.clone(), item)),
                Step::Wait => {
                    let stop = stop.0.set.notified();
                    self.wait(&mut crew, stop).await;
                }
                Step::Later(pause) => {
                    let clock = self.cache.inner.clock.clone();
                    let (mut sleep, mut stop) =
                        (pin!(clock.sleep(pause)), pin!(stop.0.set.notified()));
                    let either = async { race::first(sleep.as_mut(), stop.as_mut()).await };
                    self.wait(&mut crew, either).await;
                }
            }
            self.under_way = crew.busy() as u64;
        }
    }

    fn is_late(&self) -> bool {
        let passed = || self.cache.inner.clock.now().since(self.began);
        self.options.deadline.is_some_and(|after| passed() >= after)
    }

    /// Takes the next item, as soon as there is room for it, and tells when it may begin.
    fn step(&mut self, full: bool, idle: bool) -> Step<I::Work> {
        if !full && !self.options.stop.is_set() {
            let now = self.cache.inner.clock.now();
            if self.waiting.is_none() && !self.ended {
                match self.items.next(&self.cache) {
                    Some(item) => {
                        let due = self.began.after(item.due);
                        self.waiting = Some((self.pace.turn(now).max(due), item));
                    }
                    None => self.ended = true,
                }
            }
            match self.waiting.take_if(|(turn, _)| *turn <= now) {
                Some((_, item)) => {
                    if !item.due.is_zero() {
                        let due = self.began.after(item.due);
                        self.report.behind = self.report.behind.max(now.since(due));
                    }
                    self.pace.taken(now);
                    return Step::Begin(item);
                }
                None => {
                    if let Some((turn, _)) = &self.waiting {
                        return Step::Later(turn.since(now));
                    }
                }
            }
        }
        if idle { Step::Over } else { Step::Wait }
    }

    /// Until an item ends, or there is another reason to look again.
    async fn wait<W>(&mut self, crew: &mut Crew<W>, other: impl Future<Output = ()>)
    where
        W: Future<Output = Done>,
    {
        let mut other = pin!(other);
        let done = poll_fn(|cx| {
            if let Poll::Ready(done) = crew.poll_done(cx) {
                return Poll::Ready(Some(done));
            }
            other.as_mut().poll(cx).map(|()| None)
        });
        if let Some(done) = done.await {
            self.count(done);
        }
    }

    fn count(&mut self, done: Done) {
        done.count(&mut self.report);
        let (left, known) = self.items.left();
        let begun = self.report.done() + self.under_way.saturating_sub(1);
        let total = known.then(|| begun.saturating_add(left));
        let now = self.cache.inner.clock.now();
        self.display.update(&self.report, total, now);
    }

    fn end(mut self, complete: bool) -> WarmReport {
        let (left, known) = self.items.left();
        // A list without an end has as many as can be counted.
        let waiting = u64::from(self.waiting.is_some());
        self.report.skipped = left.saturating_add(waiting);
        if !complete {
            self.report.skipped = self.report.skipped.saturating_add(self.under_way);
            self.report.end = WarmEnd::Deadline;
        } else if self.report.skipped > 0 || !(self.ended || known) {
            self.report.end = WarmEnd::Stopped;
        }
        self.report.elapsed = self.cache.inner.clock.now().since(self.began);
        self.display.end(&self.report);
        self.report
    }
}

/// An item that has had its turn.
struct Done {
    label: Label,
    seen: Seen,
    output: Result<(), String>,
}

/// Does one item, and waits for all that goes on after its call.
async fn work<W>(cache: Cache, item: Item<W>) -> Done
where
    W: Future<Output = Result<(), String>>,
{
    let (witness, seen) = Witness::new();
    let output = cache::enter_warm_up(&cache, witness, item.work).await;
    seen.ended().await;
    Done {
        label: item.label,
        seen,
        output,
    }
}

impl Done {
    fn count(self, report: &mut WarmReport) {
        let Self {
            label,
            seen,
            output,
        } = self;
        let label = || label.to_string();
        if let Err(problem) = output {
            return report.failed(label, problem);
        }
        if seen.any(Sight::Failure) {
            return report.failed(label, "its load failed".to_owned());
        }
        if seen.any(Sight::Load) {
            report.loaded += 1;
            report.not_stored += u64::from(seen.any(Sight::NotStored));
        } else if seen.any(Sight::Absent) {
            report.absent += 1;
        } else if seen.any(Sight::Timeout) {
            report.failed(label, "its load was given up".to_owned());
        } else if seen.any(Sight::Call) {
            report.already_there += 1;
        } else {
            let problem =
                "its call asked no cached function of this task; give spawned tasks `carry`";
            report.failed(label, problem.to_owned());
        }
    }
}
