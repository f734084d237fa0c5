"""The JSON schema of app.yaml agrees with what is read, as far as a schema can say it."""

import jsonschema
import pytest
import yaml

from buildless.description import KINDS, parse
from buildless.errors import DocumentError
from buildless.schema import EXAMPLE, schema

VALIDATOR = jsonschema.Draft202012Validator(schema())


def takes(text):
    return VALIDATOR.is_valid(yaml.safe_load(text))


def test_it_is_a_schema_and_takes_the_example():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert takes(EXAMPLE.read_text(encoding="utf-8"))


def test_every_key_is_there_and_explained():
    assert set(schema()["properties"]) == set(KINDS)
    for name, property_ in schema()["properties"].items():
        assert property_["description"], name
        assert len(property_) > 1, f"{name} takes anything"


@pytest.mark.parametrize(
    "text",
    [
        "platform: static\nstatic:\n",
        "platform: [python, wsgi]\napp: a:b\ndeb: [a1, b2]\n",
        "platform: python, wsgi\napp: a:b\nenv: {A: 1, B: x}\n",
    ],
)
def test_what_is_right_is_taken(text):
    parse(text.encode())
    assert takes(text)


@pytest.mark.parametrize(
    "text",
    [
        "name: shop\n",
        "platform: static\nplatfrom: x\n",
        "platform: {a: b}\n",
        "platform: [ruby]\n",
        "platform: static\nenv: [A]\n",
    ],
)
def test_what_is_wrong_in_its_shape_is_not(text):
    with pytest.raises(DocumentError):
        parse(text.encode())
    assert not takes(text)
