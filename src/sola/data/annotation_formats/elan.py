"""ELAN documents (.eaf): annotations on tiers, one file per video."""

import datetime
import mimetypes
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as Xml

from sola.data.annotation_formats.base import (
    CLASS_KEY,
    Format,
    Source,
    VideoRecord,
    Videos,
    lanes,
    media_name,
    media_of,
)
from sola.data.annotation_formats.xml import parse, write_xml

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"


def read(source: Source) -> Videos:
    """Read the time-aligned tiers of one document, or only the tier named by `label_key`.

    The class is the value of an annotation, or the name of its tier if the value is empty. Raises SolaError for a
    malformed document or an unknown tier.
    """
    document = parse(source)
    slots = _slots(source, document)
    tiers = [tier for tier in document.iter("TIER") if tier.find("ANNOTATION/ALIGNABLE_ANNOTATION") is not None]
    names = [tier.get("TIER_ID", "") for tier in document.iter("TIER")]
    if source.label_key != CLASS_KEY:
        if source.label_key not in names:
            raise source.bad(f"tier {source.label_key!r}", f"does not exist; expected one of {', '.join(names)}")
        tiers = [tier for tier in tiers if tier.get("TIER_ID") == source.label_key]
    media = document.find("HEADER/MEDIA_DESCRIPTOR")
    url = "" if media is None else media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""
    video = source.video or (media_name(url.removeprefix("file:")) if url else source.path.stem)
    record = VideoRecord()
    for tier in tiers:
        name = tier.get("TIER_ID", "")
        for annotation in tier.iter("ALIGNABLE_ANNOTATION"):
            where = f"tier {name!r}, annotation {annotation.get('ANNOTATION_ID')!r}"
            ends = [annotation.get(f"TIME_SLOT_REF{end}", "") for end in (1, 2)]
            unknown = next((slot for slot in ends if slot not in slots), None)
            if unknown is not None:
                raise source.bad(where, f"refers to the time slot {unknown!r}, which does not exist")
            label = (annotation.findtext("ANNOTATION_VALUE") or "").strip() or name
            record.instances.append(source.instance(where, slots[ends[0]], slots[ends[1]], label))
    record.instances.sort(key=lambda instance: (instance.start, instance.end))
    return {video: record}


def _slots(source: Source, document: Xml.Element) -> dict[str, float]:
    """Return the time of each slot (seconds). Slots without a time are spaced evenly between neighbors, as in ELAN."""
    slots: dict[str, float] = {}
    waiting: list[str] = []
    last = 0.0
    for slot in document.iter("TIME_SLOT"):
        name, value = slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")
        waiting.append(name)
        if value is not None:
            time = source.number(f"time slot {name!r}", value, "its time") / 1000
            for position, waiting_slot in enumerate(waiting, 1):
                slots[waiting_slot] = last + (time - last) * position / len(waiting)
            waiting, last = [], time
    return slots | dict.fromkeys(waiting, last)


def write(videos: Videos, path: Path, fps: float | None = None) -> None:
    """Write the instances of one video with one tier per class, in milliseconds."""
    ((video, record),) = videos.items()
    schema = {"xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "xsi:noNamespaceSchemaLocation": SCHEMA}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    root = Xml.Element(
        "ANNOTATION_DOCUMENT", {"AUTHOR": "sola", "DATE": now, "FORMAT": "3.0", "VERSION": "3.0"} | schema
    )
    header = Xml.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    media = media_of(video, record)
    if "://" in media:
        addresses = {"MEDIA_URL": media}
    else:
        addresses = {"MEDIA_URL": f"file:///{quote(media.lstrip('/'))}"}
        if not media.startswith("/"):
            addresses["RELATIVE_MEDIA_URL"] = f"./{quote(media)}"
    mime_type = mimetypes.guess_type(media)[0] or "video/mp4"
    Xml.SubElement(header, "MEDIA_DESCRIPTOR", {"MIME_TYPE": mime_type} | addresses)
    order = Xml.SubElement(root, "TIME_ORDER")
    tiers: dict[str, Xml.Element] = {}
    for number, (instance, lane) in enumerate(lanes(record.instances)):  # annotations of a tier must not overlap
        name = instance.label if lane == 1 else f"{instance.label} ({lane})"
        if name not in tiers:
            tiers[name] = Xml.SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": name})
        refs = {}
        for end, time in enumerate((instance.start, instance.end), 1):
            refs[f"TIME_SLOT_REF{end}"] = slot = f"ts{2 * number + end}"
            value = str(max(round(time * 1000), 0))
            Xml.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": value})
        annotation = Xml.SubElement(Xml.SubElement(tiers[name], "ANNOTATION"), "ALIGNABLE_ANNOTATION")
        annotation.attrib = {"ANNOTATION_ID": f"a{number + 1}"} | refs
        Xml.SubElement(annotation, "ANNOTATION_VALUE").text = instance.label
    order[:] = sorted(order, key=lambda slot: int(slot.get("TIME_VALUE", "0")))
    linguistic_type = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"}
    Xml.SubElement(root, "LINGUISTIC_TYPE", linguistic_type)
    write_xml(root, path)


FORMAT = Format("elan", lambda text: "<ANNOTATION_DOCUMENT" in text, read, write, suffix=".eaf", by_video=True)
