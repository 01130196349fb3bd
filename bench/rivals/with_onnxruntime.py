# SPDX-License-Identifier: MIT
"""ONNX Runtime with all optimisations, inputs and outputs bound in place."""
import onnxruntime

import onnx_graph

threads = 1


def setup(count):
    global threads
    threads = count


def version(mode):
    return onnxruntime.__version__


def prepare(net, kind, batch, mode):
    model, images = onnx_graph.build(net, batch)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = (
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning",
                                     "0" if mode == "no spinning" else "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, images)
    binding.bind_output(session.get_outputs()[0].name, "cpu")

    def step():
        session.run_with_iobinding(binding)

    step.kept = images
    step()
    return step, binding.copy_outputs_to_cpu()[0][0]
