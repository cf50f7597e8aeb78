"""EPIC-Kitchens tables (EPIC_100_train.csv): a verb and a noun per instance."""

from sola.data.annotation_formats import table
from sola.data.annotation_formats.base import CLASS_KEY, Format, Source, VideoRecord, Videos

SUBSETS = {"train": "training", "validation": "validation"}
"""Subset of all videos of a table, by the last word of the published file name, such as EPIC_100_train.csv."""
NEEDED = ("video_id", "start_timestamp", "stop_timestamp")


def read(source: Source) -> Videos:
    """Read verb and noun as one class, or the columns named by `label_key`.

    `label_key` may be one column, such as "verb", or several: "verb_class,noun_class" gives classes such as "3,12".
    The file name gives the subset: `EPIC_100_train.csv` is `training`, `EPIC_100_validation.csv` is `validation`.
    Raises SolaError for a missing column or a malformed cell.
    """
    keyed = source.label_key != CLASS_KEY
    wanted = list(map(table.plain, source.label_key.split(","))) if keyed else ["verb", "noun"]
    rows = table.named_rows(source, table.rows_of(source), (*NEEDED, *wanted), "pick the class column with --label-key")
    subset = SUBSETS.get(source.path.stem.rpartition("_")[2])
    videos: Videos = {}
    for where, row in rows:
        start, end = (source.number(where, row[name], name) for name in NEEDED[1:])
        label = ("," if keyed else " ").join(row[name] for name in wanted)
        record = videos.setdefault(row["video_id"], VideoRecord(subset=subset))
        record.instances.append(source.instance(where, start, end, label))
    return videos


FORMAT = Format(
    "epic-kitchens",
    lambda text: "narration_id" in text.partition("\n")[0] and "start_timestamp" in text.partition("\n")[0],
    read,
)
