//! The Lua scripts: each operation that must be atomic is one.

use once_cell::sync::Lazy;
use redis::{Cmd, ToRedisArgs};

/// How many entries one script works on: the server answers nobody else meanwhile.
pub(super) const PART: usize = 128;

/// A script, called by its hash.
pub(super) struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self {
            hash: redis::Script::new(source).get_hash().to_owned(),
            source,
        }
    }

    /// The call by hash, as it is nearly always made.
    pub(super) fn call<N: ToRedisArgs>(&self, on: Call<'_, N>) -> Cmd {
        on.command("EVALSHA", &self.hash)
    }

    /// The call with the source, for a server that does not know it (any more): it runs the script and keeps it. One step, so that no
    /// `SCRIPT FLUSH` can come between.
    pub(super) fn call_with_source<N: ToRedisArgs>(&self, on: Call<'_, N>) -> Cmd {
        on.command("EVAL", self.source)
    }
}

/// What a script is called on.
#[derive(Debug)]
pub(super) struct Call<'a, N> {
    /// Value and state of each entry.
    pub(super) entries: &'a [[N; 2]],
    /// The arguments that are for all entries.
    pub(super) shared: &'a [&'a [u8]],
    /// Those of each entry, one entry after another.
    pub(super) own: &'a [&'a [u8]],
}

impl<N> Clone for Call<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Call<'_, N> {}

impl<'a, N> Call<'a, N> {
    /// The same on some entries at a time.
    pub(super) fn parts(self, most: usize) -> impl Iterator<Item = Self> + Clone + Send
    where
        N: Sync,
    {
        let each = self.own.len() / self.entries.len().max(1);
        self.entries
            .chunks(most)
            .enumerate()
            .map(move |(part, entries)| {
                let first = part * most * each;
                Self {
                    entries,
                    shared: self.shared,
                    own: &self.own[first..first + entries.len() * each],
                }
            })
    }

    fn command(self, verb: &str, script: &str) -> Cmd
    where
        N: ToRedisArgs,
    {
        let args = || self.shared.iter().chain(self.own);
        let (names, count) = (self.entries.len() * 2, self.shared.len() + self.own.len());
        let bytes: usize = args().map(|arg| arg.len()).sum();
        let mut command = Cmd::with_capacity(
            3 + names + count,
            verb.len() + script.len() + bytes + 64 * names + 128,
        );
        command.arg(verb).arg(script).arg(names);
        for [value, state] in self.entries {
            command.arg(value).arg(state);
        }
        for &arg in args() {
            command.arg(arg);
        }
        command
    }
}

/// The text of a script, from its files.
#[cfg(not(mutants))]
macro_rules! source {
    ($($file:literal),+) => { concat!($(include_str!(concat!("lua/", $file))),+) };
}

#[cfg(mutants)]
macro_rules! source {
    ($($file:literal),+) => {
        super::mutants::source(&[$(($file, include_str!(concat!("lua/", $file)))),+])
    };
}

macro_rules! scripts {
    ($($name:ident = $($file:literal),+;)*) => {$(
        pub(super) static $name: Lazy<Script> = Lazy::new(|| {
            Script::new(source!("state.lua", "tags.lua", $($file),+))
        });
    )*};
}

scripts! {
    LEASE = "lease.lua";
    RENEW = "renew.lua";
    FILL = "fill.lua";
    RELEASE = "release.lua";
    INVALIDATE = "invalidate.lua";
    PUT = "put.lua";
    BEGIN_WRITE = "begin_write.lua";
    RENEW_WRITE = "renew_write.lua";
    END_WRITE = "end_write.lua";
    PUT_IF_NEWER = "put_if_newer.lua";
    WAIT = "wait.lua";
    VERSIONS = "versions.lua";
    INVALIDATE_TAGS = "invalidate_tags.lua";
    BUMP_NAMESPACE = "bump_namespace.lua";

    APPEND = "log/log.lua", "log/add.lua", "log/append.lua";
    ADOPT = "log/log.lua", "log/add.lua", "log/adopt.lua";
    ATTEND = "log/log.lua", "log/attend.lua";
    RESIGN = "log/log.lua", "log/resign.lua";
    READ = "log/log.lua", "log/read.lua";
    BEGIN = "log/log.lua", "log/begin.lua";
    BEGUN = "log/log.lua", "log/begun.lua";
    FINISH = "log/log.lua", "log/over.lua", "log/finish.lua";
    BURY = "log/log.lua", "log/over.lua", "log/bury.lua";
    LETTERS = "log/log.lua", "log/letters.lua";
    REVIVE = "log/log.lua", "log/add.lua", "log/revive.lua";
    DISCARD = "log/log.lua", "log/discard.lua";

    PUBLISH = "bus/bus.lua", "bus/publish.lua";
    JOIN = "bus/bus.lua", "bus/join.lua";
    FLUSHED = "bus/bus.lua", "bus/flushed.lua";
    TRIM = "bus/bus.lua", "bus/trim.lua";
    BACKLOG = "bus/bus.lua", "bus/backlog.lua";
    LEAVE = "bus/bus.lua", "bus/leave.lua";
}
