"""Static int8 quantisation of an ONNX model: no torch."""

import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime import quantization as ort
from onnxruntime.quantization import shape_inference

from pocketscope import inference
from pocketscope.errors import InputError
from pocketscope.files import whole

CALIBRATION_IMAGES = 128
BATCH = 16
# One rule for all networks, settled by measurement (docs/design.md): what computes is quantised, and what only passes
# numbers on. The rest stays in floating point: the normalisation of the input; the gates of squeeze-and-excitation,
# swish and hard-swish (a sigmoid, a product); and the softmax, whose probabilities would be multiples of 1/255.
OPERATORS = [
    *("Conv", "Gemm", "MatMul", "Add", "Concat", "Relu", "Clip", "LeakyRelu", "MaxPool", "AveragePool"),
    *("Pad", "Split", "Reshape", "Transpose", "Flatten", "Squeeze"),
]


def quantize(source: str | os.PathLike, images: np.ndarray, path: str | os.PathLike) -> None:
    """Write the int8 form of an fp32 model.

    Weights are signed, with a scale for each output channel; activations unsigned, which ONNX Runtime's kernels for x86
    run faster than signed ones. An activation's range is the mean, over batches of calibration images, of its smallest
    and largest value, so that one odd image does not coarsen it.

    Parameters
    ----------
    source
        A model that `export.to_onnx` wrote.
    images
        uint8 (N, H, W, 3) of the training part: the range of each activation is measured on them.
    path
        The quantised model; it keeps the metadata of `source`.

    Raises
    ------
    pocketscope.errors.InputError
        There is no image to calibrate with, or `source` is cut short.
    """
    inference.open_model(source, threads=1)
    if not len(images):
        raise InputError(f"{source}: no image to calibrate the quantised model with; the training part is empty")
    with tempfile.TemporaryDirectory() as folder, whole(path) as temporary:
        prepared = Path(folder) / "prepared.onnx"
        shape_inference.quant_pre_process(os.fspath(source), prepared, skip_symbolic_shape=True)
        ort.quantize_static(
            prepared,
            temporary,
            _Batches(images[:CALIBRATION_IMAGES]),
            quant_format=ort.QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
            extra_options={"CalibMovingAverage": True},  # despite its name the plain mean
        )
        quantized, metadata = onnx.load(temporary), onnx.load(os.fspath(source)).metadata_props
        onnx.helper.set_model_props(quantized, {entry.key: entry.value for entry in metadata})
        onnx.save(quantized, temporary)


class _Batches(ort.CalibrationDataReader):
    def __init__(self, images: np.ndarray) -> None:
        self.batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch}
