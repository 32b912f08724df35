//! Stories that cross rooms. The stories themselves are in `tests/it`; one binary, many modules.
