//! The codes, in their order: those that the public drivers and the manual name.

use snowferry_model::fault::Blame::{self, Customer, Operator, Snowferry, Transient};

use super::Entry;

const REPORT: &str = "report it with the query id; the statement's text is Snowferry's";
const NEXT_RUN: &str = "nothing; the next run tries again";
const KEPT: &str = "nothing; a result is kept for 24 hours, the next run makes a new one";
const ALIGN_ROWS: &str =
    "compare the columns of the push with {object}: `snowferry plan` names the column";

const fn entry(
    code: &'static str,
    blame: Blame,
    sentence: &'static str,
    repair: &'static str,
) -> Entry {
    Entry { code, blame, sentence, repair }
}

/// Every code that is known, in order.
pub const CATALOGUE: &[Entry] = &[
    entry(
        "000002",
        Snowferry,
        "the statement uses a feature that the account does not have",
        REPORT,
    ),
    entry("000008", Snowferry, "the text held another number of statements than announced", REPORT),
    entry(
        "000604",
        Transient,
        "the statement was cancelled: by a person, at its deadline, or by a statement \
         timeout",
        "look in the query history for who cancelled it; else the next run tries again",
    ),
    entry(
        "000605",
        Transient,
        "the statement that was to be cancelled does not run any more",
        NEXT_RUN,
    ),
    entry(
        "000606",
        Customer,
        "no warehouse is active: none is named, or the role may not use it",
        "name a warehouse in the connection and ask the customer to run GRANT USAGE ON \
         WAREHOUSE … TO ROLE {role}",
    ),
    entry(
        "000610",
        Transient,
        "the user has too many requests at the same time",
        "pull fewer connections of this user at once; the next run tries again",
    ),
    entry(
        "000625",
        Transient,
        "a lock was waited for too long, or the transaction was ended",
        "find what holds {object} by SHOW LOCKS; the next run tries again",
    ),
    entry(
        "000630",
        Operator,
        "the statement ran or queued longer than a timeout of the session or the \
         warehouse",
        "use a larger warehouse or a narrower window, or raise \
         STATEMENT_TIMEOUT_IN_SECONDS of the warehouse",
    ),
    entry("000707", Transient, "the result of the statement is not available any more", KEPT),
    entry("000709", Transient, "the server does not know the statement", KEPT),
    entry("000710", Transient, "the result of the statement has expired", KEPT),
    entry("000900", Snowferry, "the statement was empty", REPORT),
    entry(
        "000904",
        Customer,
        "a column of the statement does not exist",
        "compare the connection's columns with `snowferry discover`",
    ),
    entry("001003", Snowferry, "the statement is no valid SQL", REPORT),
    entry(
        "001007",
        Customer,
        "types that cannot be compared or converted meet in the statement",
        "check the row filter of {object} against the types of its columns",
    ),
    entry(
        "002003",
        Customer,
        "the object does not exist, or the role may not use it; Snowflake tells the two \
         apart from nobody",
        "check the spelling of {object}; if it is right, ask the customer to run GRANT \
         SELECT ON {object} TO ROLE {role}, and GRANT USAGE on its database and schema",
    ),
    entry(
        "002043",
        Customer,
        "the object does not exist, or the role may not do this with it",
        "check the spelling of {object}; if it is right, ask the customer to run GRANT \
         USAGE ON {object} TO ROLE {role}",
    ),
    entry("002049", Snowferry, "a bound value has a type that the server does not take", REPORT),
    entry(
        "003001",
        Customer,
        "the role lacks a privilege on the object",
        "ask the customer to run the grants that `snowferry setup-sql` prints for \
         {object} and {role}",
    ),
    entry(
        "090105",
        Operator,
        "no database is current, and a name is not whole",
        "write names as DATABASE.SCHEMA.TABLE in the connection",
    ),
    entry(
        "090106",
        Operator,
        "no schema is current, and a name is not whole",
        "write names as DATABASE.SCHEMA.TABLE in the connection",
    ),
    entry(
        "100016",
        Snowferry,
        "a field of a file is not separated as the file's format says",
        REPORT,
    ),
    entry("100035", Customer, "a text was not recognised as a timestamp", ALIGN_ROWS),
    entry("100038", Customer, "a text was not recognised as a number", ALIGN_ROWS),
    entry("100040", Customer, "a text was not recognised as a date", ALIGN_ROWS),
    entry(
        "100068",
        Snowferry,
        "a record of a file ends where the file's format does not allow it",
        REPORT,
    ),
    entry(
        "100072",
        Customer,
        "a NULL came into a column that allows none",
        "give the column of {object} a default or allow NULL, or leave such rows out of \
         the push",
    ),
    entry(
        "100078",
        Customer,
        "a text is longer than its column",
        "widen the column of {object}, or shorten the value in the query of the push",
    ),
    entry("100080", Snowferry, "a file has another number of columns than the table", REPORT),
    entry(
        "100088",
        Customer,
        "a file holds NULL for a column that allows none",
        "give the column of {object} a default or allow NULL, or leave such rows out of \
         the push",
    ),
    entry(
        "100132",
        Customer,
        "a number is out of the range of its column",
        "widen the column of {object}, or limit the value in the query of the push",
    ),
    entry(
        "200001",
        Customer,
        "a primary key exists already (hybrid table)",
        "push with `upsert`, or remove the row of this key from {object}",
    ),
    entry("333333", Transient, "the statement is still running", "nothing; it is waited for"),
    entry("333334", Transient, "the statement runs by itself", "nothing; it is waited for"),
    entry(
        "390100",
        Operator,
        "user or password is wrong",
        "correct the user {user} or its password, or sign in by key pair",
    ),
    entry(
        "390101",
        Customer,
        "the user is disabled",
        "ask the customer to run ALTER USER {user} SET DISABLED = FALSE",
    ),
    entry(
        "390102",
        Customer,
        "the user is locked after failed sign-ins",
        "ask the customer to run ALTER USER {user} SET MINS_TO_UNLOCK = 0",
    ),
    entry(
        "390104",
        Transient,
        "the session token is not valid any more",
        "nothing; Snowferry signs in again",
    ),
    entry("390110", Transient, "the id token has expired", "nothing; Snowferry signs in again"),
    entry(
        "390111",
        Transient,
        "the session does not exist any more",
        "nothing; Snowferry signs in again",
    ),
    entry("390112", Transient, "the session token has expired", "nothing; Snowferry renews it"),
    entry(
        "390113",
        Transient,
        "the master token was not found",
        "nothing; Snowferry signs in again",
    ),
    entry("390114", Transient, "the master token has expired", "nothing; Snowferry signs in again"),
    entry(
        "390115",
        Transient,
        "the master token is not valid",
        "nothing; Snowferry signs in again",
    ),
    entry(
        "390144",
        Operator,
        "the sign-in token was refused: another key, user or account than the server \
         knows, or a wrong clock",
        "compare the user's RSA_PUBLIC_KEY_FP in DESCRIBE USER {user} with the key in \
         use; an administrator sees the reason by SYSTEM$GET_LOGIN_FAILURE_DETAILS",
    ),
    entry(
        "390189",
        Customer,
        "the role does not exist or is not granted to the user",
        "check the spelling of {role}; if it is right, ask the customer to run GRANT \
         ROLE {role} TO USER {user}",
    ),
    entry("390195", Operator, "the id token was refused at sign-in", "sign in by key pair"),
    entry(
        "390201",
        Customer,
        "the warehouse, database or schema named at sign-in does not exist, or the role \
         may not use it",
        "name a warehouse in the connection and ask the customer to run GRANT USAGE ON \
         WAREHOUSE … TO ROLE {role}",
    ),
    entry(
        "390303",
        Operator,
        "the access token of the identity provider was refused",
        "compare issuer, audience and user mapping of the customer's security \
         integration (DESCRIBE SECURITY INTEGRATION) with the token",
    ),
    entry(
        "390318",
        Transient,
        "the access token of the identity provider has expired",
        "nothing; Snowferry fetches a new one. If it stays, check the clock of the \
         identity provider",
    ),
    entry(
        "390400",
        Transient,
        "the session could not be renewed",
        "nothing; Snowferry signs in again",
    ),
    entry(
        "390422",
        Customer,
        "a network policy of the account keeps our address out",
        "ask the customer to add '{address}' to the VALUE_LIST of their network rule",
    ),
    entry(
        "390432",
        Customer,
        "a user that signs in by access token needs a network policy",
        "ask the customer to run ALTER USER {user} SET NETWORK_POLICY = …, with our \
         addresses in its rule",
    ),
    entry(
        "394300",
        Operator,
        "the sign-in token was refused",
        "compare the user's RSA_PUBLIC_KEY_FP in DESCRIBE USER {user} with the key in \
         use",
    ),
    entry(
        "394301",
        Operator,
        "the sign-in token had expired when it arrived",
        "set the clock of this machine by NTP",
    ),
    entry(
        "394302",
        Operator,
        "the sign-in token was not valid yet when it arrived",
        "set the clock of this machine by NTP",
    ),
    entry("394303", Snowferry, "the sign-in token's lifetime is not allowed", REPORT),
    entry(
        "394304",
        Operator,
        "the key in use is none of the two that the user has",
        "compare RSA_PUBLIC_KEY_FP and RSA_PUBLIC_KEY_2_FP in DESCRIBE USER {user} with \
         the key in use; `snowferry keygen` makes a new one",
    ),
    entry("394305", Snowferry, "the sign-in token is signed in a way that is not allowed", REPORT),
    entry("394306", Snowferry, "the sign-in token is not formed as the server wants it", REPORT),
    entry(
        "394400",
        Operator,
        "the programmatic access token was refused: wrong, expired, or of another user",
        "ask the customer to run SHOW USER PROGRAMMATIC ACCESS TOKENS FOR USER {user}; \
         a new one goes where the connection names it",
    ),
    entry(
        "394507",
        Customer,
        "the account demands a second factor of this user",
        "let {user} be of TYPE = SERVICE and sign in by key pair",
    ),
    entry(
        "394508",
        Customer,
        "the second factor of this user was not given",
        "let {user} be of TYPE = SERVICE and sign in by key pair",
    ),
    entry(
        "394633",
        Customer,
        "the user must enrol in multi-factor authentication",
        "let {user} be of TYPE = SERVICE and sign in by key pair",
    ),
];
