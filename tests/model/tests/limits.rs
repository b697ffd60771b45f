//! What the protocol does not promise, and the documentation says so: the checker finds each of them.

use std::time::Duration;

use model::promises::{LINEARIZABLE, NO_OLDER_LEFT, NOTHING_OLDER};
use model::{Configuration, Faults, Kind, Level, Protocol, WriterOf, counterexample};

const LIMIT: Duration = Duration::from_secs(600);

const VERSIONED: &[WriterOf] = &[
    WriterOf::of(0, Kind::Versioned),
    WriterOf::of(1, Kind::Versioned),
];
const STRICT: &[WriterOf] = &[WriterOf::of(1, Kind::Strict)];

fn breaks(configuration: Configuration, promise: &'static str) -> bool {
    let steps = counterexample(&Protocol::of(configuration), promise, LIMIT);
    println!("{promise}: {steps:#?}");
    steps.is_some()
}

fn small(writers: &'static [WriterOf], faults: Faults) -> Configuration {
    Configuration {
        readers: &[0, 1],
        writers,
        faults,
        ..Configuration::PLAIN
    }
}

#[test]
fn a_strict_write_that_commits_after_its_intent_expired_is_seen_by_some_before_others() {
    let configuration = Configuration {
        level: Level::Strict,
        outlives_its_intent: true,
        readers: &[0, 0, 1],
        ..small(
            STRICT,
            Faults {
                hangs: 1,
                ..Faults::NONE
            },
        )
    };
    assert!(breaks(configuration, LINEARIZABLE));
}

#[test]
fn nothing_older_is_read_once_such_a_write_has_returned() {
    let configuration = Configuration {
        level: Level::Strict,
        outlives_its_intent: true,
        readers: &[0, 0, 1],
        ..small(
            STRICT,
            Faults {
                hangs: 1,
                ..Faults::NONE
            },
        )
    };
    assert!(!breaks(configuration, NOTHING_OLDER));
}

#[test]
fn strict_needs_a_backend_that_keeps_what_it_acknowledged() {
    let configuration = Configuration {
        level: Level::Strict,
        readers: &[0, 0, 1],
        ..small(
            STRICT,
            Faults {
                flushes: 1,
                ..Faults::NONE
            },
        )
    };
    assert!(breaks(configuration, LINEARIZABLE));
}

#[test]
fn a_newer_version_whose_store_is_lost_does_not_keep_an_older_one_out() {
    let configuration = small(
        VERSIONED,
        Faults {
            losses: 1,
            ..Faults::NONE
        },
    );
    assert!(breaks(configuration, NOTHING_OLDER));
}

#[test]
fn a_flush_loses_the_fence_that_keeps_an_older_version_out() {
    let configuration = small(
        VERSIONED,
        Faults {
            flushes: 1,
            ..Faults::NONE
        },
    );
    assert!(breaks(configuration, NOTHING_OLDER));
}

#[test]
fn an_invalidation_does_not_keep_out_an_older_version_that_is_on_its_way() {
    const WRITERS: &[WriterOf] = &[
        WriterOf::of(0, Kind::Versioned),
        WriterOf::of(1, Kind::Invalidates),
    ];
    assert!(breaks(small(WRITERS, Faults::NONE), NOTHING_OLDER));
    assert!(breaks(small(WRITERS, Faults::NONE), NO_OLDER_LEFT));
}

#[test]
fn a_strict_write_does_not_keep_out_an_older_version_that_is_on_its_way() {
    const WRITERS: &[WriterOf] = &[
        WriterOf::of(0, Kind::Versioned),
        WriterOf::of(1, Kind::Strict),
    ];
    assert!(breaks(small(WRITERS, Faults::NONE), NOTHING_OLDER));
}
