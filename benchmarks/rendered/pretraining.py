"""Train the clip network on trimmed clips, in which every frame shows the action, and write its weights.

cd benchmarks && python -m rendered.pretraining OUT.safetensors [--work FOLDER] [--seed 0]

Renders 1,600 training clips of half of the classes at the two lower levels, and 480 test clips of these classes (other
people, views and rooms) at all three levels, and prints the test accuracy. Training on all classes and levels would
make the benchmark too easy: at the highest level with long actions, raw features had a ROC-AUC of .92, and moving
averages .98. Clips in the work folder are reused; clear it after changes to the renderer. The same seed on the same
machine gives the same file. Other processors round differently and give other weights with similar accuracy.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from safetensors.torch import save_file
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR

from rendered.clip_network import SIDE, WINDOW, ClipNetwork
from rendered.trimmed import KNOWN, Clip, clips, known
from rendered.video import LEVELS
from sola.core.files import replacing

CLIPS, OTHERS = 4800, 960
"""Numbers of training and test clips, before the selection of known classes and levels. Multiples of classes × levels,
so that all combinations are equally frequent."""
FRAMES = 24
"""Frames per clip (3 seconds); training uses random windows of them."""
RATE = 8.0
"""Frames per second."""
EPOCHS, BATCH, PEAK, DECAY = 24, 32, 2e-3, 0.02
"""Epochs, batch size, maximum learning rate, weight decay (AdamW)."""
SMOOTHING = 0.1
"""Label smoothing, because a window of one second may show a pose that several classes share."""

Clips = UInt8[np.ndarray, "clips frames height width 3"]


def drawn(clips: Sequence[Clip], path: Path, frames: int = FRAMES) -> tuple[Clips, Int64[np.ndarray, " clips"]]:
    """Return trimmed clips, memory-mapped from a file, and their labels (indices into `KNOWN`).

    Renders the clips if the file does not exist. Raises SolaError if it cannot be written.
    """
    if not path.is_file():
        with replacing(path) as aside:
            pictures = np.lib.format.open_memmap(aside, "w+", np.uint8, (len(clips), frames, SIDE, SIDE, 3))
            for index, clip in enumerate(clips):
                pictures[index] = clip.frames(frames, RATE, (SIDE, SIDE))
            pictures.flush()
    return np.load(path, mmap_mode="r"), np.array([KNOWN.index(clip.what) for clip in clips])


def augmented(
    clips: UInt8[np.ndarray, "batch frames height width 3"], generator: np.random.Generator
) -> Float32[np.ndarray, "batch window height width 3"]:
    """Return a random window of each clip, with random mirroring, brightness, contrast and tint."""
    count, frames = clips.shape[:2]
    begin = generator.integers(frames - WINDOW + 1, size=count)
    windows = np.stack([clip[first : first + WINDOW] for clip, first in zip(clips, begin, strict=True)])
    mirrored = generator.random(count) < 0.5
    windows[mirrored] = windows[mirrored, :, :, ::-1]
    per_clip = (count, 1, 1, 1, 1)
    contrast = generator.uniform(0.75, 1.25, per_clip) * generator.uniform(0.9, 1.1, (count, 1, 1, 1, 3))
    shift = generator.uniform(-30, 30, per_clip)
    changed = windows.astype(np.float32)
    changed *= contrast.astype(np.float32)
    changed += (shift + 127.5 * (1 - contrast)).astype(np.float32)
    return np.clip(changed, 0, 255, out=changed)


def trained(
    clips: Clips, labels: Int64[np.ndarray, " clips"], seed: int = 0, epochs: int = EPOCHS, batch: int = BATCH
) -> ClipNetwork:
    """Train a network on windows of clips. Deterministic for a seed on one machine with a fixed number of threads."""
    generator = np.random.default_rng((seed, 2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ClipNetwork(len(KNOWN)).train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK, weight_decay=DECAY)
        steps = len(clips) // batch
        schedule = OneCycleLR(optimizer, PEAK, total_steps=epochs * steps)
        # twice as fast on processors with native bfloat16, slower on others
        brief = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        for epoch in range(epochs):
            began, losses = time.monotonic(), 0.0
            order = generator.permutation(len(clips))[: steps * batch].reshape(steps, batch)
            for chosen in order:
                windows = torch.from_numpy(augmented(clips[chosen], generator))
                with torch.autocast("cpu", torch.bfloat16, enabled=brief):
                    scores = network(windows)
                loss = F.cross_entropy(scores.float(), torch.from_numpy(labels[chosen]), label_smoothing=SMOOTHING)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses += loss.item()
            print(
                f"epoch {epoch + 1}/{epochs}: loss {losses / steps:.3f}, {time.monotonic() - began:.0f} s", flush=True
            )
    return network


@torch.inference_mode()
def recognized(network: ClipNetwork, clips: Clips, labels: Int64[np.ndarray, " clips"]) -> float:
    """Return the share of clips whose central window is classified correctly."""
    network.eval()
    begin = (clips.shape[1] - WINDOW) // 2
    windows = clips[:, begin : begin + WINDOW]
    guesses = [network(torch.from_numpy(np.array(windows[at : at + BATCH]))) for at in range(0, len(clips), BATCH)]
    return float((torch.cat(guesses).argmax(dim=1).numpy() == labels).mean())


def write(network: ClipNetwork, path: Path) -> None:
    """Write the weights atomically. Raises SolaError if they cannot be written."""
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    with replacing(path) as aside:
        save_file(weights, aside)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--work", type=Path, help="folder for the clips (0.6 GB); temporary by default")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)  # deterministic order of summation
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        work = given.work or Path(folder)
        write_encoder(given.out, work, given.seed)


def write_encoder(path: Path, work: Path, seed: int = 0) -> None:
    """Render the clips in the folder `work`, then train, test and write the network."""
    network = trained(*drawn(known(clips(CLIPS, seed)), work / f"clips-{seed}.npy"), seed=seed)
    for level in LEVELS:
        others = known(clips(OTHERS, seed + 1), (level,))
        share = recognized(network, *drawn(others, work / f"others-{seed}-level-{level}.npy"))
        print(f"level {level}: {share:.1%} of test clips classified correctly")
    write(network, path)


if __name__ == "__main__":
    main()
