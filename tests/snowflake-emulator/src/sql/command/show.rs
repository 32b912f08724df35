//! SHOW.

use super::account::one_object;
use super::{Container, GrantedOn};
use crate::engine::SqlError;
use crate::sql::error::unsupported;
use crate::sql::show::{Scope, Show, ShowKind};
use crate::sql::tokens::Tokens;

/// What SHOW lists, where and which.
pub(super) fn show(tokens: &mut Tokens) -> Result<Show, SqlError> {
    let _terse = tokens.eat("TERSE");
    if tokens.eat("FUTURE GRANTS IN") {
        let container =
            if tokens.eat("DATABASE") { Container::Database } else { Container::Schema };
        tokens.eat("SCHEMA");
        let mut show = Show::new(ShowKind::Grants);
        show.scope = Scope::Future(container, tokens.name()?);
        return Ok(show);
    }
    let kinds = [
        ("PRIMARY KEYS", ShowKind::PrimaryKeys),
        ("TABLES", ShowKind::Tables),
        ("VIEWS", ShowKind::Views),
        ("OBJECTS", ShowKind::Objects),
        ("SCHEMAS", ShowKind::Schemas),
        ("DATABASES", ShowKind::Databases),
        ("COLUMNS", ShowKind::Columns),
        ("WAREHOUSES", ShowKind::Warehouses),
        ("ROLES", ShowKind::Roles),
        ("PARAMETERS", ShowKind::Parameters),
        ("GRANTS", ShowKind::Grants),
        ("USERS", ShowKind::Users),
        ("NETWORK POLICIES", ShowKind::NetworkPolicies),
        ("TRANSACTIONS", ShowKind::Transactions),
        ("LOCKS", ShowKind::Locks),
    ];
    let Some((_, kind)) = kinds.into_iter().find(|(words, _)| tokens.eat(words)) else {
        return Err(unsupported("this SHOW"));
    };
    tokens.eat("HISTORY");
    let mut show = Show::new(kind);
    if kind == ShowKind::Grants {
        grants(tokens, &mut show)?;
        return Ok(show);
    }
    loop {
        if tokens.eat("LIKE") {
            show.like = Some(tokens.string()?);
        } else if tokens.eat("STARTS WITH") {
            show.starts_with = Some(tokens.string()?);
        } else if tokens.eat("LIMIT") {
            show.limit = Some(tokens.integer()?);
            if tokens.eat("FROM") {
                show.from = Some(tokens.string()?);
            }
        } else if tokens.eat("IN") || tokens.eat("FOR") {
            show.scope = scope(tokens)?;
        } else {
            return Ok(show);
        }
    }
}

fn scope(tokens: &mut Tokens) -> Result<Scope, SqlError> {
    let name = |tokens: &mut Tokens| -> Result<Option<Vec<String>>, SqlError> {
        let ends = tokens.is_at_end()
            || ["LIKE", "STARTS", "LIMIT"].iter().any(|word| tokens.at_words(&[word]));
        if ends { Ok(None) } else { tokens.name().map(Some) }
    };
    Ok(if tokens.eat("ACCOUNT") || tokens.eat("SESSION") {
        Scope::Account
    } else if tokens.eat("DATABASE") {
        Scope::Database(name(tokens)?)
    } else if tokens.eat("SCHEMA") {
        Scope::Schema(name(tokens)?)
    } else if tokens.eat("TABLE") || tokens.eat("VIEW") {
        Scope::Table(tokens.name()?)
    } else {
        Scope::Some(tokens.name()?)
    })
}

fn grants(tokens: &mut Tokens, show: &mut Show) -> Result<(), SqlError> {
    if tokens.eat("TO ROLE") {
        show.scope = Scope::Some(tokens.name()?);
    } else if tokens.eat("TO USER") {
        show.scope = Scope::User(tokens.identifier()?);
    } else if tokens.eat("OF ROLE") {
        show.scope = Scope::OfRole(tokens.identifier()?);
    } else if tokens.eat("ON ACCOUNT") {
        show.scope = Scope::On(GrantedOn::Account);
    } else if tokens.eat("ON") {
        show.scope = Scope::On(one_object(tokens)?);
    } else if !tokens.is_at_end() {
        return Err(unsupported("this SHOW GRANTS"));
    }
    Ok(())
}
