"""Write the page of all public names with their signatures, as `inspect.signature` has them.

python tools/list_signatures.py docs/reference/api.md
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import gpugrad

INTRODUCTION = """# All public names

`help(gpugrad.NAME)` tells what each does, with its parameters, results, errors and an example.
Every `*spacing` may be given as `spacing=` too. `python tools/list_signatures.py` writes this page
from the code.
"""

SECTIONS = {
    "Derivatives of sampled fields": (
        "gradient derivative gradient_norm divergence curl laplacian vector_laplacian jacobian "
        "hessian smooth_derivative"
    ),
    "Grids": "Sphere CurvilinearGrid",
    "Derivatives of functions": (
        "derivative_of gradient_of jacobian_of hessian_of divergence_of curl_of laplacian_of "
        "tabulate"
    ),
    "What derivatives are for": (
        "turning_points inflection_points critical_points noise_level error_estimate "
        "recommended_spacing plot"
    ),
    "Schemes and plans": "stencil plan",
    "Libraries, devices, engines": ("use_backend explain info namespace asnumpy free_memory"),
}

WITH_METHODS = ("Sphere", "CurvilinearGrid", "Plan", "TurningPoints", "CriticalPoints")

REST = "Results, errors, warnings"


def write_page() -> str:
    """Return the page."""
    lines = [INTRODUCTION]
    public = {*gpugrad.__all__}
    listed: set[str] = set()
    for title, names in [*SECTIONS.items(), (REST, "")]:
        chosen = names.split() or sorted(public - listed - {"symbolic"})
        unknown = {*chosen} - public
        if unknown:
            raise SystemExit(f"not public: {', '.join(sorted(unknown))}. Mend SECTIONS here.")
        listed |= {*chosen}
        lines += [f"## {title}\n", *_list_names(gpugrad, "gpugrad", chosen), ""]
    lines += ["## `gpugrad.symbolic`\n"]
    lines += [*_list_names(gpugrad.symbolic, "gpugrad.symbolic", _names_of(gpugrad.symbolic)), ""]
    return "\n".join(lines)


def _names_of(owner: Any) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


def _list_names(module: ModuleType, place: str, names: list[str]) -> Iterator[str]:
    yield "| name | what it is |"
    yield "|---|---|"
    for name in names:
        value = getattr(module, name)
        signature = _describe_call(value).replace("|", "\\|")
        yield f"| `{place}.{name}{signature}` | {_summarise(value)} |"
        if name in WITH_METHODS:
            yield from (
                f"| `.{method}{_describe_call(getattr(value, method))}` of it | "
                f"{_summarise(getattr(value, method))} |"
                for method in _names_of(value)
                if callable(getattr(value, method))
            )


def _describe_call(value: Any) -> str:
    """Return a signature without types, which stand in the docstring."""
    if inspect.isclass(value) and issubclass(value, (Exception, tuple)):
        return ""
    signature = inspect.signature(value)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    plain = signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    return str(plain)


def _summarise(value: Any) -> str:
    text = inspect.getdoc(value) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


def main(arguments: list[str] | None = None) -> None:
    """Write the page to a file, or to the screen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", help="where to write (default: the screen)")
    path = parser.parse_args(arguments).path
    page = write_page()
    if path is None:
        print(page, end="")
    else:
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
