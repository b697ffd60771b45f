//! What the server answers of the log, taken apart. Whatever is not as it should be is as if it were not there.

use bytes::Bytes;
use redis::Value;

pub(super) use super::super::reply::{array, bytes, number, pairs, text};
use crate::backend::log::Payload;
use crate::key::Key;

/// The number of an entry's id, if it is the id of a sequence number.
pub(super) fn sequence_of(id: &str) -> Option<u64> {
    let sequence = id.strip_suffix("-0")?.parse().ok()?;
    (sequence < BEYOND).then_some(sequence)
}

/// Where the numbers of Lua end.
pub(super) const BEYOND: u64 = 1 << 53;

/// An entry of a stream: its id, and what it says of a write.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) key: Key,
    pub(crate) function: String,
    pub(crate) payload: Payload,
}

pub(crate) fn entry(reply: Value) -> Option<Entry> {
    let mut parts = array(reply).into_iter();
    let id = text(parts.next()?)?;
    let (mut head, mut arguments) = (Value::Nil, Value::Nil);
    for (name, value) in pairs(parts.next().unwrap_or(Value::Nil)) {
        match name {
            Value::BulkString(name) if name == b"h" => head = value,
            Value::BulkString(name) if name == b"a" => arguments = value,
            _ => {}
        }
    }
    let head = text(head).unwrap_or_default();
    let (function, key) = function_and_key(&head).unwrap_or_default();
    Some(Entry {
        id,
        key: key.into(),
        function: function.to_owned(),
        payload: payload(arguments),
    })
}

/// From the head of an entry: `<TTL> <length of the function's name> <function><key>`.
fn function_and_key(head: &str) -> Option<(&str, &str)> {
    let (_ttl, rest) = head.split_once(' ')?;
    let (length, rest) = rest.split_once(' ')?;
    rest.split_at_checked(length.parse().ok()?)
}

pub(super) fn payload(arguments: Value) -> Payload {
    Payload::Encoded(bytes(arguments).map_or_else(Bytes::new, Bytes::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn an_id_is_a_sequence_number_if_lua_can_count_it() {
        assert_eq!(
            sequence_of("1789000000000000-0"),
            Some(1_789_000_000_000_000)
        );
        for other in [
            "5-1",
            "5",
            "-0",
            "9007199254740992-0",
            "18446744073709551616-0",
        ] {
            assert_eq!(sequence_of(other), None, "{other}");
        }
    }

    fn read(head: &str) -> (String, String) {
        let fields = Value::Array(vec![bulk("h"), bulk(head), bulk("x")]);
        let entry = entry(Value::Array(vec![bulk("5-0"), fields])).expect("an entry");
        assert!(matches!(entry.payload, Payload::Encoded(bytes) if bytes.is_empty()));
        (entry.function, entry.key.as_str().to_owned())
    }

    #[test]
    fn an_entry_of_somebody_else_is_an_entry_all_the_same() {
        assert_eq!(read(" 4 f::gk y"), ("f::g".into(), "k y".into()));
        assert_eq!(read("60000 0 "), Default::default());
        for odd in [
            "",
            "x",
            "1 2",
            "1 9 short",
            "1 1 \u{e9}",
            "1 -1 f",
            "1 99999999999999999999 f",
        ] {
            assert_eq!(read(odd), Default::default(), "{odd}");
        }
        for odd in [
            Value::Nil,
            Value::Int(1),
            Value::Array(vec![]),
            Value::Array(vec![Value::Nil]),
        ] {
            assert!(entry(odd).is_none());
        }
        assert!(entry(Value::Array(vec![bulk("5-0")])).is_some());
    }
}
