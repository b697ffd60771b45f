//! Other processes of a test: the test's own binary, run again in another role.

use std::env;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::sync::{LazyLock, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::within;

/// Names the role in the environment of a child.
const ROLE: &str = "CACHE_TESTS_ROLE";
/// Marks the lines that a child says to its parent, among those that the test runner prints.
const SAYS: &str = "@@ ";

/// What the parent said, in a child. The parent holds the other end for as long as it lives, however it ends.
static HEARD: LazyLock<Mutex<Receiver<String>>> = LazyLock::new(|| {
    let (heard, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _ = heard.send(line);
        }
        std::process::exit(1);
    });
    Mutex::new(lines)
});

/// Another process, in which one `#[test]` of the same file plays a role.
///
/// ```no_run
/// use tests::Process;
///
/// // #[tokio::test]
/// async fn a_killed_leader_leaves_nobody_waiting() {
///     if let Some(_role) = Process::role() {
///         Process::say("loading"); // … this is the child: it leads a load and waits
///         std::future::pending::<()>().await;
///     }
///     let mut leader = Process::spawn("a_killed_leader_leaves_nobody_waiting", "leader", &[("URL", "redis://…")]);
///     assert_eq!(leader.hear().await, "loading");
///     leader.kill().await;
/// }
/// ```
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// The role of this process, or `None` in the test itself. From here on a child ends when its parent does.
    pub fn role() -> Option<String> {
        let role = env::var(ROLE).ok()?;
        LazyLock::force(&HEARD);
        Some(role)
    }

    /// In a child: says a line to its parent.
    pub fn say(line: &str) {
        use std::io::Write;
        // One write to the file itself: the test runner captures `println!`, and its own lines have no line end before the result.
        let _ = std::io::stdout()
            .lock()
            .write_all(format!("\n{SAYS}{line}\n").as_bytes());
        let _ = std::io::stdout().lock().flush();
    }

    /// In a child: the next line from its parent.
    pub fn listen() -> String {
        HEARD
            .lock()
            .expect("one caller at a time")
            .recv()
            .expect("the reader outlives the process")
    }

    /// Runs the test called `test` (with its modules, as the runner prints it) as a process of its own.
    /// The child ends with this value.
    pub fn spawn(test: &str, role: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env::current_exe().expect("a test knows its own file"))
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a test can run its own file");
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        Self {
            child,
            stdin,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// The next line that the child says.
    pub async fn hear(&mut self) -> String {
        within(async {
            loop {
                let line = self
                    .lines
                    .next_line()
                    .await
                    .expect("the child's output is text");
                let line = line.expect("the child ended without saying more");
                if let Some(said) = line.strip_prefix(SAYS) {
                    return said.to_owned();
                }
            }
        })
        .await
    }

    /// Sends the child a line.
    pub async fn tell(&mut self, line: &str) {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .expect("the child listens");
    }

    /// Ends it at once, with SIGKILL, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("the child was running");
    }

    /// Stops it (SIGSTOP): it keeps what it holds and does nothing until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        // The signal is only on its way until the child's state says so.
        let stopped = WaitIdOptions::STOPPED;
        rustix::process::waitid(WaitId::Pid(self.pid()), stopped)
            .expect("the child can be waited for");
    }

    /// Lets it go on after a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("the child runs");
    }

    fn pid(&self) -> Pid {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        id.and_then(Pid::from_raw).expect("the child runs")
    }

    /// Waits until it ends by itself, in whatever way.
    pub async fn end(mut self) {
        let ended = within(self.child.wait()).await;
        ended.expect("the child can be waited for");
    }

    /// Waits until it ends by itself, and fails the test if the child's failed.
    pub async fn finish(mut self) {
        let status = within(self.child.wait())
            .await
            .expect("the child can be waited for");
        assert!(status.success(), "the child failed: {status}");
    }
}
