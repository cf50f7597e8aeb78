"""Configuration of the documentation site; `make docs` builds it."""

import importlib.metadata

from docutils import nodes

project = "sola"
author = "The sola developers"
copyright = "The sola developers"
release = importlib.metadata.version("sola-tal")

extensions = [
    "cyclopts.ext.sphinx",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
html_theme = "furo"
html_title = f"sola {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}
exclude_patterns = ["_build"]
default_role = "code"
smartquotes = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
suppress_warnings = [
    "myst.header",  # tables of results start with a table
    "toc.not_included",  # tables of results are linked from results/README.md
]

autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
autodoc_default_options = {"exclude-members": "__init__, __new__"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def keep_together(app, doctree, docname):  # type: ignore[no-untyped-def]
    """Do not break a line inside "77.8 ± 3.6" or "(p .005)" in a cell of a table."""
    for text in [text for cell in doctree.findall(nodes.entry) for text in cell.findall(nodes.Text)]:
        kept = text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}").replace("(p ", "(p\N{NO-BREAK SPACE}")
        text.parent.replace(text, nodes.Text(kept))


def setup(app):  # type: ignore[no-untyped-def]
    """Register `keep_together`."""
    app.connect("doctree-resolved", keep_together)
