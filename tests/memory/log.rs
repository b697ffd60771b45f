//! The log in memory: what is pending costs no entry, and no lock is held while arguments and values are dropped.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak, mpsc};
use std::time::Duration;

use cache_runtime::Key;
use cache_runtime::backend::log::{Append, Burial, Done, LogSize, Payload, WriteLog, partition_of};
use cache_runtime::backend::{Backend, Lease, LeaseMode, Life, Memory, Stored, Token, Typed};
use cache_runtime::testing::{Fault, Faulty};
use tests::DEADLINE;

use super::{TTL, typed};

fn append(key: &Key, value: Option<Stored>, arguments: Arc<dyn Any + Send + Sync>) -> Append {
    Append {
        key: key.clone(),
        function: "save".to_owned(),
        payload: Payload::Typed(arguments),
        value: value.map(|value| (value, TTL)),
        max_pending: 1_000_000,
    }
}

async fn hit(memory: &Memory, key: &Key) -> bool {
    let lease = memory.lease(key, &[], Token::fresh(), TTL, LeaseMode::Refresh);
    matches!(lease.await.unwrap(), Lease::Hit(_))
}

#[tokio::test]
async fn pending_values_outlive_their_eviction_and_the_leases_of_many_keys() {
    let memory = Memory::builder().max_entries(10).build().unwrap();
    let keys: Vec<_> = (0..500).map(|n| Key::from(format!("k:{n}"))).collect();
    for key in &keys {
        let write = append(key, Some(typed("pending")), Arc::new(()));
        memory.append(write).await.unwrap();
    }
    assert!(memory.len() <= 10, "pending values are no entries");
    // So many that each shard of leases is swept.
    for n in 0..150_000 {
        let key = Key::from(format!("loading:{n}"));
        let lease = memory.lease(
            &key,
            &[],
            Token::fresh(),
            Duration::ZERO,
            LeaseMode::IfMissing,
        );
        lease.await.unwrap();
    }
    for key in &keys {
        assert!(hit(&memory, key).await, "{key}");
    }
    assert!(memory.len() <= 10);
}

#[tokio::test]
async fn the_log_meets_the_faults_of_its_backend() {
    let (backend, faults) = Faulty::new(Arc::new(Memory::new()));
    let log = backend.write_log().expect("memory keeps a log");
    let key = Key::from("k");
    faults.set(Fault::Down);
    let refused = log.append(append(&key, None, Arc::new(()))).await;
    assert!(refused.is_err());
    assert!(log.size().await.is_err());
    faults.heal();
    let size = log.size().await.unwrap();
    assert_eq!(size, LogSize::default(), "the fault came before the append");
    log.append(append(&key, None, Arc::new(()))).await.unwrap();
    assert_eq!(log.size().await.unwrap().pending, [("save".to_owned(), 1)]);
}

/// On its way out it uses the store: keys of every shard, and the log.
struct CallsBack {
    store: Weak<Memory>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for CallsBack {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, SeqCst);
        let Some(store) = self.store.upgrade() else {
            return;
        };
        // In memory nothing has to wait, so an operation is done when it is called.
        for n in 0..500 {
            drop(store.invalidate(&[Key::from(format!("other:{n}"))]));
        }
        drop(store.size());
    }
}

struct Dropping {
    memory: Arc<Memory>,
    dropped: Arc<AtomicUsize>,
    key: Key,
    owner: Token,
    step: mpsc::Sender<&'static str>,
}

impl Dropping {
    fn calls_back(&self) -> Arc<CallsBack> {
        Arc::new(CallsBack {
            store: Arc::downgrade(&self.memory),
            dropped: self.dropped.clone(),
        })
    }

    fn value(&self) -> Stored {
        Stored::Typed(Typed::new(self.calls_back(), Life::new(TTL)))
    }

    fn write(&self) -> Append {
        append(&self.key, Some(self.value()), self.calls_back())
    }

    async fn logged(&self) -> u64 {
        self.memory.append(self.write()).await.unwrap();
        let partition = partition_of(&self.key);
        let writes = self.memory.read(partition, 0, 1000).await.unwrap();
        writes.last().expect("it was appended").sequence
    }

    fn over(&self, sequence: u64) -> Done {
        Done {
            key: self.key.clone(),
            function: "save".to_owned(),
            sequences: vec![sequence],
            invalidates: false,
        }
    }

    async fn finish(&self, done: Done) {
        let partition = partition_of(&self.key);
        let finished = self.memory.finish(partition, self.owner, &[done]).await;
        assert!(finished.unwrap());
    }

    async fn bury(&self, sequence: u64) -> bool {
        let burial = Burial {
            done: self.over(sequence),
            payload: Payload::Typed(self.calls_back()),
            error: String::new(),
            attempts: 1,
        };
        let partition = partition_of(&self.key);
        let buried = self.memory.bury(partition, self.owner, burial).await;
        buried.unwrap()
    }

    fn stepped(&self, step: &'static str) {
        assert!(self.dropped.swap(0, SeqCst) > 0, "{step}: nothing dropped");
        self.step.send(step).unwrap();
    }

    async fn refusals(&self) {
        let (memory, key, token) = (&self.memory, &self.key, Token::fresh());
        let full = Append {
            max_pending: 0,
            ..self.write()
        };
        memory.append(full).await.unwrap();
        self.stepped("refused append");
        memory.fill(key, token, self.value(), TTL).await.unwrap();
        self.stepped("refused fill");
        memory.begin_write(key, token, TTL).await.unwrap();
        memory.put(key, self.value(), TTL).await.unwrap();
        self.stepped("refused put");
        memory.invalidate(std::slice::from_ref(key)).await.unwrap();
        let value = Some((self.value(), TTL));
        memory.end_write(key, token, value).await.unwrap();
        self.stepped("refused end of a write");
        memory.put_if_newer(key, 0, typed("0"), TTL).await.unwrap();
        let newer = memory.put_if_newer(key, 0, self.value(), TTL).await;
        assert!(!newer.unwrap());
        self.stepped("refused version");
    }

    async fn writes(&self) {
        let first = self.logged().await;
        let second = self.logged().await;
        self.stepped("replaced");
        self.finish(self.over(first)).await;
        self.stepped("finished");
        let mut over = self.over(second);
        over.invalidates = true;
        self.finish(over).await;
        self.stepped("finished and removed");
        let third = self.logged().await;
        assert!(self.bury(third).await);
        self.stepped("buried");
        self.memory.discard(third).await.unwrap();
        self.stepped("discarded");
    }

    async fn revivals(&self) {
        let letter = self.logged().await;
        assert!(self.bury(letter).await);
        self.memory.revive(0, self.write(), false).await.unwrap();
        self.stepped("gone");
        self.memory
            .revive(letter, self.write(), true)
            .await
            .unwrap();
        self.stepped("revived");
        let letter = self.logged().await;
        assert!(self.bury(letter).await);
        self.logged().await;
        self.memory
            .revive(letter, self.write(), true)
            .await
            .unwrap();
        self.stepped("superseded");
        self.memory.leave(self.owner).await.unwrap();
        assert!(!self.bury(letter).await);
        self.stepped("not its owner");
    }
}

/// On a thread, as a deadlock would hang the test itself.
#[test]
fn arguments_and_values_may_use_the_store_while_they_are_dropped() {
    let (step, steps) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let dropping = Dropping {
                memory: Arc::new(Memory::new()),
                dropped: Arc::default(),
                key: Key::from("calls-back"),
                owner: Token::fresh(),
                step: step.clone(),
            };
            let owned = dropping.memory.attend(dropping.owner, TTL).await.unwrap();
            assert_eq!(owned.share, 16);
            dropping.refusals().await;
            dropping.writes().await;
            dropping.revivals().await;
        });
        step.send("done").unwrap();
    });
    let mut last = "begin";
    while last != "done" {
        last = steps
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|_| panic!("stuck after `{last}`"));
    }
}
