//! Plans UNION and VALUES in FROM and WITH before what reads them.
//!
//! The columns of a UNION have the common types of its branches, which are known only once it is
//! planned; what compares or casts such a column must see them, or it would compare by the types of
//! the first branch. So each is compiled by itself and stands in the query as a marked table.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::{TableProvider, view::ViewTable};
use datafusion::sql::sqlparser::ast::{
    Cte, Ident, Query, SelectItem, SetExpr, TableFactor, VisitMut, VisitorMut,
    WildcardAdditionalOptions, With,
};

use super::{Planning, lower, translate};
use crate::engine::SqlError;
use crate::sql::rewrite::{MARK, empty_select, table_named};

/// The name behind the mark by which a query reads what was planned before it.
pub(super) const PLANNED: &str = "PLANNED";

/// Tables that stand for subqueries, in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planned {
    pub tables: Vec<Arc<dyn TableProvider>>,
    /// Whether any of them reads a table.
    pub scans: bool,
}

/// Plans the set operations inside a query and puts marks in their place.
pub(super) fn plan(planning: &Planning<'_>, query: &mut Query) -> Result<Planned, SqlError> {
    // What stands in an outer query keeps its numbers in the inner one.
    let mut pass = Pass { planning, with: Vec::new(), planned: planning.planned.clone() };
    match query.visit(&mut pass) {
        ControlFlow::Continue(()) => Ok(pass.planned),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Pass<'a, 'b> {
    planning: &'a Planning<'b>,
    /// The WITH clauses around the present place, outermost first.
    with: Vec<Option<With>>,
    planned: Planned,
}

/// Whether a query unites rows of several types.
fn unites(body: &SetExpr) -> bool {
    match body {
        SetExpr::SetOperation { .. } => true,
        SetExpr::Values(values) => values.rows.len() > 1,
        SetExpr::Query(query) => unites(&query.body),
        _ => false,
    }
}

impl Pass<'_, '_> {
    /// Compiles a subquery with the common tables around it and returns its marked table.
    fn stand_in(&mut self, mut query: Query) -> Result<TableFactor, SqlError> {
        let around: Vec<Cte> =
            self.with.iter().flatten().flat_map(|with| with.cte_tables.iter().cloned()).collect();
        if let (false, Some(first)) = (around.is_empty(), self.with.iter().flatten().next()) {
            let own = query.with.take().map(|with| with.cte_tables).unwrap_or_default();
            let cte_tables = around.into_iter().chain(own).collect();
            query.with = Some(With { cte_tables, ..first.clone() });
        }
        let planning = Planning { planned: self.planned.clone(), ..self.planning.clone() };
        let compiled = planning.compile(query, None)?;
        let names: Vec<String> =
            compiled.columns.iter().map(|column| column.name.clone()).collect();
        let plan = lower::renamed(compiled.plan, &names).map_err(translate)?;
        let index = self.planned.tables.len();
        self.planned.tables.push(Arc::new(ViewTable::new(plan, None)));
        self.planned.scans |= compiled.scans;
        let marked = Ident::with_quote('"', format!("{MARK}{PLANNED}{MARK}{index}"));
        Ok(table_named(marked.into(), None))
    }

    fn common_tables(&mut self, query: &mut Query) -> Result<(), SqlError> {
        let Some(with) = &mut query.with else { return Ok(()) };
        for index in 0..with.cte_tables.len() {
            let earlier: Vec<Cte> = with.cte_tables.iter().take(index).cloned().collect();
            let Some(cte) = with.cte_tables.get_mut(index) else { continue };
            let place = With { cte_tables: earlier, with_token: with.with_token.clone(), ..*with };
            self.with.push((!place.cte_tables.is_empty()).then_some(place));
            // What a table holds is planned here, where it sees only the tables before it: with
            // itself around it, it would be planned inside of itself without end.
            let factor = if unites(&cte.query.body) {
                self.stand_in(cte.query.as_ref().clone()).map(Some)
            } else {
                match cte.query.visit(self) {
                    ControlFlow::Continue(()) => Ok(None),
                    ControlFlow::Break(error) => Err(error),
                }
            };
            self.with.pop();
            let Some(factor) = factor? else { continue };
            let star = SelectItem::Wildcard(WildcardAdditionalOptions::default());
            let mut select = empty_select();
            select.projection = vec![star];
            select.from = vec![crate::sql::dml::alone(factor)];
            cte.query.with = None;
            *cte.query.body = SetExpr::Select(Box::new(select));
            cte.query.order_by = None;
            cte.query.limit_clause = None;
            cte.query.fetch = None;
        }
        Ok(())
    }

    fn factor(&mut self, factor: &mut TableFactor) -> Result<(), SqlError> {
        let TableFactor::Derived { lateral: false, subquery, alias, sample: None } = factor else {
            return Ok(());
        };
        if !unites(&subquery.body) {
            return Ok(());
        }
        let alias = alias.take();
        let mut made = self.stand_in(subquery.as_ref().clone())?;
        if let TableFactor::Table { alias: given, .. } = &mut made {
            *given = alias;
        }
        *factor = made;
        Ok(())
    }
}

impl VisitorMut for Pass<'_, '_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        if let Err(error) = self.common_tables(query) {
            return ControlFlow::Break(error);
        }
        self.with.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.with.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        match self.factor(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}
