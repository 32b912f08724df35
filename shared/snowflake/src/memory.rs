//! A source in memory with versions by commit time: the fake that engines are tested on.
