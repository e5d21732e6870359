"""Helm, both versions of it, on the chart as it would be published: out of the archive that `helm package` makes."""

import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path

import yaml

from generate import CHART, HERE, ROOT

CI = sorted((CHART / "ci").glob("*-values.yaml"))
VERSIONS = ["3", "4"]
GATEWAY = Path(os.environ.get("CROSSTALK", ROOT / "target" / "debug" / "crosstalk"))


class Refused(Exception):
    """Helm did not take the values; the text is what it said."""


def program(version):
    return ROOT / "target" / "helm" / version / "helm"


def helm(version, *arguments, stdin=None):
    # It lives for a moment: collecting garbage would be half of its work.
    environment = {**os.environ, "GOGC": "off"}
    done = subprocess.run([program(version), *arguments], input=stdin, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def package(version, chart, folder):
    helm(version, "package", str(chart), "--destination", str(folder))
    (archive,) = Path(folder).glob("*.tgz")
    return archive


_folders = tempfile.TemporaryDirectory()


@functools.cache
def archive(version):
    """The chart, packaged by this version."""
    folder = Path(_folders.name, version)
    folder.mkdir()
    return package(version, CHART, folder)


def template(values=None, version="4", release="chat", chart=None, options=()):
    """Every object that these values make."""
    # JSON, which every reader of YAML takes for the same: of what may stand without quotes they think differently.
    stdin = json.dumps(values or {}, ensure_ascii=False)
    chart = chart or archive(version)
    text = helm(version, "template", release, str(chart), "--namespace", "talk", "--values", "-", *options, stdin=stdin)
    return [document for document in yaml.load_all(text, Loader=StrictLoader) if document]


@functools.cache
def of_ci(path, version="4"):
    return template(yaml.safe_load(path.read_text()), version)


class StrictLoader(yaml.CSafeLoader):
    """Refuses a key that stands twice in a mapping, as Kubernetes does."""


def _mapping(loader, node):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise yaml.constructor.ConstructorError(None, None, f"twice in one mapping: {twice}", node.start_mark)
    return yaml.CSafeLoader.construct_mapping(loader, node, deep=True)


StrictLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def name_of(document):
    return f"{document['kind']}/{document['metadata']['name']}"


def kind(documents, wanted):
    return [document for document in documents if document["kind"] == wanted]


def only(documents, wanted, name=None):
    (one,) = [each for each in kind(documents, wanted) if name is None or each["metadata"]["name"] == name]
    return one


def pods(documents):
    """The pods that these objects make: name, labels, spec."""
    for document in documents:
        if document["kind"] == "Pod":
            yield name_of(document), document["metadata"]["labels"], document["spec"]
        elif document["kind"] in ("Deployment", "StatefulSet"):
            made = document["spec"]["template"]
            yield name_of(document), made["metadata"]["labels"], made["spec"]


def gateway(documents):
    """The container of the gateway."""
    (container,) = only(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    return container


def environment(documents):
    return {each["name"]: each.get("value") for each in gateway(documents)["env"]}
