//! One run of one check.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::Trouble;
use crate::build::package;
use crate::checks::Check;
use crate::list::{self, Mutant};

/// A check that takes longer hangs. Tests give up by themselves after 20 s of waiting.
const LONGEST: Duration = Duration::from_secs(90);

/// After this long whatever a check that was ended has started is ended too. Its servers end by themselves.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Passed,
    Failed,
    /// It did not end in time.
    Hung,
    /// It could not find out.
    Open,
}

/// Runs a check, with a mechanism removed or with all of them there.
pub(crate) fn run(program: &Path, check: Check, mutant: Option<Mutant>) -> Result<Ending, Trouble> {
    let mut said = tempfile::tempfile()?;
    let mut command = Command::new(program);
    command
        .current_dir(package())
        .args(check.arguments())
        .env_remove(list::VARIABLE)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said.try_clone()?)
        // What it starts can be told from what others have started.
        .process_group(0);
    if let Some(mutant) = mutant {
        command.env(list::VARIABLE, mutant.name());
    }
    let Some(status) = wait(&mut command.spawn()?)? else {
        return Ok(Ending::Hung);
    };
    if status.code() == Some(list::UNKNOWN) {
        return Err(format!("{check}: {}", text(&mut said)?).into());
    }
    match check {
        Check::Histories if status.code() == Some(1) => Ok(Ending::Failed),
        Check::Histories if !status.success() => Ok(Ending::Open),
        Check::Test { .. } if !status.success() => Ok(Ending::Failed),
        // A test that did not run has not passed.
        Check::Test { .. } if !text(&mut said)?.contains("test result: ok. 1 passed") => {
            Err(format!("there is no test {check}").into())
        }
        Check::Test { .. } | Check::Histories => Ok(Ending::Passed),
    }
}

fn text(said: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    said.rewind()?;
    said.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for its end; `None` where that does not come.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let began = Instant::now();
    while began.elapsed() < LONGEST {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(10));
    }
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    child.kill()?;
    thread::sleep(LEFTOVERS);
    // Not reaped yet, so that the number is still this group's.
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    child.wait()?;
    Ok(None)
}
