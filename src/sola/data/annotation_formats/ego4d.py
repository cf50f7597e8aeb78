"""Ego4D moments (moments_train.json): primary labels of clips, which are the videos of the benchmark."""

import msgspec

from sola.data.annotation_formats.base import Format, Source, VideoRecord, Videos


class _Label(msgspec.Struct):
    label: str
    start_time: float
    end_time: float
    primary: bool = True


class _Annotation(msgspec.Struct):
    labels: list[_Label]


class _Clip(msgspec.Struct):
    clip_uid: str
    video_start_sec: float
    video_end_sec: float
    annotations: list[_Annotation] | None = None


class _Video(msgspec.Struct):
    clips: list[_Clip]
    split: str | None = None


class _File(msgspec.Struct):
    videos: list[_Video]


def read(source: Source) -> Videos:
    """Read clips by uid with the primary labels of all annotators. Raises SolaError for a malformed file."""
    videos: Videos = {}
    file: _File = source.decode(_File)
    for video in file.videos:
        for clip in video.clips:
            duration = clip.video_end_sec - clip.video_start_sec
            record = VideoRecord(subset=video.split, duration=duration, annotated=clip.annotations is not None)
            record.instances = [
                source.instance(f"clip {clip.clip_uid!r}", label.start_time, label.end_time, label.label)
                for annotation in clip.annotations or []
                for label in annotation.labels
                if label.primary
            ]
            videos[clip.clip_uid] = record
    return videos


FORMAT = Format("ego4d", lambda text: '"clip_uid"' in text and '"videos"' in text, read)
