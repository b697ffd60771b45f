//! What the passes over a type have learned, and the bounds on them.
//!
//! A type is known by the name of its visitor, which tells types of one name in two modules apart. That name never goes into the
//! fingerprint, and the notes are only looked up, never listed: both differ from build to build.

use std::any::type_name;
use std::collections::HashMap;

use super::Print;

/// How many questions of the type's are answered in one pass, and in all.
const PASS_STEPS: u32 = 1 << 13;
const TOTAL_STEPS: u32 = 1 << 17;

/// How deeply a pass descends.
const MAX_DEPTH: u32 = 48;

/// A visitor's name, and the name that it gave for its type or variant.
pub(super) type Key = (&'static str, &'static str);

/// The key of a visitor.
pub(super) fn key<V>(name: &'static str) -> Key {
    (type_name::<V>(), name)
}

/// What is known of one type.
#[derive(Default)]
pub(super) struct Note {
    /// The pass that met it last.
    pub(super) pass: u32,
    /// How often it is being read right now.
    pub(super) open: u32,
    /// How often it was ever met.
    pub(super) met: u32,
    /// Its inside can not be made from dummies: an option or collection of it stays empty.
    pub(super) barren: bool,
    /// Which text to try.
    pub(super) attempt: usize,
    /// Its visitor takes fields by position only.
    pub(super) positional: bool,
    /// What is known of each field of a struct, or variant of an enum.
    pub(super) parts: Vec<Part>,
    /// A variant of an enum that holds no other value of that enum.
    pub(super) terminal: Option<usize>,
}

/// What is known of a field or a variant.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Part {
    /// Not finished with.
    #[default]
    Open,
    /// Seen in full, as far as it can be.
    Done,
    /// It rejects the dummy, so it comes last, after the fields that do not.
    Rejects,
    /// Another name of a field that was given already.
    Alias,
}

/// The state of a trace.
pub(super) struct Ledger<'p> {
    pub(super) print: &'p mut Print,
    pub(super) human_readable: bool,
    /// What this pass leaves for the next to look at.
    pub(super) pending: u32,
    pass: u32,
    depth: u32,
    pass_steps: u32,
    total_steps: u32,
    notes: HashMap<Key, Note>,
}

impl<'p> Ledger<'p> {
    pub(super) fn new(print: &'p mut Print, human_readable: bool) -> Self {
        Self {
            print,
            human_readable,
            pending: 1,
            pass: 0,
            depth: 0,
            pass_steps: 0,
            total_steps: TOTAL_STEPS,
            notes: HashMap::new(),
        }
    }

    /// Starts a pass, if the one before left something to look at.
    pub(super) fn begin(&mut self) -> bool {
        if self.pending == 0 || self.total_steps == 0 {
            return false;
        }
        self.pending = 0;
        self.pass += 1;
        self.pass_steps = PASS_STEPS;
        self.depth = 0;
        true
    }

    /// Notes one question of the type's; `false` when it has asked enough.
    pub(super) fn step(&mut self, what: &str) -> bool {
        if self.pass_steps == 0 || self.total_steps == 0 {
            return false;
        }
        self.pass_steps -= 1;
        self.total_steps -= 1;
        self.print.text(what);
        true
    }

    pub(super) fn note(&mut self, key: Key) -> &mut Note {
        self.notes.entry(key).or_default()
    }

    /// Enters a type; `false` where it would be too deep.
    pub(super) fn open(&mut self, key: Key) -> bool {
        if self.depth == MAX_DEPTH {
            return false;
        }
        self.depth += 1;
        let pass = self.pass;
        let note = self.note(key);
        note.pass = pass;
        note.open += 1;
        note.met += 1;
        true
    }

    pub(super) fn close(&mut self, key: Key) {
        self.depth -= 1;
        self.note(key).open -= 1;
    }

    /// Whether an option or collection is to stay empty: it would recurse, this pass has looked into one like it, or its
    /// inside rejects every dummy.
    pub(super) fn stays_empty(&mut self, key: Key) -> bool {
        let pass = self.pass;
        let note = self.note(key);
        note.open > 0 || note.pass == pass || note.barren
    }

    /// After an option or collection that held something.
    pub(super) fn filled(&mut self, key: Key, accepted: bool, pending_before: u32) {
        // Where something inside is still to be tried, another pass may succeed.
        if !accepted && self.pending == pending_before {
            self.note(key).barren = true;
            self.pending += 1;
        }
    }

    /// Picks the variant to read. `fresh` tells [`picked`](Self::picked) that its inside counts as seen.
    pub(super) fn pick(&mut self, key: Key, variants: usize) -> Pick {
        let note = self.note(key);
        note.parts.resize(variants, Part::Open);
        if note.open > 1 {
            // Inside another value of this enum. Where no variant is known to end that, each level takes the next.
            let level = note.open as usize - 1;
            return Pick {
                index: note.terminal.unwrap_or(level % variants.max(1)),
                fresh: false,
            };
        }
        match note.parts.iter().position(|part| *part == Part::Open) {
            Some(index) => Pick { index, fresh: true },
            None => Pick {
                index: note.terminal.unwrap_or(0),
                fresh: false,
            },
        }
    }

    /// After a variant was read; `before` are the counts of pending things and of meetings at the time it was picked.
    pub(super) fn picked(&mut self, key: Key, pick: Pick, accepted: bool, before: (u32, u32)) {
        let (pending_before, met_before) = before;
        let settled = self.pending == pending_before;
        let note = self.note(key);
        if pick.fresh && settled && pick.index < note.parts.len() {
            note.parts[pick.index] = if accepted { Part::Done } else { Part::Rejects };
        }
        if accepted && note.met == met_before && note.terminal.is_none() {
            note.terminal = Some(pick.index);
            // Those that failed may have done so only for want of an end to the recursion.
            for part in note.parts.iter_mut().filter(|part| **part == Part::Rejects) {
                *part = Part::Open;
            }
        }
        if note.open == 1 && note.parts.contains(&Part::Open) {
            self.pending += 1;
        }
    }
}

/// A variant to read.
#[derive(Clone, Copy)]
pub(super) struct Pick {
    pub(super) index: usize,
    pub(super) fresh: bool,
}
