"""Fuzz one reader: `python -m tests.fuzz.run TARGET CASES SEED`.

libFuzzer (through Atheris) mutates sound files, and goes on from what reaches new branches. It ends
with another status than 0 at the first finding, and writes the case beside the findings. The last
line says how many cases were taken, and how many were refused.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp

import atheris

from tests.fuzz.target import MOST_MEGABYTES, MOST_SECONDS

with atheris.instrument_imports(include=["policy_server", "yaml"]):
    from tests.fuzz.readers import TARGETS


def main() -> None:
    """Fuzz the target that the command line names."""
    name, cases, seed = sys.argv[1:]
    target = TARGETS[name]
    folder = Path(mkdtemp(prefix=f"fuzz-{name}-"))
    words = [f'"{word.replace(chr(34), "")}"' for word in target.words]
    (folder / "words").write_text("\n".join(words) + "\n", encoding="utf-8")
    (folder / "seeds").mkdir()
    for number, content in target.seeds.items():
        (folder / "seeds" / number).write_bytes(content)
    counts: Counter[str] = Counter()

    def one(content: bytes) -> None:
        counts["taken" if target.read(content) else "refused"] += 1
        if counts.total() == int(cases):
            print(json.dumps({"target": name, **counts}), flush=True)

    options = [f"-runs={cases}", f"-seed={seed}", f"-max_len={target.most_bytes}"]
    options += [f"-timeout={MOST_SECONDS}", f"-rss_limit_mb={MOST_MEGABYTES}", "-verbosity=0"]
    options += [f"-dict={folder / 'words'}", f"-artifact_prefix={folder}/", str(folder / "seeds")]
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
