"""A profile's results as pages that open from a disk: one per notebook, verdicts.csv and index.html.

runs.csv has the verdicts again, each with its run's name and parameters, to compare runs by.
They are made from receipts and executed notebooks alone: nothing is computed, no script is used, nothing is fetched.
A result is shown as what it is: of the last run, of an older one because the last run failed, or damaged.
"""

import html
import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

from easel import files
from easel.errors import UserError, one_line
from easel.notebook import page as receipts

VERDICT_COLUMNS = ("notebook", "claim", "paper", "here", "low", "high", "n", "verdict", "reason", "needed", "why")
OLDER = "older"  # a further column: from when a row is, where the notebook's last run failed, or its files are others


def write_site(folder: Path) -> Path:
    """Writes verdicts.csv, runs.csv and index.html of results/<profile>/ and returns the path of index.html.

    Receipts that are damaged, and files that are no longer what their receipt says, are named on the page.
    """
    import pandas as pd

    folder = Path(folder)
    found, damaged = receipts.read_all(folder)
    failed, rows = receipts.failures(folder), []
    for one in found:
        stem = one["notebook"]
        if stem in failed and receipts.is_over(failed[stem], one):
            del failed[stem]  # what was run by hand since then, or was laid here whole, is no older result
        older = stem in failed or receipts.changed(one, folder)
        first = {"notebook": stem, OLDER: one["finished"] if older else ""}
        rows += [first | row for row in one["verdicts"]]
    table = pd.DataFrame(rows, columns=[*VERDICT_COLUMNS, OLDER])
    table = table.astype({"n": "Int64", "needed": "Int64"}, errors="ignore")
    files.write_atomically(folder / "verdicts.csv", table.to_csv(index=False).encode())
    files.write_atomically(folder / "runs.csv", pd.DataFrame(_runs(found)).to_csv(index=False).encode())
    return files.write_atomically(folder / "index.html", _index_html(folder, found, damaged, failed).encode())


def _runs(found: list[dict]) -> list[dict]:
    """A row a claim and run: notebook, run (its name or variant, "" without), the verdict's own, and each parameter."""
    rows = []
    for one in found:
        word = one["variant"]
        of = {"notebook": one["notebook"].removesuffix(f"-{word}") if word else one["notebook"], "run": word}
        of |= {"finished": one["finished"]}
        values = {name: value for name, value in one["parameters"].items() if name != "profile"}
        values = {name: ",".join(map(str, v)) if isinstance(v, list) else v for name, v in values.items()}
        shown = ("claim", "paper", "here", "low", "high", "n", "verdict", "reason")
        rows += [of | {name: row.get(name) for name in shown} | values for row in one["verdicts"]]
    return rows


def index(folder: Path) -> Path:
    """The site of a folder whose notebooks something else ran (papermill, nbconvert): pages that lack are made first.

    UserError where no receipt is in it.
    """
    from easel.notebook import plan

    folder = Path(folder)
    found, damaged = receipts.read_all(folder)
    if not found and not damaged:
        raise UserError(f"{folder} has no receipts/: notebooks leave them in results/PROFILE, by their last cell")
    for one in found:
        notebook, page = (folder / f"{one['notebook']}.{suffix}" for suffix in ("ipynb", "html"))
        if notebook.is_file() and notebook.name not in one["files"]:
            given = plan.parameters_given(notebook)
            try:
                shown = notebook_html(notebook)
            except Exception as fault:  # what is raised on a file that is no notebook is of many kinds
                why = f"{type(fault).__name__}: {one_line(fault, 150)}"
                raise UserError(f"{notebook} cannot be shown: {why}") from fault
            files.write_atomically(page, shown.encode())
            receipts.add_files(receipts.path_of(folder, one["notebook"]), [notebook.name, page.name], given)
    return write_site(folder)


def tally(verdicts: list[dict]) -> str:
    """Verdicts in words: "3 hold, 1 fails, 2 open"; "no verdicts" if there are none."""
    return ", ".join(words for _, words in _counts(verdicts)) or "no verdicts"


def counted(variants: list[str]) -> str:
    """How much was run, in words: "9 notebooks and 5 variants", from each run's word, a notebook's own being ""."""
    numbers = {"notebook": sum(not word for word in variants), "variant": sum(map(bool, variants))}
    return " and ".join(f"{n} {what}{'s' * (n != 1)}" for what, n in numbers.items() if n) or "0 notebooks"


def _counts(verdicts: list[dict]) -> list[tuple[str, str]]:
    """How many there are of each kind that occurs, in words: [("holds", "3 hold"), ("fails", "1 fails")]."""
    plural = {"holds": "hold", "fails": "fail"}
    counts = [(verdict, sum(row["verdict"] == verdict for row in verdicts)) for verdict in receipts.VERDICT_WORDS]
    return [(verdict, f"{n} {plural.get(verdict, verdict) if n > 1 else verdict}") for verdict, n in counts if n]


def question(notebook: Path, variant: str = "") -> tuple[str, str]:
    """The first heading of a notebook and a paragraph below it, as plain text; "" where there is none.

    The paragraph is its answer, which begins with "**Our answer.**"; of a variant, to which that does not apply, and
    where there is none, the first.
    """
    try:
        cells = json.loads(files.read_regular(Path(notebook)))["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "", ""
    heading = re.search(r"^#+\s+(.+)$", text, re.MULTILINE)
    below = text[heading.end() :] if heading else text
    paragraphs = [p for p in re.split(r"\n\s*\n", below) if p.strip() and not re.match(r"\s*([#>|<]|[*+-]\s|```)", p)]
    answers = [p for p in paragraphs if p.startswith("**Our answer.**") and not variant]
    return _plain(heading[1]) if heading else "", _plain([*answers, *paragraphs, ""][0])


def _index_html(folder: Path, found: list[dict], damaged: dict[str, str], failed: dict[str, dict]) -> str:
    """The page of a profile: what was asked, what came out, on which data and machine, with every figure."""
    here = {one["notebook"]: one for one in found}
    cards = [_card(folder, stem, here.get(stem), failed.get(stem)) for stem in sorted({*here, *failed} - {*damaged})]
    for card, above in zip(cards[1:], cards, strict=False):  # a variant that follows its notebook, or another variant
        notebook = above["stem"].removesuffix(f"-{above['variant']}") if above["again"] else above["stem"]
        card["again"] = bool(card["variant"]) and card["stem"] == f"{notebook}-{card['variant']}"
        if card["again"] and {notebook, card["stem"]} <= {*here}:
            plain, own = (here[stem]["parameters"] for stem in (notebook, card["stem"]))
            other = [f"{name} = {value}" for name, value in own.items() if name in plain and plain[name] != value]
            card["facts"] = [*card["facts"], *other]
    current = [one for one in found if one["notebook"] not in failed]
    older = [row for one in found if one["notebook"] in failed for row in one["verdicts"]]
    ran = f"{counted([one['variant'] for one in found])}, {_duration(sum(one['seconds'] for one in found))} added up"
    facts = [("Verdicts", tally([row for one in current for row in one["verdicts"]]))]
    facts += [("Older verdicts", f"{tally(older)}, of notebooks whose last run failed")] if older else []
    facts += [("Failed", ", ".join(sorted(failed)))] if failed else []
    facts += [
        ("Finished", _moment(max((one["finished"] for one in found), default="–"))),
        ("Run", ran),
        ("Machine", "; ".join(dict.fromkeys(one["machine"] for one in found)) or "–"),
    ]
    notices = dict.fromkeys(one["notice"] for one in found if one["notice"])
    for stem, why in damaged.items():
        anew = f"Its results are not shown; easel run --only {stem} makes them anew."
        notices[f"The receipt of {stem} is damaged: {why}. {anew}"] = None
    from easel.notebook import plan

    explorers = sorted(folder.glob("explorer*.html"), key=lambda path: path.stem)
    return page_template("index.html.j2").render(
        profile=folder.name,
        notices=notices,
        facts=facts,
        verdicts=any(one["verdicts"] for one in found),
        explorers=[(path.name, path.stem[8:].replace("-", ", ")) for path in explorers],
        cards=cards,
        heads=("Claim", "Paper", "Here", "Verdict", "Why"),
        words=plan.glossary(),
    )


def _card(folder: Path, stem: str, receipt: dict | None, failure: dict | None) -> dict:
    """What index.html.j2 shows of a notebook: its receipt's content in words, and what became of its last run.

    Where the last run failed, older says from when the results are, and no verdict keeps the colour of one that holds.
    """
    heading, paragraph = question(folder / f"{stem}.ipynb", receipt["variant"] if receipt else "")
    card = {"stem": stem, "number": stem.split("_")[0], "heading": heading or stem, "paragraph": paragraph}
    card |= {"again": False, "variant": "", "data": [], "counts": [], "verdicts": [], "figures": [], "tables": []}
    card |= {"facts": [], "changed": [], "older": "", "pages": [], "shown": None}
    if failure is not None:
        card |= {"error": failure["error"], "ended": _moment(failure["ended"])}
    if receipt is None:
        return card
    card |= {name: receipt[name] for name in ("variant", "data", "figures", "tables")}
    printed = (one for one in receipt["figures"] if re.match(r"Table|Fig", one["caption"]))  # what a reader looks for
    card["shown"] = next(printed, receipt["figures"][0] if receipt["figures"] else None)
    counted = [(len(receipt[name]), name) for name in ("verdicts", "figures", "tables")]
    card["inside"] = ", ".join(f"{n} {name if n != 1 else name[:-1]}" for n, name in counted if n)
    card["older"] = receipt["finished"][:10] if failure is not None else ""
    for suffix in ("html", "ipynb"):  # a run by hand leaves none: one that lies there is of an earlier run
        page = folder / f"{stem}.{suffix}"
        if page.exists() and (page.name in receipt["files"] or "sha256" not in receipt):
            card["pages"].append(suffix)
    work = f"trained {receipt['trained']:,}, reused {receipt['reused']:,} trials"
    if receipt["diverged"]:
        work += f", {receipt['diverged']:,} diverged and left out"
    card["facts"] = [f"data: {', '.join(receipt['data'])}"] if receipt["data"] else []
    card["facts"] += [receipt["finished"][:10], _duration(receipt["seconds"]), work]
    card["facts"] += [] if receipt["run"] else ["run by hand"]
    faults = receipts.changed(receipt, folder)
    card["changed"] = [(name, f"is {fault} since the receipt was written") for name, fault in faults.items()]
    kinds = {verdict: "older" if card["older"] else verdict.replace(" ", "-") for verdict in receipts.VERDICT_WORDS}
    card["counts"] = [(kinds[verdict], words) for verdict, words in _counts(receipt["verdicts"])]
    for row in receipt["verdicts"]:
        claim, paper, here, verdict, why = receipts.verdict_cells(row)
        here = here.replace("n = ", "n\u00a0=\u00a0")
        verdict = f"{verdict}, {card['older']}" if card["older"] else verdict
        card["verdicts"].append((kinds[row["verdict"]], claim, paper, here, verdict, why))
    return card


@cache
def page_template(name: str):
    """A template beside this module (jinja2), compiled once; all that goes into it is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["plain"] = _plain
    return environment.get_template(name)


def _plain(markdown: str) -> str:
    """Inline Markdown as text: links become their words, emphasis and code marks go."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(markdown.split()))
    return re.sub(r"(\*\*|__|`|(?<!\w)[*_](?=\w)|(?<=[\w.,;:!?])[*_](?!\w))", "", text)


def _moment(stamp: str) -> str:
    return stamp.replace("T", " ").replace("+00:00", " UTC")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


ACTIVE = "script, iframe, frame, object, embed, applet, base, form, link, meta[http-equiv]"
FORBIDDEN = "script-src 'none'; object-src 'none'; frame-src 'none'; base-uri 'none'; form-action 'none'"
CONTENTS = "<!-- contents -->"
NAV = """nav { margin: 10px; padding: 0 max(0px, min(76px, 100vw - 740px)); font-family: sans-serif; line-height: 1.8 }
nav a { color: var(--jp-content-link-color); text-decoration: underline; white-space: nowrap }"""
NO_ALTERNATIVE = 'alt="No description has been provided for this image"'  # what nbconvert writes


@cache
def exporter():
    """nbconvert's, with a template of ours; one for all pages, since its templates take longer than a page."""
    from jinja2 import DictLoader
    from nbconvert import HTMLExporter

    # A reader's dark mode is theirs: Jupyter's dark colours come after the light ones.
    dark = "{{ resources.include_css('static/theme-dark.css').striptags() | safe }}"
    css = f'{{{{ super() }}}}<style media="(prefers-color-scheme: dark)">{dark}</style><style>{NAV}</style>'
    scripts = ("html_head_js", "html_head_js_mathjax", "html_head_js_mermaidjs", "jupyter_widgets")
    blocks = "".join(f"{{% block {name} %}}{{% endblock %}}" for name in scripts)
    blocks += f"{{% block notebook_css %}}{css}{{% endblock %}}"
    blocks += "{% block body_header %}{{ super() }}{{ resources.easel[0] }}{% endblock %}"
    blocks += "{% block body_footer %}{{ resources.easel[1] }}{{ super() }}{% endblock %}"
    template = "{% extends 'lab/index.html.j2' %}" + blocks
    return HTMLExporter(extra_loaders=[DictLoader({"easel.html.j2": template})], template_file="easel.html.j2")


def notebook_html(notebook: Path, beside: tuple[str, str] = ("", "")) -> str:
    """An executed notebook as an HTML page without scripts (so without live widgets), to lie beside its figures/.

    None comes out of a name, a caption or an output either: what would act is taken out, and the page forbids the rest.

    beside: the notebooks before and after it, by stem, whose pages lie there too.

    Figures that are saved there are shown from there; other images are in the page.
    """
    arrows = zip(beside, ("← {}", "{} →"), strict=True)
    links = [("index", "All results"), *((stem, form.format(stem)) for stem, form in arrows if stem)]
    links = " · ".join(f'<a href="{quote(stem)}.html">{html.escape(words)}</a>' for stem, words in links)
    ends = tuple(f"<nav>{links}{more}</nav>" for more in (CONTENTS, ""))
    page = exporter().from_filename(str(notebook), resources={"easel": ends})[0]
    parts = re.findall(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', page)
    listed = "".join(f'<li><a href="#{at}">{title}</a></li>' for at, title in parts)
    contents = f"<details><summary>Contents</summary><ol>{listed}</ol></details>" if parts else ""
    page = page.replace(CONTENTS, contents, 1)
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    for output in (one for cell in cells for one in cell.get("outputs", [])):
        kind = next((kind for kind in ("image/png", "image/jpeg") if kind in output.get("data", {})), None)
        if kind is None:
            continue
        alternative = output.get("metadata", {}).get(kind, {}).get("alt", "")
        page = page.replace(NO_ALTERNATIVE, f'alt="{html.escape(alternative)}"', 1)
        saved = re.fullmatch(r"\[figure ([\w.-]+)\]", "".join(output["data"].get("text/plain", "")))
        if saved and (Path(notebook).parent / "figures" / saved[1]).is_file():
            inside = "".join(output["data"][kind]).strip()
            page = page.replace(f"data:{kind};base64,{inside}", f"figures/{saved[1]}")
    return _inert(page)


def _inert(page: str) -> str:
    """A page without what acts in it: scripts, handlers of events, addresses that are code, pages within pages."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "html.parser")
    for tag in soup.select(ACTIVE):
        tag.decompose()
    for tag in soup(True):
        for name, value in list(tag.attrs.items()):
            address = re.sub(r"[\x00-\x20]", "", str(value)).lower()
            code = address.startswith(("javascript:", "vbscript:", "data:text/html"))
            if name.lower().startswith("on") or name.lower() == "srcdoc" or code:
                del tag[name]
    forbidden = soup.new_tag("meta", attrs={"http-equiv": "Content-Security-Policy", "content": FORBIDDEN})
    soup.head.insert(0, forbidden)
    return str(soup)
