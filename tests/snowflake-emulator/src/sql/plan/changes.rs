//! When tables changed, for SYSTEM$LAST_CHANGE_COMMIT_TIME.

use datafusion::sql::sqlparser::ast::ObjectNamePart;
use datafusion::sql::sqlparser::dialect::SnowflakeDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::super::error::{syntax, unsupported};
use super::super::rewrite::Changes;
use super::{Planning, parse_error};
use crate::catalog::{Qualified, Relation};
use crate::engine::SqlError;

impl Changes for Planning<'_> {
    fn last_commit_ns(&self, name: &str) -> Result<i128, SqlError> {
        let at = Qualified::resolve(&parts(name)?, self.session)?;
        self.enter(&at)?;
        let relation = self.snapshot.relation(&at, self.session)?;
        self.authorize(&at, &relation, &["SELECT"])?;
        match relation {
            Relation::Table(table) => Ok(table.altered_ns()),
            Relation::View(_) => Err(unsupported("SYSTEM$LAST_CHANGE_COMMIT_TIME of a view")),
        }
    }
}

/// The parts of a name that is written as in SQL.
fn parts(name: &str) -> Result<Vec<String>, SqlError> {
    let dialect = SnowflakeDialect;
    let mut parser =
        Parser::new(&dialect).try_with_sql(name).map_err(|error| parse_error(&error))?;
    let parsed = parser.parse_object_name(false).map_err(|error| parse_error(&error))?;
    if parser.peek_token_ref().token != Token::EOF {
        return Err(syntax(format!("unexpected name '{name}'")));
    }
    let part = |part: &ObjectNamePart| {
        let identifier = part.as_ident().ok_or_else(|| unsupported("this table name"))?;
        Ok(match identifier.quote_style {
            Some(_) => identifier.value.clone(),
            None => identifier.value.to_uppercase(),
        })
    };
    parsed.0.iter().map(part).collect()
}
