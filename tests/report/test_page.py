"""Pages are self-contained and escape data; plots use the font and colors of the page."""

import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.synthetic import SyntheticWorld, write

from sola.data.segments import Segments
from sola.evaluation.results import Metric, Row, StudyCurves
from sola.evaluation.statistics import Summary
from sola.report.page import Page, Plot, Section, Table
from sola.report.plots import assumption_panels, curve_plot, error_bar_plot, similarity_map_plot, similarity_panels
from sola.report.saving import inline_svg, write_plot
from sola.studies.demo import demo

HOSTILE = '<script>alert("x")</script>'


def segments() -> Segments:
    return Segments(np.array([1.0, 4.0]), np.array([2.0, 6.0]), np.array([0, 1]), np.ones(2))


def size(picture: bytes) -> tuple[int, int]:
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", picture[16:24])


def assumption_plot(name: str = "raw") -> Figure:
    return curve_plot(assumption_panels(StudyCurves(assumption_share={name: ([1.0, 2.0, 4.0], [1.0, 0.8, 0.6])})))


def map_plot(name: str) -> Figure:
    return similarity_map_plot({name: np.eye(8), "after": np.eye(8)}, segments(), (0.0, 8.0), "seconds", (name, "b"))


def png(plot: Figure, folder: Path) -> bytes:
    write_plot(folder / "plot.png", plot)
    return (folder / "plot.png").read_bytes()


def test_all_plots_can_be_saved_as_png(tmp_path: Path) -> None:
    lines = {"raw": ([0.0, 1.0, 2.0], [1.0, 0.5, 0.0]), "sola": ([0.0, 1.0], [1.0, 1.0])}
    summary = {"roc_auc": Summary(0.5, 0.1, (0.4, 0.6))}
    rows = [Row("raw", "raw", summary), Row("c", "control", summary)]
    plots = [
        map_plot("raw"),
        similarity_map_plot({"raw": np.eye(1)}, None, (0.0, 1.0), "snippets", ()),
        curve_plot(similarity_panels(StudyCurves(similarity={"whole": lines, "windows": {}}))),
        curve_plot([]),
        assumption_plot(),
        error_bar_plot(rows, Metric("roc_auc", "ROC-AUC"), "c"),
    ]
    assert all(min(size(png(plot, tmp_path))) > 40 for plot in plots)


def test_plots_are_deterministic(tmp_path: Path) -> None:
    assert png(assumption_plot(), tmp_path) == png(assumption_plot(), tmp_path)
    assert inline_svg(assumption_plot(), "text") == inline_svg(assumption_plot(), "text")


def page(text: str) -> Page:
    plots = [Plot(assumption_plot(text), text, text), Plot(map_plot(text), text, text, folded=text)]
    section = Section(text, [text], plots, [Table([text], [[text]], text, strong=[text])])
    return Page(title=text, lead=text, numbers=[(text, text)], sections=[section], colophon={text: text})


def test_a_page_opens_offline() -> None:
    html = page("plain").html()
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert any(address.startswith("data:image/png;base64,") for address in addresses)
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
    assert not re.findall(r"url\((?!#)", html)
    assert "@import" not in html
    assert "http" not in html.replace("http-equiv", "")


def test_text_from_data_is_escaped() -> None:
    html = page(HOSTILE).html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == html.count("alert(") > 10


@pytest.mark.parametrize("name", ["$x^{", "\\1 \\g<0>", 'a" id="b', 'a id="b" : #1a1c23', "--><b>", "raw & cooked"])
def test_plots_accept_any_name(name: str) -> None:
    svg = inline_svg(assumption_plot(name), name)
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    assert root.get("aria-label") == name
    assert name in [text.text for text in root.iter("text")]


def test_plots_use_the_colors_of_the_page() -> None:
    svg = inline_svg(assumption_plot(), "text")
    assert "var(--ink)" in svg
    assert "var(--gray)" in svg
    assert not re.findall(r": #[0-9a-f]{6}", svg)


def test_ids_of_a_page_are_all_used() -> None:
    html = page("plain").html()
    used = re.findall(r'(?:href="|url\()#([\w-]+)', html)
    ids = re.findall(r' id="([^"]*)"', html)
    assert set(used) == set(ids)


@pytest.mark.slow
@pytest.mark.usefixtures("short_auto")
def test_demo_end_to_end(tmp_path: Path) -> None:
    world = SyntheticWorld(training_videos=8, validation_videos=5, length=110, channels=16, action_length=10)
    write(world, tmp_path / "data")
    said: list[str] = []
    result = demo(tmp_path, heading="SoLa on a small world", seeds=1, few=3, say=said.append)
    assert [row.name for row in result.rows if row.kind == "compared"] == ["SoLa, published", "SoLa, auto"]
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    shown = f"{100 * result.row('raw').mean('roc_auc'):.1f} %"
    assert shown in html
    assert "SoLa on a small world" in html
    assert min(size((tmp_path / "picture.png").read_bytes())) > 300
    assert said
