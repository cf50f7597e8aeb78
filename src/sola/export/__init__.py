"""Export to ActionFormer and OpenTAD (features and annotations) and to FiftyOne (detections)."""

from sola.export.clock import Clock, common_clock
from sola.export.fiftyone import VideoFrames, to_fiftyone
from sola.export.opentad_actionformer import ExportedDataset, export_dataset

__all__ = ["Clock", "ExportedDataset", "VideoFrames", "common_clock", "export_dataset", "to_fiftyone"]
