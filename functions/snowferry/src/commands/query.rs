//! `snowferry query`: asks the pulled tables in SQL, and prints the answer.

use std::collections::BTreeMap;
use std::io::Read;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::Args;
use futures::TryStreamExt;
use serde_json::Value;
use snowferry_bootstrap::app::App;
use snowferry_bootstrap::clock::SystemClock;
use snowferry_model::export::{ExportQuery, ExportSource, Parameter};
use snowferry_model::fault::Fault;
use snowferry_model::time::Clock;

use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output::{self, Side};

/// Rows that a person is shown unless more are asked for.
const SHOWN_ROWS: usize = 100;

const AFTER: &str = "\
Names without quotes are upper case, as in Snowflake. A table is DATABASE.SCHEMA.TABLE, shorter
where that is unambiguous, or connection.DATABASE.SCHEMA.TABLE. The tables are read as they stand
when the query starts; a pull at the same time changes nothing of the answer.

--json prints one line for each row: integers as numbers, other numbers and times as text.

Examples:
  snowferry query 'select count(*) as n from crm.public.accounts'
  snowferry query --connection acme 'select * from accounts' --csv > accounts.csv
  snowferry query 'select * from orders where amount > $least' --param least=99.50
  snowferry query - < question.sql";

/// Asks the pulled tables in SQL.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct QueryArgs {
    /// The query, or - to read it from standard input
    sql: String,

    /// Only tables of this connection have short names; needed where its file names a folder
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,

    /// A value for $NAME: a whole number, a decimal, true, false or null; anything else, and what
    /// is in single quotes, is text
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, Parameter)>,

    /// Print comma-separated values; NULL is empty, an empty text is ""
    #[arg(long, conflicts_with = "json")]
    csv: bool,

    /// Print at most this many rows [default: 100 in a table, else all]
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,
}

/// Asks and prints.
pub(crate) async fn run(global: &Global, args: QueryArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = args.connection.as_ref().map(|name| app.connection(name)).transpose()?;
    let query = ExportQuery {
        connection: connection.as_ref().map(|connection| connection.name.clone()),
        source: ExportSource::Sql(text_of(&args.sql)?),
        parameters: args.parameters.into_iter().collect::<BTreeMap<_, _>>(),
        now: SystemClock.now(),
    };
    let (description, mut rows) = app.query(connection.as_ref(), &query).await?;
    let names: Vec<_> = description.schema.fields().iter().map(|f| f.name().clone()).collect();
    let mut printer = match (global.json, args.csv) {
        (true, _) => Printer::Json { names },
        (false, true) => Printer::csv(&names)?,
        (false, false) => Printer::Table { names, rows: Vec::new(), sides: Vec::new() },
    };
    let is_table = matches!(printer, Printer::Table { .. });
    let mut left = args.limit.unwrap_or(if is_table { SHOWN_ROWS } else { usize::MAX });
    let mut more = false;
    while let Some(batch) = rows.try_next().await.map_err(|e| Failure::of(fault(&e), &e))? {
        more |= batch.num_rows() > left;
        let shown = batch.slice(0, batch.num_rows().min(left));
        left -= shown.num_rows();
        printer.print(&shown)?;
        if more {
            break;
        }
    }
    printer.finish()?;
    if more && is_table {
        output::note("there are more rows; --limit, --csv and --json show them");
    }
    Ok(Done::All)
}

fn fault<E: Fault>(error: &E) -> &dyn Fault {
    error
}

fn text_of(sql: &str) -> Result<String, Failure> {
    if sql != "-" {
        return Ok(sql.to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|error| Failure::local("read the query from standard input", &error))?;
    Ok(text)
}

/// Reads `NAME=VALUE`.
pub(crate) fn parameter(written: &str) -> Result<(String, Parameter), String> {
    let (name, value) = written.split_once('=').ok_or("write NAME=VALUE")?;
    let quoted = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let is_decimal = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits.chars().all(|c| c.is_ascii_digit() || c == '.')
            && digits.contains(|c: char| c.is_ascii_digit())
            && digits.matches('.').count() <= 1
    };
    let parameter = match value {
        _ if quoted.is_some() => Parameter::Text(quoted.unwrap_or_default().to_owned()),
        "null" => Parameter::Null,
        "true" => Parameter::Boolean(true),
        "false" => Parameter::Boolean(false),
        number if is_decimal(number) => match number.parse() {
            Ok(integer) => Parameter::Integer(integer),
            Err(_) => Parameter::Decimal(number.to_owned()),
        },
        text => Parameter::Text(text.to_owned()),
    };
    Ok((name.trim_start_matches('$').to_owned(), parameter))
}

/// Where rows go, a batch at a time.
enum Printer {
    Table { names: Vec<String>, rows: Vec<Vec<String>>, sides: Vec<Side> },
    Csv,
    Json { names: Vec<String> },
}

impl Printer {
    fn csv(names: &[String]) -> Result<Self, Failure> {
        let header: Vec<_> = names.iter().map(|name| csv_field(Some(name))).collect();
        output::line(header.join(","))?;
        Ok(Self::Csv)
    }

    fn print(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let failed = |error: arrow::error::ArrowError| Failure::local("print a value", &error);
        let options = FormatOptions::default();
        let columns = batch.columns().iter();
        let columns = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns: Vec<_> = columns.collect::<Result<_, _>>().map_err(failed)?;
        let texts = |row: usize| {
            batch.columns().iter().zip(&columns).map(move |(array, formatter)| {
                array.is_valid(row).then(|| formatter.value(row).to_string())
            })
        };
        match self {
            Self::Table { rows, sides, .. } => {
                *sides = batch.columns().iter().map(|c| side(c.data_type())).collect();
                let all = 0..batch.num_rows();
                let shown = |text: Option<String>| text.unwrap_or_else(|| "NULL".to_owned());
                rows.extend(all.map(|row| texts(row).map(shown).collect::<Vec<_>>()));
            }
            Self::Csv => {
                let mut lines = String::new();
                for row in 0..batch.num_rows() {
                    let fields: Vec<_> =
                        texts(row).map(|text| csv_field(text.as_deref())).collect();
                    lines.push_str(&fields.join(","));
                    lines.push('\n');
                }
                output::text(&lines)?;
            }
            Self::Json { names } => {
                let mut lines = String::new();
                for row in 0..batch.num_rows() {
                    let values = batch.columns().iter().zip(texts(row));
                    let values = values.map(|(array, text)| json_value(array.as_ref(), row, text));
                    let fields = names
                        .iter()
                        .zip(values)
                        .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())));
                    lines.push_str(&format!("{{{}}}\n", fields.collect::<Vec<_>>().join(",")));
                }
                output::text(&lines)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        if let Self::Table { names, rows, mut sides } = self {
            sides.resize(names.len(), Side::Left);
            let headings: Vec<_> = names.iter().map(String::as_str).zip(sides).collect();
            output::line(output::table(&headings, rows))?;
        }
        Ok(())
    }
}

fn side(data_type: &DataType) -> Side {
    if data_type.is_numeric() { Side::Right } else { Side::Left }
}

/// Returns one field; `None` is NULL.
pub(crate) fn csv_field(text: Option<&str>) -> String {
    match text {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.to_owned(),
    }
}

fn json_value(array: &dyn Array, row: usize, text: Option<String>) -> Value {
    let Some(text) = text else { return Value::Null };
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(row)),
        integer if integer.is_integer() => {
            text.parse::<i64>().map_or(Value::String(text), Value::from)
        }
        _ => Value::String(text),
    }
}
