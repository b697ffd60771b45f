//! Work on many things at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::Trouble;

/// Does the work on all items, for each core on one at a time, and tells what came of them in their order. The first trouble ends it.
pub(crate) fn side_by_side<T: Copy + Sync, U: Send>(
    items: &[T],
    work: impl Fn(T) -> Result<U, Trouble> + Sync,
    mut tell: impl FnMut(U),
) -> Result<(), Trouble> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let (ended, ends) = mpsc::channel();
    let labour = |ended: mpsc::Sender<_>| {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(&item) = items.get(at) else { return };
            // Nobody listens any more after trouble.
            if ended.send((at, work(item))).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..cores {
            let ended = ended.clone();
            scope.spawn(|| labour(ended));
        }
        drop(ended);
        let (mut out_of_turn, mut turn) = (BTreeMap::new(), 0);
        for (at, result) in ends {
            out_of_turn.insert(at, result?);
            while let Some(result) = out_of_turn.remove(&turn) {
                tell(result);
                turn += 1;
            }
        }
        Ok(())
    })
}
