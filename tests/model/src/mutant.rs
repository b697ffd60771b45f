//! What can be taken out of the protocol, one mechanism at a time, to see that the checker misses it.

macro_rules! mutants {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// The protocol without one of its mechanisms.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant { $($(#[doc = $doc])* $name,)* }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

mutants! {
    /// `fill` stores whatever the lease.
    FillWithoutLease,
    /// `fill` leaves its lease behind.
    FillKeepsLease,
    /// `invalidate` leaves the lease.
    InvalidateKeepsLease,
    /// `invalidate` marks no write in progress.
    InvalidateMarksNothing,
    /// `lease` does not look at intents.
    LeaseDespiteIntents,
    /// `lease` does not look at another lease.
    LeaseBesideAnother,
    /// All loads of a process have one token.
    TokenPerProcess,
    /// `renew` brings back a lease that has ended.
    RenewRevives,
    /// `release` ends whatever lease there is.
    ReleaseOfAnother,
    /// A lease that its holder was dropped with is not released.
    LeaseNotReleased,
    /// A lease has no expiry.
    LeaseWithoutExpiry,
    /// `begin_write` leaves the value.
    BeginKeepsValue,
    /// `begin_write` leaves the lease.
    BeginKeepsLease,
    /// `begin_write` marks nobody as overlapping.
    OverlapNotMarked,
    /// `end_write` stores although its intent has expired.
    EndWithoutIntent,
    /// `end_write` without an intent does not mark the others.
    LostIntentMarksNothing,
    /// `end_write` leaves the generation as it is.
    EndKeepsGeneration,
    /// `put_if_newer` stores any version.
    PutWithoutVersion,
    /// `put_if_newer` leaves the lease.
    PutKeepsLease,
    /// `put_if_newer` marks no write in progress.
    PutMarksNothing,
    /// The fence leaves with the value.
    FenceLostWithValue,
    /// Callers join any load of the key.
    JoinByKeyAlone,
    /// Callers join nobody.
    JoinNobody,
    /// Beside a write strict callers join by the generation.
    StrictJoinsByGeneration,
    /// `Join::Later` takes any load.
    LaterTakesAny,
    /// A caller takes the answer to any question, also to one that was asked before it began.
    AnswerOfAnyQuestion,
    /// While the backend is away callers join loads from before an invalidation of their process.
    EpochNotAdvanced,
    /// After a single late answer callers join as while the backend is away.
    LateAnswerCountsAsAway,
    /// What is loaded beside a write is stored.
    BypassStores,
    /// A leader that is dropped wakes nobody.
    SeatNotLanded,
    /// A question whose asker is dropped wakes nobody.
    QuestionNotLanded,
    /// An invalidation that was lost is forgotten.
    NothingKept,
    /// An invalidation that was lost is kept, and the breaker stays closed.
    BreakerStaysClosed,
    /// The breaker closes before the backlog is delivered.
    BreakerClosesEarly,
    /// A strict write goes on though it could not be announced.
    StrictUnannounced,
    /// A write-through stores although its intent was not confirmed.
    UnconfirmedStores,
}

impl Mutant {
    /// Whether the mechanism is one of a backend's operations.
    pub fn is_of_backend(self) -> bool {
        matches!(
            self,
            Self::FillWithoutLease
                | Self::FillKeepsLease
                | Self::InvalidateKeepsLease
                | Self::InvalidateMarksNothing
                | Self::LeaseDespiteIntents
                | Self::LeaseBesideAnother
                | Self::RenewRevives
                | Self::ReleaseOfAnother
                | Self::BeginKeepsValue
                | Self::BeginKeepsLease
                | Self::OverlapNotMarked
                | Self::EndWithoutIntent
                | Self::LostIntentMarksNothing
                | Self::EndKeepsGeneration
                | Self::PutWithoutVersion
                | Self::PutKeepsLease
                | Self::PutMarksNothing
        )
    }
}
