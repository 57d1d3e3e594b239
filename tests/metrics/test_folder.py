"""What workers count together: each request once, whatever ends how."""

import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from policy_server.metrics import catalogue
from policy_server.metrics.folder import COUNTS, ENDED, MetricsFolder
from policy_server.metrics.layout import OTHERS, POLICY, RING_ROWS, SLOTS
from policy_server.metrics.recorder import OTHER, Recorder
from policy_server.metrics.totals import RETAINED_VERSIONS, Totals
from policy_server.serving.stages import Stages

OPERATIONS = ("predict", "step")


class Target(NamedTuple):
    policy: str = POLICY


TARGET = Target()
ROOT = Path(__file__).resolve().parents[2]
WORKER = """
    import sys
    from pathlib import Path
    from policy_server.metrics.folder import MetricsFolder
    from policy_server.metrics.recorder import Recorder
    from policy_server.serving.stages import Stages
    class TARGET:
        policy = "default"

    recorder = Recorder(("predict", "step"))
    MetricsFolder(Path(sys.argv[1])).open(recorder)
    stages = Stages()
    stages.began, stages.answered = 1, 1_000_001
    for line in sys.stdin:
        for _ in range(int(line)):
            recorder.request("predict", 200, b"1-a", b"", None, stages, TARGET)
        print(line, end="", flush=True)
    recorder.close()
"""


def stages_of(seconds: float, **marks: int) -> Stages:
    """Of a request that took so long."""
    stages = Stages()
    stages.began, stages.answered = 10**12, 10**12 + round(seconds * 1e9)
    for name, value in marks.items():
        setattr(stages, name, value)
    return stages


def answered(recorder: Recorder, version: str = "1-a", status: int = 200) -> None:
    recorder.request("predict", status, version.encode(), b"", None, stages_of(0.001), TARGET)


def requests_of(totals: Totals) -> Counter[str]:
    """How many requests each version answered."""
    found: Counter[str] = Counter()
    for key, value in totals.values.items():
        if key[0] == catalogue.REQUESTS.name:
            found[key[-1]] += value
    return found


def value_of(totals: Totals, metric: catalogue.Metric, *labels: str) -> int:
    return totals.values[(metric.name, *labels)]


@pytest.fixture
def folder(tmp_path: Path) -> MetricsFolder:
    return MetricsFolder.of(tmp_path, places=(tmp_path,))


def started(folder: MetricsFolder) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def told(worker: "subprocess.Popen[str]", requests: int) -> None:
    """Have a worker count so many, and wait until it has."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(f"{requests}\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == f"{requests}\n"


def test_nothing_is_lost_or_counted_twice_whenever_workers_are_killed(
    folder: MetricsFolder,
) -> None:
    chance = random.Random(3)
    expected = killed = 0
    workers = [started(folder) for _ in range(3)]
    for turn in range(12):
        worker = chance.choice(workers)
        number = chance.choice([1, 7, RING_ROWS - 1, RING_ROWS, 2 * RING_ROWS + 3])
        told(worker, number)
        expected += number
        if turn % 4 == 3:
            worker.kill()
            worker.communicate()
            killed += 1
            workers[workers.index(worker)] = started(folder)
        totals = folder.totals()
        assert requests_of(totals) == {"1-a": expected}
        cells = totals.histograms[catalogue.REQUEST_DURATION.name, POLICY, "predict"]
        assert sum(cells[:-1]) == expected
        assert cells[-1] == expected * 1_000_000
    for worker in workers:
        worker.communicate()
    totals = folder.totals()
    assert requests_of(totals) == {"1-a": expected}
    assert value_of(totals, catalogue.DEATHS) == killed
    assert value_of(totals, catalogue.STARTS) == 3 + killed
    assert (catalogue.WORKERS.name,) not in totals.values
    assert [path for path in folder.path.iterdir() if path.suffix == COUNTS] == []


def test_numbers_that_are_in_already_are_not_added_again(folder: MetricsFolder) -> None:
    """Who folds may die after it has written the sum and before it has removed the file."""
    worker = started(folder)
    told(worker, 5)
    worker.kill()
    worker.communicate()
    (left,) = folder.path.glob(f"*{COUNTS}")
    copy = Path(shutil.copy(left, folder.path / "copy"))
    assert requests_of(folder.totals()) == {"1-a": 5}
    copy.rename(left)
    assert requests_of(folder.totals()) == {"1-a": 5}
    assert not left.exists()


def test_a_sum_that_cannot_be_read_begins_anew(
    folder: MetricsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    (folder.path / ENDED).write_text('{"values": [[')
    recorder = Recorder(OPERATIONS)
    folder.open(recorder)
    answered(recorder)
    assert requests_of(folder.totals()) == {"1-a": 1}
    assert "begin anew" in caplog.text


def test_what_a_later_release_has_counted_otherwise_is_left_out(folder: MetricsFolder) -> None:
    saved = {
        "values": [["policy_server_unheard_of", "a", 3], ["policy_server_swaps", POLICY, 4]],
        "histograms": [["policy_server_batch_rows", POLICY, [1, 3], [1, 2, 3, 4]]],
        "folded": [],
    }
    (folder.path / ENDED).write_text(json.dumps(saved))
    totals = folder.totals()
    assert value_of(totals, catalogue.SWAPS, POLICY) == 4
    assert totals.histograms == {}


def test_histograms_hold_what_was_measured(folder: MetricsFolder) -> None:
    chance = random.Random(5)
    found = [10 ** chance.uniform(-6, 1.5) for _ in range(3 * RING_ROWS + 100)]
    recorder = Recorder(OPERATIONS)
    for seconds in found[:1500]:
        recorder.request("predict", 200, b"1-a", b"", None, stages_of(seconds), TARGET)
    folder.open(recorder)  # what was counted before goes along
    for seconds in found[1500:]:
        recorder.request("predict", 200, b"1-a", b"", None, stages_of(seconds), TARGET)
    cells = folder.totals().histograms[catalogue.REQUEST_DURATION.name, POLICY, "predict"]
    bounds = [0.0, *catalogue.LATENCIES, float("inf")]
    for bucket, (least, most) in enumerate(itertools.pairwise(bounds)):
        assert cells[bucket] == sum(least < each <= most for each in found), most
    assert cells[-1] / 1e9 == pytest.approx(sum(found))


def test_stages_are_what_lies_between_their_marks(folder: MetricsFolder) -> None:
    recorder = Recorder(OPERATIONS)
    folder.open(recorder)
    began = 10**12
    marks = {"decoded": began + 1_000, "taken": began + 3_000, "preprocess": 400, "run": 5_000}
    marks |= {"ran": began + 8_400, "rows": 7}
    recorder.request("predict", 200, b"", b"", None, stages_of(1e-5, **marks), TARGET)
    recorder.request("predict", 400, b"", b"", None, stages_of(1e-5), TARGET)  # it had none
    histograms = folder.totals().histograms
    sums = {key[-1]: cells[-1] for key, cells in histograms.items()}
    assert sums["predict"] == 20_000
    assert [sums[stage] for stage in catalogue.STAGES] == [1_000, 2_000, 400, 5_000, 1_600]
    assert sums[POLICY] == 7
    counts = [sum(cells[:-1]) for key, cells in histograms.items() if key[-1] != "predict"]
    assert counts == [1] * 6


def test_policies_are_counted_each_and_timed_together(folder: MetricsFolder) -> None:
    recorder = Recorder(OPERATIONS)
    folder.open(recorder)
    marks = {"decoded": 10**12 + 1_000}
    for policy, times in (("first", 2), ("second", 3), (POLICY, 4)):
        for _ in range(times * RING_ROWS):
            target = Target(policy)
            told = ("predict", 200, b"1-a", b"", None, stages_of(0.001, **marks), target)
            recorder.request(*told)
    totals = folder.totals()
    counted = {
        policy: value_of(totals, catalogue.REQUESTS, policy, "predict", "200", "1-a")
        for policy in ("first", "second", POLICY)
    }
    assert counted == {"first": 2 * RING_ROWS, "second": 3 * RING_ROWS, POLICY: 4 * RING_ROWS}
    timed = {key[1:]: sum(cells[:-1]) for key, cells in totals.histograms.items() if sum(cells)}
    assert timed == {
        (OTHERS, "predict"): 5 * RING_ROWS,
        (OTHERS, "decode"): 5 * RING_ROWS,
        (POLICY, "predict"): 4 * RING_ROWS,
        (POLICY, "decode"): 4 * RING_ROWS,
    }


def test_who_was_turned_away_or_waited_too_long_is_counted(folder: MetricsFolder) -> None:
    recorder = Recorder(OPERATIONS)
    folder.open(recorder)
    turned_away = stages_of(0.001)
    turned_away.turned_away = True
    for status, stages in ((503, turned_away), (503, stages_of(0.001)), (504, stages_of(0.001))):
        recorder.request("predict", status, b"", b"", None, stages, TARGET)
    answered(recorder)
    totals = folder.totals()
    assert value_of(totals, catalogue.OVERLOADS, POLICY) == 1
    assert value_of(totals, catalogue.DEADLINES, POLICY) == 1
    assert sum(requests_of(totals).values()) == 4


def test_versions_and_labels_beyond_bounds_take_no_room(folder: MetricsFolder) -> None:
    recorder = Recorder(OPERATIONS)
    folder.open(recorder)
    for number in range(3 * SLOTS):
        answered(recorder, f"{number}-a")
    answered(recorder, "x" * 1000)
    recorder.request("../../etc", 404, b"", b"", None, stages_of(0.001), TARGET)
    totals = folder.totals()
    found = requests_of(totals)
    assert sum(found.values()) == 3 * SLOTS + 2
    assert len(totals.values) <= SLOTS
    assert found[OTHER] > SLOTS
    assert totals.values[catalogue.REQUESTS.name, POLICY, "none", "404", OTHER] == 1


def ended(folder: MetricsFolder, recorders: Sequence[Recorder]) -> None:
    """Workers have ended: nobody holds the locks of their files."""
    for recorder in recorders:
        os.close(recorder.descriptor)
    folder.totals()


def test_of_workers_that_ended_the_latest_versions_are_told_apart(folder: MetricsFolder) -> None:
    for number in range(RETAINED_VERSIONS + 10):
        recorder = Recorder(OPERATIONS)
        folder.open(recorder)
        answered(recorder, f"{number}-a")
        answered(recorder, "", 503)
        ended(folder, [recorder])
    found = requests_of(folder.totals())
    assert found.pop("") == RETAINED_VERSIONS + 10
    latest = [f"{number}-a" for number in range(10, RETAINED_VERSIONS + 10)]
    assert sorted(found) == sorted(latest)


def test_folders_of_a_base_path_that_is_gone_go_too(tmp_path: Path) -> None:
    places = (tmp_path / "memory",)
    places[0].mkdir()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = MetricsFolder.of(tmp_path / "one", places)
    second = MetricsFolder.of(tmp_path / "two", places)
    assert first.path != second.path == MetricsFolder.of(tmp_path / "two", places).path
    (tmp_path / "one").rmdir()
    MetricsFolder.of(tmp_path / "two", places)
    assert not first.path.exists()
    assert second.path.exists()


def test_a_folder_that_somebody_else_has_put_there_is_not_used(tmp_path: Path) -> None:
    memory, elsewhere = tmp_path / "memory", tmp_path / "elsewhere"
    for each in (memory, elsewhere):
        each.mkdir()
    (memory / f"policy-server-metrics-{os.getuid()}").symlink_to(elsewhere)
    other = tmp_path / "other"
    other.mkdir()
    found = MetricsFolder.of(tmp_path, places=(memory, other))
    assert found.path.is_relative_to(other)
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        MetricsFolder.of(tmp_path, places=(memory,))
    assert (found.path.stat().st_mode & 0o077) == 0


def test_where_there_is_no_room_it_is_said_at_once(folder: MetricsFolder) -> None:
    """Not when a page is first written to, which would end the process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            folder.open(Recorder(OPERATIONS))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(folder.path.glob(f"*{COUNTS}")) == []
