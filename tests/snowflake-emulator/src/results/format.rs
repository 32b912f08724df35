//! Arrow or JSON: the server's choice, by client, parameters and kind of statement.

use crate::engine::SessionContext;

/// How rows travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    /// Arrow IPC streams.
    Arrow,
    /// Rows of strings.
    Json,
}

impl Format {
    /// Returns the word in `queryResultFormat`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Arrow => "arrow",
            Self::Json => "json",
        }
    }
}

/// What decides the format, besides the statement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preference<'a> {
    /// `CLIENT_APP_ID` of the login.
    pub(crate) client: &'a str,
    /// The `accept` header of the request.
    pub(crate) accept: Option<&'a str>,
    /// Session parameters with the statement's own on top.
    pub(crate) context: &'a SessionContext,
}

/// Chooses the format of a SELECT. Other statements are JSON, whatever this says.
///
/// The Node driver always gets JSON. Go, Python, JDBC and ODBC follow their own parameter and get
/// Arrow by default; so do unknown clients, for which no source states the default. A request that
/// accepts `application/json` and not `application/snowflake` gets JSON.
pub(crate) fn choose(preference: Preference<'_>) -> Format {
    let parameter = match preference.client {
        "JavaScript" => return Format::Json,
        "PythonConnector" => "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT",
        "JDBC" => "JDBC_QUERY_RESULT_FORMAT",
        "ODBC" => "ODBC_QUERY_RESULT_FORMAT",
        _ => "GO_QUERY_RESULT_FORMAT",
    };
    let accept = preference.accept.unwrap_or_default();
    if accept.contains("application/json") && !accept.contains("application/snowflake") {
        return Format::Json;
    }
    match preference.context.parameters.get(parameter) {
        Some(value) if value.eq_ignore_ascii_case("JSON") => Format::Json,
        _ => Format::Arrow,
    }
}
