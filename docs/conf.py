"""The site: README, docs, the course from its saved outputs and the reference of the modules, built by `make docs`.

The repository is the source folder, so that links between README, docs and notebooks are the same here and on a code host.
"""

import json
import pkgutil
import re
import shutil
from html import escape
from importlib import import_module
from pathlib import Path

from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath, TextToPath
from matplotlib.transforms import Affine2D

project = "cmpae_toolkit"
author = "The cmpae_toolkit maintainers"
root_doc = "README"
include_patterns = ["README.md", "CONTRIBUTING.md", "docs/**.md", "docs/*.ipynb", "results/README.md", "notebooks/*.ipynb"]
extensions = ["myst_nb", "sphinx.ext.autodoc"]

nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource", "ignore-module-all": True}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = "cmpae_toolkit"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_sphinx = html_show_copyright = html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
html_math_renderer = "outlines"
highlight_language = "none"  # of blocks that name none: shell
pygments_style, pygments_dark_style = "friendly", "monokai"

SIZE = 10  # of the formulas, in units of their drawing
CONTROLS = "<p><em>Here are controls, which need a running kernel: open the notebook with <code>make lab</code>.</em></p>"

CONTENTS = {
    "The course": "notebooks/*",
    "Reading on": [
        *(f"docs/{page}" for page in ("syllabus", "equations", "released_code", "paper_versus_released_code")),
        *(f"docs/{page}" for page in ("main_results", "results", "leaderboard", "data", "extract", "odd_files")),
        *(f"docs/{page}" for page in ("methods", "methods_zoo")),
        *(f"docs/{page}" for page in ("evidence", "explorer", "cli", "speed")),
        "results/README", "CONTRIBUTING",
    ],
    "Recipes": ["docs/recipes/index", *(f"docs/recipes/{page}" for page in ("loss", "head", "features", "ablation", "annotation"))],
    "Reference": [
        f"docs/api/{room}" for room in ("core", "methods", "data", "evidence", "studies", "explorer", "plots", "extract", "films")
    ],
}


def add_contents(app, docname, source):
    """Appends the site's contents to the README, and to a page of the reference the modules of its room."""
    if docname == root_doc:
        for caption, pages in CONTENTS.items():
            entries, glob = (pages, ":glob:\n") if isinstance(pages, str) else ("\n".join(pages), "")
            source[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n{glob}\n{entries}\n```\n"
    elif Path(app.env.doc2path(docname)).suffix == ".ipynb":
        source[0] = without_controls(source[0])
    elif docname.startswith("docs/api/"):
        for name in modules(docname.rpartition("/")[2]):
            source[0] += f"\n\n## {name}\n\n```{{eval-rst}}\n.. automodule:: cmpae_toolkit.{name}\n```\n"


def without_controls(notebook):
    """A saved notebook for a page without a kernel: a sentence in place of each control, nothing in place of progress bars, and each
    picture with its alternative text and its width, which MyST-NB takes from the cell."""
    saved = json.loads(notebook)
    for cell in saved["cells"]:
        for output in list(cell.get("outputs", [])):
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                progress = "it/s]" in "".join(output["data"].get("text/plain", ""))
                output["data"] = {"text/html": "" if progress else CONTROLS}
            if told := output.get("metadata", {}).get("image/png"):
                size = {"width": f"{told['width']}px"} if "width" in told else {}
                cell["metadata"].setdefault("mystnb", {})["image"] = {"alt": told["alt"]} | size
    return json.dumps(saved)


def modules(room):
    """The public modules of a room of the package, as they are there now; those of "core" lie in no room."""
    inside = "" if room == "core" else f".{room}"
    package = import_module(f"{project}{inside}")
    names = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.ispkg and not m.name.startswith("_")]
    if room == "core":
        return [name for name in names if name != "cli"]  # docs/cli.md has it
    return [room, *(f"{room}.{name}" for name in names)]


def as_rest(app, what, name, obj, options, lines):
    """Docstrings are plain paragraphs with `code` in them: to reST, in which stars, bars and underscores mean something else."""
    paragraphs = re.split(r"\n\n+", "\n".join(lines).strip("\n"))
    lines[:] = [*"\n\n".join(map(paragraph_as_rest, paragraphs)).splitlines(), ""]


def paragraph_as_rest(text):
    """Indented paragraphs are shown as they stand, and so are examples."""
    if text and all(line.startswith("    ") for line in text.splitlines()):
        return f"::\n\n{text}"
    if text.startswith(">>>"):
        return text
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(f"`{p}`\\ " if p.startswith("`") else re.sub(r"([*_|\\])", r"\\\1", p) for p in parts)


def skip(app, what, name, obj, skip, options):
    """Leaves out what others wrote: methods that a library gives to our subclasses, functions kept under a name of ours."""
    return skip or not getattr(obj, "__module__", None) or not obj.__module__.startswith(project)


def math(self, node):
    """A formula as SVG drawn by matplotlib: no script, no network, and the same with every reader's fonts."""
    block = isinstance(node, nodes.math_block)
    drawn = svg(" ".join(node.astext().split()))
    self.body.append(f'<div class="math">{drawn}</div>' if block else drawn)
    raise nodes.SkipNode


def svg(formula):
    """The outlines of a formula, 1 em as high as the text around it and standing on its line."""
    braced = re.sub(r"(\\mathcal) (\w)", r"\1{\2}", formula)  # matplotlib takes no letter without braces
    text, font = f"${braced}$", FontProperties(size=SIZE, math_fontfamily="stix")
    width, height, below = TextToPath().get_text_width_height_descent(text, font, ismath=True)
    upright = TextPath((0, 0), text, size=SIZE, prop=font).transformed(Affine2D().scale(1, -1))  # SVG counts downwards
    outline = "".join(
        {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}[code] + ("" if code == 79 else " ".join(f"{x:.2f}" for x in points))
        for points, code in upright.iter_segments(simplify=False)
    )
    box = f'viewBox="0 {below - height:.2f} {width:.2f} {height:.2f}"'
    size = f'style="width:{width / SIZE:.3f}em;height:{height / SIZE:.3f}em;vertical-align:{-below / SIZE:.3f}em"'
    return f'<svg class="formula" role="img" aria-label="{escape(formula)}" {box} {size}><path d="{outline}" fill="currentColor"/></svg>'


def add_pages(app, error):
    """The page that a browser opens in the site's folder, and the story, a page of its own."""
    if error is None:
        shutil.copy(Path(app.confdir, "story.html"), Path(app.outdir, "docs"))
        head = f'<meta charset="utf-8"><title>{project}</title><meta http-equiv="refresh" content="0; url={root_doc}.html">'
        page = f'<!doctype html>{head}<a href="{root_doc}.html">{project}</a>\n'
        Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def setup(app):
    app.add_html_math_renderer("outlines", inline_renderers=(math, None), block_renderers=(math, None))
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-docstring", as_rest)
    app.connect("autodoc-skip-member", skip)
    app.connect("build-finished", add_pages)
