"""The `sola` application. Each command is imported when it is called."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from cyclopts import App, CycloptsError, Group, Parameter

from sola.cli.help import FORMATTER, choose_help, epilogue, shown_value
from sola.cli.parsing_errors import one_line
from sola.core.errors import SolaError


@dataclass(frozen=True)
class Entry:
    """A command in `sola --help`."""

    target: str
    """Module and attribute of the function, or of an App with subcommands."""
    help: str
    """Help text. `sola --help` shows the first sentence only."""
    examples: str = ""
    """Example command lines at the end of the help, one per line. Subcommands have their own."""
    secondary: bool = True
    """Whether `--help-all` shows more flags than `--help`."""


COMMANDS: Mapping[str, Entry] = {
    "demo": Entry(
        "sola.cli.demo:demo",
        "Run every step on features that come with the package, and write DIR/report.html.\n\n"
        "The features are those of a frozen encoder on rendered videos of a moving figure. Takes less than three "
        "minutes on two cores.",
        "sola demo\nsola demo --seeds 5 --out demo-5",
        secondary=False,
    ),
    "extract": Entry(
        "sola.cli.extract:extract",
        "Extract snippet features from video files with a frozen encoder.\n\n"
        "Writes one .npy array [time, channels] per video, and a manifest. Run the command again to resume, or to add "
        "videos.",
        "sola extract videos/ --out features/\n"
        "sola extract s3://videos/2026 --out s3://features/2026 --executor ray --worker-gpus 0.25",
    ),
    "train": Entry(
        "sola.cli.train:train",
        "Train a SoLa module on features, without labels.\n\n"
        "Writes module.safetensors, config.json (everything needed to repeat the run), and metrics.jsonl (one row per "
        "epoch).",
        "sola train features/ --recipe auto --out run\n"
        "torchrun --standalone --nproc-per-node 4 -m sola train features/ --out run",
    ),
    "transform": Entry(
        "sola.cli.transform:transform",
        "Transform features with a trained SoLa module.\n\n"
        "File names, format and dtype stay the same. Run the command again to resume.",
        "sola transform run features/ --out softened/\nsola transform run rgb/ flow/ --out softened/ --device cpu",
    ),
    "probe": Entry(
        "sola.cli.probe:probe",
        "Compare feature sets by linear evaluation, next to controls.\n\n"
        "Trains linear classifiers of action against background, and of the class, on the snippets of one subset, and "
        "evaluates them on another. Controls: per-video centering, moving averages, slow features, whitening, and the "
        "untrained module. p-values are from a paired bootstrap over the test videos.",
        "sola probe features/ --annotations annotations.json --compare sola=softened/\n"
        "sola probe features/ --annotations annotations.json --solver ridge --labeled-videos 5 --json",
    ),
    "convert": Entry(
        "sola.cli.convert:convert",
        "Convert annotations and detections between annotation tools.\n\n"
        "Recognizes the input format by its content: CSV, EPIC-Kitchens, BORIS, ELAN, Label Studio, CVAT, VIA, Ego4D, "
        "Audacity, SRT, WebVTT, one class per frame, ActivityNet. Other commands take all of these as --annotations.",
        "sola convert project.boris --to activitynet --split 0.8 --out annotations.json\n"
        "sola convert detections.json --to label-studio --fps 25 --per-minute 5 --out predictions.json",
    ),
    "select": Entry(
        "sola.cli.select:select",
        "Choose the videos to label next, without labels.\n\n"
        "Prints the ids of the videos that together cover most of the variety in the set, most useful first. "
        "Transformed features work better than raw ones.",
        "sola select softened/ --videos 5\nsola select softened/ --videos 5 --annotations labels.json",
    ),
    "inspect": Entry(
        "sola.cli.inspect:inspect",
        "Plot the similarity of snippets against their distance in time.\n\n"
        "Writes inspection.json and pictures: similarity against distance, the share of windows where similarity falls "
        "with distance, and similarity maps of a few videos with their annotated segments.",
        "sola inspect features/ --out look/\n"
        "sola inspect features/ --run run --annotations annotations.json --out look/",
    ),
    "train-detector": Entry(
        "sola.cli.train_detector:train_detector",
        "Train a temporal action detector on features, raw or transformed.\n\n"
        "Writes detector.safetensors, config.json (everything needed to repeat the run), and metrics.jsonl (one row "
        "per epoch).",
        "sola train-detector softened/ --annotations annotations.json --model bmn --recipe gtea --out detector\n"
        "sola train-detector features/ --annotations annotations.json --model bmn --out detector --explain video_1",
    ),
    "detect": Entry(
        "sola.cli.detect:detect",
        "Detect actions in features or video files with a trained detector.\n\n"
        "Features must come from the same encoder and SoLa module as those the detector was trained on. For video "
        "files, the whole pipeline (encoder, SoLa module, detector) is rebuilt from the detector's run, and a timeline "
        "of each video is drawn. Run the command again to resume.",
        "sola detect detector softened/ --annotations annotations.json --out detections.json\n"
        "sola detect detector new-videos/ --out new.json",
    ),
    "evaluate": Entry(
        "sola.cli.evaluate:evaluate",
        "Evaluate detections (mAP), proposals (AR@AN, AUC), segmentations (accuracy, Edit, F1), or frames (mAP).",
        "sola evaluate detections.json --annotations annotations.json --recall-at 1 5\n"
        "sola evaluate proposals.json --annotations annotations.json --proposals\n"
        "sola evaluate detections.json --annotations annotations.json --segmentation --fps 15 --min-score 0.3",
    ),
    "report": Entry(
        "sola.cli.report:report",
        "Write one HTML page about runs and experiments, with an explorer for single videos.\n\n"
        "The page opens offline. The explorer shows annotated segments and detections on a timeline above similarity "
        "maps of the features. Without RUN, it shows what --detections, --features, and --annotations name.",
        "sola report run detector --out report.html\n"
        "sola report --annotations annotations.json --detections BMN=bmn.json --out report.html",
    ),
    "reproduce": Entry(
        "sola.cli.reproduce:reproduce",
        "Reproduce a table or figure of the supplement on your features.\n\n"
        "table1: direct or adapter. table2: losses. table3: every detector. table5: K and s. table6: the projector. "
        "figure1: error bars over many seeds. sectionC: similarity against distance.\n\n"
        "Experiments with the same --out share runs. Run the command again to resume. Every table has rows for raw "
        "features and controls; p-values are from a paired bootstrap over the test videos, Holm-corrected.",
        "sola reproduce table1 features/ --annotations annotations.json --out experiments\n"
        "sola reproduce figure1 --quick --out try",
    ),
    "export": Entry("sola.cli.export:app", "Export a module, or features and annotations, for other tools."),
}
"""Commands in the order of `sola --help`."""

app = App(
    name="sola",
    help=(
        "Better features for temporal action localization, without labels.\n\n"
        "SoLa trains a small module between a frozen video encoder and your detector. The usual order: extract, train, "
        "transform, train-detector, detect, evaluate."
    ),
    version=lambda: f"sola {version('sola-tal')}",
    help_epilogue=(
        "`sola COMMAND --help` explains a command and its common flags; `--help-all` lists every flag.\n\n"
        "`sola --install-completion` sets up tab completion for your shell."
    ),
    help_format="plaintext",
    help_formatter=FORMATTER,
    group_parameters=Group("Options", sort_key=3),
    default_parameter=Parameter(
        allow_repeating=True, consume_multiple=True, negative_bool=(), negative_iterable=(), show_default=shown_value
    ),
    suppress_keyboard_interrupt=False,
    result_action="return_none",
)
for position, (name, entry) in enumerate(COMMANDS.items()):
    end = {"help_epilogue": epilogue(name, entry.examples, more=entry.secondary)} if entry.examples else {}
    app.command(entry.target, name=name, help=entry.help, sort_key=position, **end)
app.register_install_completion_command(help="Set up tab completion for your shell.", sort_key=len(COMMANDS))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 for success, 2 for invalid input, 1 for a bug or a closed pipe, 130 if interrupted."""
    try:
        app(choose_help(sys.argv[1:] if arguments is None else arguments), exit_on_error=False, print_error=False)
        sys.stdout.flush()  # raises BrokenPipeError here, not while Python exits
    except CycloptsError as error:
        sys.exit(complain(one_line(error), 2))
    except SolaError as error:
        sys.exit(complain(str(error), 2))
    except KeyboardInterrupt:
        sys.exit(complain("interrupted; run it again to continue, a training with --resume", 130))
    except BrokenPipeError:  # the reader of our output has closed it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError:
        sys.exit(complain("out of memory; close other programs, or use fewer or shorter videos", 1))
    sys.exit(0)


def complain(message: str, code: int) -> int:
    """Print the message as one line on stderr, with the rank in distributed training, and return the exit code."""
    rank = os.environ.get("RANK", "0")
    who = "sola" if rank == "0" else f"sola, process {rank}"
    print(f"{who}: {' '.join(message.split())}", file=sys.stderr)
    return code
