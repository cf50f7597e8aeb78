"""Configuration files for training ActionFormer and OpenTAD on exported data."""

import json
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

FEATURES, ANNOTATIONS, CLASSES = "features", "annotations.json", "category_idx.txt"
"""Names of the exported files."""
LEVELS, ATTENTION = 6, 19
"""Pyramid levels and attention window in ActionFormer's configurations for THUMOS14 and EPIC-Kitchens."""
MULTIPLE = (1 << (LEVELS - 1)) * (ATTENTION // 2) * 2
"""ActionFormer's max_seq_len must be a multiple of this number, 576."""
LONGEST = 4 * MULTIPLE
"""Maximum length of a training clip (snippets): 2304, as in those configurations."""
BUFFER = 6
"""ActionFormer's default of max_buffer_len_factor, the maximum video length divided by max_seq_len."""


@dataclass(frozen=True)
class ExportedData:
    """Values used in both configurations."""

    folder: Path
    """Folder of the exported files."""
    channels: int
    classes: int
    stride: int
    first: int
    """Center of the first snippet (frames); see `Clock.first`."""
    longest: int
    """Length of the longest video (snippets)."""
    train_subset: str
    test_subset: str

    @property
    def clip_length(self) -> int:
        """Length of a training clip (snippets): the length of the longest video, up to `LONGEST`."""
        return min(_multiple(self.longest), LONGEST)


def actionformer_yaml(data: ExportedData) -> str:
    """Return an ActionFormer configuration with the data set and the network settings that depend on it.

    Subset names are in lower case, because ActionFormer compares them in lower case.
    """
    factor = max(BUFFER, -(-_multiple(data.longest) // data.clip_length))
    return f"""\
# For ActionFormer (libs/datasets/anet.py): python train.py THIS_FILE --output NAME
# All other options have their defaults (libs/core/config.py).
dataset_name: anet  # mAP at tIoU 0.5:0.05:0.95; thumos reads the same files and evaluates at 0.3:0.1:0.7
train_split: [{_quoted(data.train_subset.lower())}]
val_split: [{_quoted(data.test_subset.lower())}]
dataset:
  json_file: {_quoted(data.folder / ANNOTATIONS)}
  feat_folder: {_quoted(data.folder / FEATURES)}
  file_prefix: null  # file names are the annotated ids
  file_ext: .npy
  num_classes: {data.classes}
  input_dim: {data.channels}
  # snippet i is centered at (i * feat_stride + num_frames / 2) / fps seconds
  feat_stride: {data.stride}
  num_frames: {2 * data.first}
  default_fps: null  # per video, from json_file
  downsample_rate: 1
  trunc_thresh: 0.5
  crop_ratio: [0.9, 1.0]
  max_seq_len: {data.clip_length}  # longest video: {data.longest} snippets
  force_upsampling: false  # upsampling would shift snippets in time
model:
  n_mha_win_size: {ATTENTION}
  max_buffer_len_factor: {factor}.0
output_folder: ./ckpt/
"""


def opentad_py(data: ExportedData) -> str:
    """Return an OpenTAD data set file, for `_base_` of its configurations."""
    return f"""\
# For OpenTAD (opentad/datasets/anet.py): replace the data set in _base_ with this file, and set in the model
#   projection: in_channels={data.channels}, max_seq_len={data.clip_length}; rpn_head: num_classes={data.classes}
# Videos differ in length, so set batch_size=1 in solver.val and solver.test.
annotation_path = {_quoted(data.folder / ANNOTATIONS)}
class_map = {_quoted(data.folder / CLASSES)}
data_path = {_quoted(data.folder / FEATURES)}
trunc_len = {data.clip_length}  # longest video: {data.longest} snippets

dataset = dict(
{"".join(_data_set(data, part) for part in ("train", "val", "test"))})

evaluation = dict(
    type="mAP",
    subset={_quoted(data.test_subset)},
    tiou_thresholds=[0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95],
    ground_truth_filename=annotation_path,
)
"""


def _data_set(data: ExportedData, part: str) -> str:
    """Return the `train`, `val` or `test` argument of `dataset`."""
    subset = data.train_subset if part == "train" else data.test_subset
    instances = "" if part == "test" else ', "gt_segments", "gt_labels"'
    crop = '\n    dict(type="RandomTrunc", trunc_len=trunc_len, trunc_thresh=0.5, crop_ratio=[0.9, 1.0]),'
    lines = f"""\
type="AnetPaddingDataset",
ann_file=annotation_path,
subset_name=[{_quoted(subset)}],  # a list, since a string would also match substrings
class_map=class_map,
data_path=data_path,
filter_gt={part != "test"},
test_mode={part == "test"},
class_agnostic=False,
# snippet i is centered at (i * feature_stride * sample_stride + offset_frames) / fps seconds
feature_stride={data.stride},
sample_stride=1,
offset_frames={data.first},
fps=-1,  # per video: frame / duration in annotation_path
pipeline=[
    dict(type="LoadFeats", feat_format="npy"),
    dict(type="ConvertToTensor", keys=["feats"{instances}]),{crop if part == "train" else ""}
    dict(type="Rearrange", keys=["feats"], ops="t c -> c t"),
    dict(type="Collect", inputs="feats", keys=["masks"{instances}]),
],"""
    return f"    {part}=dict(\n{indent(lines, ' ' * 8)}\n    ),\n"


def _quoted(text: str | Path) -> str:
    """Return a JSON string, which is also valid in YAML and Python."""
    return json.dumps(str(text), ensure_ascii=False)


def _multiple(snippets: int) -> int:
    """Round up to a multiple of `MULTIPLE`."""
    return -(-snippets // MULTIPLE) * MULTIPLE
