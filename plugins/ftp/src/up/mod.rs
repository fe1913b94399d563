//! What a node is sent: uploads, and commands that change its files.
