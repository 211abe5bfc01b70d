"""Models on a phone, in a browser, or anywhere without PyTorch.

`export` turns a checkpoint into one ONNX file; `onnx_extractor` runs it with NumPy and onnxruntime alone.
"""
