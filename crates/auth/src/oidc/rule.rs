//! A rule: which tokens of a provider it admits, and to what.

use super::Glob;
use super::claims::{Claims, any_text, shown};
use crate::Grant;

/// What a claim has to be.
#[derive(Debug)]
pub struct Bound {
    /// Name of the claim.
    pub claim: String,
    /// One of these.
    pub values: Vec<Glob>,
}

/// A rule of a provider.
#[derive(Debug)]
pub struct Rule {
    /// How messages call it.
    pub name: String,
    /// All of these have to hold.
    pub bounds: Vec<Bound>,
    /// What it gives.
    pub grant: Grant,
}

impl Rule {
    /// Whether the rule admits a token with these claims.
    ///
    /// # Errors
    /// The first claim that is not what it has to be: its name and what the token says,
    /// never what the rule would accept.
    pub fn check(&self, claims: &Claims) -> Result<(), String> {
        for Bound { claim, values } in &self.bounds {
            match claims.get(claim) {
                None => return Err(format!("the token has no claim {claim}")),
                Some(value) if !any_text(value, &|text| values.iter().any(|glob| glob.matches(text))) => {
                    return Err(format!("the claim {claim} is {}", shown(value)));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}
