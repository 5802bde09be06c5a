"""Holes together with everything else: faces, lengths, plans with their matrices, masked arrays."""

from __future__ import annotations

import itertools
import math
import pickle
from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

import gpugrad
from conftest import assert_like_numpy, assert_same_bits, has_compiler
from internals import any_weights

OPERATORS = ["gradient", "derivative", "divergence", "curl", "laplacian", "jacobian", "hessian"]
ON_VECTORS = ("divergence", "curl", "jacobian")
BACKENDS = ["numpy", "compiled"]


def needs_compiler(backend):
    if backend == "compiled" and not has_compiler():
        pytest.skip("llvmlite is not installed")


def punch(rng, shape, share=0.12):
    """Return where a field is valid, and a field with NaN in its holes."""
    where = rng.random(shape) > share
    return where, np.where(where, rng.normal(size=shape), np.nan)


def flatten(result):
    if isinstance(result, (tuple, list)):
        return np.concatenate([flatten(one) for one in result])
    return gpugrad.asnumpy(result).ravel()


@cache  # on even samples, most rows have the same
def weigh(positions, order):
    return any_weights(positions, order)


class TestFaces:
    """A face has a derivative where the samples on both its sides are valid."""

    @staticmethod
    def by_hand(f, x, valid, *, order, accuracy, shift):
        """Differentiate row by row with exact weights, on an axis with one-sided ends."""
        n, reach = len(f), (order + accuracy) // 2
        before, after = reach - (shift > 0), reach - (shift < 0)
        x = [Fraction(float(position)) for position in x]
        is_even = len({b - a for a, b in itertools.pairwise(x)}) == 1
        ahead = [(-before, after)]
        for count in range(order + accuracy, order, -1):
            some = [(last - count + 1, last) for last in range(count)]
            some = [w for w in some if w[0] <= min(0, shift) and w[1] >= max(0, shift)]
            ahead += sorted(some, key=lambda w: (abs(sum(w) - shift), -w[1]))
        result = []
        for i in range(n):
            windows = list(ahead)
            if i < before:
                windows.insert(0, (-i, max(order + accuracy, 2 * i + 1 + shift) - 1 - i))
            if i >= n - after:
                inwards = n - 1 - i
                count = max(order + accuracy, 2 * inwards + 1 - shift)
                windows.insert(0, (inwards + 1 - count, inwards))
            other = i + shift if 0 <= i + shift < n else i - shift
            half = abs(x[other] - x[i]) / 2 * shift
            for first, last in windows:
                rows = range(i + first, i + last + 1)
                if rows[0] < 0 or rows[-1] >= n:
                    continue
                at, used = tuple(x[k] - x[i] - half for k in rows), rows
                if is_even:
                    used = [k for k, w in zip(rows, weigh(at, order), strict=True) if w]
                needed = {i, *used, *([i + shift] if 0 <= i + shift < n else [])}
                if all(valid[k] for k in range(min(needed), max(needed) + 1)):
                    pairs = zip(rows, weigh(at, order), strict=True)
                    parts = (w * Fraction(float(f[k])) for k, w in pairs if w)
                    result.append(float(sum(parts)))
                    break
            else:
                result.append(math.nan)
        return np.array(result)

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize("stagger", ["left", "right"])
    @pytest.mark.parametrize("is_even", [True, False], ids=["even", "uneven"])
    @pytest.mark.parametrize(
        ("order", "accuracy"), [(1, 2), (1, 4), (2, 2), (2, 4), (3, 2), (4, 4), (1, 8)]
    )
    def test_each_takes_the_best_of_what_is_valid(self, rng, order, accuracy, is_even, stagger):
        n = 70
        x = np.arange(n) * 0.25 if is_even else np.cumsum(rng.integers(3, 9, n) / 16)
        where = rng.random(n) > 0.12
        f = np.where(where, rng.integers(-9, 9, n) * 1.0, np.nan)
        shift = {"left": -1, "right": 1}[stagger]
        expected = self.by_hand(f, x, where, order=order, accuracy=accuracy, shift=shift)
        got = gpugrad.derivative(
            f, 0.25 if is_even else x, order=order, accuracy=accuracy, edge_accuracy=accuracy,
            where=where, stagger=stagger,
        )  # fmt: skip
        assert (np.isnan(got) == np.isnan(expected)).all()
        largest = np.nanmax(np.abs(expected), initial=1.0)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9 * largest)

    def test_differences_of_two_are_there_or_not(self, rng):
        where, f = punch(rng, 40)
        both = where[1:] & where[:-1]
        left = gpugrad.derivative(f, 0.3, where=where, stagger="left", boundary="edge")
        assert_same_bits(left[1:], np.where(both, np.diff(f) / 0.3, np.nan))
        right = gpugrad.derivative(f, 0.3, where=where, stagger="right", boundary="edge")
        assert_same_bits(right[:-1], left[1:])

    def test_no_flux_through_the_coast_is_the_laplacian_of_the_water(self, rng):
        """On a C-grid: what crosses a face beside land is nothing."""
        where, f = punch(rng, (12, 15))
        flux = gpugrad.gradient(f, stagger="left", where=where, boundary="symmetric")
        flux = [np.where(np.isnan(one), 0.0, one) for one in flux]
        balance = gpugrad.divergence(flux, stagger="right", boundary=0.0)
        expected = np.zeros(f.shape)
        for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
            beside = np.roll(np.pad(f, 1, constant_values=np.nan), step, axis)[1:-1, 1:-1]
            expected += np.where(np.isnan(beside - f), 0.0, beside - f)
        np.testing.assert_allclose(balance[where], expected[where], atol=1e-12)
        assert abs(balance[where].sum()) < 1e-12  # nothing is lost

    @pytest.mark.exhaustive(xp="jax")
    @pytest.mark.sampled
    @pytest.mark.parametrize("boundary", ["periodic", ("reflect", "odd-symmetric"), 0.5])
    @pytest.mark.parametrize("accuracy", [2, 4])
    def test_engines_and_libraries_agree(self, xp, rng, accuracy, boundary):
        where, f = punch(rng, (9, 14))
        x = np.cumsum(rng.uniform(0.5, 1.5, 14))
        options = {"accuracy": accuracy, "boundary": boundary, "stagger": {0: "left", 1: "right"}}
        expected = gpugrad.gradient(f, 0.5, x, where=where, backend="slices", **options)
        for backend in BACKENDS:
            if backend == "compiled" and not has_compiler():
                continue
            got = gpugrad.gradient(f, 0.5, x, where=where, backend=backend, **options)
            for one, wanted in zip(got, expected, strict=True):
                assert_same_bits(one, wanted)
        got = gpugrad.gradient(xp.asarray(f), 0.5, x, where=xp.asarray(where), **options)
        for one, wanted in zip(got, expected, strict=True):
            one = gpugrad.asnumpy(one)
            assert (np.isnan(one) == np.isnan(wanted)).all()
            assert_like_numpy(xp, np.nan_to_num(one), np.nan_to_num(wanted), scale=200.0)

    def test_counting_backwards_swaps_left_and_right(self, rng):
        _, f = punch(rng, 60)
        x = np.cumsum(rng.uniform(0.5, 1.5, 60))
        for h, back in ((0.3, -0.3), (x, x[::-1])):
            options = {"accuracy": 4, "skipna": True}
            a = gpugrad.derivative(f, h, stagger="left", **options)
            b = gpugrad.derivative(f[::-1], back, stagger="right", **options)[::-1]
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


class TestLength:
    """The magnitude of a gradient with holes is that of the derivatives it is made of."""

    @pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
    @pytest.mark.parametrize("options", [{}, {"accuracy": 4}, {"boundary": "periodic"}], ids=str)
    def test_it_has_the_bits_of_its_steps_on_every_engine(self, rng, options, dtype):
        where, f = punch(rng, (8, 21))
        f = f.astype(dtype) * (1 + 2j if dtype == "c16" else 1)
        for given in ({"where": where}, {"skipna": True}, {"where": where, "skipna": True}):
            with np.errstate(invalid="ignore"):
                total = None
                for d in gpugrad.gradient(f, 0.3, **given, **options, backend="slices"):
                    square = d.real * d.real + d.imag * d.imag if dtype == "c16" else d * d
                    total = square if total is None else total + square
                expected = np.sqrt(total)
            for backend in ("slices", *BACKENDS):
                # Kernels for holes take long to compile: one for each dtype is enough.
                if backend == "compiled" and (options or not has_compiler()):
                    continue
                got = gpugrad.gradient_norm(f, 0.3, **given, **options, backend=backend)
                assert_same_bits(got, expected)

    @pytest.mark.exhaustive(xp="jax")
    def test_on_every_library(self, xp, rng):
        where, f = punch(rng, (7, 12))
        expected = gpugrad.gradient_norm(f, 0.5, where=where, backend="slices")
        if xp.name == "torch":  # its roots are not always rounded correctly
            xp = replace(xp, exact=False)
        for given in ({"where": xp.asarray(where)}, {"skipna": True}):
            got = gpugrad.asnumpy(gpugrad.gradient_norm(xp.asarray(f), 0.5, **given))
            assert (np.isnan(got) == np.isnan(expected)).all()
            assert_like_numpy(xp, np.nan_to_num(got), np.nan_to_num(expected), scale=60.0)

    def test_it_is_missing_where_one_derivative_is(self):
        f = np.arange(12.0).reshape(3, 4)
        where = np.ones((3, 4), bool)
        where[:, 1] = False
        got = gpugrad.gradient_norm(f, where=where)
        assert np.isnan(got[:, :2]).all()  # a lone column has no neighbours
        np.testing.assert_allclose(got[:, 2:], np.sqrt(17))

    def test_into_out_and_into_a_masked_one(self, rng):
        where, f = punch(rng, (7, 12))
        expected = gpugrad.gradient_norm(f, where=where)
        out = np.empty_like(f)
        assert gpugrad.gradient_norm(f, where=where, out=out) is out
        assert_same_bits(out, expected)
        masked = np.ma.empty(f.shape)
        given = np.ma.masked_invalid(f)
        assert gpugrad.gradient_norm(given, skipna=True, out=masked) is masked
        assert_same_bits(masked.filled(np.nan), expected)


@pytest.mark.parametrize("options", [{}, {"accuracy": 4}, {"boundary": "reflect"}], ids=str)
@pytest.mark.parametrize("operator", [*OPERATORS, "gradient_norm"])
def test_masked_arrays_come_back_masked(rng, operator, options):
    where, f = punch(rng, (11, 12))
    masked = np.ma.array(np.where(where, f, 1e20), mask=~where)
    if operator in ON_VECTORS:
        got = getattr(gpugrad, operator)([masked, masked], 0.5, skipna=True, **options)
        expected = getattr(gpugrad, operator)([f, f], 0.5, where=where, **options)
    else:
        got = getattr(gpugrad, operator)(masked, 0.5, skipna=True, **options)
        expected = getattr(gpugrad, operator)(f, 0.5, where=where, **options)
    pending = [(got, expected)]
    while pending:
        one, wanted = pending.pop()
        if isinstance(one, tuple):
            pending += zip(one, wanted, strict=True)
            continue
        assert isinstance(one, np.ma.MaskedArray)
        assert (np.ma.getmaskarray(one) == np.isnan(wanted)).all()
        assert_same_bits(one.filled(np.nan), wanted)


@pytest.mark.sampled
@pytest.mark.parametrize("accuracy", [6, 8, 12])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_above_the_limit_of_kernels_all_engines_give_the_same_bits(rng, order, accuracy):
    needs_compiler("compiled")
    where, f = punch(rng, (30, 40), share=0.05)
    for spacing in (0.3, np.cumsum(rng.uniform(0.5, 1.5, 40))):
        options = {"order": order, "accuracy": accuracy, "where": where}
        expected = gpugrad.derivative(f, spacing, backend="slices", **options)
        for backend in ("auto", "numpy", "compiled"):
            assert_same_bits(gpugrad.derivative(f, spacing, backend=backend, **options), expected)


PLANNED = [
    {},
    {"accuracy": 4},
    {"boundary": "periodic"},
    {"boundary": ("reflect", 0.75), "accuracy": 4},
]


class TestPlans:
    """With `where`, a plan is the operator for that mask, and so are matrix and adjoint."""

    SHAPE = (11, 12)

    def draw(self, rng, operator):
        where, f = punch(rng, self.SHAPE)
        return where, np.stack([f, 3 - 2 * f]) if operator in ON_VECTORS else f

    @pytest.mark.sampled
    @pytest.mark.parametrize("options", PLANNED, ids=str)
    @pytest.mark.parametrize("operator", OPERATORS)
    @pytest.mark.parametrize("is_even", [True, False], ids=["even", "uneven"])
    def test_call_matrix_offset_and_adjoint_are_one(self, rng, operator, options, is_even):
        pytest.importorskip("scipy")
        if operator == "hessian" and "reflect" in str(options):
            options = {"boundary": "reflect", "accuracy": 4}
        where, f = self.draw(rng, operator)
        spacing = [0.5]
        if not is_even:
            spacing = [np.cumsum(rng.uniform(0.5, 1.5, n)) for n in self.SHAPE]
            spacing = spacing[-1:] if operator == "derivative" else spacing
        plan = gpugrad.plan(self.SHAPE, *spacing, operator=operator, where=where, **options)
        expected = flatten(getattr(gpugrad, operator)(f, *spacing, where=where, **options))
        result = plan(f)
        assert_same_bits(flatten(result), expected)
        missing = np.isnan(expected)
        assert 0 < missing.sum() < missing.size
        # With NaN in the holes of the field: neither of the three reads them.
        matrix, offset = plan.matrix(), plan.offset()
        assert (np.isnan(offset) == missing).all()
        scale = abs(matrix).sum(axis=1).max() * np.nanmax(np.abs(f))
        np.testing.assert_allclose(matrix @ f.ravel() + offset, expected, atol=1e-13 * scale)
        assert not matrix.tocsr()[missing].count_nonzero()
        g = np.where(missing, np.nan, rng.normal(size=missing.size)).reshape(
            *np.shape(np.array(result))[: -len(self.SHAPE)], *self.SHAPE
        )
        back = flatten(plan.adjoint()(g))
        transposed = matrix.T @ np.nan_to_num(g).ravel()
        np.testing.assert_allclose(back, transposed, atol=1e-12 * scale)
        assert (back[np.isnan(f).ravel()] == 0).all()
        inner = np.nansum((expected - offset) * g.ravel())
        assert inner == pytest.approx(np.nansum(f.ravel() * back), rel=1e-10, abs=1e-12 * scale)
        adjoint = plan.adjoint()
        assert abs(adjoint.matrix() - matrix.T).max() < 1e-14 * scale
        assert abs(adjoint.adjoint().matrix() - matrix).max() < 1e-14 * scale
        assert not adjoint.offset().any()

    @pytest.mark.nightly(xp="jax")
    @pytest.mark.sampled(exhaustive=1)
    @pytest.mark.parametrize("operator", ["gradient", "laplacian", "hessian"])
    def test_in_every_library(self, xp, rng, operator):
        if xp.name == "dask":  # in few blocks: there is a task for each, formula by formula
            da = pytest.importorskip("dask.array")
            xp = replace(xp, asarray=lambda x: da.from_array(x, chunks=6))
        where, f = self.draw(rng, operator)
        options = {"operator": operator, "where": xp.asarray(where), "like": xp.asarray(f)}
        plan = gpugrad.plan(self.SHAPE, 0.5, **options)
        expected = getattr(gpugrad, operator)(f, 0.5, where=where)
        got = flatten(plan(xp.asarray(f)))
        assert (np.isnan(got) == np.isnan(flatten(expected))).all()
        np.testing.assert_allclose(got, flatten(expected), atol=1e-12)
        reference = gpugrad.plan(self.SHAPE, 0.5, operator=operator, where=where)
        there = np.array(expected)
        nested = {2: xp.asarray, 3: lambda g: [xp.asarray(one) for one in g],
                  4: lambda g: [[xp.asarray(one) for one in row] for row in g]}  # fmt: skip
        back = flatten(plan.adjoint()(nested[there.ndim](there)))
        np.testing.assert_allclose(back, flatten(reference.adjoint()(there)), atol=1e-11)
        if xp.name != "cupy":
            pytest.importorskip("scipy")
            assert abs(plan.matrix() - reference.matrix()).max() < 1e-14

    def test_faces_have_plans_too(self, rng):
        pytest.importorskip("scipy")
        where, f = punch(rng, 40)
        options = {"operator": "derivative", "accuracy": 4, "stagger": "left"}
        plan = gpugrad.plan(40, 0.5, where=where, **options)
        expected = gpugrad.derivative(f, 0.5, where=where, accuracy=4, stagger="left")
        assert_same_bits(plan(f), expected)
        np.testing.assert_allclose(plan.matrix() @ f + plan.offset(), expected, atol=1e-12)

    def test_a_length_has_a_plan_but_no_matrix(self, rng):
        where, f = punch(rng, self.SHAPE)
        plan = gpugrad.plan(self.SHAPE, operator="gradient_norm", where=where)
        assert_same_bits(plan(f), gpugrad.gradient_norm(f, where=where))
        with pytest.raises(TypeError, match="must be linear"):
            plan.adjoint()

    def test_the_mask_is_copied_and_pickled_and_may_broadcast(self, rng):
        where, f = punch(rng, 12)
        given = where.copy()
        plan = gpugrad.plan((5, 12), where=given)
        given[:] = True
        fields = np.stack([f] * 5)
        expected = gpugrad.gradient(fields, where=where)
        for one in (plan, pickle.loads(pickle.dumps(plan))):
            for got, wanted in zip(one(fields), expected, strict=True):
                assert_same_bits(got, wanted)

    def test_of_complex_fields_the_adjoint_is_the_conjugate_transpose(self, rng):
        where = rng.random(self.SHAPE) > 0.1
        f, g = rng.normal(size=(2, *self.SHAPE)) + 1j * rng.normal(size=(2, *self.SHAPE))
        plan = gpugrad.plan(self.SHAPE, dtype="complex128", operator="laplacian", where=where)
        there = plan(f)
        inner = np.vdot(np.nan_to_num(there), np.where(np.isnan(there), 0, g))
        assert inner == pytest.approx(np.vdot(f, plan.adjoint()(g)), rel=1e-12)

    def test_what_is_masked_in_where_is_not_valid(self, rng):
        where = np.ma.array(np.ones(6, bool), mask=[0, 0, 1, 0, 0, 0])
        f = rng.normal(size=6)
        assert_same_bits(gpugrad.plan(6, where=where)(f), gpugrad.gradient(f, where=where))

    def test_what_makes_no_sense_is_refused(self, rng):
        with pytest.raises(TypeError, match="`where` must be a boolean array"):
            gpugrad.plan(5, where=np.ones(5))
        with pytest.raises(ValueError, match=r"got shape \(4,\)"):
            gpugrad.plan(5, where=np.ones(4, bool))
        plan = gpugrad.plan(5, where=np.ones(5, bool))
        with pytest.raises(TypeError, match="must be a plain array for a plan with `where`"):
            plan(np.ma.ones(5))
