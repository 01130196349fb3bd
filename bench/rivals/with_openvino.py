# SPDX-License-Identifier: MIT
"""OpenVINO, held to f32.  Mode "throughput" runs a part of the batch in each
of as many streams as there are threads."""
import openvino

import onnx_graph

threads = 1


def setup(count):
    global threads
    threads = count


def version(mode):
    return openvino.__version__.split("-")[0]


def prepare(net, kind, batch, mode):
    streams = threads if mode == "throughput" and batch >= threads else 1
    model, images = onnx_graph.build(net, batch // streams)
    compiled = openvino.Core().compile_model(
        openvino.Core().read_model(model.SerializeToString()), "CPU",
        {"PERFORMANCE_HINT": mode.upper(), "NUM_STREAMS": streams,
         "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
    requests = [compiled.create_infer_request() for _ in range(streams)]
    for request in requests:
        request.set_input_tensor(openvino.Tensor(images, shared_memory=True))

    def step():
        if streams == 1:
            requests[0].infer()
            return
        for request in requests:
            request.start_async()
        for request in requests:
            request.wait()

    step.kept = images
    step()
    return step, requests[0].get_output_tensor().data[0].copy()
