//! Ctrl-C and SIGTERM as a future.

use crate::failure::Failure;

/// Resolves when the process is asked to stop.
///
/// # Errors
/// When the operating system refuses to tell.
pub(crate) async fn asked_to_stop() -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::local("wait for a signal", &error);
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed.map_err(failed),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(failed)
}
