"""How Sphinx makes the site: `sphinx-build -W -n -c docs . _site/html`, in the folder of the clone.

The source is the folder of the clone, so that links between README, pages and notebooks are the
same in an editor, in the repository and on the site.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import list_signatures
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

import gpugrad
import gpugrad.xarray

project = "gpugrad"
author = "The gpugrad developers"
version = release = gpugrad.__version__.partition("+")[0]
html_title = f"gpugrad {version}"

# Pages

root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/*.ipynb", "notebooks/index.md", "benchmarks/README.md", *(
    f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG", "CODE_OF_CONDUCT", "SECURITY")
)]  # fmt: skip
exclude_patterns = ["**.ipynb_checkpoints", "docs/_root"]
extensions = [
    "sphinx_external_toc", "myst_nb", "sphinx_copybutton", "sphinx.ext.autodoc",
    "sphinx.ext.autosummary", "numpydoc", "sphinx.ext.mathjax", "sphinx-mathjax-offline",
    "sphinx_codeautolink",
]  # fmt: skip
external_toc_path = "docs/_toc.yml"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# Notebooks are run by tests; the site shows what is stored in them.
nb_execution_mode = "off"
nb_merge_streams = True

# Names

autodoc_typehints = "none"  # the types stand in the docstrings, in words
autodoc_member_order = "alphabetical"
autosummary_generate = False
default_role = "autolink"  # in docstrings, a link where the name is one of ours
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
# Names of other libraries: to look them up takes a network.
OTHERS = "cupy|dask|jax|math|matplotlib|numpy|scipy|torch|xarray"
nitpick_ignore_regex = [("py:.*", rf"({OTHERS})\..*")]
codeautolink_concat_default = True  # examples of a page are one session
codeautolink_warn_on_missing_inventory = False

# Looks

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_extra_path = ["_root"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "gpugrad"},
    "navigation_with_keys": False,
    "show_prev_next": True,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_nav_level": 1,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
project_copyright = author
html_sidebars = {"docs/index": [], "CHANGELOG": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The reference: a page for each public name, from its docstring

API = "docs/reference/api"
SECTION = """{title}
{line}

.. currentmodule:: {module}

.. autosummary::

{names}
"""
PAGE = """{title}
{line}

.. currentmodule:: {module}

.. auto{kind}:: {name}
{options}"""


def list_sections() -> Iterator[tuple[str, ModuleType, list[str]]]:
    """Yield title, module and names of each section; those of the accessor are for xarray."""
    yield from list_signatures.list_sections()
    yield "Methods of xarray's objects", gpugrad.xarray, sorted(gpugrad.xarray.__all__)


def name_folder(title: str) -> str:
    """Return the part of an address that stands for a section."""
    return re.sub(r"\W+", "-", title.replace("'", "").lower())


PAGES = {
    f"{module.__name__}.{name}": f"{API}/{name_folder(title)}/{module.__name__}.{name}"
    for title, module, names in list_sections()
    for name in names
}


def describe_member(module: ModuleType, name: str) -> str:
    """Return the page of a name: what autodoc makes of its docstring, and of those of methods."""
    value = getattr(module, name)
    kind, options, title = "function", "", f"{module.__name__}.{name}"
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
        inherited = {*dir(object), *dir(tuple), *dir(Exception)} - {*vars(value)}
        members = [m for m in dir(value) if m[0] != "_" and m not in inherited]
        members = [m for m in members if inspect.getdoc(getattr(value, m))]
        options = f"   :members: {', '.join(members)}\n" if members else ""
    return PAGE.format(title=title, line="=" * len(title), module=module.__name__, kind=kind,
                       name=name, options=options)  # fmt: skip


def write_reference(app: Sphinx) -> None:
    """Write the pages of sections and names, where they are not yet what they must be."""
    pages = {}
    for title, module, names in list_sections():
        lines = "\n".join(f"   {name}" for name in names)
        pages[ROOT / f"{API}/{name_folder(title)}.rst"] = SECTION.format(
            title=title, line="=" * len(title), module=module.__name__, names=lines
        )
        for name in names:
            page = describe_member(module, name)
            pages[ROOT / f"{PAGES[f'{module.__name__}.{name}']}.rst"] = page
    for path in {*(ROOT / API).rglob("*.rst")} - pages.keys():
        path.unlink()
    for path, page in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != page:
            path.write_text(page, encoding="utf-8")


class NameLinks(SphinxPostTransform):
    """Link what stands in code style, and is a public name, to the page of that name."""

    default_priority = 5

    def run(self, **keywords: Any) -> None:
        """Wrap the literals of a page."""
        if self.env.docname.startswith(API):
            return  # docstrings mark what is to be linked
        for literal in list(self.document.findall(nodes.literal)):
            if isinstance(literal.parent, (nodes.reference, addnodes.pending_xref, nodes.title)):
                continue
            full = find_public_name(literal.astext())
            if full is None:
                continue
            reference = addnodes.pending_xref(
                "", refdomain="py", reftype="obj", reftarget=full, refexplicit=True,
                refdoc=self.env.docname, refwarn=True,
            )  # fmt: skip
            literal.replace_self(reference)
            reference += literal


def find_public_name(code: str) -> str | None:
    """Return the whole name that a piece of code is, with or without its arguments."""
    match = re.match(r"(gpugrad\.)?((?:symbolic\.)?\w+)(\(.*\))?$", code, re.DOTALL)
    if match is None or f"gpugrad.{match[2]}" not in PAGES:
        return None
    # A short word alone, such as `plot`, may be an option, or a word of another library.
    is_name = match[1] or match[3] or "_" in match[2] or len(match[2]) > 6
    return f"gpugrad.{match[2]}" if is_name else None


def setup(app: Sphinx) -> None:
    """Write the reference before pages are read, and link names in pages to it."""
    app.connect("builder-inited", write_reference, priority=1)
    app.add_post_transform(NameLinks)
