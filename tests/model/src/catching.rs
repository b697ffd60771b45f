//! Which configuration shows that a mechanism is gone, and which promise it breaks.

use crate::Mutant;
use crate::configuration::{Configuration, Faults, Kind, Level, WriterOf};
use crate::promises::{
    LINEARIZABLE, NO_LEASE_LEFT, NO_OLDER_LEFT, NOBODY_WAITS, NOTHING_OLDER, ONE_FLIGHT, ONE_LEASE,
};

const ONE: &[WriterOf] = &[WriterOf::of(1, Kind::Invalidates)];
const OWN: &[WriterOf] = &[WriterOf::of(0, Kind::Invalidates)];
const VERSIONS: &[WriterOf] = &[
    WriterOf::of(0, Kind::Versioned),
    WriterOf::of(1, Kind::Versioned),
];
const THROUGH: &[WriterOf] = &[
    WriterOf::of(0, Kind::Through),
    WriterOf::of(1, Kind::Through),
];
const THROUGH_AND: &[WriterOf] = &[
    WriterOf::of(0, Kind::Through),
    WriterOf::of(1, Kind::Invalidates),
];
const THROUGH_AND_VERSION: &[WriterOf] = &[
    WriterOf::of(0, Kind::Through),
    WriterOf::of(1, Kind::Versioned),
];
const STRICT: &[WriterOf] = &[WriterOf::of(1, Kind::Strict)];

/// Fenced calls beside one writer.
const FENCED: Configuration = Configuration {
    name: "fenced",
    writers: ONE,
    ..Configuration::PLAIN
};

const fn with(faults: Faults) -> Configuration {
    Configuration { faults, ..FENCED }
}

const fn among(writers: &'static [WriterOf]) -> Configuration {
    Configuration { writers, ..FENCED }
}

/// The same with as few readers as it takes.
const fn read_by(readers: &'static [u8], configuration: Configuration) -> Configuration {
    Configuration {
        readers,
        ..configuration
    }
}

const fn strict(faults: Faults) -> Configuration {
    Configuration {
        level: Level::Strict,
        writers: STRICT,
        faults,
        ..FENCED
    }
}

const NONE: Faults = Faults::NONE;
const LOSS: Faults = Faults { losses: 1, ..NONE };
const HANG: Faults = Faults { hangs: 1, ..NONE };
const DROP: Faults = Faults { drops: 1, ..NONE };
const OUTAGE: Faults = Faults { outages: 1, ..NONE };

impl Mutant {
    /// The configuration whose check finds that this mechanism is gone, and the promise that is broken then.
    pub fn caught_by(self) -> (Configuration, &'static str) {
        match self {
            Self::FillWithoutLease => (FENCED, NOTHING_OLDER),
            Self::FillKeepsLease => (FENCED, NO_LEASE_LEFT),
            Self::InvalidateKeepsLease => (FENCED, NOTHING_OLDER),
            Self::InvalidateMarksNothing => (read_by(&[0], among(THROUGH_AND)), NOTHING_OLDER),
            Self::LeaseDespiteIntents => (strict(NONE), LINEARIZABLE),
            Self::LeaseBesideAnother => (FENCED, ONE_LEASE),
            Self::TokenPerProcess => (FENCED, NOTHING_OLDER),
            Self::RenewRevives => (FENCED, NOTHING_OLDER),
            Self::ReleaseOfAnother => (with(DROP), ONE_LEASE),
            Self::LeaseNotReleased => (with(DROP), NO_LEASE_LEFT),
            Self::LeaseWithoutExpiry => (with(Faults { crashes: 1, ..NONE }), NOBODY_WAITS),
            Self::BeginKeepsValue => (strict(LOSS), LINEARIZABLE),
            Self::BeginKeepsLease => (strict(NONE), LINEARIZABLE),
            Self::OverlapNotMarked => (read_by(&[0], among(THROUGH)), NOTHING_OLDER),
            Self::EndWithoutIntent => (
                Configuration {
                    faults: HANG,
                    readers: &[0],
                    ..among(THROUGH_AND)
                },
                NOTHING_OLDER,
            ),
            Self::LostIntentMarksNothing => (
                Configuration {
                    faults: HANG,
                    readers: &[0],
                    ..among(THROUGH)
                },
                NOTHING_OLDER,
            ),
            Self::EndKeepsGeneration => (among(THROUGH), NOTHING_OLDER),
            Self::PutWithoutVersion => (among(VERSIONS), NOTHING_OLDER),
            Self::PutKeepsLease => (among(VERSIONS), NOTHING_OLDER),
            Self::PutMarksNothing => (
                // Of the two the write with the version is the later one: an earlier one is kept out by nothing.
                Configuration {
                    commits_in_order: true,
                    ..among(THROUGH_AND_VERSION)
                },
                NOTHING_OLDER,
            ),
            Self::FenceLostWithValue => (
                Configuration {
                    faults: Faults {
                        evictions: 1,
                        ..NONE
                    },
                    ..among(VERSIONS)
                },
                NOTHING_OLDER,
            ),
            Self::JoinByKeyAlone => (FENCED, NOTHING_OLDER),
            Self::JoinNobody => (FENCED, ONE_FLIGHT),
            Self::StrictJoinsByGeneration => (strict(NONE), LINEARIZABLE),
            Self::LaterTakesAny => (strict(NONE), LINEARIZABLE),
            Self::AnswerOfAnyQuestion => (FENCED, NOTHING_OLDER),
            Self::EpochNotAdvanced => (
                Configuration {
                    faults: OUTAGE,
                    ..among(OWN)
                },
                NOTHING_OLDER,
            ),
            Self::LateAnswerCountsAsAway => (
                read_by(&[0, 0], with(Faults { losses: 2, ..NONE })),
                NOTHING_OLDER,
            ),
            Self::BypassStores => (strict(NONE), LINEARIZABLE),
            Self::SeatNotLanded | Self::QuestionNotLanded => (with(DROP), NOBODY_WAITS),
            Self::NothingKept | Self::BreakerStaysClosed | Self::BreakerClosesEarly => (
                Configuration {
                    faults: LOSS,
                    begins_filled: true,
                    ..among(OWN)
                },
                NOTHING_OLDER,
            ),
            Self::StrictUnannounced => (
                Configuration {
                    readers: &[0, 1],
                    begins_filled: true,
                    ..strict(Faults { losses: 2, ..NONE })
                },
                LINEARIZABLE,
            ),
            Self::UnconfirmedStores => (
                Configuration {
                    faults: LOSS,
                    readers: &[0],
                    ..among(THROUGH)
                },
                NO_OLDER_LEFT,
            ),
        }
    }
}
