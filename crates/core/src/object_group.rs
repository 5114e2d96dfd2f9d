//! What an object of the bucket belongs to, and what the database says of that.

use std::collections::{HashMap, HashSet};

use niks3_catalog::{Catalog, CatalogError, HashStatus};
use niks3_storage::ObjectKey;

/// What objects are looked up together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Group {
    Narinfo,
    Listing,
    Nar,
    Log,
    Realisation,
    DebugInfo,
    Pin,
    Staging,
}

impl Group {
    /// Those of some names that the database has, however they stand.
    pub(crate) async fn known(
        self,
        catalog: &Catalog,
        names: &[String],
    ) -> Result<HashSet<String>, CatalogError> {
        match self {
            Self::Narinfo | Self::Listing => {
                let known = catalog.known_hashes(names).await?.into_iter();
                let recorded = known.filter(|(_, standing)| *standing == HashStatus::Recorded);
                Ok(recorded.map(|(hash, _)| hash).collect())
            }
            Self::Nar => catalog.known_nars(names).await,
            Self::Log => catalog.known_drvs(names).await,
            Self::Realisation => catalog.known_realisations(names).await,
            Self::DebugInfo => catalog.known_debug_infos(names).await,
            Self::Pin => catalog.known_pins(names).await,
            Self::Staging => catalog.known_pushes(names).await,
        }
    }

    /// Those of some names whose objects are to be in the bucket now, or are on their way there.
    async fn expected(self, catalog: &Catalog, names: &[String]) -> Result<HashSet<String>, CatalogError> {
        match self {
            Self::Narinfo | Self::Listing => catalog.published_hashes(names).await,
            Self::Nar => catalog.present_nars(names).await,
            Self::Log => catalog.present_drvs(names).await,
            Self::Realisation => catalog.present_realisations(names).await,
            Self::DebugInfo | Self::Pin | Self::Staging => self.known(catalog, names).await,
        }
    }
}

/// What an object belongs to, and by which name the database knows it; nothing for what the server writes for itself.
pub(crate) fn group(key: &ObjectKey) -> Option<(Group, String)> {
    let text = key.as_str();
    if let Some(push) = key.staging_group() {
        return Some((Group::Staging, push.to_owned()));
    }
    match text.split_once('/') {
        None => {
            let (hash, extension) = text.split_once('.')?;
            match extension {
                "narinfo" => Some((Group::Narinfo, hash.to_owned())),
                "ls" => Some((Group::Listing, hash.to_owned())),
                _ => None,
            }
        }
        Some(("nar", _)) => Some((Group::Nar, text.to_owned())),
        Some(("debuginfo", _)) => Some((Group::DebugInfo, text.to_owned())),
        Some(("log", drv)) => Some((Group::Log, drv.to_owned())),
        Some(("pins", name)) => Some((Group::Pin, name.to_owned())),
        Some(("realisations" | "build-trace-v2", _)) => Some((Group::Realisation, text.to_owned())),
        Some(_) => None,
    }
}

/// Those of some keys of which the database says that nothing is there, nor on its way there.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn unexpected(
    catalog: &Catalog,
    keys: &[ObjectKey],
) -> Result<HashSet<ObjectKey>, CatalogError> {
    let mut groups: HashMap<Group, Vec<(&ObjectKey, String)>> = HashMap::new();
    for key in keys {
        if let Some((group, name)) = group(key) {
            groups.entry(group).or_default().push((key, name));
        }
    }
    let mut unexpected = HashSet::new();
    for (group, members) in groups {
        let names: Vec<String> = members.iter().map(|(_, name)| name.clone()).collect();
        let expected = group.expected(catalog, &names).await?;
        let others = members.into_iter().filter(|(_, name)| !expected.contains(name));
        unexpected.extend(others.map(|(key, _)| key.clone()));
    }
    Ok(unexpected)
}
