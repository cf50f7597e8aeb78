"""The report in headless Chromium, opened as a file: operate the explorer and check the displayed values."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait
from support import experiment_folders as folders
from support.calling import sola

from sola.evaluation.similarity import cosine_map

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.world(tmp_path_factory.mktemp("browser") / "world")


@pytest.fixture(scope="module")
def page(world: Path) -> Path:
    """A report on an experiment with HTML in the names of a row and a class."""
    rows = folders.result(world)["rows"]
    rows[2]["name"] = HOSTILE
    annotations = json.loads((world / "annotations.json").read_text())
    annotations["database"]["validation_0000"]["annotations"][0]["label"] = HOSTILE
    (world / "annotations.json").write_text(json.dumps(annotations))
    out = folders.experiment(
        world.parent / "out", world, rows=rows, comparisons=[folders.result(world)["comparisons"][0]]
    )
    assert sola("report", out, "--out", world.parent / "a report.html", "--quiet") == 0
    return world.parent / "a report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium with chromedriver; install Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    yield started
    started.quit()


@pytest.fixture
def opened(browser: WebDriver, page: Path) -> Iterator[WebDriver]:
    """A newly loaded page at desktop width in light mode. Fails if the browser logs anything."""
    shaped(browser, 1280, "light")
    browser.get(page.as_uri())
    yield browser
    assert browser.get_log("browser") == []


def shaped(browser: WebDriver, width: int, colors: str) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [
        {"name": "prefers-color-scheme", "value": colors},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def one(browser: WebDriver, selector: str) -> WebElement:
    return browser.find_element(By.CSS_SELECTOR, selector)


def several(browser: WebDriver, selector: str) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, selector)


def lanes(browser: WebDriver) -> dict[str, int]:
    """Return the number of segments by lane name."""
    counts = {}
    for lane in several(browser, "#lanes .lane:not(.axis)"):
        name = lane.find_element(By.CSS_SELECTOR, ".lane-name").text.splitlines()[0]
        counts[name.strip()] = len(lane.find_elements(By.CSS_SELECTOR, ".segment"))
    return counts


def set_threshold(browser: WebDriver, value: float) -> None:
    """Move the slider with the arrow keys."""
    slider = one(browser, "#threshold")
    slider.send_keys(Keys.HOME)
    slider.send_keys(Keys.ARROW_RIGHT * round(value * 100))
    assert one(browser, "#threshold-value").text == f"{value:.2f}".removeprefix("0")


def annotated(world: Path, video: str) -> list[Any]:
    record = json.loads((world / "annotations.json").read_text())
    return list(record["database"][video]["annotations"])


def test_table_and_error_bars_show_the_values(opened: WebDriver) -> None:
    assert "35.00 ± 1.41" in one(opened, "#experiment-1 table").text
    assert "35.00 ± 1.41 [33.00, 37.00]" in one(opened, "#experiment-1 .plot").text
    assert "+5.00 [+2.00, +8.00], significant (p = .012, corrected)" in one(opened, "#summary").text


def test_every_run_has_a_lane_under_the_ground_truth(opened: WebDriver, world: Path) -> None:
    assert list(lanes(opened)) == ["Annotated", "raw", "moving average of 9", HOSTILE, "SoLa, adapter"]
    assert lanes(opened)["Annotated"] == len(annotated(world, "validation_0000"))


def test_the_threshold_shows_and_hides_detections(opened: WebDriver, world: Path) -> None:
    instances = len(annotated(world, "validation_0000"))
    set_threshold(opened, 0.5)
    assert lanes(opened)["raw"] == sum(0.9 - 0.05 * number >= 0.5 for number in range(instances))
    set_threshold(opened, 1.0)
    assert lanes(opened)["raw"] == 0
    assert "nothing above the threshold" in one(opened, "#lanes").text
    set_threshold(opened, 0.0)
    assert f"{2 * instances} shown" in one(opened, "#lanes").text


def test_the_readout_describes_a_segment(opened: WebDriver, world: Path) -> None:
    """The readout of the adapter's detection of the longest instance, which is .6 s late."""
    instances = annotated(world, "validation_0000")
    longest = max(range(len(instances)), key=lambda i: instances[i]["segment"][1] - instances[i]["segment"][0])
    start, end = instances[longest]["segment"]
    set_threshold(opened, 0.3)
    opened.execute_script("arguments[0].focus()", one(opened, f'#lanes [data-key="3/{longest}"]'))
    iou = (end - start - 0.6) / (end - start + 0.6)
    text = one(opened, "#readout").text
    label = instances[longest]["label"]
    assert text.startswith(f"SoLa, adapter: {label}, {start + 0.6:.2f} s to {end + 0.6:.2f} s")
    assert f"score {0.9 - 0.05 * longest:.3f}".replace("0.", ".") in text
    (displayed,) = re.findall(r"tIoU (\.\d\d) with the annotated", text)
    assert float(displayed) == pytest.approx(iou, abs=0.02)  # times on the page are rounded to 10 ms


def test_arrow_keys_move_through_segments_and_lanes(opened: WebDriver, world: Path) -> None:
    set_threshold(opened, 0.5)
    first = one(opened, "#lanes .segment.truth")
    assert first.get_attribute("tabindex") == "0"
    opened.execute_script("arguments[0].focus()", first)
    seen = [opened.switch_to.active_element.get_attribute("data-key")]
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.END):
        opened.switch_to.active_element.send_keys(key)
        seen.append(opened.switch_to.active_element.get_attribute("data-key"))
    assert seen[:5] == ["-1/0", "-1/1", "-1/0", "0/0", "1/0"]
    assert seen[5].startswith("1/")
    assert seen[5] != "1/0"
    outline = opened.switch_to.active_element.value_of_css_property("outline-style")
    assert outline == "solid"


def test_videos_are_switched_by_button_key_and_name(opened: WebDriver) -> None:
    chosen = Select(one(opened, "#video"))
    assert chosen.first_selected_option.text == "validation_0000"
    assert not one(opened, "#previous").is_enabled()
    before = one(opened, "#lanes").text
    one(opened, "#next").click()
    assert chosen.first_selected_option.text == "validation_0001"
    assert one(opened, "#lanes").text != before
    one(opened, "#next").send_keys("n")
    assert chosen.first_selected_option.text == "validation_0002"
    one(opened, "#next").send_keys("p")
    assert chosen.first_selected_option.text == "validation_0001"
    chosen.select_by_visible_text("validation_0004")
    assert one(opened, "#position").text.startswith("5 of 5")
    assert not one(opened, "#next").is_enabled()


def test_videos_are_filtered_by_name(opened: WebDriver) -> None:
    one(opened, "#filter").send_keys("0003")
    assert [option.text for option in Select(one(opened, "#video")).options] == ["validation_0003"]
    one(opened, "#filter").send_keys("nowhere")
    assert "no matching video" in one(opened, "#video").text
    one(opened, "#filter").clear()
    one(opened, "#filter").send_keys("v")
    assert len(Select(one(opened, "#video")).options) == 5


def test_classes_are_filtered(opened: WebDriver) -> None:
    Select(one(opened, "#class")).select_by_visible_text(HOSTILE)
    assert lanes(opened)["Annotated"] == 1


def test_feature_sets_have_different_maps(opened: WebDriver) -> None:
    def picture() -> str:
        return str(opened.execute_script("return document.getElementById('map').toDataURL()"))

    raw = picture()
    radios = several(opened, "#features input")
    assert len(radios) == 4
    radios[3].click()
    after = picture()
    assert after != raw
    radios[0].click()
    assert picture() == raw


def test_the_readout_shows_the_similarity(opened: WebDriver, world: Path) -> None:
    values = cosine_map(np.load(world / "features" / "validation_0000.npy"))
    middle = len(values) // 2
    one(opened, "#map").send_keys(Keys.ARROW_RIGHT)
    one(opened, "#map").send_keys(Keys.ARROW_RIGHT * 3)
    text = one(opened, "#map-readout").text
    (similarity,) = re.findall(r"cosine similarity (−?\d*\.\d+)", text)
    assert float(similarity.replace("−", "-")) == pytest.approx(values[middle, middle + 3], abs=0.011)


def test_zooming_in_and_out(opened: WebDriver) -> None:
    before = lanes(opened)
    one(opened, "#zoom-in").click()
    one(opened, "#zoom-in").click()
    assert sum(lanes(opened).values()) < sum(before.values())
    one(opened, "#zoom-in").send_keys("0")
    assert lanes(opened) == before


def test_a_run_can_be_hidden(opened: WebDriver) -> None:
    several(opened, "#runs input")[0].click()
    assert "raw" not in lanes(opened)


def test_visible_segments_are_listed_in_a_table(opened: WebDriver) -> None:
    set_threshold(opened, 0.5)
    one(opened, "#listing summary").click()
    shown = sum(lanes(opened).values())
    WebDriverWait(opened, 5).until(lambda browser: len(several(browser, "#listing tbody tr")) == shown)


def test_names_from_data_are_text(opened: WebDriver) -> None:
    assert HOSTILE in one(opened, "#lanes").text
    assert HOSTILE in one(opened, "#experiment-1 table").text
    assert several(opened, "img") == []


def test_the_page_makes_no_requests(opened: WebDriver) -> None:
    assert opened.current_url.startswith("file:")
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize("width", [375, 1280])
def test_no_content_is_wider_than_the_page(width: int, opened: WebDriver, page: Path) -> None:
    shaped(opened, width, "light")
    opened.get(page.as_uri())
    for folded in several(opened, "details"):
        opened.execute_script("arguments[0].open = true", folded)
    widths = opened.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1] == width


def test_dark_mode_has_light_text_on_a_dark_background(opened: WebDriver) -> None:
    def lightness(name: str) -> int:
        return sum(map(int, re.findall(r"\d+", one(opened, "body").value_of_css_property(name))[:3]))

    light, ink = lightness("background-color"), lightness("color")
    shaped(opened, 1280, "dark")
    assert lightness("background-color") < 150 < 600 < light
    assert lightness("color") > 500 > ink


def test_without_annotations_scores_of_any_sign_are_shown(browser: WebDriver, tmp_path: Path) -> None:
    found = [{"segment": [10.0 * n, 10.0 * n + 5], "score": 0.5 - n} for n in range(4)]
    path = folders.write_detections(tmp_path / "d.json", {"results": {"a": found}})
    assert sola("report", "--detections", f"logits={path}", "--out", tmp_path / "r.html", "--quiet") == 0
    shaped(browser, 1280, "light")
    browser.get((tmp_path / "r.html").as_uri())
    assert lanes(browser) == {"logits": 4}
    assert not one(browser, "#map-lane").is_displayed()
    assert not one(browser, ".of-truth").is_displayed()
    assert browser.get_log("browser") == []
