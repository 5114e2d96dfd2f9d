//! From store paths to uploaded closures: shared by the command line and the Action.
