# SPDX-License-Identifier: MIT
"""The tables of a run as Markdown."""

# Work, its rivals, the least ratio of their best time to ours.
BAR = [
    ("seed step b32", ("PyTorch", "TensorFlow"), 2.0),
    ("seed step b32", ("oneDNN",), 1.0),
    ("seed forward b1", ("ncnn", "OpenVINO", "XNNPACK", "ONNX Runtime"), 1.0),
    ("seed forward b32", ("ncnn", "OpenVINO", "XNNPACK", "ONNX Runtime"), 1.7),
    ("cifar step b64", ("PyTorch",), 1.6),
    ("mnist step b64", ("PyTorch",), 3.5),
    ("resnet8 forward b1", ("ONNX Runtime",), 1.0),
    ("mobilenetv2 forward b1", ("ONNX Runtime",), 1.0),
    ("squeezenet forward b1", ("ONNX Runtime",), 1.0),
]


def table(rows):
    head, *body = [[str(cell) for cell in row] for row in rows]
    lines = ["| " + " | ".join(head) + " |",
             "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])


def figure(value):
    """Three digits that count."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{max(digits, 3 if value < 0.1 else 0)}f}"


def ms(seconds):
    return figure(1e3 * seconds)


def times(work, which=0):
    """{contestant: lowest median} at the most threads (0) or fewer."""
    threads = list(work["threads"].values())
    if which >= len(threads):
        return {}
    return {name: one["lowest"] for name, one in threads[which].items()}


def bar_row(what, ours, rival, whose, bar, show):
    ratio = rival / ours
    verdict = "yes" if ratio >= bar else (
        "tie" if bar == 1 and ratio >= 0.85 else "no")
    return [what, show(ours), f"{show(rival)} ({whose})", figure(ratio),
            figure(bar), verdict]


def bar_table(result):
    rows = [["work", "imgrec", "best rival", "ratio", "bar", "reached"]]
    works = {work["name"]: work for work in result["works"]}
    for name, rivals, bar in BAR:
        lowest = times(works[name]) if name in works else {}
        present = {n: t for n, t in lowest.items() if n in rivals}
        if "imgrec" in lowest and present:
            best = min(present, key=present.get)
            rows.append(bar_row(name, lowest["imgrec"], present[best], best,
                                bar, lambda s: ms(s) + " ms"))
    sizes = {name: min(way["bytes"] for way in ways)
             for name, ways in result.get("memory", {}).items()}
    if {"imgrec", "PyTorch"} <= set(sizes):
        rows.append(bar_row("seed step b32, peak memory", sizes["imgrec"],
                            sizes["PyTorch"], "PyTorch", 2.0,
                            lambda b: f"{b / 1e6:.0f} MB"))
    start = result.get("start")
    if start:
        rows.append(bar_row(
            "load + first answer, whole process", start["imgrec predict"],
            start["import torch"], "import torch alone", 20.0,
            lambda s: ms(s) + " ms"))
    return rows


def cell(work, name):
    """Lowest median, how far up the others went, and with one thread."""
    threads = list(work["threads"].values())
    if name not in threads[0]:
        return "–"
    one = threads[0][name]
    spread = max(one["medians"]) / one["lowest"] - 1
    text = f"{ms(one['lowest'])} +{100 * spread:.0f} %"
    alone = times(work, 1).get(name)
    return text + (f" ({ms(alone)})" if alone else "")


def times_table(result):
    names = [n for n in result["versions"]
             if any(n in times(work) for work in result["works"])]
    rows = [["ms", *[work["name"] for work in result["works"]]]]
    return rows + [[name, *[cell(work, name) for work in result["works"]]]
                   for name in names]


def settings_table(result):
    names = [n for n in result["versions"]
             if any(n in times(work) for work in result["works"])
             and n != "imgrec"]
    rows = [["best setting", *[work["name"] for work in result["works"]]]]
    for name in names:
        row = [name]
        for work in result["works"]:
            one = work["contestants"].get(name)
            row.append(f"{one['mode']}, {one['malloc']}" if one else "–")
        rows.append(row)
    return rows


def failed_modes(result):
    lines = []
    for work in result["works"]:
        for name, one in work["contestants"].items():
            lines += [f"- {work['name']}: {name} {t['mode']} ({t['malloc']}): "
                      f"{t['remark'].splitlines()[0][:120]}"
                      for t in one["tried"] if t["remark"]]
    return lines


def threads_line(result):
    """Our time with one thread over that with two."""
    parts = []
    for work in result["works"]:
        two, one = (times(work, which).get("imgrec") for which in (0, 1))
        if two and one:
            parts.append(f"{work['name']} {one / two:.2f}")
    return "Two threads against one, imgrec: " + ", ".join(parts) + "."


def memory_table(result):
    rows = [["peak memory of `seed` step b32", "setting", "MB"]]
    for name, ways in result["memory"].items():
        rows += [[name, f"{way['mode']}, {way['malloc']}".strip(", "),
                  f"{way['bytes'] / 1e6:.0f}"] for way in ways]
    return rows


def heading(result):
    m = result["machine"]
    quick = " A quick run: untuned rivals." if result["quick"] else ""
    busy = (": busy, so that these times are of little use"
            if m["load"] > 1 else "")
    versions = ", ".join(f"{name} {v}" for name, v in
                         result["versions"].items())
    return (f"{result['date']}; {m['cpu']}, {m['cores']} cores, "
            f"{m['memory']}, Linux {m['kernel']}; load before the run "
            f"{m['load']:.2f}{busy}.{quick}\n\n"
            f"{versions}.")


def markdown(result):
    parts = [heading(result)]
    bar = bar_table(result)
    if len(bar) > 1:
        parts += ["Ratio: time of the best rival over ours.", table(bar)]
    if result["works"]:
        threads = list(result["works"][0]["threads"])
        parts += [
            f"Milliseconds with {threads[0]} threads: the lowest median of the "
            "passes, how much higher the highest was"
            + (", and with one thread." if len(threads) > 1 else "."),
            table(times_table(result)), table(settings_table(result))]
        if len(threads) > 1:
            parts.append(threads_line(result))
        failed = failed_modes(result)
        if failed:
            parts.append("What a rival could not do:\n\n" + "\n".join(failed))
    if result.get("memory"):
        parts.append(table(memory_table(result)))
    if result.get("start"):
        rows = [["whole process", "ms"]]
        rows += [[n, ms(s)] for n, s in result["start"].items()]
        parts.append(table(rows))
    return "\n\n".join(parts) + "\n"


def write_docs(path, text, name):
    """Replaces what stands between the markers of that name."""
    old = path.read_text()
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, rest = old.split(begin)
    path.write_text(before + begin + text + end + rest.split(end)[1])
