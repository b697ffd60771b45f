//! The configurations that are checked, all of them by the program and the small ones by the tests.

use crate::configuration::{Configuration, Faults, Kind, Level, WriterOf};

const NONE: Faults = Faults::NONE;

/// What callers do: killed, dropped, failing, hanging past the expiry of what they hold.
const CLIENTS: Faults = Faults {
    crashes: 1,
    drops: 1,
    failures: 1,
    hangs: 1,
    ..NONE
};

/// What connections do: an answer gets lost, and a process finds the backend away.
const NETWORK: Faults = Faults {
    losses: 1,
    outages: 1,
    ..NONE
};

/// The same with two answers that get lost, as that of a write and that of the invalidation after it.
const LOSSES: Faults = Faults {
    losses: 2,
    ..NETWORK
};

/// What a backend may do: values leave and grow old.
const VALUES: Faults = Faults {
    evictions: 1,
    expiries: 1,
    ..NONE
};

/// One of each that a backend may do which keeps what it has acknowledged.
const EACH: Faults = Faults {
    losses: 1,
    outages: 1,
    evictions: 1,
    expiries: 1,
    ..CLIENTS
};

const INVALIDATING: &[WriterOf] = &[
    WriterOf::of(0, Kind::Invalidates),
    WriterOf::of(1, Kind::Invalidates),
];
const TRANSACTIONS: &[WriterOf] = &[
    WriterOf::of_both(0, Kind::Invalidates),
    WriterOf::of_both(1, Kind::Invalidates),
];
const STRICT: &[WriterOf] = &[WriterOf::of(0, Kind::Strict), WriterOf::of(1, Kind::Strict)];
const STRICT_TRANSACTIONS: &[WriterOf] = &[
    WriterOf::of_both(0, Kind::Strict),
    WriterOf::of_both(1, Kind::Strict),
];
const STRICT_THROUGH: &[WriterOf] = &[
    WriterOf::of(0, Kind::ThroughStrict),
    WriterOf::of(1, Kind::ThroughStrict),
];
const THROUGH: &[WriterOf] = &[
    WriterOf::of(0, Kind::Through),
    WriterOf::of(1, Kind::Through),
];
const THROUGH_AND_INVALIDATING: &[WriterOf] = &[
    WriterOf::of(0, Kind::Through),
    WriterOf::of(1, Kind::Invalidates),
];
const THREE_SORTS: &[WriterOf] = &[
    WriterOf::of(0, Kind::Through),
    WriterOf::of(1, Kind::Invalidates),
    WriterOf::of(1, Kind::Strict),
];
const VERSIONED: &[WriterOf] = &[
    WriterOf::of(0, Kind::Versioned),
    WriterOf::of(1, Kind::Versioned),
];
const OF_ONE_PROCESS: &[WriterOf] = &[
    WriterOf::of(0, Kind::Through),
    WriterOf::of(0, Kind::Invalidates),
];

const fn fenced(name: &'static str, faults: Faults) -> Configuration {
    Configuration {
        name,
        writers: INVALIDATING,
        faults,
        ..Configuration::PLAIN
    }
}

const fn strict(name: &'static str, faults: Faults) -> Configuration {
    Configuration {
        level: Level::Strict,
        writers: STRICT,
        ..fenced(name, faults)
    }
}

const fn through(name: &'static str, faults: Faults) -> Configuration {
    Configuration {
        writers: THROUGH,
        ..fenced(name, faults)
    }
}

const fn versions(name: &'static str, faults: Faults) -> Configuration {
    Configuration {
        writers: VERSIONED,
        ..fenced(name, faults)
    }
}

/// One reader in each of two processes.
const PAIR: &[u8] = &[0, 1];

/// The configuration of this name.
pub fn named(name: &str) -> Option<Configuration> {
    let mut all = ALL.iter();
    all.find(|configuration| configuration.name == name)
        .copied()
}

/// Every configuration.
pub const ALL: &[Configuration] = &[
    Configuration {
        keys: 2,
        writers: TRANSACTIONS,
        ..fenced("fenced-2-keys", NONE)
    },
    Configuration {
        keys: 2,
        writers: TRANSACTIONS,
        ..fenced("fenced-2-keys-crash", Faults { crashes: 1, ..NONE })
    },
    fenced("fenced", NONE),
    fenced("fenced-clients", CLIENTS),
    fenced("fenced-network", NETWORK),
    Configuration {
        readers: PAIR,
        ..fenced("fenced-losses", LOSSES)
    },
    fenced("fenced-values", VALUES),
    fenced(
        "fenced-flush",
        Faults {
            flushes: 1,
            ..VALUES
        },
    ),
    Configuration {
        readers: PAIR,
        ..fenced("fenced-each", EACH)
    },
    Configuration {
        calls: 2,
        ..fenced("fenced-2-calls", Faults { hangs: 1, ..NONE })
    },
    Configuration {
        passed_by: 1,
        ..fenced(
            "fenced-passed-by",
            Faults {
                failures: 2,
                hangs: 1,
                ..NONE
            },
        )
    },
    Configuration {
        wakes_early: true,
        ..fenced("fenced-wakes-early", VALUES)
    },
    Configuration {
        readers: &[0, 0, 0],
        writers: OF_ONE_PROCESS,
        is_remote: false,
        ..fenced(
            "memory",
            Faults {
                crashes: 0,
                ..CLIENTS
            },
        )
    },
    Configuration {
        keys: 2,
        writers: STRICT_TRANSACTIONS,
        ..strict("strict-2-keys", NONE)
    },
    strict("strict", NONE),
    strict("strict-crash", Faults { crashes: 1, ..NONE }),
    strict("strict-clients", CLIENTS),
    strict("strict-network", NETWORK),
    Configuration {
        readers: PAIR,
        ..strict("strict-losses", LOSSES)
    },
    strict("strict-values", VALUES),
    Configuration {
        readers: PAIR,
        ..strict("strict-each", EACH)
    },
    Configuration {
        calls: 2,
        ..strict("strict-2-calls", NONE)
    },
    Configuration {
        writers: STRICT_THROUGH,
        ..strict(
            "strict-through",
            Faults {
                crashes: 1,
                drops: 1,
                ..VALUES
            },
        )
    },
    through("through", NONE),
    through("through-clients", CLIENTS),
    through("through-network", NETWORK),
    Configuration {
        readers: PAIR,
        ..through("through-losses", LOSSES)
    },
    through(
        "through-flush",
        Faults {
            flushes: 1,
            ..VALUES
        },
    ),
    Configuration {
        readers: PAIR,
        ..through("through-each", EACH)
    },
    Configuration {
        writers: THROUGH_AND_INVALIDATING,
        ..through(
            "through-and-invalidating",
            Faults {
                losses: 1,
                hangs: 1,
                ..NONE
            },
        )
    },
    Configuration {
        readers: PAIR,
        writers: THREE_SORTS,
        ..through("three-sorts-of-writers", NONE)
    },
    versions("versions", NONE),
    versions("versions-clients", CLIENTS),
    versions("versions-values", VALUES),
    Configuration {
        level: Level::Eventual,
        ..fenced("eventual", NONE)
    },
    Configuration {
        level: Level::Eventual,
        readers: PAIR,
        ..fenced("eventual-each", EACH)
    },
];
