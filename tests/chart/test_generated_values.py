"""Values that nobody thought of: whatever the schema takes either makes good objects or is refused by our own words.

Hypothesis makes them, out of the schema, and shrinks what fails. `CHART_SEED` repeats a run, `CHART_EXAMPLES` makes it longer.
"""

import json
import os
import random

import hypothesis
import jsonschema
from generate import CHART
from helm import Refused, environment, gateway, name_of, template
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema
from test_kubernetes import RELEASES, check, judge_custom
from test_refusals import TOGETHER

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
SEED = int(os.environ.get("CHART_SEED", random.randrange(2**32)))
EXAMPLES = int(os.environ.get("CHART_EXAMPLES", 25))
OURS = [*TOGETHER, "every port of services is off", "needs tls.existingSecret", "needs at least one", "to be enabled in services"]
OURS += ["which the chart sets itself", "without dashboards/alerts.yaml"]


# What YAML cannot hold never comes to the chart.
WRITABLE = st.characters(exclude_categories=["Cc", "Cs", "Cn"], exclude_characters="\ufeff")


def leaves(schema, path=()):
    """Every value with its schema, definitions put in."""
    schema = resolved(schema)
    if schema.get("properties") and "default" not in schema:
        for name, inner in schema["properties"].items():
            yield from leaves(inner, (*path, name))
    elif path[0] != "global":
        yield path, schema


def resolved(schema):
    if "allOf" in schema:
        return {**resolved(schema["allOf"][0]), **{key: value for key, value in schema.items() if key != "allOf"}}
    return SCHEMA["definitions"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def strategy(path, schema):
    if "examples" in schema:
        return st.sampled_from(schema["examples"])
    if schema.get("type") == "string" and not {"pattern", "enum"} & schema.keys():
        return st.text(WRITABLE, min_size=schema.get("minLength", 0))
    return from_schema({**schema, "definitions": SCHEMA["definitions"]})


# Without these nearly everything would be refused; each is a way to have what others need.
GROUNDS = [
    {},
    {"redis": {"existingSecret": "chat-redis"}, "replicas": 3},
    {"redis": {"bundled": {"enabled": True}}, "replicas": 2, "tls": {"existingSecret": "chat-tls"}},
    {"auth": {"existingSecret": "chat-auth", "publicUrl": "https://chat.example.org"}},
    {"redis": {"existingSecret": "chat-redis"}, "autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 1000}},
    {"redis": {"existingSecret": "chat-redis"}, "tls": {"existingSecret": "chat-tls"}, "ingress": {"hosts": ["a.example.org"]}},
]
CONFIG = resolved(SCHEMA["properties"]["config"])["properties"]
LEAVES = [each for each in leaves(SCHEMA) if each[0] != ("config",)]
LEAVES += [
    (("config", section, key), schema)
    for section, inner in CONFIG.items()
    for key, schema in inner["properties"].items()
    if "type" in schema or "enum" in schema
]


@st.composite
def values(draw):
    made = json.loads(json.dumps(draw(st.sampled_from(GROUNDS))))
    for path, schema in draw(st.lists(st.sampled_from(LEAVES), min_size=3, max_size=15, unique_by=lambda each: each[0])):
        place = made
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = draw(strategy(path, schema))
    return made


def test_whatever_the_schema_takes_makes_good_objects_or_is_refused(capsys):
    with capsys.disabled():
        print(f"\ngenerated values: CHART_SEED={SEED} CHART_EXAMPLES={EXAMPLES}")
    made, refused, customs = [0], [], []

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck), print_blob=False
    )
    @hypothesis.given(values())
    def judge(given):
        outcomes = []
        for version in ("3", "4"):
            try:
                outcomes.append({name_of(each): each for each in template(given, version)})
            except Refused as error:
                text = str(error)
                assert any(ours in text for ours in OURS), text
                outcomes.append(None)
        assert outcomes[0] == outcomes[1]
        if outcomes[0] is None:
            refused.append(given)
            return
        made[0] += 1
        documents = list(outcomes[0].values())
        names = [each["name"] for each in gateway(documents)["env"]]
        assert len(set(names)) == len(names)
        for section, settings in given.get("config", {}).items():
            for key, value in settings.items():
                name = f"CROSSTALK_{section}_{key}".upper()
                if name not in {each["name"] for each in given.get("extraEnv", [])} and isinstance(value, (str, int)):
                    assert environment(documents)[name] == (value if isinstance(value, str) else json.dumps(value))
        check(documents, [RELEASES[0], RELEASES[-1]])
        customs.extend(documents)

    judge()
    # One look at all of them: the type checker takes a second to start.
    assert judge_custom(customs) == ""
    assert made[0] >= EXAMPLES / 5, f"{made[0]} made, {len(refused)} refused: the grounds do not carry"


def test_the_generator_knows_every_value():
    known = {".".join(path) for path, _ in LEAVES}
    for needed in ("replicas", "services.tcp.ports.detect-tls.enabled", "routes.http.parentRefs", "config.limits.connections"):
        assert needed in known
    assert len(known) > 150


def test_examples_are_what_the_schema_takes():
    for _, schema in LEAVES:
        for example in schema.get("examples", []):
            jsonschema.Draft7Validator({**schema, "definitions": SCHEMA["definitions"]}).validate(example)
