"""Thousands of WebSocket clients of the extended mode of `action`, in one thread: they bear a nickname, sit in a room, now and then say
something, and come back where they were when they are sent away. Shares no code with the gateway."""

import base64
import collections
import json
import os
import selectors
import socket
import struct
import time

RESTART = 1012


class Person:
    """One client; `state` is 'dialling', 'shaking', 'opening' or 'in'."""

    def __init__(self, number, room):
        self.name, self.room = f"person{number:05}", f"room{room:04}"
        self.link, self.state = None, "away"
        self.token, self.epoch, self.offset = None, None, None
        self.reconnect_ms, self.gaps, self.comings = None, 0, 0
        self.buffer = bytearray()


class Crowd:
    def __init__(self, count, per_room, doors):
        """`doors`: the addresses of the balancers; the people are shared out among them."""
        self.people = [Person(number, number // per_room) for number in range(count)]
        self.doors = doors
        self.selector = selectors.DefaultSelector()
        self.outside = collections.deque(enumerate(self.people))
        # How many may be on their way in.
        self.at_once, self.coming = 64, 0
        self.closes, self.arrivals, self.told = [], [], []
        self.faults = collections.Counter()
        # Messages that were acknowledged, and all that was heard.
        self.said, self.heard = 0, 0

    def is_complete(self):
        return not self.outside and not self.coming

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()

    # Coming and going.

    def dial(self, number, person):
        person.link = socket.socket()
        person.link.setblocking(False)
        person.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        person.link.connect_ex(self.doors[number % len(self.doors)])
        person.state = "dialling"
        person.buffer.clear()
        self.coming += 1
        self.selector.register(person.link, selectors.EVENT_WRITE, (number, person))

    def shake(self, person):
        key = base64.b64encode(os.urandom(16)).decode()
        person.state = "shaking"
        person.link.send((f"GET /chat/action?ext=1 HTTP/1.1\r\nHost: chat\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())

    def leave(self, number, person, why):
        """The connection is over; the person comes again."""
        if person.state != "in":
            self.coming -= 1
        self.faults[why] += why != RESTART
        self.selector.unregister(person.link)
        person.link.close()
        person.state = "away"
        self.outside.append((number, person))

    def is_in(self, person):
        person.state = "in"
        person.comings += 1
        self.coming -= 1
        self.arrivals.append(time.monotonic())

    # Frames.

    @staticmethod
    def send(person, opcode=1, **fields):
        payload = fields.pop("payload", None)
        payload = json.dumps(fields, separators=(",", ":")).encode() if payload is None else payload
        head = bytes([0x80 | opcode, 0x80 | (len(payload) if len(payload) < 126 else 126)])
        head += b"" if len(payload) < 126 else struct.pack(">H", len(payload))
        # A mask of zeros is a mask, too.
        person.link.send(head + b"\0\0\0\0" + payload)

    def frames(self, person):
        buffer = person.buffer
        while len(buffer) >= 2:
            length, start = buffer[1] & 0x7F, 2
            if length == 126:
                if len(buffer) < 4:
                    return
                (length,), start = struct.unpack_from(">H", buffer, 2), 4
            if len(buffer) < start + length:
                return
            opcode, payload = buffer[0] & 0x0F, bytes(buffer[start:start + length])
            del buffer[:start + length]
            yield opcode, payload

    def read(self, number, person):
        try:
            data = person.link.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            return self.leave(number, person, type(error).__name__)
        if not data:
            return self.leave(number, person, "ended without a close frame")
        person.buffer += data
        if person.state == "shaking":
            head, found, rest = person.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                return self.leave(number, person, head.split(b"\r\n")[0].decode())
            person.buffer, person.state = bytearray(rest), "opening"
        for opcode, payload in self.frames(person):
            if opcode == 1:
                self.take(person, json.loads(payload))
            elif opcode == 9:
                self.send(person, 10, payload=payload)
            elif opcode == 8:
                code = struct.unpack_from(">H", payload)[0] if payload else None
                if code == RESTART:
                    self.closes.append(time.monotonic())
                return self.leave(number, person, code)

    def take(self, person, frame):
        action, request = frame["action"], (frame.get("request") or {}).get("action")
        if action == "ERROR" and request is not None:
            self.faults[f"{request}: {frame['message']}"] += 1
        elif action == "RECONNECT":
            person.reconnect_ms = frame["after_ms"]
            self.told.append(frame["after_ms"])
        elif action in ("GET MESSAGE", "ROOM EVENT"):
            self.heard += action == "GET MESSAGE"
            self.follow(person, frame)
        elif "resume" in frame and request is None or request == "HELLO":
            former, person.token = person.token, frame["resume"]
            if former is None:
                self.send(person, action="LOGIN NICK", nickname=person.name)
                self.send(person, action="JOIN ROOM", room_id=person.room)
            else:
                room = {"room_id": person.room, "epoch": person.epoch, "offset": person.offset}
                self.send(person, action="RESUME", token=former, rooms=[room])
        elif request == "SEND MESSAGE":
            self.said += 1
        elif request == "JOIN ROOM":
            person.epoch, person.offset = frame["position"]["epoch"], frame["position"]["offset"] - 1
            self.is_in(person)
        elif request == "RESUME":
            person.token, [room] = frame["resume"], frame["rooms"]
            self.faults["another nickname"] += frame.get("nickname") != person.name
            self.faults["not recovered"] += room.get("recovered") is not True
            self.is_in(person)

    def follow(self, person, frame):
        """Nothing of the room is missing, and nothing comes twice."""
        if frame["epoch"] != person.epoch or frame["offset"] != person.offset + 1:
            self.faults["missing, or twice"] += 1
        person.epoch, person.offset = frame["epoch"], frame["offset"]

    # Time.

    def run(self, until, says_per_second=0, patience_s=180):
        """Serves everybody until `until` says so; whoever is in speaks, at this rate of all together."""
        began, said = time.monotonic(), 0
        turn = iter(())
        while not until():
            now = time.monotonic()
            assert now - began < patience_s, f"not within {patience_s} s: {dict(self.faults)}, {len(self.outside)} are outside"
            while self.outside and self.coming < self.at_once:
                self.dial(*self.outside.popleft())
            while said < (now - began) * says_per_second:
                said += 1
                person = next(turn, None)
                if person is None:
                    turn = iter(self.people[::7])
                elif person.state == "in":
                    self.send(person, action="SEND MESSAGE", room_id=person.room, text=f"{person.name} says {said}")
            for key, _ in self.selector.select(0.02):
                number, person = key.data
                if person.state == "dialling":
                    self.selector.modify(person.link, selectors.EVENT_READ, key.data)
                    try:
                        self.shake(person)
                    except OSError as error:
                        self.leave(number, person, type(error).__name__)
                else:
                    self.read(number, person)
