//! What the keys of one entry are called in Redis.

use redis::{RedisWrite, ToRedisArgs};

use crate::key::{Key, KeyWriter};

/// What the name of the namespace's version ends with.
pub(super) const FLOOR: &[u8] = b"/f";

/// Makes the names of a namespace's keys.
///
/// | what | name |
/// | --- | --- |
/// | value | `{<namespace>:<key>}` |
/// | state of loads and writes | `{<namespace>:<key>}/s` |
/// | channel that tells of a lease's end | `{<namespace>:<key>}/w` |
/// | the log of pending writes | `{<namespace>/log}` with what follows |
/// | the bus | `{<namespace>/bus}` with what follows |
/// | the stream of recorded accesses | `{<namespace>/accesses}` |
/// | versions of tags | `{<namespace>/tags}:<tag>`; the namespace's own, and the clock: `{<namespace>/tags}/f` |
///
/// The braces are the hash tag of Redis Cluster: all of one entry lives on one node. The namespace is escaped as a part of a key
/// is, so it holds no `:` and two namespaces never share a name. What log and bus add to their own hash tags is told in `lua/log/log.lua` and
/// `lua/bus/bus.lua`; nothing that matches the pattern of the namespace's entries is theirs, so to clear the namespace leaves them alone.
#[derive(Debug)]
pub(super) struct Names {
    prefix: Box<str>,
    log: Box<str>,
    bus: Box<str>,
    accesses: Box<str>,
    /// With a `:` at the end, which is not part of what the scripts call by it.
    tags: Box<str>,
}

impl Names {
    pub(super) fn new(namespace: &str) -> Self {
        let mut writer = KeyWriter::new();
        writer.text(namespace);
        let namespace = writer.finish();
        Self {
            prefix: format!("{{{namespace}:").into(),
            log: format!("{{{namespace}/log}}").into(),
            bus: format!("{{{namespace}/bus}}").into(),
            accesses: format!("{{{namespace}/accesses}}").into(),
            tags: format!("{{{namespace}/tags}}:").into(),
        }
    }

    /// What the names of the log's keys begin with.
    pub(super) fn log(&self) -> &str {
        &self.log
    }

    /// What the names of the bus's keys begin with, and what its stream is called.
    pub(super) fn bus(&self) -> &str {
        &self.bus
    }

    /// The stream of recorded accesses.
    pub(super) fn accesses(&self) -> &str {
        &self.accesses
    }

    /// What the names of the tags' keys begin with.
    pub(super) fn tags(&self) -> &str {
        self.tags.strip_suffix(':').unwrap_or_default()
    }

    /// The version of a tag.
    pub(super) fn tag<'a>(&'a self, tag: &'a [u8]) -> Name<'a> {
        Name {
            prefix: self.tags.as_bytes(),
            key: tag,
            suffix: b"",
        }
    }

    /// The version of the namespace, and the clock of its tags.
    pub(super) fn floor(&self) -> Name<'_> {
        Name {
            prefix: self.tags().as_bytes(),
            key: FLOOR,
            suffix: b"",
        }
    }

    /// The stream of a partition's writes.
    pub(super) fn partition(&self, partition: u8) -> String {
        format!("{}:{partition}", self.log)
    }

    pub(super) fn value<'a>(&'a self, key: &'a Key) -> Name<'a> {
        Name {
            prefix: self.prefix.as_bytes(),
            key: key.as_bytes(),
            suffix: b"}",
        }
    }

    pub(super) fn state<'a>(&'a self, key: &'a Key) -> Name<'a> {
        Name {
            suffix: b"}/s",
            ..self.value(key)
        }
    }

    /// Value and state.
    pub(super) fn entry<'a>(&'a self, key: &'a Key) -> [Name<'a>; 2] {
        [self.value(key), self.state(key)]
    }

    pub(super) fn channel<'a>(&'a self, key: &'a Key) -> Name<'a> {
        Name {
            suffix: b"}/w",
            ..self.value(key)
        }
    }

    /// The pattern of `SCAN` that the name of every entry of the namespace matches, and no other does.
    pub(super) fn pattern(&self) -> Vec<u8> {
        begins_with(&self.prefix)
    }

    /// The pattern that the name of every tag of the namespace matches, and no other does: neither its clock nor its own version.
    pub(super) fn pattern_of_tags(&self) -> Vec<u8> {
        begins_with(&self.tags)
    }

    /// Names of value and state of the entry to which a name that `SCAN` found belongs.
    pub(super) fn entry_of(found: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let mut value = found;
        if value.ends_with(b"}/s") {
            value.truncate(value.len() - 2);
        }
        let state = [&value[..], b"/s"].concat();
        (value, state)
    }
}

fn begins_with(prefix: &str) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for &byte in prefix.as_bytes() {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\' | b'^' | b'-') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

/// A name, written straight into a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name<'a> {
    prefix: &'a [u8],
    key: &'a [u8],
    suffix: &'static [u8],
}

impl Name<'_> {
    pub(super) fn len(&self) -> usize {
        self.prefix.len() + self.key.len() + self.suffix.len()
    }

    pub(super) fn to_bytes(self) -> Box<[u8]> {
        [self.prefix, self.key, self.suffix].concat().into()
    }
}

impl ToRedisArgs for Name<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        use std::io::Write;

        let mut writer = out.writer_for_next_arg();
        for part in [self.prefix, self.key, self.suffix] {
            // It writes into memory, which does not fail.
            let _ = writer.write_all(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: Name<'_>) -> String {
        String::from_utf8(name.to_bytes().into()).expect("valid")
    }

    #[test]
    fn the_names_of_an_entry_share_a_hash_tag() {
        let (names, key) = (Names::new("shop"), Key::from("user:42"));
        assert_eq!(text(names.value(&key)), "{shop:user:42}");
        assert_eq!(text(names.state(&key)), "{shop:user:42}/s");
        assert_eq!(text(names.channel(&key)), "{shop:user:42}/w");
    }

    #[test]
    fn namespaces_never_share_a_name() {
        let one = Names::new("a:b");
        let other = Names::new("a");
        assert_ne!(
            text(one.value(&Key::from("c"))),
            text(other.value(&Key::from("b:c")))
        );
        assert_eq!(
            text(Names::new("x}{y").value(&Key::from("k"))),
            "{x%7D%7By:k}"
        );
        assert_eq!(text(Names::new("").value(&Key::from("k"))), "{%~:k}");
    }

    #[test]
    fn log_bus_and_tags_are_no_entries_of_any_namespace() {
        let log = Names::new("shop");
        assert_eq!(log.bus(), "{shop/bus}");
        assert_eq!(
            (log.log(), &*log.partition(7)),
            ("{shop/log}", "{shop/log}:7")
        );
        let entry = text(Names::new("shop/log").value(&Key::from("k")));
        assert!(!entry.starts_with(log.log()), "{entry}");
        let tags = Names::new("shop");
        assert_eq!(text(tags.tag(b"org:7")), "{shop/tags}:org:7");
        assert_eq!(text(tags.floor()), "{shop/tags}/f");
        let entry = text(Names::new("shop/tags").value(&Key::from("k")));
        assert!(!entry.starts_with(tags.tags()), "{entry}");
    }

    #[test]
    fn a_pattern_takes_the_namespace_literally() {
        assert_eq!(Names::new("a[b]?").pattern(), br"{a\[b\]\?:*");
    }

    #[test]
    fn an_entry_is_found_by_its_value_and_by_its_state() {
        let expected = (b"{n:k}".to_vec(), b"{n:k}/s".to_vec());
        assert_eq!(Names::entry_of(b"{n:k}".to_vec()), expected);
        assert_eq!(Names::entry_of(b"{n:k}/s".to_vec()), expected);
    }
}
