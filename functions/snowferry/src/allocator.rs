//! Keeps freed memory from piling up in glibc's arenas.
//!
//! glibc gives each thread an arena of its own and keeps there what was freed. Chunks wander
//! between threads, so a pull of millions of rows takes twice the memory that it holds (3 million
//! line items: 340 MB, and 212 MB with this). The settings are read before `main`, so the program
//! starts itself once more, in the same process, with them in its environment.

/// Starts the program again with lean settings, unless they are set already or cannot be.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn make_lean() {
    use std::os::unix::process::CommandExt;

    const ARENAS: &str = "MALLOC_ARENA_MAX";
    if std::env::var_os(ARENAS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    // Returns only when it failed; then the program goes on as it is.
    let _ = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(ARENAS, "2")
        .env("MALLOC_MMAP_THRESHOLD_", "1048576")
        .env("MALLOC_TRIM_THRESHOLD_", "1048576")
        .exec();
}

/// Other allocators need no settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn make_lean() {}
