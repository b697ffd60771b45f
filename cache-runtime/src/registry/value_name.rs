//! The type that a function caches, from the name of the type it returns.
//!
//! A name is all that is known of a function before it is called, and is enough to tell that two of them differ. What is served is never decided by it.

/// The name inside of `Result`, `Option` and `Arc`, and of a batch loader's collection.
pub(super) fn of(output: &'static str, is_batch: bool) -> &'static str {
    let inner = argument(output, "core::result::Result", 0).unwrap_or(output);
    let one = if is_batch { element(inner) } else { inner };
    let value = argument(one, "core::option::Option", 0).unwrap_or(one);
    argument(value, "alloc::sync::Arc", 0).unwrap_or(value)
}

fn element(collection: &'static str) -> &'static str {
    let maps = [
        "std::collections::hash::map::HashMap",
        "alloc::collections::btree::map::BTreeMap",
    ];
    maps.iter()
        .find_map(|map| argument(collection, map, 1))
        .or_else(|| argument(collection, "alloc::vec::Vec", 0))
        .unwrap_or(collection)
}

/// One of the generic arguments of the type, if that is of this name.
fn argument(name: &'static str, outer: &str, index: usize) -> Option<&'static str> {
    let list = name
        .strip_prefix(outer)?
        .strip_prefix('<')?
        .strip_suffix('>')?;
    let mut depth = 0_usize;
    let mut before = ' ';
    let mut splits = list.char_indices().filter_map(|(at, c)| {
        match c {
            '<' | '(' | '[' => depth += 1,
            // Not the end of an arrow.
            '>' if before == '-' => {}
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = c;
        (c == ',' && depth == 0).then_some(at)
    });
    let mut start = 0;
    for _ in 0..index {
        start = splits.next()? + 1;
    }
    let end = splits.next().unwrap_or(list.len());
    Some(list[start..end].trim())
}

#[cfg(test)]
mod tests {
    use std::any::type_name;
    use std::collections::{BTreeMap, HashMap};
    use std::sync::Arc;

    use super::of;

    type Nested = HashMap<(u8, Vec<u8>), fn(u8, u8) -> u16>;

    #[test]
    fn the_value_is_what_is_inside() {
        let single = |name| of(name, false);
        assert_eq!(single(type_name::<u8>()), "u8");
        assert_eq!(single(type_name::<Option<u8>>()), "u8");
        assert_eq!(single(type_name::<Result<Option<Arc<u8>>, String>>()), "u8");
        assert_eq!(
            single(type_name::<std::io::Result<Nested>>()),
            type_name::<Nested>()
        );
        assert_eq!(
            single(type_name::<Vec<Option<u8>>>()),
            type_name::<Vec<Option<u8>>>()
        );
        let batch = |name| of(name, true);
        assert_eq!(
            batch(type_name::<HashMap<u64, String>>()),
            type_name::<String>()
        );
        assert_eq!(
            batch(type_name::<Result<BTreeMap<(u8, u8), Arc<u8>>, u8>>()),
            "u8"
        );
        assert_eq!(batch(type_name::<Vec<Option<u8>>>()), "u8");
        assert_eq!(
            batch(type_name::<Nested>()),
            type_name::<fn(u8, u8) -> u16>()
        );
    }
}
