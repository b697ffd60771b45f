//! What has to hold in every state, and what has to be seen in some, so that it holds of something.

use stateright::Property;

use crate::backend::Lease;
use crate::configuration::{Faults, Kind, Level};
use crate::protocol::Protocol;
use crate::state::{Broken, Join, Phase, Reader, State, Told};

/// Promise 1: a read that begins after an invalidation has returned never gets what was loaded before it.
pub const NOTHING_OLDER: &str = "after an invalidation nothing older is read";
/// Strict reads are linearizable: the row's versions are their order.
pub const LINEARIZABLE: &str = "strict reads are linearizable";
/// Promise 2, across processes.
pub const ONE_LEASE: &str = "one load under a lease at a time";
/// Promise 2, in a process.
pub const ONE_FLIGHT: &str = "one load of each sort at a time in a process";
/// Promise 3.
pub const NOBODY_WAITS: &str = "nobody waits for what does not come";
/// Promise 3, for those who come later.
pub const NO_LEASE_LEFT: &str = "no lease is left behind without a fault";
/// Promise 4, and promise 1 for who reads much later.
pub const NO_OLDER_LEFT: &str = "no older value stays";

/// The promises that a configuration has to keep, and the sights that it has to offer.
pub(crate) fn of(model: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(ONE_LEASE, one_lease),
        Property::always(ONE_FLIGHT, one_flight),
        Property::always(NOBODY_WAITS, nobody_waits),
        Property::always(NO_LEASE_LEFT, no_lease_left),
    ];
    if model.configuration.level != Level::Eventual {
        all.push(Property::always(NOTHING_OLDER, |_, state: &State| {
            state.broken != Some(Broken::Older)
        }));
        all.push(Property::always(NO_OLDER_LEFT, no_older_left));
    }
    if model.is_strict() {
        all.push(Property::always(LINEARIZABLE, |_, state: &State| {
            state.broken.is_none()
        }));
    }
    all.extend(sights(model));
    all
}

fn loads_of<'a>(state: &'a State, key: u8) -> impl Iterator<Item = &'a Reader> + use<'a> {
    let readers = state.readers.iter();
    readers.filter(move |reader| reader.key == key)
}

fn one_lease(model: &Protocol, state: &State) -> bool {
    (0..model.configuration.keys).all(|key| {
        let current = loads_of(state, key).filter(|reader| reader.is_current);
        current.count() <= 1
    })
}

fn one_flight(_: &Protocol, state: &State) -> bool {
    let loads =
        |reader: &&Reader| matches!(reader.phase, Phase::Loads(None) | Phase::Loaded(None, _));
    let past = Some(Join::Away { is_current: false });
    let sort = |reader: &Reader| (reader.process, reader.key, reader.leads);
    let flights = || {
        state
            .readers
            .iter()
            .filter(loads)
            .filter(|reader| reader.leads != past)
    };
    flights().all(|one| flights().filter(|other| sort(other) == sort(one)).count() == 1)
}

/// Every chain of waiting ends with somebody who goes on, or with a lease that ends by itself.
fn nobody_waits(model: &Protocol, state: &State) -> bool {
    let leads = |id: u8| {
        let leader = &state.readers[usize::from(id)];
        leader.leads.is_some() && !waits(leader.phase)
    };
    state.readers.iter().all(|reader| match reader.phase {
        Phase::Asking(asker) => matches!(state.readers[usize::from(asker)].phase, Phase::Asked(_)),
        Phase::Joined(leader) | Phase::WaitsToLoad(leader) => leads(leader),
        Phase::Follows(holder) => {
            let key = reader.key;
            state.entries[usize::from(key)].lease != Some(holder)
                || model.turn(state).is_let_go(key, holder)
                || model.turn(state).may_expire_lease(key)
        }
        _ => true,
    })
}

/// Whether somebody else has to do something first, who may in turn be waiting for a third.
fn waits(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Asking(_) | Phase::Joined(_) | Phase::WaitsToLoad(_)
    )
}

fn no_lease_left(model: &Protocol, state: &State) -> bool {
    // What was lost on its way, or with its process, is left to expire.
    let faults = |faults: Faults| (faults.losses, faults.crashes, faults.outages);
    if faults(state.left) != faults(model.configuration.faults) {
        return true;
    }
    let turn = model.turn(state);
    (0..model.configuration.keys).all(|key| {
        let lease = state.entries[usize::from(key)].lease;
        lease.is_none_or(|lease| turn.is_let_go(key, lease))
    })
}

fn no_older_left(model: &Protocol, state: &State) -> bool {
    (0..model.configuration.keys).all(|key| {
        let at = usize::from(key);
        let value = state.entries[at].value;
        value.is_none_or(|value| value == state.rows[at]) || !model.turn(state).is_settled(key)
    })
}

/// What a model without it would say nothing about.
fn sights(model: &Protocol) -> Vec<Property<Protocol>> {
    let configuration = &model.configuration;
    let is_shared = configuration.level != Level::Eventual;
    let announced = configuration
        .writers
        .iter()
        .filter(|writer| writer.kind.is_announced());
    let (writers, announced) = (configuration.writers.len(), announced.count());
    let faults = configuration.faults;
    let many = configuration
        .readers
        .iter()
        .any(|process| *process != configuration.readers[0]);
    let pair = configuration
        .readers
        .windows(2)
        .any(|pair| pair[0] == pair[1]);
    let mut all = Vec::new();
    let mut see = |applies: bool, name, condition: fn(&Protocol, &State) -> bool| {
        if applies {
            all.push(Property::sometimes(name, condition));
        }
    };
    see(pair, "a load is joined", |_, state| {
        joined(state, |leader| leader.phase.is_load())
    });
    see(
        pair && is_shared && configuration.is_remote,
        "a question is shared",
        |_, state| {
            state
                .readers
                .iter()
                .any(|reader| matches!(reader.phase, Phase::Asking(_)))
        },
    );
    see(many, "a load of another process is followed", |_, state| {
        state
            .readers
            .iter()
            .any(|reader| matches!(reader.phase, Phase::Followed(Some(_))))
    });
    see(
        writers > 0 && is_shared,
        "a fill is about to be refused",
        |_, state| {
            state.readers.iter().any(|reader| match reader.phase {
                Phase::Loaded(Some(lease), _) => {
                    state.entries[usize::from(reader.key)].lease != Some(lease)
                }
                _ => false,
            })
        },
    );
    see(announced > 0, "a write is bypassed", |_, state| {
        let is_bypass = |told| matches!(told, Told::Lease(Lease::Bypass(_)));
        state
            .readers
            .iter()
            .any(|reader| reader.phase.was_told(is_bypass))
    });
    see(announced > 1, "writes overlap", |_, state| {
        state.entries.iter().any(|entry| entry.writes() > 1)
    });
    see(
        writers > 0,
        "a value is loaded that is older than the row",
        |_, state| {
            state.readers.iter().any(|reader| match reader.phase {
                Phase::Loaded(_, value) => value < state.rows[usize::from(reader.key)],
                _ => false,
            })
        },
    );
    let kept = faults.outages > 0 || faults.losses > usize::from(announced == writers) as u8;
    see(
        kept && writers > 0,
        "an invalidation is kept",
        |_, state| {
            state
                .processes
                .iter()
                .any(|process| process.backlog.contains(&true))
        },
    );
    see(
        faults.outages > 0 && pair && !model.is_strict(),
        "a load is joined while the backend is away",
        |_, state| {
            joined(state, |leader| {
                matches!(leader.leads, Some(Join::Away { .. }))
            })
        },
    );
    see(
        faults.crashes > 0 && writers > 0,
        "a lease outlives its holder",
        |model, state| {
            let lease = state.entries[0].lease;
            lease.is_some_and(|lease| !model.turn(state).is_let_go(0, lease))
        },
    );
    see(
        model.is_strict() && pair && announced > 0,
        "a caller waits for a later load",
        |_, state| {
            state
                .readers
                .iter()
                .any(|reader| matches!(reader.phase, Phase::WaitsToLoad(_)))
        },
    );
    let is_eventual = configuration.level == Level::Eventual;
    see(
        is_eventual && writers > 0,
        "an older value stays",
        |model, state| !no_older_left(model, state),
    );
    let invalidating = configuration
        .writers
        .iter()
        .any(|writer| writer.kind == Kind::Invalidates);
    see(
        faults.crashes > 0 && invalidating,
        "an older value stays after its writer was killed",
        |_, state| {
            let value = state.entries[0].value;
            state.owed_by_the_dead[0] && value.is_some_and(|value| value < state.rows[0])
        },
    );
    all
}

fn joined(state: &State, what: fn(&Reader) -> bool) -> bool {
    state.readers.iter().any(|reader| match reader.phase {
        Phase::Joined(leader) => what(&state.readers[usize::from(leader)]),
        _ => false,
    })
}
