"""Generate, read and measure text CAPTCHAs.

Every public name can be imported from here. The modules behind the names are loaded when a name
is first used, so importing the package is quick and reading a picture never loads TensorFlow.

Example:
    >>> import captcha_helpers
    >>> captcha_helpers.Charset(captcha_helpers.DIGITS).encode(["42"])
    array([[5, 3]], dtype=int32)
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from captcha_helpers.augment import augment_batch as augment_batch
    from captcha_helpers.batches import ArrayBatches as ArrayBatches
    from captcha_helpers.batches import GeneratedBatches as GeneratedBatches
    from captcha_helpers.batches import augmented_batch as augmented_batch
    from captcha_helpers.calibration import (
        expected_calibration_error as expected_calibration_error,
    )
    from captcha_helpers.calibration import fit_temperature as fit_temperature
    from captcha_helpers.calibration import reliability as reliability
    from captcha_helpers.charset import ALPHANUMERIC as ALPHANUMERIC
    from captcha_helpers.charset import BLANK_INDEX as BLANK_INDEX
    from captcha_helpers.charset import DIGITS as DIGITS
    from captcha_helpers.charset import LOWER as LOWER
    from captcha_helpers.charset import UNAMBIGUOUS as UNAMBIGUOUS
    from captcha_helpers.charset import UPPER as UPPER
    from captcha_helpers.charset import UPPER_DIGITS as UPPER_DIGITS
    from captcha_helpers.charset import Charset as Charset
    from captcha_helpers.checks import FolderCheck as FolderCheck
    from captcha_helpers.checks import check_folder as check_folder
    from captcha_helpers.ctc import beam_search_decode as beam_search_decode
    from captcha_helpers.ctc import best_paths as best_paths
    from captcha_helpers.ctc import frame_alignment as frame_alignment
    from captcha_helpers.ctc import greedy_decode as greedy_decode
    from captcha_helpers.ctc import required_time_steps as required_time_steps
    from captcha_helpers.ctc import string_probability as string_probability
    from captcha_helpers.damage import DAMAGES as DAMAGES
    from captcha_helpers.damage import Damage as Damage
    from captcha_helpers.damage import DamageScore as DamageScore
    from captcha_helpers.damage import robustness as robustness
    from captcha_helpers.data import LabeledImages as LabeledImages
    from captcha_helpers.data import image_files as image_files
    from captcha_helpers.data import load_folder as load_folder
    from captcha_helpers.data import read_labels as read_labels
    from captcha_helpers.data import split_by_label as split_by_label
    from captcha_helpers.dataset import write_dataset as write_dataset
    from captcha_helpers.evaluation import Evaluation as Evaluation
    from captcha_helpers.evaluation import evaluate as evaluate
    from captcha_helpers.evaluation import write_report as write_report
    from captcha_helpers.formats import Parity as Parity
    from captcha_helpers.formats import ParityError as ParityError
    from captcha_helpers.formats import compare as compare
    from captcha_helpers.formats import export as export
    from captcha_helpers.generator import draw as draw
    from captcha_helpers.generator import generate as generate
    from captcha_helpers.generator import true_boxes as true_boxes
    from captcha_helpers.images import ImageError as ImageError
    from captcha_helpers.images import load_image as load_image
    from captcha_helpers.images import preparation_steps as preparation_steps
    from captcha_helpers.images import prepare as prepare
    from captcha_helpers.images import prepare_batch as prepare_batch
    from captcha_helpers.images import save_debug as save_debug
    from captcha_helpers.images import to_grey as to_grey
    from captcha_helpers.metrics import cer as cer
    from captcha_helpers.metrics import confusions as confusions
    from captcha_helpers.metrics import exact_match as exact_match
    from captcha_helpers.metrics import per_position_accuracy as per_position_accuracy
    from captcha_helpers.metrics import score as score
    from captcha_helpers.metrics import wilson_interval as wilson_interval
    from captcha_helpers.models import cnn_ctc as cnn_ctc
    from captcha_helpers.models import crnn_ctc as crnn_ctc
    from captcha_helpers.models import fixed_length_cnn as fixed_length_cnn
    from captcha_helpers.models import multi_head as multi_head
    from captcha_helpers.pretrained import pretrained_start as pretrained_start
    from captcha_helpers.pretraining import draw_anything as draw_anything
    from captcha_helpers.pretraining import draw_images as draw_images
    from captcha_helpers.pretraining import random_style as random_style
    from captcha_helpers.processing import Processing as Processing
    from captcha_helpers.processing import auto_crop as auto_crop
    from captcha_helpers.processing import clahe as clahe
    from captcha_helpers.processing import invert as invert
    from captcha_helpers.processing import is_dark as is_dark
    from captcha_helpers.processing import thicken as thicken
    from captcha_helpers.recipe import train as train
    from captcha_helpers.recognizer import Reading as Reading
    from captcha_helpers.recognizer import Recognizer as Recognizer
    from captcha_helpers.recognizer import load as load
    from captcha_helpers.recognizer import save_model as save_model
    from captcha_helpers.recognizer import shipped_models as shipped_models
    from captcha_helpers.results import load_results as load_results
    from captcha_helpers.results import save_result as save_result
    from captcha_helpers.runtimes import open_model as open_model
    from captcha_helpers.samples import write_samples as write_samples
    from captcha_helpers.segmentation import binarize as binarize
    from captcha_helpers.segmentation import character_boxes as character_boxes
    from captcha_helpers.segmentation import crops as crops
    from captcha_helpers.segmentation import even_grey as even_grey
    from captcha_helpers.segmentation import segment as segment
    from captcha_helpers.segmentation import split_wide as split_wide
    from captcha_helpers.spec import ModelSpec as ModelSpec
    from captcha_helpers.spec import read_spec as read_spec
    from captcha_helpers.styles import STYLES as STYLES
    from captcha_helpers.styles import Style as Style
    from captcha_helpers.styles import adapt_style as adapt_style
    from captcha_helpers.styles import classic as classic
    from captcha_helpers.styles import get_style as get_style
    from captcha_helpers.training import ExactMatch as ExactMatch
    from captcha_helpers.training import compile_model as compile_model
    from captcha_helpers.training import predict_labels as predict_labels
    from captcha_helpers.wild import draw_wild as draw_wild

__version__ = "0.1.0"

# TensorFlow reads both when it is first imported. It leaves its oneDNN kernels off on CPUs without
# AVX-512; with them our models train half as fast again. The second silences most of what its C++
# code logs (instruction sets, a missing GPU), and no Python warning or exception.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_NAMES = {
    "augment": ["augment_batch"],
    "batches": ["ArrayBatches", "GeneratedBatches", "augmented_batch"],
    "batching": [],
    "calibration": ["expected_calibration_error", "fit_temperature", "reliability"],
    "charset": [
        "ALPHANUMERIC",
        "BLANK_INDEX",
        "Charset",
        "DIGITS",
        "LOWER",
        "UNAMBIGUOUS",
        "UPPER",
        "UPPER_DIGITS",
    ],
    "checks": ["FolderCheck", "check_folder"],
    "cli": [],
    "ctc": [
        "best_paths",
        "beam_search_decode",
        "frame_alignment",
        "greedy_decode",
        "required_time_steps",
        "string_probability",
    ],
    "damage": ["DAMAGES", "Damage", "DamageScore", "robustness"],
    "data": ["LabeledImages", "image_files", "load_folder", "read_labels", "split_by_label"],
    "dataset": ["write_dataset"],
    "evaluation": ["Evaluation", "evaluate", "write_report"],
    "fetch": [],
    "files": [],
    "formats": ["Parity", "ParityError", "compare", "export"],
    "generator": ["draw", "generate", "true_boxes"],
    "images": [
        "ImageError",
        "load_image",
        "preparation_steps",
        "prepare",
        "prepare_batch",
        "save_debug",
        "to_grey",
    ],
    "litert": [],
    "metrics": [
        "cer",
        "confusions",
        "exact_match",
        "per_position_accuracy",
        "score",
        "wilson_interval",
    ],
    "models": ["cnn_ctc", "crnn_ctc", "fixed_length_cnn", "multi_head"],
    "onnx_graph": [],
    "plots": [],
    "pretrained": ["pretrained_start"],
    "pretraining": ["draw_anything", "draw_images", "random_style"],
    "processing": ["Processing", "auto_crop", "clahe", "invert", "is_dark", "thicken"],
    "recipe": ["train"],
    "recognizer": ["Reading", "Recognizer", "load", "save_model", "shipped_models"],
    "results": ["load_results", "save_result"],
    "runtimes": ["open_model"],
    "samples": ["write_samples"],
    "segmentation": [
        "binarize",
        "character_boxes",
        "crops",
        "even_grey",
        "segment",
        "split_wide",
    ],
    "service": [],
    "slow_clients": [],
    "spec": ["ModelSpec", "read_spec"],
    "styles": ["STYLES", "Style", "adapt_style", "classic", "get_style"],
    "training": ["ExactMatch", "compile_model", "predict_labels"],
    "uploads": [],
    "web_page": [],
    "wild": ["draw_wild"],
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF)]


def __getattr__(name: str) -> Any:
    """Load the module that ``name`` comes from, or that it names (PEP 562)."""
    if name not in _MODULE_OF and name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULE_OF.get(name, name)}")
    value = module if name in _NAMES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names and the modules, loaded or not."""
    return sorted({*globals(), *_MODULE_OF, *_NAMES})
