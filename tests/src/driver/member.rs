//! A member, in its own process.

use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::process;
use std::thread;

use serde::de::DeserializeOwned;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::Line;

/// The role of a member: whose it is, and where it finds its settings.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// The driver, as it is named in complaints.
    pub program: &'static str,
    /// The environment variable with the settings. Without it a process is the referee.
    pub variable: &'static str,
}

impl Role {
    /// The settings of this process, if it is a member.
    pub fn settings<S: DeserializeOwned>(self) -> Option<S> {
        let text = std::env::var(self.variable).ok()?;
        match serde_json::from_str(&text) {
            Ok(settings) => Some(settings),
            Err(error) => self.give_up(&format!("{}: {error}", self.variable)),
        }
    }

    /// Plays the role until the process is killed, or `play` has ended because the referee has gone. With `verbose` it logs on stderr.
    pub fn play(self, verbose: bool, play: impl Future<Output = ()>) -> ! {
        self.end_with_the_referee();
        if verbose {
            log_to_stderr();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(play),
            Err(error) => self.give_up(&error),
        }
        process::exit(1)
    }

    /// Ends the process.
    pub fn give_up(self, problem: &dyn Display) -> ! {
        eprintln!("{}: a member could not go on: {problem}", self.program);
        process::exit(1)
    }

    /// The end of its input ends a member too, but one that is stopped does not see that.
    fn end_with_the_referee(self) {
        #[cfg(target_os = "linux")]
        if let Err(error) =
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        {
            self.give_up(&error);
        }
    }
}

fn log_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::DEBUG)
        .init();
}

/// Says it to the referee. It is in the pipe when this returns, and outlives the process there.
pub fn say(word: &impl Line) {
    let line = word.line() + "\n";
    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
        process::exit(1);
    }
}

/// The referee's orders as they come. They end with the referee, however that ends.
pub fn orders<O: Line>() -> UnboundedReceiver<O> {
    let (orders, received) = mpsc::unbounded_channel();
    // A thread of its own: tokio's standard input would keep the process from ending.
    thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        for order in lines.filter_map(|line| O::read(&line)) {
            if orders.send(order).is_err() {
                break;
            }
        }
    });
    received
}
