"""EPIC-Kitchens' tables (EPIC_100_train.csv): a verb and a noun for each instance."""

from sola.data.annotation_formats import table
from sola.data.annotation_formats.base import CLASS_KEY, Format, Source, VideoRecord, Videos

NEEDED = ("video_id", "start_timestamp", "stop_timestamp", "verb", "noun")


def read(source: Source) -> Videos:
    """Read verb and noun as one class, or the column that `label_key` names, such as verb; raises SolaError."""
    rows = table.rows_of(source)
    number, header = next(rows)
    names = [table.plain(cell) for cell in header]
    wanted = ["verb", "noun"] if source.label_key == CLASS_KEY else [table.plain(source.label_key)]
    missing = [name for name in (*NEEDED[:3], *wanted) if name not in names]
    if missing:
        raise source.bad(f"line {number}", f"the header has no column {missing[0]!r}; pick the class by --label-key")
    videos: Videos = {}
    for number, cells in rows:
        where = f"line {number}"
        if len(cells) != len(names):
            raise source.bad(where, f"has {len(cells)} cells; expected {len(names)}, as in the header")
        row = dict(zip(names, cells, strict=True))
        start, end = (source.number(where, row[name], name) for name in NEEDED[1:3])
        label = " ".join(row[name] for name in wanted)
        videos.setdefault(row["video_id"], VideoRecord()).instances.append(source.instance(where, start, end, label))
    return videos


FORMAT = Format(
    "epic-kitchens",
    "an EPIC-Kitchens table",
    lambda text: "narration_id" in text.partition("\n")[0] and "start_timestamp" in text.partition("\n")[0],
    read,
)
