//! What a backend keeps of one key, and its operations: those of the `Backend` trait, under its names, each in one step.
//!
//! They do what `backend/memory/` and the scripts in `backend/redis/lua/` do. Time is not counted: whatever expires may do so in a step of its own.

use crate::Mutant;

/// A row's version, and so the value that is loaded from it. The first is 1.
pub type Version = u8;

/// The name of a load, of a write, or of a generation of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u8);

/// So many writes of one key can be in progress.
pub(crate) const INTENTS: usize = 3;

/// A write in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Intent {
    /// Whose it is.
    pub token: Token,
    /// Whether anything else changed the row beside it.
    pub overlapped: bool,
}

/// One key's value and state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The value: the version of the row that it was loaded from.
    pub value: Option<Version>,
    /// The read lease.
    pub lease: Option<Token>,
    /// The write intents, the first places taken.
    pub intents: [Option<Intent>; INTENTS],
    /// The generation of writes, while one is in progress.
    pub generation: Option<Token>,
    /// The highest version that was stored by `put_if_newer`.
    pub fence: Option<Version>,
}

/// When [`Entry::lease`] grants a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeaseMode {
    /// Only where there is no value.
    IfMissing,
    /// Also where the value is still this one.
    IfStill(Version),
}

/// What [`Entry::lease`] answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lease {
    /// The value came meanwhile.
    Hit(Version),
    /// The lease is the caller's.
    Granted(Token),
    /// Another load holds it.
    Busy(Token),
    /// A write is in progress, of this generation.
    Bypass(Token),
}

/// What [`Entry::end_write`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteEnd {
    /// The intent stood, and nothing overlapped.
    Clean,
    /// Nothing is stored.
    Overlapped,
}

impl Entry {
    /// How many writes are in progress.
    pub fn writes(&self) -> usize {
        self.intents.iter().flatten().count()
    }

    fn overlap(&mut self, fresh: Token) {
        for intent in self.intents.iter_mut().flatten() {
            intent.overlapped = true;
        }
        self.move_generation(fresh);
    }

    /// Only where there is a write: without one nobody is told of the generation.
    fn move_generation(&mut self, fresh: Token) {
        self.generation = (self.writes() > 0).then_some(fresh);
    }

    fn take_intent(&mut self, token: Token) -> Option<Intent> {
        let at = self
            .intents
            .iter()
            .position(|intent| intent.is_some_and(|intent| intent.token == token))?;
        let taken = self.intents[at].take();
        self.intents[at..].rotate_left(1);
        taken
    }

    /// Asks for the right to load.
    pub fn lease(&mut self, cut: Option<Mutant>, token: Token, mode: LeaseMode) -> Lease {
        if let Some(value) = self.value
            && mode != LeaseMode::IfStill(value)
        {
            return Lease::Hit(value);
        }
        if let Some(generation) = self.generation
            && self.writes() > 0
            && cut != Some(Mutant::LeaseDespiteIntents)
        {
            return Lease::Bypass(generation);
        }
        if let Some(holder) = self.lease
            && cut != Some(Mutant::LeaseBesideAnother)
        {
            return Lease::Busy(holder);
        }
        self.lease = Some(token);
        Lease::Granted(token)
    }

    /// A lease that stands lives on, which changes nothing here; one that does not must not come back.
    pub fn renew(&mut self, cut: Option<Mutant>, token: Token) {
        if cut == Some(Mutant::RenewRevives) {
            self.lease = Some(token);
        }
    }

    /// Stores the value and ends the lease, if it still stands.
    pub fn fill(&mut self, cut: Option<Mutant>, token: Token, value: Version) -> bool {
        if self.lease != Some(token) {
            if cut == Some(Mutant::FillWithoutLease) {
                self.value = Some(value);
            }
            return false;
        }
        self.value = Some(value);
        if cut != Some(Mutant::FillKeepsLease) {
            self.lease = None;
        }
        true
    }

    /// Gives the lease up.
    pub fn release(&mut self, cut: Option<Mutant>, token: Token) {
        if self.lease == Some(token) || cut == Some(Mutant::ReleaseOfAnother) {
            self.lease = None;
        }
    }

    /// Removes value and lease, and marks every write in progress. `fresh` is the generation that begins, here and below.
    pub fn invalidate(&mut self, cut: Option<Mutant>, fresh: Token) {
        self.value = None;
        if cut != Some(Mutant::InvalidateKeepsLease) {
            self.lease = None;
        }
        if cut != Some(Mutant::InvalidateMarksNothing) {
            self.overlap(fresh);
        }
    }

    /// Stores the value, unless a write is in progress.
    pub fn put(&mut self, value: Version) -> bool {
        if self.writes() > 0 {
            return false;
        }
        self.value = Some(value);
        self.lease = None;
        true
    }

    /// Announces a write.
    pub fn begin_write(&mut self, cut: Option<Mutant>, token: Token, fresh: Token) {
        let overlapped = self.writes() > 0 && cut != Some(Mutant::OverlapNotMarked);
        if cut != Some(Mutant::BeginKeepsValue) {
            self.value = None;
        }
        if cut != Some(Mutant::BeginKeepsLease) {
            self.lease = None;
        }
        if cut != Some(Mutant::OverlapNotMarked) {
            self.overlap(fresh);
        }
        let free = self.intents.iter_mut().find(|intent| intent.is_none());
        let place = free.expect("no more writers than places");
        *place = Some(Intent { token, overlapped });
        self.move_generation(fresh);
    }

    /// Ends a write: stores the value if the intent stood and nothing overlapped.
    pub fn end_write(
        &mut self,
        cut: Option<Mutant>,
        token: Token,
        value: Option<Version>,
        fresh: Token,
    ) -> WriteEnd {
        self.lease = None;
        self.value = None;
        let mine = self.take_intent(token);
        if mine.is_none() && cut != Some(Mutant::LostIntentMarksNothing) {
            self.overlap(fresh);
        }
        if cut != Some(Mutant::EndKeepsGeneration) {
            self.move_generation(fresh);
        }
        let clean = match mine {
            Some(intent) => !intent.overlapped,
            None => cut == Some(Mutant::EndWithoutIntent),
        };
        if !clean {
            return WriteEnd::Overlapped;
        }
        self.value = value;
        WriteEnd::Clean
    }

    /// Stores the value if its version is greater than the fence.
    pub fn put_if_newer(&mut self, cut: Option<Mutant>, version: Version, fresh: Token) -> bool {
        if cut != Some(Mutant::PutKeepsLease) {
            self.lease = None;
        }
        if self.fence.is_some_and(|fence| fence >= version)
            && cut != Some(Mutant::PutWithoutVersion)
        {
            return false;
        }
        self.fence = Some(version);
        if cut != Some(Mutant::PutMarksNothing) {
            self.overlap(fresh);
        }
        self.value = Some(version);
        true
    }

    /// The lease ends by its expiry.
    pub fn expire_lease(&mut self) {
        self.lease = None;
    }

    /// An intent ends by its expiry.
    pub fn expire_intent(&mut self, token: Token, fresh: Token) {
        self.take_intent(token);
        self.move_generation(fresh);
    }

    /// The value leaves, by its TTL or to make room.
    pub fn evict(&mut self, cut: Option<Mutant>) {
        self.value = None;
        if cut == Some(Mutant::FenceLostWithValue) {
            self.fence = None;
        }
    }
}
