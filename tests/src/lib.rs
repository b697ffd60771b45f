//! What the tests share: servers of their own, faults between client and server, and waiting on conditions.
//!
//! Nothing here sleeps for luck. A test waits with [`eventually`], a [`Gate`], or the cache's own movable clock.

pub mod caches;
pub mod certificate;
mod child;
pub mod driver;
pub mod example;
pub mod faulty_bus;
mod forward;
pub mod gate;
pub mod hostile;
pub mod logs;
mod port;
pub mod postgres_server;
pub mod process;
pub mod proxy;
pub mod redis_server;
pub mod wait;

pub use caches::{PATIENCE, in_memory, on_each_backend, on_redis, redis_builder};
pub use example::{example, example_on_a_terminal};
pub use faulty_bus::{BusFaults, FaultyBus};
pub use gate::Gate;
pub use logs::Logs;
pub use postgres_server::PostgresServer;
pub use process::Process;
pub use proxy::Proxy;
pub use redis_server::RedisServer;
pub use wait::{DEADLINE, eventually, idle, once_begun, within};

#[cfg(test)]
mod manifest {
    use std::fs;
    use std::path::Path;

    /// Without a `[[test]]` a file here is never compiled and its tests pass by not running.
    #[test]
    fn every_test_file_is_listed() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest = fs::read_to_string(here.join("Cargo.toml")).unwrap();
        for entry in fs::read_dir(here).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let listed = manifest.contains(&format!("path = \"{name}\""));
            assert!(
                listed || !name.ends_with(".rs"),
                "tests/{name} has no [[test]] in tests/Cargo.toml"
            );
        }
    }
}
