//! A roll-out by steps.

use std::time::Duration;

use cache_runtime::testing::Fault;
use tests::{DEADLINE, eventually, within};

use super::{Host, Stores, number};

/// Reads all the time, so that there is something to judge by.
fn traffic(host: &Host, keys: u64) -> tokio::task::JoinHandle<()> {
    let cache = host.cache.clone();
    tokio::spawn(async move {
        loop {
            cache
                .scope(async {
                    for n in 0..keys {
                        assert_eq!(number(n).await, n);
                    }
                })
                .await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
}

#[tokio::test]
async fn it_grows_by_its_steps_and_reports_each() {
    let stores = Stores::default();
    let host = stores.host().await;
    let traffic = traffic(&host, 200);
    let plan = host
        .rollout
        .plan()
        .steps([0.1, 0.5, 1.0])
        .hold(Duration::from_millis(40));
    let report = within(plan.min_hit_ratio(0.5).min_reads(50).run()).await;
    traffic.abort();
    assert_eq!(report.trouble, None, "{report}");
    let shares: Vec<_> = report.steps.iter().map(|step| step.share).collect();
    assert_eq!(shares, [0.1, 0.5, 1.0]);
    assert!(
        report
            .steps
            .iter()
            .all(|step| step.new.hit_ratio() >= 0.5 && step.errors == 0),
        "{report}"
    );
    assert_eq!(host.rollout.status().share, 1.0);
    assert!(report.to_string().ends_with("complete"), "{report}");
}

#[tokio::test]
async fn it_ends_when_the_new_backend_fails_in_the_middle_of_a_step() {
    let stores = Stores::default();
    let (host, other) = (stores.host().await, stores.host().await);
    let traffic = traffic(&host, 200);
    let plan = host
        .rollout
        .plan()
        .steps([0.5, 1.0])
        .hold(Duration::from_secs(3600));
    let run = tokio::spawn(plan.run());
    other.at(0.5).await;
    host.faults.set(Fault::Down);
    let report = within(run).await.unwrap();
    traffic.abort();
    assert!(
        report
            .trouble
            .is_some_and(|trouble| trouble.contains("in a row"))
    );
    assert_eq!((report.steps.len(), host.rollout.status().share), (0, 0.0));
    other.at(0.0).await;
}

#[tokio::test]
async fn it_ends_when_the_hit_ratio_is_not_good_enough() {
    let stores = Stores::default();
    let host = stores.host().await;
    // As a new backend that is far too small: what is there is gone when it is asked for again.
    let new = stores.new.clone();
    let cache = host.cache.clone();
    let traffic = tokio::spawn(async move {
        loop {
            cache
                .scope(async {
                    for n in 0..100 {
                        number(n).await;
                    }
                })
                .await;
            cache_runtime::backend::Backend::clear(&*new).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let plan = host
        .rollout
        .plan()
        .steps([0.5, 1.0])
        .hold(Duration::from_millis(40));
    let report = within(plan.min_hit_ratio(0.5).run()).await;
    traffic.abort();
    assert_eq!(report.steps.len(), 1);
    assert!(
        report
            .to_string()
            .contains("the hit ratio of the new backend is 0.0%"),
        "{report}"
    );
    assert_eq!(host.rollout.status().share, 0.0);
}

#[tokio::test]
async fn it_ends_when_somebody_else_ends_it() {
    let stores = Stores::default();
    let (host, other) = (stores.host().await, stores.host().await);
    let plan = host
        .rollout
        .plan()
        .steps([0.5])
        .hold(Duration::from_secs(3600));
    let run = tokio::spawn(plan.run());
    other.at(0.5).await;
    other.rollout.withdraw().await.unwrap();
    let report = within(run).await.unwrap();
    assert!(
        report
            .trouble
            .is_some_and(|trouble| trouble.contains("another hand"))
    );
}

/// Without reads there is nothing to judge by, and nothing is moved on.
#[tokio::test(start_paused = true)]
async fn a_step_that_nobody_reads_in_goes_on() {
    let stores = Stores::default();
    let host = stores.host().await;
    let plan = host
        .rollout
        .plan()
        .steps([0.5, 1.0])
        .hold(Duration::from_millis(1))
        .min_reads(1);
    let run = tokio::spawn(plan.run());
    host.at(0.5).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!run.is_finished() && host.rollout.status().share == 0.5);
    let traffic = traffic(&host, 100);
    eventually(DEADLINE, async || run.is_finished()).await;
    traffic.abort();
    assert_eq!(run.await.unwrap().steps.len(), 2);
}
