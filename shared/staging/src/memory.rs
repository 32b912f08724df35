//! A store in memory; the fake.
