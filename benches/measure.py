#!/usr/bin/env python3
"""The figures of docs/PERFORMANCE.md: `benches/measure.py [SECTION...]`, after `cargo build --release`.

Each section starts a Redis and gateways of its own on one processor, plays people on another with `crosstalk load`, and prints a
table. Costs are CPU times; where it says "×", they are multiples of the floor program's in the same run. All reports go to
target/measure/. A run in which a promise was broken ends this one."""

import argparse
import functools
import json
import operator
import os
import pathlib
import random
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target/release/crosstalk"
REPORTS = ROOT / "target/measure"
SERVER_CPU, LOAD_CPU = 0, 1
LISTENERS = ("http", "https", "action", "simple", "pychat", "scrp", "admin")
# Nobody is to be refused for being fast; everything else is as it comes.
SETTINGS = {
    "limits.messages_per_second": 1_000_000, "limits.message_burst": 1_000_000,
    "limits.joins_per_second": 1_000_000, "limits.join_burst": 1_000_000,
    "limits.connections_per_second": 0,
}


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Process:
    def __init__(self, *command):
        self.log = tempfile.TemporaryFile()
        pinned = ["taskset", "-c", str(SERVER_CPU), *map(str, command)]
        self.child = subprocess.Popen(pinned, stdout=self.log, stderr=self.log)

    def wait_for(self, is_there):
        deadline = time.monotonic() + 30
        while not is_there():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                sys.exit(f"{self.child.args} does not start:\n{self.log.read().decode()}")
            time.sleep(0.05)

    def status_kib(self, field):
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise KeyError(field)

    def stop(self):
        self.child.kill()
        self.child.wait()


class Redis(Process):
    def __init__(self):
        [self.port] = free_ports(1)
        super().__init__("redis-server", "--port", self.port, "--save", "", "--appendonly", "no",
                         "--dir", tempfile.gettempdir())
        self.wait_for(self.answers)

    def answers(self):
        with socket.socket() as link:
            return link.connect_ex(("127.0.0.1", self.port)) == 0


class Gateway(Process):
    def __init__(self, redis, **settings):
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
        chosen = {**SETTINGS, **{f"listen.{name}": f"127.0.0.1:{port}" for name, port in self.ports.items()}}
        if "tls.certificate" not in settings:
            chosen["listen.https"] = "off"
        chosen.update(settings)
        sets = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
        super().__init__(PROGRAM, "--redis", f"redis://127.0.0.1:{redis.port}", *sets)
        self.wait_for(self.is_ready)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.ports['http']}"


class House:
    """A Redis and its gateways, for as long as one measurement takes."""

    def __init__(self, gateways=1, **settings):
        self.redis = Redis()
        self.gateways = [Gateway(self.redis, **settings) for _ in range(gateways)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in [*self.gateways, self.redis]:
            process.stop()

    def load(self, scenario, *arguments):
        """The report of a run of `crosstalk load`."""
        REPORTS.mkdir(parents=True, exist_ok=True)
        file = REPORTS / f"{time.strftime('%H%M%S')}-{random.randrange(10**6)}.json"
        urls = [part for gateway in self.gateways for part in ("--url", gateway.url)]
        done = subprocess.run(
            [PROGRAM, "load", scenario, *map(str, arguments), *urls, "--watch", f"redis=:{self.redis.port}",
             "--pin", str(LOAD_CPU), "--floor-pin", str(SERVER_CPU), "--json", file],
            capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{done.args}\n{done.stdout}\n{done.stderr}")
        return json.loads(file.read_text())


def of(rounds, *path):
    """The median of a figure over the rounds."""
    return statistics.median(functools.reduce(operator.getitem, path, each) for each in rounds)


def measured(scenario, *arguments, rounds=1, gateways=1, **settings):
    """The rounds of so many runs, each with processes of its own: nothing of one is left for the next to wait for."""
    found = []
    for _ in range(rounds):
        with House(gateways, **settings) as house:
            found += house.load(scenario, *arguments)["rounds"]
    return found


def table(title, head, rows):
    print(f"\n### {title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |", flush=True)


def multiple(rounds, *names):
    """What these processes used for a delivery, over what the floor program used in the same round."""
    return statistics.median(
        sum(each["server"]["us_per_delivery"][name] for name in names) / each["floor"]["us_per_delivery"]["floor"]
        for each in rounds)


DELIVERY = ["gateway", "gateway and Redis", "floor", "gateway", "Redis", "delivered after: p50", "p99", "floor's p99"]


def delivery(rounds):
    return [
        f"{multiple(rounds, 'server'):.3g} ×",
        f"{multiple(rounds, 'server', 'redis'):.3g} ×",
        f"{of(rounds, 'floor', 'us_per_delivery', 'floor'):.2f} µs",
        f"{of(rounds, 'server', 'us_per_delivery', 'server'):.2f} µs",
        f"{of(rounds, 'server', 'us_per_delivery', 'redis'):.2f} µs",
        f"{of(rounds, 'server', 'delivery_ms', 'p50'):.2f} ms",
        f"{of(rounds, 'server', 'delivery_ms', 'p99'):.2f} ms",
        f"{of(rounds, 'floor', 'delivery_ms', 'p99'):.2f} ms",
    ]


# How often gateway and floor take turns, and for how many seconds; main() has the last word.
class Pace:
    rounds, seconds = 5, 4.0


def compared(scenario, *arguments, **settings):
    return measured(scenario, *arguments, "--floor", "--seconds", Pace.seconds, rounds=Pace.rounds, **settings)


def section_goals():
    def rows():
        for name, scenario, arguments in [
            ("one room of 1,000, one message at a time", "hot", ["--members", 1000]),
            ("the same, 16 in flight", "hot", ["--members", 1000, "--in-flight", 16]),
            ("1,000 rooms of 10, 4,000 sends/s", "rooms", ["--rooms", 1000, "--members", 10, "--rate", 4000]),
        ]:
            yield [name, *delivery(compared(scenario, *arguments))]
    table("CPU per delivery", ["what", *DELIVERY], rows())


def section_idle():
    def rows():
        for goes in ("connected", "named", "joined"):
            rounds = measured("idle", "--connections", 10_000, "--goes", goes, "--seconds", 1, "--floor", rounds=Pace.rounds)
            memory = [of(rounds, side, "resident_bytes_per_connection", name) / 1024
                      for side, name in (("server", "server"), ("server", "redis"), ("floor", "floor"))]
            cpu = [of(rounds, side, "open_us_per_connection", name)
                   for side, name in (("server", "server"), ("server", "redis"), ("floor", "floor"))]
            yield [goes, *(f"{kib:.2f} KiB" for kib in memory), *(f"{us:.0f} µs" for us in cpu)]
    head = ["10,000 connections", "gateway", "Redis", "floor", "CPU to come in: gateway", "Redis", "floor"]
    table("Memory and CPU of a connection", head, rows())


def section_keepalive():
    def rows():
        for every in (5, 30, 3600):
            rounds = measured("idle", "--connections", 10_000, "--seconds", 40, **{"session.keepalive_s": every})
            yield [f"{every} s", f"{of(rounds, 'server', 'busy_percent', 'server'):.2f} %",
                   f"{of(rounds, 'server', 'busy_percent', 'redis'):.2f} %"]
    table("10,000 idle connections, by the time between two pings", ["pings every", "gateway", "Redis"], rows())


def section_connections():
    def rows():
        for connections in (100, 1000, 5000, 10_000, 19_000):
            arguments = ["--rooms", connections // 10, "--members", 10, "--rate", 2000]
            yield [f"{connections:,}", *delivery(compared("rooms", *arguments))]
    table("Connections, in rooms of 10, 2,000 sends/s", ["connections", *DELIVERY], rows())


def section_members():
    def rows():
        for members in (1, 10, 100, 1000, 10_000):
            yield [f"{members:,}", *delivery(compared("hot", "--members", members))]
    table("Members of one room, one message at a time", ["members", *DELIVERY], rows())


def section_rooms():
    def rows():
        for rooms, own in ((1, 0), (10, 0), (100, 0), (1000, 0), (1000, 1), (1000, 10)):
            arguments = ["--rooms", rooms, "--members", 10, "--own-rooms", own, "--rate", 2000]
            yield [f"{rooms * (1 + 10 * own):,}", *delivery(compared("rooms", *arguments))]
    table("Rooms, of which up to 1,000 talk, 10 in each, 2,000 sends/s", ["rooms", *DELIVERY], rows())


def section_text():
    def rows():
        for text in (10, 100, 1000, 4000):
            arguments = ["--members", 1000, "--text-bytes", text]
            yield [f"{text:,} B", *delivery(compared("hot", *arguments))]
    table("Text, one room of 1,000, one message at a time", ["text", *DELIVERY], rows())


def section_dialects():
    def rows():
        for dialect in ("action", "action-ext", "simple", "pychat", "scrp"):
            arguments = ["--members", 1000, "--dialect", dialect]
            settings = {"passwords.memory_kib": 64, "passwords.iterations": 1}
            yield [dialect, *delivery(compared("hot", *arguments, **settings))]
    table("Dialects, one room of 1,000, one message at a time", ["dialect", *DELIVERY], rows())


def section_nodes():
    def rows():
        for rate in (500, 1000, 2000):
            arguments = ["--rooms", 1000, "--members", 10, "--rate", rate]
            rounds = compared("rooms", *arguments, gateways=2)
            busy = [of(rounds, "server", "busy_percent", name) for name in ("server", "redis")]
            yield [f"{rate:,}", f"{sum(busy):.0f} %", *delivery(rounds)]
    table("Two nodes and Redis on one processor, 1,000 rooms of 10", ["sends/s", "of the processor", *DELIVERY], rows())


def section_slow():
    """Peak memory, because whoever stalls is closed before the end."""
    def peak_kib(mailbox, one_of):
        with House(**{"limits.mailbox_bytes": mailbox}) as house:
            [gateway] = house.gateways
            idle = gateway.status_kib("VmRSS")
            report = house.load("slow", "--members", 1010, "--one-of", one_of, "--text-bytes", 4000, "--in-flight", 4,
                                "--messages", 2500, "--seconds", 300)
            return gateway.status_kib("VmHWM") - idle, of(report["rounds"], "server", "stalled_closed")

    def rows():
        for mailbox in (65_536, 262_144, 1_048_576):
            (few, _), (many, closed) = peak_kib(mailbox, 101), peak_kib(mailbox, 2)
            yield [f"{mailbox // 1024} KiB", f"{few / 1024:.0f} MiB", f"{many / 1024:.0f} MiB",
                   f"{(many - few) / 495:.0f} KiB", round(closed)]
    head = ["mailbox limit", "peak with 10 stalled", "peak with 505 stalled", "each of them", "closed"]
    table("Readers that stall, one room of 1,010, texts of 4,000 bytes", head, rows())


def upgraded(link, port):
    link.sendall((f"GET /chat/action HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
    if b" 101 " not in link.recv(4096):
        sys.exit("no WebSocket")
    return link


def section_tls():
    connections = 2000
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = f"{folder}/cert.pem", f"{folder}/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=localhost", "-days", "2", "-keyout", key, "-out", certificate],
                       check=True, capture_output=True)
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

        def rows():
            for name in ("http", "https"):
                with House(**{"tls.certificate": certificate, "tls.key": key}) as house:
                    [gateway] = house.gateways
                    port = gateway.ports[name]

                    def come():
                        link = socket.create_connection(("127.0.0.1", port))
                        return upgraded(trusting.wrap_socket(link) if name == "https" else link, port)

                    held = [come() for _ in range(100)]
                    before = gateway.status_kib("VmRSS")
                    held += [come() for _ in range(connections)]
                    grown = gateway.status_kib("VmRSS") - before
                    for link in held:
                        link.close()
                yield [name, f"{grown / connections:.2f} KiB"]
            floor = subprocess.run(["cargo", "bench", "--quiet", "--bench", "tls_floor"], cwd=ROOT, check=True,
                                   capture_output=True, text=True)
            yield ["(the TLS library alone)", f"{float(floor.stdout):.2f} KiB"]
        table("Memory of a WebSocket that says nothing", ["over", "gateway"], rows())


SECTIONS = {name.removeprefix("section_"): act for name, act in list(globals().items()) if name.startswith("section_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS) + "; all without one")
    parser.add_argument("--rounds", type=int, default=Pace.rounds, help="how often gateway and floor take turns")
    parser.add_argument("--seconds", type=float, default=Pace.seconds, help="seconds of measuring in each")
    asked = parser.parse_args()
    Pace.rounds, Pace.seconds = asked.rounds, asked.seconds
    unknown = set(asked.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    print(f"machine: {os.cpu_count()} processors, kernel {os.uname().release}, {time.strftime('%d %B %Y')}")
    for name in asked.sections or SECTIONS:
        SECTIONS[name]()


if __name__ == "__main__":
    main()
