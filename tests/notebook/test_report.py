"""What a notebook leaves: figures, tables, verdicts, receipt; and files that are old or new, never half."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from make_notebooks import read_only

from easel import files
from easel.compare import claims
from easel.errors import UserError
from easel.notebook import page as figures, page as receipts, page as report, site

GOOD = {"claim": "Nets agree.", "paper": 0.71, "here": 0.68, "verdict": "holds", "why": "The interval is above chance."}


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_RESULTS", str(tmp_path))
    monkeypatch.delenv("EASEL_STAGE", raising=False)
    monkeypatch.setenv("EASEL_RUN", "token")
    matplotlib.use("agg")
    return report.Page("01_matching", profile="smoke")


@pytest.fixture
def shown(monkeypatch):
    """What the page would display in a kernel."""
    bundles = []
    monkeypatch.setattr(report, "_show", lambda data, metadata=None: bundles.append(data))
    return bundles


def receipt_of(path: Path) -> dict:
    return json.loads(Path(path).read_text())


def png_size(path: Path) -> tuple[int, int]:
    content = Path(path).read_bytes()
    assert content.startswith(b"\x89PNG")
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def test_a_figure_is_saved_shown_once_with_its_caption_below_and_closed(page, shown, tmp_path):
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    ax.plot([1, 2])
    path = page.figure(ax, "curves", caption="Table 1; n = 20,\n none diverged.")
    assert path == tmp_path / "smoke/figures/01_matching-curves.png"
    assert png_size(path)[0] > 300
    assert [set(bundle) for bundle in shown] == [{"image/png", "text/plain"}, {"text/markdown", "text/plain"}]
    assert shown[0]["image/png"] == path.read_bytes()
    assert shown[1]["text/markdown"] == "Table 1; n = 20, none diverged."
    assert not plt.fignum_exists(figure.number)


def test_a_figure_may_come_as_figure_axes_array_of_axes_or_grid(page):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2)
    for thing in (figure, axes, axes[0, 0], list(axes[0]), SimpleNamespace(figure=figure)):
        assert figures.figure_of(thing) is figure
    with pytest.raises(ValueError, match="a str is no figure"):
        page.figure("curves", "curves", caption="Words.")
    plt.close(figure)


def test_the_data_sets_notice_stands_above_every_figure(page):
    import matplotlib.pyplot as plt

    def saved():
        plt.subplots(figsize=(4, 3))[1].plot([1, 2])
        return png_size(page.figure(plt.gcf(), "f", caption="c"))

    plain = saved()
    page.notice(SimpleNamespace(notice="patterns: images drawn by code; " * 5))
    assert saved()[1] > plain[1] + 40  # three lines of 7 points at 150 dots an inch
    assert receipt_of(page.close())["notice"].startswith("patterns: images drawn by code")


def test_a_data_set_without_notice_shows_nothing(page, shown):
    page.notice(SimpleNamespace(notice=""))
    assert shown == []


@pytest.mark.parametrize("caption", ["", "  \n", None])
def test_a_figure_and_a_table_without_caption_are_refused(page, caption):
    with pytest.raises(ValueError, match="caption"):
        page.figure(None, "curves", caption=caption)
    with pytest.raises(ValueError, match="caption"):
        page.table(pd.DataFrame({"a": [1]}), "t", caption=caption)


@pytest.mark.parametrize("name", ["../escape", "a/b", "", "with space", ".hidden"])
def test_a_name_that_is_no_file_name_is_refused(page, name):
    with pytest.raises(ValueError, match="file name"):
        page.table(pd.DataFrame({"a": [1]}), name, caption="c")
    with pytest.raises(ValueError, match="file name"):
        report.Page(name, profile="smoke")


def test_a_table_keeps_full_precision_on_disk_and_shows_three_decimals(page, shown):
    frame = pd.DataFrame({"net": ["mlp", "wrn"], "easy": [1 / 3, np.nan]})
    path = page.table(frame, "table1", caption="Rates.")
    assert path.name == "01_matching-table1.csv"
    assert pd.read_csv(path)["easy"][0] == 1 / 3
    assert "0.333" in shown[0]["text/html"]
    assert "0.3333" not in shown[0]["text/html"]
    assert "–" in shown[0]["text/html"]
    assert list(pd.read_csv(page.table(frame.set_index("net"), "by_net", caption="c")).columns) == ["net", "easy"]


def test_a_long_table_shows_its_first_rows_and_says_where_the_others_are(page, shown):
    path = page.table(pd.DataFrame({"a": range(1000)}), "long", caption="All.", rows=5)
    assert len(pd.read_csv(path)) == 1000
    assert shown[0]["text/html"].count("<tr") == 6
    assert shown[1]["text/markdown"] == "All. First 5 of 1,000 rows, the others in `01_matching-long.csv`."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "maybe"}, "holds, fails, no difference, open"),
        ({"claim": " "}, "claim"),
        ({"why": ""}, "why"),
        ({"low": 0.1}, "one end"),
        ({"low": 0.3, "high": 0.1}, "upside down"),
        ({"low": "a", "high": "b"}, "number"),
        ({"here": None}, "it is open"),
        ({"here": float("nan")}, "it is open"),
        ({"n": True}, "number"),
    ],
)
def test_a_verdict_that_does_not_hold_together_is_refused(page, change, message):
    with pytest.raises(ValueError, match=message):
        page.verdict(**GOOD | change)
    assert receipt_of(page.close())["verdicts"] == []


def test_verdicts_are_a_table_in_words_and_values_may_be_numpy_s(page, shown):
    page.verdict(**GOOD | {"here": np.float32(0.5), "low": np.float64(0.25), "high": 0.75, "n": np.int64(1200)})
    page.verdict(claim="<b>", paper=None, here=np.nan, verdict="open", why="Too few trials.")
    page.verdicts()
    assert "0.50 [0.25, 0.75], n = 1,200" in shown[-1]["text/html"]
    assert "✓ holds" in shown[-1]["text/html"]
    assert "<b>" not in shown[-1]["text/html"]
    first, second = receipt_of(page.close())["verdicts"]
    assert (first["here"], first["n"]) == (0.5, 1200)
    assert second["here"] is None


def test_the_receipt_says_what_was_saved_and_what_was_trained(page):
    page.table(pd.DataFrame({"a": [1]}), "t", caption="once")
    page.table(pd.DataFrame({"a": [1]}), "t", caption="again, by hand")
    records = [SimpleNamespace(data={"data": name}) for name in ("cifar10", "/home/me/birds@64", "cifar10")]
    one = SimpleNamespace(keys=["k1", "k2"], trained=1, reused=1, diverged=[], records=records)
    merged = SimpleNamespace(data={"data": "cifar10", "split": "merged"})
    two = SimpleNamespace(keys=["k2", "k3"], trained=0, reused=2, diverged=["k3"], records=[merged])
    receipt = receipt_of(page.close([one, two]))
    assert receipt["tables"] == [{"file": "01_matching-t.csv", "caption": "again, by hand"}]
    assert receipt["files"] == receipts.digests(page.folder, ["tables/01_matching-t.csv"])
    assert receipt["keys"] == ["k1", "k2", "k3"]
    assert (receipt["trained"], receipt["reused"], receipt["diverged"]) == (1, 3, 1)
    assert (receipt["run"], receipt["profile"], receipt["notebook"]) == ("token", "smoke", "01_matching")
    assert (receipt["variant"], receipt["data"]) == ("", ["cifar10", "birds@64", "cifar10:merged"])
    assert receipt["seconds"] >= 0


def test_a_staged_page_writes_into_the_stage_only(page, tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_STAGE", str(tmp_path / "stage"))
    staged = report.Page("02_other", profile="smoke")
    assert staged.close() == tmp_path / "stage/receipts/02_other.json"
    assert not (tmp_path / "smoke/receipts/02_other.json").exists()


def test_a_verdict_after_the_page_was_closed_was_in_no_receipt_and_is_refused(page, tmp_path, monkeypatch):
    said = {"claim": "A claim.", "here": 1, "verdict": "open", "why": "So."}
    page.close()
    page.verdict(**said)  # by hand
    monkeypatch.setenv("EASEL_STAGE", str(tmp_path / "stage"))
    with pytest.raises(ValueError, match=r"comes after page.close\(...\), which must be the last cell"):
        page.verdict(**said)


def test_a_variant_leaves_files_of_its_own_beside_the_notebook_s(page, tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_VARIANT", "photographs")
    variant = report.Page("01_matching", profile="smoke")
    for one in (page, variant):
        one.table(pd.DataFrame({"a": [1]}), "t", caption="c")
        one.close()
    assert {path.name for path in (tmp_path / "smoke/tables").iterdir()} == {
        "01_matching-t.csv", "01_matching-photographs-t.csv"
    }  # fmt: skip
    receipt = receipt_of(tmp_path / "smoke/receipts/01_matching-photographs.json")
    assert (receipt["notebook"], receipt["variant"]) == ("01_matching-photographs", "photographs")
    assert receipt_of(tmp_path / "smoke/receipts/01_matching.json")["variant"] == ""


def test_a_page_has_a_word_for_every_verdict_that_there_is():
    assert tuple(report.VERDICT_WORDS) == claims.VERDICTS


def test_report_needs_no_plotting_or_notebook_package_before_it_is_used():
    code = "import sys, easel.notebook.page; print({'matplotlib', 'IPython', 'torch', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "record"
    files.write_atomically(path, b"old")

    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(UserError, match=f"{tmp_path}: the disk is full"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_at_work_is_not_swept_however_old_it_looks(tmp_path, monkeypatch):
    synced, seen = os.fsync, []

    def swept(descriptor):
        if not seen:  # while it is written
            files.sweep_parts(tmp_path)
            seen.extend(tmp_path.iterdir())
        synced(descriptor)

    monkeypatch.setattr(files, "PART_S", -1.0)
    monkeypatch.setattr(os, "fsync", swept)
    files.write_atomically(tmp_path / "record", b"new")
    assert [path.suffix for path in seen] == [".part"]
    assert (tmp_path / "record").read_bytes() == b"new"


def test_nothing_stays_behind_when_writing_is_interrupted(tmp_path, monkeypatch):
    def stops(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stops)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(tmp_path / "record", b"new")
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_on_the_disk_before_it_has_its_name_and_the_name_after(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("sync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), replace(a, b)))
    files.write_atomically(tmp_path / "record", b"new")
    assert events.index("rename") not in (0, len(events) - 1)
    assert set(events) == {"sync", "rename"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=f"{tmp_path}/file/results: a part of the path is a file"):
        files.make_folder(tmp_path / "file" / "results")


def test_a_read_only_folder_is_named():
    with read_only() as folder, pytest.raises(UserError, match=f"{folder}: no permission"):
        files.make_folder(folder)


def test_drawings_become_small_and_photographs_keep_their_colours(page, shown):
    from io import BytesIO

    import matplotlib.pyplot as plt
    import numpy as np
    from PIL import Image

    def both(draw, name):
        """A figure as matplotlib writes it, and as the page keeps it."""
        figure, ax = plt.subplots()
        draw(ax)
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=figures.DPI, bbox_inches="tight")
        path = page.figure(figure, name, caption="Words.")
        pixels = [np.asarray(Image.open(file).convert("RGB"), int) for file in (buffer, path)]
        return path, path.stat().st_size / buffer.tell(), abs(pixels[0] - pixels[1]).max(2)

    x = np.linspace(0, 7, 200)
    path, size, off = both(lambda ax: [ax.fill_between(x, np.sin(x + k), np.cos(x), alpha=0.3) for k in range(3)], "a")
    assert path.suffix == ".png"
    assert size < 0.6
    assert (off > 12).mean() < 0.02
    smooth = np.random.default_rng(0).random((8, 8, 3))
    path, size, off = both(lambda ax: ax.imshow(smooth, interpolation="bicubic"), "b")
    assert path.suffix == ".jpg"
    assert size < 0.66
    assert (off > 30).mean() < 0.01
    assert shown[-2]["image/jpeg"] == path.read_bytes()
    assert [one["file"] for one in page._figures] == ["01_matching-a.png", "01_matching-b.jpg"]


def test_an_answer_stays_folded_in_the_page(tmp_path):
    text = "**1.** Why?\n\n<details><summary>Answer</summary>\n\nBecause.\n\n```python\nx = 1\n```\n</details>"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    nbformat.write(notebook, tmp_path / "00_one.ipynb")
    page = site.notebook_html(tmp_path / "00_one.ipynb")
    inside = page[page.index("<details>") : page.index("</details>")]
    assert "Because." in inside
    assert "highlight" in inside


EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)><iframe srcdoc=x></iframe>"
EVIL += "<a href=' java\tscript:alert(1)'>a</a>"


def test_a_name_or_output_that_is_a_script_acted_in_the_page_of_a_notebook_and_is_inert(tmp_path):
    outputs = [
        {"output_type": "display_data", "metadata": {}, "data": {kind: EVIL, "text/plain": EVIL}}
        for kind in ("text/markdown", "text/html", "text/latex", "image/svg+xml", "application/javascript")
    ]
    cells = [
        {
            "cell_type": "markdown",
            "id": "m",
            "metadata": {},
            "source": f"# A title {EVIL}\n\n## A part {EVIL}\n\n*text*",
        },
        {"cell_type": "code", "id": "c", "metadata": {}, "source": EVIL, "execution_count": 1, "outputs": outputs},
    ]
    (tmp_path / "00_one.ipynb").write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    page = site.notebook_html(tmp_path / "00_one.ipynb", ("{{ 7 * 7 }}", EVIL))
    seen = BeautifulSoup(page, "html.parser")
    assert not seen.find_all(["script", "iframe"])
    assert not [tag for tag in seen(True) for name, at in tag.attrs.items() if name[:2] == "on" or "script:" in str(at)]
    policy = seen.head.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    assert "script-src 'none'" in policy
    assert "{{ 7 * 7 }}" in seen.get_text()  # a name is no template
    assert seen.find("em").get_text() == "text"
