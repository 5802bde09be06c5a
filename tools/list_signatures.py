"""Write the page of all public names, with the arguments that have no name in a call.

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

Each name has a page of its own on the site, with parameters, results, errors and examples.
`help(gpugrad.NAME)` shows the same text in Python. The dots stand for options, which are given by
name. Every `*spacing` may be given as `spacing=` too.
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
    "Libraries, devices, engines": (
        "use_backend explain info namespace asnumpy free_memory patch_numpy"
    ),
}

WITH_METHODS = ("Sphere", "CurvilinearGrid", "Plan", "TurningPoints", "CriticalPoints")

REST = "Results, errors, warnings"


def write_page() -> str:
    """Return the page."""
    lines = [INTRODUCTION]
    for title, module, names in list_sections():
        lines += [f"## {title}\n", *_list_names(module, module.__name__, names), ""]
    return "\n".join(lines)


def list_sections() -> Iterator[tuple[str, ModuleType, list[str]]]:
    """Yield the title of each section, the module and its names."""
    public = {*gpugrad.__all__}
    listed: set[str] = set()
    for title, names in [*SECTIONS.items(), (REST, "")]:
        chosen = names.split() or sorted(public - listed - {"symbolic"})
        unknown = {*chosen} - public
        if unknown:
            raise SystemExit(f"not public: {', '.join(sorted(unknown))}. Mend SECTIONS here.")
        listed |= {*chosen}
        yield title, gpugrad, chosen
    yield "Derivatives of formulas", gpugrad.symbolic, _names_of(gpugrad.symbolic)


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
    """Return a signature without types and options, which stand in the docstring."""
    if inspect.isclass(value) and issubclass(value, (Exception, tuple)):
        return ""
    signature = inspect.signature(value)
    given = [p for p in signature.parameters.values() if p.name != "self"]
    by_place = [p.replace(annotation=p.empty) for p in given if p.kind is not p.KEYWORD_ONLY]
    words = [str(parameter) for parameter in by_place]
    if len(by_place) < len(given):
        words.append("...")
    return f"({', '.join(words)})"


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
