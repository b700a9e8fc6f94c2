//! Servers of other people.
