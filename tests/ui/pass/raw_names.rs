//! Raw identifiers, as functions, arguments and fields.
#![deny(warnings)]

use cache_runtime::cached;

struct Row {
    r#type: u8,
}

#[cached(key = "raw:<type>:<row.type>:<match>")]
async fn r#loop(r#type: u8, row: Row, r#match: u8) -> u8 {
    r#type + row.r#type + r#match
}

#[tokio::main]
async fn main() {
    assert_eq!(r#loop(1, Row { r#type: 2 }, 3).await, 6);
    assert_eq!(r#loop::key(1, Row { r#type: 2 }, 3).as_str(), "raw:1:2:3");
}
