//! Clock, run ids and the name of this process: what the engine is given rather than takes.

use std::time::{SystemTime, UNIX_EPOCH};

use snowferry_model::time::{Clock, UnixMillis};
use uuid::Uuid;

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        now()
    }
}

/// Returns the present time.
#[must_use]
pub fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Returns a new run id. Ids sort by the time they were made.
#[must_use]
pub fn new_run_id() -> String {
    Uuid::now_v7().to_string()
}

/// Returns how this process names itself to others that find a table taken:
/// `HOST, process PID since TIME`.
#[must_use]
pub fn owner(started_at: UnixMillis) -> String {
    format!("{}, process {} since {started_at}", host(), std::process::id())
}

/// Returns the name of this machine, as far as it can be known without a system call.
fn host() -> String {
    let from_file = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = from_file.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(64).collect();
    if name.is_empty() { "this machine".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_sort_by_the_time_they_were_made() {
        let ids: Vec<String> = (0..100).map(|_| new_run_id()).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(ids, sorted);
    }

    #[test]
    fn an_owner_names_process_and_start() {
        let owner = owner(UnixMillis(0));
        let pid = std::process::id();
        let tail = format!(", process {pid} since 1970-01-01T00:00:00.000Z");
        assert!(owner.ends_with(&tail), "{owner}");
    }
}
