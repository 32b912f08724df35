//! State, leases and run records in memory; the fake.
