import logging
import sys

import pytest
from support.terminal import terminal

from sola.core.log import show_log
from sola.core.progress import progress_bar

LOG = logging.getLogger("sola.some.module")


def test_a_bar_shows_progress_and_disappears(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown, progress_bar("train", total=30, completed=2, unit="epochs") as bar:
        bar.update(3, note="loss 0.51  1,234 [b]windows/s")
        assert bar.elapsed > 0
    assert "train" in shown.text
    assert "2/30 epochs" in shown.text
    assert "3/30 epochs" in shown.text
    assert "loss 0.51  1,234 [b]windows/s" in shown.text
    assert shown.screen() == []


def test_only_the_error_stays_on_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        with progress_bar("extract", total=10) as bar:
            bar.update(0.25)
            raise ZeroDivisionError

    with terminal(monkeypatch) as shown:
        with pytest.raises(ZeroDivisionError):
            fails()
        print("sola: a.mp4: cannot be read", file=sys.stderr)
    assert "0.2/10 videos" in shown.text
    assert shown.screen() == ["sola: a.mp4: cannot be read"]


def test_lines_appear_on_first_update(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown, progress_bar() as bar:
        bar.update(1, 2, line="extract")
        LOG.warning("between")
        bar.update(1, 5, line="detect")
    before, after = shown.text.split("detect", 1)
    assert "1/2 videos" in before
    assert "1/5 videos" in after


def test_messages_stay_above_the_bar_unwrapped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show_log()
    path = "/videos/" + "[red]x " * 40 + "end"
    with terminal(monkeypatch) as shown:
        with progress_bar("extract", total=2) as bar:
            bar.update(1)
            LOG.info("%s: written", path)
            print("result")
            bar.update(2)
        LOG.info("done")
    assert shown.screen() == [f"{path}: written", "done"]
    assert capsys.readouterr().out == "result\n"


def test_a_bar_inside_another_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown, progress_bar("outer", total=2), progress_bar("inner", total=2) as inner:
        inner.update(1)
    assert "outer" in shown.text
    assert "inner" not in shown.text


@pytest.mark.parametrize("why", ["quiet", "not the first process"])
def test_nothing_is_shown_if_quiet_or_not_the_first_process(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if why != "quiet":
        monkeypatch.setenv("RANK", "1")
        monkeypatch.setenv("WORLD_SIZE", "2")
    with terminal(monkeypatch) as shown, progress_bar("extract", total=2, quiet=why == "quiet") as bar:
        bar.update(1, note="10 features/s")
        bar.update(1, line="other")
    assert shown.text == ""


def test_no_bar_if_stderr_is_a_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    show_log()
    with progress_bar("extract", total=2) as bar:
        bar.update(1)
        LOG.info("written")
    assert capsys.readouterr() == ("", "written\n")
