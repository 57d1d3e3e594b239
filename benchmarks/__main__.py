"""`python -m benchmarks`: measure this server, its floor and other servers, and write it down."""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import chart, engines, loopback, ours, peers, table
from benchmarks.bench import FIGURES_FILE, Bench, wanted
from benchmarks.figures import FLOOR

PAGE = ours.ROOT / "docs" / "performance.md"
GROUPS = ("ours", "peers", "batch", "growth", "engines", "memory")
LOOPBACK_ONLY = {"ray_serve"}
"""They listen on every address of a machine, whatever they are told."""


def main(arguments: Sequence[str]) -> None:
    """Run the benchmark."""
    options = _options(arguments)
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed: it makes the load (apt-get install wrk).")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = cache / "policy-server" / "benchmarks"
    cache.mkdir(parents=True, exist_ok=True)
    others = [name for name in peers.BY_NAME if wanted(options.only, name, "peers")]
    if not loopback.entered():  # there, no package can be fetched
        for name in others:
            _tell(f"environment of {name}")
            peers.install(name, cache)
        if wanted(options.only, "engines"):
            engines.install()
    alone = loopback.enter(arguments)
    _tell(f"everything stays on {'loopback, in a network of its own' if alone else '127.0.0.1'}")
    refused = set() if alone else LOOPBACK_ONLY
    with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
        bench = Bench(
            options, cache, Path(folder), [one for one in others if one not in refused], _tell
        )
        with contextlib.closing(bench):
            bench.prepare()
            for name in refused & {*others}:
                bench.leave_out(name, "it needs a network of its own (unshare)")
            figures = bench.measure()
    tables = table.render_tables(figures)
    sys.stdout.write(f"{tables}\nRaw figures: {cache / FIGURES_FILE}\n")
    if options.output:
        table.put_into_page(tables, options.output)
        options.output.with_suffix(".svg").write_text(chart.draw(figures), encoding="utf-8")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    differing = [f"{name}-differing" for name in (FLOOR, *ours.DIFFERING)]
    names = [FLOOR, *differing, *GROUPS, *(name for name, *_ in ours.VARIANTS), *peers.BY_NAME]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        type=lambda text: text.split(","),
        help=f"what to measure, separated by commas: {', '.join(dict.fromkeys(names))}",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6, help="length of each run of wrk")
    parser.add_argument("--quick", action="store_true", help="one round of 1 s: does it all work?")
    parser.add_argument("--long", action="store_true", help="memory over 1,000,000 requests")
    parser.add_argument(
        "--output", type=Path, help="page to write to; where all is measured: docs/performance.md"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.only or ()) - set(names)
    if unknown:
        parser.error(f"not known: {', '.join(sorted(unknown))}")
    if options.rounds < 1 or options.seconds < 1:
        parser.error("at least one round of one second is wanted")
    if options.quick:
        options.rounds = options.seconds = 1
    elif not options.only:
        options.output = options.output or PAGE
    return options


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
