//! Tags: what has one is good until it is invalidated, and what was begun before that is good no more.

use std::sync::Arc;

use super::{Bench, LONG, suite};
use crate::backend::{
    Ask, Basis, Encoded, Fill, Format, Lease, LeaseMode, Life, Stored, TagVersion, Tags, Token,
    Typed, Versions, WriteEnd,
};
use crate::entry::{self, Meta};
use crate::key::Key;
use crate::spec::CodecKind;

suite![
    a_value_is_good_until_one_of_its_tags_is_invalidated,
    a_value_with_other_tags_stays,
    many_values_go_in_one_step,
    several_tags_are_invalidated_in_one_call,
    one_who_knows_the_tags_sees_the_same,
    many_values_are_held_against_their_own_tags,
    a_load_from_before_an_invalidation_stores_nothing,
    a_load_that_begins_after_an_invalidation_stores,
    a_tag_that_only_the_result_tells_counts_too,
    an_invalidation_of_another_tag_lets_a_load_store,
    a_lease_is_granted_where_only_an_old_value_is,
    whoever_finds_a_lease_is_told_of_the_last_invalidation,
    many_leases_tell_of_their_own_tags,
    a_value_that_is_put_is_as_new_as_its_put,
    a_write_from_before_an_invalidation_leaves_nothing,
    a_version_from_before_an_invalidation_raises_the_fence_alone,
    a_bump_of_the_namespace_ends_everything,
    a_load_from_before_a_bump_stores_nothing,
    names_of_any_kind_are_told_apart,
    invalidating_no_tags_is_fine,
];

impl Bench {
    /// A tag that nobody else uses.
    fn tag(&self, name: &str) -> Key {
        Key::from(format!("{}:{name}", self.key))
    }

    /// A value with tags, from after `since`. An entry, where bytes are kept: only those have tags.
    fn tagged(&self, text: &str, since: Option<TagVersion>, tags: &[&Key]) -> Stored {
        let tags: Tags = tags.iter().copied().cloned().collect();
        let basis = Basis { since, tags };
        let life = Life::new(LONG);
        match self.backend.format() {
            Format::Typed => Stored::Typed(Typed {
                value: Arc::new(text.to_owned()),
                life,
                basis: Some(Arc::new(basis)),
            }),
            Format::Encoded => {
                let meta = Meta {
                    fingerprint: 0,
                    codec: CodecKind::Bincode,
                    life,
                    basis,
                };
                // The text behind it makes no sound entry. Only a reader who knows the type would see that.
                let bytes = entry::encode(None::<&String>, &meta).expect("a small entry");
                Stored::Encoded(Encoded::new([&bytes[..], text.as_bytes()].concat().into()))
            }
        }
    }

    async fn put_tagged(&self, text: &str, tags: &[&Key]) -> bool {
        let value = self.tagged(text, None, tags);
        self.backend.put(&self.key, value, LONG).await.expect("put")
    }

    async fn lease_tagged(&self, tags: &[&Key]) -> (Token, Lease) {
        let (token, tags) = (Token::fresh(), names(tags));
        let lease = self
            .backend
            .lease(&self.key, &tags, token, LONG, LeaseMode::IfMissing);
        (token, lease.await.expect("lease"))
    }

    async fn granted_tagged(&self, tags: &[&Key]) -> (Token, Versions) {
        match self.lease_tagged(tags).await {
            (token, Lease::Granted(versions)) => (token, versions),
            (_, other) => panic!("a free key grants its lease, not {other:?}"),
        }
    }

    async fn fill_tagged(&self, token: Token, since: TagVersion, tags: &[&Key]) -> bool {
        let value = self.tagged("loaded", Some(since), tags);
        let filled = self.backend.fill(&self.key, token, value, LONG);
        filled.await.expect("fill")
    }

    async fn invalidate_tags(&self, tags: &[&Key]) {
        let done = self.backend.invalidate_tags(&names(tags)).await;
        done.expect("invalidate_tags");
    }

    async fn is_there(&self) -> bool {
        let found = self.backend.get(&self.key).await.expect("get");
        if let Some(now) = self.backend.get_now(&self.key) {
            assert_eq!(now.is_some(), found.is_some(), "get_now and get agree");
        }
        found.is_some()
    }

    fn beside(&self, name: &str) -> Self {
        Self {
            backend: self.backend.clone(),
            key: self.tag(name),
        }
    }
}

fn names(tags: &[&Key]) -> Vec<Key> {
    tags.iter().copied().cloned().collect()
}

async fn a_value_is_good_until_one_of_its_tags_is_invalidated(b: Bench) {
    let (one, two) = (b.tag("one"), b.tag("two"));
    assert!(b.put_tagged("value", &[&one, &two]).await);
    assert!(b.is_there().await);
    b.invalidate_tags(&[&two]).await;
    assert!(!b.is_there().await);
}

async fn a_value_with_other_tags_stays(b: Bench) {
    let (mine, other) = (b.tag("mine"), b.tag("other"));
    b.put_tagged("value", &[&mine]).await;
    let untagged = b.beside("untagged");
    untagged.put("value").await;
    b.invalidate_tags(&[&other]).await;
    assert!(b.is_there().await);
    assert!(untagged.is_there().await);
}

async fn many_values_go_in_one_step(b: Bench) {
    let tag = b.tag("all");
    let all: Vec<Bench> = (0..50).map(|n| b.beside(&n.to_string())).collect();
    for one in &all {
        one.put_tagged("value", &[&tag]).await;
    }
    b.invalidate_tags(&[&tag]).await;
    for one in &all {
        assert!(!one.is_there().await);
    }
}

async fn several_tags_are_invalidated_in_one_call(b: Bench) {
    let tags = ["one", "two", "three"].map(|name| b.tag(name));
    let all = ["1", "2", "3"].map(|name| b.beside(name));
    for (one, tag) in all.iter().zip(&tags) {
        one.put_tagged("value", &[tag]).await;
    }
    b.invalidate_tags(&[&tags[0], &tags[1], &tags[2]]).await;
    for one in &all {
        assert!(!one.is_there().await);
    }
}

async fn one_who_knows_the_tags_sees_the_same(b: Bench) {
    let (mine, other) = (b.tag("mine"), b.tag("other"));
    b.put_tagged("value", &[&mine]).await;
    let known = [&[&mine][..], &[&other], &[&other, &mine], &[]];
    for tags in known {
        let found = b.backend.get_tagged(&b.key, &names(tags)).await;
        assert!(found.expect("get_tagged").is_some(), "{tags:?}");
    }
    b.invalidate_tags(&[&mine]).await;
    for tags in known {
        let found = b.backend.get_tagged(&b.key, &names(tags)).await;
        assert!(found.expect("get_tagged").is_none(), "{tags:?}");
    }
}

async fn many_values_are_held_against_their_own_tags(b: Bench) {
    let (one, two) = (b.beside("1"), b.beside("2"));
    let (red, blue) = (b.tag("red"), b.tag("blue"));
    one.put_tagged("value", &[&red]).await;
    two.put_tagged("value", &[&blue]).await;
    let none = b.beside("none");
    let keys = [one.key.clone(), none.key, two.key.clone()];
    b.invalidate_tags(&[&red]).await;
    for known in [&[][..], &[&red], &[&red, &blue]] {
        let found = b.backend.get_many(&keys, &names(known)).await;
        let found: Vec<bool> = found
            .expect("get_many")
            .iter()
            .map(Option::is_some)
            .collect();
        assert_eq!(found, [false, false, true], "{known:?}");
    }
}

async fn a_load_from_before_an_invalidation_stores_nothing(b: Bench) {
    let tag = b.tag("tag");
    let (token, versions) = b.granted_tagged(&[&tag]).await;
    b.invalidate_tags(&[&tag]).await;
    assert!(!b.fill_tagged(token, versions.now, &[&tag]).await);
    assert!(!b.is_there().await);
    // Its lease is over all the same.
    b.granted_tagged(&[&tag]).await;
}

async fn a_load_that_begins_after_an_invalidation_stores(b: Bench) {
    let tag = b.tag("tag");
    for _ in 0..3 {
        b.invalidate_tags(&[&tag]).await;
        let (token, versions) = b.granted_tagged(&[&tag]).await;
        assert!(versions.now >= versions.last);
        assert!(b.fill_tagged(token, versions.now, &[&tag]).await);
        assert!(b.is_there().await);
        b.invalidate_tags(&[&tag]).await;
        assert!(!b.is_there().await);
    }
}

async fn a_tag_that_only_the_result_tells_counts_too(b: Bench) {
    let (known, told) = (b.tag("known"), b.tag("told"));
    let (token, versions) = b.granted_tagged(&[&known]).await;
    b.invalidate_tags(&[&told]).await;
    assert!(!b.fill_tagged(token, versions.now, &[&known, &told]).await);
    assert!(!b.is_there().await);
    let (token, versions) = b.granted_tagged(&[&known]).await;
    assert!(b.fill_tagged(token, versions.now, &[&known, &told]).await);
    assert!(b.is_there().await);
}

async fn an_invalidation_of_another_tag_lets_a_load_store(b: Bench) {
    let (mine, other) = (b.tag("mine"), b.tag("other"));
    b.put_tagged("value", &[&other]).await;
    b.invalidate_tags(&[&other]).await;
    let (token, versions) = b.granted_tagged(&[&mine]).await;
    b.invalidate_tags(&[&other]).await;
    assert!(b.fill_tagged(token, versions.now, &[&mine]).await);
    assert!(b.is_there().await);
}

async fn a_lease_is_granted_where_only_an_old_value_is(b: Bench) {
    let tag = b.tag("tag");
    b.put_tagged("value", &[&tag]).await;
    let (_, lease) = b.lease_tagged(&[&tag]).await;
    assert!(matches!(lease, Lease::Hit(_)), "{lease:?}");
    b.invalidate_tags(&[&tag]).await;
    let (token, versions) = b.granted_tagged(&[&tag]).await;
    assert!(b.fill_tagged(token, versions.now, &[&tag]).await);
    assert!(b.is_there().await);
}

async fn whoever_finds_a_lease_is_told_of_the_last_invalidation(b: Bench) {
    let (mine, other) = (b.tag("mine"), b.tag("other"));
    let (token, begun) = b.granted_tagged(&[&mine]).await;
    let last = async || match b.lease_tagged(&[&mine]).await {
        (_, Lease::Busy(holder, versions)) => {
            assert_eq!(holder, token);
            versions.last
        }
        (_, other) => panic!("the lease is held: {other:?}"),
    };
    assert!(begun.now >= last().await, "nothing came between");
    b.invalidate_tags(&[&other]).await;
    assert!(begun.now >= last().await, "another tag says nothing of it");
    b.invalidate_tags(&[&mine]).await;
    assert!(begun.now < last().await);
}

async fn many_leases_tell_of_their_own_tags(b: Bench) {
    let (red, blue) = (b.tag("red"), b.tag("blue"));
    b.beside("before").put_tagged("value", &[&red, &blue]).await;
    let begun = b.backend.versions(&names(&[&red])).await.expect("versions");
    b.invalidate_tags(&[&red]).await;
    let ask = |name: &str, tag: &Key| Ask {
        key: b.tag(name),
        tags: [tag.clone()].into_iter().collect(),
        token: Token::fresh(),
        mode: LeaseMode::IfMissing,
    };
    // The second time there are leases beside which to answer.
    for _ in 0..2 {
        let asks = [ask("1", &red), ask("2", &blue)];
        let leases = b.backend.lease_many(&asks, LONG).await.expect("lease_many");
        let last = leases.iter().map(|lease| match lease {
            Lease::Granted(versions) | Lease::Busy(_, versions) => versions.last,
            other => panic!("there is no value: {other:?}"),
        });
        let last: Vec<TagVersion> = last.collect();
        assert!(begun.now < last[0], "{begun:?} {last:?}");
        assert!(begun.now >= last[1], "{begun:?} {last:?}");
    }
    let (one, two) = (ask("3", &red), ask("4", &blue));
    let asks = [one.clone(), two.clone()];
    let leases = b.backend.lease_many(&asks, LONG).await.expect("lease_many");
    let fill = |ask: &Ask, lease: &Lease| {
        let Lease::Granted(versions) = lease else {
            panic!("free: {lease:?}");
        };
        let tags: Vec<&Key> = ask.tags.as_slice().iter().collect();
        Fill {
            key: ask.key.clone(),
            token: ask.token,
            value: b.tagged("value", Some(versions.now), &tags),
            keep: LONG,
        }
    };
    let fills = vec![fill(&one, &leases[0]), fill(&two, &leases[1])];
    b.invalidate_tags(&[&blue]).await;
    let stored = b.backend.fill_many(fills).await.expect("fill_many");
    assert_eq!(stored, [true, false]);
}

async fn a_value_that_is_put_is_as_new_as_its_put(b: Bench) {
    let tag = b.tag("tag");
    b.invalidate_tags(&[&tag]).await;
    assert!(b.put_tagged("value", &[&tag]).await);
    assert!(b.is_there().await);
    let before = b.backend.versions(&[]).await.expect("versions").now;
    b.invalidate_tags(&[&tag]).await;
    b.put_tagged("value", &[&tag]).await;
    let old = b.tagged("old", Some(before), &[&tag]);
    assert!(!b.backend.put(&b.key, old, LONG).await.expect("put"));
    assert!(!b.is_there().await, "what was there may be older still");
}

async fn a_write_from_before_an_invalidation_leaves_nothing(b: Bench) {
    let tag = b.tag("tag");
    for comes_between in [false, true] {
        let token = Token::fresh();
        let begun = b.backend.begin_write(&b.key, token, LONG).await;
        let since = begun.expect("begin_write");
        if comes_between {
            b.invalidate_tags(&[&tag]).await;
        }
        let value = (b.tagged("written", Some(since), &[&tag]), LONG);
        let end = b.backend.end_write(&b.key, token, Some(value)).await;
        let expected = if comes_between {
            WriteEnd::Overlapped
        } else {
            WriteEnd::Clean
        };
        assert_eq!(end.expect("end_write"), expected);
        assert_eq!(b.is_there().await, !comes_between);
    }
}

async fn a_version_from_before_an_invalidation_raises_the_fence_alone(b: Bench) {
    let tag = b.tag("tag");
    let since = b.backend.versions(&names(&[&tag])).await.expect("versions");
    b.put_tagged("older", &[&tag]).await;
    b.invalidate_tags(&[&tag]).await;
    let old = b.tagged("old", Some(since.now), &[&tag]);
    let stored = b.backend.put_if_newer(&b.key, 5, old, LONG).await;
    assert!(!stored.expect("put_if_newer"));
    assert!(!b.is_there().await);
    let older = b.tagged("older", None, &[&tag]);
    let stored = b.backend.put_if_newer(&b.key, 4, older, LONG).await;
    assert!(!stored.expect("put_if_newer"));
    let newer = b.tagged("newer", None, &[&tag]);
    let stored = b.backend.put_if_newer(&b.key, 6, newer, LONG).await;
    assert!(stored.expect("put_if_newer"));
    assert!(b.is_there().await);
}

async fn a_bump_of_the_namespace_ends_everything(b: Bench) {
    let tag = b.tag("tag");
    let tagged = b.beside("tagged");
    let entry = b.beside("entry");
    tagged.put_tagged("value", &[&tag]).await;
    entry.put_tagged("value", &[]).await;
    b.backend.bump_namespace().await.expect("bump_namespace");
    assert!(!tagged.is_there().await);
    assert!(!entry.is_there().await);
    assert!(entry.put_tagged("value", &[]).await);
    assert!(entry.is_there().await);
    assert!(tagged.put_tagged("value", &[&tag]).await);
    assert!(tagged.is_there().await);
}

async fn a_load_from_before_a_bump_stores_nothing(b: Bench) {
    let (token, versions) = b.granted_tagged(&[]).await;
    b.backend.bump_namespace().await.expect("bump_namespace");
    let (_, lease) = b.lease_tagged(&[]).await;
    match lease {
        Lease::Busy(_, told) => assert!(versions.now < told.last),
        other => panic!("the lease is held: {other:?}"),
    }
    assert!(!b.fill_tagged(token, versions.now, &[]).await);
    let (token, versions) = b.granted_tagged(&[]).await;
    assert!(b.fill_tagged(token, versions.now, &[]).await);
    assert!(b.is_there().await);
}

async fn names_of_any_kind_are_told_apart(b: Bench) {
    let odd = ["ü:%3A", "a b", "/c", "/f", "\u{1}", "{x}", "*"];
    for name in odd {
        let one = b.beside(&format!("key of {name}"));
        let tag = b.tag(name);
        let other = b.tag(&format!("{name}{name}"));
        one.put_tagged("value", &[&tag]).await;
        b.invalidate_tags(&[&other]).await;
        assert!(one.is_there().await, "{name}");
        b.invalidate_tags(&[&tag]).await;
        assert!(!one.is_there().await, "{name}");
    }
    let long = b.tag(&"x".repeat(2000));
    b.put_tagged("value", &[&long]).await;
    assert!(b.is_there().await);
    b.invalidate_tags(&[&long]).await;
    assert!(!b.is_there().await);
}

async fn invalidating_no_tags_is_fine(b: Bench) {
    b.put_tagged("value", &[]).await;
    b.invalidate_tags(&[]).await;
    assert!(b.is_there().await);
}
