"""Networks: built, loaded, saved, their heads and layers, and their export as ONNX.

What is done to weights apart from training them. It knows no method and no study.
"""
