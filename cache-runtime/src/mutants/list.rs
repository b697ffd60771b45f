//! What can be removed. The program that tries them includes this file, so that each has a check or does not compile.

// A build that cannot remove anything needs no names.
#![allow(dead_code)]

/// The variable of the environment that names the mutant.
pub(crate) const VARIABLE: &str = "CACHE_MUTANT";

/// How a process ends that was asked for one that there is not.
pub(crate) const UNKNOWN: i32 = 97;

macro_rules! mutants {
    ($(#[doc = $what:literal] $mutant:ident,)*) => {
        /// A mechanism that can be removed; each says what happens without it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Mutant {
            $(#[doc = $what] $mutant,)*
        }

        impl Mutant {
            pub(crate) const ALL: &[Self] = &[$(Self::$mutant,)*];

            /// As the environment names it.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$mutant => stringify!($mutant),)*
                }
            }

            /// What happens without the mechanism.
            pub(crate) const fn description(self) -> &'static str {
                match self {
                    $(Self::$mutant => $what.trim_ascii(),)*
                }
            }
        }
    };
}

mutants! {
    // Leases.
    /// Redis stores what was loaded though its lease has ended.
    RedisFillWithoutLease,
    /// The in-memory backend stores what was loaded though its lease has ended.
    MemoryFillWithoutLease,
    /// An invalidation on Redis leaves the lease standing.
    RedisInvalidationKeepsLease,
    /// An invalidation in memory leaves the lease standing.
    MemoryInvalidationKeepsLease,
    /// All loads of a process ask for leases by one token.
    TokenPerProcess,
    /// A lease that is given up on Redis lives on until it expires.
    RedisReleaseIgnored,
    /// A lease that is given up in memory lives on until it expires.
    MemoryReleaseIgnored,
    /// A lease expires beside the load that it was granted for.
    LeaseNotRenewed,
    /// Those who wait for the end of a lease on Redis are not called.
    RedisLeaseEndsUntold,

    // Write intents.
    /// Redis grants a lease beside a write in progress.
    RedisLeaseBesideIntent,
    /// The in-memory backend grants a lease beside a write in progress.
    MemoryLeaseBesideIntent,
    /// Two writes in progress on Redis do not know of each other.
    RedisOverlapNotMarked,
    /// Two writes in progress in memory do not know of each other.
    MemoryOverlapNotMarked,
    /// A write in progress on Redis stores its value although its key was invalidated beside it.
    RedisInvalidationMarksNoWrite,
    /// A write in progress in memory stores its value although its key was invalidated beside it.
    MemoryInvalidationMarksNoWrite,
    /// An invalidation on Redis leaves the generation of the writes in progress as it is.
    RedisGenerationStays,
    /// On Redis a write stores its value although its intent has expired.
    RedisExpiredIntentStores,
    /// In memory a write stores its value although its intent has expired.
    MemoryExpiredIntentStores,
    /// An intent expires beside the body that it was announced for.
    IntentNotRenewed,
    /// A strict writer runs its body although the write could not be announced.
    StrictWriteUnannounced,
    /// A write that is dropped while its body runs ends its intent, though its commit may still come.
    DroppedWriteEndsIntent,
    /// A write-through stores its value although its intent was not confirmed.
    UnconfirmedIntentStores,
    /// No invalidation follows the end of a write that may have been lost.
    LostEndNotInvalidated,

    // Versions.
    /// Redis stores a version that is older than what it has stored.
    RedisOlderVersionStored,
    /// The in-memory backend stores a version that is older than what it has stored.
    MemoryOlderVersionStored,
    /// The highest version of a key on Redis is forgotten when its value expires.
    RedisFenceForgottenWithValue,
    /// The highest version of a key in memory is forgotten when its value expires.
    MemoryFenceForgottenWithValue,
    /// A version whose value is not to be stored leaves no trace.
    UnstoredVersionRaisesNoFence,

    // Loads and questions of one process.
    /// A caller joins any load of its key, also one from before an invalidation.
    JoinedByKeyAlone,
    /// A load cannot be found by those who are told of its lease.
    LoadNotBoarded,
    /// Those who wait for a load are woken before its value is stored.
    WokenBeforeStored,
    /// A caller takes the answer to a question that was asked before it began.
    EarlierQuestionShared,
    /// Beside a write a strict reader joins a load that began before it.
    StrictJoinsByGeneration,
    /// A caller who may only join a load that began after it joins any.
    EarlierLoadJoined,
    /// A leader that is dropped leaves those who wait for it waiting.
    DroppedLeaderKeepsFlight,
    /// A leader that is dropped does not give its lease back.
    DroppedLeaderKeepsLease,
    /// With the backend away a caller joins a load from before an invalidation by its own process.
    EpochsNotCounted,
    /// After a single late answer a caller joins a load that began before it.
    LateAnswerJoinsEarlierLoad,
    /// A caller waits for one lease after another, however often they end without a value.
    WaitsForEveryLease,

    // Before the backend.
    /// The breaker is closed as soon as the backend answers, with invalidations yet to be delivered.
    BreakerClosedBeforeDelivery,
    /// An invalidation that could not be delivered is not kept.
    UndeliveredForgotten,
    /// An invalidation that could not be delivered keeps nothing from being served.
    UndeliveredServed,
    /// An invalidation whose caller is dropped is not carried on.
    CancelledInvalidationForgotten,
    /// Each operation of a call has all of the call's time.
    BudgetPerOperation,
    /// Undelivered invalidations beyond the bound are forgotten, with nothing in their place.
    BacklogForgetsPastItsBound,

    // Writers and transactions.
    /// A writer invalidates nothing unless it returns `Ok`.
    NothingInvalidatedAfterError,
    /// A writer that panics or is dropped invalidates nothing.
    NothingInvalidatedAfterDrop,
    /// What a transaction loads is stored for everybody.
    TransactionLoadsStored,
    /// A writer inside a transaction invalidates at once, and not when the transaction has ended.
    TransactionNotAwaited,
    /// A transaction reads from the cache what it has itself written anew.
    WrittenKeysReadInTransaction,

    // Tags.
    /// What a process has read of tags counts though the clock of the tags has moved since.
    RedisReadTagsOutliveTheClock,
    /// An entry on Redis is good whatever has become of tags that its reader did not ask for.
    RedisUnaskedTagIsGood,
    /// A tag that is missing on Redis counts as one that was never invalidated.
    RedisMissingTagIsOld,
    /// Entries on Redis outlive a bump of their namespace.
    RedisFloorIgnored,
    /// Entries in memory outlive an invalidation of their tags.
    MemoryTagIgnored,
    /// Entries in memory outlive a bump of their namespace.
    MemoryFloorIgnored,
    /// An entry keeps what the clock of the tags says after its load instead of before.
    TagNumberTakenAfterLoad,
    /// A caller takes a load's result although one of its tags was invalidated before the caller began.
    InvalidatedTagsJoined,
    /// Callers of one key who know different tags share a load.
    LoadsSharedAcrossTags,

    // Write-behind.
    /// On Redis a write that is over takes all earlier ones of its partition with it.
    RedisLogForgetsUnacknowledged,
    /// A later write of a key runs while an earlier one is under way.
    OrderOfKeyNotKept,
    /// On Redis the log takes the word of a worker that does not own the partition any more.
    RedisOwnerNotChecked,
    /// In memory the log takes the word of a worker that does not own the partition any more.
    MemoryOwnerNotChecked,
    /// A worker that gets a partition back goes on with what it had read before another had it.
    OwnerWithoutTerm,
    /// What has begun to run is not noted in the log on Redis.
    RedisBegunNotNoted,
    /// A write that is given up holds the later ones of its key back.
    LetterHoldsKey,
    /// A pending value that was lost from the cache on Redis does not come back.
    RedisPendingNotRead,
    /// A pending value that was lost from the cache in memory does not come back.
    MemoryPendingNotRead,
    /// A write is acknowledged although the log did not take it.
    UnloggedAcknowledged,
    /// On Redis a value that was pending beside another write stays in the cache.
    RedisDisputeNotNoted,
    /// In memory a value that was pending beside another write stays in the cache.
    MemoryDisputeNotNoted,
    /// Redis logs writes beyond the bound.
    RedisMaxPendingIgnored,

    // Events between regions.
    /// An event is acknowledged before its region has carried it out.
    AcknowledgedBeforeDone,
    /// A region that may have missed events keeps its entries.
    OwedFlushNotDone,
    /// A region tells the others of what it was told by them.
    EventsGoRound,
    /// A bus that has lost what it had acknowledged is believed.
    ForgottenBatchTakenForDone,
    /// Nobody takes over what a process had read when it died.
    DeadReaderNotTakenOver,
    /// An event that cannot be read is passed over.
    UnreadableEventSkipped,
    /// The bus on Redis removes events that not all regions have acknowledged.
    RedisBusTrimsUnacknowledged,

    // Entries.
    /// An entry of another type's shape is read.
    FingerprintIgnored,
    /// A damaged entry is read.
    ChecksumIgnored,
    /// A collection is told as many elements as the bytes claim.
    ClaimedLengthBelieved,
    /// What a codec cannot read back is stored.
    RoundTripNotChecked,

    // Roll-outs, refreshes and times.
    /// What the new backend of a roll-out says counts whether or not the permit stands.
    PermitIgnored,
    /// Invalidations do not reach the new backend of a roll-out.
    NewBackendNotTold,
    /// Every hit on an old value asks for a load in the background, also right after one has failed.
    RefreshesTakeNoTurns,
    /// That there is no value is stored by functions that do not ask for it.
    AbsenceStoredUnasked,
    /// Entries that are stored together expire together.
    JitterIgnored,
    /// An entry is served past its TTL.
    ExpiredServed,
    /// A value stands in for a load that fails however old it is.
    OldValueStandsInForever,
}
