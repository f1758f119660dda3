"""Results of a long benchmark, one JSON file each: what is there is not done again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Kept:
    """A folder of results by name; with `again` they are done anew."""

    def __init__(self, folder: Path, *, again: bool = False) -> None:
        self.folder, self.again = folder, again
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str, do: Callable[[], Any]) -> Any:
        """The result of this name, done if it is not there."""
        file = self.folder / f"{name}.json"
        if file.exists() and not self.again:
            return json.loads(file.read_text(encoding="utf-8"))
        result = do()
        unfinished = file.with_suffix(".part")
        unfinished.write_text(json.dumps(result), encoding="utf-8")
        unfinished.replace(file)
        return result
