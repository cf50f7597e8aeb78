"""Fuzz a reader. Any exception except SolaError is a bug, and so is a crash, a hang or excessive memory.

    python tests/support/fuzzing/fuzz_reader.py READER FOLDER [-runs=N] [-seed=N] [libFuzzer's other options]
    python tests/support/fuzzing/fuzz_reader.py                                    # list the readers

Starting from valid files, atheris changes bytes (in JSON mostly whole values) and keeps inputs that reach new lines of
the readers of sola and NumPy. FOLDER holds the corpus and the file that is read; a folder in memory (/dev/shm) is
fastest. `tests/system/test_fuzzing.py` runs every reader on a few changed files. docs/guides/safety.md reports how long
the readers have been fuzzed.
"""

import json
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))  # needed when called as a script

from support.fuzzing.mutation import values_changed

with atheris.instrument_imports(include=["sola", "numpy.lib.format", "zipfile"]):
    from support.fuzzing.readers import READERS, is_read

COUNTED = 500
"""Number of inputs between updates of FOLDER/READER.json, which counts read and refused inputs."""


def main() -> None:
    if len(sys.argv) < 3:
        print(*READERS)
        return
    reader, folder = sys.argv[1], Path(sys.argv[2])
    name, read, seeds = READERS[reader]
    corpus, place = folder / reader, folder / f"{reader}-file"
    for directory in (corpus, place):
        directory.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed{number}").write_bytes(seed)
    counts = {True: 0, False: 0}

    def read_and_count(data: bytes) -> None:
        counts[is_read(read, place / name, data)] += 1
        if sum(counts.values()) % COUNTED == 0:  # libFuzzer exits without returning to Python
            (folder / f"{reader}.json").write_text(json.dumps({"read": counts[True], "refused": counts[False]}))

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        """Change bytes of a quarter of the documents and values of the others, mostly starting from valid files."""
        document = seeds[seed % len(seeds)] if seed % 3 else data
        changed = values_changed(document, max_size, seed) if seed % 4 else None
        return atheris.Mutate(data, len(data)) if changed is None else changed

    options = {"custom_mutator": mutator} if name.endswith((".json", ".jsonl")) else {}
    atheris.Setup([sys.argv[0], *sys.argv[3:], str(corpus)], read_and_count, **options)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
