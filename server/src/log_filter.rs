//! `niks3_server` in `--log` means all crates that the server is made of.

/// The server in filters.
const SERVER: &str = "niks3_server";

/// The crates that the server is made of, each with its module in filters: `niks3_server::storage` is one of them, and
/// those without are in `niks3_server` itself.
const CRATES: [(&str, &str); 6] = [
    ("niks3_arguments", ""),
    ("niks3_auth", "auth"),
    ("niks3_base", ""),
    ("niks3_catalog", "catalog"),
    ("niks3_core", ""),
    ("niks3_storage", "storage"),
];

/// The filter, with what it says of the server said of each of its crates, too.
pub(crate) fn of_all_crates(filter: &str) -> String {
    let mut directives: Vec<String> = Vec::new();
    for directive in split(filter) {
        directives.push(directive.to_owned());
        let Some(rest) = directive.trim().strip_prefix(SERVER) else {
            continue;
        };
        directives.extend(CRATES.iter().filter_map(|(name, module)| {
            if rest.is_empty() || rest.starts_with(['=', '[']) {
                return Some(format!("{name}{rest}"));
            }
            let inside = rest.strip_prefix("::")?;
            if module.is_empty() {
                return Some(format!("{name}::{inside}"));
            }
            let inside = inside.strip_prefix(module)?;
            let ends = inside.is_empty() || inside.starts_with(['=', '[', ':']);
            ends.then(|| format!("{name}{inside}"))
        }));
    }
    directives.join(",")
}

/// The directives of a filter: commas between the fields of a span separate none.
fn split(filter: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    filter.split(move |c: char| {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_filter_says_of_the_server_holds_for_its_crates() {
        for (filter, expanded) in [
            ("info", "info"),
            ("niks3_serverless=debug", "niks3_serverless=debug"),
            (
                "info,niks3_server=debug",
                "info,niks3_server=debug,niks3_arguments=debug,niks3_auth=debug,niks3_base=debug,niks3_catalog=debug,niks3_core=debug,\
                 niks3_storage=debug",
            ),
            (
                "niks3_server::storage::s3=trace",
                "niks3_server::storage::s3=trace,niks3_arguments::storage::s3=trace,niks3_base::storage::s3=trace,niks3_core::storage::s3=trace,\
                 niks3_storage::s3=trace",
            ),
            (
                "niks3_server::push=off,x[a{b=c,d=e}]=info",
                "niks3_server::push=off,niks3_arguments::push=off,niks3_base::push=off,niks3_core::push=off,x[a{b=c,d=e}]=info",
            ),
        ] {
            assert_eq!(of_all_crates(filter), expanded);
        }
    }

    #[test]
    fn every_crate_of_the_server_is_one_that_filters_know() {
        let manifest = include_str!("../Cargo.toml");
        let dependencies = manifest.lines().filter_map(|line| {
            let name = line.strip_suffix(".workspace = true")?;
            name.starts_with("niks3-").then(|| name.replace('-', "_"))
        });
        let shipped: Vec<String> = dependencies
            .filter(|name| name != "niks3_nix" && name != "niks3_test_support")
            .collect();
        assert_eq!(shipped, CRATES.map(|(name, _)| name));
    }
}
