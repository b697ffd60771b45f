//! A member as the referee sees it.

use std::marker::PhantomData;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

use super::{Line, Role};

/// Why a run could not be carried out.
pub type Trouble = Box<dyn std::error::Error>;

/// How long a member may take for what it is asked: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running member, which takes orders `O` and says `W`. Dropping it ends it.
#[derive(Debug)]
pub struct Member<O, W> {
    name: String,
    child: Child,
    input: ChildStdin,
    words: UnboundedReceiver<W>,
    reader: JoinHandle<()>,
    orders: PhantomData<O>,
}

impl<O: Line, W: Line> Member<O, W> {
    /// Starts this program again in the role. `note` is given all that the member says, to its end, and gives back what is an answer to somebody who
    /// [hears](Self::hear).
    pub fn start(
        role: Role,
        name: &str,
        settings: &impl Serialize,
        note: impl FnMut(W) -> Option<W> + Send + 'static,
    ) -> Result<Self, Trouble> {
        let program = std::env::current_exe()?;
        let mut child = Command::new(program)
            .env(role.variable, serde_json::to_string(settings)?)
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
            reader: tokio::spawn(read(output, note, said)),
            orders: PhantomData,
        })
    }

    /// Gives it an order.
    pub async fn tell(&mut self, order: O) -> Result<(), Trouble> {
        let line = format!("{}\n", order.line());
        self.input.write_all(line.as_bytes()).await?;
        Ok(())
    }

    /// Waits until it says something of this sort, as it was told to.
    pub async fn hear<T>(&mut self, is_it: impl Fn(W) -> Option<T>) -> Result<T, Trouble> {
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

    /// Waits until it says this.
    pub async fn hear_of(&mut self, awaited: W) -> Result<(), Trouble>
    where
        W: PartialEq,
    {
        self.hear(|word| (word == awaited).then_some(())).await
    }

    /// Ends it at once, and returns when all that it said has been noted.
    pub async fn kill(mut self) -> Result<(), Trouble> {
        if let Some(status) = self.child.try_wait()? {
            return Err(format!("{} ended by itself: {status}", self.name).into());
        }
        self.child.kill().await?;
        Ok(self.reader.await?)
    }

    /// Stops it (SIGSTOP): it keeps what it holds and does nothing.
    pub fn stop(&self) -> Result<(), Trouble> {
        rustix::process::kill_process(self.pid()?, Signal::STOP)?;
        // The signal is only on its way until the child's state says so.
        rustix::process::waitid(WaitId::Pid(self.pid()?), WaitIdOptions::STOPPED)?;
        Ok(())
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<(), Trouble> {
        Ok(rustix::process::kill_process(self.pid()?, Signal::CONT)?)
    }

    fn pid(&self) -> Result<Pid, Trouble> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let pid = id.and_then(Pid::from_raw);
        pid.ok_or_else(|| format!("{} ended by itself", self.name).into())
    }
}

async fn read<W: Line>(
    output: ChildStdout,
    mut note: impl FnMut(W) -> Option<W>,
    said: UnboundedSender<W>,
) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(answer) = W::read(&line).and_then(&mut note) {
            // Nobody listens to one that is being killed.
            let _ = said.send(answer);
        }
    }
}
