"""An executed notebook as a page that opens from a disk: no script is used, nothing is fetched."""

import html
import json
import re
from pathlib import Path

NO_ALTERNATIVE = 'alt="No description has been provided for this image"'  # what nbconvert writes


def notebook_html(notebook: Path) -> str:
    """An executed notebook as an HTML page without scripts (so without live widgets), to lie beside its figures/.

    Figures that are saved there are shown from there; other images are in the page.
    """
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    scripts = ("html_head_js", "html_head_js_mathjax", "html_head_js_mermaidjs", "jupyter_widgets")
    blocks = "".join(f"{{% block {name} %}}{{% endblock %}}" for name in scripts)
    template = "{% extends 'lab/index.html.j2' %}" + blocks
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({"easel.html.j2": template})], template_file="easel.html.j2", embed_images=True
    )
    page = exporter.from_filename(str(notebook))[0]
    for output in _images(notebook):
        kind = _kind(output)
        alternative = output.get("metadata", {}).get(kind, {}).get("alt", "")
        page = page.replace(NO_ALTERNATIVE, f'alt="{html.escape(alternative)}"', 1)
        saved = re.fullmatch(r"\[figure ([\w.-]+)\]", "".join(output["data"].get("text/plain", "")))
        if saved and (Path(notebook).parent / "figures" / saved[1]).is_file():
            inside = "".join(output["data"][kind]).strip()
            page = page.replace(f"data:{kind};base64,{inside}", f"figures/{saved[1]}")
    return page


def _images(notebook: Path) -> list[dict]:
    """The outputs of a notebook that are images, in their order."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    return [one for cell in cells for one in cell.get("outputs", []) if _kind(one)]


def _kind(output: dict) -> str | None:
    """ "image/png" or "image/jpeg", where an output is one."""
    return next((kind for kind in ("image/png", "image/jpeg") if kind in output.get("data", {})), None)
