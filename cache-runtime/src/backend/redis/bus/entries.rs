//! Entries of the stream, as events.

use std::time::Duration;

use redis::Value;

use super::super::clock::ServerTime;
use super::super::reply;
use crate::bus::{Delivered, Event, Position};

/// The name of an entry on the stream.
pub(super) fn id_of(position: Position) -> String {
    format!("{}-{}", position.millis, position.number)
}

fn position_of(id: &str) -> Option<Position> {
    let (millis, number) = id.split_once('-')?;
    Some(Position {
        millis: millis.parse().ok()?,
        number: number.parse().ok()?,
    })
}

/// The entries of a list. One that holds no event that we know, or nothing any more, is unreadable.
pub(super) fn delivered(list: Value, now: ServerTime) -> Vec<Delivered> {
    let entries = reply::array(list).into_iter();
    entries.filter_map(|entry| one(entry, now)).collect()
}

fn one(entry: Value, now: ServerTime) -> Option<Delivered> {
    let mut parts = reply::array(entry).into_iter();
    let position = position_of(&reply::text(parts.next()?)?)?;
    let fields = reply::pairs(parts.next().unwrap_or(Value::Nil));
    let event = fields.into_iter().find_map(|(name, value)| match name {
        Value::BulkString(name) if name == b"e" => reply::bytes(value),
        _ => None,
    });
    Some(Delivered {
        position,
        age: now.since(position.millis.saturating_mul(1000)),
        event: event.and_then(|bytes| Event::of_bytes(&bytes)),
    })
}

/// An entry of which there is only its name.
pub(super) fn unreadable(id: Value) -> Option<Delivered> {
    Some(Delivered {
        position: position_of(&reply::text(id)?)?,
        age: Duration::ZERO,
        event: None,
    })
}

/// Whether the server says that there is no such group, or no stream.
pub(super) fn is_no_group(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "NOGROUP")
}
