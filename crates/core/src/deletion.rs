//! Deleting from the bucket what the database has given up: [`delete`] does it for whoever has marked it, and
//! [`await_deletion`] is for pushes and repairs that the deletion stands in the way of.

pub mod await_deletion;
pub(crate) mod delete;
