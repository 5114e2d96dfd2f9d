//! Nix formats, pure: store paths, narinfo, signatures, NAR.
