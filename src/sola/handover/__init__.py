"""Features, annotations and detections as other tools read them: ActionFormer, OpenTAD, FiftyOne."""

from sola.handover.clock import Clock, common_clock
from sola.handover.folder import HandedOver, write_handover
from sola.handover.temporal_detections import VideoFrames, to_fiftyone

__all__ = ["Clock", "HandedOver", "VideoFrames", "common_clock", "to_fiftyone", "write_handover"]
