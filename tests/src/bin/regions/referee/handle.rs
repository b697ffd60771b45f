//! A member as the referee sees it.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

use super::Trouble;
use super::acknowledged::Acknowledged;
use crate::member::{SETTINGS, Settings};
use crate::words::{Figures, Order, Word};

/// How long a member may take for what it is asked: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running member. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Member {
    name: String,
    child: Child,
    input: ChildStdin,
    words: UnboundedReceiver<Word>,
    reader: JoinHandle<()>,
}

impl Member {
    pub(super) fn start(
        name: &str,
        settings: &Settings,
        acknowledged: &Acknowledged,
    ) -> Result<Self, Trouble> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program)
            .env(SETTINGS, serde_json::to_string(settings)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a member without pipes".into());
        };
        let (said, words) = mpsc::unbounded_channel();
        Ok(Self {
            name: name.to_owned(),
            child,
            input,
            words,
            reader: tokio::spawn(read(output, acknowledged.clone(), said)),
        })
    }

    pub(super) async fn tell(&mut self, order: Order) -> Result<(), Trouble> {
        let line = format!("{}\n", order.line());
        self.input.write_all(line.as_bytes()).await?;
        Ok(())
    }

    /// Waits until it writes nothing, as it was told.
    pub(super) async fn is_held(&mut self) -> Result<(), Trouble> {
        let is_held = |word| (word == Word::Held).then_some(());
        self.hear(is_held).await
    }

    pub(super) async fn figures(&mut self) -> Result<Figures, Trouble> {
        self.tell(Order::Report).await?;
        let is_figures = |word| match word {
            Word::Figures(figures) => Some(figures),
            _ => None,
        };
        self.hear(is_figures).await
    }

    /// Waits until it says something of this sort.
    async fn hear<T>(&mut self, is_it: impl Fn(Word) -> Option<T>) -> Result<T, Trouble> {
        let heard = async {
            while let Some(word) = self.words.recv().await {
                if let Some(it) = is_it(word) {
                    return Some(it);
                }
            }
            None
        };
        match tokio::time::timeout(PATIENCE, heard).await {
            Ok(Some(it)) => Ok(it),
            Ok(None) => Err(format!("{} ended by itself", self.name).into()),
            Err(_) => Err(format!("{} did not answer for {PATIENCE:?}", self.name).into()),
        }
    }

    /// Ends it at once, and returns when all that it said has been heard.
    pub(super) async fn kill(mut self) -> Result<(), Trouble> {
        if let Some(status) = self.child.try_wait()? {
            return Err(format!("{} ended by itself: {status}", self.name).into());
        }
        self.child.kill().await?;
        Ok(self.reader.await?)
    }

    /// Stops it (SIGSTOP): it keeps what it holds and does nothing.
    pub(super) fn stop(&self) -> Result<(), Trouble> {
        rustix::process::kill_process(self.pid()?, Signal::STOP)?;
        // The signal is only on its way until the child's state says so.
        rustix::process::waitid(WaitId::Pid(self.pid()?), WaitIdOptions::STOPPED)?;
        Ok(())
    }

    /// Lets it go on.
    pub(super) fn resume(&self) -> Result<(), Trouble> {
        Ok(rustix::process::kill_process(self.pid()?, Signal::CONT)?)
    }

    fn pid(&self) -> Result<Pid, Trouble> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw);
        pid.ok_or_else(|| format!("{} ended by itself", self.name).into())
    }
}

/// Takes down what it says, to the end.
async fn read(output: ChildStdout, acknowledged: Acknowledged, said: UnboundedSender<Word>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match Word::read(&line) {
            Some(Word::Acknowledged { row, version }) => acknowledged.note(row, version),
            // Nobody listens to one that is being killed.
            Some(word) => drop(said.send(word)),
            None => {}
        }
    }
}
