"""Wrong values are refused, by words that tell what to do."""

import pytest
from helm import VERSIONS, Refused, template

REDIS = {"existingSecret": "chat-redis"}
ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}]}

# By the templates: values that are good one by one, and not together.
TOGETHER = {
    "more than one replica needs a shared Redis: set redis.url, redis.existingSecret or redis.bundled.enabled": [
        {"replicas": 2},
        {"autoscaling": {"enabled": True}},
    ],
    "redis.url and redis.existingSecret are both set": [{"redis": {"url": "redis://a", **REDIS}}],
    "redis.bundled.enabled is set beside redis.url or redis.existingSecret": [
        {"redis": {"url": "redis://a", "bundled": {"enabled": True}}},
        {"redis": {"bundled": {"enabled": True}, **REDIS}},
    ],
    "redis.passwordSecret and $(REDIS_PASSWORD) in redis.url need each other": [
        {"redis": {"url": "redis://a", "passwordSecret": "p"}},
        {"redis": {"url": "redis://:$(REDIS_PASSWORD)@a"}},
        {"redis": {"passwordSecret": "p"}},
    ],
    "redis.tls needs a redis.url that begins with rediss": [{"redis": {"url": "redis://a", "tls": {"caSecret": "ca"}}}],
    "redis.tls means nothing to the bundled Redis": [{"redis": {"bundled": {"enabled": True}, "tls": {"caSecret": "ca"}}}],
    "every port of services is off": [
        {
            "services": {
                "http": {"ports": {"http": {"enabled": False}, "action": {"enabled": False}, "simple": {"enabled": False}}},
                "pychat": {"ports": {"pychat": {"enabled": False}}},
                "scrp": {"ports": {"scrp": {"enabled": False}}},
            }
        }
    ],
    "the port detect-tls needs tls.existingSecret": [{"services": {"tcp": {"ports": {"detect-tls": {"enabled": True}}}}}],
    "ingress.enabled needs at least one name in ingress.hosts": [{"ingress": {"enabled": True}}],
    "ingress.enabled needs services.http.ports.http.enabled": [
        {"ingress": {"enabled": True, "hosts": ["a"]}, "services": {"http": {"ports": {"http": {"enabled": False}}}}}
    ],
    "routes.scrp.enabled needs at least one Gateway in routes.scrp.parentRefs": [{"routes": {"scrp": {"enabled": True}}}],
    "routes.scrp.enabled needs the port scrp to be enabled": [
        {"routes": {"scrp": ROUTE}, "services": {"scrp": {"ports": {"scrp": {"enabled": False}}}}}
    ],
    "routes.pychat-tls.enabled needs at least one name in routes.pychat-tls.hostnames": [
        {
            "tls": {"existingSecret": "t"},
            "services": {"pychat": {"ports": {"pychat-tls": {"enabled": True}}}},
            "routes": {"pychat-tls": ROUTE},
        }
    ],
    "auth.providers needs auth.existingSecret and auth.publicUrl": [
        {"auth": {"providers": {"a": {"client_id": "b"}}, "existingSecret": "c"}}
    ],
    "auth.requireLogin needs auth.existingSecret": [{"auth": {"requireLogin": True}}],
    "auth.formerKeys needs auth.existingSecret": [{"auth": {"formerKeys": True}}],
    "autoscaling.minReplicas is above autoscaling.maxReplicas": [
        {"redis": REDIS, "autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}}
    ],
    "set autoscaling.cpuUtilization or autoscaling.connectionsPerPod": [
        {"redis": REDIS, "autoscaling": {"enabled": True, "cpuUtilization": 0}}
    ],
    "autoscaling.cpuUtilization is a share of resources.requests.cpu, which is not set": [
        {"redis": REDIS, "autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}
    ],
    "autoscaling.connectionsPerPod by keda needs autoscaling.keda.serverAddress": [
        {"redis": REDIS, "autoscaling": {"enabled": True, "by": "keda", "connectionsPerPod": 9}}
    ],
    "rollout.maxSurge and rollout.maxUnavailable are both 0": [{"redis": REDIS, "rollout": {"maxSurge": "0%"}}],
    "seconds that config.redis.start_timeout_ms and rollout.minReadySeconds let a pod take": [
        {"config": {"redis": {"start_timeout_ms": 300000}}},
        {"rollout": {"progressDeadlineSeconds": 65}},
    ],
    "extraEnv holds REDIS_PASSWORD, which the chart sets itself": [
        {
            "redis": {"url": "redis://:$(REDIS_PASSWORD)@a", "passwordSecret": "p"},
            "extraEnv": [{"name": "REDIS_PASSWORD", "value": "x"}],
        }
    ],
    "extraEnv holds CROSSTALK_AUTH_PROVIDERS_A_CLIENT_SECRET, which the chart sets itself; use auth.providers": [
        {"extraEnv": [{"name": "CROSSTALK_AUTH_PROVIDERS_A_CLIENT_SECRET", "value": "x"}]}
    ],
    "serviceMonitor.enabled and podMonitor.enabled are both set": [
        {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}
    ],
}

# By the schema: what is told names the value. `/` in its way of writing, `.` in that of the older one.
ALONE = [
    ({"replica": 2}, "replica"),
    ({"replicas": "two"}, "replicas"),
    ({"replicas": -1}, "replicas"),
    ({"image": {"tag": "a b"}}, "image.tag"),
    ({"image": {"digest": "sha256:1"}}, "image.digest"),
    ({"redis": {"url": "http://redis"}}, "redis.url"),
    ({"redis": {"existingSecret": "Chat Redis"}}, "redis.existingSecret"),
    ({"services": {"http": {"type": "ExternalName"}}}, "services.http.type"),
    ({"services": {"http": {"spec": {"selector": {}}}}}, "services.http.spec"),
    ({"services": {"http": {"ports": {"http": {"port": 65536}}}}}, "services.http.ports.http.port"),
    ({"services": {"http": {"ports": {"admin": {"enabled": True}}}}}, "admin"),
    ({"services": {"admin": {"type": "LoadBalancer"}}}, "admin"),
    ({"config": {"limits": {"conections": 1}}}, "conections"),
    ({"config": {"limits": {"connections": "many"}}}, "config.limits.connections"),
    ({"config": {"limit": {}}}, "limit"),
    ({"config": {"log": {"format": "xml"}}}, "config.log.format"),
    ({"auth": {"publicUrl": "chat.example.org"}}, "auth.publicUrl"),
    ({"auth": {"providers": {"My IdP": {"client_id": "a"}}}}, "My IdP"),
    ({"auth": {"providers": {"a": {"client_secret": "s", "client_id": "a"}}}}, "client_secret"),
    ({"listen": {"address": "127.0.0.1"}}, "listen.address"),
    ({"shutdown": {"marginSeconds": 1}}, "shutdown.marginSeconds"),
    ({"rollout": {"progressDeadlineSeconds": 5}}, "rollout.progressDeadlineSeconds"),
    ({"autoscaling": {"by": "hand"}}, "autoscaling.by"),
    ({"podDisruptionBudget": {"maxUnavailable": "all"}}, "podDisruptionBudget.maxUnavailable"),
    ({"topologySpread": {"whenUnsatisfiable": "Never"}}, "topologySpread.whenUnsatisfiable"),
    ({"networkPolicy": {"clients": [{}]}}, "networkPolicy.clients"),
    ({"serviceMonitor": {"interval": "often"}}, "serviceMonitor.interval"),
    ({"podLabels": {"a": "not a label"}}, "podLabels.a"),
    ({"resources": {"limits": {"memory": "lots"}}}, "resources.limits.memory"),
    ({"runbookUrl": "OPERATIONS.md"}, "runbookUrl"),
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("told", "values"), [(told, one) for told, several in TOGETHER.items() for one in several])
def test_what_does_not_go_together_is_refused(version, told, values):
    with pytest.raises(Refused) as refused:
        template(values, version)
    assert told in str(refused.value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("values", "told"), ALONE, ids=lambda each: each if isinstance(each, str) else "")
def test_what_the_schema_does_not_have_is_refused(version, values, told):
    with pytest.raises(Refused) as refused:
        template(values, version)
    text = str(refused.value)
    assert "don't meet the specifications of the schema" in text
    assert told in text.replace("/", "."), text
