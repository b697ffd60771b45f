//! Every form of URL works, a bad one names its wrong part, and no secret is ever shown.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use cache_runtime::backend::redis::Redis;
use cache_runtime::{Cache, Error, cached};
use redis::cmd;
use tests::{DEADLINE, Logs, PATIENCE, Process, RedisServer, eventually};

/// A password that is nowhere else, neither in words nor in numbers.
const SECRET: &str = "hunter2";

#[cached(key = "item:<id>")]
async fn item(loads: &AtomicU64, id: u64) -> u64 {
    id * 1000 + loads.fetch_add(1, SeqCst)
}

async fn cache(url: &str) -> Cache {
    Cache::builder()
        .url(url)
        .unwrap()
        .operation_timeout(PATIENCE)
        .build()
        .await
        .unwrap()
}

/// Whether a second call is a hit.
async fn caches(cache: &Cache) -> bool {
    let loads = AtomicU64::new(0);
    cache
        .scope(async { item(&loads, 1).await == item(&loads, 1).await })
        .await
}

mod good {
    use super::*;

    #[tokio::test]
    async fn user_password_and_database_number_are_used() {
        let server = RedisServer::start().await;
        let () = server
            .query(cmd("ACL").arg(&["SETUSER", "anna", "on", ">p@ss/:%", "~*", "&*", "+@all"]))
            .await;
        let () = server
            .query(cmd("ACL").arg(&["SETUSER", "default", "-@write"]))
            .await;
        let url = format!("redis://anna:p%40ss%2F%3A%25@127.0.0.1:{}", server.port());
        assert!(caches(&cache(&format!("{url}/3")).await).await);
        assert!(caches(&cache(&format!("{url}?db=4")).await).await);
        let by_parameters = format!(
            "redis://127.0.0.1:{}/5?user=anna&pass=p%40ss%2F%3A%25",
            server.port()
        );
        assert!(caches(&cache(&by_parameters).await).await);
        let info: String = server.query(cmd("INFO").arg("keyspace")).await;
        // The entry, and the version of the namespace.
        for database in ["db3:keys=2", "db4:keys=2", "db5:keys=2"] {
            assert!(info.contains(database), "{info}");
        }
        assert!(!info.contains("db0:"), "{info}");
    }

    #[tokio::test]
    async fn a_password_without_a_user_is_used() {
        let server = RedisServer::builder().password(SECRET).start().await;
        assert!(caches(&cache(&server.url()).await).await);
    }

    #[tokio::test]
    async fn a_unix_socket_is_used_under_both_schemes() {
        let server = RedisServer::builder().password(SECRET).start().await;
        for (scheme, db) in [("unix", 0), ("redis+unix", 2)] {
            let url = format!(
                "{scheme}://{}?db={db}&pass={SECRET}",
                server.socket().display()
            );
            assert!(caches(&cache(&url).await).await, "{scheme}");
        }
    }

    #[tokio::test]
    async fn tls_is_used_with_an_authority_of_ones_own() {
        let server = RedisServer::builder()
            .tls()
            .user("anna", SECRET)
            .start()
            .await;
        let authority = std::fs::read(&server.certificate().authority).unwrap();
        let redis = Redis::from_url(&format!("{}2", server.tls_url()))
            .unwrap()
            .tls_root_ca(authority);
        let redis = redis.namespace("shop").connect().await.unwrap();
        let cache = Cache::builder()
            .backend(redis)
            .operation_timeout(PATIENCE)
            .build()
            .await
            .unwrap();
        assert!(caches(&cache).await);
    }

    #[tokio::test]
    async fn memory_has_a_url_too() {
        for url in ["memory://", "memory://?max_entries=10"] {
            let cache = Cache::builder().url(url).unwrap().build().await.unwrap();
            assert!(caches(&cache).await, "{url}");
        }
        let small = Cache::builder()
            .url("memory://?max_entries=2")
            .unwrap()
            .build()
            .await
            .unwrap();
        let loads = AtomicU64::new(0);
        let kept = small.scope(async {
            for id in 0..50 {
                item(&loads, id).await;
            }
            let mut kept = 0;
            for id in 0..50 {
                kept += u32::from(item::peek(id).await.is_some());
            }
            kept
        });
        assert!(kept.await <= 2);
    }
}

mod bad {
    use super::*;

    #[test]
    fn a_bad_url_names_the_part_that_is_wrong_and_never_the_secret() {
        let table = [
            ("", "scheme"),
            ("localhost:6379", "scheme"),
            ("//hunter2", "scheme"),
            ("http://:hunter2@h", "scheme"),
            ("hunter2://h", "scheme"),
            ("memory", "scheme"),
            ("memory:", "memory URL"),
            ("memory://hunter2", "memory URL"),
            ("memory://?hunter2=1", "memory URL"),
            ("memory://?max_entries=hunter2", "`max_entries`"),
            ("memory://?max_entries=0", "`max_entries`"),
            ("memory://?max_entries=-5", "`max_entries`"),
            ("redis://", "host"),
            ("redis://:hunter2@:6379", "host"),
            ("redis://:hunter2@h h", "host"),
            ("redis://:hunter2@[::1", "host"),
            ("redis://:hunter2@h:port", "port"),
            ("redis://:hunter2@h:65536", "port"),
            ("redis://:hunter2@h:0", "port"),
            ("redis://h:hunter2", "port"),
            ("redis://:hunter2@h/first", "database"),
            ("redis://:hunter2@h/-1", "database"),
            ("redis://:hunter2@h/99999999999", "database"),
            ("redis://:hunter2@h/1?db=2", "database"),
            ("redis://u:hunter2/hunter2@h", "password"),
            ("redis://u:hunter2#@h", "password"),
            ("redis://u:hunter2%@h", "password"),
            ("redis://u:hunter2@h?pass=hunter2", "password"),
            ("redis://hunter2@h", "user"),
            ("redis://:hunter2@h?colour=hunter2", "parameter"),
            ("redis://:hunter2@h?connect_timeout=soon", "parameter"),
            ("redis://:hunter2@h#hunter2", "fragment"),
            ("unix://", "socket path"),
            ("unix://hunter2/run/redis.sock", "host"),
        ];
        for (url, part) in table {
            let error = Cache::builder().url(url).expect_err(url);
            let Error::Config(config) = &error else {
                panic!("{url}: {error:?}")
            };
            assert!(config.place().starts_with(part), "{url}: {error}");
            assert!(error.to_string().starts_with(part), "{url}: {error}");
            let source = std::error::Error::source(&error).expect("it has one");
            let shown = format!("{error} {error:?} {error:#?} {source} {source:?}");
            assert!(!shown.contains(SECRET), "{url}: {shown}");
        }
    }

    #[tokio::test]
    async fn settings_that_cannot_be_used_are_refused_by_name() {
        use std::time::Duration;
        let builder = Cache::builder;
        for (builder, name) in [
            (builder().default_ttl(0), "default_ttl"),
            (
                builder().default_ttl(Duration::from_nanos(1)),
                "default_ttl",
            ),
            (
                builder().operation_timeout(Duration::ZERO),
                "operation_timeout",
            ),
            (builder().lease_ttl(Duration::ZERO), "lease_ttl"),
            (builder().intent_ttl(Duration::ZERO), "intent_ttl"),
        ] {
            let error = builder.build().await.unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }
}

mod secrets {
    use super::*;

    /// Not in what the server and this crate are told by others: what is logged by the client library is its own affair.
    fn ours(logs: &Logs) -> String {
        logs.text()
            .lines()
            .filter(|line| line.contains("cache_runtime"))
            .collect()
    }

    #[tokio::test]
    async fn nothing_that_can_be_printed_shows_user_or_password() {
        let server = RedisServer::builder().user("berta", SECRET).start().await;
        let socket = format!(
            "unix://{}?user=berta&pass={SECRET}",
            server.socket().display()
        );
        let logs = Logs::capture();
        for url in [server.url(), socket] {
            let redis = Redis::from_url(&url).unwrap();
            let builder = Cache::builder().url(&url).unwrap().namespace("shop");
            let mut shown = format!("{redis:?} {redis:#?} {builder:?} {builder:#?}");
            let backend = redis.connect().await.unwrap();
            shown += &format!("{backend:?} {backend:#?}");
            let cache = builder.operation_timeout(PATIENCE).build().await.unwrap();
            assert!(caches(&cache).await);
            shown += &format!(
                "{cache:?} {cache:#?} {:?} {:?}",
                cache.stats(),
                cache.stats().backend
            );
            shown += &ours(&logs);
            assert!(
                !shown.contains(SECRET) && !shown.contains("berta"),
                "{shown}"
            );
        }
    }

    #[tokio::test]
    async fn with_a_wrong_password_functions_work_and_it_is_said_once_without_the_password() {
        let server = RedisServer::builder().user("berta", "right").start().await;
        let logs = Logs::capture();
        let cache = cache(&server.url().replace("right", SECRET)).await;
        let loads = AtomicU64::new(0);
        cache
            .scope(async {
                for load in 0..50 {
                    assert_eq!(item(&loads, 1).await, 1000 + load, "the loader answers");
                    tokio::task::yield_now().await;
                }
                let error = item::invalidate(1).await.unwrap_err();
                assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
            })
            .await;
        assert_eq!(logs.count("ERROR"), 1, "{}", logs.text());
        assert!(
            logs.text().contains("refused user or password"),
            "{}",
            logs.text()
        );
        let ours = ours(&logs);
        assert!(!ours.contains(SECRET) && !ours.contains("berta"), "{ours}");
    }

    #[tokio::test]
    async fn a_login_that_comes_to_be_valid_is_used_without_a_restart() {
        let server = RedisServer::start().await;
        let cache = cache(
            &server
                .url()
                .replace("redis://", &format!("redis://berta:{SECRET}@")),
        )
        .await;
        assert!(!caches(&cache).await);
        let () = server
            .query(cmd("ACL").arg(&[
                "SETUSER",
                "berta",
                "on",
                &format!(">{SECRET}"),
                "~*",
                "&*",
                "+@all",
            ]))
            .await;
        eventually(DEADLINE, async || caches(&cache).await).await;
    }
}

mod from_env {
    use super::*;

    const TEST: &str = "from_env::the_environment_names_the_cache";

    /// Variables of the child, and what it says of the cache it builds from them.
    async fn child(variables: &[(&str, &str)]) -> String {
        let mut child = Process::spawn(TEST, "child", variables);
        let said = child.hear().await;
        child.finish().await;
        said
    }

    async fn say_what_from_env_gives() {
        let said = match Cache::from_env().await {
            Ok(cache) => format!(
                "{} caches={}",
                cache.stats().backend.name,
                caches(&cache).await
            ),
            Err(error) => format!("{error} {error:?}").replace('\n', " "),
        };
        Process::say(&said);
    }

    #[tokio::test]
    async fn the_environment_names_the_cache() {
        if Process::role().is_some() {
            return say_what_from_env_gives().await;
        }
        let server = RedisServer::builder().password(SECRET).start().await;
        // An empty variable is how some tools write one that is not set.
        for in_memory in ["memory://", ""] {
            let said = child(&[("CACHE_URL", in_memory), ("CACHE_NAMESPACE", "")]).await;
            assert_eq!(said, "memory caches=true", "{in_memory:?}");
        }
        let url = server.url();
        // The time that an operation may take is not patient here: it may or may not cache on a busy machine.
        let said = child(&[("CACHE_URL", &url), ("CACHE_NAMESPACE", "shop:1")]).await;
        assert!(said.starts_with("redis caches="), "{said}");
        for (value, part) in [
            ("hunter2", "scheme"),
            ("redis://:hunter2@h:port", "port"),
            ("redis://:hunter2@h/zero", "database"),
            ("redis://:hunter2/@h", "password"),
            ("memory://?max_entries=none", "`max_entries`"),
        ] {
            let said = child(&[("CACHE_URL", value)]).await;
            assert!(said.starts_with(part), "{value:?}: {said}");
            assert!(!said.contains(SECRET), "{value:?}: {said}");
        }
    }

    #[tokio::test]
    async fn the_namespace_of_the_environment_is_used() {
        if Process::role().is_some() {
            let cache = Cache::from_env().await.unwrap();
            eventually(DEADLINE, async || caches(&cache).await).await;
            return Process::say("cached");
        }
        let server = RedisServer::start().await;
        let test = "from_env::the_namespace_of_the_environment_is_used";
        let mut child = Process::spawn(
            test,
            "child",
            &[("CACHE_URL", &server.url()), ("CACHE_NAMESPACE", "shop:1")],
        );
        assert_eq!(child.hear().await, "cached");
        child.finish().await;
        assert_eq!(server.entries().await, ["{shop%3A1:item:1}"]);
    }
}
