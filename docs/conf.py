"""The site: README, docs, the course from its saved outputs and the reference of the modules, built by `make docs`.

The repository is the source folder, so that links between README, docs and notebooks are the same here and on a code host.
"""

import pkgutil
import re
from importlib import import_module
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

project = "cmpae_toolkit"
author = "The cmpae_toolkit maintainers"
root_doc = "README"
include_patterns = ["README.md", "CONTRIBUTING.md", "docs/**.md", "notebooks/*.ipynb"]
extensions = ["myst_nb", "sphinx.ext.autodoc"]

nb_execution_mode = "off"
# A saved notebook has no kernel for its controls: what they say as text stands in their place
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_number_source_lines = False
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = "cmpae_toolkit"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_sphinx = html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
html_math_renderer = "mathml"
pygments_style, pygments_dark_style = "friendly", "monokai"

CONTENTS = {
    "The course": "notebooks/*",
    "Reading on": (
        "docs/equations", "docs/released_code", "docs/results", "docs/data", "docs/methods", "docs/evidence", "docs/explorer", "docs/cli",
        "docs/speed", "CONTRIBUTING",
    ),
    "Reference": ("docs/api/core", "docs/api/methods", "docs/api/data", "docs/api/evidence", "docs/api/studies", "docs/api/explorer", "docs/api/plots"),
}


def add_contents(app, docname, source):
    """Appends the site's contents to the README, and to a page of the reference the modules of its room."""
    if docname == root_doc:
        for caption, pages in CONTENTS.items():
            entries, glob = (pages, ":glob:\n") if isinstance(pages, str) else ("\n".join(pages), "")
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n{glob}\n{entries}\n```\n"
    elif docname.startswith("docs/api/"):
        for name in modules(docname.rpartition("/")[2]):
            source[0] += f"\n\n## {name}\n\n```{{eval-rst}}\n.. automodule:: cmpae_toolkit.{name}\n```\n"


def modules(room):
    """The public modules of a room of the package, as they are there now; those of "core" lie in no room."""
    package = import_module("cmpae_toolkit" if room == "core" else f"cmpae_toolkit.{room}")
    inside = "" if room == "core" else f"{room}."
    names = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg and not m.name.startswith("_")]
    return [inside + name for name in names if name != "cli"]  # docs/cli.md has it


def as_rest(app, what, name, obj, options, lines):
    """Docstrings are plain sentences with `code` in them: to reST, in which stars, bars and underscores mean something else."""
    parts = re.split(r"(`[^`]+`)", "\n".join(lines))
    lines[:] = "".join(f"`{p}`\\ " if p.startswith("`") else re.sub(r"([*_|\\])", r"\\\1", p) for p in parts).splitlines()


def skip(app, what, name, obj, skip, options):
    """Leaves out what others wrote: methods that a library gives to our subclasses, functions kept under a name of ours."""
    return skip or not getattr(obj, "__module__", None) or not obj.__module__.startswith(project)


def math(self, node):
    """MathML, which browsers draw themselves: no script, no network."""
    block = isinstance(node, nodes.math_block)
    formula = tex2mathml(node.astext(), as_block=block)
    self.body.append(f'<div class="math">{formula}</div>' if block else formula)
    raise nodes.SkipNode


def lead_to_the_readme(app, error):
    """The page that a browser opens in the site's folder."""
    if error is None:
        target = f'<!doctype html><meta charset="utf-8"><title>{project}</title><meta http-equiv="refresh" content="0; url={root_doc}.html">'
        Path(app.outdir, "index.html").write_text(f'{target}\n<a href="{root_doc}.html">{project}</a>\n', encoding="utf-8")


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(math, None), block_renderers=(math, None))
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-docstring", as_rest)
    app.connect("autodoc-skip-member", skip)
    app.connect("build-finished", lead_to_the_readme)
