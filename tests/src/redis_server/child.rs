//! The process of a server: it ends when it is dropped, and also when the test is killed.

use std::io;
use std::path::Path;
use std::process::{self, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// What to do about a missing server. Never skipped: a test that did not run has not passed.
const MISSING: &str = "redis-server was not found.
Run tests/run, which installs what is missing, or install it yourself:
  Debian, Ubuntu:  apt-get install redis-server
  Fedora:          dnf install redis
  macOS:           brew install redis";

#[derive(Debug)]
pub(super) struct Child {
    server: process::Child,
    watchdog: process::Child,
}

impl Child {
    /// Runs `redis-server` on the `redis.conf` of `folder`.
    pub(super) fn spawn(folder: &Path) -> Self {
        let server = Command::new("redis-server")
            .arg(folder.join("redis.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = match server {
            Ok(server) => server,
            Err(error) if error.kind() == io::ErrorKind::NotFound => panic!("{MISSING}"),
            Err(error) => panic!("redis-server could not be started: {error}"),
        };
        let watchdog = watch(server.id(), folder);
        Self { server, watchdog }
    }

    pub(super) fn id(&self) -> u32 {
        self.server.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.server.try_wait(), Ok(Some(_)))
    }

    pub(super) fn pause(&self) {
        self.signal(Signal::STOP);
        // The signal is only on its way until the child's state says so.
        let stopped = WaitIdOptions::STOPPED;
        rustix::process::waitid(WaitId::Pid(self.pid()), stopped)
            .expect("the server can be waited for");
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("the server runs");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.server)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The watchdog goes before the server is reaped: until then the id cannot be another process's.
        let _ = self.server.kill();
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.server.wait();
    }
}

/// A shell that ends the server, and removes its folder, when this process has gone without doing so: the write end
/// of its input is held by this process alone, and closes with it however it ends.
fn watch(server: u32, folder: &Path) -> process::Child {
    Command::new("sh")
        .args([
            "-c",
            "read -r _; kill -9 \"$0\"; rm -rf \"$1\"",
            &server.to_string(),
        ])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell")
}
