"""Convert a shipped model's graph for phones: run by a Python that has the converters (docs/mobile.md), not by ours.

    PYTHON convert.py FOLDER

`FOLDER/request.json` says what to make. Pocketscope is not imported here: that environment needs none of it.
"""

import json
import sys
import uuid
from pathlib import Path

import numpy as np


def main(folder: Path) -> None:
    """Make what `request.json` asks for, and write `answers.npy`: what is answered for `images.npy`."""
    import onnx
    import torch
    from onnx_as_torch import OnnxAsTorch

    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    images = np.load(folder / "images.npy")
    network = OnnxAsTorch(onnx.load(folder / "graph.onnx")).eval()
    make = {"tflite": tflite, "coreml": coreml}[request["kind"]]
    with torch.inference_mode():
        answers = make(network, images, folder / request["name"], request)
    np.save(folder / "answers.npy", np.asarray(answers, np.float32))


def tflite(network, images: np.ndarray, path: Path, request: dict) -> list[np.ndarray]:
    """Write a LiteRT file, in its precision, and return what the interpreter here answers."""
    import litert_torch
    import torch
    from ai_edge_litert.interpreter import Interpreter

    litert_torch.convert(network, (torch.from_numpy(images[:1]),)).export(str(path))
    if request["precision"] != "fp32":
        round_weights(path, request["precision"])
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for image in images:
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(found["index"])[0].copy())
    return answers


def round_weights(path: Path, precision: str) -> None:
    """Round a LiteRT file's weights: to 16 bits, or to 8, where layers compute in 8 bits too."""
    from ai_edge_quantizer import qtyping, quantizer, recipe
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    rounding = quantizer.Quantizer(str(path))
    if precision == "int8":
        rounding.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    else:
        half = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
        rounding.update_quantization_recipe(
            regex=".*",
            operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
            op_config=qtyping.OpQuantizationConfig(
                weight_tensor_config=half,
                compute_precision=qtyping.ComputePrecision.FLOAT,
                explicit_dequantize=True,
            ),
            algorithm_key=AlgorithmName.FLOAT_CASTING,
        )
    rounded = path.with_name("rounded.tflite")
    rounding.quantize().export_model(str(rounded))
    rounded.replace(path)


def coreml(network, images: np.ndarray, path: Path, request: dict) -> list[np.ndarray]:
    """Write a Core ML package, and return what torch answers in its precision: Core ML itself runs on macOS alone."""
    import coremltools
    import torch

    half = request["precision"] == "fp16"
    exported = torch.export.export(network, (torch.from_numpy(images[:1]).float(),)).run_decompositions({})
    converted = coremltools.convert(
        exported,
        inputs=[coremltools.TensorType("images", (1, *images.shape[1:]), dtype=np.float32)],
        outputs=[coremltools.TensorType("probabilities", dtype=np.float32)],
        convert_to="mlprogram",
        compute_precision=coremltools.precision.FLOAT16 if half else coremltools.precision.FLOAT32,
        minimum_deployment_target=coremltools.target.iOS15,
        skip_model_load=True,
    )
    converted.short_description = request["description"]
    converted.license = request["licence"]
    converted.user_defined_metadata["pocketscope"] = request["about"]
    converted.save(str(path))
    (path / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)  # is no part of what Core ML reads
    name_by_content(path / "Manifest.json")
    in_one_order(path / "Data" / "com.apple.CoreML" / "model.mlmodel")
    network = network.half() if half else network
    return [network(torch.from_numpy(image[None]))[0].float().numpy() for image in images]


def in_one_order(specification: Path) -> None:
    """Write the package's specification again, its maps sorted, so that equal models give equal bytes."""
    from coremltools.proto import Model_pb2

    said = Model_pb2.Model()
    said.ParseFromString(specification.read_bytes())
    specification.write_bytes(said.SerializeToString(deterministic=True))


def name_by_content(manifest: Path) -> None:
    """Replace the package's random identities, so that equal models give equal bytes."""
    said = manifest.read_text(encoding="utf-8")
    entries = json.loads(said)["itemInfoEntries"]
    for identity, entry in entries.items():
        said = said.replace(identity, str(uuid.uuid5(uuid.NAMESPACE_URL, entry["path"])))
    manifest.write_text(json.dumps(json.loads(said), indent=4, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
