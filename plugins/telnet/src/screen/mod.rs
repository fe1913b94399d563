//! What the user's terminal shows: an emulator that holds the screen, its modes and where the cursor is.
