//! Leases of many keys that are most likely cold: asked for without a script, which would cost the server as much again as all else that a
//! batch of misses does.
//!
//! A lease by itself is a string, so `SET … NX` grants it where there is no state at all, and a look at the value *after* that tells whether
//! one has come meanwhile: whoever stores one later ends this lease first, or finds it. Where there is a state, the script says what it means.

use std::time::Duration;

use redis::{Cmd, Pipeline, Value};

use super::clock::ServerTime;
use super::{Redis, lease_millis, loads};
use crate::backend::{Ask, HeldLease, Lease, LeaseMode, Stored};
use crate::error::BackendError;

/// How many keys are looked at by one command: the server answers nobody else meanwhile.
const PART: usize = 256;

/// What is known of one question.
enum Seen {
    Answer(Lease),
    /// The value came meanwhile, and the lease was granted beside it.
    HitBesideLease(Lease),
    /// There is a state, which only the script understands.
    Unclear,
}

pub(super) async fn lease(
    redis: &Redis,
    asks: &[Ask],
    ttl: Duration,
) -> Result<Vec<Lease>, BackendError> {
    let mut seen = Vec::with_capacity(asks.len());
    for part in asks.chunks(PART) {
        seen.extend(look(redis, part, ttl).await?);
    }
    let beside = |(ask, seen): (&Ask, &Seen)| match seen {
        Seen::HitBesideLease(_) => Some((ask.key.clone(), ask.token)),
        Seen::Answer(_) | Seen::Unclear => None,
    };
    let not_needed: Vec<HeldLease> = asks.iter().zip(&seen).filter_map(beside).collect();
    if !not_needed.is_empty() {
        let held = not_needed.iter().map(|(key, token)| (key, *token));
        loads::release(redis, held).await?;
    }
    let unclear = asks
        .iter()
        .zip(&seen)
        .filter(|(_, seen)| matches!(seen, Seen::Unclear))
        .map(|(ask, _)| (&ask.key, ask.token, &ask.mode));
    let mut clear = loads::lease(redis, unclear, ttl).await?.into_iter();
    let answers = seen.into_iter().filter_map(|seen| match seen {
        Seen::Answer(lease) | Seen::HitBesideLease(lease) => Some(lease),
        Seen::Unclear => clear.next(),
    });
    Ok(answers.collect())
}

/// Takes the leases that are free, and looks at the values then.
async fn look(redis: &Redis, asks: &[Ask], ttl: Duration) -> Result<Vec<Seen>, BackendError> {
    let ttl = lease_millis(ttl);
    let mut commands = Pipeline::with_capacity(asks.len() + 1);
    for ask in asks {
        let mut grant = Cmd::with_capacity(6, 192);
        grant.arg("SET").arg(redis.names.state(&ask.key));
        grant
            .arg(ask.token.to_string())
            .arg("PX")
            .arg(&ttl)
            .arg("NX");
        commands.add_command(grant);
    }
    let mut values = Cmd::with_capacity(asks.len() + 1, 64 * asks.len());
    values.arg("MGET");
    for ask in asks {
        values.arg(redis.names.value(&ask.key));
    }
    commands.add_command(values);
    let (mut replies, now) = redis.link.read_all(commands).await?;
    let Some(Value::Array(values)) = replies.pop().filter(|values| is_of(values, asks.len()))
    else {
        // A user who may not: the script finds its own token, and takes it for another's.
        let held = asks.iter().map(|ask| (&ask.key, ask.token));
        loads::release(redis, held).await?;
        return Ok(asks.iter().map(|_| Seen::Unclear).collect());
    };
    let seen = asks.iter().zip(replies).zip(values);
    Ok(seen
        .map(|((ask, granted), value)| see(ask, &granted, value, now))
        .collect())
}

fn is_of(values: &Value, count: usize) -> bool {
    matches!(values, Value::Array(values) if values.len() == count)
}

fn see(ask: &Ask, granted: &Value, value: Value, now: ServerTime) -> Seen {
    let found = match value {
        Value::BulkString(bytes) => Some(Stored::Encoded(now.age(bytes))),
        _ => None,
    };
    let found = found.filter(|found| match ask.mode {
        LeaseMode::IfMissing => true,
        LeaseMode::IfStill(mark) => found.mark() != mark,
        LeaseMode::Refresh => false,
    });
    match (granted, found) {
        (Value::Okay, Some(found)) => Seen::HitBesideLease(Lease::Hit(found)),
        (Value::Okay, None) => Seen::Answer(Lease::Granted),
        // There is a state: the value may be that of a pending write, which is never old. Or refused: there may be no memory, which the script
        // says in its own words.
        _ => Seen::Unclear,
    }
}
