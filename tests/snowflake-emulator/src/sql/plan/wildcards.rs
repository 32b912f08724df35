//! HASH(*) and HASH_AGG(*): the star becomes the columns of the FROM clause.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Select, SelectItem,
    SetExpr, TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions, With,
};

use super::Planning;
use crate::engine::SqlError;
use crate::sql::dml::query_of;
use crate::sql::error::unsupported;
use crate::sql::rewrite::empty_select;
use crate::types::Column;

/// Replaces the stars in a whole query.
pub(super) fn expand(planning: &Planning<'_>, query: &mut Query) -> Result<(), SqlError> {
    let mut expansion = Expansion { planning, with: Vec::new() };
    match query.visit(&mut expansion) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

impl Planning<'_> {
    /// The columns that a FROM clause gives.
    pub(crate) fn columns_of(
        &self,
        from: Vec<TableWithJoins>,
        with: Option<With>,
    ) -> Result<Vec<Column>, SqlError> {
        let star = SelectItem::Wildcard(WildcardAdditionalOptions::default());
        let all = Select { projection: vec![star], from, ..empty_select() };
        let mut query = query_of(Vec::new(), Vec::new(), None);
        query.body = Box::new(SetExpr::Select(Box::new(all)));
        query.with = with;
        Ok(self.compile(query, None)?.columns)
    }
}

struct Expansion<'a, 'b> {
    planning: &'a Planning<'b>,
    /// The WITH clauses around the present place.
    with: Vec<Option<With>>,
}

impl VisitorMut for Expansion<'_, '_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.with.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.with.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        let mut stars = Stars::default();
        let _always_continues = select.projection.visit(&mut stars);
        if !stars.found {
            return ControlFlow::Continue(());
        }
        match self.columns(select) {
            Ok(columns) => {
                let mut stars = Stars { columns, ..Stars::default() };
                let _always_continues = select.projection.visit(&mut stars);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Expansion<'_, '_> {
    fn columns(&self, select: &Select) -> Result<Vec<Expr>, SqlError> {
        let with = self.with.iter().rev().flatten().next().cloned();
        let found = self.planning.columns_of(select.from.clone(), with)?;
        for (index, column) in found.iter().enumerate() {
            if found.iter().take(index).any(|other| other.name == column.name) {
                return Err(unsupported("HASH(*) over columns of the same name"));
            }
        }
        let named = found.iter().map(|column| Ident::with_quote('"', &column.name));
        Ok(named.map(Expr::Identifier).collect())
    }
}

/// Finds the stars of HASH(*) and HASH_AGG(*) outside subqueries, and replaces them if it has
/// columns.
#[derive(Default)]
struct Stars {
    depth: usize,
    found: bool,
    columns: Vec<Expr>,
}

impl VisitorMut for Stars {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (Expr::Function(function), 0) = (expr, self.depth) else {
            return ControlFlow::Continue(());
        };
        let hashes = matches!(function.name.to_string().as_str(), "HASH" | "HASH_AGG");
        let FunctionArguments::List(list) = &mut function.args else {
            return ControlFlow::Continue(());
        };
        let star =
            matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        if hashes && star {
            self.found = true;
            if !self.columns.is_empty() {
                let args = self.columns.iter().cloned().map(FunctionArgExpr::Expr);
                list.args = args.map(FunctionArg::Unnamed).collect();
            }
        }
        ControlFlow::Continue(())
    }
}
