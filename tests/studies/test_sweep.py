"""`sola reproduce`: from features to tables, shared runs, resuming after kills, and refused input."""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from support.calling import refused, sola
from support.documents import shell_lines
from support.places import DOCS
from support.synthetic import SyntheticWorld, write

from sola.core.errors import SolaError
from sola.data.journal import is_finished
from sola.data.source import DataSource
from sola.detectors import DETECTORS
from sola.studies.pool import Pool
from sola.studies.workspace import Workspace

WORLD = SyntheticWorld(training_videos=6, validation_videos=4, length=100.0, length_spread=0.0, channels=16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "world"
    write(WORLD, folder)
    return folder


def call(data: Path, name: str, out: Path, *more: str) -> list[str]:
    where = [str(data / "features"), "--annotations", str(data / "annotations.json"), "--out", str(out)]
    # two parallel runs with one thread each are faster than one run with two threads
    jobs = () if "--jobs" in more else ("--jobs", "2")
    return ["reproduce", name, *where, "--quick", "--quiet", *jobs, *more]


LITTLE = ("--seeds", "1", "--controls", "none")


@pytest.fixture(scope="module")
def out(data: Path) -> Path:
    """A workspace with Table 1 and its controls, by the commands of the guide; tests add other experiments."""
    reproduce, report = (shlex.split(line)[1:] for line in shell_lines(DOCS / "guides" / "reproduce.md"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(data)
        assert sola(*reproduce, "--quick", "--quiet", "--jobs", "2", "--seeds", "1") == 0
        assert sola(*report) == 0
    return data / "experiments"


def result_of(out: Path, name: str) -> dict[str, object]:
    result: dict[str, object] = json.loads((out / name / "result.json").read_text())
    if result["linear"] is not None:
        result["linear"]["settings"].pop("compared")  # type: ignore[index]  # contains paths of modules
    return result


def finished(out: Path) -> dict[str, int]:
    """Return all files of runs with their modification times."""
    paths = [path for kind in ("modules", "controls", "detectors") for path in (out / kind).rglob("*")]
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in paths if path.is_file()}


@pytest.mark.slow
class TestSweep:
    def test_a_table_has_raw_features_controls_and_variants(self, out: Path) -> None:
        result = result_of(out, "table1")
        kinds = [row["kind"] for row in result["rows"]]  # type: ignore[index,attr-defined]
        assert kinds == ["raw", *["control"] * 7, "compared", "compared"]
        for row in result["rows"]:  # type: ignore[attr-defined]
            for run in row["detectors"]:
                assert (out / run / "detections.json").is_file()
        assert (out / "table1" / "error-bars.png").stat().st_size > 1000
        table = (out / "table1" / "table.md").read_text()
        assert "| SoLa, adapter |" in table
        assert "**not comparable**" in table

    def test_experiments_share_runs(self, data: Path, out: Path) -> None:
        before = finished(out)
        modules, detectors = (len(list((out / kind).iterdir())) for kind in ("modules", "detectors"))
        assert sola(*call(data, "table6", out, *LITTLE)) == 0
        assert (out / "table6" / "stability.png").is_file()
        assert sola(*call(data, "table3", out, *LITTLE)) == 0
        after = finished(out)
        assert {name: after[name] for name in before} == before
        # new: the symmetric module and G-TAD on it, and the other detectors on two feature sets; shared: the
        # asymmetric module, and G-TAD on it and on raw features
        assert len(list((out / "modules").iterdir())) == modules + 1
        assert len(list((out / "detectors").iterdir())) == detectors + 1 + 2 * (len(DETECTORS) - 1)

    def test_controls_can_be_limited_to_untrained_modules(self, data: Path, out: Path) -> None:
        assert sola(*call(data, "figure1", out, "--seeds", "1", "--controls", "untrained")) == 0
        names = [row["name"] for row in result_of(out, "figure1")["rows"]]  # type: ignore[attr-defined]
        assert names == ["raw", "untrained direct", "untrained residual", "SoLa"]

    def test_section_c_measures_windows_and_draws_curves(self, data: Path, out: Path) -> None:
        assert sola(*call(data, "sectionC", out, *LITTLE)) == 0
        result = result_of(out, "sectionC")
        shares = [row["summaries"]["assumption_share"]["mean"] for row in result["rows"]]  # type: ignore[attr-defined]
        assert all(0 <= share <= 1 for share in shares)
        assert shares[0] > 0.5  # near snippets are similar, because actions last
        assert set(result["curves"]) == {"similarity", "assumption_share"}  # type: ignore[call-overload]
        assert (out / "sectionC" / "assumption-share.png").is_file()

    def test_section_c_uses_the_largest_of_several_steps(self, data: Path, tmp_path: Path) -> None:
        assert sola(*call(data, "sectionC", tmp_path, *LITTLE), "--recipe", "auto") == 0
        assert result_of(tmp_path, "sectionC")["rows"]

    @pytest.mark.long
    def test_a_sweep_killed_twice_resumes_to_the_same_result(self, data: Path, tmp_path: Path) -> None:
        uninterrupted, killed = tmp_path / "uninterrupted", tmp_path / "killed"
        assert sola(*call(data, "table1", uninterrupted, *LITTLE)) == 0
        for expected in (
            "modules/*/checkpoint/checkpoint.safetensors",
            "detectors/*/checkpoint/checkpoint.safetensors",
        ):
            process = subprocess.Popen([sys.executable, "-m", "sola", *call(data, "table1", killed, *LITTLE)])
            wait_until(lambda pattern=expected: any(killed.glob(pattern)))  # type: ignore[misc]
            family = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.wait()
            _, alive = psutil.wait_procs(family, timeout=20)
            assert not alive  # a surviving process would write to a resumed run
        done = {name: when for name, when in finished(killed).items() if complete(killed / name)}
        assert sola(*call(data, "table1", killed, *LITTLE)) == 0
        after = finished(killed)
        assert {name: after[name] for name in done} == done
        assert result_of(killed, "table1") == result_of(uninterrupted, "table1")


def wait_until(true: object, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def complete(path: Path) -> bool:
    """Return True if a file belongs to a finished run."""
    run = next(parent for parent in path.parents if parent.parent.name in ("modules", "controls", "detectors"))
    return run.parent.name == "controls" or is_finished(run / "features") or (run / "detections.json").is_file()


class TestRefusals:
    def test_features_are_required_without_quick(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert "--quick" in refused(capsys, "reproduce", "table1", "--out", tmp_path / "out")

    def test_an_unknown_name_lists_the_experiments(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert "sectionC" in refused(capsys, "reproduce", "table4")

    def test_a_folder_with_other_contents_is_refused(
        self, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "thesis.txt").write_text("mine")
        assert "contains no experiments" in refused(capsys, *call(data, "table1", tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    def test_zero_jobs_are_refused(self, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "--jobs 0" in refused(capsys, *call(data, "table1", tmp_path / "out", "--jobs", "0"))


class TestWorkspace:
    def data(self, **changed: object) -> DataSource:
        return DataSource(**{"features": (Path("/f"),), "annotations": Path("/a.json"), **changed})  # type: ignore[arg-type]

    def test_it_belongs_to_one_data_set(self, tmp_path: Path) -> None:
        with Workspace(tmp_path).claimed_for(self.data()):
            pass
        with (
            pytest.raises(SolaError, match="test_subset=validation, now it is testing"),
            Workspace(tmp_path).claimed_for(self.data(test_subset="testing")),
        ):
            pass

    def test_it_belongs_to_one_process(self, tmp_path: Path) -> None:
        with (
            Workspace(tmp_path).claimed_for(self.data()),
            pytest.raises(SolaError, match="another `sola reproduce`"),
            Workspace(tmp_path).claimed_for(self.data()),
        ):
            pass


def fail(message: str) -> None:
    raise SolaError(message)


def vanish() -> None:
    psutil.Process().kill()


@pytest.mark.slow
class TestPool:
    def test_results_are_in_job_order_and_errors_are_raised(self) -> None:
        with Pool(2) as pool:
            assert pool.run([(pow, (2, n)) for n in range(4)]) == [1, 2, 4, 8]
            with pytest.raises(SolaError, match="no such video"):
                pool.run([(fail, ("no such video",))])

    def test_processes_share_the_threads(self) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(4)
        try:
            with Pool(2) as pool:
                assert pool.run([(torch.get_num_threads, ())]) == [2]
        finally:
            torch.set_num_threads(before)

    def test_the_error_of_a_killed_job_suggests_fewer_jobs(self) -> None:
        with pytest.raises(SolaError, match="fewer --jobs"), Pool(1) as pool:
            pool.run([(vanish, ())])
