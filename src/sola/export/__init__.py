"""Export of features, annotations and detections to ActionFormer, OpenTAD and FiftyOne."""

from sola.export.clock import Clock, common_clock
from sola.export.fiftyone import VideoFrames, to_fiftyone
from sola.export.opentad_actionformer import HandedOver, write_handover

__all__ = ["Clock", "HandedOver", "VideoFrames", "common_clock", "to_fiftyone", "write_handover"]
