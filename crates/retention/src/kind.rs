//! What kind of run it is, by its event and its ref.

/// What a run is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind<'a> {
    /// A branch, by its name.
    Branch(&'a str),
    /// A tag, by its name.
    Tag(&'a str),
    /// A pull or merge request.
    PullRequest,
    /// Anything else: only a rule without branches, tags and pull requests fits.
    Other,
}

/// Events of GitHub and GitLab that make a run one of a pull request.
const PULL_REQUEST_EVENTS: [&str; 4] = [
    "pull_request",
    "pull_request_target",
    "merge_group",
    "merge_request_event",
];
/// Events of GitHub and GitLab that make a run one of a branch.
const BRANCH_EVENTS: [&str; 8] = [
    "push",
    "schedule",
    "workflow_dispatch",
    "repository_dispatch",
    "web",
    "api",
    "trigger",
    "pipeline",
];

/// What kind of run has this event and this ref.
#[must_use]
pub fn kind<'a>(event: &str, git_ref: &'a str) -> Kind<'a> {
    let is_pull_request_ref =
        git_ref.starts_with("refs/pull/") || git_ref.starts_with("refs/merge-requests/");
    if is_pull_request_ref || PULL_REQUEST_EVENTS.contains(&event) {
        Kind::PullRequest
    } else if let Some(tag) = git_ref.strip_prefix("refs/tags/") {
        Kind::Tag(tag)
    } else if let Some(branch) = git_ref.strip_prefix("refs/heads/")
        && BRANCH_EVENTS.contains(&event)
    {
        Kind::Branch(branch)
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_github_and_gitlab_are_of_the_kind_that_the_contract_says() {
        for (event, git_ref, expected) in [
            ("push", "refs/heads/main", Kind::Branch("main")),
            ("schedule", "refs/heads/main", Kind::Branch("main")),
            ("workflow_dispatch", "refs/heads/a/b", Kind::Branch("a/b")),
            ("repository_dispatch", "refs/heads/main", Kind::Branch("main")),
            ("push", "refs/tags/v1", Kind::Tag("v1")),
            ("release", "refs/tags/v1", Kind::Tag("v1")),
            ("pull_request", "refs/pull/7/merge", Kind::PullRequest),
            ("pull_request_target", "refs/heads/main", Kind::PullRequest),
            ("push", "refs/pull/7/head", Kind::PullRequest),
            (
                "merge_group",
                "refs/heads/gh-readonly-queue/main/pr-7-abc",
                Kind::PullRequest,
            ),
            ("merge_request_event", "refs/heads/feature", Kind::PullRequest),
            ("push", "refs/merge-requests/7/head", Kind::PullRequest),
            ("web", "refs/heads/main", Kind::Branch("main")),
            ("api", "refs/heads/main", Kind::Branch("main")),
            ("trigger", "refs/heads/main", Kind::Branch("main")),
            ("pipeline", "refs/heads/main", Kind::Branch("main")),
            ("workflow_run", "refs/heads/main", Kind::Other),
            ("issue_comment", "refs/heads/main", Kind::Other),
            ("push", "", Kind::Other),
        ] {
            assert_eq!(kind(event, git_ref), expected, "{event} {git_ref}");
        }
    }
}
