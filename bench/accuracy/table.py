# SPDX-License-Identifier: MIT
"""The figures of all items as Markdown."""
import json


def percent(x):
    return "" if x is None else f"{100 * x:.2f} %"


def rows_of(result):
    for who, what in result["results"].items():
        yield [who, what.get("network", ""), str(what["epochs"]),
               f"{what['seconds'] / 60:.1f}", percent(what.get("val_accuracy")),
               percent(what.get("test_accuracy"))]


def markdown(head, rows):
    lines = ["| " + " | ".join(head) + " |",
             "| --- | --- |" + " ---: |" * (len(head) - 2)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def curve(what, minutes):
    """Accuracy of validation at those minutes, as far as there is one."""
    result = []
    for minute in minutes:
        seen = [a for seconds, a in what["curve"]
                if seconds <= 60 * minute and a is not None]
        result.append(percent(max(seen)) if seen else "")
    return result


def curves(result):
    """When which accuracy was reached, where several were raced for long."""
    runs = {who: what for who, what in result["results"].items()
            if len(what.get("curve", [])) > 1}
    if len(runs) < 2:
        return ""
    last = max(what["curve"][-1][0] for what in runs.values()) / 60
    minutes = [round(last * i / 8, 1) for i in range(1, 9)]
    return "\n\n" + markdown(
        ["best validation accuracy after minutes", ""] +
        [str(m) for m in minutes],
        [[who, ""] + curve(what, minutes) for who, what in runs.items()])


def write(folder, items):
    paths = [path for name in items for pattern in ("", "-seed*")
             for path in sorted(folder.glob(f"{name}{pattern}.json"))]
    parts = []
    for path in paths:
        result = json.loads(path.read_text())
        machine = result["machine"]
        parts.append(
            f"## {result['title']}\n\n" + markdown(
                ["", "network", "epochs", "minutes", "validation", "test"],
                list(rows_of(result))) + curves(result) +
            f"\n\n{machine['cpu']}, load {machine['load']:.1f} at the end.\n")
    text = "\n".join(parts)
    (folder / "README.md").write_text(text)
    return text
