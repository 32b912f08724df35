//! Who watches a push: a spinner on a terminal, plain lines elsewhere, nobody for `--json`.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::ProgressBar;
use snowferry_model::push::PushKey;
use snowferry_push::{Event, Progress, Silent};

use crate::output;

/// A watcher that also learns that a push has ended, however it ended.
pub(crate) trait PushWatcher: Progress {
    /// Takes the push off the display.
    fn ended(&self, push: &PushKey);
}

/// Returns the watcher that suits standard error.
pub(crate) fn watcher(json: bool) -> Arc<dyn PushWatcher> {
    if json {
        return Arc::new(Silent);
    }
    if std::io::stderr().is_terminal() {
        return Arc::new(Spinner::default());
    }
    Arc::new(Lines)
}

impl PushWatcher for Silent {
    fn ended(&self, _push: &PushKey) {}
}

/// One spinner for the push in work: pushes run one after another.
#[derive(Default)]
struct Spinner {
    shown: Mutex<Option<(ProgressBar, u64)>>,
}

impl Progress for Spinner {
    fn event(&self, push: &PushKey, event: Event) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let (bar, rows) = shown.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(Duration::from_millis(120));
            (bar, 0)
        });
        if let Event::Read { rows: more } = event {
            *rows += more;
        }
        let name = push.name.as_str();
        bar.set_message(match event {
            Event::Applying { rows, .. } => {
                format!("{name}: {} at the server", output::number_of(rows, "row"))
            }
            _ => format!("{name}: {} read and checked", output::number_of(*rows, "row")),
        });
    }
}

impl PushWatcher for Spinner {
    fn ended(&self, _push: &PushKey) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((bar, _)) = shown.take() {
            bar.finish_and_clear();
        }
    }
}

/// One line for each step.
struct Lines;

impl Progress for Lines {
    fn event(&self, push: &PushKey, event: Event) {
        let name = push.name.as_str();
        match event {
            Event::Pinned { resumed: true } => {
                output::note(format!("{name}: goes on with what an earlier run began"));
            }
            Event::Staged { part, rows, size_bytes } => output::note(format!(
                "{name}: part {} sent, {}, {}",
                part.saturating_add(1),
                output::number_of(rows, "row"),
                output::bytes(size_bytes)
            )),
            Event::Applying { rows, .. } => {
                output::note(format!("{name}: {} at the server", output::number_of(rows, "row")));
            }
            _ => {}
        }
    }
}

impl PushWatcher for Lines {
    fn ended(&self, _push: &PushKey) {}
}
