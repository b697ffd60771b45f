//! A `redis-server` of a test's own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::certificate::Certificate;
use crate::child::Child;
use crate::port::free_port;
use crate::wait::DEADLINE;

const MISSING: &str = "redis-server was not found.
Run tests/run, which installs what is missing, or install it yourself:
  Debian, Ubuntu:  apt-get install redis-server
  Fedora:          dnf install redis
  macOS:           brew install redis";

/// A running `redis-server` on a free port, in a folder of its own. Dropping it ends it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let mut server = tests::RedisServer::start().await;
/// let pong: String = server.query(&redis::cmd("PING")).await;
/// assert_eq!(pong, "PONG");
///
/// server.kill(); // SIGKILL: clients see their connections reset
/// server.restart().await; // on the same port, empty unless it has an append-only file
/// # }
/// ```
#[derive(Debug)]
pub struct RedisServer {
    options: RedisServerBuilder,
    port: u16,
    tls_port: u16,
    folder: TempDir,
    certificate: Option<Certificate>,
    child: Option<Child>,
}

/// How a [`RedisServer`] is to be started.
#[derive(Debug, Clone, Default)]
pub struct RedisServerBuilder {
    password: Option<String>,
    user: Option<(String, String)>,
    tls: bool,
    lines: Vec<String>,
}

impl RedisServerBuilder {
    /// Asks the default user for a password.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Lets in only this user, with all rights.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.user = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// Listens for TLS too, with a fresh certificate for `localhost`: see [`RedisServer::tls_url`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Keeps every write in an append-only file, so that what it acknowledged is there after a [`RedisServer::restart`].
    pub fn append_only(self) -> Self {
        self.config("appendonly yes").config("appendfsync always")
    }

    /// Adds a line of `redis.conf`, such as `maxmemory 2mb`.
    pub fn config(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Starts the server, and returns once it answers.
    pub async fn start(self) -> RedisServer {
        let folder = TempDir::with_prefix("redis-").expect("a temporary folder");
        let certificate = self.tls.then(|| Certificate::write_into(folder.path()));
        let mut server = RedisServer {
            options: self,
            port: 0,
            tls_port: 0,
            folder,
            certificate,
            child: None,
        };
        server.launch(true).await;
        server
    }
}

impl RedisServer {
    /// Starts a server with nothing special about it.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// For a server with a password, TLS, an append-only file or other options.
    pub fn builder() -> RedisServerBuilder {
        RedisServerBuilder::default()
    }

    /// `redis://…`, with user and password where it asks for them.
    pub fn url(&self) -> String {
        format!("redis://{}127.0.0.1:{}/", self.credentials(), self.port)
    }

    /// `rediss://…`, of a server built with [`tls`](RedisServerBuilder::tls). Its clients must trust [`Self::certificate`].
    pub fn tls_url(&self) -> String {
        assert!(
            self.certificate.is_some(),
            "this server was built without tls()"
        );
        format!(
            "rediss://{}localhost:{}/",
            self.credentials(),
            self.tls_port
        )
    }

    /// The files of its certificate, of a server built with [`tls`](RedisServerBuilder::tls).
    pub fn certificate(&self) -> &Certificate {
        self.certificate
            .as_ref()
            .expect("this server was built without tls()")
    }

    /// The path of its unix socket. It listens there always.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// The port for plain connections, the same after a [`restart`](Self::restart).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Stops it (SIGSTOP): it keeps its connections and answers nothing until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.running().pause();
    }

    /// Lets it go on after a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.running().resume();
    }

    /// Starts it again on the same port, ending it first if it still runs.
    pub async fn restart(&mut self) {
        self.kill();
        self.launch(false).await;
    }

    /// [`Self::restart`] without the append-only file: it comes back empty.
    pub async fn restart_empty(&mut self) {
        self.kill();
        let file = self.folder.path().join("appendonlydir");
        if file.exists() {
            fs::remove_dir_all(file).expect("the folder is the server's own");
        }
        self.launch(false).await;
    }

    /// A connection of the test's own, apart from those of the cache.
    pub async fn connection(&self) -> MultiplexedConnection {
        // The library's own limits are short: a busy machine is not a server that hangs.
        let patient = AsyncConnectionConfig::new()
            .set_response_timeout(Some(DEADLINE))
            .set_connection_timeout(Some(DEADLINE));
        let client = Client::open(self.url()).expect("a good URL");
        client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
            .expect("the server runs")
    }

    /// Runs one command on a connection of its own.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command
            .query_async(&mut self.connection().await)
            .await
            .expect("the server knows the command")
    }

    /// The names of all keys, in their order, but for the versions of tags: those of a namespace are there from its first load on.
    pub async fn entries(&self) -> Vec<String> {
        let mut names: Vec<String> = self.query(redis::cmd("KEYS").arg("*")).await;
        names.retain(|name| !name.contains("/tags}"));
        names.sort_unstable();
        names
    }

    /// How often each command has run (in lower case, such as `get` or `config|get`) since the last call of
    /// [`forget_calls`](Self::forget_calls). The test's own are among them.
    pub async fn calls(&self) -> BTreeMap<String, u64> {
        let info: String = self.query(redis::cmd("INFO").arg("commandstats")).await;
        info.lines()
            .filter_map(|line| {
                let (name, stats) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
                Some((name.to_owned(), stats.split(',').next()?.parse().ok()?))
            })
            .collect()
    }

    /// Starts the counts of [`calls`](Self::calls) afresh.
    pub async fn forget_calls(&self) {
        let () = self.query(redis::cmd("CONFIG").arg("RESETSTAT")).await;
    }

    /// Ends every connection that clients have, as a restarted proxy or a failover does.
    pub async fn disconnect_clients(&self) {
        let _: u64 = self
            .query(
                redis::cmd("CLIENT")
                    .arg("KILL")
                    .arg("TYPE")
                    .arg("normal")
                    .arg("SKIPME")
                    .arg("yes"),
            )
            .await;
    }

    fn running(&self) -> &Child {
        self.child
            .as_ref()
            .expect("the server was killed and not restarted")
    }

    fn credentials(&self) -> String {
        match (&self.options.user, &self.options.password) {
            (Some((name, password)), _) => format!("{name}:{password}@"),
            (None, Some(password)) => format!(":{password}@"),
            (None, None) => String::new(),
        }
    }

    async fn try_connection(&self) -> redis::RedisResult<MultiplexedConnection> {
        Client::open(self.url())?
            .get_multiplexed_async_connection()
            .await
    }

    /// Starts the process, again if its port turns out to be taken: on a new port if `may_move`.
    async fn launch(&mut self, may_move: bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if may_move {
                self.port = free_port();
                self.tls_port = free_port();
            }
            fs::write(self.folder.path().join("redis.conf"), self.configuration())
                .expect("the folder is writable");
            self.child = Some(self.spawn());
            if self.answers(deadline).await {
                return;
            }
            let log = fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default();
            let taken = log.contains("Address already in use");
            assert!(
                taken && Instant::now() < deadline,
                "redis-server did not start. Its log:\n{log}"
            );
            let _ = fs::remove_file(self.folder.path().join("redis.log"));
        }
    }

    fn spawn(&self) -> Child {
        let folder = self.folder.path();
        let mut command = Command::new("redis-server");
        command.arg(folder.join("redis.conf"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Child::spawn(&mut command, folder, Signal::KILL, MISSING)
    }

    /// Waits until the process that was just started answers. False if it ended, or the deadline passed.
    async fn answers(&mut self, deadline: Instant) -> bool {
        while Instant::now() < deadline {
            if let Ok(mut connection) = self.try_connection().await {
                // The port may have gone to the server of another test in the meantime: ask who answers.
                let info: String = redis::cmd("INFO")
                    .arg("server")
                    .query_async(&mut connection)
                    .await
                    .unwrap_or_default();
                if info.contains(&format!("process_id:{}\r", self.running().id())) {
                    return true;
                }
            }
            if self.child.as_mut().is_none_or(Child::has_ended) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    fn configuration(&self) -> String {
        let folder = self.folder.path().display();
        let mut lines = vec![
            format!("port {}", self.port),
            "bind 127.0.0.1".to_owned(),
            format!("dir {folder}"),
            "logfile redis.log".to_owned(),
            format!("unixsocket {folder}/redis.sock"),
            "save \"\"".to_owned(),
            "enable-debug-command yes".to_owned(),
        ];
        if let Some(password) = &self.options.password {
            lines.push(format!("requirepass {password}"));
        }
        if let Some((name, password)) = &self.options.user {
            lines.push("user default off".to_owned());
            lines.push(format!("user {name} on >{password} ~* &* +@all"));
        }
        if let Some(files) = &self.certificate {
            lines.push(format!("tls-port {}", self.tls_port));
            lines.push(format!("tls-ca-cert-file {}", files.authority.display()));
            lines.push(format!("tls-cert-file {}", files.certificate.display()));
            lines.push(format!("tls-key-file {}", files.key.display()));
            lines.push("tls-auth-clients no".to_owned());
        }
        lines.extend(self.options.lines.iter().cloned());
        lines.join("\n") + "\n"
    }
}
