//! What a node sends: downloads and listings.
