//! The cases that every backend passes: run them against your own. One that keeps a log of writes passes those of [`log_cases`] too. A bus
//! passes those of [`bus_cases`].
//!
//! ```
//! use std::sync::Arc;
//! use cache_runtime::{backend::Memory, testing::conformance};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! for case in conformance::cases() {
//!     println!("{}", case.name());
//!     case.run(Arc::new(Memory::new())).await;
//! }
//! # }
//! ```

mod ages;
mod bus;
mod intents;
mod leases;
mod log;
mod many;
mod tags;
mod values;

pub use self::bus::{BusCase, bus_cases};

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use crate::backend::{Backend, Encoded, Format, Lease, LeaseMode, Life, Stored, Token, Typed};
use crate::key::Key;

type Run = fn(Bench) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// One case of the suite.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    run: Run,
}

impl Case {
    /// What the case shows, as a sentence with underscores.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the case. The backend need not be empty: each run uses keys that were never used before.
    ///
    /// # Panics
    ///
    /// If the backend does not keep the contract; the message says in what.
    pub async fn run(&self, backend: Arc<dyn Backend>) {
        let key = Key::from(format!("conformance:{}:{}", self.name, Token::fresh()));
        (self.run)(Bench { backend, key }).await;
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// All cases but those for a log: [`log_cases`].
#[must_use]
pub fn cases() -> Vec<Case> {
    [
        values::CASES,
        ages::CASES,
        leases::CASES,
        many::CASES,
        intents::CASES,
        tags::CASES,
    ]
    .concat()
}

/// The cases for a backend that keeps a log of write-behind writes: whose [`write_log`](Backend::write_log) is `Some`.
///
/// Run them one after another, on a log that nobody else uses meanwhile: they look at all of it, and they are all of its members.
#[must_use]
pub fn log_cases() -> Vec<Case> {
    log::cases()
}

macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        pub(super) const CASES: &[super::Case] =
            &[$(super::Case { name: stringify!($name), run: |bench| Box::pin($name(bench)) }),*];
    };
}
use suite;

/// Long enough never to expire during a case.
const LONG: Duration = Duration::from_secs(600);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(40);
/// After this an expected change is said not to come.
const DEADLINE: Duration = Duration::from_secs(20);

/// A backend and a key that nobody else uses.
#[derive(Clone)]
struct Bench {
    backend: Arc<dyn Backend>,
    key: Key,
}

impl Bench {
    fn value(&self, text: &str) -> Stored {
        match self.backend.format() {
            Format::Typed => {
                let value = Arc::new(text.to_owned());
                Stored::Typed(Typed::new(value, Life::new(LONG)))
            }
            Format::Encoded => {
                let mut bytes = BytesMut::new();
                bytes.put_slice(b"CONFORM!");
                bytes.put_u64_le(0);
                bytes.put_slice(text.as_bytes());
                Stored::Encoded(Encoded::new(bytes.freeze()))
            }
        }
    }

    async fn get(&self) -> Option<String> {
        self.backend
            .get(&self.key)
            .await
            .expect("get")
            .map(|stored| text(&stored))
    }

    async fn lease_mode(&self, ttl: Duration, mode: LeaseMode) -> (Token, Lease) {
        let token = Token::fresh();
        (
            token,
            self.backend
                .lease(&self.key, &[], token, ttl, mode)
                .await
                .expect("lease"),
        )
    }

    async fn lease(&self) -> (Token, Lease) {
        self.lease_mode(LONG, LeaseMode::IfMissing).await
    }

    async fn granted(&self) -> Token {
        let (token, lease) = self.lease().await;
        assert!(
            matches!(lease, Lease::Granted(_)),
            "a free key grants its lease, not {lease:?}"
        );
        token
    }

    async fn fill(&self, token: Token, text: &str) -> bool {
        self.backend
            .fill(&self.key, token, self.value(text), LONG)
            .await
            .expect("fill")
    }

    async fn put(&self, text: &str) -> bool {
        self.backend
            .put(&self.key, self.value(text), LONG)
            .await
            .expect("put")
    }

    async fn invalidate(&self) {
        self.backend
            .invalidate(std::slice::from_ref(&self.key))
            .await
            .expect("invalidate");
    }

    async fn begin(&self) -> Token {
        let token = Token::fresh();
        self.backend
            .begin_write(&self.key, token, LONG)
            .await
            .expect("begin_write");
        token
    }

    /// Asks until the lease is granted.
    async fn granted_in_time(&self) -> Token {
        let began = Instant::now();
        loop {
            let (token, lease) = self.lease().await;
            if matches!(lease, Lease::Granted(_)) {
                return token;
            }
            assert!(began.elapsed() < DEADLINE, "still {lease:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The text of a conformance value, whatever the backend stamped into it.
fn text(stored: &Stored) -> String {
    match stored {
        Stored::Typed(typed) => typed
            .value
            .downcast_ref::<String>()
            .expect("the value's own type")
            .clone(),
        Stored::Encoded(entry) => {
            let bytes = &entry.bytes;
            assert_eq!(&bytes[..8], b"CONFORM!", "bytes before the stamp are kept");
            let body: Bytes = bytes.slice(16..);
            String::from_utf8(body.to_vec()).expect("bytes after the stamp are kept")
        }
    }
}
