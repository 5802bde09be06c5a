"""torch-on-cuda.png: the stored run of `benchmarks gpu`, what it says of PyTorch's tensors."""

import json
from pathlib import Path

from boxes import BLUE, INK
from matplotlib.figure import Figure

RESULTS = Path(__file__).parents[2] / "benchmarks/results/gpu-nvidia-h100-80gb-hbm3.json"
CONTENDERS = {
    "gpugrad on torch": ("gpugrad.gradient", BLUE, ""),
    "torch.compile": ("torch.gradient in torch.compile", "#cc79a7", "//"),
    "torch": ("torch.gradient", "0.75", ""),
}


def draw():
    cases = [
        case
        for case in json.loads(RESULTS.read_text())["cases"]
        if case["shape"] == [512] * 3 and "torch.compile" in case["seconds"]
    ]
    cases.sort(key=lambda case: (case["uneven"], case["dtype"]))
    figure = Figure((7, 3.8), layout="constrained", facecolor="white")
    axes = figure.subplots()
    height = 0.27
    for place, case in enumerate(cases):
        for i, (name, (label, color, hatch)) in enumerate(CONTENDERS.items()):
            milliseconds = 1e3 * case["seconds"][name]["median"]
            where = place + (i - 1) * height
            axes.barh(where, milliseconds, 0.9 * height, color=color, hatch=hatch,
                      edgecolor="white", label=label if place == 0 else None)  # fmt: skip
            axes.text(milliseconds + 0.15, where, f"{milliseconds:.2f}", va="center", fontsize=8.5,
                      color=INK)  # fmt: skip
    samples = {False: "even samples", True: "uneven samples"}
    names = [f"{samples[case['uneven']]},\n{case['dtype']}" for case in cases]
    axes.set_yticks(range(len(cases)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 18)
    axes.set_xlabel("milliseconds for all three derivatives of 512 × 512 × 512 samples")
    axes.set_title("Tensors on an NVIDIA H100, one run with an earlier kernel", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right", frameon=False)
    return figure
