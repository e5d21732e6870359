"""Every object is one that Kubernetes knows, in every version from the oldest that the chart takes."""

import functools
import json
import subprocess

import kubernetes_validate
import pytest
import yaml
from generate import CHART, HERE
from helm import CI, VERSIONS, Refused, archive, helm, name_of, of_ci, template

# It reads a megabyte of definitions for each object otherwise.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)

OLDEST = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
RELEASES = [f"1.{minor}" for minor in range(int(OLDEST.split(".")[1]), 38)]
CUSTOM = ("monitoring.coreos.com/", "gateway.networking.k8s.io/", "keda.sh/")


def is_custom(document):
    return document["apiVersion"].startswith(CUSTOM)


def check(documents, releases=RELEASES):
    """Judges what Kubernetes itself has."""
    for document in documents:
        for release in releases:
            if not is_custom(document):
                judge(json.dumps(document), release)


@functools.cache
def judge(text, release):
    document = json.loads(text)
    try:
        judged_by = kubernetes_validate.validate(document, release, strict=True)
    except kubernetes_validate.ValidationError as error:
        raise AssertionError(f"{name_of(document)}, Kubernetes {release}: {list(error.path)}: {error.message}") from None
    assert judged_by == release, f"no schemas of {release}, only of {judged_by}"


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_kubernetes_knows_every_object(path):
    check(of_ci(path))


def test_the_judge_refuses_what_is_wrong():
    (deployment,) = [each for each in of_ci(CI[0]) if each["kind"] == "Deployment"]
    for change in ({"replica": 1}, {"replicas": "one"}):
        with pytest.raises(AssertionError, match="replica"):
            check([{**deployment, "spec": {**deployment["spec"], **change}}], RELEASES[-1:])


@pytest.mark.parametrize("version", VERSIONS)
def test_older_clusters_are_refused(version):
    for release in RELEASES:
        helm(version, "template", "chat", str(archive(version)), "--kube-version", release)
    with pytest.raises(Refused, match="chart requires kubeVersion"):
        helm(version, "template", "chat", str(archive(version)), "--kube-version", "1.27.16")


def judge_custom(documents):
    """Has the schemas of the operators judge their resources; gives what is wrong."""
    customs = [document for document in documents if is_custom(document)]
    done = subprocess.run(
        ["node", str(HERE / "custom_resources.mjs")], input=json.dumps(customs), capture_output=True, text=True, cwd=HERE
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def test_operators_know_their_resources():
    documents = [document for path in CI for document in of_ci(path)]
    newest = "gateway.networking.k8s.io/v1/TLSRoute"
    routes = yaml.safe_load((CHART / "ci" / "gateway-api-values.yaml").read_text())
    documents += template(routes, options=("--api-versions", newest))
    rules = CHART.parent.parent / "dashboards" / "alerts.yaml"
    if rules.exists():
        documents += template({"prometheusRule": {"enabled": True}})
    seen = {document["kind"] for document in documents if is_custom(document)}
    assert seen - {"PrometheusRule"} == {
        "ServiceMonitor", "PodMonitor", "HTTPRoute", "TCPRoute", "TLSRoute", "ScaledObject",
    }  # fmt: skip
    assert ("PrometheusRule" in seen) == rules.exists()
    assert judge_custom(documents) == ""


def test_the_judge_of_custom_resources_refuses_what_is_wrong():
    (scaled,) = [each for each in of_ci(CHART / "ci" / "keda-values.yaml") if each["kind"] == "ScaledObject"]
    # A field that nobody knows, one that is missing, one that is out of its range.
    for change, told in (
        ({"polingInterval": 3}, "polingInterval"),
        ({"triggers": [{"type": "cpu"}]}, "metadata"),
        ({"fallback": {"failureThreshold": 3, "replicas": 2, "behavior": "never"}}, "behavior"),
    ):
        assert told in judge_custom([{**scaled, "spec": {**scaled["spec"], **change}}])
    strange = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledThing", "metadata": {"name": "x"}}
    assert "ScaledThing" in judge_custom([strange])
