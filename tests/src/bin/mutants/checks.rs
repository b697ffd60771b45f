//! Which tests are to notice which mutant.

use std::fmt;

use crate::list::Mutant;

/// What is run against a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Check {
    Test {
        target: &'static str,
        /// With its modules, as the test runner prints it.
        test: &'static str,
    },
    /// The program that checks what many processes have read and written.
    Histories,
}

/// The program of that check, and how it is run: always with the same operations, and fewer of them than by itself.
pub(crate) const HISTORIES: &str = "histories";
const FEW: [&str; 5] = ["--reads", "20000", "--seed", "1", "--json"];

impl Check {
    fn named(name: &'static str) -> Self {
        match name.split_once("::") {
            Some((target, test)) => Self::Test { target, test },
            None => Self::Histories,
        }
    }

    /// The target that its program is built from.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::Test { target, .. } => target,
            Self::Histories => HISTORIES,
        }
    }

    pub(crate) fn arguments(self) -> Vec<&'static str> {
        match self {
            Self::Test { test, .. } => vec!["--exact", test],
            Self::Histories => FEW.to_vec(),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Test { target, test } => write!(f, "{target}::{test}"),
            Self::Histories => f.write_str(HISTORIES),
        }
    }
}

/// The checks that should notice, the most likely first.
pub(crate) fn checks_of(mutant: Mutant) -> impl Iterator<Item = Check> {
    names_of(mutant).iter().copied().map(Check::named)
}

const MEMORY: &str = "conformance::memory_passes_every_case";
const REDIS: &str = "conformance::redis_passes_every_case";

const fn names_of(mutant: Mutant) -> &'static [&'static str] {
    use Mutant::*;
    match mutant {
        RedisFillWithoutLease | RedisInvalidationKeepsLease => &[
            "histories",
            "consistency::fenced_a_load_from_before_an_invalidation_is_not_stored_after_it",
        ],
        MemoryFillWithoutLease | MemoryInvalidationKeepsLease => {
            &["consistency::fenced_a_load_from_before_an_invalidation_is_not_stored_after_it"]
        }
        TokenPerProcess => &[
            "consistency::a_load_from_before_an_invalidation_stores_nothing_under_the_lease_of_a_later_one",
        ],
        RedisReleaseIgnored | MemoryReleaseIgnored | DroppedLeaderKeepsLease => {
            &["leaders::none::a_dropped_leader_kept_nobody_and_leaves_no_lease"]
        }
        LeaseNotRenewed => &["stampede::a_lease_is_renewed_for_as_long_as_the_load_runs"],
        RedisLeaseEndsUntold => {
            &["stampede::who_waits_for_another_processs_load_is_called_when_it_ends"]
        }

        RedisLeaseBesideIntent | MemoryLeaseBesideIntent => {
            &["consistency::strict_readers_bypass_the_cache_while_a_write_is_in_progress"]
        }
        RedisOverlapNotMarked => &[
            "histories",
            "write_through::overlapping::of_overlapping_writes_none_leaves_a_value",
        ],
        MemoryOverlapNotMarked => {
            &["write_through::overlapping::of_overlapping_writes_none_leaves_a_value"]
        }
        RedisInvalidationMarksNoWrite | MemoryInvalidationMarksNoWrite => {
            &["write_through::overlapping::a_write_beside_one_that_invalidates_leaves_no_value"]
        }
        RedisGenerationStays => {
            &["consistency::fenced_beside_a_write_nobody_joins_a_load_from_before_an_invalidation"]
        }
        RedisExpiredIntentStores => &[REDIS],
        MemoryExpiredIntentStores => &[MEMORY],
        IntentNotRenewed => {
            &["consistency::strict_an_intent_is_renewed_for_as_long_as_its_body_runs"]
        }
        StrictWriteUnannounced => &[
            "consistency::strict_a_write_that_cannot_be_announced_is_refused_and_its_body_does_not_run",
        ],
        DroppedWriteEndsIntent => &[
            "write_through::failures::an_announced_write_that_was_dropped_keeps_readers_off_until_its_intent_expires",
        ],
        UnconfirmedIntentStores => {
            &["write_through::failures::a_write_whose_intent_arrived_late_stores_nothing"]
        }
        LostEndNotInvalidated => {
            &["write_through::failures::a_store_that_arrives_late_is_followed_by_its_invalidation"]
        }

        RedisOlderVersionStored => &[
            "histories",
            "write_through::versions::an_older_value_never_replaces_a_newer_one",
        ],
        MemoryOlderVersionStored => {
            &["write_through::versions::an_older_value_never_replaces_a_newer_one"]
        }
        RedisFenceForgottenWithValue => &[REDIS],
        MemoryFenceForgottenWithValue => {
            &["write_through::versions::nor_when_the_newer_one_has_expired"]
        }
        UnstoredVersionRaisesNoFence => &[
            "write_through::versions::a_newer_version_that_is_not_stored_keeps_older_ones_out_too",
        ],

        JoinedByKeyAlone => &[
            "consistency::a_caller_after_another_processs_invalidation_does_not_join_a_load_from_before_it",
        ],
        LoadNotBoarded => &["stampede::waiters_share_an_absence_although_it_is_not_stored"],
        WokenBeforeStored => {
            &["consistency::held_answers::those_who_wait_are_woken_after_the_value_is_stored"]
        }
        EarlierQuestionShared => &[
            "consistency::held_answers::a_caller_after_an_invalidation_does_not_take_the_answer_to_an_earlier_question",
        ],
        StrictJoinsByGeneration | EarlierLoadJoined => {
            &["consistency::strict_beside_a_write_nobody_joins_a_load_that_began_before_them"]
        }
        DroppedLeaderKeepsFlight => {
            &["leaders::lock::a_dropped_leader_is_followed_by_one_of_those_who_wait"]
        }
        EpochsNotCounted => &[
            "failing_open::with_the_backend_down_a_caller_after_an_invalidation_does_not_join_a_load_from_before_it",
        ],
        LateAnswerJoinsEarlierLoad => {
            &["failing_open::after_one_late_answer_a_caller_does_not_join_a_load_from_before_it"]
        }
        WaitsForEveryLease => &["failing_loads::processes_make_no_convoy_of_a_failing_load"],

        BreakerClosedBeforeDelivery => &[
            "consistency::held_answers::a_value_is_not_served_while_its_invalidation_is_being_delivered",
        ],
        UndeliveredServed => &[
            "failing_open::a_value_that_could_not_be_invalidated_is_not_served_though_the_backend_is_back",
        ],
        UndeliveredForgotten => {
            &["failing_open::an_invalidation_that_failed_is_delivered_on_the_servers_return"]
        }
        CancelledInvalidationForgotten => {
            &["failing_open::an_explicit_invalidation_that_is_cancelled_is_carried_on"]
        }
        BudgetPerOperation => {
            &["failing_open::a_call_spends_its_budget_on_a_slow_backend_once_not_once_an_operation"]
        }
        BacklogForgetsPastItsBound => &[
            "failing_open::more_undelivered_invalidations_than_are_kept_clear_the_namespace_instead",
        ],

        NothingInvalidatedAfterError | NothingInvalidatedAfterDrop => {
            &["invalidates::when::a_writer_invalidates_however_it_ends"]
        }
        TransactionLoadsStored => &["transactions::what_a_transaction_loads_is_stored_for_nobody"],
        TransactionNotAwaited => &[
            "invalidates::transactions::an_invalidation_takes_effect_when_the_transaction_has_ended_however_it_ends",
        ],
        WrittenKeysReadInTransaction => &[
            "invalidates::transactions::inside_a_read_of_a_written_key_goes_to_the_database_and_stores_nothing",
        ],

        RedisUnaskedTagIsGood => {
            &["tags::names::a_function_that_knows_no_tags_does_not_get_what_one_has_invalidated"]
        }
        RedisReadTagsOutliveTheClock => {
            &["tags::trips::many_callers_who_know_the_tags_see_an_invalidation_by_another_process"]
        }
        RedisMissingTagIsOld => &["tags::trips::versions_that_are_lost_make_misses"],
        RedisFloorIgnored | MemoryFloorIgnored => {
            &["tags::names::a_bump_of_the_namespace_is_for_every_entry_and_for_no_other_cache"]
        }
        MemoryTagIgnored => &["tags::names::a_writer_invalidates_what_has_its_tag_whoever_told_it"],
        TagNumberTakenAfterLoad => &[
            "tags::in_flight::a_load_from_before_an_invalidation_of_a_known_tag_is_for_nobody_later",
        ],
        InvalidatedTagsJoined => &[
            "tags::in_flight::a_load_from_before_an_invalidation_of_a_known_tag_is_for_nobody_later",
        ],
        LoadsSharedAcrossTags => {
            &["tags::in_flight::a_load_is_not_shared_by_callers_who_know_other_tags"]
        }

        RedisLogForgetsUnacknowledged => &[REDIS],
        OrderOfKeyNotKept => {
            &["write_behind::folding::a_write_does_not_begin_while_an_earlier_one_of_its_key_runs"]
        }
        RedisOwnerNotChecked | MemoryOwnerNotChecked => {
            &["write_behind_workers::the_log_takes_nothing_from_who_does_not_own_the_partition"]
        }
        OwnerWithoutTerm => {
            &["write_behind_workers::an_owner_that_slept_does_not_run_again_what_others_have_run"]
        }
        RedisBegunNotNoted => {
            &["write_behind_workers::what_a_killed_worker_had_begun_is_run_again_as_it_was"]
        }
        LetterHoldsKey => {
            &["write_behind::letters::a_letter_that_is_retried_is_the_newest_write_of_its_key"]
        }
        RedisPendingNotRead => &[
            "write_behind::pending::a_pending_value_on_redis_comes_back_when_the_entry_was_evicted",
        ],
        MemoryPendingNotRead => &[
            "write_behind::pending::a_pending_value_survives_the_invalidation_of_its_key_and_the_clearing_of_the_cache",
        ],
        UnloggedAcknowledged => &[
            "write_behind_workers::a_log_that_cannot_be_reached_is_an_error_and_the_write_is_not_made",
        ],
        RedisDisputeNotNoted | MemoryDisputeNotNoted => &[
            "write_behind::disputed::an_invalidation_while_a_write_is_pending_leaves_no_stale_value",
        ],
        RedisMaxPendingIgnored => &["write_behind::full::a_call_is_refused"],

        AcknowledgedBeforeDone => {
            &["bus::away::an_event_is_acknowledged_only_when_the_store_has_done_it"]
        }
        OwedFlushNotDone => &[
            "bus::lost::a_region_that_was_away_for_longer_than_the_bus_keeps_events_flushes_what_it_cannot_know",
        ],
        EventsGoRound => &["bus::arriving::events_do_not_go_round"],
        ForgottenBatchTakenForDone => &["bus::lost::a_sender_finds_out_that_its_events_were_lost"],
        DeadReaderNotTakenOver => {
            &["bus::crashes::another_process_takes_over_what_one_had_read_when_it_died"]
        }
        UnreadableEventSkipped => &["bus::lost::an_event_that_cannot_be_read_costs_a_flush"],
        RedisBusTrimsUnacknowledged => {
            &["bus::lost::a_slow_region_is_not_lost_while_there_is_room"]
        }

        FingerprintIgnored => &[
            "codecs::other_versions::an_entry_of_another_shape_or_schema_is_a_miss_and_is_replaced",
        ],
        ChecksumIgnored => &[
            "codecs::foreign_bytes::any_changed_byte_of_an_entry_is_noticed_but_for_what_the_server_writes",
        ],
        ClaimedLengthBelieved => {
            &["codecs::foreign_bytes::a_list_that_claims_to_be_endless_is_a_miss_and_is_replaced"]
        }
        RoundTripNotChecked => &[
            "codecs::unreadable_types::a_type_that_a_binary_codec_cannot_read_back_is_reported_once_with_what_to_choose",
        ],

        PermitIgnored | NewBackendNotTold => &[
            "gradual::trouble::an_invalidation_that_the_new_backend_does_not_hear_of_is_seen_by_every_process",
        ],
        RefreshesTakeNoTurns => &[
            "swr::a_load_that_comes_to_nothing::by_an_error_is_tried_again_after_longer_and_longer_pauses",
        ],
        AbsenceStoredUnasked => &["outcomes::none::it_is_not_cached_without_a_negative_ttl"],
        JitterIgnored => &["jitter::ends_are_spread_over_the_whole_share"],
        ExpiredServed => {
            &["stale::a_function_without_a_window_does_not_see_what_another_keeps_past_its_ttl"]
        }
        OldValueStandsInForever => &["stale::the_window_may_end_while_the_load_runs"],
    }
}
