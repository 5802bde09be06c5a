"""Finite-difference formulas as they stand in textbooks: exact weights, and their leading error."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Rational
from typing import Any, NamedTuple

from gpugrad._keywords import accepts_keywords
from gpugrad._stencils.weights import central_reach, exact_weights

_KINDS = ("central", "forward", "backward", "staggered")


class TruncationError(NamedTuple):
    """The leading term of an error: ``coefficient * h**power * f^(derivative)(x)``.

    It tells how the error decreases with the spacing, and for which functions a formula is exact:
    polynomials of a degree less than `derivative`.

    Parameters
    ----------
    coefficient : Fraction
        The coefficient of the term.
    power : int
        The power of the spacing.
    derivative : int
        The order of the derivative in the term.

    See Also
    --------
    Stencil : The formula that has this error.

    Examples
    --------
    >>> import gpugrad
    >>> gpugrad.stencil().error
    TruncationError(coefficient=Fraction(1, 6), power=2, derivative=3)
    """

    coefficient: Fraction
    power: int
    derivative: int


@dataclass(frozen=True)
class Stencil:
    """A finite-difference formula for a derivative on even samples, in exact fractions.

    The sum of ``weights[k] * f(x + offsets[k] * h)``, divided by ``h**order``, equals the
    derivative at ``x`` plus the `error` and terms of higher powers of the spacing ``h``. It is
    returned by `stencil`.

    Parameters
    ----------
    offsets : tuple of int or Fraction
        The positions of the samples relative to ``x``, in multiples of the spacing.
    weights : tuple of Fraction
        The weight of each sample.
    order : int
        The order of the derivative.
    error : TruncationError
        The leading term of the error: its ``coefficient``, the ``power`` of the spacing and the
        ``derivative``.

    See Also
    --------
    stencil : Finds the formula for a derivative.

    Examples
    --------
    >>> import gpugrad
    >>> gpugrad.stencil().weights
    (Fraction(-1, 2), Fraction(1, 2))
    """

    offsets: tuple[int | Fraction, ...]
    weights: tuple[Fraction, ...]
    order: int
    error: TruncationError

    @property
    def accuracy(self) -> int:
        """Return the order of accuracy: the power of the spacing in the leading term of the error.

        See Also
        --------
        stencil : Finds the formula for a given accuracy.

        Examples
        --------
        >>> import gpugrad
        >>> gpugrad.stencil(offsets=[0, 1, 2]).accuracy
        2
        """
        return self.error.power

    def __str__(self) -> str:
        """Write the formula as a textbook does, with its leading error on the right."""
        scale = math.lcm(*(w.denominator for w in self.weights))
        terms = [
            _write_signed(w * scale, f"f({_write_point(offset)})")
            for offset, w in zip(self.offsets, self.weights, strict=True)
            if w
        ]
        h = "h" if self.order == 1 else f"h^{self.order}"
        below = h if scale == 1 else f"({scale} {h})"
        c, power, derivative = self.error
        step = "h" if power == 1 else f"h^{power}"
        step = step if c.denominator == 1 else f"{step}/{c.denominator}"
        error = _write_signed(Fraction(c.numerator), f"{step} {_write_prime(derivative)}(x)")
        value = _join_terms([f"+{_write_prime(self.order)}(x)", error])
        return f"({_join_terms(terms)}) / {below} = {value} + ..."


@accepts_keywords
def stencil(
    order: int = 1,
    accuracy: int = 2,
    kind: str = "central",
    *,
    offsets: Iterable[Any] | None = None,
) -> Stencil:
    r"""Return the finite-difference formula for a derivative, in exact fractions.

    Use it to see what the operators compute, to check an error, or to write your own schemes.

    Parameters
    ----------
    order : int, optional
        The order of the derivative, 1 or more. By default 1.
    accuracy : int, optional
        The order of accuracy, by default 2: the error is proportional to this power of the spacing.
        It must be even for central and staggered formulas.
    kind : {"central", "forward", "backward", "staggered"}, optional
        On which sides of the point the samples lie, by default "central". "staggered" is central
        about a point midway between two samples.
    offsets : iterable of int, Fraction or float, optional
        The positions of the samples relative to the point, in multiples of the spacing: more than
        `order` distinct numbers. They replace `accuracy` and `kind`. Floats are converted to the
        fractions that they are exactly, such as ``0.5``.

    Returns
    -------
    Stencil
        The formula, with the attributes ``offsets``, ``weights`` (exact fractions), ``order``,
        ``accuracy`` and ``error``. The error is the leading term of the formula minus the
        derivative.

    Raises
    ------
    TypeError
        If an order or accuracy is not an integer, or an offset is not a finite real number; if
        `offsets` are given together with `accuracy` or `kind`.
    ValueError
        If an order or accuracy is less than 1; if the accuracy of a central formula is odd; if
        `kind` is unknown; if there are too few offsets or an offset occurs twice.

    See Also
    --------
    derivative : Applies such formulas to samples.
    recommended_spacing : The spacing at which truncation error and noise are balanced.

    Notes
    -----
    The weights of :math:`n` samples at :math:`x + k_j h` solve the equations

    .. math::

        \sum_j w_j k_j^d = \begin{cases} m! & d = m \\ 0 & \text{otherwise} \end{cases}
        \qquad d = 0, \dots, n - 1

    for the order :math:`m`. Then
    :math:`\sum_j w_j f(x + k_j h) / h^m = f^{(m)}(x) + c\, h^p f^{(m + p)}(x) + \dots` with
    :math:`c = \sum_j w_j k_j^{m + p} / (m + p)!`, where :math:`p` is the smallest positive integer
    for which :math:`c` is not zero.

    References
    ----------
    B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids",
    *Mathematics of Computation* 51 (1988), 699-706.

    Examples
    --------
    Formulas print with their leading error:

    >>> import gpugrad
    >>> print(gpugrad.stencil())
    (-f(x - h) + f(x + h)) / (2 h) = f'(x) + h^2/6 f'''(x) + ...
    >>> fourth = gpugrad.stencil(accuracy=4)
    >>> print(fourth)
    (f(x - 2h) - 8 f(x - h) + 8 f(x + h) - f(x + 2h)) / (12 h) = f'(x) - h^4/30 f^(5)(x) + ...
    >>> print(gpugrad.stencil(order=2, accuracy=1, kind="forward"))
    (f(x) - 2 f(x + h) + f(x + 2h)) / h^2 = f''(x) + h f'''(x) + ...
    >>> print(gpugrad.stencil(kind="staggered"))
    (-f(x - h/2) + f(x + h/2)) / h = f'(x) + h^2/24 f'''(x) + ...
    >>> print(gpugrad.stencil(offsets=[-1, 0, 2]))
    (-4 f(x - h) + 3 f(x) + f(x + 2h)) / (6 h) = f'(x) + h^2/3 f'''(x) + ...

    The weights and the error are also available as numbers:

    >>> fourth.weights[0], fourth.error
    (Fraction(1, 12), TruncationError(coefficient=Fraction(-1, 30), power=4, derivative=5))
    """
    order = _parse_positive(order, "order")
    if offsets is not None:
        if (accuracy, kind) != (2, "central"):
            raise TypeError(
                "`offsets` must come without `accuracy` and `kind`, which they decide; got "
                f"accuracy={accuracy!r}, kind={kind!r}. Leave one or the other out."
            )
        return _weigh_offsets(_parse_offsets(offsets, order), order)
    accuracy = _parse_positive(accuracy, "accuracy")
    if kind not in _KINDS:
        raise ValueError(f"`kind` must be one of {', '.join(_KINDS)}; got {kind!r}.")
    if kind in ("central", "staggered"):
        if accuracy % 2:
            raise ValueError(
                f"`accuracy` of a {kind} formula must be even, as by symmetry odd powers of h "
                f"cancel; got {accuracy}. Ask for {accuracy + 1}: it takes no more samples."
            )
        if kind == "staggered":
            reach = central_reach(order, accuracy, shift=1)
            half = Fraction(1, 2)
            return _weigh_offsets(tuple([k - half for k in range(1 - reach, reach + 1)]), order)
        reach = central_reach(order, accuracy)
        whole = _weigh_offsets(tuple(range(-reach, reach + 1)), order)
        if order % 2 == 0:
            return whole
        return Stencil(
            tuple([k for k in whole.offsets if k]),
            tuple([w for k, w in zip(whole.offsets, whole.weights, strict=True) if k]),
            order,
            whole.error,
        )
    one_sided = range(order + accuracy)
    return _weigh_offsets(
        tuple(one_sided if kind == "forward" else (-k for k in one_sided[::-1])), order
    )


def _weigh_offsets(offsets: tuple[int | Fraction, ...], order: int) -> Stencil:
    weights = exact_weights(offsets, order)
    derivative = order + 1
    while not (moment := sum(w * k**derivative for k, w in zip(offsets, weights, strict=True))):
        derivative += 1
    coefficient = moment / math.factorial(derivative)
    error = TruncationError(coefficient, derivative - order, derivative)
    return Stencil(offsets, weights, order, error)


def _parse_positive(number: Any, name: str) -> int:
    if isinstance(number, bool) or not isinstance(number, Integral):
        raise TypeError(f"`{name}` must be an integer; got {number!r}, a {type(number).__name__}.")
    if number < 1:
        raise ValueError(f"`{name}` must be 1 or more; got {number}.")
    return int(number)


def _parse_offsets(offsets: Iterable[Any], order: int) -> tuple[int | Fraction, ...]:
    if not isinstance(offsets, Iterable) or getattr(offsets, "shape", None) == ():
        raise TypeError(f"`offsets` must be a sequence of numbers; got {offsets!r}.")
    exact = tuple([_parse_offset(offset) for offset in offsets])
    if len(set(exact)) != len(exact):
        raise ValueError(f"`offsets` must be distinct; got {[*map(str, exact)]}.")
    if len(exact) <= order:
        raise ValueError(
            f"`offsets` must be more than {order} for a derivative of order {order}; got "
            f"{len(exact)}. Add samples, or lower `order`."
        )
    return exact


def _parse_offset(offset: Any) -> int | Fraction:
    try:
        if isinstance(offset, bool) or not isinstance(offset, (Rational, float)):
            raise TypeError
        exact = Fraction(offset)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(
            f"`offsets` must be integers, fractions or finite floats; got {offset!r}."
        ) from error
    return int(exact) if exact.denominator == 1 else exact


def _write_point(offset: int | Fraction) -> str:
    if not offset:
        return "x"
    top, bottom = abs(offset.numerator), offset.denominator
    steps = ("" if top == 1 else f"{top}") + "h" + ("" if bottom == 1 else f"/{bottom}")
    return f"x {'-' if offset < 0 else '+'} {steps}"


def _write_signed(factor: Fraction, what: str) -> str:
    size = abs(factor)
    return ("-" if factor < 0 else "+") + (what if size == 1 else f"{size} {what}")


def _join_terms(terms: list[str]) -> str:
    first, *further_terms = terms
    return first.removeprefix("+") + "".join(f" {term[0]} {term[1:]}" for term in further_terms)


def _write_prime(derivative: int) -> str:
    return "f" + "'" * derivative if derivative < 4 else f"f^({derivative})"
