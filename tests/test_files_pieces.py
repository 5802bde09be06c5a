"""Blocks in pieces: what libraries decode, encode and add up at a time."""

from __future__ import annotations

import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sampling import random_cases

from internals import PIECE_BYTES, compute_checksum, cut_pieces


@st.composite
def windows(draw):
    ends = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 25)), min_size=1, max_size=3))
    chunks = [draw(st.integers(1, 12)) for _ in ends]
    return tuple(slice(start, start + count) for start, count in ends), chunks


@random_cases(300)
@given(windows(), st.integers(1, 400))
def test_pieces_cover_a_window_once_and_end_where_chunks_end(window_and_chunks, most):
    window, chunks = window_and_chunks
    seen = np.zeros([rows.stop for rows in window], int)
    for piece, place in cut_pieces(window, chunks, most):
        seen[piece] += 1
        assert [rows.stop - rows.start for rows in place] == [r.stop - r.start for r in piece]
        for part, where, rows, chunk in zip(piece, place, window, chunks, strict=True):
            assert part.start - rows.start == where.start
            assert part.start == rows.start or part.start % chunk == 0
            assert part.stop == rows.stop or part.stop % chunk == 0
        count = math.prod(rows.stop - rows.start for rows in piece)
        assert count <= max(most, math.prod(chunks))
    assert (seen[window] == 1).all()
    assert seen.sum() == seen[window].size


@pytest.mark.parametrize("step", [1, -1, 2])
@pytest.mark.parametrize("shape", [(3, PIECE_BYTES // 8 + 5), (PIECE_BYTES // 64, 9), (2, 2, 7)])
def test_checksums_are_those_of_the_bytes_in_c_order(shape, step):
    values = np.random.default_rng(0).random(shape)[..., ::step].T
    assert compute_checksum(values) == zlib.crc32(np.ascontiguousarray(values))
