//! Named and elided lifetimes in arguments.
#![deny(warnings)]

use std::borrow::Cow;

use cache_runtime::{cached, invalidates};

struct Query<'q> {
    text: &'q str,
}

#[cached(key = "q:<query.text>:<lang>")]
async fn search<'a, 'b: 'a>(
    query: &'a Query<'b>,
    lang: Cow<'b, str>,
) -> Result<Vec<String>, String> {
    Ok(vec![query.text.to_owned(), lang.into_owned()])
}

#[cached]
async fn elided(name: &str, parts: &[&str]) -> Option<String> {
    Some(format!("{name}{}", parts.len()))
}

#[invalidates("q:<query.text>:<lang>", "q:<return>")]
async fn forget<'a>(query: &Query<'a>, lang: &str) -> &'a str {
    let _ = lang;
    query.text
}

#[tokio::main]
async fn main() {
    let text = String::from("x");
    let query = Query { text: &text };
    assert_eq!(search(&query, "en".into()).await.unwrap().len(), 2);
    assert_eq!(search::key(&query, "en".into()).as_str(), "q:x:en");
    // The future of a companion holds the key, not the arguments.
    let peeked = {
        let short = String::from("x");
        search::peek(&Query { text: &short }, "en".into())
    };
    assert!(peeked.await.is_some());
    assert_eq!(elided("a", &["b"]).await.as_deref(), Some("a1"));
    assert_eq!(forget(&query, "en").await, "x");
}
