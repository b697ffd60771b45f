//! The models behave as what they stand for.

use super::*;
use crate::sync::{Notify, OnceLock, time};

crate::sync::task_local! {
    static NUMBER: u64;
}

#[test]
fn a_notification_wakes_those_who_came_before_it() {
    explore(|| async {
        let (notify, cell) = (Arc::new(Notify::new()), Arc::new(OnceLock::new()));
        let waiters = (0..2).map(|_| {
            let (notify, cell) = (Arc::clone(&notify), Arc::clone(&cell));
            spawn(async move {
                loop {
                    let notified = notify.notified();
                    if let Some(number) = cell.get() {
                        return *number;
                    }
                    notified.await;
                }
            })
        });
        let waiters: Vec<_> = waiters.collect();
        cell.set(7).expect("it is set once");
        notify.notify_waiters();
        assert_eq!(all(waiters).await, [7, 7]);
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn who_looks_before_it_counts_as_waiting_may_wait_for_ever() {
    explore(|| async {
        let (notify, cell) = (Arc::new(Notify::new()), Arc::new(OnceLock::new()));
        let waiter = {
            let (notify, cell) = (Arc::clone(&notify), Arc::clone(&cell));
            spawn(async move {
                if cell.get().is_none() {
                    notify.notified().await;
                }
            })
        };
        cell.set(7).expect("it is set once");
        notify.notify_waiters();
        all([waiter]).await;
    });
}

#[test]
fn a_task_sees_its_own_scope_alone() {
    explore(|| async {
        let tasks = (0..2).map(|number| {
            spawn(NUMBER.scope(number, async move {
                yield_now().await;
                assert_eq!(NUMBER.try_with(|own| *own).ok(), Some(number));
                NUMBER.scope(number + 10, async { yield_now().await }).await;
                assert_eq!(NUMBER.try_with(|own| *own).ok(), Some(number));
            }))
        });
        all(tasks.collect::<Vec<_>>()).await;
        assert!(NUMBER.try_with(|_| ()).is_err());
    });
}

#[test]
fn a_timer_ends_what_would_wait_for_ever() {
    explore(|| async {
        let waiters = (0..2).map(|_| {
            spawn(async {
                let late = time::timeout(LONG, std::future::pending::<()>()).await;
                assert!(late.is_err());
                assert!(time::timeout(LONG, async { 7 }).await.is_ok());
            })
        });
        all(waiters.collect::<Vec<_>>()).await;
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn timers_that_were_stopped_end_nothing() {
    explore(|| async {
        time::stop();
        let _ = time::timeout(LONG, std::future::pending::<()>()).await;
    });
}
