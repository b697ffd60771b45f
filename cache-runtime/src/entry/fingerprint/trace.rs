//! The deserializer that notes what a type asks for, and answers with dummies.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, Visitor};

use super::ledger::{Key, Ledger, Part, key};

/// Texts that common types are read from, tried in turn: most take any, others a date, an address, an identifier.
const TEXTS: [&str; 8] = [
    "1",
    "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00",
    "1970-01-01",
    "00:00:00",
    "http://a/",
    "00000000-0000-0000-0000-000000000001",
    "127.0.0.1",
];

/// Sixteen, for a UUID.
const BYTES: [u8; 16] = [1; 16];

/// The answer when the bounds are reached, and what a type's own rejection comes to.
#[derive(Debug)]
pub(super) struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the trace ends here")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self
    }
}

/// Answers one question.
pub(super) struct Tracer<'a, 'p>(&'a mut Ledger<'p>);

impl<'a, 'p> Tracer<'a, 'p> {
    pub(super) fn new(ledger: &'a mut Ledger<'p>) -> Self {
        Self(ledger)
    }

    fn step(&mut self, what: &str) -> Result<(), Stop> {
        if self.0.step(what) { Ok(()) } else { Err(Stop) }
    }

    fn text<'de, V: Visitor<'de>>(
        mut self,
        what: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.step(what)?;
        let key = key::<V>(what);
        let attempt = self.0.note(key).attempt;
        let result = visitor.visit_str(TEXTS[attempt]);
        if result.is_err() && attempt + 1 < TEXTS.len() {
            self.0.note(key).attempt += 1;
            self.0.pending += 1;
        }
        result
    }

    /// An option, sequence or map: what `fill` reads, or nothing where the ledger says so.
    fn holder<V, R>(
        mut self,
        what: &'static str,
        visitor: V,
        empty: impl FnOnce(V, &mut Ledger<'p>) -> Result<R, Stop>,
        fill: impl FnOnce(V, &mut Ledger<'p>) -> Result<R, Stop>,
    ) -> Result<R, Stop> {
        self.step(what)?;
        let ledger = self.0;
        let key = key::<V>(what);
        if ledger.stays_empty(key) {
            return empty(visitor, ledger);
        }
        let before = ledger.pending;
        let result = within(ledger, key, |ledger| fill(visitor, ledger));
        ledger.filled(key, result.is_ok(), before);
        result
    }

    fn tuple<'de, V: Visitor<'de>>(
        mut self,
        what: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.step(what)?;
        self.0.print.number(len as u64);
        within(self.0, key::<V>(what), |ledger| {
            visitor.visit_seq(Elements { ledger, left: len })
        })
    }

    /// A struct or a struct variant, field by field in the order that shows most.
    fn fields<'de, V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.step("struct")?;
        self.0.print.text(name);
        self.0.print.texts(fields);
        let key = key::<V>(name);
        within(self.0, key, |ledger| {
            if ledger.note(key).positional {
                return visitor.visit_seq(Elements {
                    ledger,
                    left: fields.len(),
                });
            }
            let mut order = Fields::new(ledger, key, fields);
            let result = visitor.visit_map(&mut order);
            order.end(result.is_ok());
            result
        })
    }
}

fn within<'p, R>(
    ledger: &mut Ledger<'p>,
    key: Key,
    read: impl FnOnce(&mut Ledger<'p>) -> Result<R, Stop>,
) -> Result<R, Stop> {
    if !ledger.open(key) {
        return Err(Stop);
    }
    let result = read(ledger);
    ledger.close(key);
    result
}

macro_rules! scalars {
    ($($method:ident => $visit:ident($dummy:expr);)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
            self.step(stringify!($method))?;
            visitor.$visit($dummy)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_, '_> {
    type Error = Stop;

    // One, not zero: it is also a valid `NonZero`.
    scalars! {
        deserialize_bool => visit_bool(false);
        deserialize_i8 => visit_i8(1);
        deserialize_i16 => visit_i16(1);
        deserialize_i32 => visit_i32(1);
        deserialize_i64 => visit_i64(1);
        deserialize_i128 => visit_i128(1);
        deserialize_u8 => visit_u8(1);
        deserialize_u16 => visit_u16(1);
        deserialize_u32 => visit_u32(1);
        deserialize_u64 => visit_u64(1);
        deserialize_u128 => visit_u128(1);
        deserialize_f32 => visit_f32(1.0);
        deserialize_f64 => visit_f64(1.0);
        deserialize_char => visit_char('1');
        deserialize_bytes => visit_bytes(&BYTES);
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.text("text", visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.text("text", visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.text("identifier", visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.step("any")?;
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.step("ignored")?;
        visitor.visit_unit()
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.step("unit")?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.step("unit struct")?;
        self.0.print.text(name);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.step("newtype")?;
        self.0.print.text(name);
        within(self.0, key::<V>(name), |ledger| {
            visitor.visit_newtype_struct(Tracer(ledger))
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.holder(
            "option",
            visitor,
            |visitor, _| visitor.visit_none(),
            |visitor, ledger| visitor.visit_some(Tracer(ledger)),
        )
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.holder(
            "seq",
            visitor,
            |visitor, ledger| visitor.visit_seq(Elements { ledger, left: 0 }),
            |visitor, ledger| visitor.visit_seq(Elements { ledger, left: 1 }),
        )
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.holder(
            "map",
            visitor,
            |visitor, ledger| visitor.visit_map(Elements { ledger, left: 0 }),
            |visitor, ledger| visitor.visit_map(Elements { ledger, left: 1 }),
        )
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.tuple("tuple", len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.0.print.text(name);
        self.tuple("tuple struct", len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.fields(name, fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.step("enum")?;
        let ledger = self.0;
        ledger.print.text(name);
        ledger.print.texts(variants);
        let key = key::<V>(name);
        within(ledger, key, |ledger| {
            let pick = ledger.pick(key, variants.len());
            let before = (ledger.pending, ledger.note(key).met);
            let variant = variants.get(pick.index).copied().unwrap_or_default();
            let result = visitor.visit_enum(Variant { ledger, variant });
            ledger.picked(key, pick, result.is_ok(), before);
            result
        })
    }

    fn is_human_readable(&self) -> bool {
        self.0.human_readable
    }
}

/// A fixed number of elements or pairs.
struct Elements<'a, 'p> {
    ledger: &'a mut Ledger<'p>,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, '_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stop> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(Tracer(self.ledger)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> de::MapAccess<'de> for Elements<'_, '_> {
    type Error = Stop;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stop> {
        de::SeqAccess::next_element_seed(self, seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        seed.deserialize(Tracer(self.ledger))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The fields of a struct, handed out by name, those that reject their dummy last: a struct stops at the first that fails.
struct Fields<'a, 'p> {
    ledger: &'a mut Ledger<'p>,
    key: Key,
    names: &'static [&'static str],
    order: std::vec::IntoIter<usize>,
    /// The field whose name was given and whose value was not asked for.
    named: Option<usize>,
    asked: bool,
}

impl<'a, 'p> Fields<'a, 'p> {
    fn new(ledger: &'a mut Ledger<'p>, key: Key, names: &'static [&'static str]) -> Self {
        let note = ledger.note(key);
        note.parts.resize(names.len(), Part::Open);
        let in_state = |wanted: fn(Part) -> bool| {
            note.parts
                .iter()
                .enumerate()
                .filter(move |(_, part)| wanted(**part))
                .map(|(at, _)| at)
        };
        let order: Vec<usize> = in_state(|part| matches!(part, Part::Open | Part::Done))
            .chain(in_state(|part| part == Part::Rejects))
            .collect();
        Self {
            ledger,
            key,
            names,
            order: order.into_iter(),
            named: None,
            asked: false,
        }
    }

    fn mark(&mut self, field: usize, part: Part) {
        if let Some(known) = self.ledger.note(self.key).parts.get_mut(field)
            && *known != part
        {
            *known = part;
            self.ledger.pending += 1;
        }
    }

    /// Learns from how the struct took its fields.
    fn end(mut self, accepted: bool) {
        if accepted {
            return;
        }
        if let Some(field) = self.named {
            // It did not want the value: it knows the field by another of its names already.
            self.mark(field, Part::Alias);
        } else if !self.asked && !self.names.is_empty() {
            self.ledger.note(self.key).positional = true;
            self.ledger.pending += 1;
        }
    }
}

impl<'de> de::MapAccess<'de> for &mut Fields<'_, '_> {
    type Error = Stop;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stop> {
        self.asked = true;
        let Some(field) = self.order.next() else {
            return Ok(None);
        };
        if !self.ledger.step("field") {
            return Err(Stop);
        }
        self.ledger.print.text(self.names[field]);
        self.named = Some(field);
        seed.deserialize(de::value::StrDeserializer::new(self.names[field]))
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stop> {
        let field = self.named.take();
        let before = self.ledger.pending;
        let result = seed.deserialize(Tracer(self.ledger));
        // Where something inside is still to be tried, another pass may succeed.
        if let Some(field) = field
            && result.is_err()
            && self.ledger.pending == before
        {
            self.mark(field, Part::Rejects);
        }
        result
    }
}

/// The chosen variant of an enum.
struct Variant<'a, 'p> {
    ledger: &'a mut Ledger<'p>,
    variant: &'static str,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, '_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Stop> {
        self.ledger.print.text(self.variant);
        let tag = seed.deserialize(de::value::StrDeserializer::new(self.variant))?;
        Ok((tag, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, '_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        Tracer(self.ledger).step("unit variant")
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Stop> {
        Tracer(self.ledger).step("newtype variant")?;
        seed.deserialize(Tracer(self.ledger))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        Tracer(self.ledger).tuple("tuple variant", len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        Tracer(self.ledger).fields(self.variant, fields, visitor)
    }
}
