import logging

import pytest

from sola.core.log import show_log

LOG = logging.getLogger("sola.some.module")


def test_library_use_shows_no_messages(capsys: pytest.CaptureFixture[str]) -> None:
    LOG.info("trained")
    assert capsys.readouterr() == ("", "")


def test_a_message_is_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_log()
    show_log()
    LOG.info("%s: [bold]written[/bold] :smile:\nas %d files", "/a path/" + "x" * 200, 12)
    assert capsys.readouterr() == ("", "/a path/" + "x" * 200 + ": [bold]written[/bold] :smile: as 12 files\n")


def test_quiet_shows_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    show_log(quiet=True)
    LOG.info("trained")
    LOG.warning("2 bad files skipped")
    assert capsys.readouterr().err == "2 bad files skipped\n"


def test_only_the_leading_process_shows_messages(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show_log()
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        LOG.info("rank %s", rank)
        LOG.warning("warning of rank %s", rank)
    assert capsys.readouterr().err == "rank 0\nwarning of rank 0\n"
