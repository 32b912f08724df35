//! What the words promise: names cannot break out, plans are exact, stored forms stay readable.

mod names;
mod plan;
mod stored_forms;
mod watermark;
