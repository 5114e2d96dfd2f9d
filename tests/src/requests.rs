//! What is asked in a push: the method, and words that tell a request from the others.

/// What a server asks an object store of every path in parts.
pub const OF_SERVER: [(&str, &str); 9] = [
    ("GET", "/nar/"),
    ("HEAD", "/nar/"),
    ("POST", "?uploads"),
    ("POST", "uploadId="),
    ("GET", "/staging/parts/"),
    ("PUT", "/nar/ x-id=CopyObject"),
    ("HEAD", "/staging/ !/parts/"),
    ("PUT", ".ls"),
    ("PUT", ".narinfo"),
];
