//! The process of a server: it ends when it is dropped, and also when the test is killed.

use std::io;
use std::path::Path;
use std::process::{self, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

#[derive(Debug)]
pub(crate) struct Child {
    server: process::Child,
    watchdog: process::Child,
    /// What ends it at once.
    end: Signal,
}

impl Child {
    /// Runs `command`, which is to use no files but those of `folder`. `missing` says what to do about a server that is not
    /// installed: it is never skipped, as a test that did not run has not passed.
    pub(crate) fn spawn(command: &mut Command, folder: &Path, end: Signal, missing: &str) -> Self {
        let server = match command.stdin(Stdio::null()).spawn() {
            Ok(server) => server,
            Err(error) if error.kind() == io::ErrorKind::NotFound => panic!("{missing}"),
            Err(error) => panic!("{command:?} could not be started: {error}"),
        };
        let number = end.as_raw();
        let last_words = format!("kill -{number} {}; rm -rf \"$0\"", server.id());
        let watchdog = afterwards(&last_words, folder);
        Self {
            server,
            watchdog,
            end,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.server.try_wait(), Ok(Some(_)))
    }

    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
        // The signal is only on its way until the child's state says so.
        let stopped = WaitIdOptions::STOPPED;
        rustix::process::waitid(WaitId::Pid(self.pid()), stopped)
            .expect("the server can be waited for");
    }

    pub(crate) fn resume(&self) {
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
        let _ = rustix::process::kill_process(self.pid(), self.end);
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.server.wait();
    }
}

/// A shell that runs `command`, with the folder as its `$0`, when this process has gone without ending it first: the write end of
/// its input is held by this process alone, and closes with it however it ends.
pub(crate) fn afterwards(command: &str, folder: &Path) -> process::Child {
    Command::new("sh")
        .args(["-c", &format!("read -r _; {command}")])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell")
}
