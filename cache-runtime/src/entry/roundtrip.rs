//! The check before a function's first store: can the codec read back what it writes of this type?

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, survey};
use crate::error::CodecError;
use crate::spec::CodecKind;

/// Writes the value, reads it back, and compares. The error names the codec, what it could not do and what to choose instead.
///
/// The two values are compared by a digest of what serde sees of them, not by their bytes: bytes would differ for a sound
/// `HashMap`, which iterates in another order once it is read back, and would agree for values that the codec writes alike, such
/// as two variants of an untagged enum.
pub(crate) fn check<T: Serialize + DeserializeOwned>(
    codec: CodecKind,
    value: &T,
) -> Result<(), CodecError> {
    let mut bytes = Vec::new();
    codec::encode(codec, value, &mut bytes).map_err(|error| advised(codec, &error))?;
    let read: T = codec::decode(codec, &bytes).map_err(|error| advised(codec, &error))?;
    match (survey(codec, value), survey(codec, &read)) {
        (Ok(written), Ok(read)) if written == read => Ok(()),
        _ => Err(advised(
            codec,
            &"the value read back is not the value that was written",
        )),
    }
}

fn advised(codec: CodecKind, problem: &dyn std::fmt::Display) -> CodecError {
    let advice = match codec {
        CodecKind::Bincode | CodecKind::Postcard => {
            "it cannot read back untagged, internally tagged or flattened types, `serde_json::Value`, or fields with \
             `skip_serializing_if`: choose `codec = \"msgpack\"` or `codec = \"json\"` for this function"
        }
        CodecKind::MsgPack => {
            "choose `codec = \"json\"` for this function, or `codec = \"bincode\"` for plain types"
        }
        CodecKind::Json => {
            "choose `codec = \"msgpack\"` for this function (map keys that are not text), or `codec = \"bincode\"` for plain types"
        }
    };
    let name = codec.name();
    let problem = problem.to_string();
    // The codec's own errors begin with its name, which this one says by itself.
    let problem = problem
        .strip_prefix(&format!("codec `{name}`: "))
        .unwrap_or(&problem);
    CodecError::new(name, format!("{problem}; {advice}"))
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use serde::Deserialize;

    use super::*;

    fn built(codecs: &[CodecKind]) -> impl Iterator<Item = CodecKind> {
        codecs
            .iter()
            .copied()
            .filter(|codec| codec::is_built(*codec).is_ok())
    }

    const POSITIONAL: [CodecKind; 2] = [CodecKind::Bincode, CodecKind::Postcard];
    const NAMED: [CodecKind; 2] = [CodecKind::MsgPack, CodecKind::Json];

    fn needs_names<T: Serialize + DeserializeOwned>(value: &T) {
        for codec in built(&POSITIONAL) {
            let text = check(codec, value).expect_err("reported").to_string();
            assert!(
                text.starts_with(&format!("codec `{}`: ", codec.name())),
                "{text}"
            );
            assert_eq!(text.matches("codec `").count(), 1, "{text}");
            assert!(
                text.contains("`codec = \"msgpack\"` or `codec = \"json\"`"),
                "{text}"
            );
        }
        for codec in built(&NAMED) {
            check(codec, value).expect("read back");
        }
    }

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Text(String),
    }

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Circle { radius: f64 },
    }

    #[derive(Serialize, Deserialize)]
    struct Flattened {
        id: u64,
        #[serde(flatten)]
        rest: HashMap<String, u64>,
    }

    #[derive(Serialize, Deserialize)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<u8>,
        second: u8,
    }

    #[test]
    fn types_that_need_names_are_reported_with_what_to_choose() {
        needs_names(&Untagged::Number(7));
        needs_names(&vec![Untagged::Text("x".into())]);
        needs_names(&Tagged::Circle { radius: 0.5 });
        needs_names(&Flattened {
            id: 1,
            rest: HashMap::from([("a".into(), 1), ("b".into(), 2)]),
        });
        needs_names(&Sparse {
            first: None,
            second: 1,
        });
    }

    #[cfg(feature = "json")]
    #[test]
    fn a_json_value_is_reported_with_what_to_choose() {
        needs_names(&serde_json::json!({ "a": [1, -2, 0.5, null, "x", { "b": true }] }));
    }

    #[test]
    fn plain_types_pass() {
        let map: HashMap<u32, HashSet<String>> = (0..50)
            .map(|n| (n, (0..n).map(|m| m.to_string()).collect()))
            .collect();
        let others = (
            f64::MIN_POSITIVE,
            Some("x".to_owned()),
            [Some(1_i128), None],
        );
        for codec in built(&POSITIONAL).chain(built(&NAMED)) {
            check(codec, &map).expect("read back");
            check(codec, &others).expect("read back");
        }
    }

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Ambiguous {
        Wide(u64),
        Narrow(i32),
    }

    /// Its bytes are the same before and after: only the digest tells.
    #[test]
    fn a_value_read_back_as_another_is_reported() {
        for codec in built(&NAMED) {
            check(codec, &Ambiguous::Wide(5)).expect("read back");
            let error = check(codec, &Ambiguous::Narrow(5)).expect_err("read as Wide");
            assert!(
                error.to_string().contains("not the value that was written"),
                "{error}"
            );
        }
    }
}
