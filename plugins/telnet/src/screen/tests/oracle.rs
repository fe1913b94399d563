//! An emulator that others wrote (the vt100 crate) has to see the same.
