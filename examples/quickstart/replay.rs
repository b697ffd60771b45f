//! Many tasks read and write, measure how long a read takes, and check that none is stale.

use std::io::{IsTerminal, stderr, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use cache_runtime::Cache;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::marks::Marks;
use crate::report::Latencies;
use crate::shop::{self, Shop};
use crate::workload::{Dice, Workload};

/// One call in so many is for the prices of the product rather than for the product.
const PRICES: u64 = 10;
/// One call in so many is followed by a write.
const WRITES: u64 = 50;
/// Without the cache this part of the workload is enough to know the latencies.
const UNCACHED_SHARE: usize = 10;
/// After the replay about so many products are compared with the database, field by field.
const COMPARED: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) workload: Workload,
    shop: Shop,
    tasks: usize,
    products: Marks,
    prices: Marks,
}

/// Where reads go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// To the annotated functions.
    Cache,
    /// To the same functions without annotations.
    Database,
}

/// What one task, or all of them, saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) latencies: Latencies,
    pub(crate) stale_reads: u64,
}

impl Replay {
    pub(crate) fn new(shop: Shop, workload: Workload, tasks: usize) -> Self {
        let marks = || Marks::new(workload.products);
        Self {
            products: marks(),
            prices: marks(),
            shop,
            workload,
            tasks,
        }
    }

    /// Replays the workload; without the cache, its first part.
    pub(crate) async fn run(self: &Arc<Self>, source: Source) -> Result<Tally, Failure> {
        let all = self.workload.accesses.len();
        let calls = if source == Source::Cache {
            all
        } else {
            all.div_ceil(UNCACHED_SHARE)
        };
        let progress = progress(source, calls);
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for seed in 0..self.tasks as u64 {
            let (replay, next, progress) = (Arc::clone(self), Arc::clone(&next), progress.clone());
            tasks.spawn(async move {
                replay
                    .work(source, Dice::new(seed), &next, calls, &progress)
                    .await
            });
        }
        let mut total = Tally::default();
        while let Some(done) = tasks.join_next().await {
            let tally = done??;
            total.latencies.merge(tally.latencies);
            total.stale_reads += tally.stale_reads;
        }
        total.latencies.sort();
        progress.finish_and_clear();
        Ok(total)
    }

    /// One task: takes the next access, until there are no more.
    async fn work(
        &self,
        source: Source,
        mut dice: Dice,
        next: &AtomicUsize,
        calls: usize,
        progress: &ProgressBar,
    ) -> Result<Tally, sqlx::Error> {
        let mut tally = Tally::default();
        while let Some(&id) =
            self.workload.accesses[..calls].get(next.fetch_add(1, Ordering::Relaxed))
        {
            if dice.one_in(PRICES) {
                self.read_prices(source, id, &mut tally).await?;
            } else {
                self.read_product(source, id, &mut tally).await?;
            }
            if dice.one_in(WRITES) {
                self.write(id, &mut dice).await?;
            }
            progress.inc(1);
        }
        Ok(tally)
    }

    async fn read_product(
        &self,
        source: Source,
        id: u32,
        tally: &mut Tally,
    ) -> Result<(), sqlx::Error> {
        let mark = self.products.of(id);
        let began = Instant::now();
        let product = match source {
            Source::Cache => shop::load_product(&self.shop, id).await?,
            Source::Database => shop::uncached::load_product(&self.shop, id).await?,
        };
        tally.latencies.note(began.elapsed());
        let version = product.map_or(0, |product| product.version);
        tally.stale_reads += u64::from(version < mark);
        Ok(())
    }

    async fn read_prices(
        &self,
        source: Source,
        id: u32,
        tally: &mut Tally,
    ) -> Result<(), sqlx::Error> {
        let mark = self.prices.of(id);
        let began = Instant::now();
        let prices = match source {
            Source::Cache => shop::load_prices(&self.shop, id).await?,
            Source::Database => shop::uncached::load_prices(&self.shop, id).await?,
        };
        tally.latencies.note(began.elapsed());
        let version = prices.first().map_or(0, |newest| newest.version);
        tally.stale_reads += u64::from(version < mark);
        Ok(())
    }

    /// Writes, and raises the marks of what the writer has invalidated by the time it returns.
    async fn write(&self, id: u32, dice: &mut Dice) -> Result<(), sqlx::Error> {
        if dice.one_in(2) {
            let version = shop::restock(&self.shop, id, 10).await?;
            self.products.raise(id, version);
        } else {
            let version = shop::set_price(&self.shop, id, 999).await?;
            self.products.raise(id, version);
            self.prices.raise(id, version);
        }
        Ok(())
    }

    /// Compares what the cache gives with the database, now that nobody writes: they must be equal. Returns how many are not.
    pub(crate) async fn compare_with_database(&self) -> Result<u64, sqlx::Error> {
        let step = (self.workload.products as usize / COMPARED).max(1);
        let mut differing = 0;
        for id in (0..self.workload.products).step_by(step) {
            let product = shop::load_product(&self.shop, id).await?;
            let prices = shop::load_prices(&self.shop, id).await?;
            let same = product == shop::uncached::load_product(&self.shop, id).await?
                && prices == shop::uncached::load_prices(&self.shop, id).await?;
            differing += u64::from(!same);
        }
        Ok(differing)
    }

    /// Lets many callers ask for one product at the same moment, when it is not cached. Returns how often it was loaded.
    pub(crate) async fn crowd(
        self: &Arc<Self>,
        callers: usize,
        cache: &Cache,
    ) -> Result<u64, Failure> {
        let id = 0;
        shop::load_product::invalidate(id).await?;
        let loads = || cache.stats().function(shop::load_product::SPEC).loads;
        let before = loads();
        let start = Arc::new(Barrier::new(callers));
        let mut crowd = JoinSet::new();
        for _ in 0..callers {
            let (replay, start) = (Arc::clone(self), Arc::clone(&start));
            crowd.spawn(async move {
                start.wait().await;
                shop::load_product(&replay.shop, id).await
            });
        }
        while let Some(done) = crowd.join_next().await {
            done??;
        }
        Ok(loads() - before)
    }
}

/// A progress bar on a terminal; elsewhere none.
fn progress(source: Source, calls: usize) -> ProgressBar {
    if !(stdout().is_terminal() && stderr().is_terminal()) {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{msg:18} {wide_bar} {human_pos} of {human_len}, {eta} to go");
    let name = match source {
        Source::Cache => "with the cache",
        Source::Database => "without the cache",
    };
    let bar = ProgressBar::new(calls as u64).with_message(name);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
