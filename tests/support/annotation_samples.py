"""A realistic sample file per annotation format, with its expected instances (start, end, class) in seconds."""
# ruff: noqa: E501

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Sample(NamedTuple):
    """A sample file and the annotations expected from it."""

    name: str
    text: str
    expected: dict[str, list[tuple[float, float, str]]]
    options: Mapping[str, Any] = MappingProxyType({})
    durations: Mapping[str, float] = MappingProxyType({})


TABLE = """Video ID,Start (s),End (s),Label,Subset
cam_1.mp4,00:00:01.500,00:00:03.25,"jump, high",training
cam_1.mp4,7,9.5,fall,training
cam_2.mp4,,,,validation
"""

# header and first rows of EPIC_100_train.csv from the repository epic-kitchens-100-annotations
EPIC = """narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes
P01_01_0,P01,P01_01,00:00:01.089,00:00:00.14,00:00:03.37,8,202,open door,open,3,door,3,['door'],[3]
P01_01_1,P01,P01_01,00:00:02.629,00:00:04.37,00:00:06.17,262,370,turn on light,turn-on,6,light,114,['light'],[114]
"""

# BORIS 8.27, project format 7.0, as saved by its observation window
BORIS = json.dumps(
    {
        "time_format": "hh:mm:ss",
        "project_date": "2026-03-01T10:00:00",
        "project_name": "falls",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {"0": {"key": "s", "name": "anna", "description": ""}},
        "behaviors_conf": {
            "0": {"type": "State event", "key": "w", "code": "walk", "description": "", "color": "", "category": "",
                  "modifiers": {}, "excluded": "", "coding map": ""},
            "1": {"type": "Point event", "key": "t", "code": "turn", "description": "", "color": "", "category": "",
                  "modifiers": {}, "excluded": "", "coding map": ""},
        },
        "observations": {
            "first": {
                "file": {"1": ["/home/anna/cam_1.mp4"], "2": [], "3": [], "4": [], "5": [], "6": [], "7": [], "8": []},
                "type": "MEDIA",
                "date": "2026-03-01T10:05:00",
                "description": "",
                "time offset": 0,
                "events": [
                    [1.5, "anna", "walk", "", "", 37],
                    [2.0, "bert", "walk", "fast|left", "", 50],
                    [3.25, "anna", "walk", "", "", 81],
                    [4.0, "anna", "turn", "", "here", 100],
                    [6.5, "bert", "walk", "fast|left", "", 162],
                ],
                "observation time interval": [0, 0],
                "independent_variables": {},
                "visualize_spectrogram": False,
                "visualize_waveform": False,
                "media_info": {
                    "length": {"/home/anna/cam_1.mp4": 20.0},
                    "fps": {"/home/anna/cam_1.mp4": 25.0},
                    "hasVideo": {"/home/anna/cam_1.mp4": True},
                    "hasAudio": {"/home/anna/cam_1.mp4": False},
                    "offset": {"1": 0.0},
                },
            },
            "in turn": {
                "file": {"1": ["a.mp4", "b.mp4"], "2": []},
                "type": "MEDIA",
                "events": [[8.0, "", "walk", "", ""], [9.0, "", "walk", "", ""], [11.0, "", "walk", "", ""],
                           [12.5, "", "walk", "", ""]],
                "media_info": {"length": {"a.mp4": 10.0, "b.mp4": 5.0}, "fps": {"a.mp4": 25.0, "b.mp4": 25.0}},
            },
            "live": {"file": {}, "type": "LIVE", "events": [], "time offset": 0},
        },
    }
)  # fmt: skip

# BORIS 8.27, "Export events", tabular
BORIS_TABULAR = """Observation id\tObservation date\tDescription\tObservation duration\tObservation type\tSource\tTime offset (s)\tMedia duration (s)\tFPS\tSubject\tBehavior\tBehavioral category\tModifier #1\tBehavior type\tTime\tMedia file name\tImage index\tImage file path\tComment
first\t2026-03-01 10:05:00\t\t20.0\tMedia file(s)\tplayer #1:/home/anna/cam_1.mp4\t0\t20.0\t25.0\tanna\twalk\t\t\tSTART\t1.5\t/home/anna/cam_1.mp4\t37\tNA\t
first\t2026-03-01 10:05:00\t\t20.0\tMedia file(s)\tplayer #1:/home/anna/cam_1.mp4\t0\t20.0\t25.0\tanna\twalk\t\t\tSTOP\t3.25\t/home/anna/cam_1.mp4\t81\tNA\t
first\t2026-03-01 10:05:00\t\t20.0\tMedia file(s)\tplayer #1:/home/anna/cam_1.mp4\t0\t20.0\t25.0\tanna\tturn\t\t\tPOINT\t4.0\t/home/anna/cam_1.mp4\t100\tNA\there
"""

# BORIS 8.27, "Export aggregated events"
BORIS_AGGREGATED = """Observation id,Observation date,Description,Observation type,Source,Time offset (s),Coding duration,Media duration (s),FPS (frame/s),Subject,Observation duration by subject by observation,Behavior,Behavioral category,Modifier #1,Behavior type,Start (s),Stop (s),Duration (s),Media file name,Image index start,Image index stop,Image file path start,Image file path stop,Comment start,Comment stop
first,2026-03-01 10:05:00,,Media file(s),player #1:cam_1.mp4,0,20.0,20.0,25.0,anna,20.0,walk,,,STATE,1.5,3.25,1.75,cam_1.mp4,37,81,NA,NA,,
first,2026-03-01 10:05:00,,Media file(s),player #1:cam_1.mp4,0,20.0,20.0,25.0,anna,20.0,turn,,,POINT,4.0,4.0,NA,cam_1.mp4,100,100,NA,NA,here,
"""

# ELAN 6, EAF 3.0: two time-aligned tiers, a tier that refers to the first, and a time slot without a value
ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-03-01T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
    <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/anna/cam%201.mp4" MIME_TYPE="video/mp4" RELATIVE_MEDIA_URL="./cam%201.mp4"/>
    <PROPERTY NAME="lastUsedAnnotationId">5</PROPERTY>
  </HEADER>
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1500"/>
    <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="3000"/>
    <TIME_SLOT TIME_SLOT_ID="ts3"/>
    <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="5000"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="body">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>jump</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3"><ANNOTATION_VALUE>land</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="clap">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4"><ANNOTATION_VALUE></ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="note" PARENT_REF="body" TIER_ID="notes">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a1"><ANNOTATION_VALUE>unsure</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  </TIER>
  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
  <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="note" TIME_ALIGNABLE="false"/>
</ANNOTATION_DOCUMENT>
"""

# Label Studio 1.23, template "Video timeline segmentation", export JSON
LABEL_STUDIO = json.dumps(
    [
        {
            "id": 1,
            "annotations": [
                {"id": 1, "completed_by": 1, "result": [], "was_cancelled": True, "ground_truth": False},
                {
                    "id": 2,
                    "completed_by": 1,
                    "result": [
                        {"value": {"ranges": [{"start": 26, "end": 50}], "timelinelabels": ["jump"]}, "id": "a1b2",
                         "from_name": "timelineLabels", "to_name": "video", "type": "timelinelabels",
                         "origin": "manual"},
                        {"value": {"choices": ["good"]}, "id": "c3", "from_name": "quality", "to_name": "video",
                         "type": "choices", "origin": "manual"},
                    ],
                    "was_cancelled": False,
                    "ground_truth": False,
                    "created_at": "2026-03-01T10:00:00.000000Z",
                    "lead_time": 12.3,
                    "prediction": {},
                    "task": 1,
                },
            ],
            "file_upload": "0f1e2d3c-cam_1.mp4",
            "drafts": [],
            "predictions": [],
            "data": {"video": "/data/upload/1/0f1e2d3c-cam_1.mp4"},
            "meta": {},
            "project": 1,
        },
        {"id": 2, "annotations": [], "predictions": [], "data": {"video": "/data/upload/1/11223344-cam_2.mp4"}},
        {"id": 3, "annotations": [{"id": 3, "result": [], "was_cancelled": False}], "predictions": [],
         "data": {"video": "s3://bucket/day/cam_3.mp4"}},
    ]
)  # fmt: skip

# the same project exported as JSON_MIN, and an audio file with regions in seconds
LABEL_STUDIO_MIN = json.dumps(
    [
        {"video": "/data/upload/1/0f1e2d3c-cam_1.mp4", "id": 1,
         "timelineLabels": [{"ranges": [{"start": 26, "end": 50}], "timelinelabels": ["jump"]}],
         "annotator": 1, "annotation_id": 2, "created_at": "2026-03-01T10:00:00Z", "lead_time": 12.3},
        {"audio": "/data/upload/1/cam_2.wav", "id": 2, "annotator": 1, "annotation_id": 3,
         "label": [{"start": 0.5, "end": 2.25, "channel": 0, "labels": ["speech"]}]},
    ]
)  # fmt: skip

# CVAT 2, "CVAT for video 1.1": a track that ends, reappears and ends again, and a track up to the last frame
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id><name>falls</name><size>100</size><mode>interpolation</mode><overlap>5</overlap>
      <start_frame>0</start_frame><stop_frame>99</stop_frame><frame_filter></frame_filter>
      <labels><label><name>jump</name><color>#66ff66</color><type>any</type><attributes></attributes></label></labels>
      <original_size><width>320</width><height>240</height></original_size>
      <source>cam_1.mp4</source>
    </task>
    <dumped>2026-03-01 10:00:00+00:00</dumped>
  </meta>
  <track id="0" label="jump" source="manual">
    <box frame="25" keyframe="1" outside="0" occluded="0" xtl="10.0" ytl="10.0" xbr="90.0" ybr="90.0" z_order="0"></box>
    <box frame="26" keyframe="0" outside="0" occluded="0" xtl="10.0" ytl="10.0" xbr="90.0" ybr="90.0" z_order="0"></box>
    <box frame="50" keyframe="1" outside="1" occluded="0" xtl="10.0" ytl="10.0" xbr="90.0" ybr="90.0" z_order="0"></box>
    <box frame="60" keyframe="1" outside="0" occluded="0" xtl="10.0" ytl="10.0" xbr="90.0" ybr="90.0" z_order="0"></box>
    <box frame="70" keyframe="1" outside="1" occluded="0" xtl="10.0" ytl="10.0" xbr="90.0" ybr="90.0" z_order="0"></box>
  </track>
  <track id="1" label="fall" source="manual">
    <box frame="75" keyframe="1" outside="0" occluded="0" xtl="10.0" ytl="10.0" xbr="90.0" ybr="90.0" z_order="0"></box>
  </track>
</annotations>
"""

# CVAT 2, "CVAT for images 1.1": frame tags
CVAT_TAGS = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>7</id><name>falls</name><size>100</size><mode>interpolation</mode><source>cam_1.mp4</source></task></meta>
  <image id="25" name="frame_000025" width="320" height="240"><tag label="jump" source="manual"></tag></image>
  <image id="26" name="frame_000026" width="320" height="240"><tag label="jump" source="manual"></tag></image>
  <image id="50" name="frame_000050" width="320" height="240"><tag label="jump" source="manual"></tag></image>
</annotations>
"""

# VIA 3.0.13, video annotator, saved project
VIA = json.dumps(
    {
        "project": {"pid": "__VIA_PROJECT_ID__", "rev": "__VIA_PROJECT_REV_ID__", "rev_timestamp": "",
                    "pname": "falls", "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
                    "created": 1772359200000, "vid_list": ["1"]},
        "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
        "attribute": {"1": {"aname": "TEMPORAL-SEGMENTS", "anchor_id": "FILE1_Z2_XY0", "type": 4, "desc": "",
                            "options": {"0": "jump", "1": "fall"}, "default_option_id": ""},
                      "2": {"aname": "place", "anchor_id": "FILE1_Z2_XY0", "type": 1, "desc": "", "options": {},
                            "default_option_id": ""}},
        "file": {"1": {"fid": "1", "fname": "cam_1.mp4", "type": 4, "loc": 1, "src": ""}},
        "metadata": {"1_aB": {"vid": "1", "flg": 0, "z": [1.5, 3.25], "xy": [], "av": {"1": "0", "2": "room"}},
                     "1_cD": {"vid": "1", "flg": 0, "z": [4.0], "xy": [2, 10, 10, 50, 50], "av": {"1": "1"}}},
        "view": {"1": {"fid_list": ["1"]}},
    }
)  # fmt: skip

# VIA 3.0.13, exported as CSV
VIA_TABLE = """# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)
# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata
"1_aB","[""cam_1.mp4""]",0,"[1.5,3.25]","[]","{""TEMPORAL-SEGMENTS"":""jump""}"
"""

# Ego4D v2, moments_train.json
EGO4D = json.dumps(
    {
        "version": "v2", "date": "221216", "description": "moments", "manifest": "",
        "videos": [{"video_uid": "v", "split": "train", "clips": [
            {"clip_uid": "c-1", "video_start_sec": 100.0, "video_end_sec": 580.0, "annotations": [
                {"annotator_uid": "x", "labels": [
                    {"primary": True, "label": "wash_dishes", "start_time": 1.5, "end_time": 3.25,
                     "video_start_time": 101.5, "video_end_time": 103.25, "video_start_frame": 3045,
                     "video_end_frame": 3097},
                    {"primary": False, "label": "look_around", "start_time": 5.0, "end_time": 6.0,
                     "video_start_time": 105.0, "video_end_time": 106.0}]}]},
            {"clip_uid": "c-2", "video_start_sec": 0.0, "video_end_sec": 480.0}]}],
    }
)  # fmt: skip

ACTIVITYNET = json.dumps(
    {"database": {"cam_1": {"subset": "training", "duration": 20, "annotations": [
        {"segment": [1.5, 3.25], "label": "jump"}]}}}
)  # fmt: skip

ACTION_LISTS = """{"7UPGT": {"subset": "training", "duration": 23.21, "actions": [[149, 16.0, 22.2], [15, 5, 3.5]]},
"82990": {"subset": "testing", "duration": 16.5, "actions": []}}"""

JUMP = {"cam_1": [(1.5, 3.25, "jump")]}

SAMPLES = [
    Sample(
        "table.csv",
        TABLE,
        {"cam_1": [(1.5, 3.25, "jump, high"), (7, 9.5, "fall")], "cam_2": []},
    ),
    Sample("bare.tsv", "cam_1\t1.5\t3.25\tjump\n", JUMP),
    Sample("frames.csv", "file;action;start_frame;end_frame;fps\ncam_1.mp4;jump;45;97.5;30\n", JUMP),
    Sample("rate.csv", "video,start_frame,end_frame,label\ncam_1,45,97.5,jump\n", JUMP, {"fps": 30.0}),
    Sample("lone.csv", "begin,end,label\n1.5,3.25,jump\n", JUMP, {"video": "cam_1"}),
    Sample("EPIC_100_train.csv", EPIC, {"P01_01": [(0.14, 3.37, "open door"), (4.37, 6.17, "turn-on light")]}),
    Sample("verbs.csv", EPIC, {"P01_01": [(0.14, 3.37, "open"), (4.37, 6.17, "turn-on")]}, {"label_key": "verb"}),
    Sample(
        "charades.json",
        ACTION_LISTS,
        {"7UPGT": [(16, 22.2, "149"), (5, 5, "15")], "82990": []},
        durations={"7UPGT": 23.21, "82990": 16.5},
    ),
    Sample(
        "falls.boris",
        BORIS,
        {
            "cam_1": [(1.5, 3.25, "walk"), (2.0, 6.5, "walk"), (4.0, 4.0, "turn")],
            "a": [(8, 9, "walk")],
            "b": [(1, 2.5, "walk")],
            "live": [],
        },
        durations={"cam_1": 20.0, "a": 10.0, "b": 5.0},
    ),
    Sample("events.tsv", BORIS_TABULAR, {"cam_1": [(4, 4, "turn"), (1.5, 3.25, "walk")]}, durations={"cam_1": 20.0}),
    Sample("agg.csv", BORIS_AGGREGATED, {"cam_1": [(1.5, 3.25, "walk"), (4, 4, "turn")]}, durations={"cam_1": 20.0}),
    Sample("tiers.eaf", ELAN, {"cam 1": [(1.5, 3, "jump"), (3, 4, "land"), (4, 5, "clap")]}),
    Sample("one_tier.eaf", ELAN, {"cam 1": [(1.5, 3, "jump"), (3, 4, "land")]}, {"label_key": "body"}),
    Sample("studio.json", LABEL_STUDIO, {"cam_1": [(1, 2, "jump")], "cam_2": [], "cam_3": []}, {"fps": 25.0}),
    Sample(
        "studio_min.json",
        LABEL_STUDIO_MIN,
        {"cam_1": [(1, 2, "jump")], "cam_2": [(0.5, 2.25, "speech")]},
        {"fps": 25.0},
    ),
    Sample(
        "tracks.xml",
        CVAT,
        {"cam_1": [(1, 2, "jump"), (2.4, 2.8, "jump"), (3, 4, "fall")]},
        {"fps": 25.0},
        {"cam_1": 4.0},
    ),
    Sample("tags.xml", CVAT_TAGS, {"cam_1": [(1, 1.08, "jump"), (2, 2.04, "jump")]}, {"fps": 25.0}, {"cam_1": 4.0}),
    Sample("via.json", VIA, JUMP),
    Sample("via.csv", VIA_TABLE, JUMP),
    Sample(
        "moments_train.json",
        EGO4D,
        {"c-1": [(1.5, 3.25, "wash_dishes")], "c-2": []},
        durations={"c-1": 480.0, "c-2": 480.0},
    ),
    Sample("activitynet.json", ACTIVITYNET, JUMP, durations={"cam_1": 20.0}),
    # Audacity 3: a label with a frequency range
    Sample("cam_1.txt", "1.500000\t3.250000\tjump\n\\\t100.000000\t5000.000000\n", JUMP),
    Sample("cam_1.srt", "1\n00:00:01,500 --> 00:00:03,250\n<i>jump</i>\n\n", JUMP),
    Sample("cam_1.vtt", "WEBVTT - falls\n\nNOTE by anna\n\nfirst\n00:01.500 --> 00:03.250 align:start\njump\n", JUMP),
    # groundTruth of GTEA, one class per line
    Sample(
        "S1_Cheese_C1.txt",
        "background\n" * 2 + "take\n" * 3 + "open\n" * 2 + "background\n",
        {"S1_Cheese_C1": [(0.2, 0.5, "take"), (0.5, 0.7, "open")]},
        {"fps": 10.0},
        {"S1_Cheese_C1": 0.8},
    ),
    # coarse segments of Breakfast
    Sample(
        "P03_cam01_P03_cereals.txt",
        "1-30 SIL\n31-150 take_bowl\n151-200 SIL\n",
        {"P03_cam01_P03_cereals": [(3.0, 15.0, "take_bowl")]},
        {"fps": 10.0},
        {"P03_cam01_P03_cereals": 20.0},
    ),
]
