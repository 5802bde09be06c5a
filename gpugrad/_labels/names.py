"""What results are called, and in which units they are, where fields and axes have names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from gpugrad._labels.cf_units import per
from gpugrad._labels.staggered import list_terms
from gpugrad._stencils import OPERATORS, Operator

_NOT_OF_DERIVATIVES = (
    "standard_name", "long_name", "units", "valid_min", "valid_max", "valid_range",
    "actual_range", "cell_methods", "ancillary_variables",
    "scale_factor", "add_offset", "_FillValue", "missing_value", "flag_values", "flag_meanings",
    "flag_masks", "_Unsigned",
)  # fmt: skip
"""Attributes of a field that are not true of its derivatives."""


def kept_attributes(attributes: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return those attributes of a field that its derivatives have too."""
    return {key: value for key, value in attributes.items() if key not in _NOT_OF_DERIVATIVES}


class _Kin(NamedTuple):
    row: str
    before_name: str = ""
    before_title: str = ""


_KIN = {
    "error_estimate": _Kin("derivative", "error_", "error of the "),
    "smooth_derivative": _Kin("derivative"),
}
"""Operators that have no row of their own: whose row is theirs, and what goes before its labels."""


def find_row(operator: str) -> Operator:
    """Return the row of an operator in the table, or the one that it has in common with another."""
    return OPERATORS[_KIN[operator].row if operator in _KIN else operator]


class Label(NamedTuple):
    """The name of a result, such as ``dT_dx``, and its attributes."""

    name: str
    attributes: dict[str, Any]


@dataclass
class Labels:
    """Labels for the results of operators on fields.

    Parameters
    ----------
    names : sequence of str
        Of the fields; may be empty texts.
    units : sequence
        Of the fields, None where they are unknown.
    dims : sequence of str
        The names of the axes to differentiate along.
    dim_units : sequence
        The units of the coordinates along these.
    order : int
        Of the derivative, where the operator has one.
    """

    names: Sequence[str]
    units: Sequence[Any]
    dims: Sequence[str]
    dim_units: Sequence[Any]
    order: int = 1

    def __post_init__(self) -> None:
        self.names = [name or "f" for name in self.names]

    def of(self, operator: str) -> list[Label]:
        """Return a label for each result of an operator, in the order of its results."""
        if operator in _KIN:
            row_name, before_name, before_title = _KIN[operator]
            return [
                Label(
                    f"{before_name}{name}",
                    attributes | {"long_name": f"{before_title}{attributes['long_name']}"},
                )
                for name, attributes in self.of(row_name)
            ]
        row = OPERATORS[operator]
        fields, axes = range(len(self.names)), range(len(self.dims))
        if row.gives == "each":
            return [self._label_derivative(i, j) for i in fields for j in axes]
        if row.gives == "pairs":
            return [self._label_second(i, j) for i in axes for j in axes]
        if row.gives == "curl":
            names = ["curl"] if len(self.dims) == 2 else [f"curl_{dim}" for dim in self.dims]
            return self._label_sums(operator, names, "component of the curl")
        if row.takes == "vector":
            return self._label_sums(operator, [operator], operator)
        kind = operator.removeprefix("vector_")
        return [
            self._label_sum(
                f"{kind}_{name}", f"{kind.replace('_', ' ')} of {name}", row.power, units
            )
            for name, units in zip(self.names, self.units, strict=True)
        ]

    def _label_derivative(self, i: int, j: int) -> Label:
        power = str(self.order) if self.order > 1 else ""
        long_name = f"derivative of {self.names[i]} along {self.dims[j]}"
        long_name += f", order {power}" if power else ""
        units = per(self.units[i], self.dim_units[j], self.order)
        return _make_label(f"d{power}{self.names[i]}_d{self.dims[j]}{power}", long_name, units)

    def _label_second(self, i: int, j: int) -> Label:
        field, a, b = self.names[0], self.dims[i], self.dims[j]
        long_name = f"derivative of {field} along {a} and {b}"
        if i == j:
            units = per(self.units[0], self.dim_units[i], 2)
        else:
            units = per(per(self.units[0], self.dim_units[i]), self.dim_units[j])
        return _make_label(f"d2{field}_d{a}_d{b}", long_name, units)

    def _label_sums(self, operator: str, names: Sequence[str], long_name: str) -> list[Label]:
        """Return labels of sums of components; a sum has units where all its terms have the same.

        The terms may differ in both units: ``m s-1`` per ``m`` goes with ``Pa s-1`` per ``Pa``.
        """
        labels = []
        sums = list_terms(operator, len(self.units), len(self.dim_units))
        for name, terms in zip(names, sums, strict=False):
            units = {per(self.units[i], self.dim_units[j]) for i, j in terms}
            labels.append(_make_label(name, long_name, units.pop() if len(units) == 1 else None))
        return labels

    def _label_sum(self, name: str, long_name: str, power: int, field_units: Any) -> Label:
        """Return the label of a sum of one field; it has units where all terms have the same."""
        units = {per(field_units, by, power) for by in self.dim_units}
        return _make_label(name, long_name, units.pop() if len(units) == 1 else None)


def _make_label(name: str, long_name: str, units: str | None) -> Label:
    attributes = {"long_name": long_name}
    return Label(name, attributes if units is None else attributes | {"units": units})
