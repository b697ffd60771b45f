//! Mechanisms of the scripts that can be removed: each is a fragment of a file with something else in its place.

// The search for the fragments is done by the compiler.
#![allow(long_running_const_eval)]

use crate::mutants::{self, Mutant};

/// The text of a script from its files, without the mechanism that is removed. A script lives as long as the process.
pub(super) fn source(files: &[(&str, &str)]) -> &'static str {
    let texts = files.iter().map(|&(name, text)| without(name, text));
    texts.collect::<String>().leak()
}

fn without(name: &str, text: &str) -> String {
    let chosen = CHANGES.iter().filter(|change| mutants::on(change.mutant));
    let in_file = chosen.filter(|change| change.file == name);
    in_file.fold(text.to_owned(), |text, change| {
        text.replacen(change.fragment, change.instead, 1)
    })
}

struct Change {
    mutant: Mutant,
    file: &'static str,
    fragment: &'static str,
    instead: &'static str,
}

/// A fragment that its file does not have just once does not compile: a mutant that changes nothing would seem to be one that nothing catches.
macro_rules! changes {
    ($($mutant:ident: $file:literal, $fragment:literal => $instead:literal;)*) => {
        const CHANGES: &[Change] = &[$(Change {
            mutant: Mutant::$mutant,
            file: $file,
            fragment: $fragment,
            instead: $instead,
        }),*];

        const _: () = {
            $(assert!(
                occurrences(include_str!(concat!("lua/", $file)), $fragment) == 1,
                concat!($file, " does not have the fragment of ", stringify!($mutant), " just once")
            );)*
        };
    };
}

const fn occurrences(text: &str, fragment: &str) -> usize {
    let (text, fragment) = (text.as_bytes(), fragment.as_bytes());
    let (mut at, mut found) = (0, 0);
    while at + fragment.len() <= text.len() {
        let mut same = 0;
        while same < fragment.len() && text[at + same] == fragment[same] {
            same += 1;
        }
        if same == fragment.len() {
            found += 1;
        }
        at += 1;
    }
    found
}

changes! {
    RedisFillWithoutLease: "fill.lua", "if not is_leased(state, now, ARGV[at + 1]) then return 0 end" => "";
    RedisInvalidationKeepsLease: "invalidate.lua", "end_lease(state)" => "";
    RedisReleaseIgnored: "release.lua", "if is_leased(state, now, ARGV[at + 1]) then end_lease(state) end" => "";
    RedisLeaseEndsUntold: "state.lua", "if state.w then redis.pcall('PUBLISH', VALUE .. '/w', '1') end" => "";

    RedisLeaseBesideIntent: "lease.lua", "if count > 0 then return versions(2, state.g) end" => "";
    RedisOverlapNotMarked: "begin_write.lua", "if count > 0 then\n  overlapped = '1'" => "if false then\n  overlapped = '1'";
    RedisInvalidationMarksNoWrite: "invalidate.lua", "overlap(state, live, count, now)" => "";
    RedisGenerationStays: "state.lua", "string.sub(redis.sha1hex((state.g or '') .. whole(now)), 1, 32)" => "state.g or string.rep('0', 32)";
    RedisExpiredIntentStores: "end_write.lua", "if not mine or mine.overlapped == '1'" => "if mine and mine.overlapped == '1'";

    RedisOlderVersionStored: "put_if_newer.lua", "and fence >= ARGV[1] then" => "and false then";
    RedisFenceForgottenWithValue: "put_if_newer.lua", "keep(state, ARGV[7])" => "keep(state, ARGV[6])";

    RedisLogForgetsUnacknowledged: "log/over.lua", "uncount(func, removed)" => "redis.call('XTRIM', stream_of(partition), 'MINID', ids[#ids])\n  uncount(func, removed)";
    RedisOwnerNotChecked: "log/log.lua", "return redis.pcall('GET', stream_of(partition) .. '/o') == member" => "return true";
    RedisBegunNotNoted: "log/begin.lua", "redis.call('HSET', begun, key, through .. ':' .. attempts)" => "";
    RedisPendingNotRead: "lease.lua", "if told then" => "if false then";
    RedisDisputeNotNoted: "state.lua", "if not state.q or state.d == state.q then return end" => "do return end";
    RedisMaxPendingIgnored: "log/append.lua", "if is_full(func, kind.most) then" => "if false then";

    RedisBusTrimsUnacknowledged: "bus/trim.lua", "redis.call('XTRIM', BUS, 'MINID', kept[at].first)" => "redis.call('XTRIM', BUS, 'MAXLEN', 0)";
}
