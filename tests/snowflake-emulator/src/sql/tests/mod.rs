//! Statements and what they give, as tables of cases.
//!
//! A case is SQL and its rows as text: cells joined by `|`, rows by ` / `, NULL as `NULL`,
//! timestamps with nine digits in UTC. A failing statement is its code.

mod changes;
mod conversions;
mod cursors;
mod definitions;
mod grants;
mod queries;
mod remote;
mod staging;
mod statements;
mod tables;
mod transactions;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;

use super::plan::conversion_of;
use super::value::{Reader, Value};
use super::{Engine, EngineOptions};
use crate::engine::{Bind, SessionContext, SqlError};

/// An engine without the CRM and a session with everything current.
struct Fixture {
    engine: Engine,
    session: SessionContext,
    /// The message of the last failure.
    message: String,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(EngineOptions::default().idle_transaction).await
    }

    async fn with(idle_transaction: Duration) -> Self {
        let options = EngineOptions { tpch_scale: 0.001, crm: false, idle_transaction };
        let engine = Engine::new(options).await.unwrap();
        let session = SessionContext {
            user: "ANNA".to_owned(),
            account: "ACME".to_owned(),
            session_id: 7,
            role: Some("SYSADMIN".to_owned()),
            warehouse: Some("COMPUTE_WH".to_owned()),
            ..SessionContext::default()
        };
        let mut fixture = Self { engine, session, message: String::new() };
        fixture.text("CREATE DATABASE D").await;
        fixture
    }

    async fn rows(&mut self, sql: &str, binds: &[Bind]) -> Result<Vec<Vec<String>>, SqlError> {
        let outcome = self.engine.execute(&mut self.session, sql, binds).await?;
        let shown = SessionContext {
            parameters: BTreeMap::from([
                (
                    "TIMESTAMP_OUTPUT_FORMAT".to_owned(),
                    "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM".to_owned(),
                ),
                ("TIMESTAMP_NTZ_OUTPUT_FORMAT".to_owned(), "YYYY-MM-DD HH24:MI:SS.FF9".to_owned()),
                ("TIME_OUTPUT_FORMAT".to_owned(), "HH24:MI:SS.FF9".to_owned()),
            ]),
            ..SessionContext::default()
        };
        let conversion = conversion_of(&shown).unwrap();
        let fields: Vec<_> = outcome
            .columns
            .iter()
            .map(|column| column.data_type.field(&column.name, column.nullable))
            .collect();
        let batches: Vec<_> = outcome.rows.try_collect().await.map_err(super::plan::translate)?;
        let mut rows = Vec::new();
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let mut cells = Vec::new();
                for (array, field) in batch.columns().iter().zip(&fields) {
                    assert_eq!(array.data_type(), field.data_type(), "{sql}: {field}");
                    cells.push(match Reader::new(array, field).get(row)? {
                        Value::Null => "NULL".to_owned(),
                        Value::Json(text) => text,
                        value => conversion.text(&value),
                    });
                }
                rows.push(cells);
            }
        }
        Ok(rows)
    }

    /// The rows, or the code of the failure.
    async fn text(&mut self, sql: &str) -> String {
        self.bound(sql, &[]).await
    }

    async fn bound(&mut self, sql: &str, binds: &[(&str, &str)]) -> String {
        let binds: Vec<Bind> = binds
            .iter()
            .map(|(kind, value)| Bind {
                kind: (*kind).to_owned(),
                value: Some((*value).to_owned()),
            })
            .collect();
        match self.rows(sql, &binds).await {
            Ok(rows) => rows.iter().map(|row| row.join("|")).collect::<Vec<_>>().join(" / "),
            Err(error) => {
                self.message = error.message;
                error.code.to_owned()
            }
        }
    }

    /// The same as another session would see it.
    async fn text_as(&mut self, session_id: u64, sql: &str) -> String {
        let own = std::mem::replace(&mut self.session.session_id, session_id);
        let text = self.text(sql).await;
        self.session.session_id = own;
        text
    }

    /// Runs the cases of several sessions in order and tells all that differ.
    async fn play(&mut self, cases: &[(u64, &str, &str)]) {
        let mut wrong = Vec::new();
        for (session_id, sql, expected) in cases {
            let got = self.text_as(*session_id, sql).await;
            if got != *expected {
                let message = &self.message;
                wrong.push(format!(
                    "{session_id}: {sql}\n  expected {expected}\n  got      {got} ({message})"
                ));
            }
        }
        assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// Runs the cases in order and tells all that differ.
    async fn check(&mut self, cases: &[(&str, &str)]) {
        let mut wrong = Vec::new();
        for (sql, expected) in cases {
            let got = self.text(sql).await;
            if got != *expected {
                let message = &self.message;
                wrong.push(format!("{sql}\n  expected {expected}\n  got      {got} ({message})"));
            }
        }
        assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// The types of a query's columns.
    async fn types(&self, sql: &str) -> String {
        match self.engine.describe(&self.session, sql, &[]).await {
            Ok(columns) => {
                let shown = columns.iter().map(|column| column.data_type.to_string());
                shown.collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.code.to_owned(),
        }
    }
}
