//! States that differ only in who is who are one.

use crate::backend::Token;
use crate::state::{Phase, READERS, Reader, State};

/// The state with readers and writers in an order of their own, and tokens named by the order in which they are met.
pub(crate) fn representative(state: &State) -> State {
    let mut state = *state;
    rename_tokens(&mut state);
    sort_readers(&mut state);
    state.writers.sort();
    rename_tokens(&mut state);
    state
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
