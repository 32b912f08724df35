//! Results are cut into parts without gap or overlap.

use snowferry_snowflake::{Piece, ResultLayout};

use crate::layout::plan_parts;

fn layout(pieces: &[(u64, u64)]) -> ResultLayout {
    ResultLayout {
        rows: pieces.iter().map(|(rows, _)| rows).sum(),
        pieces: pieces
            .iter()
            .map(|&(rows, bytes)| Piece {
                rows,
                compressed_bytes: bytes / 4,
                uncompressed_bytes: bytes,
            })
            .collect(),
    }
}

#[test]
fn pieces_are_gathered_until_a_part_is_full() {
    let parts = plan_parts(&layout(&[(1, 40), (2, 40), (3, 40), (4, 300), (5, 10)]), 100);
    let cut: Vec<_> = parts.iter().map(|part| (part.pieces.clone(), part.rows)).collect();
    assert_eq!(cut, [(0..2, 3), (2..3, 3), (3..4, 4), (4..5, 5)]);
}

#[test]
fn an_empty_inline_piece_makes_no_part() {
    let parts = plan_parts(&layout(&[(0, 0), (2, 40)]), 100);
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].pieces, 1..2);
    assert_eq!(plan_parts(&layout(&[(0, 0)]), 100), []);
}

#[test]
fn the_same_layout_is_cut_alike_whoever_cuts_it() {
    let layout = layout(&[(1, 7), (1, 9), (1, 80), (1, 4), (1, 50)]);
    assert_eq!(plan_parts(&layout, 64), plan_parts(&layout.clone(), 64));
}
