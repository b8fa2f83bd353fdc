"""Read YAML files that people write."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from pocketscope.core.errors import InputError


def load(path: Path) -> Any:
    """Return what a YAML file holds.

    Raises
    ------
    pocketscope.core.errors.InputError
        It is no YAML, or a key is given twice, of which YAML would take the last; the message has the lines.
    """
    try:
        return _Loader(path.read_text(encoding="utf-8-sig")).get_single_data()
    except _Twice as error:
        raise InputError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text; save it as UTF-8") from error


def check(path: Path) -> None:
    """Refuse a configuration file that `load` refuses; others than YAML and JSON are not looked at.

    Raises
    ------
    pocketscope.core.errors.InputError
        See `load`.
    """
    if path.suffix in (".yaml", ".yml", ".json") and path.is_file():
        load(path)


class _Twice(Exception):
    pass


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge" or not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if (key.tag, key.value) in lines:
                first = lines[key.tag, key.value]
                raise _Twice(f"line {line}: the key '{key.value}' is given twice, first in line {first}; keep one")
            lines[key.tag, key.value] = line
        return super().construct_mapping(node, deep)
