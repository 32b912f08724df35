//! See `snowferry_snowflake::client::hostile::arrow_chunk`.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use snowferry_snowflake::client::hostile;

/// The Arrow reader's own asserts are caught and become errors; only a panic that escapes counts,
/// and the fuzzer sees that one itself.
static QUIET: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let _ = hostile::arrow_chunk(bytes);
});
