//! What the server answers, taken apart. Whatever is not as it should be is as if it were not there.

use redis::Value;

pub(super) fn array(reply: Value) -> Vec<Value> {
    match reply {
        Value::Array(parts) => parts,
        _ => Vec::new(),
    }
}

pub(super) fn bytes(reply: Value) -> Option<Vec<u8>> {
    match reply {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

pub(super) fn text(reply: Value) -> Option<String> {
    match reply {
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text),
        other => String::from_utf8(bytes(other)?).ok(),
    }
}

pub(super) fn number(reply: Value) -> Option<u64> {
    match reply {
        Value::Int(number) => u64::try_from(number).ok(),
        other => text(other)?.parse().ok(),
    }
}

/// Fields with their values, whether the server calls them a map or not.
pub(super) fn pairs(reply: Value) -> Vec<(Value, Value)> {
    match reply {
        Value::Map(pairs) => pairs,
        Value::Array(flat) => {
            let mut flat = flat.into_iter();
            std::iter::from_fn(|| Some((flat.next()?, flat.next()?))).collect()
        }
        _ => Vec::new(),
    }
}
