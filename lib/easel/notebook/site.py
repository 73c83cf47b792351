"""A profile's results as pages that open from a disk: one per notebook, verdicts.csv and index.html.

They are made from receipts and executed notebooks alone: nothing is computed, no script is used, nothing is fetched.

An executed notebook as a page that opens from a disk: no script is used, nothing is fetched.
"""

import html
import json
import re
from pathlib import Path

from easel import files
from easel.compare import claims
from easel.notebook import page as report

VERDICT_COLUMNS = ("notebook", "claim", "paper", "here", "low", "high", "n", "verdict", "reason", "needed", "why")


def receipts(folder: Path) -> list[dict]:
    """The receipts in results/<profile>/, in the order of the notebooks, each followed by its variants.

    A file that is no receipt is passed over.
    """
    found = []
    for path in sorted((Path(folder) / "receipts").glob("*.json"), key=lambda path: path.stem):
        try:
            receipt = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(receipt, dict) and receipt.get("notebook") == path.stem:
            receipt = {"variant": "", "data": [], "verdicts": []} | receipt  # older ones lack some
            for row in receipt["verdicts"]:
                if row["verdict"] == "inconclusive":  # their word for it
                    row |= {"verdict": "open", "reason": "trials"}
            found.append(receipt)
    return found


def write_site(folder: Path) -> Path:
    """Writes verdicts.csv and index.html of results/<profile>/ and returns the path of index.html."""
    import pandas as pd

    folder = Path(folder)
    found = receipts(folder)
    rows = [{"notebook": one["notebook"]} | row for one in found for row in one["verdicts"]]
    table = pd.DataFrame(rows, columns=VERDICT_COLUMNS).astype({"n": "Int64", "needed": "Int64"}, errors="ignore")
    files.write_atomically(folder / "verdicts.csv", table.to_csv(index=False).encode())
    return files.write_atomically(folder / "index.html", index_html(folder, found).encode())


def tally(verdicts: list[dict]) -> str:
    """Verdicts in words: "3 hold, 1 fails, 2 open"; "no verdicts" if there are none."""
    return ", ".join(_counts(verdicts).values()) or "no verdicts"


def counted(variants: list[str]) -> str:
    """How much was run, in words: "9 notebooks and 5 variants", from each run's word, a notebook's own being ""."""
    numbers = {"notebook": sum(not word for word in variants), "variant": sum(map(bool, variants))}
    return " and ".join(f"{n} {what}{'s' * (n != 1)}" for what, n in numbers.items() if n) or "0 notebooks"


def _counts(verdicts: list[dict]) -> dict[str, str]:
    """How many of each kind, in words, of those that there are: {"holds": "3 hold", "fails": "1 fails"}."""
    words = {"holds": ("holds", "hold"), "fails": ("fails", "fail"), **{v: (v, v) for v in claims.VERDICTS[2:]}}
    counts = {verdict: sum(row["verdict"] == verdict for row in verdicts) for verdict in words}
    return {verdict: f"{n} {words[verdict][n > 1]}" for verdict, n in counts.items() if n}


def _kind_of(verdict: str) -> str:
    """A verdict as a CSS class."""
    return verdict.replace(" ", "-")


def question(notebook: Path) -> tuple[str, str]:
    """The first heading of a notebook and the first paragraph below it, as plain text; "" where there is none."""
    try:
        cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""
    heading = re.search(r"^#+\s+(.+)$", text, re.MULTILINE)
    below = text[heading.end() :] if heading else text
    paragraphs = [p for p in re.split(r"\n\s*\n", below) if p.strip() and not re.match(r"\s*([#>|<]|[*+-]\s|```)", p)]
    return _plain(heading[1]) if heading else "", _plain(paragraphs[0]) if paragraphs else ""


def index_html(folder: Path, found: list[dict]) -> str:
    """The page of a profile: what was asked, what came out, on which data and machine, with every figure."""
    verdicts = [row for one in found for row in one["verdicts"]]
    variants = [one["variant"] for one in found]
    notices = dict.fromkeys(one["notice"] for one in found if one["notice"])
    machines = dict.fromkeys(one["machine"] for one in found)
    facts = [
        ("Verdicts", tally(verdicts)),
        ("Finished", max((one["finished"] for one in found), default="–").replace("T", " ").replace("+00:00", " UTC")),
        ("Run", f"{counted(variants)}, {_duration(sum(one['seconds'] for one in found))} added up"),
        ("Machine", "; ".join(machines) or "–"),
    ]
    parts = [f'<p class="notice" role="note">{_safe(notice)}</p>' for notice in notices]
    parts.append("<dl>" + "".join(f"<div><dt>{k}</dt><dd>{_safe(v)}</dd></div>" for k, v in facts) + "</dl>")
    if verdicts:
        parts.append('<p class="small">All verdicts as a table: <a href="verdicts.csv">verdicts.csv</a></p>')
    explorers = [
        f'<a href="{_safe(path.name)}">the explorer{_safe(path.stem[8:].replace("-", ", "))}</a>'
        for path in sorted(Path(folder).glob("explorer*.html"), key=lambda path: path.stem)
    ]
    if explorers:
        parts.append(f'<p class="small">Look for yourself: {" · ".join(explorers)}</p>')
    questions = [question(Path(folder) / f"{one['notebook']}.ipynb") for one in found]
    if len(found) > 1:
        parts.append(_contents(Path(folder), found, [heading for heading, _ in questions]))
    parts += [_card(Path(folder), one, *words) for one, words in zip(found, questions, strict=True)]
    profile = _safe(Path(folder).name)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>easel · {profile}</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>easel <span>{profile}</span></h1><p>Which training images does a network learn first?</p></header>
<main>
{chr(10).join(parts)}
</main>
</body>
</html>
"""


def _contents(folder: Path, found: list[dict], headings: list[str]) -> str:
    """A table of contents: number, question (to its card), data set, verdicts in short, page.

    A variant that follows its notebook stands there as its word.
    """
    rows, above = [], ""
    for one, heading in zip(found, headings, strict=True):
        stem, page = one["notebook"], _links(folder, one["notebook"])[:1]
        again = bool(one["variant"]) and stem.removesuffix(f"-{one['variant']}") == above
        above = above if one["variant"] else stem
        number, words = ("", one["variant"]) if again else (stem.split("_")[0], heading or stem)
        chips = [
            f'<span class="chip {_kind_of(verdict)}">{words}</span>'
            for verdict, words in _counts(one["verdicts"]).items()
        ]
        cells = {
            "number": number,
            "title": f'<a href="#{_safe(stem)}">{_safe(words)}</a>{"" if again else _word(one)}',
            "data": _safe(", ".join(one["data"])),
            "tally": " ".join(chips) or "no verdicts",
            "page": "".join(page),
        }
        row = "".join(f'<td class="{name}">{cell}</td>' for name, cell in cells.items())
        rows.append(f'<tr class="again">{row}</tr>' if again else f"<tr>{row}</tr>")
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("", "Question", "Data", "Verdicts", "Page"))
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<nav id="contents" aria-label="Contents">{table}</nav>'


def _links(folder: Path, stem: str) -> list[str]:
    """Links to the executed notebook, as a page first, where they are there."""
    return [
        f'<a href="{_safe(stem)}.{suffix}">{word}</a>'
        for suffix, word in (("html", "read"), ("ipynb", "notebook"))
        if (folder / f"{stem}.{suffix}").exists()
    ]


def _word(receipt: dict) -> str:
    return f' <span class="word">{_safe(receipt["variant"])}</span>' if receipt["variant"] else ""


def _card(folder: Path, receipt: dict, heading: str, paragraph: str) -> str:
    stem = receipt["notebook"]
    links = _links(folder, stem)
    data = ["data: " + _safe(", ".join(receipt["data"]))] if receipt["data"] else []
    work = f"trained {receipt['trained']:,}, reused {receipt['reused']:,} trials"
    if receipt["diverged"]:
        work += f", {receipt['diverged']:,} diverged and left out"
    by_hand = "" if receipt["run"] else " · run by hand"
    return f"""<article id="{_safe(stem)}">
<h2><span class="number">{_safe(stem.split("_")[0])}</span> {_safe(heading or stem)}{_word(receipt)}</h2>
{f"<p>{_safe(paragraph)}</p>" if paragraph else ""}
<p class="small">{" · ".join([*links, *data, _duration(receipt["seconds"]), work])}{by_hand}</p>
{_verdict_table(receipt["verdicts"])}
{_figures(receipt["figures"])}
{_tables(receipt["tables"])}
</article>"""


def _verdict_table(verdicts: list[dict]) -> str:
    if not verdicts:
        return ""
    rows = []
    for row in verdicts:
        claim, paper, here, word, why = map(_safe, report.verdict_cells(row))
        here = here.replace("n = ", "n&nbsp;=&nbsp;")
        chip = f'<span class="chip {_kind_of(row["verdict"])}">{word}</span>'
        cells = (("Claim", claim), ("Paper", paper), ("Here", here), ("Verdict", chip), ("Why", why))
        rows.append("<tr>" + "".join(f'<td data-label="{k}">{v}</td>' for k, v in cells) + "</tr>")
    heads = "".join(f'<th scope="col">{h}</th>' for h in ("Claim", "Paper", "Here", "Verdict", "Why"))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _figures(figures: list[dict]) -> str:
    cells = [
        f'<figure><a href="figures/{_safe(one["file"])}"><img loading="lazy" src="figures/{_safe(one["file"])}" '
        f'alt="{_safe(one["caption"])}"></a><figcaption>{_safe(_plain(one["caption"]))}</figcaption></figure>'
        for one in figures
    ]
    return f'<div class="figures">{"".join(cells)}</div>' if cells else ""


def _tables(tables: list[dict]) -> str:
    names = [(_safe(one["file"]), _safe(one["caption"])) for one in tables]
    items = [f'<a href="tables/{file}" title="{caption}">{file}</a>' for file, caption in names]
    return f'<p class="small">Tables: {" · ".join(items)}</p>' if items else ""


def _plain(markdown: str) -> str:
    """Inline Markdown as text: links become their words, emphasis and code marks go."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(markdown.split()))
    return re.sub(r"(\*\*|__|`|(?<!\w)[*_](?=\w)|(?<=[\w.,;:!?])[*_](?!\w))", "", text)


def _safe(text: str) -> str:
    return html.escape(str(text), quote=True)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


STYLE = """
:root { --ink:#1d2430; --soft:#5b6573; --paper:#f6f5f1; --card:#fff; --line:#dfdcd3; --link:#0b5cad;
  --good:#0b6b3a; --good-bg:#dff3e6; --bad:#9c1c1c; --bad-bg:#fbe3e0; --open:#7a5200; --open-bg:#fcefcf }
@media (prefers-color-scheme: dark) { :root { --ink:#e6e8ec; --soft:#a3acb9; --paper:#14171c; --card:#1d2128;
  --line:#353b45; --link:#7cb8ff; --good:#8fe0b0; --good-bg:#12402a; --bad:#ffaba3; --bad-bg:#54201d;
  --open:#f4cf7c; --open-bg:#493508 } }
* { box-sizing:border-box }
body { margin:0; background:var(--paper); color:var(--ink);
  font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif }
header, main { max-width:68rem; margin:0 auto; padding:0 1.25rem }
header { padding-top:2.5rem; padding-bottom:.5rem }
h1 { margin:0; font:600 2.2rem/1.2 Georgia,"Iowan Old Style",serif; letter-spacing:-.01em }
h1 span { color:var(--soft); font-weight:400 }
header p { margin:.25rem 0 0; color:var(--soft); font:italic 1.1rem Georgia,serif }
a { color:var(--link); text-underline-offset:.15em }
a:focus-visible { outline:2px solid var(--link); outline-offset:2px }
.notice { background:var(--open-bg); color:var(--open); border-left:4px solid currentColor; padding:.7rem 1rem;
  border-radius:4px }
dl { display:grid; grid-template-columns:repeat(auto-fit,minmax(13rem,1fr)); gap:.75rem 1.5rem; margin:1.25rem 0 }
dt { font-size:.75rem; letter-spacing:.06em; text-transform:uppercase; color:var(--soft) }
dd { margin:0 }
.small { font-size:.9rem; color:var(--soft) }
article { background:var(--card); border:1px solid var(--line); border-radius:10px; padding:1.25rem 1.5rem;
  margin:1.5rem 0 }
h2 { margin:0 0 .4rem; font:600 1.4rem/1.3 Georgia,serif }
.number { color:var(--soft); font-weight:400; margin-right:.3rem }
.word { font:600 .8rem/1.4 system-ui,-apple-system,"Segoe UI",sans-serif; color:var(--soft); white-space:nowrap;
  border:1px solid var(--line); border-radius:1rem; padding:.05rem .55rem; margin-left:.3rem; vertical-align:.15em }
article p { margin:.4rem 0 }
table { width:100%; border-collapse:collapse; margin:1rem 0; font-size:.93rem }
th { text-align:left; font-weight:600; color:var(--soft); white-space:nowrap; border-bottom:1px solid var(--line);
  padding:.35rem .6rem .35rem 0 }
td { vertical-align:top; border-bottom:1px solid var(--line); padding:.5rem .6rem .5rem 0; overflow-wrap:anywhere }
article th:nth-child(1) { width:28% }
article th:nth-child(5) { width:32% }
article td:nth-child(2), article td:nth-child(3), article td:nth-child(4) { overflow-wrap:normal }
nav table { margin:1.5rem 0 }
nav th:nth-child(1) { width:2.2rem }
nav th:nth-child(3) { width:19% }
nav th:nth-child(4) { width:27% }
nav th:nth-child(5) { width:3.5rem }
nav td { padding:.4rem .6rem .4rem 0 }
nav td.number, nav td.data { color:var(--soft); font-weight:400 }
nav td.data { font-size:.85rem }
nav td.tally { font-size:.85rem; line-height:1.75; color:var(--soft) }
nav td.page, nav td.number { white-space:nowrap }
nav tr.again td.title { padding-left:1.2rem }
.chip { display:inline-block; white-space:nowrap; padding:.05rem .55rem; border-radius:1rem; font-weight:600 }
.holds, .as-printed { color:var(--good); background:var(--good-bg) }
.fails, .not-as-printed { color:var(--bad); background:var(--bad-bg) }
.open, .no-difference { color:var(--open); background:var(--open-bg) }
.figures { display:grid; grid-template-columns:repeat(auto-fill,minmax(15rem,1fr)); gap:1rem; margin:1rem 0 }
figure { margin:0 }
figure img { display:block; width:100%; height:11rem; object-fit:contain; background:#fff; border:1px solid var(--line);
  border-radius:6px; padding:.4rem }
figcaption { font-size:.82rem; line-height:1.4; color:var(--soft); margin-top:.35rem }
@media (max-width:40rem) {
  article { padding:1rem }
  thead { position:absolute; left:-999rem }
  tr { display:block; border-bottom:1px solid var(--line); padding:.5rem 0 }
  td { display:grid; grid-template-columns:5rem 1fr; gap:.5rem; border:0; padding:.15rem 0 }
  td::before { content:attr(data-label); color:var(--soft); font-size:.82rem }
  td .chip { justify-self:start }
  nav tr { display:grid; grid-template-columns:2.2rem 1fr auto; align-items:baseline }
  nav td { display:block; padding:.1rem 0 }
  nav td::before { content:none }
  nav td.title { grid-column:2 / 4 }
  nav td.data { display:none }
  nav td.tally { grid-column:2 }
  nav tr.again td.title { padding-left:0 }
}
@media print { body { background:#fff } article { break-inside:avoid } }
"""


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
