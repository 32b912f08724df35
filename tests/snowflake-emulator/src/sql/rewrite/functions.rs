//! Which of Snowflake's function names stand for which of ours.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Value as SqlValue,
};

use super::build::{binary, call, case, identifier, named_call, not, null, plain_number, string};
use super::{MARK, Rewriter};
use crate::engine::SqlError;
use crate::sql::error::{compile, unknown_function, unsupported};
use crate::sql::functions::find;

/// Names that differ from ours only by being synonyms.
const SYNONYMS: [(&str, &str); 13] = [
    ("LEN", "length"),
    ("SUBSTRING", "substr"),
    ("CEILING", "ceil"),
    ("TRUNCATE", "trunc"),
    ("POW", "power"),
    ("CHARINDEX", "position"),
    ("CHAR", "chr"),
    ("TIMEADD", "dateadd"),
    ("TIMESTAMPADD", "dateadd"),
    ("TIMEDIFF", "datediff"),
    ("TIMESTAMPDIFF", "datediff"),
    ("MOD", "modulo"),
    ("EQUAL_NULL", "same"),
];

/// Ours that a statement must not name: they have meaning only inside a plan.
const INTERNAL: [&str; 22] = [
    "num",
    "bind",
    "cast",
    "try_cast",
    "case",
    "add",
    "subtract",
    "multiply",
    "divide",
    "neg",
    "fnorm",
    "true",
    "same",
    "int",
    "sum_start",
    "sum_end",
    "avg_end",
    "to_varchar",
    "epoch_timestamp",
    "like",
    "ilike",
    "to_binary",
];

/// The name of a TO_… function's type, for both TO_X and TRY_TO_X.
const CONVERSIONS: [(&str, &str); 19] = [
    ("TO_CHAR", "VARCHAR"),
    ("TO_VARCHAR", "VARCHAR"),
    ("TO_DATE", "DATE"),
    ("DATE", "DATE"),
    ("TO_TIME", "TIME(9)"),
    ("TIME", "TIME(9)"),
    ("TO_TIMESTAMP", "TIMESTAMP_NTZ(9)"),
    ("TO_TIMESTAMP_NTZ", "TIMESTAMP_NTZ(9)"),
    ("TO_TIMESTAMP_LTZ", "TIMESTAMP_LTZ(9)"),
    ("TO_TIMESTAMP_TZ", "TIMESTAMP_TZ(9)"),
    ("TO_DOUBLE", "FLOAT"),
    ("TO_DECFLOAT", "DECFLOAT"),
    ("TO_BOOLEAN", "BOOLEAN"),
    ("TO_VARIANT", "VARIANT"),
    ("TO_OBJECT", "OBJECT"),
    ("TO_ARRAY", "ARRAY"),
    ("TO_GEOGRAPHY", "GEOGRAPHY"),
    ("ST_GEOGRAPHYFROMWKT", "GEOGRAPHY"),
    ("TO_GEOMETRY", "GEOMETRY"),
];

/// Functions that are a part of a date.
const PARTS: [(&str, &str); 15] = [
    ("YEAR", "year"),
    ("QUARTER", "quarter"),
    ("MONTH", "month"),
    ("WEEK", "week"),
    ("WEEKISO", "week"),
    ("WEEKOFYEAR", "week"),
    ("DAY", "day"),
    ("DAYOFMONTH", "day"),
    ("DAYOFWEEK", "dayofweek"),
    ("DAYOFWEEKISO", "dayofweekiso"),
    ("DAYOFYEAR", "dayofyear"),
    ("HOUR", "hour"),
    ("MINUTE", "minute"),
    ("SECOND", "second"),
    ("NANOSECOND", "nanosecond"),
];

/// The positional arguments of a call.
pub(super) fn arguments(function: &Function) -> Result<Vec<Expr>, SqlError> {
    let list = match &function.args {
        FunctionArguments::None => return Ok(Vec::new()),
        FunctionArguments::List(list) => list,
        FunctionArguments::Subquery(query) => return Ok(vec![Expr::Subquery(query.clone())]),
    };
    if !list.clauses.is_empty() {
        return Err(unsupported(format!("this clause in {}", function.name)));
    }
    let expressions = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
        _ => Err(unsupported(format!("this argument of {}", function.name))),
    });
    expressions.collect()
}

/// The one argument of the form `NAME => expression`.
pub(super) fn named_argument(function: &Function) -> Result<(String, Expr), SqlError> {
    let wrong = || unsupported(format!("these arguments of {}", function.name));
    let FunctionArguments::List(list) = &function.args else { return Err(wrong()) };
    match list.args.as_slice() {
        [FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. }] => {
            Ok((name.value.clone(), expr.clone()))
        }
        [FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(expr), .. }] => {
            Ok((name.to_string(), expr.clone()))
        }
        _ => Err(wrong()),
    }
}

/// Replaces a call by its name.
pub(super) fn rewrite(rewriter: &Rewriter<'_>, function: Function) -> Result<Expr, SqlError> {
    let name = function.name.to_string();
    if function.filter.is_some()
        || function.null_treatment.is_some()
        || !function.within_group.is_empty()
        || !matches!(function.parameters, FunctionArguments::None)
    {
        return Err(unsupported(format!("this clause of {name}")));
    }
    if let Some(aggregate) = aggregate(&name, &function)? {
        return Ok(aggregate);
    }
    if function.over.is_some() {
        return Err(unsupported(format!("window function {name}")));
    }
    let args = arguments(&function)?;
    if let Some(context) = context(rewriter, &name, &args)? {
        return Ok(context);
    }
    if let Some(conditional) = conditional(&name, &args)? {
        return Ok(conditional);
    }
    if let Some(conversion) = conversion(&name, &args)? {
        return Ok(conversion);
    }
    if let Some((_, part)) = PARTS.iter().find(|(known, _)| *known == name) {
        return Ok(call("date_part", [string(*part)].into_iter().chain(args).collect()));
    }
    let synonym = SYNONYMS.iter().find(|(known, _)| *known == name).map(|(_, ours)| *ours);
    let lower = name.to_lowercase();
    let ours = match synonym {
        Some(ours) => ours,
        None if INTERNAL.contains(&lower.as_str()) || name == lower => {
            return Err(unknown_function(&name));
        }
        None => lower.as_str(),
    };
    let Some(spec) = find(ours) else { return Err(unknown_function(&name)) };
    let args = match spec.name {
        "dateadd" | "datediff" | "date_part" => part_first(args),
        "date_trunc" => trunc_arguments(args),
        "round" | "trunc" | "ceil" | "floor" => digits_second(args),
        _ => args,
    };
    Ok(call(spec.name, args))
}

/// DAY in DATEADD(DAY, …) is a word, not a column.
fn part_first(args: Vec<Expr>) -> Vec<Expr> {
    let word = |index: usize, arg: Expr| match (index, arg) {
        (0, Expr::Identifier(part)) => string(part.value),
        (_, other) => other,
    };
    args.into_iter().enumerate().map(|(index, arg)| word(index, arg)).collect()
}

/// A literal number of digits stays readable when the type of the result is asked.
fn digits_second(args: Vec<Expr>) -> Vec<Expr> {
    let literal = |index: usize, arg: Expr| match number_of(&arg) {
        Ok(digits) if index == 1 => string(digits),
        _ => arg,
    };
    args.into_iter().enumerate().map(|(index, arg)| literal(index, arg)).collect()
}

/// DATE_TRUNC and TRUNC take the part in either place.
fn trunc_arguments(args: Vec<Expr>) -> Vec<Expr> {
    part_first(args)
}

fn with_name(function: &Function, name: &str, args: Vec<Expr>) -> Expr {
    let Expr::Function(mut made) = named_call(name, args) else { return null() };
    made.over.clone_from(&function.over);
    if let (FunctionArguments::List(ours), FunctionArguments::List(theirs)) =
        (&mut made.args, &function.args)
    {
        ours.duplicate_treatment = theirs.duplicate_treatment;
    }
    Expr::Function(made)
}

/// Aggregates, over groups or windows, and ranks.
fn aggregate(name: &str, function: &Function) -> Result<Option<Expr>, SqlError> {
    let first = || -> Result<Expr, SqlError> {
        match arguments(function)?.as_slice() {
            [one] => Ok(one.clone()),
            _ => Err(unsupported(format!("{name} of several expressions"))),
        }
    };
    let distinct = matches!(&function.args, FunctionArguments::List(list)
        if list.duplicate_treatment == Some(DuplicateTreatment::Distinct));
    Ok(Some(match name {
        "COUNT" => {
            let all = matches!(&function.args, FunctionArguments::List(list)
                if matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]));
            let args = if all { vec![plain_number(1)] } else { vec![first()?] };
            call("int", vec![with_name(function, "count", args)])
        }
        "COUNT_IF" if !distinct => {
            call("int", vec![with_name(function, "count", vec![call("true", vec![first()?])])])
        }
        "SUM" => {
            let start = call("sum_start", vec![first()?]);
            call("sum_end", vec![with_name(function, "sum", vec![start])])
        }
        "AVG" => {
            let start = call("sum_start", vec![first()?]);
            let sum = call("sum_end", vec![with_name(function, "sum", vec![start.clone()])]);
            let count = call("int", vec![with_name(function, "count", vec![start])]);
            call("avg_end", vec![sum, count])
        }
        "HASH_AGG" if !distinct => {
            let hash = call("hash", arguments(function)?);
            call("int", vec![with_name(function, "hash_sum", vec![hash])])
        }
        "MIN" | "ANY_VALUE" => with_name(function, "min", vec![first()?]),
        "MAX" => with_name(function, "max", vec![first()?]),
        "ROW_NUMBER" | "RANK" | "DENSE_RANK" if function.over.is_some() => {
            let ranked = with_name(function, &name.to_lowercase(), arguments(function)?);
            call("int", vec![ranked])
        }
        _ => return Ok(None),
    }))
}

/// CURRENT_… and SEQ….
fn context(rewriter: &Rewriter<'_>, name: &str, args: &[Expr]) -> Result<Option<Expr>, SqlError> {
    let session = rewriter.facts.session;
    let text = |value: Option<&str>| match value {
        Some(value) => string(value),
        None => call("cast", vec![null(), string("VARCHAR")]),
    };
    let now = || {
        let nanos = string(rewriter.facts.now_ns.to_string());
        call("bind", vec![string("TIMESTAMP_LTZ"), nanos])
    };
    let cast_now = |to: String| call("cast", vec![now(), string(to)]);
    Ok(Some(match name {
        "CURRENT_TIMESTAMP" | "LOCALTIMESTAMP" | "GETDATE" | "SYSTIMESTAMP" => match args {
            [] => now(),
            [scale] => cast_now(format!("TIMESTAMP_LTZ({})", number_of(scale)?)),
            _ => return Err(unsupported(format!("these arguments of {name}"))),
        },
        "SYSDATE" => {
            let nanos = string(rewriter.facts.now_ns.to_string());
            call("bind", vec![string("TIMESTAMP_NTZ"), nanos])
        }
        "CURRENT_DATE" => cast_now("DATE".to_owned()),
        "CURRENT_TIME" | "LOCALTIME" => cast_now("TIME(9)".to_owned()),
        "CURRENT_USER" => text(Some(&session.user)),
        "CURRENT_ROLE" => text(session.role.as_deref()),
        "CURRENT_WAREHOUSE" => text(session.warehouse.as_deref()),
        "CURRENT_DATABASE" => text(session.database.as_deref()),
        "CURRENT_SCHEMA" => text(session.schema.as_deref()),
        "CURRENT_ACCOUNT" | "CURRENT_ACCOUNT_NAME" => text(Some(&session.account)),
        "CURRENT_REGION" => text(Some("AWS_US_WEST_2")),
        "CURRENT_VERSION" => text(Some(crate::sql::SERVER_VERSION)),
        "CURRENT_SESSION" => string(session.session_id.to_string()),
        "CURRENT_TRANSACTION" => {
            text(rewriter.facts.transaction.map(|id| id.to_string()).as_deref())
        }
        "LAST_QUERY_ID" => {
            let nth = match args {
                [] => -1,
                [nth] => number_of(nth)?.parse().unwrap_or(0),
                _ => return Err(unsupported(format!("these arguments of {name}"))),
            };
            text(rewriter.last_query_id(nth).as_deref())
        }
        "SEQ1" | "SEQ2" | "SEQ4" | "SEQ8" => identifier(&format!("{MARK}SEQ")),
        "SYSTEM$LAST_CHANGE_COMMIT_TIME" => {
            let moment = rewriter.facts.changes.last_commit_ns(&text_of(name, args)?)?;
            call("num", vec![string(moment.to_string())])
        }
        _ => return Ok(None),
    }))
}

/// The one argument of a function that takes a literal text.
fn text_of(name: &str, args: &[Expr]) -> Result<String, SqlError> {
    if let [Expr::Value(value)] = args
        && let SqlValue::SingleQuotedString(text) = &value.value
    {
        return Ok(text.clone());
    }
    Err(compile("001015", "22023", format!("argument 1 to function {name} needs to be constant")))
}

/// The digits of a literal number that has been rewritten already.
fn number_of(expr: &Expr) -> Result<String, SqlError> {
    if let Expr::Function(function) = expr
        && let [Expr::Value(value)] = arguments(function)?.as_slice()
        && let SqlValue::SingleQuotedString(digits) = &value.value
    {
        return Ok(digits.clone());
    }
    Err(compile("001015", "22023", format!("argument {expr} needs to be constant")))
}

/// Functions that are CASE in other words.
fn conditional(name: &str, args: &[Expr]) -> Result<Option<Expr>, SqlError> {
    let present = |expr: &Expr| Expr::IsNotNull(Box::new(expr.clone()));
    Ok(Some(match (name, args) {
        ("IFF", [condition, yes, no]) => case(vec![(condition.clone(), yes.clone())], no.clone()),
        ("NVL" | "IFNULL" | "COALESCE", [_, _, ..]) => {
            let (last, others) = match args.split_last() {
                Some(found) => found,
                None => return Ok(None),
            };
            let branches = others.iter().map(|arg| (present(arg), arg.clone()));
            case(branches.collect(), last.clone())
        }
        ("NVL2", [test, yes, no]) => case(vec![(present(test), yes.clone())], no.clone()),
        ("NULLIF", [value, other]) => {
            let equal = binary(value.clone(), BinaryOperator::Eq, other.clone());
            case(vec![(equal, null())], value.clone())
        }
        ("ZEROIFNULL", [value]) => {
            case(vec![(present(value), value.clone())], call("num", vec![string("0")]))
        }
        ("NULLIFZERO", [value]) => {
            let zero = call("num", vec![string("0")]);
            let equal = binary(value.clone(), BinaryOperator::Eq, zero);
            case(vec![(equal, null())], value.clone())
        }
        ("BOOLNOT", [value]) => not(value.clone()),
        _ => return Ok(None),
    }))
}

/// TO_…, TRY_TO_… and their formats.
fn conversion(name: &str, args: &[Expr]) -> Result<Option<Expr>, SqlError> {
    let (plain, function) = match name.strip_prefix("TRY_") {
        Some(rest) if rest.starts_with("TO_") => (rest, "try_cast"),
        _ => (name, "cast"),
    };
    if matches!(plain, "TO_NUMBER" | "TO_DECIMAL" | "TO_NUMERIC") {
        let data_type = match args {
            [_] => "NUMBER(38,0)".to_owned(),
            [_, precision] => format!("NUMBER({},0)", number_of(precision)?),
            [_, precision, scale] => {
                format!("NUMBER({},{})", number_of(precision)?, number_of(scale)?)
            }
            _ => return Err(unsupported(format!("these arguments of {name}"))),
        };
        let value = args.first().cloned().unwrap_or_else(null);
        return Ok(Some(call(function, vec![value, string(data_type)])));
    }
    if plain == "TO_BINARY" && function == "cast" {
        return Ok(Some(call("to_binary", args.to_vec())));
    }
    let Some((_, data_type)) = CONVERSIONS.iter().find(|(known, _)| *known == plain) else {
        return Ok(None);
    };
    Ok(Some(match args {
        [value] => call(function, vec![value.clone(), string(*data_type)]),
        [value, format] if *data_type == "VARCHAR" && function == "cast" => {
            call("to_varchar", vec![value.clone(), format.clone()])
        }
        [value, Expr::Value(format)] if is_auto(&format.value) => {
            call(function, vec![value.clone(), string(*data_type)])
        }
        [value, scale] if data_type.starts_with("TIMESTAMP") && number_of(scale).is_ok() => {
            call("epoch_timestamp", vec![value.clone(), scale.clone(), string(*data_type)])
        }
        _ => return Err(unsupported(format!("input format of {name}"))),
    }))
}

/// The input formats that reading ISO text covers.
fn is_auto(value: &SqlValue) -> bool {
    let SqlValue::SingleQuotedString(format) = value else { return false };
    let known = [
        "AUTO",
        "HH24:MI:SS",
        "HH24:MI:SS.FF",
        "HH24:MI:SS.FF3",
        "HH24:MI:SS.FF6",
        "HH24:MI:SS.FF9",
        "YYYY-MM-DD",
        "YYYY-MM-DD HH24:MI:SS",
        "YYYY-MM-DD HH24:MI:SS.FF",
        "YYYY-MM-DD HH24:MI:SS.FF3",
        "YYYY-MM-DD HH24:MI:SS.FF6",
        "YYYY-MM-DD HH24:MI:SS.FF9",
        "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM",
        "YYYY-MM-DDTHH24:MI:SS.FF9",
        "HH24:MI:SS",
    ];
    known.contains(&format.to_ascii_uppercase().as_str())
}
