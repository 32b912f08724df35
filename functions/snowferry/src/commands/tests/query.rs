//! Parameters as they are typed, and fields as they are written.

use snowferry_model::export::Parameter;

use crate::commands::query::{csv_field, parameter};

#[test]
fn a_parameter_is_what_it_looks_like_and_text_in_quotes() {
    let text = |text: &str| Parameter::Text(text.to_owned());
    for (written, name, expected) in [
        ("n=12", "n", Parameter::Integer(12)),
        ("$n=-12", "n", Parameter::Integer(-12)),
        ("n=12.50", "n", Parameter::Decimal("12.50".to_owned())),
        ("n=99999999999999999999", "n", Parameter::Decimal("99999999999999999999".to_owned())),
        ("n='12'", "n", text("12")),
        ("n=", "n", text("")),
        ("n=a=b", "n", text("a=b")),
        ("n=1.2.3", "n", text("1.2.3")),
        ("n=-", "n", text("-")),
        ("n=2026-01-02", "n", text("2026-01-02")),
        ("n=true", "n", Parameter::Boolean(true)),
        ("n=null", "n", Parameter::Null),
    ] {
        assert_eq!(parameter(written), Ok((name.to_owned(), expected)), "{written}");
    }
    assert!(parameter("n").is_err());
}

#[test]
fn null_and_an_empty_text_are_told_apart_in_csv() {
    let fields = [None, Some(""), Some("a b"), Some("a,b"), Some("a\"b"), Some("a\nb")];
    let written = fields.map(csv_field);
    assert_eq!(written, ["", "\"\"", "a b", "\"a,b\"", "\"a\"\"b\"", "\"a\nb\""]);
}
