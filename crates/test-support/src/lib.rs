//! PostgreSQL, S3, stores and faults for tests.
