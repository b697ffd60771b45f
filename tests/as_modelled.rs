//! The backend of the model (`tests/model`) is the backend of the code: both give the same answers to the same operations, in any order.
//!
//! What the model checks in all states is worth as much as this.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use cache_runtime::backend::redis::Redis;
use cache_runtime::backend::{
    Backend, Encoded, Format, Lease, LeaseMode, Life, Mark, Memory, Stored, Token, Typed, WriteEnd,
};
use cache_runtime::{Key, ManualClock};
use model::{Entry, Mutant};
use tests::RedisServer;

/// Longer than a test takes. The clock of the memory backend is moved past it.
const TTL: Duration = Duration::from_secs(600);
const KEPT: Duration = Duration::from_secs(1_000_000);
const OPERATIONS: usize = 40;

/// What the two have disagreed about.
type Agreement = Result<(), String>;

/// One key at a backend, and the same key in the model.
struct Pair {
    backend: Arc<dyn Backend>,
    clock: Option<ManualClock>,
    key: Key,
    model: Entry,
    /// What the model is to do without.
    without: Option<Mutant>,
    random: fastrand::Rng,
    /// The names of tokens: the model's are numbers.
    tokens: Vec<Token>,
    /// The generations of writes that were seen on both sides.
    generations: HashMap<model::Token, Token>,
    marks: BTreeMap<u8, Mark>,
    leases: Vec<model::Token>,
    writes: Vec<model::Token>,
    last_value: u8,
    done: Vec<String>,
}

impl Pair {
    fn new(backend: Arc<dyn Backend>, clock: Option<ManualClock>, seed: u64) -> Self {
        Self {
            backend,
            clock,
            key: Key::from(format!("as_modelled:{seed}")),
            model: Entry::default(),
            without: None,
            random: fastrand::Rng::with_seed(seed),
            tokens: Vec::new(),
            generations: HashMap::new(),
            marks: BTreeMap::new(),
            leases: Vec::new(),
            writes: Vec::new(),
            last_value: 0,
            done: Vec::new(),
        }
    }

    fn token(&mut self) -> model::Token {
        self.tokens.push(Token::fresh());
        model::Token(self.tokens.len() as u8 - 1)
    }

    fn of(&self, token: model::Token) -> Token {
        self.tokens[usize::from(token.0)]
    }

    fn one_of(&mut self, tokens: &[model::Token]) -> Option<model::Token> {
        self.random.choice(tokens).copied()
    }

    /// A value that was never stored before. Between two of them there is room for older versions.
    fn value(&mut self) -> u8 {
        self.last_value += 3;
        self.last_value
    }

    fn stored(&self, value: u8) -> Stored {
        match self.backend.format() {
            Format::Typed => {
                // The mark of one that is gone may come again, unless its times differ too.
                let life = Life::new(KEPT).with_load_time(Duration::from_micros(value.into()));
                Stored::Typed(Typed::new(Arc::new(value), life))
            }
            Format::Encoded => {
                let mut bytes = vec![0; 24];
                bytes[16] = value;
                Stored::Encoded(Encoded::new(bytes.into()))
            }
        }
    }

    fn read(&mut self, stored: &Stored) -> u8 {
        let value = match stored {
            Stored::Typed(typed) => *typed.value.downcast_ref::<u8>().unwrap(),
            Stored::Encoded(encoded) => encoded.bytes[16],
        };
        self.marks.insert(value, stored.mark());
        value
    }

    async fn get(&mut self) -> Agreement {
        let stored = self.backend.get(&self.key).await.unwrap();
        let value = stored.map(|stored| self.read(&stored));
        self.agree("get", value, self.model.value)
    }

    async fn lease(&mut self) -> Agreement {
        let token = self.token();
        let marks: Vec<_> = self
            .marks
            .iter()
            .map(|(&value, &mark)| (value, mark))
            .collect();
        let seen = self.random.choice(marks).filter(|_| self.random.bool());
        let modes = seen.map_or(
            (LeaseMode::IfMissing, model::LeaseMode::IfMissing),
            |(value, mark)| (LeaseMode::IfStill(mark), model::LeaseMode::IfStill(value)),
        );
        let name = self.of(token);
        let answer = self.backend.lease(&self.key, &[], name, TTL, modes.0).await;
        let expected = self.model.lease(self.without, token, modes.1);
        let what = format!("lease {token:?} {:?}", modes.1);
        match (answer.unwrap(), expected) {
            (Lease::Hit(stored), model::Lease::Hit(value)) => {
                let read = self.read(&stored);
                self.agree(&what, read, value)
            }
            (Lease::Granted(_), model::Lease::Granted(_)) => {
                self.leases.push(token);
                self.agree(&what, (), ())
            }
            (Lease::Busy(holder, _), model::Lease::Busy(expected)) => {
                let expected = self.of(expected);
                self.agree(&what, holder, expected)
            }
            (Lease::Bypass(generation, _), model::Lease::Bypass(expected)) => {
                self.agree_on_generation(&what, generation, expected)
            }
            (answer, expected) => self.agree(&what, format!("{answer:?}"), format!("{expected:?}")),
        }
    }

    /// The two name generations by themselves; what has to agree is whether it is one that was seen before.
    fn agree_on_generation(
        &mut self,
        what: &str,
        found: Token,
        expected: model::Token,
    ) -> Agreement {
        let is_known = self.generations.values().any(|known| *known == found);
        match self.generations.insert(expected, found) {
            Some(before) => self.agree(what, found, before),
            None => self.agree(what, is_known, false),
        }
    }

    async fn under_a_lease(&mut self, operation: u32) -> Agreement {
        let leases = self.leases.clone();
        let Some(token) = self.one_of(&leases) else {
            return Ok(());
        };
        let name = self.of(token);
        match operation {
            0 => {
                let stands = self.backend.renew(&self.key, name, TTL).await.unwrap();
                self.model.renew(self.without, token);
                let expected = self.model.lease == Some(token);
                self.agree(&format!("renew {token:?}"), stands, expected)
            }
            1 => {
                self.backend.release(&self.key, name).await.unwrap();
                self.model.release(self.without, token);
                self.agree(&format!("release {token:?}"), (), ())
            }
            _ => {
                let value = self.value();
                let stored = self.stored(value);
                let filled = self.backend.fill(&self.key, name, stored, KEPT).await;
                let expected = self.model.fill(self.without, token, value);
                self.agree(
                    &format!("fill {token:?} {value}"),
                    filled.unwrap(),
                    expected,
                )
            }
        }
    }

    async fn invalidate(&mut self) -> Agreement {
        let keys = std::slice::from_ref(&self.key);
        self.backend.invalidate(keys).await.unwrap();
        let fresh = self.token();
        self.model.invalidate(self.without, fresh);
        self.agree("invalidate", (), ())
    }

    async fn put(&mut self) -> Agreement {
        let value = self.value();
        let stored = self.stored(value);
        let put = self.backend.put(&self.key, stored, KEPT).await.unwrap();
        let expected = self.model.put(value);
        self.agree(&format!("put {value}"), put, expected)
    }

    async fn put_if_newer(&mut self) -> Agreement {
        let newest = self.value();
        let version = newest - self.random.u8(0..3);
        self.last_value = newest;
        let stored = self.stored(version);
        let put = self
            .backend
            .put_if_newer(&self.key, u64::from(version), stored, KEPT)
            .await;
        let fresh = self.token();
        let expected = self.model.put_if_newer(self.without, version, fresh);
        self.agree(&format!("put_if_newer {version}"), put.unwrap(), expected)
    }

    async fn put_older(&mut self) -> Agreement {
        let Some(fence) = self.model.fence else {
            return Ok(());
        };
        let version = fence - self.random.u8(0..fence.min(3));
        let stored = self.stored(version);
        let put = self
            .backend
            .put_if_newer(&self.key, u64::from(version), stored, KEPT)
            .await;
        let fresh = self.token();
        let expected = self.model.put_if_newer(self.without, version, fresh);
        self.agree(&format!("put_if_newer {version}"), put.unwrap(), expected)
    }

    async fn begin_write(&mut self) -> Agreement {
        if self.model.writes() == self.model.intents.len() {
            return Ok(());
        }
        let (token, fresh) = (self.token(), self.token());
        let name = self.of(token);
        self.backend
            .begin_write(&self.key, name, TTL)
            .await
            .unwrap();
        self.model.begin_write(self.without, token, fresh);
        self.writes.push(token);
        self.agree(&format!("begin_write {token:?}"), (), ())
    }

    async fn end_write(&mut self) -> Agreement {
        let writes = self.writes.clone();
        let Some(token) = self.one_of(&writes) else {
            return Ok(());
        };
        let value = self.random.bool().then(|| self.value());
        let stored = value.map(|value| (self.stored(value), KEPT));
        let name = self.of(token);
        let end = self
            .backend
            .end_write(&self.key, name, stored)
            .await
            .unwrap();
        let fresh = self.token();
        let expected = match self.model.end_write(self.without, token, value, fresh) {
            model::WriteEnd::Clean => WriteEnd::Clean,
            model::WriteEnd::Overlapped => WriteEnd::Overlapped,
        };
        self.agree(&format!("end_write {token:?} {value:?}"), end, expected)
    }

    async fn renew_write(&mut self) -> Agreement {
        let writes = self.writes.clone();
        let Some(token) = self.one_of(&writes) else {
            return Ok(());
        };
        let name = self.of(token);
        let renewed = self.backend.renew_write(&self.key, name, TTL).await;
        let mut intents = self.model.intents.iter().flatten();
        let expected = intents.any(|intent| intent.token == token);
        self.agree(
            &format!("renew_write {token:?}"),
            renewed.unwrap(),
            expected,
        )
    }

    /// All that has an expiry and is not renewed is over.
    fn expire(&mut self) -> Agreement {
        let Some(clock) = &self.clock else {
            return Ok(());
        };
        clock.advance(TTL + Duration::from_secs(1));
        self.model.expire_lease();
        for intent in self.model.intents.into_iter().flatten() {
            let fresh = self.token();
            self.model.expire_intent(intent.token, fresh);
        }
        self.agree("expire", (), ())
    }

    fn agree<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: &str,
        found: T,
        expected: T,
    ) -> Agreement {
        self.done.push(what.to_owned());
        if found == expected {
            return Ok(());
        }
        Err(format!(
            "{}: {found:?}, and the model says {expected:?}, after {:#?}",
            self.key, self.done
        ))
    }

    async fn run(mut self) -> Agreement {
        for _ in 0..OPERATIONS {
            match self.random.u32(0..20) {
                0..4 => self.lease().await,
                4 => self.under_a_lease(0).await,
                5 => self.under_a_lease(1).await,
                6..9 => self.under_a_lease(2).await,
                9..11 => self.invalidate().await,
                11 => self.put().await,
                12 => self.put_if_newer().await,
                13 => self.put_older().await,
                14..16 => self.begin_write().await,
                16..18 => self.end_write().await,
                18 => self.renew_write().await,
                _ => self.expire(),
            }?;
            self.get().await?;
        }
        Ok(())
    }
}

async fn in_memory(seed: u64, without: Option<Mutant>) -> Agreement {
    let clock = ManualClock::new();
    let memory = Memory::builder().clock(&clock).build().unwrap();
    let mut pair = Pair::new(Arc::new(memory), Some(clock), seed);
    pair.without = without;
    pair.run().await
}

#[tokio::test]
async fn the_memory_backend_answers_as_the_model_does() {
    for seed in 0..1_000 {
        assert_eq!(in_memory(seed, None).await, Ok(()));
    }
}

#[tokio::test]
async fn redis_answers_as_the_model_does() {
    let server = RedisServer::start().await;
    let redis = Redis::from_url(&server.url())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let backend: Arc<dyn Backend> = Arc::new(redis);
    for seed in 0..200 {
        let pair = Pair::new(Arc::clone(&backend), None, seed);
        assert_eq!(pair.run().await, Ok(()));
    }
}

#[tokio::test]
async fn a_model_without_one_mechanism_of_a_backend_is_told_from_it() {
    for &mutant in Mutant::ALL.iter().filter(|mutant| mutant.is_of_backend()) {
        let mut seed = 0;
        while in_memory(seed, Some(mutant)).await.is_ok() {
            seed += 1;
            assert!(seed < 1_000, "nothing tells that {mutant:?} is out");
        }
    }
}
