//! The shadow of a cache: what is recorded, what becomes of a log that is torn, full or changed, and its replay.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use cache_runtime::backend::redis::{Redis, RedisBuilder};
use cache_runtime::warm::shadow::{AccessLog, Recorder, Speed, replay};
use cache_runtime::warm::{FileProblem, WarmEnd};
use cache_runtime::{Cache, Error, Key, ManualClock, cached};
use tests::{Gate, Process, RedisServer, eventually, idle, in_memory, within};

#[cached(key = "page:<id>", ttl = 60)]
async fn load_page(id: u64) -> Arc<u64> {
    Arc::new(id)
}

#[cached(pattern = "read-through", key = "row:<id>", ttl = 60)]
async fn load_row(id: u64) -> u64 {
    id
}

fn load(key: Key) -> impl Future<Output = Arc<u64>> {
    load_page(key["page:".len()..].parse().unwrap())
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("access.log")
    }

    /// The files of the log, in order.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn bytes(&self) -> u64 {
        let sizes = self.files();
        sizes
            .iter()
            .map(|file| fs::metadata(file).unwrap().len())
            .sum()
    }
}

async fn recording(recorder: Recorder) -> Cache {
    Cache::builder().record(recorder).build().await.unwrap()
}

async fn record(path: &Path, ids: impl IntoIterator<Item = u64>) {
    let cache = recording(Recorder::to_file(path).one_in(1)).await;
    cache
        .scope(async {
            for id in ids {
                load_page(id).await;
            }
        })
        .await;
    cache.recording().unwrap().close().await.unwrap();
}

fn ids(log: &AccessLog) -> Vec<u64> {
    log.iter()
        .map(|(_, key)| key["page:".len()..].parse().unwrap())
        .collect()
}

#[tokio::test]
async fn hits_and_misses_are_recorded_in_their_order_and_with_their_times() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let cache = Cache::builder()
        .clock(&clock)
        .record(Recorder::to_file(folder.log()).one_in(1));
    let cache = cache.build().await.unwrap();
    cache
        .scope(async {
            for id in [1, 2, 1, 3, 1] {
                load_page(id).await;
                clock.advance(Duration::from_millis(250));
            }
            // No access that anybody made.
            load_page::refresh(1).await;
        })
        .await;
    cache.warm().arguments([7], load_page).run().await;
    let recording = cache.recording().unwrap();
    recording.flush().await.unwrap();
    assert_eq!((recording.stats().recorded, recording.stats().lost), (5, 0));
    let log = AccessLog::open(folder.log()).await.unwrap();
    assert_eq!(ids(&log), [1, 2, 1, 3, 1]);
    assert_eq!((log.len(), log.one_in(), log.dropped_bytes()), (5, 1, 0));
    let times: Vec<_> = log.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 250, 500, 750, 1000]);
}

#[tokio::test]
async fn all_accesses_of_a_sampled_key_are_kept_and_every_process_samples_the_same() {
    let sampled = async || {
        let folder = Folder::new();
        let cache = recording(Recorder::to_file(folder.log()).one_in(10)).await;
        cache
            .scope(async {
                for access in 0..3_000 {
                    load_page(access % 1_000).await;
                }
            })
            .await;
        cache.recording().unwrap().close().await.unwrap();
        ids(&AccessLog::open(folder.log()).await.unwrap())
    };
    let accesses = sampled().await;
    let distinct: BTreeSet<_> = accesses.iter().collect();
    assert_eq!(accesses.len(), 3 * distinct.len());
    assert!(
        (60..140).contains(&distinct.len()),
        "{} of 1,000, of which a tenth is due",
        distinct.len()
    );
    assert_eq!(sampled().await, accesses);
}

#[tokio::test]
async fn the_log_is_bounded_and_keeps_the_newest() {
    let folder = Folder::new();
    let recorder = Recorder::to_file(folder.log())
        .one_in(1)
        .max_bytes(Recorder::LEAST_BYTES);
    let cache = recording(recorder).await;
    let recording = cache.recording().unwrap();
    for round in 0..20_u64 {
        cache
            .scope(async {
                for id in 0..1_000 {
                    load_page(round * 1_000 + id).await;
                }
            })
            .await;
        recording.flush().await.unwrap();
        assert!(
            folder.bytes() <= Recorder::LEAST_BYTES,
            "{}",
            folder.bytes()
        );
    }
    assert_eq!(
        (recording.stats().recorded, recording.stats().lost),
        (20_000, 0)
    );
    let kept = ids(&AccessLog::open(folder.log()).await.unwrap());
    let first = kept[0];
    assert_eq!(kept, (first..20_000).collect::<Vec<_>>());
    assert!(
        kept.len() > 1_500,
        "{} of those that there is room for",
        kept.len()
    );
}

#[tokio::test]
async fn what_comes_faster_than_it_is_written_is_lost_and_counted() {
    let folder = Folder::new();
    let cache = recording(Recorder::to_file(folder.log()).one_in(1).queue(10)).await;
    // The writer runs in this thread: it has no turn before the callers are done.
    cache
        .scope(async {
            for id in 0..100 {
                load_page(id).await;
            }
            load_page::invalidate(0).await.unwrap();
        })
        .await;
    let recording = cache.recording().unwrap();
    recording.close().await.unwrap();
    assert_eq!(
        (recording.stats().recorded, recording.stats().lost),
        (10, 90)
    );
    cache.scope(load_page(0)).await;
    assert_eq!(recording.stats().lost, 91, "after its end");
    assert!(matches!(recording.flush().await, Err(Error::ShutDown)));
}

#[tokio::test]
async fn a_torn_last_record_is_dropped_and_the_log_goes_on_after_it() {
    let folder = Folder::new();
    record(&folder.log(), 0..10).await;
    let first = folder.files().remove(0);
    let whole = fs::read(&first).unwrap();
    fs::write(&first, &whole[..whole.len() - 5]).unwrap();
    let log = AccessLog::open(folder.log()).await.unwrap();
    assert_eq!(ids(&log), (0..9).collect::<Vec<_>>());
    assert_eq!(log.dropped_bytes(), "page:9".len() as u64 + 16 - 5);
    // As after a restart.
    record(&folder.log(), 10..12).await;
    let log = AccessLog::open(folder.log()).await.unwrap();
    assert_eq!(ids(&log), [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
    let times: Vec<_> = log.iter().map(|(at, _)| at).collect();
    assert!(
        times.is_sorted() && times[10] < Duration::from_secs(5),
        "{times:?}"
    );
}

#[tokio::test]
async fn a_record_that_was_changed_is_an_error_with_its_place() {
    let folder = Folder::new();
    record(&folder.log(), 0..10).await;
    let file = folder.files().remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[60] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let Err(Error::File(error)) = AccessLog::open(folder.log()).await else {
        panic!("it was changed");
    };
    assert!(
        matches!(error.problem(), FileProblem::Damaged { offset: 54, .. }),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("access.log.000001: damaged at byte 54"),
        "{error}"
    );

    fs::write(&file, "another file").unwrap();
    let error = AccessLog::open(folder.log()).await.unwrap_err();
    assert!(
        error.to_string().contains("is not an access log"),
        "{error}"
    );
    let missing = AccessLog::open(folder.0.path().join("missing.log"))
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("missing.log"), "{missing}");
}

#[tokio::test]
async fn recording_allocates_nothing_on_a_hit() {
    let folder = Folder::new();
    for one_in in [1, 7] {
        let cache = recording(Recorder::to_file(folder.log()).one_in(one_in)).await;
        cache
            .scope(async {
                let pages = async |rounds: u64| {
                    for id in 0..rounds * 100 {
                        load_page(id % 100).await;
                    }
                };
                pages(2).await;
                let mut hits = std::pin::pin!(pages(10));
                let counted = measure(|| {
                    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                    assert!(hits.as_mut().poll(&mut cx).is_ready());
                });
                assert_eq!(counted.count_total, 0, "one in {one_in}");
            })
            .await;
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_costs_the_callers_nothing() {
    let folder = Folder::new();
    let nowhere = folder.0.path().join("missing").join("access.log");
    let cache = recording(Recorder::to_file(&nowhere).one_in(1)).await;
    cache.scope(load_page(1)).await;
    let recording = cache.recording().unwrap();
    assert!(matches!(recording.flush().await, Err(Error::File(_))));
    assert_eq!((recording.stats().recorded, recording.stats().lost), (0, 1));
    // It is tried again.
    fs::create_dir(nowhere.parent().unwrap()).unwrap();
    cache.scope(load_page(2)).await;
    recording.flush().await.unwrap();
    assert_eq!(ids(&AccessLog::open(&nowhere).await.unwrap()), [2]);
}

#[tokio::test]
async fn a_replay_warms_another_cache_and_tells_its_hit_ratio() {
    let folder = Folder::new();
    record(&folder.log(), (0..200).map(|access| access % 40)).await;
    let log = AccessLog::open(folder.log()).await.unwrap();
    let new = in_memory().await;
    let report = replay(log.clone())
        .against(&new)
        .speed(Speed::AsFastAsItGoes)
        .load_with(load)
        .concurrency(4)
        .run()
        .await;
    assert_eq!(
        (report.loaded, report.already_there, report.failed),
        (40, 160, 0),
        "{report}"
    );
    assert!((report.hit_ratio() - 0.8).abs() < 1e-9);
    assert_eq!(new.stats().function(load_page::SPEC).loads, 40);
}

#[tokio::test]
async fn keys_of_read_through_loaders_are_replayed_by_themselves() {
    let folder = Folder::new();
    let old = recording(Recorder::to_file(folder.log()).one_in(1)).await;
    old.scope(async {
        for id in [1, 2, 1] {
            load_row(id).await;
        }
        load_page(1).await;
    })
    .await;
    old.recording().unwrap().close().await.unwrap();
    let new = in_memory().await;
    let log = AccessLog::open(folder.log()).await.unwrap();
    let report = replay(log)
        .against(&new)
        .speed(Speed::Times(1000.0))
        .run()
        .await;
    assert_eq!(
        (report.loaded, report.already_there, report.failed),
        (2, 1, 1),
        "{report}"
    );
    let said = report.errors[0].to_string();
    assert!(
        said.contains("page:1") && said.contains("read-through"),
        "{said}"
    );
}

#[cached(key = "page:<id>", ttl = 60)]
async fn load_behind(gate: &Gate, id: u64) -> u64 {
    gate.pass().await;
    id
}

#[tokio::test(start_paused = true)]
async fn a_replay_keeps_to_the_times_of_the_log_at_the_chosen_speed() {
    let (folder, clock) = (Folder::new(), ManualClock::new());
    let recorder = Recorder::to_file(folder.log()).one_in(1);
    let old = Cache::builder()
        .clock(&clock)
        .record(recorder)
        .build()
        .await
        .unwrap();
    for id in 0..5 {
        old.scope(load_page(id)).await;
        clock.advance(Duration::from_secs(1));
    }
    old.recording().unwrap().close().await.unwrap();
    for (speed, millis) in [(Speed::Real, 1000), (Speed::Times(10.0), 100)] {
        let log = AccessLog::open(folder.log()).await.unwrap();
        let clock = ManualClock::new();
        let new = Cache::builder().clock(&clock).build().await.unwrap();
        let gate = Gate::new();
        gate.open();
        let task = tokio::spawn({
            let gate = gate.clone();
            async move {
                let load = |key: Key| {
                    let gate = gate.clone();
                    async move { load_behind(&gate, key["page:".len()..].parse().unwrap()).await }
                };
                replay(log)
                    .against(&new)
                    .speed(speed)
                    .load_with(load)
                    .run()
                    .await
            }
        });
        for n in 1..=5 {
            idle().await;
            assert_eq!(gate.count(), n, "{speed:?}");
            clock.advance(Duration::from_millis(millis - 1));
            idle().await;
            assert_eq!(gate.count(), n, "{speed:?}");
            clock.advance(Duration::from_millis(1));
        }
        let report = within(task).await.unwrap();
        assert_eq!((report.loaded, report.end), (5, WarmEnd::Complete));
        assert!(report.behind <= Duration::from_millis(1), "{report:?}");
    }
}

fn server(server: &RedisServer) -> RedisBuilder {
    Redis::from_url(&server.url()).unwrap().namespace("shop")
}

#[tokio::test]
async fn two_processes_record_into_one_stream() {
    let redis = RedisServer::start().await;
    let one = recording(Recorder::to_stream(server(&redis)).one_in(1)).await;
    let other = recording(Recorder::to_stream(server(&redis)).one_in(1)).await;
    for (cache, ids) in [(&one, 0..3), (&other, 3..5), (&one, 5..6)] {
        cache
            .scope(async {
                for id in ids {
                    load_page(id).await;
                }
            })
            .await;
        cache.recording().unwrap().flush().await.unwrap();
    }
    let log = AccessLog::read_stream(server(&redis)).await.unwrap();
    assert_eq!(ids(&log), [0, 1, 2, 3, 4, 5]);
    let elsewhere = server(&redis).namespace("elsewhere");
    assert!(AccessLog::read_stream(elsewhere).await.unwrap().is_empty());
    let new = in_memory().await;
    let replay = replay(log).against(&new).speed(Speed::AsFastAsItGoes);
    assert_eq!(replay.load_with(load).run().await.loaded, 6);
}

#[tokio::test]
async fn a_stream_is_bounded_too() {
    let redis = RedisServer::start().await;
    let recorder = Recorder::to_stream(server(&redis))
        .one_in(1)
        .max_bytes(128 << 10);
    let cache = recording(recorder).await;
    for round in 0..40_u64 {
        cache
            .scope(async {
                for id in 0..2_000 {
                    load_page(round * 2_000 + id).await;
                }
            })
            .await;
        cache.recording().unwrap().flush().await.unwrap();
    }
    // Redis trims whole nodes of its stream: at most a hundred entries, or 4 KiB, more than asked for.
    let kept: u64 = redis.query(redis::cmd("XLEN").arg("{shop/accesses}")).await;
    assert!((8..=108).contains(&kept), "{kept} entries");
    let log = AccessLog::read_stream(server(&redis)).await.unwrap();
    assert_eq!(ids(&log).last(), Some(&79_999));
}

#[tokio::test]
async fn a_stream_whose_server_is_away_loses_accesses_and_no_calls() {
    let mut redis = RedisServer::start().await;
    let cache = recording(Recorder::to_stream(server(&redis)).one_in(1)).await;
    redis.kill();
    cache.scope(load_page(1)).await;
    let recording = cache.recording().unwrap();
    assert!(matches!(recording.flush().await, Err(Error::Backend(_))));
    assert_eq!(recording.stats().lost, 1);
    redis.restart().await;
    eventually(tests::DEADLINE, async || {
        cache.scope(load_page(2)).await;
        recording.flush().await.is_ok()
    })
    .await;
    assert!(ids(&AccessLog::read_stream(server(&redis)).await.unwrap()).ends_with(&[2]));
}

#[tokio::test]
async fn what_cannot_be_used_is_refused() {
    let path = Folder::new().log();
    let to = || Recorder::to_file(&path);
    for recorder in [
        to().one_in(0),
        to().max_bytes(1000),
        to().queue(0),
        to().queue(usize::MAX),
    ] {
        let refused = Cache::builder().record(recorder).build().await;
        assert!(matches!(refused, Err(Error::Config(_))), "{refused:?}");
    }
}

/// The log of a process that was killed while it wrote is read up to its end.
#[tokio::test]
async fn the_log_of_a_process_that_was_killed_is_read() {
    if Process::role().is_some() {
        return record_for_ever(&std::env::var("RECORD_TO").unwrap()).await;
    }
    let folder = Folder::new();
    let path = folder.log();
    let mut child = Process::spawn(
        "the_log_of_a_process_that_was_killed_is_read",
        "recorder",
        &[("RECORD_TO", path.to_str().unwrap())],
    );
    eventually(tests::DEADLINE, async || folder.bytes() > 100_000).await;
    child.kill().await;
    let log = AccessLog::open(&path).await.unwrap();
    let kept = ids(&log);
    assert!(kept.len() > 1_000);
    assert!(kept.is_sorted());
    // And torn on purpose, should the kill not have done it.
    let last = folder.files().pop().unwrap();
    fs::OpenOptions::new()
        .append(true)
        .open(last)
        .unwrap()
        .write_all(b"\x06\x00\xf9\xff torn")
        .unwrap();
    let torn = AccessLog::open(&path).await.unwrap();
    assert_eq!(ids(&torn), kept);
    assert_eq!(torn.dropped_bytes(), log.dropped_bytes() + 9);
}

async fn record_for_ever(path: &str) {
    let cache = recording(Recorder::to_file(path).one_in(1)).await;
    cache
        .scope(async {
            for id in 0.. {
                load_page(id).await;
                if id % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
}
