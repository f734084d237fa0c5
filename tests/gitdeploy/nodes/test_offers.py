"""What is taken where nobody says what: sizes and images as providers list them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from libcloud.compute.base import NodeImage, NodeSize

from gitdeploy.errors import Refused
from gitdeploy.nodes import offers
from gitdeploy.nodes.offers import Offer, Size

SMALL = Size("s-1", "small", 512, 10, 0.02)


def image(name, number="i", **extra):
    return offers.image(NodeImage(number, name, None, extra))


def test_the_smallest_that_will_do_then_the_cheapest():
    sizes = [
        replace(SMALL, id="large", ram=2048, price=0.001), replace(SMALL, id="dear", price=0.5), SMALL,
        replace(SMALL, id="tiny", ram=256), replace(SMALL, id="unknown", price=None),
        replace(SMALL, id="arm", price=0.01, note="arm64"),
    ]  # fmt: skip
    assert offers.smallest(sizes, "x86_64") == SMALL
    assert offers.smallest(sizes, "aarch64").id == "arm"
    with pytest.raises(Refused, match="no size can be told to fit; choose one: list-sizes, then --size"):
        offers.smallest([replace(SMALL, ram=128)], "x86_64")


def test_a_size_of_libcloud():
    size = NodeSize("t4g.nano", "t4g.nano", 512, 0, 5, 0.0048, None, {"physicalProcessor": "AWS Graviton2 Processor"})
    assert offers.size(size) == Size("t4g.nano", "t4g.nano", 512, 0, 0.0048, "arm64")
    assert offers.size(NodeSize("m1", "m1", None, None, 0, None, None)) == Size("m1", "m1", 0, 0, None)


AMAZON = [
    image("debian-12-amd64-20240102-1614", "old", architecture="x86_64"),
    image("debian-12-amd64-20250428-2096", "right", architecture="x86_64"),
    image("debian-12-arm64-20250428-2096", "arm", architecture="arm64"),
    image("debian-12-backports-amd64-20250501-2100", "backports", architecture="x86_64"),
    image("debian-11-amd64-20250601-2130", "eleven", architecture="x86_64"),
    image("ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-20251201", "ubuntu", architecture="x86_64"),
]


@pytest.mark.parametrize(
    ("images", "taken"),
    [
        (AMAZON, "right"),
        ([image("12 x64", "debian-12-x64"), image("13 x64", "debian-13-x64")], "debian-12-x64"),
        ([image("Debian 12 (bookworm)", "debian-12"), image("Debian 13 (trixie)", "debian-13")], "debian-12"),
        ([image("Debian 12 (Bookworm)", "7"), image("Debian 12 (Bookworm)", "6", created_at="2023-06-10")], "6"),
        ([image("debian-12-genericcloud-amd64", "g", created_at=datetime(2025, 4, 28, tzinfo=UTC))], "g"),
        ([image("debian-12", "plain"), image("debian-12-with-docker", "docker")], "plain"),
    ],
    ids=["amazon", "digitalocean", "nspawn", "dated", "created", "plain"],
)  # fmt: skip
def test_the_newest_debian_12_of_this_architecture(images, taken):
    assert offers.newest(images, "x86_64").id == taken


def test_the_same_on_arm():
    assert offers.newest(AMAZON, "aarch64").id == "arm"


def test_what_cannot_be_told_is_asked_for():
    with pytest.raises(Refused, match="no image is Debian 12 for sure; choose one: list-images, then --image"):
        offers.newest([image("debian-120"), image("debian-13"), image("debian-12-daily")], "x86_64")
    with pytest.raises(Refused, match="2 images may be the right Debian 12; choose one"):
        offers.newest([image("debian-12", "a"), image("debian-12", "b")], "x86_64")


def test_what_is_known_of_an_image_is_short():
    made = datetime(2025, 4, 28, 1, 2, 3, tzinfo=UTC)
    assert image("x", creation_date=made, architecture="x86_64") == Offer("i", "x", "", "x86_64 2025-04-28")
    assert image(None) == Offer("i", "", "", "")
