"""The tutorial's notebook, with what its cells show, as a page and its pictures."""

import base64
import json
from pathlib import Path
from typing import Any

NOTE = (
    "*This page is the notebook [tutorial.ipynb](tutorial.ipynb) as it was executed. Open it in"
    " Jupyter to run it yourself.*"
)


def notebook_page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """The page in Markdown, and its pictures by name."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts, pictures = list[str](), dict[str, bytes]()
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            name = f"tutorial-{len(pictures) + 1}.png"
            if (png := output.get("data", {}).get("image/png")) is not None:
                pictures[name] = base64.b64decode("".join(png))
                parts.append(f"![What the cell above draws]({name})")
            else:
                parts.append(_shown(output))
    title, *rest = parts
    return "\n\n".join([title, NOTE, *rest]), pictures


def _shown(output: dict[str, Any]) -> str:
    """An output as HTML where it is that, else as text."""
    data = output.get("data", {})
    if "text/html" in data:
        html = "".join(data["text/html"])
        whole = "\n".join(line for line in html.splitlines() if line.strip())
        return f'<div class="output">\n{whole}\n</div>'
    text = "".join(data.get("text/plain", output.get("text", "")))
    return f"```text\n{text.rstrip()}\n```"
