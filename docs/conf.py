"""Sphinx configuration: Markdown by MyST, no network, warnings are errors in `make docs`."""

from importlib.metadata import version as installed_version

project = "modelyard"
author = "The modelyard authors"
copyright = "2026, the modelyard authors"
release = installed_version("modelyard")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build", "airflow/example_dags"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]  # as GitHub and GitLab have it; the reader's browser draws
html_theme = "alabaster"
html_theme_options = {
    "description": "Machine learning in production from the tools a team already has",
    "page_width": "72rem",
}
html_static_path: list[str] = []
suppress_warnings = ["myst.xref_missing"]
