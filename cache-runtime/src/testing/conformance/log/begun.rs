//! Writes that were begun: what a worker that takes a partition over finds.

use super::super::LONG;
use super::{LogBench, log_suite};
use crate::backend::Token;
use crate::backend::log::Begun;

log_suite![
    begun_writes_are_told_to_whoever_asks,
    beginning_again_takes_the_place_of_what_was_noted,
    many_groups_are_begun_in_one_call,
    what_is_over_is_not_begun,
    finishing_removes_the_note_of_its_key_alone,
    burying_removes_the_note,
    notes_stay_when_the_owner_changes,
    appending_leaves_the_note,
];

impl LogBench {
    fn group(&self, through: u64, attempts: u32) -> Begun {
        Begun {
            key: self.key.clone(),
            through,
            attempts,
        }
    }

    async fn begun_by_number(&self) -> Vec<Begun> {
        let mut begun = self.begun().await;
        begun.sort_by_key(|group| group.through);
        begun
    }
}

async fn begun_writes_are_told_to_whoever_asks(b: LogBench) {
    let owner = b.owner().await;
    assert_eq!(b.begun().await, []);
    let write = b.logged(b.write("one")).await;
    assert!(b.begin_run(owner, write, 1).await);
    assert_eq!(b.begun().await, [b.group(write, 1)]);
    let elsewhere = b.log().begun((b.partition() + 1) % 16).await;
    assert_eq!(elsewhere.expect("begun"), []);
}

async fn beginning_again_takes_the_place_of_what_was_noted(b: LogBench) {
    let owner = b.owner().await;
    let one = b.logged(b.write("one")).await;
    assert!(b.begin_run(owner, one, 1).await);
    assert!(b.begin_run(owner, one, 2).await);
    assert_eq!(b.begun().await, [b.group(one, 2)]);
    let two = b.logged(b.write("two")).await;
    assert!(b.begin_run(owner, two, 1).await);
    assert_eq!(b.begun().await, [b.group(two, 1)]);
}

async fn many_groups_are_begun_in_one_call(b: LogBench) {
    let owner = b.owner().await;
    let other = b.at(&b.key_in(b.partition(), 0));
    let one = b.logged(b.write("one")).await;
    let two = other.logged(other.write("two")).await;
    let groups = [b.group(one, 1), other.group(two, 4)];
    let begun = b.log().begin(b.partition(), owner, &groups).await;
    assert_eq!(begun.expect("begin"), Some(vec![true, true]));
    assert_eq!(b.begun_by_number().await, groups);
}

async fn what_is_over_is_not_begun(b: LogBench) {
    let owner = b.owner().await;
    let other = b.at(&b.key_in(b.partition(), 0));
    let (finished, buried) = (
        b.logged(b.write("finished")).await,
        b.logged(b.write("buried")).await,
    );
    // The key has another one, but what was begun is over.
    let pending = b.logged(b.write("pending")).await;
    let others = other.logged(other.write("other")).await;
    assert!(b.finish(owner, &[finished]).await);
    assert!(b.bury(owner, &[buried]).await);
    let groups = [
        b.group(finished, 2),
        other.group(others, 1),
        b.group(buried, 2),
    ];
    let begin = async |member| {
        let begun = b.log().begin(b.partition(), member, &groups).await;
        begun.expect("begin")
    };
    assert_eq!(begin(owner).await, Some(vec![false, true, false]));
    assert_eq!(b.begun().await, [other.group(others, 1)]);
    assert!(b.begin_run(owner, pending, 1).await);
    assert_eq!(begin(owner).await, Some(vec![false, true, false]));
    let begun = b.begun_by_number().await;
    assert_eq!(begun, [b.group(pending, 1), other.group(others, 1)]);
    assert_eq!(begin(Token::fresh()).await, None);
}

async fn finishing_removes_the_note_of_its_key_alone(b: LogBench) {
    let owner = b.owner().await;
    let other = b.at(&b.key_in(b.partition(), 0));
    let one = b.logged(b.write("one")).await;
    let two = other.logged(other.write("two")).await;
    let later = b.logged(b.write("later")).await;
    assert!(b.begin_run(owner, one, 1).await);
    assert!(other.begin_run(owner, two, 1).await);
    assert!(b.finish(owner, &[one]).await);
    assert_eq!(b.begun().await, [other.group(two, 1)]);
    assert_eq!(b.sequences().await, [two, later]);
}

async fn burying_removes_the_note(b: LogBench) {
    let owner = b.owner().await;
    let write = b.logged(b.write("one")).await;
    assert!(b.begin_run(owner, write, 3).await);
    assert!(b.bury(owner, &[write]).await);
    assert_eq!(b.begun().await, []);
}

async fn notes_stay_when_the_owner_changes(b: LogBench) {
    let (one, two) = (b.owner().await, Token::fresh());
    let write = b.logged(b.write("one")).await;
    assert!(b.begin_run(one, write, 2).await);
    b.log().leave(one).await.expect("leave");
    b.attend(two, LONG).await;
    assert_eq!(b.begun().await, [b.group(write, 2)]);
    assert!(b.finish(two, &[write]).await);
    assert_eq!(b.begun().await, []);
}

async fn appending_leaves_the_note(b: LogBench) {
    let owner = b.owner().await;
    let write = b.logged(b.write("one")).await;
    assert!(b.begin_run(owner, write, 1).await);
    b.logged(b.valued("two")).await;
    assert_eq!(b.begun().await, [b.group(write, 1)]);
}
