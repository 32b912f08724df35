//! What one process cost, from `/proc`.
//!
//! A child that has ended keeps its line in `/proc/PID/stat` until somebody waits for it. We look
//! there without waiting, so that the CPU time read is the final one of this very process, and
//! only then wait. Its peak memory (`VmHWM`) goes with its memory, so it is read again and again
//! while the process runs; the kernel's mark never falls, so only a rise in the last
//! [`LOOK_EVERY`] can be missed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{BenchError, io};

/// Ticks of CPU time in a second: `USER_HZ`, 100 on every Linux that Rust runs on (`man 5 proc`).
const TICKS_PER_SECOND: f64 = 100.0;

/// How often a running process is looked at. A look costs us some microseconds, the process none.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How much of a failed process's output is shown.
const LAST_WORDS_BYTES: usize = 2000;

/// What a process cost from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    /// User and system time of the process and of the children that it waited for.
    pub(crate) cpu_s: f64,
    pub(crate) peak_bytes: u64,
}

/// Runs a command to its end; returns what it cost and what it printed to standard output.
pub(crate) fn measured(
    what: &str,
    command: &mut Command,
    folder: &Path,
) -> Result<(Cost, String), BenchError> {
    let (out, err) = (folder.join("stdout"), folder.join("stderr"));
    let file = |path: &Path| File::create(path).map_err(io(format!("create {}", path.display())));
    command.stdin(Stdio::null()).stdout(file(&out)?).stderr(file(&err)?);
    let started = Instant::now();
    let child = command.spawn().map_err(io(format!("start {what}")))?;
    let mut running = Running(child);
    let (cpu_s, peak_bytes) = watch(running.0.id())?;
    let wall_s = started.elapsed().as_secs_f64();
    let status = running.0.wait().map_err(io(format!("wait for {what}")))?;
    let read = |path: &Path| fs::read(path).map_err(io(format!("read {}", path.display())));
    let printed = String::from_utf8_lossy(&read(&out)?).into_owned();
    if !status.success() {
        let words = format!("{printed}{}", String::from_utf8_lossy(&read(&err)?));
        let words = last_words(&words).to_owned();
        return Err(BenchError::Failed {
            what: what.to_owned(),
            status: status.to_string(),
            words,
        });
    }
    Ok((Cost { wall_s, cpu_s, peak_bytes }, printed))
}

/// A child that ends with us, also when we stop early.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended and was waited for is left alone by the standard library.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks at a child of ours until it has ended; returns its CPU seconds and its peak memory.
fn watch(pid: u32) -> Result<(f64, u64), BenchError> {
    let status = PathBuf::from(format!("/proc/{pid}/status"));
    let mut peak_bytes = 0;
    loop {
        let look = look(pid)?;
        if look.ended {
            return Ok((look.cpu_s, peak_bytes));
        }
        // It may have ended since, then the line is gone and the last mark stands.
        let text = fs::read_to_string(&status).unwrap_or_default();
        peak_bytes = peak_of(&text).unwrap_or(0).max(peak_bytes);
        thread::sleep(LOOK_EVERY);
    }
}

/// CPU seconds of a process so far.
pub(crate) fn cpu_s(pid: u32) -> Result<f64, BenchError> {
    look(pid).map(|look| look.cpu_s)
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Look {
    ended: bool,
    cpu_s: f64,
}

fn look(pid: u32) -> Result<Look, BenchError> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    let text = fs::read_to_string(&path).map_err(io(format!("read {}", path.display())))?;
    look_at(&text).ok_or(BenchError::NoFigures { path })
}

/// Reads a line of `/proc/PID/stat`. The name in it may hold spaces and parentheses, so the
/// fields are counted from the last parenthesis on.
fn look_at(stat: &str) -> Option<Look> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let state = fields.first()?;
    // utime, stime, cutime, cstime: fields 14 to 17 of the line, the state being the third.
    let ticks: Option<Vec<u64>> =
        fields.get(11..15)?.iter().map(|field| field.parse().ok()).collect();
    let ticks: u64 = ticks?.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "ticks of a process are far below 2^52")]
    let cpu_s = ticks as f64 / TICKS_PER_SECOND;
    Some(Look { ended: matches!(*state, "Z" | "X"), cpu_s })
}

/// The peak of resident memory in a text of `/proc/PID/status`, in bytes.
fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn last_words(text: &str) -> &str {
    let from = text.len().saturating_sub(LAST_WORDS_BYTES);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(from..).unwrap_or_default().trim()
}

/// Tells a person how far we are, on standard error.
pub(crate) fn say(text: &str) {
    // Nobody may be listening; the figures on standard output do not depend on it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194560 10 20 30 40 150 50 25 5 20 0 9 0 100";
        assert_eq!(look_at(line), Some(Look { ended: false, cpu_s: 2.3 }));
    }

    #[test]
    fn a_line_cut_short_gives_no_figure_instead_of_a_wrong_one() {
        assert_eq!(look_at("7 (a) S 1 7 7 0 -1 4194560 10 20 30 40 150"), None);
        assert_eq!(look_at(""), None);
    }

    #[test]
    fn the_peak_is_told_in_bytes_and_only_when_it_is_there() {
        assert_eq!(peak_of("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(peak_of("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn a_process_that_works_has_a_cost_and_its_output_is_returned() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i"]);
        let (cost, printed) = measured("a loop", &mut command, folder.path()).unwrap();
        assert_eq!(printed, "200000\n");
        assert!(cost.cpu_s > 0.0, "{cost:?}");
        assert!(cost.peak_bytes > 100_000, "{cost:?}");
    }

    #[test]
    fn a_process_that_fails_is_an_error_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such luck >&2; exit 3"]);
        let told = measured("a shell", &mut command, folder.path()).unwrap_err().told();
        assert!(told.starts_with("BENCH_FAILED: a shell failed (exit status: 3)"), "{told}");
        assert!(told.ends_with("no such luck"), "{told}");
    }
}
