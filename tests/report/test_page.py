"""Pages hold everything in themselves and show data as text; figures are pictures of what they are given."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest

from sola.data.segments import Segments
from sola.data.synthetic import SyntheticWorld, write
from sola.report.figures import embedded, metric_bars, obedience, png, similarity_distance, similarity_maps
from sola.report.page import Page, Picture, Section, Table
from sola.studies.demo import demo

HOSTILE = '<script>alert("x")</script>'


def segments() -> Segments:
    return Segments(np.array([1.0, 4.0]), np.array([2.0, 6.0]), np.array([0, 1]), np.ones(2))


def size(picture: bytes) -> tuple[int, int]:
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", picture[16:24])


def test_every_figure_is_a_png() -> None:
    line = {"raw": (np.arange(5), np.linspace(1, 0, 5)), "sola": (np.arange(3), np.ones(3))}
    value = {"mean": 0.5, "std": 0.1}
    rows = [{"name": "raw", "kind": "raw", "roc_auc": value}, {"name": "c", "kind": "control", "roc_auc": value}]
    figures = [
        similarity_maps({"raw": np.eye(8), "after": np.eye(8)}, segments(), (0.0, 8.0), "seconds", ("a", "b")),
        similarity_maps({"raw": np.eye(1)}, None, (0.0, 1.0), "snippets", ()),
        similarity_distance(line, {}),
        obedience(line),
        metric_bars(rows, "roc_auc", "ROC-AUC", "c"),
    ]
    assert all(min(size(png(figure))) > 100 for figure in figures)


def test_the_same_figure_is_the_same_file() -> None:
    one, other = (obedience({"raw": (np.arange(3), np.ones(3))}) for _ in range(2))
    assert png(one) == png(other)


def page(text: str) -> Page:
    figure = obedience({"raw": (np.arange(3), np.ones(3))})
    section = Section(text, [text], [Picture(figure, text, text)], [Table([text], [[text]], text, strong=[text])])
    return Page(title=text, lead=text, figures=[(text, text)], sections=[section], colophon={text: text})


def test_a_page_opens_offline() -> None:
    html = page("plain").html()
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert addresses
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert "url(" not in html
    assert "@import" not in html


def test_text_from_data_stays_text() -> None:
    html = page(HOSTILE).html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == html.count("alert(") > 10


def test_an_embedded_figure_is_an_image_address() -> None:
    assert embedded(obedience({"raw": (np.arange(3), np.ones(3))})).startswith("data:image/png;base64,iVBOR")


@pytest.mark.slow
def test_the_demo_goes_the_whole_path(tmp_path: Path) -> None:
    world = SyntheticWorld(training_videos=8, validation_videos=5, length=110, channels=16, action_length=10)
    write(world, tmp_path / "data")
    said: list[str] = []
    result = demo(tmp_path, heading="SoLa on a small world", seeds=1, few=3, say=said.append)
    assert [row.name for row in result.rows if row.kind == "compared"] == ["SoLa, published", "SoLa, auto"]
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    shown = f"{100 * result.row('raw').roc_auc.mean:.1f} %"
    assert shown in html
    assert "SoLa on a small world" in html
    assert min(size((tmp_path / "picture.png").read_bytes())) > 300
    assert said
