"""Command lines, whole."""

from gitdeploy.nodes import commands
from gitdeploy.nodes.fleet import Machine

WEB1 = Machine("web1", "192.0.2.1")
SHELL = commands.ssh(WEB1, "/home/known hosts", "/home/key")
SSH = (
    "ssh -F none -T -a -x -p 22 -o IdentityFile=/home/key -o IdentitiesOnly=yes -o IdentityAgent=none"
    " -o UserKnownHostsFile=/home/known hosts -o GlobalKnownHostsFile=/dev/null -o HostKeyAlias=web1 -o CheckHostIP=no"
    " -o StrictHostKeyChecking=yes -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=3"
    " -o ServerAliveCountMax=3 -o LogLevel=ERROR -o Ciphers=^aes128-gcm@openssh.com"
)


def test_ssh_has_nobodys_configuration_one_key_and_pinned_host_keys():
    assert " ".join(SHELL) == SSH
    assert commands.ssh(Machine("web1", "192.0.2.1", port=2222), "k", "i")[6:8] == ("-p", "2222")


def test_a_kept_connection_says_when_it_is_there():
    assert " ".join(commands.master(SHELL, WEB1, "/run/s")) == (
        f"{SSH} -M -N -S /run/s -o ControlPersist=no -o PermitLocalCommand=yes -o LocalCommand=echo up -l gitdeploy -- 192.0.2.1"
    )


def test_what_goes_through_it_goes_in_no_other_way():
    assert " ".join(commands.through(SHELL, "/run/s")) == f"{SSH} -S /run/s -o ControlMaster=no -o ProxyCommand=false"


def test_a_command_far_away_is_quoted_once():
    argv = commands.remote(("ssh",), "root", WEB1, ("sh", "-c", "echo 'a b'; $x"))
    assert argv == ("ssh", "-l", "root", "--", "192.0.2.1", """sh -c 'echo '"'"'a b'"'"'; $x'""")


def test_the_agent_is_what_sudo_lets_the_server_run():
    assert commands.remote((), commands.USER, WEB1, commands.AGENT)[-1] == "sudo -n /usr/lib/gitdeploy/node"
    assert commands.agent("/usr/bin/python3", "/home/node") == (
        "/usr/bin/python3", "-I", "-m", "buildless.node", "--root", "/home/node",
    )  # fmt: skip


def test_rsync_takes_names_from_its_input_and_copies_files_as_they_are():
    options = "rsync --from0 --files-from=- --links --perms --whole-file%s --info=progress2 --no-inc-recursive -- %s"
    assert " ".join(commands.rsync("/stage", "/srv/x")) == options % ("", "/stage/ /srv/x/")
    assert " ".join(commands.rsync("/stage", "192.0.2.1:/srv/x", ("ssh", "-S", "/run/a b"))) == options % (
        " --rsh ssh -S '/run/a b'", "/stage/ 192.0.2.1:/srv/x/",
    )  # fmt: skip
    whole = options.replace("--from0 --files-from=-", "--recursive --inplace")
    assert " ".join(commands.rsync("/stage", "/srv/x", whole=True)) == whole % ("", "/stage/ /srv/x/")
