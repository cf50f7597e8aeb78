"""Configuration of the documentation site; `make docs` builds it."""

import importlib.metadata

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
