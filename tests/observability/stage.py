"""The servers of the test, each a process of its own on ports of its own; and waiting, always for a condition."""

import contextlib
import json
import os
import pathlib
import random
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
GATEWAY = ROOT / "target/debug/crosstalk"
# Generous: what does not come in this time does not come.
PATIENCE_S = 60


def until(what, look):
    """The first value of `look` that is true."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"it does not come true within {PATIENCE_S} s that {what}")
        time.sleep(0.05)


def free_port():
    """Not of the range from which the system takes ports for clients, one of which might take it while its server is down."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Process:
    """A process that ends with the test; its output is in a file that is shown when it does not come up."""

    def __init__(self, name, folder, command, **more):
        self.name, self.log = name, folder / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)

    def wait_for(self, what, look):
        def alive():
            if self.child.poll() is not None:
                raise AssertionError(f"{self.name} has ended:\n{self.log.read_text()[-4000:]}")
            return look()

        try:
            return until(what, alive)
        except AssertionError:
            print(self.log.read_text()[-4000:])
            raise

    def kill(self):
        self.child.kill()
        self.child.wait()


class Redis:
    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.start()

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder]
        self.process = Process("redis", self.folder, command)
        self.process.wait_for("redis answers", lambda: "PONG" in self.query("PING"))

    def query(self, *words):
        """What redis-cli prints; empty where nobody answers."""
        command = ["redis-cli", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False).stdout

    def kill(self):
        self.process.kill()


class Gateway:
    def __init__(self, name, folder, redis_port, **settings):
        listeners = ("http", "action", "simple", "pychat", "scrp", "action_tcp", "admin")
        settings = {f"listen.{listener}": "127.0.0.1:0" for listener in listeners} | settings
        command = [GATEWAY, "--redis", f"redis://127.0.0.1:{redis_port}"]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSTALK_", "RUST_LOG"))}
        self.process = Process(name, folder, command, env=own)
        self.process.wait_for(f"{name} is ready", lambda: any(line.get("message") == "ready" for line in self.said()))
        self.addresses = {line["listener"]: line["address"] for line in self.said() if "listener" in line}

    def said(self):
        # The last line may not be whole yet; the banner is no JSON.
        lines = self.process.log.read_text().split("\n")[:-1]
        return [json.loads(line)["fields"] for line in lines if line.startswith("{")]

    def kill(self):
        self.process.kill()


class Prometheus:
    """Scrapes what it is told of, and judges the rules as soon as their expressions are true."""

    SCRAPE_S = 1

    def __init__(self, folder, rules):
        self.port, self.targets = free_port(), folder / "targets.json"
        self.targets.write_text("[]")
        (folder / "rules.yaml").write_text(rules)
        (folder / "prometheus.yaml").write_text(
            f"global: {{scrape_interval: {self.SCRAPE_S}s, evaluation_interval: {self.SCRAPE_S}s}}\n"
            "rule_files: [rules.yaml]\n"
            "scrape_configs:\n"
            "  - job_name: crosstalk\n"
            "    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]\n"
        )
        command = ["prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/tsdb"]
        self.process = Process("prometheus", folder, [*command, f"--web.listen-address=127.0.0.1:{self.port}"])
        self.process.wait_for("prometheus is ready", self.is_ready)
        self.began = time.time()

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=PATIENCE_S) as answer:
                return answer.status == 200
        except OSError:
            return False

    def scrape(self, gateways):
        """In one step, so that Prometheus never reads half a file."""
        targets = [{"targets": [gateway.addresses["admin"]], "labels": {"namespace": "chat"}} for gateway in gateways]
        written = self.targets.with_suffix(".new")
        written.write_text(json.dumps(targets))
        written.replace(self.targets)

    def ask(self, path, **arguments):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{arguments}: {json.load(error)['error']}") from error

    def now(self, query):
        """Label sets and values of an instant query."""
        found = self.ask("query", query=query)["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def course(self, query):
        """Label sets and values of a query over the whole test."""
        found = self.ask("query_range", query=query, start=self.began, end=time.time(), step=self.SCRAPE_S)["result"]
        return [(series["metric"], [float(value) for _, value in series["values"]]) for series in found]

    def firing(self):
        return {labels["alertname"] for labels, _ in self.now('ALERTS{alertstate="firing"}')}

    def kill(self):
        self.process.kill()


class Load:
    """People of all dialects, played by the load generator; it judges itself what it saw."""

    def __init__(self, folder, gateways):
        command = [GATEWAY, "load", "evening", "--rooms", "6", "--members", "8", "--rate", "30", "--seconds", "6"]
        for gateway in gateways:
            command += ["--url", f"ws://{gateway.addresses['http']}"]
        self.process = Process("load", folder, command)

    def wait(self):
        code = self.process.child.wait(timeout=PATIENCE_S)
        assert code == 0, f"the load generator is not content:\n{self.process.log.read_text()[-4000:]}"

    def kill(self):
        self.process.kill()


def reset(connection):
    """Ends a connection so that the other side takes it for lost."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def http(address, request):
    """The status line that a request is answered with."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(request.encode())
        return connection.makefile("r", encoding="latin-1").readline()


def crowd(address, count, meanwhile):
    """So many connections at a time."""
    host, port = address.split(":")
    with contextlib.ExitStack() as leaving:
        for _ in range(count):
            leaving.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE_S))
        meanwhile()


class Person:
    """Somebody who speaks the extended mode of `action`, a JSON object a line."""

    def __init__(self, gateway):
        host, port = gateway.addresses["action_tcp"].split(":")
        self.connection = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self.lines = self.connection.makefile("r", encoding="utf-8")
        self.welcome = self.ask(action="HELLO", ext=1)

    def send(self, text):
        self.connection.sendall(text.encode() + b"\n")

    def hear(self, what, is_it):
        for line in self.lines:
            heard = json.loads(line)
            if is_it(heard):
                return heard
        raise AssertionError(f"the connection ended before {what} was heard")

    def ask(self, **request):
        """The answer to a request, whatever is told in between."""
        self.send(json.dumps(request))
        return self.hear(f"the answer to {request}", lambda heard: heard.get("request") == request)

    def login(self, nickname):
        self.accepted(action="LOGIN NICK", nickname=nickname)

    def accepted(self, **request):
        answer = self.ask(**request)
        assert answer["message"] == "OK", answer
        return answer

    def say(self, text):
        return self.accepted(action="SEND MESSAGE", room_id="red", text=text)

    def hear_text(self, text):
        return self.hear("what was said", lambda heard: heard.get("text") == text)

    def lose(self):
        reset(self.connection)
        self.lines.close()


class Account:
    """Somebody with an account, who speaks `scrp`: JSON objects with their lengths before them."""

    def __init__(self, gateway, name):
        host, port = gateway.addresses["scrp"].split(":")
        self.connection = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
        self.bytes = self.connection.makefile("rb")
        who = {"user_id": name, "user_password": "cat or no cat"}
        self.ask(1, method="SIGN_UP", user_nickname=name, **who)
        self.ask(2, method="LOG_IN", **who)

    def hear(self, what, is_it):
        while length := self.bytes.read(4):
            heard = json.loads(self.bytes.read(int.from_bytes(length)))
            if is_it(heard):
                return heard
        raise AssertionError(f"the connection ended before {what} was heard")

    def ask(self, number, **request):
        request = json.dumps({"req_id": number} | request).encode()
        self.connection.sendall(len(request).to_bytes(4) + request)
        answer = self.hear(f"the answer to {request}", lambda heard: heard.get("resp_id") == number)
        assert answer["err"] == 900, answer
        return answer
