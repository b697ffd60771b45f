//! Writes in the log: how they are numbered, read and bounded.

use std::time::{Duration, Instant};

use super::super::{DEADLINE, SHORT};
use super::{ALL, LogBench, arguments, every_partition, log_suite, sequences};
use crate::backend::log::{Append, Appended, partition_of};

log_suite![
    a_write_is_read_as_it_was_appended,
    sequence_numbers_grow_over_all_partitions,
    sequence_numbers_grow_after_everything_was_finished,
    writes_are_read_in_order_after_a_number_and_at_most_so_many,
    large_writes_are_read_a_few_at_a_time_at_least,
    a_write_is_in_the_partition_of_its_key,
    a_write_grows_older,
    a_function_has_as_many_writes_pending_as_it_may,
    the_bound_holds_for_writes_at_one_time,
    a_refusal_does_nothing,
    a_refusal_has_a_sequence_number_of_its_own,
    a_refusal_tells_whether_its_key_is_pending,
    finished_and_buried_writes_make_room,
    finishing_removes_these_writes_and_no_others,
    writes_of_many_keys_are_finished_in_one_call,
    a_log_tells_what_would_lose_it,
];

impl LogBench {
    /// A write of the case's function that may have so many pending.
    fn bounded(&self, max_pending: u64) -> Append {
        Append {
            max_pending,
            ..self.write("bounded")
        }
    }

    async fn refused(&self, write: Append) -> (u64, bool) {
        match self.append(write).await {
            Appended::Full {
                sequence,
                key_is_pending,
            } => (sequence, key_is_pending),
            logged @ Appended::Logged(_) => panic!("there is no room, yet {logged:?}"),
        }
    }
}

async fn a_write_is_read_as_it_was_appended(b: LogBench) {
    let before = Instant::now();
    let sequence = b.logged(b.write("one two")).await;
    let [write] = &b.pending().await[..] else {
        panic!("one write was appended")
    };
    assert_eq!(write.sequence, sequence);
    assert_eq!(write.key, b.key);
    assert_eq!(write.function, b.function());
    assert_eq!(arguments(&write.payload), "one two");
    assert!(write.age <= before.elapsed() + DEADLINE, "{:?}", write.age);
}

async fn sequence_numbers_grow_over_all_partitions(b: LogBench) {
    let mut last = 0;
    for number in 0..2 {
        for partition in every_partition() {
            let b = b.at(&b.key_in(partition, number));
            let sequence = b.logged(b.write("one")).await;
            assert!(sequence > last, "{sequence} after {last}");
            assert!(sequence < 1 << 63, "{sequence}");
            last = sequence;
        }
    }
}

async fn sequence_numbers_grow_after_everything_was_finished(b: LogBench) {
    let owner = b.owner().await;
    let mut last = 0;
    for _ in 0..3 {
        let sequence = b.logged(b.write("one")).await;
        assert!(sequence > last, "{sequence} after {last}");
        last = sequence;
        assert!(b.finish(owner, &[sequence]).await);
        assert_eq!(b.sequences().await, [0; 0]);
    }
}

async fn writes_are_read_in_order_after_a_number_and_at_most_so_many(b: LogBench) {
    let other = b.at(&b.key_in(b.partition(), 0));
    let mut written = Vec::new();
    // More than ten: as texts their numbers would have another order.
    for _ in 0..8 {
        written.push(b.logged(b.write("one")).await);
        written.push(other.logged(other.write("other")).await);
    }
    assert_eq!(b.sequences().await, written);
    let partition = b.partition();
    assert_eq!(sequences(&b.read(partition, 0, 3).await), written[..3]);
    assert_eq!(
        sequences(&b.read(partition, written[2], 4).await),
        written[3..7]
    );
    assert_eq!(
        sequences(&b.read(partition, written[12], ALL).await),
        written[13..]
    );
    assert_eq!(
        sequences(&b.read(partition, written[15], ALL).await),
        [0; 0]
    );
    assert_eq!(sequences(&b.read(partition, 0, 0).await), [0; 0]);
}

async fn large_writes_are_read_a_few_at_a_time_at_least(b: LogBench) {
    let mut written = Vec::new();
    for length in [1, 3_000_000, 2_000_000, 1, 500_000, 500_000, 500_000, 1] {
        written.push((b.logged(b.write(&"x".repeat(length))).await, length));
    }
    let read: Vec<_> = b
        .pending()
        .await
        .iter()
        .map(|write| (write.sequence, arguments(&write.payload).len()))
        .collect();
    assert_eq!(read, written);
}

async fn a_write_is_in_the_partition_of_its_key(b: LogBench) {
    for partition in every_partition() {
        let b = b.at(&b.key_in(partition, 0));
        b.logged(b.write("one")).await;
    }
    for partition in every_partition() {
        let writes = b.read(partition, 0, ALL).await;
        assert_eq!(writes.len(), 1);
        assert_eq!(partition_of(&writes[0].key), partition);
    }
}

async fn a_write_grows_older(b: LogBench) {
    b.logged(b.write("one")).await;
    let began = Instant::now();
    while b.pending().await[0].age < SHORT {
        assert!(began.elapsed() < DEADLINE, "the write does not age");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn a_function_has_as_many_writes_pending_as_it_may(b: LogBench) {
    let other = b.at(&b.key_in((b.partition() + 1) % 16, 0));
    b.logged(b.bounded(2)).await;
    other.logged(other.bounded(2)).await;
    b.refused(b.bounded(2)).await;
    other.refused(other.bounded(2)).await;
    b.logged(b.bounded(3)).await;
    let another = Append {
        function: format!("{}_another", b.function()),
        ..b.bounded(1)
    };
    b.logged(another.clone()).await;
    b.refused(another).await;
}

async fn the_bound_holds_for_writes_at_one_time(b: LogBench) {
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..20 {
        let b = b.at(&b.key_in(number % 16, 0));
        appends.spawn(async move { b.append(b.bounded(7)).await });
    }
    let answers = appends.join_all().await;
    let logged = |answer: &&Appended| matches!(answer, Appended::Logged(_));
    assert_eq!(answers.iter().filter(logged).count(), 7);
}

async fn a_refusal_does_nothing(b: LogBench) {
    let first = b.logged(b.bounded(1)).await;
    let lease = b.granted().await;
    let write = Append {
        max_pending: 1,
        ..b.valued("refused")
    };
    b.refused(write).await;
    assert_eq!(b.sequences().await, [first]);
    assert_eq!(b.get().await, None);
    assert!(b.fill(lease, "loaded").await, "the lease still stands");
}

async fn a_refusal_has_a_sequence_number_of_its_own(b: LogBench) {
    let before = b.logged(b.bounded(1)).await;
    let (one, _) = b.refused(b.bounded(1)).await;
    let (two, _) = b.refused(b.bounded(1)).await;
    let after = b.logged(b.bounded(2)).await;
    assert!(
        before < one && one < two && two < after,
        "{before}, {one}, {two}, {after}"
    );
}

async fn a_refusal_tells_whether_its_key_is_pending(b: LogBench) {
    let owner = b.owner().await;
    // In one partition: that something of it is pending says nothing of the key.
    let other = b.at(&b.key_in(b.partition(), 0));
    let write = b.logged(b.bounded(1)).await;
    assert!(b.refused(b.bounded(1)).await.1);
    assert!(!other.refused(other.bounded(1)).await.1);
    let another = Append {
        function: format!("{}_another", b.function()),
        ..b.bounded(0)
    };
    assert!(
        b.refused(another.clone()).await.1,
        "whatever function wrote it"
    );
    assert!(b.finish(owner, &[write]).await);
    assert!(!b.refused(another).await.1, "not any more");
}

async fn finished_and_buried_writes_make_room(b: LogBench) {
    let owner = b.owner().await;
    let (one, two) = (b.logged(b.bounded(2)).await, b.logged(b.bounded(2)).await);
    b.refused(b.bounded(2)).await;
    assert!(b.finish(owner, &[one]).await);
    let three = b.logged(b.bounded(2)).await;
    b.refused(b.bounded(2)).await;
    assert!(b.bury(owner, &[two, three]).await);
    b.logged(b.bounded(2)).await;
    b.logged(b.bounded(2)).await;
    b.refused(b.bounded(2)).await;
}

async fn finishing_removes_these_writes_and_no_others(b: LogBench) {
    let owner = b.owner().await;
    let mut written = Vec::new();
    for _ in 0..4 {
        written.push(b.logged(b.write("one")).await);
    }
    assert!(b.finish(owner, &written[..2]).await);
    assert_eq!(b.sequences().await, written[2..]);
    assert!(b.finish(owner, &written[2..3]).await);
    assert_eq!(b.sequences().await, written[3..]);
}

async fn writes_of_many_keys_are_finished_in_one_call(b: LogBench) {
    let owner = b.owner().await;
    let other = b.at(&b.key_in(b.partition(), 0));
    let rest = b.at(&b.key_in(b.partition(), 1));
    let one = b.logged(b.write("one")).await;
    let two = other.logged(other.write("two")).await;
    let three = rest.logged(rest.write("three")).await;
    let four = b.logged(b.write("four")).await;
    let done = [b.done(&[one, four], false), other.done(&[two], false)];
    assert!(b.finish_all(owner, &done).await);
    assert_eq!(b.sequences().await, [three]);
    assert!(b.finish_all(owner, &[]).await, "the owner finishes none");
}

async fn a_log_tells_what_would_lose_it(b: LogBench) {
    let dangers = b.log().dangers().await.expect("dangers");
    assert!(dangers.iter().all(|danger| !danger.is_empty()));
}
