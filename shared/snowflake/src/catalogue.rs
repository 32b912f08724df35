//! What Snowflake's codes mean to somebody who has to act: whose fault, in a sentence, and the
//! repair. The codes are data; `docs/errors.md` is written from them.
//!
//! A refusal is told by its code, never by the server's text, which may repeat row values. A code
//! that is not here is told with its number and its SQLSTATE.
//!
//! A repair may hold placeholders, filled where the error knows them, else told in words:
//! `{object}`, `{role}`, `{user}`, `{account}`, `{address}`.

mod entries;

use snowferry_model::fault::Blame;

pub use entries::CATALOGUE;

/// One code of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Six digits.
    pub code: &'static str,
    /// Who has to act.
    pub blame: Blame,
    /// What happened.
    pub sentence: &'static str,
    /// What to do, with placeholders.
    pub repair: &'static str,
}

/// What is known where an error is told. Missing parts are told in words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The object that the request was about.
    pub object: Option<&'a str>,
    /// The role in use.
    pub role: Option<&'a str>,
    /// The user.
    pub user: Option<&'a str>,
    /// The account.
    pub account: Option<&'a str>,
    /// The address that Snowflake saw.
    pub address: Option<&'a str>,
}

/// Finds a code. Drivers print codes without leading zeros; both forms are found.
#[must_use]
pub fn entry(code: &str) -> Option<&'static Entry> {
    let digits = code.trim_start_matches('0');
    CATALOGUE.iter().find(|entry| entry.code.trim_start_matches('0') == digits)
}

impl Entry {
    /// Returns the repair with its placeholders filled.
    #[must_use]
    pub fn repair(&self, known: &Known<'_>) -> String {
        let places = [
            ("{object}", known.object, "the object"),
            ("{role}", known.role, "the role of the connection"),
            ("{user}", known.user, "the user of the connection"),
            ("{account}", known.account, "the account"),
            ("{address}", known.address, "the address that Snowflake saw"),
        ];
        places.iter().fold(self.repair.to_owned(), |text, (place, value, words)| {
            text.replace(place, value.unwrap_or(words))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use expect_test::expect_file;

    use super::*;

    fn words(blame: Blame) -> &'static str {
        match blame {
            Blame::Customer => "customer",
            Blame::Operator => "operator",
            Blame::Transient => "nobody; it passes",
            Blame::Snowferry => "Snowferry",
        }
    }

    #[test]
    fn the_page_of_errors_says_what_the_catalogue_says() {
        let mut page = String::from(
            "# Snowflake's codes\n\n\
             What the codes of a customer's account mean, who has to act, and what to do. This page \
             is written from `shared/snowflake/src/catalogue`; a test compares them.\n\n\
             The server's own text is never logged or stored: it may repeat row values. Snowferry's \
             own codes are listed in the [README](../README.md).\n\n\
             | code | what happened | who acts | what to do |\n|---|---|---|---|\n",
        );
        for entry in CATALOGUE {
            let (sentence, repair) = (entry.sentence, entry.repair.replace('|', "\\|"));
            let _ = writeln!(
                page,
                "| {} | {sentence} | {} | {repair} |",
                entry.code,
                words(entry.blame)
            );
        }
        expect_file!["../../../docs/errors.md"].assert_eq(&page);
    }

    #[test]
    fn codes_are_six_digits_each_once_and_in_order() {
        let codes: Vec<&str> = CATALOGUE.iter().map(|entry| entry.code).collect();
        assert!(codes.len() >= 60, "{}", codes.len());
        assert!(codes.iter().all(|c| c.len() == 6 && c.bytes().all(|b| b.is_ascii_digit())));
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        assert!(codes.is_sorted());
    }

    #[test]
    fn every_entry_is_a_sentence_with_a_repair_and_known_placeholders() {
        let known = ["{object}", "{role}", "{user}", "{account}", "{address}"];
        for entry in CATALOGUE {
            assert!(!entry.sentence.is_empty() && !entry.sentence.ends_with('.'), "{}", entry.code);
            assert!(entry.repair.len() > 10, "{}", entry.code);
            let rest = known.iter().fold(entry.repair.to_owned(), |text, p| text.replace(p, ""));
            assert!(!rest.contains(['{', '}']), "{}: {rest}", entry.code);
        }
    }

    #[test]
    fn a_repair_names_what_is_known_and_tells_the_rest_in_words() {
        let entry = entry("2003").unwrap();
        let known = Known { object: Some("DB.SC.T"), ..Known::default() };
        let repair = entry.repair(&known);
        assert!(repair.contains("GRANT SELECT ON DB.SC.T TO ROLE"), "{repair}");
        assert!(repair.contains("the role of the connection"), "{repair}");
        assert_eq!(super::entry("999999"), None);
    }
}
