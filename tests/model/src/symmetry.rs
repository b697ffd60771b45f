//! States that differ only in who is who are one, and so are those that differ in what has no effect any more.

use crate::backend::Token;
use crate::state::{Operation, Phase, READERS, Reader, State};

/// The state with readers and writers in an order of their own, and tokens named by the order in which they are met.
pub(crate) fn representative(state: &State) -> State {
    let mut state = *state;
    forget_what_is_void(&mut state);
    rename_tokens(&mut state);
    sort_readers(&mut state);
    state.writers.sort();
    rename_tokens(&mut state);
    state
}

/// A lease that has ended never stands again. So what would fill or release it changes nothing, whenever it arrives.
fn forget_what_is_void(state: &mut State) {
    let sent = state.wire;
    let may_be_granted = |key: u8, token: Token| {
        let mut asked = sent.iter().flatten();
        state.entries[usize::from(key)].lease == Some(token)
            || asked
                .any(|sent| matches!(sent, Operation::Lease(k, t, _) if (*k, *t) == (key, token)))
    };
    for place in &mut state.wire {
        if let Some(Operation::Fill(key, token, _) | Operation::Release(key, token)) = *place
            && !may_be_granted(key, token)
        {
            *place = None;
        }
    }
    state.sort_wire();
}

/// What the state says of a token is where it stands; its number says nothing.
fn rename_tokens(state: &mut State) {
    const UNNAMED: u8 = u8::MAX;
    let mut names = [UNNAMED; 64];
    let mut next = 0;
    state.each_token(|token| {
        let name = &mut names[usize::from(token.0)];
        if *name == UNNAMED {
            *name = next;
            next += 1;
        }
        *token = Token(*name);
    });
    state.sort_wire();
}

fn sort_readers(state: &mut State) {
    let mut order: [u8; READERS] = std::array::from_fn(|at| at as u8);
    let before = state.readers;
    let told_apart = before.map(told_apart_by);
    order.sort_by_key(|&id| told_apart[usize::from(id)]);
    let mut places = [0; READERS];
    for (place, &id) in (0..).zip(&order) {
        places[usize::from(id)] = place;
    }
    for (place, &id) in order.iter().enumerate() {
        state.readers[place] = moved(before[usize::from(id)], &places);
    }
}

/// Without what names other readers.
fn told_apart_by(mut reader: Reader) -> Reader {
    match &mut reader.phase {
        Phase::Asking(other) | Phase::Joined(other) | Phase::WaitsToLoad(other) => *other = 0,
        _ => {}
    }
    reader.later_loads = reader.later_loads.count_ones() as u8;
    reader.later_questions = reader.later_questions.count_ones() as u8;
    reader
}

fn moved(mut reader: Reader, places: &[u8; READERS]) -> Reader {
    match &mut reader.phase {
        Phase::Asking(other) | Phase::Joined(other) | Phase::WaitsToLoad(other) => {
            *other = places[usize::from(*other)];
        }
        _ => {}
    }
    reader.later_loads = moved_bits(reader.later_loads, places);
    reader.later_questions = moved_bits(reader.later_questions, places);
    reader
}

fn moved_bits(bits: u8, places: &[u8; READERS]) -> u8 {
    let set = |at: &u8| bits & 1 << at != 0;
    let moved = (0..READERS as u8)
        .filter(set)
        .map(|at| 1 << places[usize::from(at)]);
    moved.sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use stateright::Model;

    use super::*;
    use crate::promises::NOBODY_WAITS;
    use crate::{Protocol, sizes};

    /// A walk through the states, by a generator that needs no crate.
    fn walk(protocol: &Protocol, seed: u64) -> Vec<State> {
        let mut random = seed;
        let mut states = protocol.init_states();
        let mut actions = Vec::new();
        loop {
            let last = states[states.len() - 1];
            actions.clear();
            protocol.actions(&last, &mut actions);
            if actions.is_empty() {
                return states;
            }
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let action = actions[(random >> 33) as usize % actions.len()];
            states.extend(protocol.next_state(&last, action));
            if states.len() > 60 {
                return states;
            }
        }
    }

    #[test]
    fn who_is_who_makes_no_difference_to_what_may_come() {
        for name in ["fenced-clients", "strict-network", "through-network"] {
            let protocol = Protocol::of(sizes::named(name).expect("it is there"));
            let waits = protocol.property(NOBODY_WAITS).condition;
            for state in (0..300).flat_map(|seed| walk(&protocol, seed)) {
                let other = representative(&state);
                let (these, those) = (futures(&protocol, &state), futures(&protocol, &other));
                assert!(these == those, "{state:#?}\n{other:#?}");
                assert_eq!(waits(&protocol, &state), waits(&protocol, &other));
            }
        }
    }

    /// What may come next that is not as it was, without who is who: told apart by what no renaming changes.
    fn futures(protocol: &Protocol, state: &State) -> BTreeSet<String> {
        let next = protocol.next_states(state);
        let plain = |state: &State| {
            let mut readers: Vec<_> = state.readers.iter().map(|reader| shape(*reader)).collect();
            readers.sort();
            let values = state
                .entries
                .map(|entry| (entry.value, entry.writes(), entry.fence));
            format!(
                "{readers:?} {values:?} {:?} {:?}",
                state.rows, state.processes
            )
        };
        let mut all: BTreeSet<_> = next.iter().map(plain).collect();
        all.remove(&plain(state));
        all
    }

    fn shape(mut reader: Reader) -> Reader {
        reader = told_apart_by(reader);
        reader.later_loads = reader.later_loads.min(1);
        crate::state::each_token_of(&mut reader, |token| *token = Token(0));
        reader
    }
}
