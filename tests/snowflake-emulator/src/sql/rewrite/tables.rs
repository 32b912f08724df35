//! Functions that are tables: TABLE(GENERATOR(…)), TABLE(RESULT_SCAN(…)), TABLE(QUERY_HISTORY…).
//!
//! Each becomes a name that starts with [`MARK`], which the provider of tables takes apart.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Value as SqlValue,
};

use super::{MARK, Rewriter, functions};
use crate::engine::SqlError;
use crate::sql::error::{compile, unsupported};

/// The names of the query history, with the argument that narrows each down.
const HISTORIES: [(&str, &str); 4] = [
    ("QUERY_HISTORY", ""),
    ("QUERY_HISTORY_BY_SESSION", "SESSION_ID"),
    ("QUERY_HISTORY_BY_USER", "USER_NAME"),
    ("QUERY_HISTORY_BY_WAREHOUSE", "WAREHOUSE_NAME"),
];

/// The marked name of a table function.
pub(super) fn table_function(rewriter: &Rewriter<'_>, expr: &Expr) -> Result<Ident, SqlError> {
    let Expr::Function(function) = expr else { return Err(unsupported("TABLE(…)")) };
    let name = function.name.to_string();
    let last = name.rsplit('.').next().unwrap_or_default();
    let marked = match last {
        "GENERATOR" => {
            let (kind, rows) = functions::named_argument(function)?;
            if kind != "ROWCOUNT" {
                return Err(unsupported(format!("GENERATOR({kind} => …)")));
            }
            format!("{MARK}GENERATOR{MARK}{rows}")
        }
        "RESULT_SCAN" => {
            let args = functions::arguments(function)?;
            let [id] = args.as_slice() else {
                return Err(unsupported("RESULT_SCAN of an expression"));
            };
            format!("{MARK}RESULT{MARK}{}", statement_id(rewriter, id)?)
        }
        _ => match HISTORIES.iter().find(|(known, _)| *known == last) {
            Some((_, by)) => history(rewriter, function, by)?,
            None => return Err(unsupported(format!("table function {name}"))),
        },
    };
    Ok(Ident::with_quote('"', marked))
}

fn statement_id(rewriter: &Rewriter<'_>, expr: &Expr) -> Result<String, SqlError> {
    match expr {
        Expr::Value(_) => text_of(rewriter, expr),
        Expr::Function(function) if function.name.to_string() == "LAST_QUERY_ID" => {
            let args = functions::arguments(function)?;
            let mut args = args.into_iter();
            let nth = match args.next() {
                Some(expr) => Some(whole(rewriter, &expr)?),
                None => None,
            };
            let id = rewriter.last_query_id(nth.unwrap_or(-1));
            id.ok_or_else(|| unsupported("LAST_QUERY_ID() without an earlier statement"))
        }
        _ => Err(unsupported("RESULT_SCAN of an expression")),
    }
}

fn whole(rewriter: &Rewriter<'_>, expr: &Expr) -> Result<i64, SqlError> {
    use datafusion::sql::sqlparser::ast::UnaryOperator;
    let wrong = || compile("001015", "22023", format!("argument {expr} needs to be constant"));
    match expr {
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(-whole(rewriter, expr)?),
        Expr::Value(_) => text_of(rewriter, expr)?.parse().map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// The text of a literal or a bind.
fn text_of(rewriter: &Rewriter<'_>, expr: &Expr) -> Result<String, SqlError> {
    let wrong = || compile("001015", "22023", format!("argument {expr} needs to be constant"));
    let Expr::Value(value) = expr else { return Err(wrong()) };
    match &value.value {
        SqlValue::SingleQuotedString(text) | SqlValue::Number(text, _) => Ok(text.clone()),
        SqlValue::Boolean(flag) => Ok(flag.to_string()),
        SqlValue::Placeholder(mark) => Ok(rewriter.bound(mark)?.value.clone().unwrap_or_default()),
        _ => Err(wrong()),
    }
}

/// `\0HISTORY\0NAME=value\0NAME=value`.
fn history(rewriter: &Rewriter<'_>, function: &Function, by: &str) -> Result<String, SqlError> {
    let wrong = || unsupported(format!("these arguments of {}", function.name));
    let args: &[FunctionArg] = match &function.args {
        FunctionArguments::None => &[],
        FunctionArguments::List(list) => &list.args,
        FunctionArguments::Subquery(_) => return Err(wrong()),
    };
    let mut marked = format!("{MARK}HISTORY");
    let mut narrowed = false;
    for arg in args {
        let (name, expr) = match arg {
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                (name.value.clone(), expr)
            }
            FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                (name.to_string(), expr)
            }
            _ => return Err(wrong()),
        };
        if name != "RESULT_LIMIT" && name != by {
            return Err(wrong());
        }
        narrowed |= name == by;
        marked = format!("{marked}{MARK}{name}={}", text_of(rewriter, expr)?);
    }
    let session = rewriter.facts.session;
    let own = match by {
        "SESSION_ID" => Some(session.session_id.to_string()),
        "USER_NAME" => Some(session.user.clone()),
        "WAREHOUSE_NAME" => session.warehouse.clone(),
        _ => None,
    };
    match own {
        Some(own) if !narrowed => Ok(format!("{marked}{MARK}{by}={own}")),
        _ => Ok(marked),
    }
}
