"""What happens to the gateways: first all is well, then one thing after the other goes wrong."""

import re

from line import Line
from promises import RULES
from stage import Account, Gateway, Load, Person, Prometheus, Redis, crowd, http, until

# Alerts of what one gateway, or the machine, is busy with: this one may be a small machine that does other work besides.
OF_THE_MACHINE = {"CrosstalkDeliveryLate", "CrosstalkDeliveryLateLasting", "CrosstalkPublishSlow",
                  "CrosstalkPublishSlowLasting", "CrosstalkBrokerSlow", "CrosstalkPasswordQueue"}

# What goes wrong below, as the alerts have it.
EXPECTED = {
    "CrosstalkNodeDown", "CrosstalkBrokerAway", "CrosstalkRequestsRefused", "CrosstalkMessagesLost",
    "CrosstalkConnectionsRefused", "CrosstalkGhostSweepLate", "CrosstalkUndecodable", "CrosstalkSessionsThrownOut",
    "CrosstalkNodeDeaf", "CrosstalkInboundOverflow", "CrosstalkBusReconnects", "CrosstalkDown",
}

# A node counts as dead sooner than usual, so that the test is short.
HASTE = {"cluster.lease_ms": "3000", "cluster.heartbeat_ms": "500", "cluster.sweep_ms": "250", "cluster.deaf_ms": "1500"}
# The code is not built to be fast, and all people of the load share one address.
EASE = {"passwords.memory_kib": "64", "passwords.iterations": "1", "limits.joins_per_second": "1000",
        "limits.messages_per_second": "1000", "auth.token_key": "0123456789abcdef0123456789abcdef"}
# The third gateway is soon full, and cannot hear texts as long as others may send.
NARROW = {"limits.connections": "150", "redis.bus_queue_bytes": "32768",
          "limits.connections_per_second": "10", "limits.connection_burst": "600"}
LONG_TEXT = {"limits.text_bytes": "50000"}


def impatient(rules):
    """The rules as they are, but judged at once: nobody waits here for an hour."""
    return re.sub(r"^ +(for|interval): .*\n", "", rules, flags=re.M)


class Story:
    """What happens, in order."""

    def __init__(self, folder, ending):
        self.folder, self.ending = folder, ending
        self.prometheus = self.keep(Prometheus(folder, impatient(RULES)))
        self.gateways = []

    def keep(self, process):
        self.ending.callback(process.kill)
        return process

    def fires(self, alert):
        until(f"{alert} fires", lambda: alert in self.prometheus.firing())

    def nothing_is_there(self):
        self.fires("CrosstalkDown")

    def gateways_start(self):
        self.redis = self.keep(Redis(self.folder))
        # The second has a line to Redis that can fall silent.
        self.line = self.keep(Line(self.redis.port))
        for number, (port, more) in enumerate([(self.redis.port, {}), (self.line.port, {}), (self.redis.port, NARROW)]):
            settings = HASTE | EASE | LONG_TEXT | more
            self.gateways.append(self.keep(Gateway(f"gateway-{number}", self.folder, port, **settings)))
        self.prometheus.scrape(self.gateways)
        until("all gateways are scraped", lambda: len(self.prometheus.now("crosstalk_build_info")) == 3)

    def people_talk(self):
        """All is well, and no alert fires for it."""
        load = self.keep(Load(self.folder, self.gateways))
        self.people_do_the_rest()
        load.wait()
        self.is_scraped()
        firing = self.prometheus.firing() - OF_THE_MACHINE
        assert not firing, f"all is well, and {firing} fire"

    def people_do_the_rest(self):
        """What the load generator's people do not."""
        near, far = self.gateways[0], self.gateways[1]
        self.alice, self.bob = Person(near), Person(far)
        for person, nickname in ((self.alice, "alice"), (self.bob, "bob")):
            person.login(nickname)
            person.accepted(action="JOIN ROOM", room_id="red")
        self.alice.accepted(action="TYPING", room_id="red")
        self.alice.accepted(action="SEND PRIVATE", to="bob", text="just between us")
        # Comes back as the one that was lost.
        carol = Person(far)
        carol.login("carol")
        answer = carol.accepted(action="JOIN ROOM", room_id="red")
        carol.lose()
        until("carol's session is held", lambda: self.prometheus.now("sum(crosstalk_held_sessions) > 0"))
        heir = Person(near)
        heir.accepted(action="RESUME", token=carol.welcome["resume"], rooms=[{"room_id": "red"} | answer["position"]])
        # Comes back as somebody else, and knows where it had got to.
        dave = Person(far)
        dave.accepted(action="JOIN ROOM", room_id="red", since=answer["position"])
        # Has an account, so that what is written to her is kept until it is told.
        frida = Account(far, "frida")
        self.alice.accepted(action="SEND PRIVATE", to="frida", text="kept until you read it")
        frida.hear("what was kept", lambda heard: "kept until" in str(heard))
        self.passing = [heir, dave, frida]
        self.token_is_refused(near)

    @staticmethod
    def token_is_refused(gateway):
        """A token that this server did not sign, on the way in."""
        request = "GET /chat/action?token=of-somebody-else HTTP/1.1\r\nHost: chat\r\nConnection: Upgrade\r\n" \
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        answer = http(gateway.addresses["http"], request)
        assert " 401 " in answer, answer

    def is_scraped(self):
        """Two scrapes of every target after now."""
        def scrapes():
            return {labels["instance"]: value for labels, value in
                    self.prometheus.now("count_over_time(up[10m])")}
        before = scrapes()
        until("all is scraped again", lambda: all(scrapes()[name] >= count + 2 for name, count in before.items()))

    def somebody_comes_with_too_many(self):
        door = self.gateways[2].addresses["action_tcp"]
        crowd(door, int(NARROW["limits.connections"]) + 20, lambda: self.fires("CrosstalkConnectionsRefused"))

    def somebody_comes_too_often(self):
        door = self.gateways[2].addresses["action_tcp"]

        def is_turned_away():
            crowd(door, 100, lambda: None)
            return any(value > 0 for _, value in self.prometheus.now("crosstalk_connections_paced_total"))
        until("some are told to come again", is_turned_away)

    def subscriptions_break(self):
        """Again and again, until somebody should look at it; nothing is lost."""
        def they_break():
            assert int(self.redis.query("CLIENT", "KILL", "TYPE", "pubsub")) > 0
            self.alice.say("heard?")
            self.bob.hear_text("heard?")
            return "CrosstalkBusReconnects" in self.prometheus.firing()
        until("CrosstalkBusReconnects fires", they_break)

    def a_gateway_falls_deaf(self):
        self.line.silent.set()
        self.fires("CrosstalkNodeDeaf")
        self.alice.say("not heard at once")
        self.line.silent.clear()
        self.bob.hear_text("not heard at once")
        until("it hears again", lambda: "CrosstalkNodeDeaf" not in self.prometheus.firing())

    def strange_things_are_heard(self):
        """Something unreadable, something twice, and more than the third gateway can take."""
        erin = Person(self.gateways[2])
        self.passing.append(erin)
        erin.login("erin")
        erin.accepted(action="JOIN ROOM", room_id="red")
        self.redis.query("PUBLISH", "ct:ch:{red}", "9 what is this")
        self.fires("CrosstalkUndecodable")
        epoch = self.redis.query("HGET", "ct:room:{red}", "epoch").strip()
        position, *fields = self.redis.query("XREVRANGE", "ct:room:{red}:log", "+", "-", "COUNT", "1").splitlines()
        known = dict(zip(fields[::2], fields[1::2]))
        again = f"1 {epoch} {position.split('-')[0]} {known['t']} {known['e']}"
        assert int(self.redis.query("PUBLISH", "ct:ch:{red}", again)) > 0
        text = "long " * 8000
        self.alice.say(text)
        # By the next thing heard the gateway notices that it missed one.
        self.alice.say("did you get that?")
        erin.hear_text(text)
        self.fires("CrosstalkInboundOverflow")

    def a_gateway_dies(self):
        victim = self.gateways[2]
        address = victim.addresses["admin"]
        until("erin was counted", lambda: self.prometheus.now(f'crosstalk_sessions{{instance="{address}"}} > 0'))
        victim.kill()
        self.fires("CrosstalkNodeDown")
        # For as long as nobody has cleaned up; that is what it takes to fire without patience.
        self.fires("CrosstalkGhostSweepLate")
        until("erin's name is free", lambda: self.alice.ask(action="LOGIN NICK", nickname="erin")["message"] == "OK")
        until("the others cleaned up", lambda: self.prometheus.now("sum(crosstalk_swept_memberships_total) > 0"))
        until("nobody misses it any more", lambda: "CrosstalkGhostSweepLate" not in self.prometheus.firing())

    def redis_dies_with_its_data(self):
        self.bob.say("about to be lost")
        self.redis.kill()
        self.fires("CrosstalkBrokerAway")
        for _ in range(20):
            answer = self.alice.ask(action="SEND MESSAGE", room_id="red", text="hello?")
            assert "unavailable" in answer["message"], answer
        self.fires("CrosstalkRequestsRefused")
        self.redis.start()
        until("alice can talk again", lambda: self.alice.ask(
            action="SEND MESSAGE", room_id="red", text="hello again")["message"] == "OK")
        self.fires("CrosstalkMessagesLost")

    def a_name_is_lost(self):
        """What the others do to a node that was cut off for longer than its lease."""
        mallory = Person(self.gateways[1])
        self.passing.append(mallory)
        mallory.login("mallory")
        # Her gateway believes that it holds the name, until it claims it again.
        self.redis.query("HSET", "ct:nick:{mallory}", "session", "f" * 32, "lease", "f" * 12)
        lease = [key for key in self.redis.query("KEYS", "ct:node:*").split() if key.count(":") == 2]
        assert lease, self.redis.query("KEYS", "*")
        self.redis.query("DEL", *lease)
        self.fires("CrosstalkSessionsThrownOut")

    def play(self):
        self.nothing_is_there()
        self.gateways_start()
        self.people_talk()
        self.somebody_comes_with_too_many()
        self.somebody_comes_too_often()
        self.subscriptions_break()
        self.a_gateway_falls_deaf()
        self.strange_things_are_heard()
        self.a_gateway_dies()
        self.redis_dies_with_its_data()
        self.a_name_is_lost()
        self.is_scraped()
