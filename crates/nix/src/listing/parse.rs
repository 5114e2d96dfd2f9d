//! Reads a listing of any depth without recursion.

use super::{Entry, Listing, Node, json::Lexer};
use crate::{
    echo::echo_bytes,
    entry::{MAX_DEPTH, is_entry_name},
};

/// The longest listing that is read.
pub const MAX_LEN: usize = 256 << 20;

/// Why bytes are not a listing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// Longer than [`MAX_LEN`].
    #[error("a listing of {0} bytes is too long")]
    TooLong(usize),
    /// Not the JSON of a listing.
    #[error("not a listing: expected {expected} at byte {offset}")]
    Json {
        /// Where.
        offset: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// A name that no entry of a folder can have, or that stands twice.
    #[error("'{0}' cannot be an entry of a folder, or is one twice")]
    Name(String),
    /// Folders within folders beyond any path.
    #[error("a listing more than {} folders deep", MAX_DEPTH)]
    TooDeep,
}

struct Parsed {
    name: Box<[u8]>,
    node: Node,
    children: Vec<usize>,
}

#[derive(Default)]
struct Open {
    name: Box<[u8]>,
    kind: Option<Vec<u8>>,
    size: Option<u64>,
    executable: bool,
    nar_offset: Option<u64>,
    target: Option<Vec<u8>>,
    has_entries: bool,
    children: Vec<usize>,
    in_entries: bool,
    first: bool,
}

impl Open {
    fn new(name: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            first: true,
            ..Self::default()
        }
    }

    fn finish(self, lexer: &Lexer<'_>) -> Result<Parsed, ListingError> {
        let node = match self.kind.as_deref() {
            Some(b"directory") if self.has_entries => Node::Directory,
            Some(b"directory") => return Err(lexer.wrong("a directory with 'entries'")),
            Some(b"regular") => Node::Regular {
                size: self.size.ok_or_else(|| lexer.wrong("a file with 'size'"))?,
                executable: self.executable,
                nar_offset: self.nar_offset,
            },
            Some(b"symlink") => {
                let target = self
                    .target
                    .ok_or_else(|| lexer.wrong("a symlink with 'target'"))?;
                Node::Symlink {
                    target: target.into(),
                }
            }
            _ => return Err(lexer.wrong("'type': 'directory', 'regular' or 'symlink'")),
        };
        if self.has_entries && node != Node::Directory {
            return Err(lexer.wrong("'entries' in a directory only"));
        }
        Ok(Parsed {
            name: self.name,
            node,
            children: self.children,
        })
    }
}

pub(super) fn parse(json: &[u8]) -> Result<Listing, ListingError> {
    if json.len() > MAX_LEN {
        return Err(ListingError::TooLong(json.len()));
    }
    let mut lexer = Lexer::new(json);
    let mut nodes = Vec::new();
    let mut root = None;
    let mut version = None;
    let mut first = true;
    lexer.open_object()?;
    while let Some(key) = lexer.next_key(&mut first)? {
        match key.as_slice() {
            b"version" => version = Some(lexer.number()?),
            b"root" if root.is_none() => root = Some(parse_tree(&mut lexer, &mut nodes)?),
            b"root" => return Err(lexer.wrong("one 'root'")),
            _ => lexer.skip()?,
        }
    }
    lexer.end()?;
    if version != Some(1) {
        return Err(lexer.wrong("'version': 1"));
    }
    flatten(nodes, root.ok_or_else(|| lexer.wrong("'root'"))?)
}

fn parse_tree(lexer: &mut Lexer<'_>, nodes: &mut Vec<Parsed>) -> Result<usize, ListingError> {
    lexer.open_object()?;
    let mut open = Open::new(Vec::new());
    let mut above: Vec<Open> = Vec::new();
    loop {
        let key = lexer.next_key(&mut open.first)?;
        match (key, open.in_entries) {
            (Some(name), true) => {
                if !is_entry_name(&name) {
                    return Err(ListingError::Name(echo_bytes(&name)));
                }
                if above.len() >= MAX_DEPTH {
                    return Err(ListingError::TooDeep);
                }
                lexer.open_object()?;
                above.push(std::mem::replace(&mut open, Open::new(name)));
            }
            (None, true) => {
                open.in_entries = false;
                // However few entries there were, the next field comes after a comma.
                open.first = false;
            }
            (Some(key), false) => parse_field(lexer, &mut open, &key)?,
            (None, false) => {
                nodes.push(open.finish(lexer)?);
                let index = nodes.len() - 1;
                match above.pop() {
                    Some(parent) => open = parent,
                    None => return Ok(index),
                }
                open.children.push(index);
            }
        }
    }
}

fn parse_field(lexer: &mut Lexer<'_>, open: &mut Open, key: &[u8]) -> Result<(), ListingError> {
    match key {
        b"type" => open.kind = Some(lexer.string()?),
        b"size" => open.size = Some(lexer.number()?),
        b"executable" => open.executable = lexer.boolean()?,
        b"narOffset" => open.nar_offset = Some(lexer.number()?),
        b"target" => open.target = Some(lexer.string()?),
        b"entries" if open.has_entries => return Err(lexer.wrong("one 'entries'")),
        b"entries" => {
            lexer.open_object()?;
            open.has_entries = true;
            open.in_entries = true;
            open.first = true;
        }
        _ => lexer.skip()?,
    }
    Ok(())
}

/// Puts the nodes in the order of a NAR.
fn flatten(mut nodes: Vec<Parsed>, root: usize) -> Result<Listing, ListingError> {
    let mut entries = Vec::with_capacity(nodes.len());
    let mut pending = vec![(root, 0u32)];
    while let Some((index, depth)) = pending.pop() {
        let mut children = std::mem::take(&mut nodes[index].children);
        children.sort_unstable_by(|a, b| nodes[*b].name.cmp(&nodes[*a].name));
        if let Some(twice) = children
            .windows(2)
            .find(|pair| nodes[pair[0]].name == nodes[pair[1]].name)
        {
            return Err(ListingError::Name(echo_bytes(&nodes[twice[0]].name)));
        }
        pending.extend(children.into_iter().map(|child| (child, depth + 1)));
        let parsed = &mut nodes[index];
        let name = std::mem::take(&mut parsed.name);
        let node = std::mem::replace(&mut parsed.node, Node::Directory);
        entries.push(Entry { depth, name, node });
    }
    Ok(Listing { entries })
}
