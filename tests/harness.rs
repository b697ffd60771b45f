//! The harness does what the other tests rely on.

use std::path::Path;
use std::time::Duration;

use redis::{Client, cmd};
use tests::{
    DEADLINE, Gate, Logs, PostgresServer, Process, Proxy, RedisServer, eventually, within,
};

async fn ping(url: &str) -> redis::RedisResult<String> {
    let mut connection = Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    cmd("PING").query_async(&mut connection).await
}

#[tokio::test]
async fn a_killed_server_is_gone_and_comes_back_empty_on_its_port() {
    let mut server = RedisServer::start().await;
    let () = server.query(cmd("SET").arg("key").arg("value")).await;
    server.kill();
    assert!(ping(&server.url()).await.is_err());
    let port = server.port();
    server.restart().await;
    assert_eq!(server.port(), port);
    let value: Option<String> = server.query(cmd("GET").arg("key")).await;
    assert_eq!(value, None);
}

#[tokio::test]
async fn an_append_only_server_keeps_what_it_acknowledged() {
    let mut server = RedisServer::builder().append_only().start().await;
    let () = server.query(cmd("SET").arg("key").arg("value")).await;
    server.restart().await;
    let value: Option<String> = server.query(cmd("GET").arg("key")).await;
    assert_eq!(value.as_deref(), Some("value"));
}

#[tokio::test]
async fn a_paused_server_answers_after_it_is_resumed() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    server.pause();
    let command = cmd("PING");
    let mut answer = std::pin::pin!(command.query_async::<String>(&mut connection));
    assert!(
        tokio::time::timeout(Duration::from_millis(20), answer.as_mut())
            .await
            .is_err()
    );
    server.resume();
    assert_eq!(answer.await.unwrap(), "PONG");
}

#[tokio::test]
async fn a_password_or_a_user_is_asked_for() {
    let server = RedisServer::builder().password("hunter2").start().await;
    assert!(ping(&server.url()).await.is_ok());
    assert!(
        ping(&format!("redis://127.0.0.1:{}/", server.port()))
            .await
            .is_err()
    );

    let server = RedisServer::builder().user("shop", "hunter2").start().await;
    assert!(ping(&server.url()).await.is_ok());
    assert!(
        ping(&format!("redis://shop:wrong@127.0.0.1:{}/", server.port()))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn it_listens_on_its_socket_and_for_tls() {
    let server = RedisServer::builder().tls().start().await;
    assert_eq!(
        ping(&format!("unix://{}", server.socket().display()))
            .await
            .unwrap(),
        "PONG"
    );
    assert!(server.tls_url().starts_with("rediss://localhost:"));
    for file in [
        &server.certificate().authority,
        &server.certificate().certificate,
        &server.certificate().key,
    ] {
        assert!(
            std::fs::read_to_string(file)
                .unwrap()
                .starts_with("-----BEGIN")
        );
    }
}

#[tokio::test]
async fn it_counts_the_commands_that_ran() {
    let server = RedisServer::start().await;
    let () = server.query(cmd("SET").arg("key").arg(1)).await;
    server.forget_calls().await;
    let _: u64 = server.query(cmd("GET").arg("key")).await;
    let calls = server.calls().await;
    assert_eq!((calls.get("get"), calls.get("set")), (Some(&1), None));
}

#[tokio::test]
async fn disconnected_clients_lose_their_connection() {
    let server = RedisServer::start().await;
    let mut connection = server.connection().await;
    server.disconnect_clients().await;
    assert!(
        cmd("PING")
            .query_async::<String>(&mut connection)
            .await
            .is_err()
    );
    assert!(ping(&server.url()).await.is_ok());
}

#[tokio::test]
async fn a_proxy_cuts_and_refuses_connections() {
    let server = RedisServer::builder().password("hunter2").start().await;
    let proxy = Proxy::before(&server).await;
    let client = Client::open(proxy.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();

    proxy.cut();
    assert!(
        cmd("PING")
            .query_async::<String>(&mut connection)
            .await
            .is_err()
    );
    assert!(ping(&proxy.url()).await.is_ok());

    proxy.refuse();
    assert!(ping(&proxy.url()).await.is_err());
    proxy.pass();
    assert!(ping(&proxy.url()).await.is_ok());
    assert_eq!(proxy.accepted(), 4);
}

#[tokio::test]
async fn a_proxy_that_hangs_replies_lets_requests_through() {
    let server = RedisServer::start().await;
    let proxy = Proxy::before(&server).await;
    let client = Client::open(proxy.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();

    proxy.hang_replies();
    let command = cmd("SET").arg("key").arg("value").to_owned();
    let lost = tokio::spawn(async move { command.query_async::<()>(&mut connection).await });
    eventually(DEADLINE, async || {
        server
            .query::<Option<String>>(cmd("GET").arg("key"))
            .await
            .is_some()
    })
    .await;
    assert!(!lost.is_finished());
    proxy.pass();
    within(lost).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_gate_holds_until_it_is_opened() {
    let gate = Gate::new();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let gate = gate.clone();
                async move { gate.pass().await }
            })
        })
        .collect();
    gate.arrived(3).await;
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
    gate.open();
    for waiter in waiters {
        within(waiter).await.unwrap();
    }
    assert_eq!(gate.count(), 3);
}

#[test]
fn logs_are_counted_by_what_they_say() {
    let logs = Logs::capture();
    tracing::warn!(server = "a", "no server");
    tracing::debug!("something else");
    assert_eq!(logs.count("no server"), 1);
    assert!(logs.text().contains("something else"));
}

#[test]
#[should_panic(expected = "did not come true")]
fn a_condition_that_never_holds_fails_the_test() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(eventually(Duration::from_millis(5), async || false));
}

#[tokio::test]
async fn a_child_hears_and_is_heard() {
    if let Some(role) = Process::role() {
        Process::say(&role);
        Process::say(&format!(
            "{} {}",
            Process::listen(),
            std::env::var("TO").unwrap()
        ));
        return;
    }
    let mut child = Process::spawn("a_child_hears_and_is_heard", "greeter", &[("TO", "world")]);
    assert_eq!(child.hear().await, "greeter");
    child.tell("hello").await;
    assert_eq!(child.hear().await, "hello world");
    child.finish().await;
}

#[tokio::test]
async fn a_killed_test_leaves_no_server_behind() {
    if Process::role().is_some() {
        let server = RedisServer::start().await;
        Process::say(&format!("{} {}", server.url(), server.socket().display()));
        std::future::pending::<()>().await;
    }
    let mut child = Process::spawn("a_killed_test_leaves_no_server_behind", "owner", &[]);
    let said = child.hear().await;
    let (url, socket) = said.split_once(' ').unwrap();
    assert!(ping(url).await.is_ok());
    child.kill().await;
    eventually(DEADLINE, async || {
        ping(url).await.is_err() && !Path::new(socket).exists()
    })
    .await;
}

async fn can_connect(url: &str) -> bool {
    tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .is_ok()
}

#[tokio::test]
async fn postgres_servers_share_nothing() {
    let (one, other) = tokio::join!(PostgresServer::start(), PostgresServer::start());
    let create = "CREATE TABLE rows (id int PRIMARY KEY)";
    one.connect().await.batch_execute(create).await.unwrap();
    other.connect().await.batch_execute(create).await.unwrap();
    assert!(can_connect(&one.url()).await && can_connect(&other.url()).await);
    assert_ne!(one.port(), other.port());
}

#[tokio::test]
async fn a_durable_postgres_server_keeps_what_it_has_committed() {
    let mut server = PostgresServer::builder().durable().start().await;
    let client = server.connect().await;
    let create = "CREATE TABLE rows (id int); INSERT INTO rows VALUES (7)";
    client.batch_execute(create).await.unwrap();
    server.kill();
    assert!(client.query("SELECT id FROM rows", &[]).await.is_err());
    assert!(!can_connect(&server.url()).await);
    let port = server.port();
    server.restart().await;
    assert_eq!(server.port(), port);
    let row = server
        .connect()
        .await
        .query_one("SELECT id FROM rows", &[])
        .await;
    assert_eq!(row.unwrap().get::<_, i32>(0), 7);
}

#[tokio::test]
async fn a_postgres_server_has_the_settings_that_it_was_given() {
    async fn setting(server: &PostgresServer, name: &str) -> String {
        let shown = server
            .connect()
            .await
            .query_one(&format!("SHOW {name}"), &[])
            .await;
        shown.unwrap().get(0)
    }
    let server = PostgresServer::builder().config("work_mem=7MB").start();
    let server = server.await;
    assert_eq!(setting(&server, "work_mem").await, "7MB");
    assert_eq!(setting(&server, "fsync").await, "off");
    let durable = PostgresServer::builder().durable().start().await;
    assert_eq!(setting(&durable, "fsync").await, "on");
    assert_eq!(setting(&durable, "synchronous_commit").await, "on");
}

#[tokio::test]
async fn a_killed_test_leaves_no_postgres_server_behind() {
    if Process::role().is_some() {
        let server = PostgresServer::start().await;
        Process::say(&format!(
            "{} {}",
            server.url(),
            server.socket_folder().display()
        ));
        std::future::pending::<()>().await;
    }
    let mut child = Process::spawn(
        "a_killed_test_leaves_no_postgres_server_behind",
        "owner",
        &[],
    );
    let said = child.hear().await;
    let (url, folder) = said.split_once(' ').unwrap();
    assert!(can_connect(url).await);
    child.kill().await;
    eventually(DEADLINE, async || {
        !can_connect(url).await && !Path::new(folder).exists()
    })
    .await;
}
