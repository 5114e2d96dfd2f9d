use super::*;

const EXAMPLE: &str = r#"{ "providers": { "github": {
    "issuer": "https://token.actions.githubusercontent.com", "audience": "https://cache.example.com",
    "rules": [ { "bound_claims": { "repository_owner_id": ["1234"], "ref": ["refs/heads/main", "refs/tags/*"] },
                 "scopes": ["push"], "pins": ["release-*"] } ] } } }"#;

fn parse(text: &str) -> Result<Settings, ConfigError> {
    Settings::parse(text, &["main-1", "pr-1"])
}

#[test]
fn the_example_of_the_documentation_means_what_it_says() {
    let settings = parse(EXAMPLE).unwrap();
    let [provider] = settings.providers.as_slice() else {
        panic!("{settings:?}")
    };
    assert_eq!(provider.name, "github");
    let [rule] = provider.rules.as_slice() else {
        panic!("{settings:?}")
    };
    assert_eq!(rule.bounds.len(), 2);
    assert_eq!(rule.grant.scopes, Scopes::only(Scope::Push));
    assert_eq!(rule.grant.pins.as_ref().unwrap()[0].to_string(), "release-*");
    assert_eq!(rule.grant.signing_keys, None);
}

#[test]
fn bounds_on_a_provider_are_a_rule_that_may_push() {
    let text = r#"{"allow_insecure": true, "providers": {"x": {"issuer": "http://localhost:1", "audience": "a",
        "bound_subject": "repo:o/*", "bound_claims": {"n": [1, true, "x"]}}}}"#;
    let settings = parse(text).unwrap();
    let [rule] = settings.providers[0].rules.as_slice() else {
        panic!("{settings:?}")
    };
    assert_eq!(rule.bounds.len(), 2);
    assert_eq!(rule.grant.scopes, Scopes::only(Scope::Push));
}

#[test]
fn every_mistake_is_named_with_its_line_and_field() {
    let provider = |inner: &str| {
        format!(
            "{{\n\"providers\": {{\n\"p\": {{\n\"issuer\": \"https://i\",\n\"audience\": \"a\",\n{inner}\n}}}}}}"
        )
    };
    let rule = |inner: &str| {
        provider(&format!(
            "\"rules\": [\n{{\"bound_subject\": \"x\",\n{inner}\n}}]"
        ))
    };
    let cases = [
        (String::new(), 1, "", "not JSON"),
        ("[]".into(), 1, "", "an object"),
        ("{\n\"providers\": {},,}".into(), 2, "", "not JSON"),
        ("{}".into(), 1, "", "`providers` is missing"),
        (
            "{\"providers\": {},\n\"x\": 1}".into(),
            2,
            "x",
            "there is no such field",
        ),
        (
            "{\"allow_insecure\":\n1, \"providers\": {}}".into(),
            2,
            "allow_insecure",
            "true or false",
        ),
        (
            "{\"providers\":\n{\"a b\": {}}}".into(),
            2,
            "providers.a b",
            "name",
        ),
        (
            "{\"providers\": {\n\"p\": {\"audience\": \"a\", \"bound_subject\": \"x\"}}}".into(),
            2,
            "providers.p",
            "`issuer` is missing",
        ),
        (
            "{\"providers\": {\n\"p\": {\"issuer\": \"https://i\", \"bound_subject\": \"x\"}}}".into(),
            2,
            "providers.p",
            "`audience` is missing",
        ),
        (
            "{\"providers\": {\"p\": {\"audience\": \"a\",\n\"issuer\": \"http://i\"}}}".into(),
            2,
            "providers.p.issuer",
            "without TLS",
        ),
        (
            "{\"providers\": {\"p\": {\"audience\": \"a\",\n\"issuer\": \"i\"}}}".into(),
            2,
            "providers.p.issuer",
            "not a URL",
        ),
        (
            "{\"providers\": {\"p\": {\"audience\": \"a\",\n\"issuer\": 1}}}".into(),
            2,
            "providers.p.issuer",
            "a text",
        ),
        (
            provider("\"audience\": \"b\""),
            6,
            "providers.p.audience",
            "twice",
        ),
        (
            provider("\"bound_subjects\": [\"x\"]"),
            6,
            "providers.p.bound_subjects",
            "there is no such field",
        ),
        (provider("\"rules\": []"), 3, "providers.p", "admits nobody"),
        (provider("\"rules\": {}"), 6, "providers.p.rules", "a list"),
        (
            provider("\"rules\": [{}]"),
            6,
            "providers.p.rules[0]",
            "every token",
        ),
        (
            provider("\"rules\": [\n{\"scopes\": [\"gc\"]}]"),
            7,
            "providers.p.rules[0]",
            "every token",
        ),
        (
            provider("\"bound_claims\": {}"),
            6,
            "providers.p.bound_claims",
            "no claim",
        ),
        (
            provider("\"bound_claims\": {\"a\":\n[]}"),
            7,
            "providers.p.bound_claims.a",
            "matches nothing",
        ),
        (
            provider("\"bound_claims\": {\"a\": [\n\"x\",\nnull]}"),
            8,
            "providers.p.bound_claims.a[1]",
            "a text, number or boolean",
        ),
        (
            provider("\"bound_subject\": \"x\", \"key_refetch_seconds\": 0"),
            6,
            "providers.p.key_refetch_seconds",
            "seconds",
        ),
        (
            rule("\"scopes\": [\"push\",\n\"upload\"]"),
            9,
            "providers.p.rules[0].scopes[1]",
            "\"upload\" is not a scope",
        ),
        (
            rule("\"scopes\": []"),
            8,
            "providers.p.rules[0].scopes",
            "allows nothing",
        ),
        (
            rule("\"scopes\": \"push\""),
            8,
            "providers.p.rules[0].scopes",
            "a list",
        ),
        (
            rule("\"pins\": [\"a/b\"]"),
            8,
            "providers.p.rules[0].pins[0]",
            "no pin has such a name",
        ),
        (
            rule("\"signing_keys\": [\"main-1\", \"other\"]"),
            8,
            "providers.p.rules[0].signing_keys[1]",
            "main-1, pr-1",
        ),
        (
            rule("\"max_pushes\": 0"),
            8,
            "providers.p.rules[0].max_pushes",
            "nothing could be pushed",
        ),
        (
            rule("\"max_claimed_bytes\": \"much\""),
            8,
            "providers.p.rules[0].max_claimed_bytes",
            "10GiB",
        ),
        (
            rule("\"signing_keys\": []"),
            8,
            "providers.p.rules[0].signing_keys",
            "nothing is signed",
        ),
    ];
    for (text, line, field, why) in cases {
        let error = parse(&text).expect_err(&text);
        assert_eq!(
            (error.line, error.field.as_str()),
            (line, field),
            "{text}\n{error}"
        );
        assert!(error.why.contains(why), "{text}\n{error}");
    }
}

#[test]
fn two_providers_of_one_issuer_and_audience_are_refused() {
    let text = r#"{"providers": {
        "a": {"issuer": "https://i", "audience": "x", "bound_subject": "s"},
        "b": {"issuer": "https://i", "audience": "y", "bound_subject": "s"},
        "c": {"issuer": "https://i", "audience": "x", "bound_subject": "s"}}}"#;
    let error = parse(text).unwrap_err();
    assert_eq!((error.line, error.field.as_str()), (4, "providers.c"));
}
