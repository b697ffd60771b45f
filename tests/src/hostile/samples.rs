//! The types and values that entries and records are made of.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use cache_runtime::CodecKind;

pub(super) const CODECS: [CodecKind; 4] = [
    CodecKind::Bincode,
    CodecKind::Postcard,
    CodecKind::MsgPack,
    CodecKind::Json,
];

/// What can be cached and compared.
pub(super) trait Value:
    Serialize + DeserializeOwned + PartialEq + Debug + Send + Sync + 'static
{
}

impl<T: Serialize + DeserializeOwned + PartialEq + Debug + Send + Sync + 'static> Value for T {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    id: u64,
    name: String,
    email: Option<String>,
    roles: Vec<Role>,
    scores: BTreeMap<u32, i64>,
    raw: BTreeMap<String, Vec<u8>>,
    balance: (i128, f64, char, bool),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Role {
    Guest,
    Member { since: u32 },
    Admin(Vec<String>, i64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Tree {
    name: String,
    children: Vec<Tree>,
    next: Option<Box<Tree>>,
}

pub(super) fn users() -> Vec<User> {
    let ada = User {
        id: 42,
        name: "Ada Lovelace".into(),
        email: Some("ada@example.org".into()),
        roles: vec![
            Role::Guest,
            Role::Member { since: 1843 },
            Role::Admin(vec!["all".into(), String::new()], -1),
        ],
        scores: BTreeMap::from([(1, 0), (2, i64::MIN), (70_000, i64::MAX)]),
        raw: BTreeMap::from([("key".into(), vec![0, 255, 7]), (String::new(), vec![])]),
        balance: (i128::MIN, 0.1, 'ß', true),
    };
    let nobody = User {
        id: u64::MAX,
        name: String::new(),
        email: None,
        roles: vec![],
        scores: BTreeMap::new(),
        raw: BTreeMap::new(),
        balance: (0, -0.0, '\0', false),
    };
    vec![ada, nobody]
}

pub(super) fn trees() -> Vec<Tree> {
    let leaf = |name: &str| Tree {
        name: name.into(),
        children: vec![],
        next: None,
    };
    let chain = (0..50).fold(leaf("end"), |next, _| Tree {
        next: Some(next.into()),
        ..leaf("")
    });
    let wide = Tree {
        children: vec![leaf("a"); 20],
        ..leaf("wide")
    };
    vec![leaf(""), chain, wide]
}
