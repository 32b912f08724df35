//! Several contenders, interleaved: every one once in each round, so that a bad minute of the
//! machine meets all.

use std::path::PathBuf;

use crate::error::BenchError;
use crate::figures::{Result as Figures, Round};
use crate::process::say;

/// Somebody to compare with, run by a Python.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// As the table of figures shows it.
    pub(crate) name: &'static str,
    /// The environment variable that names the Python.
    pub(crate) variable: &'static str,
    /// What the Python is to run; the benchmark knows how.
    pub(crate) runs: &'static str,
}

/// What is measured against each other.
#[derive(Clone, Debug)]
pub(crate) enum Contender {
    /// Our command.
    Snowferry { name: &'static str },
    /// A peer whose Python is named.
    Peer { peer: Peer, python: PathBuf },
}

impl Contender {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Snowferry { name } => name,
            Self::Peer { peer, .. } => peer.name,
        }
    }
}

/// Returns us and, if asked for, each peer whose Python is named.
pub(crate) fn contenders(
    ours: &'static str,
    peers: &[Peer],
    with_peers: bool,
) -> Result<Vec<Contender>, BenchError> {
    let mut contenders = vec![Contender::Snowferry { name: ours }];
    if with_peers {
        contenders.extend(peers.iter().filter_map(|peer| {
            let python = PathBuf::from(std::env::var_os(peer.variable)?);
            Some(Contender::Peer { peer: *peer, python })
        }));
        if contenders.len() == 1 {
            return Err(BenchError::NoPython);
        }
    }
    Ok(contenders)
}

/// Plays one round that does not count, then `rounds` that do. Returns how many rows each run was
/// about, and the figures; contenders that moved different numbers of rows compare nothing.
pub(crate) fn play(
    contenders: &[Contender],
    rounds: u32,
    measure: impl Fn(&Contender) -> Result<(Round, u64), BenchError>,
) -> Result<(u64, Vec<Figures>), BenchError> {
    let mut rows = None;
    let mut kept: Vec<Vec<Round>> = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for (contender, kept) in contenders.iter().zip(&mut kept) {
            let (figures, found) = measure(contender)?;
            let wanted = *rows.get_or_insert(found);
            if found != wanted {
                let contender = contender.name().to_owned();
                return Err(BenchError::Rows { contender, found, wanted });
            }
            let (name, Round { cpu_s, wall_s, .. }) = (contender.name(), figures);
            say(&format!("round {round} of {rounds}: {name}: {cpu_s:.2} CPU s, {wall_s:.2} s"));
            if round > 0 {
                kept.push(figures);
            }
        }
    }
    let results = contenders.iter().zip(kept).map(|(who, kept)| Figures::of(who.name(), kept));
    Ok((rows.unwrap_or(0), results.collect()))
}
