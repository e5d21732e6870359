"""What the objects say to one another, for every way of use in `ci/`."""

import json
import re

import pytest
import yaml
from generate import ROOT
from helm import CI, archive, environment, gateway, helm, kind, name_of, of_ci, only, pods, template

# What Kubernetes and the operators find pods and Services by.
NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
every_ci = pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)


def selects(selector, labels):
    return selector.items() <= labels.items()


@every_ci
def test_both_versions_of_helm_make_the_same(path):
    one, other = ({name_of(each): each for each in of_ci(path, version)} for version in ("3", "4"))
    assert one == other


@every_ci
def test_names_are_valid_and_different(path):
    for documents in (of_ci(path), template(yaml.safe_load(path.read_text()), release="r" * 53)):
        names = [name_of(each) for each in documents]
        assert len(set(names)) == len(names)
        for name in names:
            name = name.split("/")[1]
            assert NAME.fullmatch(name) and len(name) <= 63 and "--" not in name, name


@every_ci
def test_services_lead_to_ports_of_the_right_pods(path):
    documents = of_ci(path)
    for service in kind(documents, "Service"):
        chosen = [spec for _, labels, spec in pods(documents) if selects(service["spec"]["selector"], labels)]
        (spec,) = chosen
        ports = {port["name"] for container in spec["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, name_of(service)


@every_ci
def test_every_listener_has_a_port_and_the_other_way_round(path):
    documents = of_ci(path)
    settings = environment(documents)
    listeners = {
        name.removeprefix("CROSSTALK_LISTEN_").lower().replace("_", "-"): int(value.rsplit(":", 1)[1])
        for name, value in settings.items()
        if name.startswith("CROSSTALK_LISTEN_") and value != "off"
    }
    assert listeners == {port["name"]: port["containerPort"] for port in gateway(documents)["ports"]}
    offered = {
        port["targetPort"]
        for service in kind(documents, "Service")
        for port in service["spec"]["ports"]
        if service["metadata"]["labels"]["app.kubernetes.io/component"] != "redis"
    }
    assert offered == set(listeners)


@every_ci
def test_the_admin_port_is_never_exposed(path):
    documents = of_ci(path)
    for service in kind(documents, "Service"):
        if any(port["targetPort"] == "admin" for port in service["spec"]["ports"]):
            assert service["spec"]["type"] == "ClusterIP" and service["spec"]["clusterIP"] == "None"
            assert [port["name"] for port in service["spec"]["ports"]] == ["admin"]
    admin = only(documents, "Service", only(documents, "Deployment")["metadata"]["name"] + "-admin")["metadata"]["name"]
    for way_in in ("Ingress", "HTTPRoute", "TCPRoute", "TLSRoute"):
        for each in kind(documents, way_in):
            assert admin not in json.dumps(each) and "9600" not in json.dumps(each)
    for policy in kind(documents, "NetworkPolicy"):
        for rule in policy["spec"].get("ingress", []):
            assert rule.get("from") or "admin" not in [port["port"] for port in rule["ports"]]


@every_ci
def test_ways_in_lead_to_ports_of_services(path):
    documents = of_ci(path)
    services = {each["metadata"]["name"]: each["spec"]["ports"] for each in kind(documents, "Service")}
    for ingress in kind(documents, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for way in rule["http"]["paths"]:
                backend = way["backend"]["service"]
                assert backend["port"]["name"] in [port["name"] for port in services[backend["name"]]]
    for way_in in ("HTTPRoute", "TCPRoute", "TLSRoute"):
        for route in kind(documents, way_in):
            for rule in route["spec"]["rules"]:
                for backend in rule["backendRefs"]:
                    assert backend["port"] in [port["port"] for port in services[backend["name"]]], name_of(route)


@every_ci
def test_a_pod_has_the_time_to_go_away(path):
    documents = of_ci(path)
    settings = environment(documents)
    needed = int(settings["CROSSTALK_SHUTDOWN_READINESS_DELAY_MS"]) + int(settings["CROSSTALK_SHUTDOWN_DEADLINE_MS"])
    granted = only(documents, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert granted * 1000 >= needed + 3000


@every_ci
def test_a_pod_has_the_time_to_come(path):
    documents = of_ci(path)
    waits = int(environment(documents).get("CROSSTALK_REDIS_START_TIMEOUT_MS", 30_000))
    probe = gateway(documents)["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] * 1000 > waits


@every_ci
def test_a_rollout_takes_nothing_away_too_early(path):
    spec = only(of_ci(path), "Deployment")["spec"]
    if spec["strategy"]["type"] == "Recreate":
        assert spec["replicas"] == 1 and "CROSSTALK_STORAGE_REDIS" not in " ".join(environment(of_ci(path)))
    else:
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert 0 < spec["minReadySeconds"] < spec["progressDeadlineSeconds"]


@every_ci
def test_pods_meet_the_restricted_profile(path):
    for name, _, spec in pods(of_ci(path)):
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for volume in spec.get("volumes", []):
            assert volume.keys() & {"secret", "configMap", "emptyDir", "projected", "persistentVolumeClaim"}, name
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name


@every_ci
def test_no_variable_is_given_twice(path):
    names = [each["name"] for each in gateway(of_ci(path))["env"]]
    assert len(set(names)) == len(names)


@every_ci
def test_no_secret_stands_in_the_open(path):
    documents = of_ci(path)
    for document in documents:
        if document["kind"] != "Secret":
            assert "s3cret" not in json.dumps(document), name_of(document)
    for name, value in environment(documents).items():
        secret = re.search("_(KEY|SECRET|PASSWORD|KEYS_FORMER)$", name)
        assert not secret or not value or value.startswith("/run/crosstalk/"), name


@every_ci
def test_policies_and_budgets_choose_the_gateways(path):
    documents = of_ci(path)
    labels = {name.split("/")[0]: labels for name, labels, _ in pods(documents)}
    for policy in kind(documents, "NetworkPolicy"):
        component = "StatefulSet" if policy["metadata"]["name"].endswith("-redis") else "Deployment"
        others = [each for each in labels if each != component]
        assert selects(policy["spec"]["podSelector"]["matchLabels"], labels[component])
        assert not any(selects(policy["spec"]["podSelector"]["matchLabels"], labels[each]) for each in others)
        # Every port of the pods is let in once: chat for clients, admin for who is named.
        (container,) = [spec["containers"][0] for name, _, spec in pods(documents) if name.startswith(component)]
        let_in = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
        assert sorted(let_in) == sorted(port["name"] for port in container["ports"])
    for budget in kind(documents, "PodDisruptionBudget"):
        assert selects(budget["spec"]["selector"]["matchLabels"], labels["Deployment"])
    deployment = only(documents, "Deployment")["spec"]
    assert selects(deployment["selector"]["matchLabels"], labels["Deployment"])
    several = deployment.get("replicas", 2) > 1
    assert bool(kind(documents, "PodDisruptionBudget")) == several


@every_ci
def test_scalers_scale_the_deployment_and_nobody_else_does(path):
    documents = of_ci(path)
    deployment = only(documents, "Deployment")
    scalers = kind(documents, "HorizontalPodAutoscaler") + kind(documents, "ScaledObject")
    assert ("replicas" in deployment["spec"]) != bool(scalers)
    for scaler in scalers:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment["metadata"]["name"]}
        assert scaler["spec"]["scaleTargetRef"] == target


@every_ci
def test_monitors_find_the_admin_port_once(path):
    documents = of_ci(path)
    release = only(documents, "Deployment")["metadata"]["name"]
    for monitor in kind(documents, "ServiceMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"]
        (service,) = [each for each in kind(documents, "Service") if selects(selector, each["metadata"]["labels"])]
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
        assert {"targetLabel": "job", "replacement": release} in endpoint["relabelings"]
    for monitor in kind(documents, "PodMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"]
        (spec,) = [spec for _, labels, spec in pods(documents) if selects(selector, labels)]
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] in [port["name"] for port in spec["containers"][0]["ports"]]
        assert {"targetLabel": "job", "replacement": release} in endpoint["relabelings"]


@every_ci
def test_notes_name_what_is_there(path):
    given = ["--namespace", "talk", "--dry-run=client", "--values", str(path)]
    notes = helm("4", "install", "chat", str(archive("4")), *given).partition("\nNOTES:\n")[2]
    documents = of_ci(path)
    named = re.findall(r"(service|deployment)/([-a-z0-9]+)(?: [0-9]+:([0-9]+))?", notes)
    assert len(named) >= 2
    for what, name, port in named:
        spec = only(documents, what.capitalize(), name)["spec"]
        assert what == "deployment" or int(port) in [each["port"] for each in spec["ports"]]
    assert ("helm -n talk test chat" in notes) == bool(kind(documents, "Pod"))


def test_keda_asks_for_what_the_monitors_write():
    (trigger, _) = only(of_ci(next(path for path in CI if path.stem == "keda-values")), "ScaledObject")["spec"]["triggers"]
    assert trigger["metadata"]["query"] == 'sum(crosstalk_connections{namespace="talk",job="chat-crosstalk"})'
    assert "`crosstalk_connections`" in (ROOT / "docs" / "METRICS.md").read_text()


def test_tls_routes_are_of_the_version_that_the_cluster_has():
    values = yaml.safe_load(next(path for path in CI if path.stem == "gateway-api-values").read_text())
    for options, version in (((), "v1alpha2"), (("--api-versions", "gateway.networking.k8s.io/v1/TLSRoute"), "v1")):
        for route in kind(template(values, options=options), "TLSRoute"):
            assert route["apiVersion"] == f"gateway.networking.k8s.io/{version}"


def test_another_redis_url_means_other_pods():
    def annotations(url):
        return only(template({"redis": {"url": url}}), "Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert annotations("redis://one") != annotations("redis://two")
