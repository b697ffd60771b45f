//! The Lua scripts: each operation that must be atomic is one.

use once_cell::sync::Lazy;
use redis::{Cmd, ToRedisArgs};

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
    pub(super) fn call<N: ToRedisArgs>(&self, value: N, state: N, args: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.hash, value, state, args)
    }

    /// The call with the source, for a server that does not know it (any more): it runs the script and keeps it. One step, so that no
    /// `SCRIPT FLUSH` can come between.
    pub(super) fn call_with_source<N: ToRedisArgs>(
        &self,
        value: N,
        state: N,
        args: &[&[u8]],
    ) -> Cmd {
        call("EVAL", self.source, value, state, args)
    }
}

fn call<N: ToRedisArgs>(verb: &str, script: &str, value: N, state: N, args: &[&[u8]]) -> Cmd {
    let bytes: usize = args.iter().map(|arg| arg.len()).sum();
    let mut command = Cmd::with_capacity(5 + args.len(), verb.len() + script.len() + bytes + 256);
    command.arg(verb).arg(script).arg("2").arg(value).arg(state);
    for &arg in args {
        command.arg(arg);
    }
    command
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {$(
        pub(super) static $name: Lazy<Script> =
            Lazy::new(|| Script::new(concat!(include_str!("lua/state.lua"), include_str!(concat!("lua/", $file)))));
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
}
