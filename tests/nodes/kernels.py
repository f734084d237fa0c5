"""Machines with a kernel of their own, Debian's, for what containers cannot do: a node as the others, started by qemu(1)."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from gitdeploy.nodes.network import hardware

from .machines import LIMIT, Machines, Node, eventually, run

QEMU = "qemu-system-x86_64"
KERNEL = "linux-image-cloud-amd64"
MEMORY = 640  # MB of a machine
DISK = "4G"  # a file with holes
RUN = '"$@" 4>&1; exit'
"""What starts qemu has the mark that the driver looks for, and takes qemu along when it is ended (PR_SET_PDEATHSIG)."""
IDLE = ("e2scrub_reap.service", "logrotate.timer", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer")
"""What a machine would do first of all when it boots, and takes long where it is emulated."""
NETWORK = """\
[Match]
Name=eth0
[Network]
Address={address}/{length}
Gateway={gateway}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""


def lacking() -> str:
    """Why there can be no such machines here; empty if there can."""
    if platform.machine() != "x86_64":
        return f"machines with a kernel of their own are tested on x86_64, not {platform.machine()}"
    if not accelerated() and not os.environ.get("EMULATE"):
        return "this processor helps with no machine that has a kernel of its own; EMULATE=1 does without, and takes 15 minutes"
    if not shutil.which(QEMU):
        return "machines with a kernel of their own need qemu-system-x86"
    return "" if os.path.exists("/dev/net/tun") else "machines with a kernel of their own need /dev/net/tun"


def accelerated() -> bool:
    """Whether the processor does it; without that a machine is emulated, which takes several times as long.

    There are machines with a /dev/kvm and without what Debian's kernel needs of it: the processor's own virtualization.
    """
    flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    able = flags is not None and {"vmx", "svm"} & set(flags[1].split())
    return bool(able) and os.access("/dev/kvm", os.R_OK | os.W_OK)


class Virtual(Node):
    """It has the disk, the name, the address and the keys of a node that was made as a container, and never is one again."""

    @property
    def directory(self) -> Path:
        return self.container.directory

    @property
    def disk(self) -> Path:
        return self.directory / "disk"

    def convert(self) -> None:
        """Make its disk of the files that the container has, and its cable one of a virtual machine."""
        container, network = self.container, self.machines.driver.wiring.network
        container.stop(0)
        container.mount()
        units = self.root / "etc/systemd/network"
        told = {"address": self.address, "length": network.subnet.prefixlen, "gateway": network.gateway}
        (units / "eth0.network").write_text(NETWORK.format(**told))
        run("systemctl", f"--root={self.root}", "--quiet", "enable", "systemd-networkd.service")
        run("systemctl", f"--root={self.root}", "--quiet", "mask", *IDLE)
        run("truncate", f"--size={DISK}", str(self.disk))
        run("mkfs.ext4", "-q", "-F", "-d", str(self.root), str(self.disk))
        for name in ("vmlinuz", "initrd.img"):
            [found] = (self.root / "boot").glob(f"{name}-*")
            shutil.copy(found, self.directory / name)
        run("ip", "link", "delete", self.link)
        run("ip", "tuntap", "add", "dev", self.link, "mode", "tap")
        run("ip", "link", "set", self.link, "master", network.bridge, "up")

    def start(self) -> None:
        mark = f"--directory={self.root}"
        argv = ("setsid", "--fork", "sh", "-c", RUN, mark, "setpriv", "--pdeathsig", "KILL", *self.command())
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=LIMIT)

    def command(self) -> tuple[str, ...]:
        fast = accelerated()
        return (
            QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-serial", f"file:{self.directory / 'console'}",
            *(("-accel", "kvm", "-cpu", "host") if fast else ("-accel", "tcg,thread=multi", "-cpu", "max")),
            "-m", str(MEMORY), "-smp", "1",
            "-kernel", str(self.directory / "vmlinuz"), "-initrd", str(self.directory / "initrd.img"),
            "-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0",
            "-drive", f"file={self.disk},if=virtio,format=raw,cache=unsafe", "-device", "virtio-rng-pci",
            "-netdev", f"tap,id=net,ifname={self.link},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=net,mac={hardware(self.address)},romfile=",
        )  # fmt: skip

    def up(self, limit: float = LIMIT) -> None:
        """An emulated one takes long."""
        super().up(limit)

    def reboot(self) -> None:
        self.ssh("systemctl", "reboot", check=False)

    def stop(self) -> None:
        self.ssh("systemctl", "poweroff", check=False)
        eventually(f"{self.name} is off", lambda: not self.container.running(), LIMIT)

    def ends(self) -> list[tuple[tuple[str, ...], str]]:
        return [((), self.link)]


def virtual(machines: Machines, *names: str) -> list[Virtual]:
    """Machines that are set up, and up, each with Debian's own kernel."""
    image, version = with_kernel(machines)
    made = []
    for name in names:
        machines.create(name, image)
        machines.fleet.change(name, setup=version)
        made.append(Virtual(machines, machines.fleet.get(name)))
        made[-1].convert()
        made[-1].start()
    for node in made:
        node.up()
    return made


def with_kernel(machines: Machines) -> tuple[str, str]:
    """The image of a node that is set up and has a kernel; its name is such that it goes together with the one it stands on."""
    below, version = machines.snapshot()
    image = f"{below}-kernel"
    with machines.driver.images.held(f"{image}-making"):
        if image not in {str(one.id) for one in machines.driver.list_images()}:
            node = machines.create("kernel", below)
            install = (
                "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends"
            )
            node.ssh("sh", "-c", f"{install} {KERNEL} initramfs-tools zstd", limit=LIMIT)
            machines.driver.create_image(node.of_driver(), image)
            node.destroy()
    return image, version
