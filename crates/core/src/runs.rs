//! Runs of CI: what a verified token says of the run it was given to, and what whoever pushes adds to that.

mod claims;
pub mod uses;

use niks3_auth::{Identity, Scope, Who};
use niks3_catalog::{NewRun, RunFacts, RunRow};

/// The run that somebody pushes in: out of their claims if they have any, and otherwise, for
/// whoever holds the admin token, as they state it. `None` when it is not known.
#[must_use]
pub fn run_of(who: &Identity, stated: Option<RunFacts>) -> Option<NewRun> {
    let stated = stated.unwrap_or_default();
    let new = match claimed(who) {
        Some(claims) => with_claims(claims, stated, who.name()),
        None if who.grant().scopes.allow(Scope::Admin) => NewRun {
            facts: stated,
            verified: false,
            pull_request_claimed: false,
            url_claimed: false,
            identity: who.name(),
        },
        None => return None,
    };
    new.facts.is_run().then_some(new)
}

/// Claims stay as they are; what they lack is as stated.
fn with_claims(claims: RunFacts, stated: RunFacts, identity: String) -> NewRun {
    let (pull_request_claimed, url_claimed) = (claims.pull_request != 0, !claims.url.is_empty());
    let or = |claim: String, stated: String| if claim.is_empty() { stated } else { claim };
    NewRun {
        facts: RunFacts {
            job: or(claims.job, stated.job),
            job_id: or(claims.job_id, stated.job_id),
            url: or(claims.url, stated.url),
            pull_request: if pull_request_claimed {
                claims.pull_request
            } else {
                stated.pull_request
            },
            ..claims
        },
        verified: true,
        pull_request_claimed,
        url_claimed,
        identity,
    }
}

/// A name for a run that nobody guesses.
#[must_use]
pub fn token() -> String {
    niks3_nix::base32::encode(&rand::random::<[u8; 20]>())
}

/// Whether somebody may complete what is known of a run: whoever runs in it, and administrators.
#[must_use]
pub fn may_complete(who: &Identity, identity: &str, facts: &RunFacts) -> bool {
    if who.grant().scopes.allow(Scope::Admin) {
        return true;
    }
    who.name() == identity && claimed(who).is_some_and(|claims| claims.same_attempt(facts))
}

/// Whether somebody may report what a run used: only whoever runs in it and has recorded it.
#[must_use]
pub fn may_report_uses(who: &Identity, run: &RunRow) -> bool {
    if who.name() != run.identity {
        return false;
    }
    match claimed(who) {
        Some(claims) => claims.same_attempt(&run.facts),
        None => !run.verified && who.grant().scopes.allow(Scope::Admin),
    }
}

/// What the claims of somebody say of the run they are in.
fn claimed(who: &Identity) -> Option<RunFacts> {
    match who.who() {
        Who::Admin | Who::Token { .. } | Who::Certificate { .. } => None,
        Who::Oidc(oidc) => claims::run(&oidc.provider, |name| oidc.claims.get(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(run_id: &str, job: &str) -> RunFacts {
        RunFacts {
            provider: "github".into(),
            repository: "o/r".into(),
            run_id: run_id.into(),
            job: job.into(),
            ..RunFacts::default()
        }
    }

    #[test]
    fn claims_stay_as_they_are_whatever_is_stated() {
        let claims = RunFacts {
            pull_request: 7,
            job: String::new(),
            ..facts("1", "")
        };
        let stated = RunFacts {
            repository: "evil/r".into(),
            pull_request: 8,
            url: "https://x/".into(),
            ..facts("2", "build")
        };
        let new = with_claims(claims, stated, "me".into());
        let facts = &new.facts;
        assert_eq!(
            (
                facts.repository.as_str(),
                facts.run_id.as_str(),
                facts.pull_request
            ),
            ("o/r", "1", 7)
        );
        assert_eq!((facts.job.as_str(), facts.url.as_str()), ("build", "https://x/"));
        assert!(new.pull_request_claimed && !new.url_claimed && new.verified);
    }

    #[test]
    fn what_is_stated_is_never_the_run_of_verified_claims() {
        let new = |facts: RunFacts, verified| NewRun {
            facts,
            verified,
            pull_request_claimed: false,
            url_claimed: false,
            identity: String::new(),
        };
        let key = new(facts("1", "a"), true).key();
        assert_eq!(key, new(facts("1", "a"), true).key());
        for other in [
            new(facts("1", "a"), false),
            new(facts("2", "a"), true),
            new(facts("1", "b"), true),
        ] {
            assert_ne!(key, other.key());
        }
    }
}
