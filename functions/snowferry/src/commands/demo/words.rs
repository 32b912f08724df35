//! The last page of the demo: where the tables lie, how to read them, what to do next.

use std::path::Path;

use crate::output;

/// Returns the closing words.
pub(crate) fn farewell(folder: &Path, locations: &[&str], duration_ms: u64) -> String {
    let first = locations.first().copied().unwrap_or_default();
    let tables: Vec<String> = locations.iter().map(|place| format!("     {place}")).collect();
    let home = folder.join("snowferry-data");
    format!(
        "\nBoth sides are equal. The story took {span}.\n\n\
         The tables are Delta Lake tables:\n{tables}\n\n\
         Read them with DuckDB:\n\
         \x20    INSTALL delta; LOAD delta;\n\
         \x20    SELECT count(*) FROM delta_scan('{first}');\n\n\
         or with Python (pip install deltalake pandas pyarrow):\n\
         \x20    from deltalake import DeltaTable\n\
         \x20    print(DeltaTable('{first}').to_pandas())\n\n\
         Look at what happened:\n\
         \x20    snowferry status --home {home}\n\
         \x20    snowferry runs --home {home}\n\n\
         Next, your own account:\n\
         \x20    snowferry init acme        write connections/acme.yaml, then edit it\n\
         \x20    snowferry check acme       every prerequisite, with the statement that repairs it\n\
         \x20    snowferry pull acme        and again, whenever you like",
        span = output::span(duration_ms),
        tables = tables.join("\n"),
        home = home.display(),
    )
}
