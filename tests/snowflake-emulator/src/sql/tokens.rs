//! Reads statements token by token: what Snowflake's own grammar has and sqlparser lacks.

mod named;

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::dialect::SnowflakeDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

use super::carrier::{BINARY_LENGTH, TEXT_LENGTH};
use super::error::{compile, syntax, unsupported};
use crate::engine::{Bind, SqlError};
use crate::types::{SnowType, VectorElement};

/// The tokens of one statement.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    text: Arc<str>,
    tokens: Vec<TokenWithSpan>,
    at: usize,
}

/// Cuts a text at its semicolons; empty statements are left out.
pub(crate) fn split(sql: &str) -> Result<Vec<Tokens>, SqlError> {
    let all = Tokenizer::new(&SnowflakeDialect, sql)
        .tokenize_with_location()
        .map_err(|error| syntax(error.to_string()))?;
    let text: Arc<str> = Arc::from(sql);
    let mut statements = Vec::new();
    let mut current = Vec::new();
    for token in all {
        if token.token == Token::SemiColon {
            statements.push(std::mem::take(&mut current));
        } else if !matches!(token.token, Token::Whitespace(_) | Token::EOF) {
            current.push(token);
        }
    }
    statements.push(current);
    let filled = statements.into_iter().filter(|tokens| !tokens.is_empty());
    Ok(filled.map(|tokens| Tokens { text: Arc::clone(&text), tokens, at: 0 }).collect())
}

/// Reads a type as [`SnowType`] is shown, such as `NUMBER(38,0)`.
pub(crate) fn parse_type(text: &str) -> Result<SnowType, SqlError> {
    // A statement must say what a MAP holds; the type that is shown does not.
    if text == "MAP" {
        return Ok(SnowType::Map);
    }
    let statements = split(text)?;
    let mut tokens = statements.into_iter().next().ok_or_else(|| syntax("empty type"))?;
    let data_type = tokens.data_type()?;
    tokens.end()?;
    Ok(data_type)
}

impl Tokens {
    /// The tokens from here on, for sqlparser.
    ///
    /// Unquoted words become upper case, which is all of Snowflake's rule for identifiers; words
    /// of a path into a VARIANT (`v:name.part`) keep their case. Binds get their number.
    pub(crate) fn for_parser(&self) -> Vec<TokenWithSpan> {
        let mut out: Vec<TokenWithSpan> = Vec::new();
        let mut binds = 0;
        let mut in_path = false;
        let mut rest = self.tokens.iter().skip(self.at).peekable();
        while let Some(found) = rest.next() {
            let mut token = found.clone();
            let after_value = out.last().is_some_and(|last| {
                matches!(
                    last.token,
                    Token::Word(_) | Token::RParen | Token::RBracket | Token::SingleQuotedString(_)
                )
            });
            // `{'a': 1}` is no bind; a path never goes on with a number.
            let after_text =
                out.last().is_some_and(|last| matches!(last.token, Token::SingleQuotedString(_)));
            in_path = match &token.token {
                Token::Colon => after_value,
                Token::Word(_) | Token::Period | Token::LBracket | Token::RBracket => in_path,
                Token::Number(..) | Token::SingleQuotedString(_) => in_path,
                _ => false,
            };
            match (&token.token, rest.peek().map(|next| &next.token)) {
                (Token::Word(word), _) if word.quote_style.is_none() && !in_path => {
                    let upper = Word { value: word.value.to_uppercase(), ..word.clone() };
                    token.token = Token::Word(upper);
                }
                (Token::Placeholder(mark), _) if mark == "?" => {
                    binds += 1;
                    token.token = Token::Placeholder(format!("?{binds}"));
                }
                (Token::Colon, Some(Token::Number(digits, _))) if !after_text => {
                    token.token = Token::Placeholder(format!("?{digits}"));
                    rest.next();
                }
                _ => {}
            }
            // A path ends with the word after which neither a dot nor a bracket follows.
            let path_goes_on = matches!(
                (&token.token, rest.peek().map(|next| &next.token)),
                (Token::Colon | Token::Period | Token::LBracket, _)
                    | (_, Some(Token::Period | Token::LBracket | Token::RBracket))
            );
            in_path = in_path && path_goes_on;
            out.push(token);
        }
        out
    }

    /// The tokens from here to where `end`, a later state of these, stands.
    pub(crate) fn up_to(&self, end: &Self) -> Self {
        let tokens = self.tokens.iter().take(end.at).cloned().collect();
        Self { text: Arc::clone(&self.text), tokens, at: self.at }
    }

    /// The source of the statement from here on.
    pub(crate) fn source(&self) -> String {
        match (self.tokens.get(self.at), self.tokens.last()) {
            (Some(first), Some(last)) => self.between(first, last).to_owned(),
            _ => String::new(),
        }
    }

    /// The tokens from here on with their sources; the flag tells that nothing, not even a blank,
    /// stands between a token and the one before it.
    pub(crate) fn pieces(&self) -> Vec<(Token, String, bool)> {
        let mut end = None;
        let rest = self.tokens.iter().skip(self.at);
        rest.map(|token| {
            let touches = end == Some(token.span.start);
            end = Some(token.span.end);
            (token.token.clone(), self.between(token, token).to_owned(), touches)
        })
        .collect()
    }

    /// The source from the next token to the blank, comma or parenthesis after it; a string counts
    /// with its content.
    pub(crate) fn unbroken(&mut self) -> Result<String, SqlError> {
        if let Some(Token::SingleQuotedString(_)) = self.peek() {
            return self.string();
        }
        let mut text = String::new();
        for (token, source, touches) in self.pieces() {
            let ends = matches!(token, Token::RParen | Token::LParen | Token::Comma);
            if ends || (!text.is_empty() && !touches) {
                break;
            }
            text.push_str(&source);
            self.at += 1;
        }
        if text.is_empty() { Err(self.unexpected()) } else { Ok(text) }
    }

    /// The tokens with binds in the place of their marks, for statements that sqlparser never sees.
    ///
    /// Binds without a literal, such as dates, leave all marks as they are.
    pub(crate) fn bound(mut self, binds: &[Bind]) -> Result<Self, SqlError> {
        let literal = |bind: &Bind| matches!(&*bind.kind, "TEXT" | "FIXED" | "REAL" | "BOOLEAN");
        if !binds.iter().all(literal) {
            return Ok(self);
        }
        let mut used = 0;
        for token in &mut self.tokens {
            if token.token == Token::Placeholder("?".to_owned()) {
                used += 1;
                let missing =
                    || compile("002049", "42601", format!("Bind variable ?{used} not set."));
                let bind = binds.get(used - 1).ok_or_else(missing)?;
                token.token = match (&bind.value, bind.kind.as_str()) {
                    (None, _) => Token::make_keyword("NULL"),
                    (Some(value), "FIXED" | "REAL") => Token::Number(value.clone(), false),
                    (Some(value), "BOOLEAN") => Token::make_keyword(&value.to_uppercase()),
                    (Some(value), _) => Token::SingleQuotedString(value.clone()),
                };
            }
        }
        Ok(self)
    }

    /// The source texts of the items of the outermost SELECT list, in upper case.
    ///
    /// Snowflake names a column without an alias by its text.
    pub(crate) fn select_items(&self) -> Vec<String> {
        let mut items = Vec::new();
        let mut depth = 0_i32;
        let mut start: Option<usize> = None;
        let mut previous = self.at;
        for (index, token) in self.tokens.iter().enumerate().skip(self.at) {
            match &token.token {
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
                _ => {}
            }
            let word = if depth == 0 { plain_word(&token.token) } else { None };
            match (start, word.as_deref()) {
                (None, Some("SELECT")) => start = Some(index + 1),
                (Some(from), Some("DISTINCT" | "ALL")) if from == index => start = Some(index + 1),
                (Some(from), Some("FROM" | "UNION" | "WHERE" | "ORDER" | "LIMIT")) => {
                    self.push_item(from, previous, &mut items);
                    return items;
                }
                (Some(from), None) if depth == 0 && token.token == Token::Comma => {
                    self.push_item(from, previous, &mut items);
                    start = Some(index + 1);
                }
                _ => {}
            }
            previous = index;
        }
        if let Some(from) = start {
            self.push_item(from, previous, &mut items);
        }
        items
    }

    fn push_item(&self, from: usize, to: usize, items: &mut Vec<String>) {
        let pair = self.tokens.get(from).zip(self.tokens.get(to));
        items.push(pair.map_or_else(String::new, |(a, b)| self.between(a, b).to_uppercase()));
    }

    fn between(&self, first: &TokenWithSpan, last: &TokenWithSpan) -> &str {
        let start = self.offset(first.span.start);
        let end = self.offset(last.span.end);
        self.text.get(start..end).unwrap_or_default()
    }

    /// The byte at a line and column, both counted from 1, columns in characters.
    fn offset(&self, location: Location) -> usize {
        let lines_before = usize::try_from(location.line.saturating_sub(1)).unwrap_or(0);
        let columns = usize::try_from(location.column.saturating_sub(1)).unwrap_or(0);
        let mut start = 0;
        for line in self.text.split_inclusive('\n').take(lines_before) {
            start += line.len();
        }
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.char_indices().nth(columns).map_or(rest.len(), |(at, _)| at)
    }

    /// The next token.
    pub(crate) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    fn peek_after(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|token| &token.token)
    }

    /// Takes the next token, whatever it is.
    pub(crate) fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    /// Whether unquoted words follow; nothing is taken.
    pub(crate) fn at_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(index, word)| {
            self.peek_after(index).and_then(plain_word).as_deref() == Some(*word)
        })
    }

    /// Takes words (separated by blanks in `words`) if they follow.
    pub(crate) fn eat(&mut self, words: &str) -> bool {
        let list: Vec<&str> = words.split(' ').collect();
        let found = self.at_words(&list);
        if found {
            self.at += list.len();
        }
        found
    }

    /// Takes words that must follow.
    pub(crate) fn expect(&mut self, words: &str) -> Result<(), SqlError> {
        if self.eat(words) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Takes a token if it follows.
    pub(crate) fn eat_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    /// Takes a token that must follow.
    pub(crate) fn expect_token(&mut self, token: &Token) -> Result<(), SqlError> {
        if self.eat_token(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Fails unless the statement is over.
    pub(crate) fn end(&self) -> Result<(), SqlError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Whether the statement is over.
    pub(crate) fn is_at_end(&self) -> bool {
        self.peek().is_none()
    }

    /// The error for the next token.
    pub(crate) fn unexpected(&self) -> SqlError {
        match self.tokens.get(self.at) {
            Some(token) => {
                let Location { line, column } = token.span.start;
                let position = column.saturating_sub(1);
                let shown = &token.token;
                syntax(format!("line {line} at position {position} unexpected '{shown}'."))
            }
            None => {
                let end = self.tokens.last().map(|token| token.span.end);
                let (line, column) = end.map_or((1, 1), |end| (end.line, end.column));
                let position = column.saturating_sub(1);
                syntax(format!("line {line} at position {position} unexpected '<EOF>'."))
            }
        }
    }

    /// An identifier: quoted as it is, unquoted in upper case.
    pub(crate) fn identifier(&mut self) -> Result<String, SqlError> {
        match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() => {
                let name = word.value.to_uppercase();
                self.at += 1;
                Ok(name)
            }
            Some(Token::Word(word)) => {
                let name = word.value.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A name of one to three identifiers; an empty part stands for `..`.
    pub(crate) fn name(&mut self) -> Result<Vec<String>, SqlError> {
        if self.eat("IDENTIFIER") {
            self.expect_token(&Token::LParen)?;
            let text = self.string()?;
            self.expect_token(&Token::RParen)?;
            let inner = split(&text)?.into_iter().next();
            return inner.ok_or_else(|| syntax("empty identifier"))?.name();
        }
        let mut parts = vec![self.identifier()?];
        while self.eat_token(&Token::Period) {
            if self.peek() == Some(&Token::Period) {
                parts.push(String::new());
            } else {
                parts.push(self.identifier()?);
            }
        }
        Ok(parts)
    }

    /// A string literal.
    pub(crate) fn string(&mut self) -> Result<String, SqlError> {
        let text = match self.peek() {
            Some(Token::SingleQuotedString(text)) => text.clone(),
            Some(Token::DollarQuotedString(text)) => text.value.clone(),
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(text)
    }

    /// A whole number.
    pub(crate) fn integer(&mut self) -> Result<u64, SqlError> {
        let Some(Token::Number(digits, _)) = self.peek() else { return Err(self.unexpected()) };
        let number = digits.parse().map_err(|_| self.unexpected())?;
        self.at += 1;
        Ok(number)
    }

    /// The source of one simple expression: a literal, a function call, with sign and casts.
    pub(crate) fn primary_source(&mut self) -> Result<String, SqlError> {
        let first = self.at;
        let _sign = self.eat_token(&Token::Minus) || self.eat_token(&Token::Plus);
        if self.peek() != Some(&Token::LParen) {
            self.next().ok_or_else(|| syntax("unexpected '<EOF>'."))?;
        }
        if self.peek() == Some(&Token::LParen) {
            self.skip_parentheses()?;
        }
        while self.eat_token(&Token::DoubleColon) {
            self.data_type()?;
        }
        let pair = self.tokens.get(first).zip(self.tokens.get(self.at.saturating_sub(1)));
        Ok(pair.map_or_else(String::new, |(a, b)| self.between(a, b).to_owned()))
    }

    /// Skips from `(` to its `)`.
    pub(crate) fn skip_parentheses(&mut self) -> Result<(), SqlError> {
        let mut depth = 0;
        loop {
            match self.next() {
                Some(Token::LParen) => depth += 1,
                Some(Token::RParen) => depth -= 1,
                Some(_) => {}
                None => return Err(self.unexpected()),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// A type with its synonyms and default sizes.
    pub(crate) fn data_type(&mut self) -> Result<SnowType, SqlError> {
        let name = self.identifier()?;
        let data_type = match name.as_str() {
            "NUMBER" | "DECIMAL" | "NUMERIC" | "DEC" => self.number_type()?,
            "INT" | "INTEGER" | "BIGINT" | "SMALLINT" | "TINYINT" | "BYTEINT" => SnowType::INTEGER,
            "FLOAT" | "FLOAT4" | "FLOAT8" | "REAL" => SnowType::Float,
            "DOUBLE" => {
                self.eat("PRECISION");
                SnowType::Float
            }
            "DECFLOAT" => SnowType::Decfloat,
            "VARCHAR" | "STRING" | "TEXT" | "NVARCHAR" | "NVARCHAR2" => {
                self.text_type(TEXT_LENGTH)?
            }
            "CHAR" | "CHARACTER" | "NCHAR" => {
                let varying = self.eat("VARYING");
                self.text_type(if varying { TEXT_LENGTH } else { 1 })?
            }
            "BINARY" | "VARBINARY" => {
                SnowType::Binary { length: self.length()?.unwrap_or(BINARY_LENGTH) }
            }
            "BOOLEAN" | "BOOL" => SnowType::Boolean,
            "DATE" => SnowType::Date,
            "TIME" => SnowType::Time { scale: self.time_scale()? },
            "DATETIME" | "TIMESTAMP_NTZ" | "TIMESTAMPNTZ" => {
                SnowType::TimestampNtz { scale: self.time_scale()? }
            }
            "TIMESTAMP_LTZ" | "TIMESTAMPLTZ" => {
                SnowType::TimestampLtz { scale: self.time_scale()? }
            }
            "TIMESTAMP_TZ" | "TIMESTAMPTZ" => SnowType::TimestampTz { scale: self.time_scale()? },
            "TIMESTAMP" => self.timestamp_type()?,
            "VARIANT" => SnowType::Variant,
            "OBJECT" => SnowType::Object,
            "ARRAY" => SnowType::Array,
            "GEOGRAPHY" => SnowType::Geography,
            "GEOMETRY" => SnowType::Geometry,
            "VECTOR" => self.vector_type()?,
            "MAP" => {
                self.skip_parentheses()?;
                SnowType::Map
            }
            _ => {
                return Err(compile("002040", "42601", format!("Unsupported data type '{name}'.")));
            }
        };
        let structured = matches!(data_type, SnowType::Object | SnowType::Array);
        if structured && self.peek() == Some(&Token::LParen) {
            return Err(unsupported("structured type"));
        }
        Ok(data_type)
    }

    fn length(&mut self) -> Result<Option<u32>, SqlError> {
        if !self.eat_token(&Token::LParen) {
            return Ok(None);
        }
        let length = self.integer()?;
        self.expect_token(&Token::RParen)?;
        let too_long = || compile("000002", "42601", format!("Invalid length {length} for type"));
        let valid = u32::try_from(length).ok().filter(|length| (1..=134_217_728).contains(length));
        valid.map(Some).ok_or_else(too_long)
    }

    fn text_type(&mut self, default: u32) -> Result<SnowType, SqlError> {
        Ok(SnowType::Text { length: self.length()?.unwrap_or(default) })
    }

    fn time_scale(&mut self) -> Result<u8, SqlError> {
        if !self.eat_token(&Token::LParen) {
            return Ok(9);
        }
        let scale = self.integer()?;
        self.expect_token(&Token::RParen)?;
        let valid = u8::try_from(scale).ok().filter(|scale| *scale <= 9);
        valid.ok_or_else(|| compile("001067", "42601", format!("Invalid scale {scale}.")))
    }

    fn timestamp_type(&mut self) -> Result<SnowType, SqlError> {
        let scale = self.time_scale()?;
        if self.eat("WITH LOCAL TIME ZONE") {
            return Ok(SnowType::TimestampLtz { scale });
        }
        if self.eat("WITH TIME ZONE") {
            return Ok(SnowType::TimestampTz { scale });
        }
        self.eat("WITHOUT TIME ZONE");
        Ok(SnowType::TimestampNtz { scale })
    }

    fn number_type(&mut self) -> Result<SnowType, SqlError> {
        if !self.eat_token(&Token::LParen) {
            return Ok(SnowType::INTEGER);
        }
        let precision = self.integer()?;
        let scale = if self.eat_token(&Token::Comma) { self.integer()? } else { 0 };
        self.expect_token(&Token::RParen)?;
        let valid = (1..=38).contains(&precision) && scale <= precision && scale <= 37;
        match (u8::try_from(precision), i8::try_from(scale)) {
            (Ok(precision), Ok(scale)) if valid => Ok(SnowType::Number { precision, scale }),
            _ => {
                let message = format!("Invalid type [NUMBER({precision},{scale})]");
                Err(compile("002047", "42601", message))
            }
        }
    }

    fn vector_type(&mut self) -> Result<SnowType, SqlError> {
        self.expect_token(&Token::LParen)?;
        let element = match self.identifier()?.as_str() {
            "FLOAT" => VectorElement::Float,
            "INT" | "INTEGER" => VectorElement::Int,
            _ => return Err(self.unexpected()),
        };
        self.expect_token(&Token::Comma)?;
        let size = self.integer()?;
        self.expect_token(&Token::RParen)?;
        let valid = i32::try_from(size).ok().filter(|size| (1..=4096).contains(size));
        let dimension = valid.ok_or_else(|| unsupported(format!("vector dimension {size}")))?;
        Ok(SnowType::Vector { element, dimension })
    }
}

/// The upper-case text of an unquoted word.
fn plain_word(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    }
}

/// A token for trees that are made here instead of parsed.
pub(crate) fn no_token() -> AttachedToken {
    AttachedToken::empty()
}
