//! Statements about roles, grants, warehouses, users and network policies.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::create::if_exists;
use super::setting;
use crate::account::Grantee;
use crate::catalog::IfExists;
use crate::engine::SqlError;
use crate::sql::error::unsupported;
use crate::sql::tokens::Tokens;

/// A value of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    /// A text, a number, a name or TRUE and FALSE.
    Text(String),
    List(Vec<String>),
}

/// Properties by name, in the order in which they were given.
pub(crate) type Properties = Vec<(String, Property)>;

/// What a grant is on.
#[derive(Clone, Debug)]
pub(crate) enum GrantedOn {
    Account,
    /// One object of a kind such as `TABLE`.
    One(&'static str, Vec<String>),
    /// All tables, views or schemas of a schema or database (true for a schema).
    All(&'static str, Container, Vec<String>),
    /// Those made later.
    Future(&'static str, Container, Vec<String>),
}

/// Where ALL and FUTURE look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Schema,
    Database,
}

/// GRANT or REVOKE of privileges.
#[derive(Clone, Debug)]
pub(crate) struct Privileges {
    /// None for ALL.
    pub names: Vec<String>,
    pub on: GrantedOn,
    pub role: String,
    pub with_option: bool,
    /// COPY or REVOKE of what others have, with OWNERSHIP.
    pub current: Option<CurrentGrants>,
}

/// What becomes of the grants of an object that gets another owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CurrentGrants {
    Copy,
    Revoke,
}

/// What can be made, changed and dropped in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountObject {
    Role,
    Warehouse,
    User,
    NetworkRule,
    NetworkPolicy,
}

/// A statement of this module.
#[derive(Clone, Debug)]
pub(crate) enum AccountCommand {
    Create {
        object: AccountObject,
        if_exists: IfExists,
        name: Vec<String>,
        with: Properties,
    },
    Drop {
        object: AccountObject,
        if_exists: bool,
        name: Vec<String>,
    },
    Set {
        object: AccountObject,
        if_exists: bool,
        name: Vec<String>,
        with: Properties,
    },
    Unset {
        object: AccountObject,
        name: Vec<String>,
        names: Vec<String>,
    },
    Suspend {
        name: Vec<String>,
    },
    Resume {
        name: Vec<String>,
        if_suspended: bool,
    },
    /// `None` takes the account's policy away.
    AccountPolicy(Option<String>),
    /// The time zone of sessions that ask for none.
    AccountZone(String),
    GrantRole {
        role: String,
        to: Grantee,
    },
    RevokeRole {
        role: String,
        from: Grantee,
    },
    Grant(Privileges),
    Revoke(Privileges),
}

const OBJECTS: [(&str, AccountObject); 5] = [
    ("NETWORK POLICY", AccountObject::NetworkPolicy),
    ("NETWORK RULE", AccountObject::NetworkRule),
    ("ROLE", AccountObject::Role),
    ("USER", AccountObject::User),
    ("WAREHOUSE", AccountObject::Warehouse),
];

const KINDS: [(&str, &str); 10] = [
    ("TABLE", "TABLES"),
    ("VIEW", "VIEWS"),
    ("SCHEMA", "SCHEMAS"),
    ("DATABASE", "DATABASES"),
    ("WAREHOUSE", "WAREHOUSES"),
    ("STAGE", "STAGES"),
    ("FILE FORMAT", "FILE FORMATS"),
    ("INTEGRATION", "INTEGRATIONS"),
    ("SEQUENCE", "SEQUENCES"),
    ("STREAM", "STREAMS"),
];

fn object(tokens: &mut Tokens) -> Option<AccountObject> {
    OBJECTS.into_iter().find(|(words, _)| tokens.eat(words)).map(|(_, object)| object)
}

/// What follows CREATE, if it is an object of the account.
pub(super) fn create(
    tokens: &mut Tokens,
    replace: bool,
) -> Result<Option<AccountCommand>, SqlError> {
    let Some(object) = object(tokens) else { return Ok(None) };
    let if_exists = if_exists(tokens, replace);
    let name = tokens.name()?;
    tokens.eat("WITH");
    let with = properties(tokens)?;
    Ok(Some(AccountCommand::Create { object, if_exists, name, with }))
}

/// What follows DROP, if it is an object of the account.
pub(super) fn drop(tokens: &mut Tokens) -> Result<Option<AccountCommand>, SqlError> {
    let Some(object) = object(tokens) else { return Ok(None) };
    let if_exists = tokens.eat("IF EXISTS");
    Ok(Some(AccountCommand::Drop { object, if_exists, name: tokens.name()? }))
}

/// What follows ALTER, if it is the account or an object of it.
pub(super) fn alter(tokens: &mut Tokens) -> Result<Option<AccountCommand>, SqlError> {
    if tokens.eat("ACCOUNT") {
        return account(tokens).map(Some);
    }
    let Some(object) = object(tokens) else { return Ok(None) };
    let if_exists = tokens.eat("IF EXISTS");
    let name = tokens.name()?;
    if object == AccountObject::Warehouse && tokens.eat("SUSPEND") {
        return Ok(Some(AccountCommand::Suspend { name }));
    }
    if object == AccountObject::Warehouse && tokens.eat("RESUME") {
        let if_suspended = tokens.eat("IF SUSPENDED");
        return Ok(Some(AccountCommand::Resume { name, if_suspended }));
    }
    if tokens.eat("UNSET") {
        let mut names = vec![tokens.identifier()?];
        while tokens.eat_token(&Token::Comma) {
            names.push(tokens.identifier()?);
        }
        return Ok(Some(AccountCommand::Unset { object, name, names }));
    }
    tokens.expect("SET")?;
    let with = properties(tokens)?;
    Ok(Some(AccountCommand::Set { object, if_exists, name, with }))
}

fn account(tokens: &mut Tokens) -> Result<AccountCommand, SqlError> {
    if tokens.eat("UNSET NETWORK_POLICY") {
        return Ok(AccountCommand::AccountPolicy(None));
    }
    tokens.expect("SET")?;
    match properties(tokens)?.as_slice() {
        [(name, Property::Text(policy))] if name == "NETWORK_POLICY" => {
            Ok(AccountCommand::AccountPolicy(Some(policy.clone())))
        }
        [(name, Property::Text(zone))] if name == "TIMEZONE" => {
            Ok(AccountCommand::AccountZone(zone.clone()))
        }
        _ => Err(unsupported("this ALTER ACCOUNT")),
    }
}

/// `NAME = value` as long as there are any.
fn properties(tokens: &mut Tokens) -> Result<Properties, SqlError> {
    let mut found = Vec::new();
    while !tokens.is_at_end() {
        let name = tokens.identifier()?;
        if name != "COMMENT" || tokens.peek() == Some(&Token::Eq) {
            tokens.expect_token(&Token::Eq)?;
        }
        let value = if tokens.eat_token(&Token::LParen) {
            let mut items = Vec::new();
            while !tokens.eat_token(&Token::RParen) {
                items.push(setting(tokens)?);
                tokens.eat_token(&Token::Comma);
            }
            Property::List(items)
        } else {
            Property::Text(value(tokens)?)
        };
        found.push((name, value));
        tokens.eat_token(&Token::Comma);
    }
    Ok(found)
}

/// A setting; a quoted identifier keeps its case.
fn value(tokens: &mut Tokens) -> Result<String, SqlError> {
    match tokens.peek() {
        Some(Token::Word(word)) if word.quote_style.is_some() => tokens.identifier(),
        _ => setting(tokens),
    }
}

/// What follows GRANT.
pub(super) fn grant(tokens: &mut Tokens) -> Result<AccountCommand, SqlError> {
    if tokens.eat("ROLE") {
        let role = tokens.identifier()?;
        tokens.expect("TO")?;
        return Ok(AccountCommand::GrantRole { role, to: grantee(tokens)? });
    }
    let (names, on) = names_and_object(tokens)?;
    tokens.expect("TO")?;
    tokens.eat("ROLE");
    let role = tokens.identifier()?;
    let with_option = tokens.eat("WITH GRANT OPTION");
    let current = if tokens.eat("COPY CURRENT GRANTS") {
        Some(CurrentGrants::Copy)
    } else if tokens.eat("REVOKE CURRENT GRANTS") {
        Some(CurrentGrants::Revoke)
    } else {
        None
    };
    Ok(AccountCommand::Grant(Privileges { names, on, role, with_option, current }))
}

/// What follows REVOKE.
pub(super) fn revoke(tokens: &mut Tokens) -> Result<AccountCommand, SqlError> {
    if tokens.at_words(&["GRANT", "OPTION"]) {
        return Err(unsupported("REVOKE GRANT OPTION FOR"));
    }
    if tokens.eat("ROLE") {
        let role = tokens.identifier()?;
        tokens.expect("FROM")?;
        return Ok(AccountCommand::RevokeRole { role, from: grantee(tokens)? });
    }
    let (names, on) = names_and_object(tokens)?;
    tokens.expect("FROM")?;
    tokens.eat("ROLE");
    let role = tokens.identifier()?;
    let _mode = tokens.eat("CASCADE") || tokens.eat("RESTRICT");
    let privileges = Privileges { names, on, role, with_option: false, current: None };
    Ok(AccountCommand::Revoke(privileges))
}

fn grantee(tokens: &mut Tokens) -> Result<Grantee, SqlError> {
    if tokens.eat("USER") {
        return Ok(Grantee::User(tokens.identifier()?));
    }
    tokens.expect("ROLE")?;
    Ok(Grantee::Role(tokens.identifier()?))
}

fn names_and_object(tokens: &mut Tokens) -> Result<(Vec<String>, GrantedOn), SqlError> {
    let mut names = Vec::new();
    if tokens.eat("ALL") {
        tokens.eat("PRIVILEGES");
        tokens.expect("ON")?;
        return Ok((names, granted_on(tokens)?));
    }
    loop {
        let mut words = vec![tokens.identifier()?];
        while !tokens.at_words(&["ON"]) && tokens.peek() != Some(&Token::Comma) {
            words.push(tokens.identifier()?);
        }
        names.push(words.join(" "));
        if tokens.eat("ON") {
            return Ok((names, granted_on(tokens)?));
        }
        tokens.expect_token(&Token::Comma)?;
    }
}

fn granted_on(tokens: &mut Tokens) -> Result<GrantedOn, SqlError> {
    if tokens.eat("ACCOUNT") {
        return Ok(GrantedOn::Account);
    }
    let many = if tokens.eat("ALL") {
        Some(false)
    } else if tokens.eat("FUTURE") {
        Some(true)
    } else {
        None
    };
    if let Some(future) = many {
        let kind = KINDS.into_iter().find(|(_, plural)| tokens.eat(plural));
        let (kind, _) = kind.ok_or_else(|| tokens.unexpected())?;
        tokens.expect("IN")?;
        let container = if tokens.eat("SCHEMA") {
            Container::Schema
        } else {
            tokens.expect("DATABASE")?;
            Container::Database
        };
        let name = tokens.name()?;
        return Ok(match future {
            true => GrantedOn::Future(kind, container, name),
            false => GrantedOn::All(kind, container, name),
        });
    }
    one_object(tokens)
}

/// A kind and a name, as GRANT and SHOW GRANTS ON name an object.
pub(super) fn one_object(tokens: &mut Tokens) -> Result<GrantedOn, SqlError> {
    let kind = KINDS.into_iter().find(|(single, _)| tokens.eat(single));
    let (kind, _) = kind.ok_or_else(|| tokens.unexpected())?;
    Ok(GrantedOn::One(kind, tokens.name()?))
}
