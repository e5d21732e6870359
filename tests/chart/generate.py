"""Makes `values.schema.json` and the table of values in the chart's README: `python3 generate.py` writes them anew.

What there is and what it means comes from `values.yaml` (a comment that begins with `# --` above each value), what it may be from
its default and from `constraints.yaml`, and the gateway's settings below `config` from `docs/CONFIG.md`, which the gateway
itself prints.
"""

import copy
import fnmatch
import json
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CHART = ROOT / "helm" / "crosstalk"
BEGIN, END = "<!-- values: begin -->", "<!-- values: end -->"


@dataclass
class Value:
    """One documented line of `values.yaml`."""

    path: tuple
    default: object
    text: str
    chapter: str

    @property
    def name(self):
        return ".".join(self.path)


def documented_values(text):
    """The values of `values.yaml`, in its order. Fails where one has no comment."""
    lines = text.splitlines()
    found = []

    def comment_above(line):
        above = []
        while line > 0 and lines[line - 1].lstrip().startswith("#"):
            line -= 1
            above.insert(0, lines[line].lstrip())
        for index, each in enumerate(above):
            if each.startswith("# -- "):
                return " ".join([each[5:], *(more[2:] for more in above[index + 1 :])]).strip()
        return None

    def chapter_of(line):
        chapters = [each[3:] for each in lines[:line] if each.startswith("## ")]
        return chapters[-1] if chapters else ""

    def walk(node, path):
        for key, value in node.value:
            here = (*path, key.value)
            text = comment_above(key.start_mark.line)
            if text is not None:
                default = yaml.safe_load(yaml.serialize(value))
                found.append(Value(here, default, text, chapter_of(key.start_mark.line)))
            elif isinstance(value, yaml.MappingNode) and value.value:
                walk(value, here)
            else:
                raise SystemExit(f"values.yaml: {'.'.join(here)} has no comment that begins with `# --`")

    walk(yaml.compose(text), ())
    return found


def settings(page):
    """The rows of `docs/CONFIG.md`: section, key, default, meaning."""
    section = None
    for line in page.splitlines():
        if heading := re.match(r"## `\[(.+)\]`", line):
            section = heading[1]
        elif row := re.match(r"\| `(\w+)` \| `(.*?)` \| `CROSSTALK_\w+` \| (.*) \|$", line):
            yield section, row[1], json.loads(row[2]), row[3]


def kind_of(value):
    """The schema of everything that is like this default."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return {"type": kinds[type(value)]}


def setting_like(default):
    """The schema of a setting of the gateway with this default."""
    # Helm reads numbers as floating ones: beyond 2^53 another would arrive than was written.
    bounds = {"minimum": 0, "maximum": 2**53 - 1} if type(default) is int else {}
    return {**kind_of(default), **bounds}


def schema_of(values, page, constraints):
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the Crosstalk chart",
        "type": "object",
        "additionalProperties": False,
        "properties": {"global": {"type": "object", "description": "Handed down by a parent chart; not used."}},
        "definitions": constraints["definitions"],
    }
    rows, used = list(settings(page)), set()
    for value in values:
        place = schema
        for part in value.path[:-1]:
            empty = {"type": "object", "additionalProperties": False, "properties": {}}
            place = place["properties"].setdefault(part, empty)
        place["properties"][value.path[-1]] = one(value, rows, constraints["values"], used)
    if unused := set(constraints["values"]) - used:
        raise SystemExit(f"constraints.yaml: no value is called {', '.join(sorted(unused))}")
    schema["properties"]["config"] = config_schema(value_named(values, "config"), rows, constraints["config"])
    return schema


def value_named(values, name):
    return next(value for value in values if value.name == name)


def one(value, rows, constraints, used):
    fitting = [pattern for pattern in constraints if fits(value.name, pattern)]
    used.update(fitting)
    about = {"description": value.text, "default": value.default}
    if value.name != "config" and not fitting and value.default in ([], {}):
        raise SystemExit(f"constraints.yaml says nothing of {value.name}, whose default says nothing either")
    fragment = copy.deepcopy(constraints[fitting[0]]) if fitting else {}
    if "$ref" in fragment:
        # In this draft nothing may stand beside a reference.
        return {**about, "allOf": [fragment]}
    kind = {} if "enum" in fragment else kind_of(value.default)
    if value.name == "auth.providers":
        provider_settings(fragment, rows)
    return {**about, **kind, **fragment}


def fits(name, pattern):
    """Whether a name is meant: `*` stands for a part, or for some of it."""
    parts, patterns = name.split("."), pattern.split(".")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def provider_settings(fragment, rows):
    properties = fragment["additionalProperties"]["properties"]
    for section, key, default, text in rows:
        if section == "auth.providers.NAME" and not key.startswith("client_secret"):
            known = properties.get(key, {})
            kind = {} if "enum" in known else kind_of(default)
            properties[key] = {"description": text, **kind, **known}


def config_schema(value, rows, words):
    owned = yaml.safe_load((CHART / "files" / "settings.yaml").read_text())
    sections = {}
    for section, key, default, text in rows:
        if section == "auth.providers.NAME":
            continue
        place = sections.setdefault(section, {"type": "object", "additionalProperties": False, "properties": {}})
        name = f"{section}.{key}"
        if name in owned:
            # Let through here: the template refuses it with better words than a schema has.
            place["properties"][key] = {"description": f"The chart sets it: {owned[name]}."}
        else:
            place["properties"][key] = {"description": text, "default": default, **setting_like(default), **words.get(name, {})}
    sections["auth"]["properties"]["providers"] = {"description": f"The chart sets it: {owned['auth.providers']}."}
    known = {f"{section}.{key}" for section, place in sections.items() for key in place["properties"]}
    if strange := (set(owned) | set(words)) - known:
        raise SystemExit(f"the gateway has no setting {', '.join(sorted(strange))}")
    about = {"description": value.text, "default": {}}
    return {**about, "type": "object", "additionalProperties": False, "properties": sections}


def table(values):
    lines, chapter = [], None
    for value in values:
        if value.chapter != chapter:
            chapter = value.chapter
            lines += ["", f"### {chapter}", "", "| value | default | meaning |", "|---|---|---|"]
        default = json.dumps(value.default, ensure_ascii=False).replace("|", "\\|")
        default = "see `values.yaml`" if len(default) > 60 else f"`{default}`"
        lines.append(f"| `{value.name}` | {default} | {value.text.replace('|', chr(92) + '|')} |")
    return "\n".join(lines[1:])


def made():
    """Every file that is made, with what it has to be."""
    values = documented_values((CHART / "values.yaml").read_text())
    constraints = yaml.safe_load((HERE / "constraints.yaml").read_text())
    schema = schema_of(values, (ROOT / "docs" / "CONFIG.md").read_text(), constraints)
    readme = (CHART / "README.md").read_text()
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return {
        CHART / "values.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        CHART / "README.md": f"{before}{BEGIN}\n{table(values)}\n{END}{after}",
    }


if __name__ == "__main__":
    for path, text in made().items():
        path.write_text(text)
