use super::*;

const DAY: i64 = 24 * 3600;

#[test]
fn the_example_of_the_contract_means_what_it_says() {
    let policy = Policy::parse(
        r#"{ "version": 1, "default": "30d", "undo": "3d", "quota": "500GiB",
          "rules": [
            { "name": "releases", "tags": ["v*"],        "keep": "forever" },
            { "name": "main",     "branches": ["main"],  "keep": { "last": 5, "for": "7d" } },
            { "name": "pulls",    "pull_requests": true, "keep": { "for": "7d", "until_closed": true } },
            { "name": "branches", "branches": ["*"],     "keep": { "last": 1, "for": "3d", "idle": "14d" } } ] }"#,
    )
    .unwrap();
    assert_eq!((policy.default, policy.undo), (30 * DAY, 3 * DAY));
    assert_eq!((policy.quota, policy.max_release), (Some(500 << 30), 25));
    let [releases, main, pulls, branches] = policy.rules.as_slice() else {
        panic!("{policy:?}")
    };
    assert_eq!(releases.keep, Keep::Forever);
    assert!(
        releases.fits_run("o/r", "1", Kind::Tag("v1")) && !releases.fits_run("o/r", "1", Kind::Branch("v1"))
    );
    assert_eq!((main.last(), main.idle(Kind::Branch("main"))), (Some(5), None));
    assert!(pulls.fits_run("o/r", "1", Kind::PullRequest) && !pulls.fits_run("o/r", "1", Kind::Other));
    assert_eq!(branches.idle(Kind::Branch("a")), Some(14 * DAY));
    assert!(!branches.fits_no_run());
}

#[test]
fn a_branch_is_never_idle_where_it_is_named_and_else_after_a_month() {
    let policy = Policy::parse(
        r#"{ "version": 1, "rules": [ { "name": "a", "branches": ["main", "ma*"], "keep": { "last": 1 } },
          { "name": "b", "keep": { "last": 1 } } ] }"#,
    )
    .unwrap();
    assert_eq!(policy.rules[0].idle(Kind::Branch("main")), None);
    assert_eq!(policy.rules[0].idle(Kind::Branch("maybe")), Some(MONTH));
    assert_eq!(policy.rules[1].idle(Kind::Branch("main")), Some(MONTH));
}

#[test]
fn a_repository_is_named_or_has_a_number() {
    let policy = Policy::parse(
        r#"{ "version": 1, "rules": [ { "name": "a", "repositories": ["o/*", "id:17"], "keep": "forever" } ] }"#,
    )
    .unwrap();
    let fits = |name, id| policy.rules[0].fits_run(name, id, Kind::Other);
    assert!(fits("o/r", "") && fits("renamed/r", "17"));
    assert!(!fits("p/r", "18") && !fits("id:17", "") && !fits("p/r", ""));
}

#[test]
fn every_mistake_is_named_with_its_line_its_field_and_what_to_write() {
    let top = |inner: &str| format!("{{ \"version\": 1,\n{inner} }}");
    let rule = |inner: &str| top(&format!("\"rules\": [ {{ \"name\": \"r\",\n{inner} }} ]"));
    let keep = |inner: &str| rule(&format!("\"pull_requests\": true, \"keep\": {{\n{inner} }}"));
    for (text, line, field, why) in [
        (String::new(), 1, "", "not JSON"),
        ("[]".into(), 1, "", "an object"),
        ("{}".into(), 1, "", "`version` is missing"),
        ("{ \"version\":\n2 }".into(), 2, "version", "version 1"),
        ("{ \"version\": \"1\" }".into(), 1, "version", "a whole number"),
        (
            top("\"defaults\": \"30d\""),
            2,
            "defaults",
            "there is no such field",
        ),
        (top("\"version\": 1"), 2, "version", "twice"),
        (top("\"default\": 30"), 2, "default", "\"30d\""),
        (top("\"default\": \"30\""), 2, "default", "\"30d\""),
        (top("\"default\": \"-3d\""), 2, "default", "\"30d\""),
        (top("\"undo\": \"101years\""), 2, "undo", "hundred years"),
        (top("\"undo\": null"), 2, "undo", "is expected"),
        (top("\"quota\": \"much\""), 2, "quota", "500GiB"),
        (top("\"quota\": 0"), 2, "quota", "nothing fits"),
        (top("\"max_release\": 101"), 2, "max_release", "percent"),
        (top("\"max_release\": 2.5"), 2, "max_release", "a whole number"),
        (top("\"rules\": {}"), 2, "rules", "a list"),
        (top("\"rules\": [1]"), 2, "rules[0]", "an object"),
        (
            top("\"rules\": [{ \"keep\": \"forever\" }]"),
            2,
            "rules[0]",
            "`name` is missing",
        ),
        (rule("\"branches\": \"main\""), 2, "rules[0]", "`keep` is missing"),
        (
            rule("\"name\": \"s\", \"keep\": \"forever\""),
            3,
            "rules[0].name",
            "twice",
        ),
        (
            rule("\"branch\": [\"main\"], \"keep\": \"forever\""),
            3,
            "rules[0].branch",
            "there is no such field",
        ),
        (
            rule("\"branches\": [], \"keep\": \"forever\""),
            3,
            "rules[0].branches",
            "leave it out",
        ),
        (
            rule("\"branches\": [\"a\", 1], \"keep\": \"forever\""),
            3,
            "rules[0].branches[1]",
            "a text",
        ),
        (
            rule("\"branches\": [\"refs/heads/main\"], \"keep\": \"forever\""),
            3,
            "rules[0].branches[0]",
            "write \"main\"",
        ),
        (
            rule("\"tags\": [\"refs/heads/v\"], \"keep\": \"forever\""),
            3,
            "rules[0].tags[0]",
            "without \"refs/",
        ),
        (
            rule("\"tags\": [\"refs/tags/v*\"], \"keep\": \"forever\""),
            3,
            "rules[0].tags[0]",
            "write \"v*\"",
        ),
        (
            rule("\"pull_requests\": false, \"keep\": \"forever\""),
            3,
            "rules[0].pull_requests",
            "leave it out",
        ),
        (
            rule("\"branches\": [\"a\"], \"tags\": [\"b\"], \"keep\": \"forever\""),
            2,
            "rules[0]",
            "a rule of each",
        ),
        (rule("\"keep\": \"always\""), 3, "rules[0].keep", "\"forever\""),
        (rule("\"keep\": 7"), 3, "rules[0].keep", "\"forever\""),
        (rule("\"keep\": {}"), 3, "rules[0].keep", "give `for`, `last`"),
        (
            rule("\"keep\": { \"idle\": \"3d\" }"),
            3,
            "rules[0].keep",
            "give `for`, `last`",
        ),
        (
            rule("\"keep\": { \"for\": \"3d\", \"until_closed\": true }"),
            3,
            "rules[0].keep",
            "\"pull_requests\": true",
        ),
        (keep("\"last\": 0"), 4, "rules[0].keep.last", "\"nothing\""),
        (keep("\"last\": -1"), 4, "rules[0].keep.last", "a whole number"),
        (keep("\"last\": \"5\""), 4, "rules[0].keep.last", "a whole number"),
        (keep("\"for\": \"week\""), 4, "rules[0].keep.for", "\"30d\""),
        (
            keep("\"for\": \"7d\", \"for\": \"8d\""),
            4,
            "rules[0].keep.for",
            "twice",
        ),
        (
            keep("\"until_closed\": false"),
            4,
            "rules[0].keep.until_closed",
            "leave it out",
        ),
        (
            keep("\"until\": \"closed\""),
            4,
            "rules[0].keep.until",
            "there is no such field",
        ),
        (
            top(
                "\"rules\": [ { \"name\": \"a\", \"keep\": \"forever\" },\n{ \"name\": \"a\", \"keep\": \"nothing\" } ]",
            ),
            3,
            "rules[1]",
            "another name",
        ),
        (
            top(&format!("\"rules\": [{}]", vec!["{}"; MAX_RULES + 1].join(","))),
            2,
            "rules",
            "at most 100",
        ),
    ] {
        let error = Policy::parse(&text).expect_err(&text);
        assert_eq!(
            (error.line, error.field.as_str()),
            (line, field),
            "{text}\n{error}"
        );
        assert!(error.why.contains(why), "{text}\n{error}");
    }
}

#[test]
fn what_may_be_zero_is() {
    let policy = Policy::parse(r#"{ "version": 1, "undo": 0, "default": "0s", "max_release": 0 }"#).unwrap();
    assert_eq!((policy.undo, policy.default, policy.max_release), (0, 0, 0));
}
