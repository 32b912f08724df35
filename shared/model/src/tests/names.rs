use std::collections::HashMap;

use proptest::prelude::*;

use crate::names::{ConnectionName, Identifier, NameError, SLUG_MAX_BYTES, TableName};

fn identifier(exact: &str) -> Identifier {
    Identifier::new(exact).unwrap()
}

fn table(database: &str, schema: &str, name: &str) -> TableName {
    let (database, schema) = (identifier(database), identifier(schema));
    TableName { database, schema, table: identifier(name) }
}

/// Any identifier, and often one made of the characters that matter.
fn any_identifier() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\PC]{1,40}",
        "[A-Za-z_$.%/\"; -]{1,12}",
        "[A-Z_][A-Z0-9_$]{0,10}",
        "(\\.|\\.\\.|%2E|/|\"|\"\")",
    ]
    .prop_filter("an identifier", |name| Identifier::new(name.as_str()).is_ok())
}

proptest! {
    #[test]
    fn a_quoted_identifier_reads_back_as_itself(name in any_identifier()) {
        let exact = Identifier::new(name).unwrap();
        prop_assert_eq!(&Identifier::parse(&exact.quoted()).unwrap(), &exact);
        prop_assert_eq!(&Identifier::parse(&exact.to_string()).unwrap(), &exact);
    }

    #[test]
    fn nothing_in_an_identifier_ends_its_quotes(name in any_identifier()) {
        let quoted = Identifier::new(name).unwrap().quoted();
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap();
        prop_assert!(!inner.replace("\"\"", "").contains('"'), "{}", quoted);
    }

    #[test]
    fn a_table_name_reads_back_as_itself(
        [database, schema, name] in [any_identifier(), any_identifier(), any_identifier()]
    ) {
        let exact = table(&database, &schema, &name);
        prop_assert_eq!(&exact.to_string().parse::<TableName>().unwrap(), &exact);
        prop_assert_eq!(&exact.quoted().parse::<TableName>().unwrap(), &exact);
    }

    #[test]
    fn a_slug_is_safe_in_a_path_and_names_one_table(
        names in prop::collection::vec([any_identifier(), any_identifier(), any_identifier()], 2..20)
    ) {
        let mut seen: HashMap<String, TableName> = HashMap::new();
        for [database, schema, name] in names {
            let exact = table(&database, &schema, &name);
            let slug = exact.slug();
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._%$-".contains(c);
            prop_assert!(slug.chars().all(allowed), "{}", slug);
            prop_assert!(slug.len() <= SLUG_MAX_BYTES, "{}", slug);
            prop_assert!(!slug.starts_with('.') && !slug.ends_with('.'), "{}", slug);
            if let Some(other) = seen.insert(slug.clone(), exact.clone()) {
                prop_assert_eq!(other, exact, "both have the slug {}", slug);
            }
        }
    }
}

#[test]
fn slugs_of_names_made_to_collide_differ() {
    let hostile = [
        table("A", "B", "C.D"),
        table("A", "B.C", "D"),
        table("A.B", "C", "D"),
        table("A", "B", "C%2ED"),
        table("A", "B", "c.d"),
        table("A", "B", "../D"),
    ];
    let mut slugs: Vec<String> = hostile.iter().map(TableName::slug).collect();
    assert_eq!(slugs[0], "A.B.C%2ED");
    assert_eq!(slugs[3], "A.B.C%252ED");
    assert_eq!(slugs[5], "A.B.%2E%2E%2FD");
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), hostile.len());
}

#[test]
fn long_names_that_begin_alike_have_short_slugs_of_their_own() {
    let long = |end: &str| table(&"ü".repeat(255), "S", &format!("{}{end}", "T".repeat(250)));
    let (one, other) = (long("1").slug(), long("2").slug());
    assert_ne!(one, other);
    assert_eq!(one.len(), 160 + 2 + 32);
    let fits = table("D", "S", &"T".repeat(SLUG_MAX_BYTES - 4)).slug();
    assert_eq!(fits, format!("D.S.{}", "T".repeat(SLUG_MAX_BYTES - 4)));
    let mimic = table("D", "S", one.trim_start_matches(|c| c != '-'));
    assert!(!mimic.slug().contains("%-"));
}

#[test]
fn an_identifier_ends_at_255_characters_not_bytes() {
    assert_eq!(identifier(&"ü".repeat(255)).as_str().len(), 510);
    let too_long = NameError::TooLong { chars: 256, max: 255 };
    assert_eq!(Identifier::new("x".repeat(256)), Err(too_long.clone()));
    assert_eq!(Identifier::parse(&"x".repeat(256)), Err(too_long));
}

#[test]
fn nul_and_nothing_are_no_names() {
    assert_eq!(Identifier::new("a\0b"), Err(NameError::Nul));
    assert_eq!(Identifier::parse("\"a\0b\""), Err(NameError::Nul));
    assert_eq!(Identifier::new(""), Err(NameError::Empty));
    assert_eq!(Identifier::parse("\"\""), Err(NameError::Empty));
    assert_eq!("A..B".parse::<TableName>(), Err(NameError::Empty));
}

#[test]
fn a_hostile_name_stays_inside_its_quotes() {
    let hostile = identifier("\"; drop table \"T\"; --");
    assert_eq!(hostile.quoted(), "\"\"\"; drop table \"\"T\"\"; --\"");
    let name = table("D", "S", "T\".\"X");
    assert_eq!(name.quoted(), "\"D\".\"S\".\"T\"\".\"\"X\"");
}

#[test]
fn written_names_are_read_as_snowflake_reads_them() {
    let parsed = |written: &str| Identifier::parse(written).map(|exact| exact.as_str().to_owned());
    assert_eq!(parsed("orders"), Ok("ORDERS".to_owned()));
    assert_eq!(parsed("\"orders\""), Ok("orders".to_owned()));
    assert_eq!(parsed("_a$1"), Ok("_A$1".to_owned()));
    assert_eq!(parsed("größe"), Ok("GRÖSSE".to_owned()));
    assert_eq!(parsed("\"say \"\"hi\"\"\""), Ok("say \"hi\"".to_owned()));
    assert_eq!(parsed("1st"), Err(NameError::NeedsQuotes { found: '1' }));
    assert_eq!(parsed("my col"), Err(NameError::NeedsQuotes { found: ' ' }));
    assert_eq!(parsed("a\"b"), Err(NameError::Quotes));
    assert_eq!(parsed("\"a"), Err(NameError::Quotes));
    assert_eq!(parsed("\"a\"b"), Err(NameError::Quotes));
    assert_eq!(parsed("a.b"), Err(NameError::Parts { parts: 2 }));
}

#[test]
fn dots_inside_quotes_do_not_split_a_table_name() {
    let parsed: TableName = "db.\"my.schema\".\"a\"\".b\"".parse().unwrap();
    assert_eq!(parsed, table("DB", "my.schema", "a\".b"));
    assert_eq!(parsed.to_string(), "DB.\"my.schema\".\"a\"\".b\"");
    assert_eq!("a.b".parse::<TableName>(), Err(NameError::Parts { parts: 2 }));
    assert_eq!("a.b.c.d".parse::<TableName>(), Err(NameError::Parts { parts: 4 }));
}

#[test]
fn a_connection_name_fits_into_every_key_and_path() {
    for good in ["a", "acme", "acme-2-eu", &"a".repeat(64)] {
        assert_eq!(ConnectionName::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "Acme", "2acme", "-acme", "a_b", "a/b", "..", "a.b", "ä", "a b"] {
        assert_eq!(ConnectionName::new(bad), Err(NameError::Connection), "{bad:?}");
    }
    let too_long = NameError::TooLong { chars: 65, max: 64 };
    assert_eq!(ConnectionName::new("a".repeat(65)), Err(too_long));
}

#[test]
fn a_name_that_breaks_a_rule_is_refused_when_read_from_json() {
    assert!(serde_json::from_str::<Identifier>("\"\"").is_err());
    assert!(serde_json::from_str::<TableName>("\"A.B\"").is_err());
    assert!(serde_json::from_str::<ConnectionName>("\"../etc\"").is_err());
}
