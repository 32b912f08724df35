//! A database in memory; the fake.
