"""What we ask of providers, over libcloud's own dummy driver and others that misbehave."""

from types import SimpleNamespace

import pytest
from libcloud.compute.base import Node, NodeImage, NodeLocation, NodeSize
from libcloud.compute.types import NodeState

from gitdeploy.errors import NotFound, Refused
from gitdeploy.nodes.cloud import Cloud, Found, found

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPd6z3u10T8Ev97cJISrmpqv3fgYVj/vtpWjEuQNFkeL gitdeploy setup"


class Driver:
    """Makes nodes as others do, in a list."""

    name = "a driver"
    features = {"create_node": ["ssh_key"]}

    def __init__(self, error=None):
        self.nodes, self.made_with, self.error = [], {}, error

    def list_nodes(self):
        if self.error:
            raise self.error
        return list(self.nodes)

    def list_sizes(self):
        return [NodeSize("s1", "small", 512, 10, 0, 0.01, self), NodeSize("s2", "large", 2048, 10, 0, 0.1, self)]

    def list_images(self):
        return [NodeImage("i1", "Debian 12", self)]

    def get_image(self, image_id):
        raise Exception(f"no {image_id}")

    def list_locations(self):
        return [NodeLocation("fra1", "Frankfurt", "DE", self), NodeLocation("nyc1", "New York", "US", self)]

    def create_node(self, name, size, image, auth=None):
        self.made_with = {"name": name, "size": size.id, "image": image.id, "key": auth.pubkey}
        self.nodes.append(Node(f"n-{len(self.nodes)}", name, NodeState.PENDING, [], ["10.0.0.5"], self))
        return self.nodes[-1]

    def destroy_node(self, node):
        self.nodes.remove(node)
        return True

    def start_node(self, node):
        if node.state == "running":
            return False
        node.state = "running"
        return True

    def stop_node(self, node):
        raise NotImplementedError("stop_node not implemented for this driver")


class Located(Driver):
    """Wants to know where, and takes tags."""

    def create_node(self, name, size, image, location, auth=None, ex_metadata=None, ex_backups=False):
        node = super().create_node(name, size, image, auth)
        self.made_with |= {"location": location.id, "metadata": ex_metadata, "backups": ex_backups}
        node.extra["metadata"] = ex_metadata
        return node


def test_a_machine_is_made_marked_found_and_destroyed():
    driver = Driver()
    cloud = Cloud("a", driver)
    made = cloud.create("web1", "small", "i1", "root", KEY)
    assert driver.made_with == {"name": "gitdeploy-web1", "size": "s1", "image": "i1", "key": KEY}
    assert made == Found("n-0", "web1", "pending", (), ("10.0.0.5",)) == cloud.machine("n-0")
    assert cloud.machine("n-9") is None
    assert cloud.destroy("n-0") is True and cloud.destroy("n-0") is False and cloud.machines() == []


def test_where_tags_are_taken_the_name_is_left_as_it_is():
    driver = Located()
    cloud = Cloud("a", driver, location="nyc1", each={"ex_backups": True})
    assert cloud.create("web1", "s1", "Debian 12", "root", KEY).name == "web1"
    assert driver.made_with == {
        "name": "web1", "size": "s1", "image": "i1", "key": KEY, "location": "nyc1", "metadata": {"gitdeploy": "web1"},
        "backups": True,
    }  # fmt: skip


def test_who_wants_to_know_where_is_told():
    with pytest.raises(Refused, match=r"write location: under providers\.a, one of fra1, nyc1"):
        Cloud("a", Located()).create("web1", "s1", "i1", "root", KEY)


@pytest.mark.parametrize(
    ("size", "image", "problem"),
    [
        ("smal", "i1", "a has no size 'smal'; did you mean small?"),
        ("huge-and-dear", "i1", "a has no size 'huge-and-dear'; see: list-sizes --provider a"),
        ("s1", "Debian 21", "a has no image 'Debian 21'; did you mean Debian 12?"),
        ("s1", "windows", "a has no image 'windows'; see: list-images --provider a"),
    ],
)
def test_what_is_not_there_is_told(size, image, problem):
    driver = Driver()
    with pytest.raises(NotFound, match=problem.replace("?", r"\?")):
        Cloud("a", driver).create("web1", size, image, "root", KEY)
    assert driver.nodes == []


def test_what_a_driver_raises_becomes_one_line_that_says_where():
    with pytest.raises(Refused, match="a: wrong key, really; look at its settings under providers: in gitdeploy.yaml"):  # noqa: RUF043
        Cloud("a", Driver(Exception("wrong key,\nreally"))).machines()
    with pytest.raises(Refused, match="a: its driver cannot do that"):
        Cloud("a", Driver(NotImplementedError("list_nodes"))).machines()
    with pytest.raises(NotFound, match="as it is"):
        Cloud("a", Driver(NotFound("as it is"))).machines()


def test_a_provider_that_does_not_destroy_is_told():
    driver = Driver()
    cloud = Cloud("a", driver)
    cloud.create("web1", "s1", "i1", "root", KEY)
    driver.destroy_node = lambda node: False
    with pytest.raises(Refused, match="a does not destroy n-0; look there"):
        cloud.destroy("n-0")


def test_a_machine_is_started_and_what_a_provider_does_not_do_is_told():
    driver = Driver()
    cloud = Cloud("a", driver)
    cloud.create("web1", "s1", "i1", "root", KEY)
    cloud.start("n-0")
    assert cloud.machine("n-0").state == "running"
    with pytest.raises(Refused, match="a does not start n-0; see there why"):
        cloud.start("n-0")
    with pytest.raises(Refused, match=r"a: its driver cannot do that .stop_node not implemented .*; do it there"):
        cloud.stop("n-0")
    with pytest.raises(NotFound, match="a has no machine 'n-9' any more; see: list-nodes"):
        cloud.stop("n-9")


def test_what_is_terminated_is_gone():
    driver = Driver()
    driver.nodes = [Node("n", "gitdeploy-web1", NodeState.TERMINATED, [], [], driver)]
    assert Cloud("a", driver).machines() == [] and Cloud("a", driver).destroy("n") is False


def test_the_mark_and_the_address():
    node = SimpleNamespace(
        id=7, name="x", state="running", public_ips=["fd00::1", "192.0.2.1"], private_ips=[], extra={}
    )
    assert (found(node).name, found(node).id, found(node).address) == (None, "7", "192.0.2.1")
    node.extra = {"tags": {"Name": "x", "gitdeploy": "web1"}, "reason": "no capacity"}
    assert (found(node).name, found(node).problem) == ("web1", "no capacity")
    node.extra, node.public_ips = {"tags": ["a", "b"]}, []
    assert (found(node).name, found(node).address) == (None, None)
