//! What is known of a call's tags before its body has run.

use std::sync::Arc;

use crate::backend::{Basis, TagVersion, Tags};
use crate::key::Key;
use crate::mutants::{self, Mutant};
use crate::shape::Shape;

/// The tags that a call's arguments tell, and what they contribute to tags that also read the result.
#[derive(Debug, Clone, Default)]
pub struct Known {
    tags: Tags,
    parts: Vec<Key>,
}

/// Tells calls of one key apart whose arguments name different tags: zero for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct TagsId(u64);

impl Known {
    /// Nothing is known, or there is nothing to know.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tags: Tags::new(),
            parts: Vec::new(),
        }
    }

    /// Adds a tag.
    pub fn tag(&mut self, tag: Key) {
        self.tags.push(tag);
    }

    /// Adds what the arguments contribute to a tag that also reads the result. They come back in this order.
    pub fn part(&mut self, part: Key) {
        self.parts.push(part);
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }

    pub(crate) fn id(&self) -> TagsId {
        let mut tags = self.tags.as_slice().iter().peekable();
        if tags.peek().is_none() || mutants::on(Mutant::LoadsSharedAcrossTags) {
            return TagsId::default();
        }
        // FNV-1a. No tag holds the byte that separates them.
        let bytes = tags.flat_map(|tag| tag.as_bytes().iter().chain(&[0]));
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        TagsId(hash.max(1))
    }

    /// What a value depends on that was made after `since`.
    pub(crate) fn basis<S: Shape>(
        &self,
        shape: S,
        value: Option<&S::Value>,
        since: Option<TagVersion>,
    ) -> Option<Arc<Basis>> {
        let mut tags = self.tags.clone();
        if let Some(value) = value {
            shape.tags_of(value, &self.parts, &mut tags);
        }
        (since.is_some() || !tags.is_empty()).then(|| Arc::new(Basis { since, tags }))
    }
}
