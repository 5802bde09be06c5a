"""Records in files: a header and one line for each call, and how two of them differ."""

from __future__ import annotations

import gzip
import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from recording.digests import SEPARATOR

_FORMAT = 1
_PARTS_OF_ARRAYS = ("type", "dtype", "shape", "order in memory", "bits")
Answers = dict[str, dict[str, Any]]


def write(path: Path, header: dict[str, Any], answers: Answers) -> None:
    """Write a record; the same record has the same bytes."""
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        io.TextIOWrapper(packed, "utf-8", newline="\n") as text,
    ):
        text.write(json.dumps({"format": _FORMAT, **header}, sort_keys=True) + "\n")
        for name, answer in answers.items():
            text.write(json.dumps([name, answer], separators=(",", ":"), sort_keys=True) + "\n")


def read(path: Path) -> tuple[dict[str, Any], Answers]:
    """Return the header and the answers, by the names of the calls."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        header = json.loads(next(lines))
        if header.get("format") != _FORMAT:
            raise SystemExit(f"{path} is no record of this format: record it again.")
        return header, dict(json.loads(line) for line in lines)


def differences(a: Any, b: Any, place: str = "") -> Iterator[tuple[str, str, Any, Any]]:
    """Yield what differs between two answers: the kind, the place, and both texts."""
    if a == b:
        return
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            yield from differences(a.get(key), b.get(key), f"{place}.{key}" if place else key)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, pair in enumerate(zip(a, b, strict=True)):
            yield from differences(*pair, f"{place}[{i}]")
    else:
        yield _kind(a, b, place), place, a, b


def compare(a: Answers, b: Answers, most: int) -> tuple[int, list[str]]:
    """Return how many calls differ or are only in one record, and a report in lines."""
    lines, count = [], 0
    groups: dict[tuple[str, str], list[tuple[str, list[Any]]]] = defaultdict(list)
    for name in a:
        if name in b and a[name] != b[name]:
            count += 1
            found = [*differences(a[name], b[name])]
            kinds = ", ".join(sorted({kind for kind, *_ in found}))
            groups[_group(name), kinds].append((name, found))
    both = sum(name in b for name in a)
    lines.append(f"{both:,} calls are in both records; {count:,} of them differ.")
    for (group, kinds), members in sorted(groups.items()):
        lines += ["", f"{group}: {len(members):,} differ in {kinds}"]
        for name, found in members[:most]:
            lines.append(f"  {name}")
            for _, place, old, new in found[:4]:
                lines += [f"    {place}", f"      - {_short(old)}", f"      + {_short(new)}"]
        if len(members) > most:
            lines.append(f"  and {len(members) - most:,} more")
    for mark, only in (
        ("first", [n for n in a if n not in b]),
        ("second", [n for n in b if n not in a]),
    ):
        if only:
            lines += ["", f"{len(only):,} calls are only in the {mark} record:"]
            lines += [f"  {group}: {number:,}" for group, number in _count_groups(only)]
            count += len(only)
    return count, lines


def _count_groups(names: Iterable[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = defaultdict(int)
    for name in names:
        counts[_group(name)] += 1
    return sorted(counts.items())


def _group(name: str) -> str:
    return name.partition("/")[0]


def _kind(a: Any, b: Any, place: str) -> str:
    first = place.partition(".")[0].partition("[")[0]
    if first == "warns":
        return "warnings"
    if first == "changes arguments":
        return first
    if a is None or b is None:
        return "whether it raises" if first in ("gives", "raises") and "." not in place else "parts"
    if first == "raises":
        same = str(a).partition(":")[0] == str(b).partition(":")[0]
        return "messages" if same else "classes of errors"
    if isinstance(a, str) and isinstance(b, str):
        old, new = a.split(SEPARATOR), b.split(SEPARATOR)
        if len(old) == len(new) == len(_PARTS_OF_ARRAYS):
            parts = zip(_PARTS_OF_ARRAYS, old, new, strict=True)
            return next(part for part, x, y in parts if x != y)
        return "texts and numbers"
    return "structure"


def _short(x: Any) -> str:
    text = x if isinstance(x, str) else json.dumps(x)
    return text if len(text) <= 600 else f"{text[:600]} ..."
