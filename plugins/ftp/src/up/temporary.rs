//! An upload's temporary name at a node with storage of its own, and how it becomes the file's.

use std::sync::Arc;

use director_sdk::{Failure, NodeId};

use crate::control::link::Link;
use crate::control::login::Account;
use crate::control::reply::{Degree, Reply};
use crate::shared::Shared;
use crate::up::leftovers::Owner;
use crate::up::look;
use crate::up::rules::Seen;

/// An upload under a temporary name.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: Vec<u8>,
    name: Vec<u8>,
    mark: u64,
    /// A node took no name that begins with a dot.
    plain: bool,
    /// Where what is left of it is remembered, and whose it is.
    shared: Arc<Shared>,
    owner: Option<Owner>,
    cwd: Option<Vec<u8>>,
    /// Where the temporary name was last used.
    begun: Option<NodeId>,
    /// Where it was last renamed, with unknown outcome: the node, and its name.
    renaming: Option<(NodeId, String)>,
}

/// Whether a node has renamed the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renamed {
    /// It has: all of it is there.
    Yes,
    /// All of it is to be sent.
    No,
}

impl Temporary {
    /// For an upload of `path` in the session's directory; `mark` makes its name its own.
    pub(crate) fn new(path: &[u8], mark: u64, account: &Account) -> Self {
        Self {
            path: path.to_vec(),
            name: beside(path, mark, false),
            mark,
            plain: false,
            shared: Arc::clone(&account.shared),
            owner: Owner::of(&account.state),
            cwd: account.state.cwd.clone(),
            begun: None,
            renaming: None,
        }
    }

    /// The name under which the upload begins at this link's node.
    pub(crate) fn begin(&mut self, link: &Link) -> &[u8] {
        let node = link.control.node();
        if self.begun.is_some_and(|begun| begun != node) {
            self.leave();
        }
        self.begun = Some(node);
        self.renaming = None;
        if let Some(owner) = &self.owner {
            self.shared.leftovers.forget(node, owner, &self.place());
        }
        &self.name
    }

    /// The node has refused the name: whether there is another to be tried.
    pub(crate) fn refused(&mut self) -> bool {
        self.begun = None;
        if self.plain {
            return false;
        }
        self.plain = true;
        self.name = beside(&self.path, self.mark, true);
        true
    }

    /// The name, wherever a session is.
    fn place(&self) -> Vec<u8> {
        match &self.cwd {
            Some(cwd) if !self.name.starts_with(b"/") => [cwd, &b"/"[..], &self.name].concat(),
            Some(_) | None => self.name.clone(),
        }
    }

    /// Notes that the file may be left where it was begun.
    fn leave(&mut self) {
        if let (Some(node), Some(owner)) = (self.begun.take(), &self.owner) {
            self.shared.leftovers.note(node, owner, &self.place());
        }
    }

    /// Whether a rename was begun at the node of this name, whose outcome is not known.
    pub(crate) fn is_renaming_at(&self, node: &str) -> bool {
        self.renaming.as_ref().is_some_and(|(_, name)| name == node)
    }

    /// Renames the file to its own name; the reply to that, or to the first half of it.
    ///
    /// # Errors
    ///
    /// The node is lost.
    pub(crate) async fn rename(&mut self, link: &mut Link) -> Result<Reply, Failure> {
        let reply = link.command(&[b"RNFR ", &*self.name].concat()).await?;
        if reply.degree() != Degree::Intermediate {
            return Ok(reply);
        }
        let node = link.control.node();
        self.renaming = Some((node, link.control.node_name().to_owned()));
        let reply = link.command(&[b"RNTO ", &*self.path].concat()).await?;
        self.renaming = None;
        if reply.is_complete() {
            self.begun = None;
        }
        Ok(reply)
    }

    /// Asks the node at which a rename was begun what became of it. `sizes`: the file has one of them when it
    /// is whole.
    ///
    /// # Errors
    ///
    /// The node is lost.
    pub(crate) async fn look(
        &mut self,
        account: &Account,
        link: &mut Link,
        sizes: &[u64],
    ) -> Result<Renamed, Failure> {
        // Another node has storage of its own: what became of it here says nothing there.
        let node = link.control.node();
        if self.renaming.as_ref().is_none_or(|(at, _)| *at != node) {
            return Ok(Renamed::No);
        }
        let whole = |seen: &Seen| matches!(seen, Seen::File { size, .. } if sizes.contains(size));
        let temporary = look::at_file(link, &account.state, &self.name).await?;
        if whole(&temporary) && self.rename(link).await?.is_complete() {
            return Ok(Renamed::Yes);
        }
        let named = look::at_file(link, &account.state, &self.path).await?;
        if temporary == Seen::Nothing && whole(&named) {
            self.begun = None;
            return Ok(Renamed::Yes);
        }
        Ok(Renamed::No)
    }

    /// Deletes what was begun at this link's node.
    ///
    /// # Errors
    ///
    /// The node is lost.
    pub(crate) async fn clear(&mut self, link: &mut Link) -> Result<(), Failure> {
        if self.begun == Some(link.control.node()) {
            let reply = link.command(&[b"DELE ", &*self.name].concat()).await?;
            if reply.is_complete() || reply.code == 550 {
                self.begun = None;
            }
        }
        Ok(())
    }
}

/// Whichever way an upload ends, its file is not forgotten.
impl Drop for Temporary {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A name in the directory of `path` that nobody else uses. It is short, however long the file's own is; `plain`
/// without the dot that servers can be told to refuse (vsftpd's `deny_file`, ProFTPD's `PathDenyFilter`,
/// Pure-FTPd's `-x`).
fn beside(path: &[u8], mark: u64, plain: bool) -> Vec<u8> {
    let directory = path.iter().rposition(|byte| *byte == b'/');
    let directory = directory.map_or(&[][..], |end| path.get(..=end).unwrap_or_default());
    let dot = if plain { "" } else { "." };
    [directory, format!("{dot}upload-{mark:016x}").as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_temporary_name_is_in_the_directory_of_the_file() {
        let name = |path: &str| String::from_utf8(beside(path.as_bytes(), 0xab, false)).unwrap();
        assert_eq!(name("x"), ".upload-00000000000000ab");
        assert_eq!(name("/x"), "/.upload-00000000000000ab");
        assert_eq!(name("a/b c/x"), "a/b c/.upload-00000000000000ab");
    }

    proptest! {
        #[test]
        fn it_differs_from_the_file_and_by_its_mark(path in "[a-z./]{0,20}", a: u64, b: u64, plain: bool) {
            let path = path.as_bytes();
            prop_assert_ne!(beside(path, a, plain), path.to_vec());
            prop_assert_eq!(beside(path, a, plain) == beside(path, b, plain), a == b);
        }
    }
}
