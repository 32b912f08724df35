//! `IDENTIFIER('name')` and `IDENTIFIER(?)` in queries and DML: the name in its place.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{Tokens, plain_word, split};
use crate::engine::Bind;
use crate::engine::SqlError;
use crate::sql::error::syntax;

impl Tokens {
    /// The tokens with names in the place of `IDENTIFIER(…)`. Marks of binds that stay get their
    /// number, because those of names go.
    pub(crate) fn named(mut self, binds: &[Bind]) -> Result<Self, SqlError> {
        if !(0..self.tokens.len()).any(|at| self.names_at(at)) {
            return Ok(self);
        }
        let mut out = Vec::with_capacity(self.tokens.len());
        let (mut at, mut marks) = (0, 0_usize);
        while let Some(found) = self.tokens.get(at) {
            let mut token = found.clone();
            if matches!(&token.token, Token::Placeholder(mark) if mark == "?") {
                marks += 1;
                token.token = Token::Placeholder(format!("?{marks}"));
            }
            if !self.names_at(at) {
                out.push(token);
                at += 1;
                continue;
            }
            let name = match self.tokens.get(at + 2).map(|inner| &inner.token) {
                Some(Token::SingleQuotedString(name)) => Some(name.clone()),
                _ => {
                    marks += 1;
                    binds.get(marks - 1).and_then(|bind| bind.value.clone())
                }
            };
            let name = name.ok_or_else(|| syntax("an identifier that is NULL"))?;
            let inner = split(&name)?.into_iter().next();
            let inner = inner.ok_or_else(|| syntax("empty identifier"))?;
            // In the place of the word, so that sources of other tokens stay what they are.
            let place = |one: &TokenWithSpan| TokenWithSpan::new(one.token.clone(), token.span);
            out.extend(inner.tokens.iter().map(place));
            at += 4;
        }
        self.tokens = out;
        Ok(self)
    }

    /// Whether `IDENTIFIER(` with one text or bind stands at a position.
    fn names_at(&self, at: usize) -> bool {
        let token = |offset: usize| self.tokens.get(at + offset).map(|found| &found.token);
        let word = token(0).and_then(plain_word).as_deref() == Some("IDENTIFIER");
        let inner = match token(2) {
            Some(Token::SingleQuotedString(_)) => true,
            Some(Token::Placeholder(mark)) => mark == "?",
            _ => false,
        };
        word && token(1) == Some(&Token::LParen) && inner && token(3) == Some(&Token::RParen)
    }
}
