//! How many files and sockets a process may have open.
//!
//! Systems start processes with a low limit (1024 as a rule), for the sake of old programs, and let them raise it up to
//! another. A key manager has a socket for each connection, so it raises it.

use rlimit::{ProcLimits, Resource};

/// What is assumed if the system does not tell.
const USUAL: u64 = 1024;

/// Raises how many files and sockets this process may have open to the most that the system allows, and logs it.
pub fn raise() {
    let (now, most) = limits();
    let raised = if now < most { Resource::NOFILE.set(most, most) } else { Ok(()) };
    match raised {
        Ok(()) => tracing::info!(limit = most, "files and sockets that may be open"),
        Err(error) => {
            tracing::warn!(limit = now, %error, "the limit on files and sockets that may be open cannot be raised");
        }
    }
}

/// How many files and sockets this process may have open now.
pub fn limit() -> u64 {
    limits().0
}

/// The limit that holds, and the one up to which it may be raised.
fn limits() -> (u64, u64) {
    // Where the call is forbidden, as to services under a filter, the file tells the same.
    let told = || {
        let limits = ProcLimits::read_self().ok()?.max_open_files?;
        Some((limits.soft_limit.unwrap_or(u64::MAX), limits.hard_limit.unwrap_or(u64::MAX)))
    };
    Resource::NOFILE.get().ok().or_else(told).unwrap_or((USUAL, USUAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_the_most_that_is_allowed() {
        let before = limits();
        raise();
        let raised = limits();
        assert_eq!(raised, (before.1, before.1));
        assert_eq!(limit(), raised.0);
    }
}
