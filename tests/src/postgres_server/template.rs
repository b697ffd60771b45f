//! The files of a new server. Making them takes a second, copying them a tenth of that.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::programs;
use crate::child::afterwards;

/// The files that this process copies.
static TEMPLATE: OnceCell<Template> = OnceCell::const_new();

struct Template {
    data: PathBuf,
    /// Removes them when this process has ended: nobody drops what is static.
    _watchdog: Child,
}

/// Copies the files of a new server to `data`.
pub(super) async fn copy_to(data: &Path) {
    let template = TEMPLATE.get_or_init(async || blocking(make).await).await;
    let mut copy = Command::new("cp");
    copy.arg("-Rp").arg(&template.data).arg(data);
    blocking(move || run(&mut copy)).await;
}

fn make() -> Template {
    let folder = TempDir::with_prefix("postgres-template-")
        .expect("a temporary folder")
        .keep();
    let watchdog = afterwards("rm -rf \"$0\"", &folder);
    programs::hand_over(&folder);
    let data = folder.join("data");
    let mut initdb = programs::program("initdb", &folder);
    initdb.arg("-D").arg(&data);
    // Small segments of its log are less to copy.
    initdb.args([
        "--no-sync",
        "--wal-segsize=1",
        "--auth=trust",
        "--username=postgres",
    ]);
    initdb.args(["--encoding=UTF8", "--no-locale"]);
    run(&mut initdb);
    Template {
        data,
        _watchdog: watchdog,
    }
}

fn run(command: &mut Command) {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} could not be started: {error}"));
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?} failed:\n{said}\n{complained}"
    );
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
}
