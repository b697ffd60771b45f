//! A PostgreSQL server of a test's own.

mod programs;
mod template;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::child::Child;
use crate::port::free_port;
use crate::wait::DEADLINE;

/// A running PostgreSQL server on a free port and a unix socket, in a folder of its own, with the empty database `postgres`. Dropping
/// it ends it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let server = tests::PostgresServer::start().await;
/// let client = server.connect().await;
/// let row = client.query_one("SELECT 6 * 7", &[]).await.unwrap();
/// assert_eq!(row.get::<_, i32>(0), 42);
/// # }
/// ```
#[derive(Debug)]
pub struct PostgresServer {
    options: PostgresServerBuilder,
    port: u16,
    folder: TempDir,
    child: Option<Child>,
}

/// How a [`PostgresServer`] is to be started.
#[derive(Debug, Clone, Default)]
pub struct PostgresServerBuilder {
    durable: bool,
    settings: Vec<String>,
}

impl PostgresServerBuilder {
    /// Keeps what it has committed through a crash. Without this it is quicker.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Adds a setting, such as `max_connections=300`.
    pub fn config(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Starts the server, and returns once it answers.
    pub async fn start(self) -> PostgresServer {
        let folder = TempDir::with_prefix("postgres-").expect("a temporary folder");
        programs::hand_over(folder.path());
        let mut server = PostgresServer {
            options: self,
            port: 0,
            folder,
            child: None,
        };
        template::copy_to(&server.data()).await;
        server.launch(true).await;
        server
    }
}

impl PostgresServer {
    /// Starts a server with nothing special about it.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// For a server that is durable, or has settings of its own.
    pub fn builder() -> PostgresServerBuilder {
        PostgresServerBuilder::default()
    }

    /// `postgresql://…`, of the user and the database `postgres`, without a password.
    pub fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The port, the same after a [`restart`](Self::restart).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its unix socket.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection, by the unix socket. It ends when the client is dropped.
    pub async fn connect(&self) -> Client {
        self.try_connect().await.expect("the server runs")
    }

    /// Ends it at once, as a crash does, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Starts it again on the same port, ending it first if it still runs.
    pub async fn restart(&mut self) {
        self.kill();
        self.launch(false).await;
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The file of its log, a new one at each start.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("postgres.log")
    }

    async fn try_connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config
            .host_path(self.folder.path())
            .port(self.port)
            .user("postgres")
            .dbname("postgres");
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client. What went wrong is told by the client's operations.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// Starts the process, again if its port turns out to be taken: on a new port if `may_move`.
    async fn launch(&mut self, may_move: bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if may_move {
                self.port = free_port();
            }
            self.child = Some(self.spawn());
            if self.answers(deadline).await {
                return;
            }
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let taken = log.contains("Address already in use");
            assert!(
                taken && Instant::now() < deadline,
                "PostgreSQL did not start. Its log:\n{log}"
            );
        }
    }

    fn spawn(&self) -> Child {
        let folder = self.folder.path();
        let log = File::create(self.log()).expect("the folder is writable");
        let mut command = programs::program("postgres", folder);
        command.arg("-D").arg(self.data()).arg("-k").arg(folder);
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &self.port.to_string(),
            "-c",
            "max_connections=200",
        ]);
        if !self.options.durable {
            for setting in [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
            ] {
                command.args(["-c", setting]);
            }
        }
        for setting in &self.options.settings {
            command.args(["-c", setting]);
        }
        command.stdout(Stdio::null()).stderr(log);
        // Its immediate shutdown. By SIGKILL it would leave its processes to find out by themselves, and a piece of shared memory for ever.
        Child::spawn(&mut command, folder, Signal::QUIT, programs::MISSING)
    }

    /// Waits until the process that was just started answers. False if it ended, or the deadline passed.
    async fn answers(&mut self, deadline: Instant) -> bool {
        while Instant::now() < deadline {
            // By the socket, which is in this server's own folder: at its port another could answer. It listens at neither or at both.
            if self.try_connect().await.is_ok() {
                return true;
            }
            if self.child.as_mut().is_none_or(Child::has_ended) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }
}
