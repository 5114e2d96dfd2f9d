//! What is asked in a push: the method, and words that tell a request from the others.

/// What a server asks an object store of every path in parts.
pub const OF_SERVER: [(&str, &str); 8] = [
    ("GET", "/nar/ !uploadId="),
    ("HEAD", "/nar/"),
    ("POST", "?uploads"),
    ("POST", "uploadId="),
    ("GET", "uploadId="),
    ("HEAD", "/staging/"),
    ("PUT", ".ls"),
    ("PUT", ".narinfo"),
];
