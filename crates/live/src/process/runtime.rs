//! The runtime of a process.

use std::io;
use std::time::Duration;
use tokio::runtime::Builder;

pub use tokio::runtime::Runtime;

/// How long work that cannot be interrupted, a distillation say, is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Runs a future of this room to its end on a runtime of its own, with a thread for each core.
///
/// # Errors
/// If the operating system gives no threads or timers.
pub fn block_on<F: Future>(future: F) -> io::Result<F::Output> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let output = runtime.block_on(future);
    runtime.shutdown_timeout(PATIENCE);
    Ok(output)
}

/// Does `work` with a runtime that serves it from threads of its own, and ends that then.
///
/// # Errors
/// If the operating system gives no threads or timers.
pub fn with<T>(work: impl FnOnce(&Runtime) -> T) -> io::Result<T> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let output = work(&runtime);
    runtime.shutdown_timeout(PATIENCE);
    Ok(output)
}
