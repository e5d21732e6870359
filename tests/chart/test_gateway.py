"""The genuine gateway takes what the chart gives it, answers the probes, lets people talk, and is gone in time."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import yaml
from generate import CHART, ROOT, settings
from helm import CI, GATEWAY, Refused, environment, gateway, of_ci, only, template

OWNED = yaml.safe_load((CHART / "files" / "settings.yaml").read_text())
SETTINGS = {
    f"{section}.{key}": default
    for section, key, default, _ in settings((ROOT / "docs" / "CONFIG.md").read_text())
    if section != "auth.providers.NAME"
}
SECRETS = {
    "url": "rediss+sentinel://gateway:s3cret@one,two/chat",
    "token-key": "0123456789abcdef" * 4,
    "token-keys-former": "fedcba9876543210" * 4,
}


def mounted(documents, folder):
    """The environment of the gateway, with its files in this folder instead of where they are mounted."""
    spec = only(documents, "Deployment")["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    container = gateway(documents)
    for mount in container.get("volumeMounts", []):
        place = folder / mount["mountPath"].lstrip("/")
        place.mkdir(parents=True)
        for item in volumes[mount["name"]].get("secret", {}).get("items", []):
            (place / item["path"]).write_text(SECRETS.get(item["path"], "secret"))
    given = {}
    for variable in container["env"]:
        value = variable.get("value", "from-a-secret")
        value = re.sub(r"\$\((\w+)\)", lambda match: given.get(match[1], match[0]), value)
        if value.startswith("/run/crosstalk/"):
            value = str(folder / value.lstrip("/"))
            assert (folder / value).is_file(), f"{variable['name']} names a file that is not mounted"
        given[variable["name"]] = value
    return given


def judged(given):
    done = subprocess.run([GATEWAY, "config", "check"], env=given, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_the_gateway_takes_its_environment(path, tmp_path):
    assert judged(mounted(of_ci(path), tmp_path)) == "The configuration is good.\n"


def test_the_gateway_would_say_what_it_does_not_take(tmp_path):
    documents = template({"extraEnv": [{"name": "CROSSTALK_LIMITS_CONECTIONS", "value": "1"}]})
    assert "did you mean `CROSSTALK_LIMITS_CONNECTIONS`?" in judged(mounted(documents, tmp_path))


def test_every_setting_can_be_made(tmp_path):
    """What the chart does not make itself goes through `config` and comes to the gateway as it is."""
    config = {}
    for name, default in SETTINGS.items():
        if name not in OWNED:
            section, key = name.split(".")
            config.setdefault(section, {})[key] = default
    documents = template({"config": config})
    assert judged(mounted(documents, tmp_path)) == "The configuration is good.\n"
    for name, default in SETTINGS.items():
        if name not in OWNED:
            given = environment(documents)["CROSSTALK_" + name.replace(".", "_").upper()]
            assert given == (default if isinstance(default, str) else json.dumps(default)), name


@pytest.mark.parametrize("name", OWNED)
def test_what_the_chart_makes_is_refused_elsewhere(name):
    section, key = name.split(".")
    told = re.escape(f"config holds {name}, which the chart sets itself; use {OWNED[name]}")
    with pytest.raises(Refused, match=told):
        template({"config": {section: {key: SETTINGS.get(name, {})}}})
    variable = "CROSSTALK_" + name.replace(".", "_").upper()
    with pytest.raises(Refused, match=f"extraEnv holds {variable}, which the chart sets itself"):
        template({"extraEnv": [{"name": variable, "value": "x"}]})


def test_every_secret_can_come_from_a_secret(tmp_path):
    """Whatever the gateway reads out of a file is mounted from a Secret in the values with everything on."""
    given = mounted(of_ci(CHART / "ci" / "full-values.yaml"), tmp_path)
    files = {name for name, value in given.items() if value.startswith(str(tmp_path))}
    page = (ROOT / "docs" / "CONFIG.md").read_text()
    known = re.findall(r"\| `(CROSSTALK_\w+)` \| (?:\S+ )*?(?:PEM file|File that holds)", page)
    assert len(known) >= 10
    for variable in known:
        pattern = variable.replace("_NAME_", "_[A-Z_]+_")
        assert any(re.fullmatch(pattern, name) for name in files), f"{variable} cannot come from a Secret"


# The chart's ports, and free ones of this machine instead.
@contextlib.contextmanager
def running(documents, folder):
    given, ports = mounted(documents, folder), {}
    with contextlib.ExitStack() as held:
        for port in gateway(documents)["ports"]:
            listener = held.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports[port["containerPort"]] = listener.getsockname()[1]
    for name, value in given.items():
        if name.startswith("CROSSTALK_LISTEN_") and value != "off":
            given[name] = f"127.0.0.1:{ports[int(value.rsplit(':', 1)[1])]}"
    log = (folder / "log").open("w")
    process = subprocess.Popen([GATEWAY], env=given, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield process, ports
    finally:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_the_bundled_redis_takes_its_arguments_and_the_gateway_it(tmp_path):
    documents = template({"replicas": 2, "redis": {"bundled": {"enabled": True}}})
    (container,) = only(documents, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    service = only(documents, "Service", "chat-crosstalk-redis")["spec"]
    assert mounted(documents, tmp_path)["CROSSTALK_STORAGE_REDIS"] == "redis://chat-crosstalk-redis:6379"
    assert [port["port"] for port in service["ports"]] == [6379] == [port["containerPort"] for port in container["ports"]]
    (tmp_path / "data").mkdir()
    port = free_port()
    arguments = [str(tmp_path / "data") if each == "/data" else each for each in container["args"]]
    redis = subprocess.Popen([*container["command"], *arguments, "--port", str(port)], stdout=subprocess.DEVNULL)
    try:
        ask = ["redis-cli", "-p", str(port)]
        until(lambda: subprocess.run([*ask, "ping"], capture_output=True, text=True).stdout == "PONG\n", seconds=20)
        kept = subprocess.run([*ask, "config", "get", "maxmemory*"], capture_output=True, text=True).stdout.split("\n")
        assert "noeviction" in kept and str(256 << 20) in kept
        (variable,) = [each for each in gateway(documents)["env"] if each["name"] == "CROSSTALK_STORAGE_REDIS"]
        variable["value"] = f"redis://127.0.0.1:{port}"
        with running(documents, tmp_path) as (_, ports):
            until(lambda: answer(ports[9600], "/readyz") == 200, seconds=20)
    finally:
        redis.kill()
        redis.wait()


def answer(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def test_probes_test_pod_and_grace_period_fit_the_gateway(tmp_path):
    values = {"shutdown": {"readinessDelayMs": 1000, "deadlineMs": 2000, "marginSeconds": 3}}
    values["services"] = {"tcp": {"ports": {name: {"enabled": True} for name in ("action-tcp", "simple-tcp", "detect-tcp")}}}
    documents = template(values)
    container = gateway(documents)
    grace = only(documents, "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace == 6
    with running(documents, tmp_path) as (process, ports):
        admin = ports[9600]
        probes = [container[f"{which}Probe"]["httpGet"] for which in ("startup", "readiness", "liveness")]
        assert {probe["port"] for probe in probes} == {"admin"}
        for probe in probes:
            until(lambda: answer(admin, probe["path"]) == 200, seconds=20)
        assert answer(admin, "/metrics") == 200
        for port in ports.values():
            socket.create_connection(("127.0.0.1", port), timeout=5).close()

        services = {port["port"]: port["targetPort"] for each in documents if each["kind"] == "Service" for port in each["spec"]["ports"]}
        named = {port["name"]: ports[port["containerPort"]] for port in container["ports"]}
        (talk,) = only(documents, "Pod")["spec"]["containers"]
        # One second instead of five, and this machine instead of the Services.
        arguments = [argument.replace("--seconds=5", "--seconds=1") for argument in talk["args"]]
        arguments = [
            re.sub(r"//[-\w]+:(\d+)", lambda found: f"//127.0.0.1:{named[services[int(found[1])]]}", argument) for argument in arguments
        ]
        assert sum(argument.startswith("--url=") for argument in arguments) == 3
        talked = subprocess.run([GATEWAY, *arguments], capture_output=True, text=True)
        assert talked.returncode == 0, talked.stdout + talked.stderr

        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        until(lambda: answer(admin, "/readyz") == 503, seconds=1)
        assert answer(admin, "/livez") == 200
        assert process.wait(timeout=grace) == 0
        assert time.monotonic() - begun > 1
