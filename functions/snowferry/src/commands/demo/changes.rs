//! What the demo changes at its source between the two pulls.

/// One statement for each kind of change: a new row with a key that a 64-bit float cannot hold,
/// changed values, and changed times alone. Times have whole microseconds: a column that began
/// without finer digits is refused when they appear.
pub(crate) const STATEMENTS: &[&str] = &[
    "INSERT INTO CRM.PUBLIC.ACCOUNTS (ID, NAME, UPDATED_AT)\n\
     VALUES (9007199254740993, 'Zürich & Söhne', CURRENT_TIMESTAMP()::TIMESTAMP_NTZ(6));",
    "UPDATE CRM.PUBLIC.OPPORTUNITIES\n\
     SET AMOUNT = AMOUNT + 100.25, UPDATED_AT = CURRENT_TIMESTAMP()::TIMESTAMP_LTZ(6)\n\
     WHERE ID <= 10;",
    "UPDATE CRM.PUBLIC.USERS\n\
     SET UPDATED_AT = CURRENT_TIMESTAMP()::TIMESTAMP_TZ(6)\n\
     WHERE ID <= 3;",
];
