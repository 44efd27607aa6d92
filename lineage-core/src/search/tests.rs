use proptest::prelude::*;

use super::*;
use crate::names::Split;

fn again(text: &str) -> String {
    text.parse::<Query>().unwrap().to_string()
}

fn problem(text: &str) -> (String, usize) {
    let error = text.parse::<Query>().unwrap_err();
    (error.problem, error.character)
}

#[test]
fn a_question_is_printed_in_one_way() {
    for (text, printed) in [
        ("", ""),
        ("model=fraud", "model = \"fraud\""),
        ("MODEL", ""),
        (
            "metric.validation.auc > 0.9 AND model = \"fraud\" and data = sha256:abcdef order by created desc",
            "metric.validation.auc > 0.9 and model = \"fraud\" and data = sha256:abcdef order by created desc",
        ),
        ("metric.\"f1 score\">=1e2", "metric.\"f1 score\" >= 100"),
        ("metric.validation.\"a b\" exists", "metric.validation.\"a b\" exists"),
        ("metric.\"validation.auc\" = nan", "metric.\"validation.auc\" = NaN"),
        ("metric.top.5 < -inf", "metric.top.5 < -inf"),
        ("not (a.b exists)", ""),
        ("not (tag.a exists or tag.b ~ \"x\\\"y\")", "not (tag.a exists or tag.b ~ \"x\\\"y\")"),
        ("((seed = 42))", "seed = \"42\""),
        (
            "param.depth = 6 or param.depth = \"6\" and seed exists",
            "param.depth = 6 or (param.depth = \"6\" and seed exists)",
        ),
        ("created >= 2026-03-01", "created >= 2026-03-01"),
        ("created < 2026-03-01T10:00:00+01:00", "created < 2026-03-01T09:00:00.000000Z"),
        (
            "data.\"path\" = abcdef and data.path ~ x",
            "data.\"path\" = sha256:abcdef and data.path ~ \"x\"",
        ),
        ("order by metric.auc", "order by metric.auc asc"),
    ] {
        if printed.is_empty() && !text.is_empty() {
            assert!(text.parse::<Query>().is_err(), "{text}");
        } else {
            assert_eq!(again(text), printed);
        }
    }
}

#[test]
fn a_mistake_is_named_with_its_place() {
    for (text, expected, character) in [
        ("model", "expected an operator after model: = != ~ exists", 5),
        ("model = ", "expected a value after =", 7),
        ("model = and version = 3", "expected a value after =", 8),
        ("model = \"fraud", "these quotes are never closed", 8),
        ("model = 'fraud'", "' means nothing here", 8),
        ("modell = fraud", "there is no field modell", 0),
        ("model > fraud", "model is not compared by >, but by = != ~ exists", 6),
        ("(model = fraud", "this parenthesis is never closed", 0),
        ("model = fraud)", "this parenthesis was never opened", 13),
        ("model = a b", "expected and, or, or order by", 10),
        ("metric.auc > high", "metric.auc is compared with a number, not with \"high\"", 13),
        ("metric.auc > nan", "nothing is above or below NaN; only = and != find it", 13),
        ("metric.auc > 1e999", "metric.auc is compared with a number, not with \"1e999\"", 13),
        ("data = abc", "\"abc\" is no digest: sha256: and 6 to 64 lower-case hex digits", 7),
        (
            "created > yesterday",
            "\"yesterday\" is no time: write 2026-03-01 or 2026-03-01T09:30:00Z",
            10,
        ),
        ("order created", "expected by after order", 6),
        ("order by created down", "nothing may follow the order", 17),
        ("metric.f\"1\" > 1", "quote the whole name: metric.\"…\"", 0),
        ("ä = 1", "there is no field ä", 0),
        ("model = \"ä\" and", "expected a field", 15),
        ("model = a\"b\"", "expected a space; a text with quotes inside is quoted as a whole", 9),
    ] {
        assert_eq!(problem(text), (expected.to_owned(), character), "{text}");
    }
    assert!(problem("order by data").0.starts_with("cannot order by data"));
    assert_eq!(problem(&"(".repeat(9000)).0, "this is nested too deeply");
    assert_eq!(problem(&"not ".repeat(4000)).0, "this is nested too deeply");
    assert_eq!(problem(&"x".repeat(20_000)).0, "the question is too long");
    assert_eq!(problem(&vec!["seed exists"; 101].join(" or ")).0, "more than 100 tests");
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_.]{1,12}", "[ -~]{1,12}", "\\PC{1,12}", Just("path".to_owned())]
        .prop_filter("a name without controls", |name| !name.chars().any(char::is_control))
}

fn field_and_test() -> impl Strategy<Value = (Field, Test)> {
    let matching =
        prop_oneof![Just(Matching::Equal), Just(Matching::Unequal), Just(Matching::Contains)];
    let comparison = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::Unequal),
        Just(Comparison::Less),
        Just(Comparison::AtMost),
        Just(Comparison::Greater),
        Just(Comparison::AtLeast),
    ];
    let split = prop_oneof![Just(None), Just(Some(Split::Training)), Just(Some(Split::Test))];
    let metric =
        (split, name()).prop_map(|(split, name)| Field::Metric(MetricName { split, name }));
    let text_field = prop_oneof![
        Just(Field::Model),
        Just(Field::Label),
        Just(Field::Seed),
        Just(Field::Actor),
        Just(Field::Pointer),
        Just(Field::DataPath),
        name().prop_map(Field::Tag),
        name().prop_map(Field::Param),
    ];
    let number_field = prop_oneof![Just(Field::Version), metric, name().prop_map(Field::Param)];
    let role =
        prop_oneof![Just(None), "[a-z][a-z.-]{0,8}".prop_map(Some), Just(Some("path".into()))];
    let when = (0_i64..4_000_000_000_000_000, any::<bool>()).prop_map(|(time, day)| {
        let moment = Timestamp::from_unix_microseconds(time).unwrap();
        if day { moment.to_string()[..10].parse().unwrap() } else { When::Moment(moment) }
    });
    let number = prop_oneof![any::<f64>(), Just(0.5), Just(f64::INFINITY), -9.0..9.0_f64]
        .prop_filter("NaN has tests of its own", |number| !number.is_nan())
        .prop_map(|number| number + 0.0);
    prop_oneof![
        (text_field, matching, "\\PC{0,12}").prop_map(|(f, m, text)| (f, Test::Text(m, text))),
        (number_field, comparison.clone(), number)
            .prop_map(|(field, c, number)| (field, Test::Number(c, number))),
        (comparison, when).prop_map(|(c, when)| (Field::Created, Test::Time(c, when))),
        (role, any::<bool>(), "[0-9a-f]{6,64}")
            .prop_map(|(role, has, hex)| (Field::Data(role), Test::Digest(has, hex))),
        name().prop_map(|name| (Field::Tag(name), Test::Exists)),
    ]
}

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = field_and_test().prop_map(|(field, test)| Expression::Is(field, test));
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expression::Or),
            inner.prop_map(|inner| Expression::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
        let _ = text.parse::<Query>();
    }

    #[test]
    fn neither_do_the_words_of_the_language(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "model", "metric.", "metric.validation.", "\"a b\"", "\"", "\\", "=", "!=", "<", "~",
                "(", ")", "and", "or", "not", "exists", "order", "by", "desc", "1", "nan", "-", ".",
                "data.", "data", "sha256:abcdef", "2026-02-30", "2026-01-01", "9999-12-31", "created",
                " ", "\t", "é", "😀",
            ]),
            0..12,
        ),
        joint in prop::sample::select(vec!["", " "]),
    ) {
        if let Err(error) = words.join(joint).parse::<Query>() {
            prop_assert!(error.character <= words.join(joint).chars().count());
        }
    }

    #[test]
    fn what_is_printed_reads_as_the_same(
        condition in prop::option::of(expression()),
        by in prop::option::of((name(), any::<bool>())),
    ) {
        let order = by.map(|(name, descending)| Order { field: Field::Param(name), descending });
        let query = Query { condition, order };
        let printed = query.to_string();
        let read = printed.parse::<Query>();
        prop_assert_eq!(read.as_ref(), Ok(&query), "{}", printed);
    }
}
