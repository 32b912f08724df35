//! Why a call to Snowflake failed, one variant for each thing somebody would do differently.

use snowferry_model::fault::{Blame, Fault, Retry};

use crate::catalogue::{self, Known};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call to Snowflake failed.
///
/// Server text that may carry row values is not kept; code and SQLSTATE are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnowflakeError {
    /// The account refused the sign-in.
    #[error("sign in to account {account} as {user}: {code} {reason}")]
    SignIn {
        /// The account identifier.
        account: String,
        /// The user.
        user: String,
        /// The server's code.
        code: String,
        /// The server's sentence.
        reason: String,
    },
    /// A network policy keeps our address out.
    #[error(
        "sign in to account {account}: the address {address} is not allowed by its network policy"
    )]
    AddressBlocked {
        /// The account identifier.
        account: String,
        /// The address Snowflake saw.
        address: String,
    },
    /// The private key or another credential cannot be used.
    #[error("use the credential {name}: {reason}")]
    Credential {
        /// Where it was to come from.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An object is missing or hidden from the role; Snowflake tells the two apart from nobody.
    #[error("{object} does not exist or the role {role} may not use it")]
    NotFound {
        /// The object.
        object: String,
        /// The role in use.
        role: String,
    },
    /// A column of the statement is missing.
    #[error("a column of {object} is missing ({code})")]
    MissingColumn {
        /// The table.
        object: String,
        /// The server's code.
        code: String,
    },
    /// No warehouse that the role may use is set.
    #[error("no warehouse is active for the role {role}")]
    NoWarehouse {
        /// The role in use.
        role: String,
    },
    /// The statement failed for another reason.
    #[error("statement {query_id} failed with {code} ({sql_state}){}", sentence(code))]
    Statement {
        /// The statement, if it got an id.
        query_id: String,
        /// The server's code.
        code: String,
        /// SQLSTATE.
        sql_state: String,
    },
    /// The server no longer keeps the result (24 hours), or never knew the id.
    #[error("the result of statement {query_id} is gone")]
    ResultGone {
        /// The statement.
        query_id: String,
    },
    /// A value cannot be held exactly in the staged type.
    #[error("column {column} holds a value that {staged} cannot hold exactly: {reason}")]
    Inexact {
        /// The column.
        column: String,
        /// The staged type.
        staged: String,
        /// Kind and size of the value, never the value.
        reason: String,
        /// What resolves it.
        repair: String,
    },
    /// The column of the result is not the one that the plan was made for.
    #[error("column {column} was planned as {planned}, the result has {found}")]
    ColumnChanged {
        /// The planned column.
        column: String,
        /// Its planned type.
        planned: String,
        /// Name and type of what came.
        found: String,
    },
    /// A request that makes no statement: our configuration or our defect, nothing was sent.
    #[error("make a request for {object}: {reason}")]
    Request {
        /// What was asked about.
        object: String,
        /// Why it cannot be asked.
        reason: String,
    },
    /// The server sent fewer or more rows than it announced.
    #[error(
        "{what} of statement {query_id} has {found} rows where the server announced {announced}"
    )]
    RowCount {
        /// `chunk 3` or `the result`.
        what: String,
        /// The statement.
        query_id: String,
        /// Rows announced.
        announced: u64,
        /// Rows found.
        found: u64,
    },
    /// A reply that does not follow the protocol.
    #[error("understand the reply to {step}: {reason}")]
    Protocol {
        /// What was asked.
        step: String,
        /// What is wrong with the reply.
        reason: String,
    },
    /// The server was not reached, or stopped answering; retries are used up.
    #[error("reach {host} to {step}")]
    Unreachable {
        /// The host.
        host: String,
        /// What was tried.
        step: String,
        /// Why.
        source: BoxError,
    },
    /// Something that is not Snowflake answers with a web page; retries are used up.
    #[error("{step}: {host} answers with a web page")]
    Page {
        /// The host.
        host: String,
        /// What was tried.
        step: String,
    },
    /// The name of a Snowflake host leads into this network.
    #[error("{host} resolves to {address}, which is no public address")]
    NotPublic {
        /// The host.
        host: String,
        /// Where its name leads.
        address: String,
    },
    /// No answer to a statement that changes something: it may have happened.
    #[error("{step}: the outcome is unknown")]
    Unknown {
        /// What was tried.
        step: String,
        /// Why.
        source: BoxError,
    },
    /// The session ended, and an open transaction or temporary table with it. The request that
    /// noticed was not executed.
    #[error("{step}: the session has ended, what was not committed is rolled back")]
    SessionLost {
        /// What was tried.
        step: String,
    },
    /// A statement was stopped at our deadline before it changed anything.
    #[error("statement {query_id} was stopped at the deadline")]
    Cancelled {
        /// The statement.
        query_id: String,
    },
    /// The server answered with an HTTP status that is not a success; retries are used up.
    #[error("{step}: HTTP status {status}")]
    Status {
        /// What was tried.
        step: String,
        /// The status.
        status: u16,
    },
    /// The ledger of a push is not where it must be; nothing was changed.
    #[error("the ledger of push {push} is at {found}, not at {expected}")]
    Ledger {
        /// The push.
        push: String,
        /// Where it must be.
        expected: String,
        /// Where it is.
        found: String,
    },
    /// A staging table went with its session; nothing was changed.
    #[error("the staging table of {table} is gone")]
    StagingGone {
        /// The target.
        table: String,
    },
    /// A transaction was ended from outside, by an administrator, by another run or because it was
    /// in somebody's way; nothing was changed.
    #[error("the transaction on {table} was ended from outside")]
    TransactionEnded {
        /// The target.
        table: String,
    },
    /// A file that was uploaded is not there any more.
    #[error("the uploaded file {file} is missing")]
    FileMissing {
        /// The file.
        file: String,
    },
    /// The server refused rows that we sent; nothing of them is in the target.
    #[error("{table} refused the rows: {reason} ({code})")]
    RowsRefused {
        /// The table.
        table: String,
        /// The server's code.
        code: String,
        /// The kind of the refusal, never a value.
        reason: String,
    },
    /// A statement touched another number of rows than were staged; it was rolled back.
    #[error("{table}: {found} rows were applied of {expected}, rolled back")]
    AppliedRows {
        /// The target.
        table: String,
        /// Rows staged.
        expected: u64,
        /// Rows that the server reported.
        found: u64,
    },
}

impl Fault for SnowflakeError {
    fn code(&self) -> &'static str {
        match self {
            Self::SignIn { .. } => "SNOWFLAKE_SIGN_IN",
            Self::AddressBlocked { .. } => "SNOWFLAKE_ADDRESS_BLOCKED",
            Self::Credential { .. } => "SNOWFLAKE_CREDENTIAL",
            Self::NotFound { .. } => "SNOWFLAKE_NOT_FOUND",
            Self::MissingColumn { .. } => "SNOWFLAKE_MISSING_COLUMN",
            Self::NoWarehouse { .. } => "SNOWFLAKE_NO_WAREHOUSE",
            Self::Statement { .. } => "SNOWFLAKE_STATEMENT",
            Self::ResultGone { .. } => "SNOWFLAKE_RESULT_GONE",
            Self::Inexact { .. } => "SNOWFLAKE_INEXACT",
            Self::ColumnChanged { .. } => "SNOWFLAKE_COLUMN_CHANGED",
            Self::Request { .. } => "SNOWFLAKE_REQUEST",
            Self::RowCount { .. } => "SNOWFLAKE_ROW_COUNT",
            Self::Protocol { .. } => "SNOWFLAKE_PROTOCOL",
            Self::Unreachable { .. } => "SNOWFLAKE_UNREACHABLE",
            Self::Page { .. } => "SNOWFLAKE_PAGE",
            Self::NotPublic { .. } => "SNOWFLAKE_NOT_PUBLIC",
            Self::Unknown { .. } => "SNOWFLAKE_UNKNOWN",
            Self::SessionLost { .. } => "SNOWFLAKE_SESSION_LOST",
            Self::Cancelled { .. } => "SNOWFLAKE_CANCELLED",
            Self::Status { .. } => "SNOWFLAKE_STATUS",
            Self::Ledger { .. } => "SNOWFLAKE_LEDGER",
            Self::StagingGone { .. } => "SNOWFLAKE_STAGING_GONE",
            Self::TransactionEnded { .. } => "SNOWFLAKE_TRANSACTION_ENDED",
            Self::FileMissing { .. } => "SNOWFLAKE_FILE_MISSING",
            Self::RowsRefused { .. } => "SNOWFLAKE_ROWS_REFUSED",
            Self::AppliedRows { .. } => "SNOWFLAKE_APPLIED_ROWS",
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::SignIn { code, .. } => blame_of(code, Blame::Operator),
            Self::Statement { code, .. } => blame_of(code, Blame::Customer),
            Self::Credential { .. } | Self::Request { .. } | Self::NotPublic { .. } => {
                Blame::Operator
            }
            Self::AddressBlocked { .. }
            | Self::NotFound { .. }
            | Self::MissingColumn { .. }
            | Self::NoWarehouse { .. }
            | Self::Inexact { .. }
            | Self::ColumnChanged { .. } => Blame::Customer,
            Self::ResultGone { .. }
            | Self::RowCount { .. }
            | Self::Unreachable { .. }
            | Self::Page { .. }
            | Self::Unknown { .. }
            | Self::SessionLost { .. }
            | Self::Cancelled { .. }
            | Self::StagingGone { .. }
            | Self::TransactionEnded { .. }
            | Self::Status { .. } => Blame::Transient,
            Self::Ledger { .. } | Self::FileMissing { .. } => Blame::Operator,
            Self::RowsRefused { .. } => Blame::Customer,
            Self::Protocol { .. } | Self::AppliedRows { .. } => Blame::Snowferry,
        }
    }

    fn retry(&self) -> Retry {
        match self.blame() {
            Blame::Transient => Retry::NextRun,
            _ => Retry::AfterFix,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::SignIn { account, user, code, .. } => Some(sign_in_hint(account, user, code)),
            Self::Statement { code, .. } => {
                catalogue::entry(code).map(|entry| entry.repair(&Known::default()))
            }
            Self::AddressBlocked { address, .. } => Some(format!(
                "ask the customer to add '{address}' to the VALUE_LIST of their network rule"
            )),
            Self::Unreachable { host, .. } => Some(format!(
                "check the network and that {host} is the right account; \
                 a firewall must let HTTPS to Snowflake and to its result storage out"
            )),
            Self::Page { host, .. } => Some(format!(
                "a proxy, a firewall or a maintenance page answers in the place of {host}; \
                 if it stays, let HTTPS to that host pass unopened"
            )),
            Self::NotFound { object, role } => Some(format!(
                "check the spelling of {object}; if it is right, ask the customer to run \
                 GRANT SELECT ON {object} TO ROLE {role} (and USAGE on its database and schema)"
            )),
            Self::MissingColumn { .. } => {
                Some("compare the connection's columns with `snowferry discover`".to_owned())
            }
            Self::NoWarehouse { role } => Some(format!(
                "name a warehouse in the connection and ask the customer to run \
                 GRANT USAGE ON WAREHOUSE … TO ROLE {role}"
            )),
            Self::Credential { .. } => Some(
                "correct `auth` in the connection file; a key is made by \
                 openssl genrsa 2048 | openssl pkcs8 -topk8 -nocrypt -out KEY.p8"
                    .to_owned(),
            ),
            Self::NotPublic { host, .. } => Some(format!(
                "look at the name server of this network; if {host} is meant to be reached \
                 privately, write the account with `.privatelink`, or name a `base_url`"
            )),
            Self::Unknown { .. } => Some(
                "run it again: what happened is read back before anything is repeated".to_owned(),
            ),
            Self::Inexact { repair, .. } => Some(repair.clone()),
            Self::ColumnChanged { .. } => Some(
                "the table was altered since the generation began; pull it anew to take over the \
                 change"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn blame_of(code: &str, otherwise: Blame) -> Blame {
    catalogue::entry(code).map_or(otherwise, |entry| entry.blame)
}

fn sign_in_hint(account: &str, user: &str, code: &str) -> String {
    if code == "403" {
        return "check the spelling of the account; no account answers at this host".to_owned();
    }
    let known = Known { user: Some(user), account: Some(account), ..Known::default() };
    match catalogue::entry(code) {
        Some(entry) => entry.repair(&known),
        None => format!(
            "correct the user {user} or its credential; \
             an administrator sees failed sign-ins in LOGIN_HISTORY"
        ),
    }
}

/// Says a code in words, if it is known.
fn sentence(code: &str) -> String {
    catalogue::entry(code).map(|entry| format!(": {}", entry.sentence)).unwrap_or_default()
}
