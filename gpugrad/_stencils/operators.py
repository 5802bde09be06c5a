"""The table of operators: what each takes, which derivatives it adds up, and what it gives.

Public functions, reusable plans, files, labels, units, the accessor and the command read this
table. A new operator is a row here and a public function.

An operator asks for its terms by plan, number of the component and sign: ``term(plan, i, sign)``.
So the same row serves a call, where a component is an array; a reusable plan and a file, where a
component is a number; and labels, for which a plan is no more than the number of its axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gpugrad._stencils.plan import Norm

MakeTerm = Callable[..., Any]
"""``term(plan, i=0, sign=1)``, the i-th component differentiated by a plan."""

Outputs = list[Any]
Plans = Sequence[Any]


class Operator(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    name : str
        The name of the public function.
    title : str
        What it is called in a sentence: "a Laplacian needs at least one axis".
    summary : str
        What it does, in a line.
    takes : {"field", "vector", "components"}
        One field, a vector field with a component for each axis, or any number of components.
    gives : {"one", "each", "curl", "components", "pairs"}
        One array; one for each component and axis; one on two axes and three on three; one for
        each component; one for each pair of axes, where two different axes take a
        derivative of a derivative.
    terms : callable
        ``terms(*plans, term, components)``: the terms of each output, given plans for each order.
    orders : tuple of int
        The orders of the derivatives it is made of; none where the caller names the order.
    axes : tuple of int
        How many axes there may be, at least and at most; the second is None where there is no
        limit.
    options : frozenset of str
        What it takes beside the options that all operators take.
    """

    name: str
    title: str
    summary: str
    takes: str
    gives: str
    terms: Callable[..., Outputs]
    orders: tuple[int, ...] = (1,)
    axes: tuple[int, int | None] = (1, None)
    options: frozenset[str] = frozenset()

    @property
    def adds_axes(self) -> bool:
        """Whether derivatives along different axes are added: they must have one unit."""
        return self.gives not in ("each", "pairs")

    @property
    def power(self) -> int:
        """The power of length by which the unit of a result is divided, for order 1."""
        return self.orders[-1] if self.orders else 1

    def make_outputs(
        self, plan: Callable[[int], Plans], term: MakeTerm, components: int = 1, order: int = 1
    ) -> Outputs:
        """Return the outputs; ``plan(order)`` has a plan for each axis."""
        return self.terms(*map(plan, self.orders or (order,)), term, components)

    def shape_of_results(self, components: int, axes: int, stack: bool = False) -> tuple[int, ...]:
        """Return how the results lie in tuples, or on the first axes of one array: () for one."""
        if self.gives == "each":
            if self.takes == "field":
                return (axes,) if axes > 1 or stack else ()
            return components, axes
        if self.gives == "curl":
            return () if axes == 2 else (3,)
        return {"one": (), "components": (components,), "pairs": (axes, axes)}[self.gives]


def each_derivative(plans: Plans, term: MakeTerm, components: int = 1) -> Outputs:
    """Return one output for each component and axis."""
    return [[term(plan, i)] for i in range(components) for plan in plans]


def norm_terms(plans: Plans, term: MakeTerm, components: int = 1) -> Outputs:
    """Return one output, the root of the sum of the squared derivatives."""
    return [Norm(map(term, plans))]


def divergence_terms(plans: Plans, term: MakeTerm, components: int = 1) -> Outputs:
    """Return one output: each component along its own axis."""
    return [[term(plan, i) for i, plan in enumerate(plans)]]


def laplacian_terms(plans: Plans, term: MakeTerm, components: int = 1) -> Outputs:
    """Return one output for each component: the component along all axes."""
    return [[term(plan, i) for plan in plans] for i in range(components)]


def curl_terms(plans: Plans, term: MakeTerm, components: int = 1) -> Outputs:
    """Return one output on two axes, three on three."""

    def across(i: int, j: int) -> list[Any]:
        return [term(plans[i], j), term(plans[j], i, sign=-1)]

    return [across(0, 1)] if len(plans) == 2 else [across(1, 2), across(2, 0), across(0, 1)]


def hessian_terms(first: Plans, second: Plans, term: MakeTerm, components: int = 1) -> Outputs:
    """Return the diagonal, then the slopes from which mixed derivatives follow."""
    return each_derivative([*second, *first[1:]], term)


def arrange_hessian(
    results: Sequence[Any], first: Plans, differentiate: Callable[[Any, Plans], Sequence[Any]]
) -> list[list[Any]]:
    """Return the rows of a Hessian from what `hessian_terms` gave.

    ``differentiate(slope, plans)`` returns a derivative of a slope for each plan.
    """
    n = len(first)
    rows = [[results[i] if i == j else None for j in range(n)] for i in range(n)]
    for j, slope in enumerate(results[n:], start=1):
        for i, entry in enumerate(differentiate(slope, first[:j])):
            rows[i][j] = rows[j][i] = entry
    return rows


_ROWS = (
    Operator(
        "gradient", "gradient", "the derivatives along all axes",
        takes="field", gives="each", terms=each_derivative,
        options=frozenset({"edge_order", "stagger", "stack"}),
    ),
    Operator(
        "derivative", "derivative", "a derivative along one axis, of any order",
        takes="field", gives="each", terms=each_derivative, orders=(), axes=(1, 1),
        options=frozenset({"order", "edge_order", "stagger"}),
    ),
    Operator(
        "divergence", "divergence", "the divergence of a vector field",
        takes="vector", gives="one", terms=divergence_terms,
        options=frozenset({"edge_order", "stagger"}),
    ),
    Operator(
        "curl", "curl", "the curl of a vector field: one component on two axes, three on three",
        takes="vector", gives="curl", terms=curl_terms, axes=(2, 3),
        options=frozenset({"edge_order", "stagger", "stack"}),
    ),
    Operator(
        "laplacian", "Laplacian", "the Laplacian: the sum of the second derivatives along all axes",
        takes="field", gives="one", terms=laplacian_terms, orders=(2,),
    ),
    Operator(
        "vector_laplacian", "vector Laplacian", "the Laplacian of each component",
        takes="components", gives="components", terms=laplacian_terms, orders=(2,),
        options=frozenset({"components", "stack"}),
    ),
    Operator(
        "jacobian", "Jacobian", "the derivatives of all components along all axes",
        takes="components", gives="each", terms=each_derivative,
        options=frozenset({"edge_order", "stagger", "components", "stack"}),
    ),
    Operator(
        "hessian", "Hessian", "all second derivatives",
        takes="field", gives="pairs", terms=hessian_terms, orders=(1, 2),
        options=frozenset({"stack"}),
    ),
    Operator(
        "gradient_norm", "gradient's length", "the length of the gradient",
        takes="field", gives="one", terms=norm_terms, options=frozenset({"edge_order"}),
    ),
)  # fmt: skip

OPERATORS = {row.name: row for row in _ROWS}
"""The operators on grids, by name."""
