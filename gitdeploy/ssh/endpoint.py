"""The ssh server: Conch with everything taken away that a push does not need (RFC 4251 to 4254, RFC 8308)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.conch.avatar import ConchUser
from twisted.conch.error import ValidPublicKey
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh import connection, factory, transport, userauth
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.keys import BadKeyError, Key
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet import defer
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from .keys import UserKey, Users
from .session import Session

KEY_EXCHANGES = (b"mlkem768x25519-sha256", b"curve25519-sha256", b"curve25519-sha256@libssh.org")
CIPHERS = (b"aes256-ctr", b"aes192-ctr", b"aes128-ctr")
MACS = (b"hmac-sha2-512", b"hmac-sha2-256")
SIGNATURES = (
    b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com", b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521",
    b"sk-ecdsa-sha2-nistp256@openssh.com", b"rsa-sha2-512", b"rsa-sha2-256",
)  # fmt: skip
LOGIN = 30  # seconds from the connection to the login
ATTEMPTS = 10  # keys that one connection may try
STRANGERS = 50  # connections that are not logged in, at a time
GOODBYE = 3.0  # seconds that sessions get when the server is stopped
PING = 15  # seconds of silence after which TCP asks whether the other side is still there; three times
log = Logger()


class UserAuth(userauth.SSHUserAuthServer):
    """Public keys only, not for long, not often."""

    loginTimeout = LOGIN
    attemptsBeforeDisconnect = ATTEMPTS

    def serviceStarted(self) -> None:
        super().serviceStarted()
        self.supportedAuthentications = [b"publickey"]

    def auth_publickey(self, packet: bytes) -> Any:
        try:
            return super().auth_publickey(packet)
        except (BadKeyError, ValueError, IndexError, KeyError, TypeError) as error:
            return defer.fail(UnauthorizedLogin(str(error)))


class Connection(connection.SSHConnection):
    """The channels of one client; a channel decides itself when it can take more."""

    transport: Any

    def adjustWindow(self, channel: Any, bytesToAdd: int) -> None:
        """Conch opens the window again before it delivers the data: wait while the channel is full (backpressure)."""
        if not channel.full:
            super().adjustWindow(channel, bytesToAdd)

    def ssh_CHANNEL_OPEN(self, packet: bytes) -> None:
        """Sessions only; anything else, such as what is forwarded, is refused (RFC 4254 section 5.1)."""
        kind, rest = getNS(packet)
        if kind != b"session":
            sender = rest[:4]
            reason = struct.pack(">L", connection.OPEN_ADMINISTRATIVELY_PROHIBITED)
            failure = sender + reason + NS(b"only sessions are opened here") + NS(b"")
            self.transport.sendPacket(connection.MSG_CHANNEL_OPEN_FAILURE, failure)
            return
        super().ssh_CHANNEL_OPEN(packet)


class Transport(transport.SSHServerTransport):
    """One connection. Narrow algorithms, no compression, and a time limit until somebody has logged in."""

    supportedKeyExchanges = [name for name in KEY_EXCHANGES if name in transport.SSHTransportBase.supportedKeyExchanges]
    supportedCiphers = list(CIPHERS)
    supportedMACs = list(MACS)
    supportedCompressions = [b"none"]
    ourVersionString = b"SSH-2.0-gitdeploy"
    factory: Any
    transport: Any
    counted = False
    limit: Any = None

    def connectionMade(self) -> None:
        tcp: Any = self.transport
        if tcp is not None and ITCPTransport.providedBy(tcp):
            tcp.setTcpNoDelay(True)
            tcp.setTcpKeepAlive(True)
            handle: Any = getattr(tcp, "getHandle")()  # noqa: B009 - not in the interface
            for option, value in ((socket.TCP_KEEPIDLE, PING), (socket.TCP_KEEPINTVL, PING), (socket.TCP_KEEPCNT, 3)):
                handle.setsockopt(socket.IPPROTO_TCP, option, value)
        if self.factory.strangers >= STRANGERS:
            tcp.abortConnection()
            return
        self.counted = True
        self.factory.strangers += 1
        self.factory.transports.add(self)
        self.limit = self.factory.reactor.callLater(LOGIN, tcp.abortConnection)
        super().connectionMade()

    def sendExtInfo(self, extensions: Any) -> None:
        """RFC 8308: with which algorithms users may sign; Conch would name only those of our own host key."""
        super().sendExtInfo([(b"server-sig-algs", b",".join(SIGNATURES))])

    def known(self) -> None:
        """Somebody has logged in."""
        if self.counted:
            self.counted = False
            self.factory.strangers -= 1
            self.limit.cancel()

    def setService(self, service: Any) -> None:
        if isinstance(service, Connection):
            self.known()
        super().setService(service)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.factory.transports.discard(self)
        if self.counted:
            self.counted = False
            self.factory.strangers -= 1
            if self.limit.active():
                self.limit.cancel()
        super().connectionLost(reason)


@implementer(IConchUser)
class Avatar(ConchUser):
    """Somebody who has logged in: a name, and whether his key still counts."""

    def __init__(self, key: UserKey, users: Users, service: Any, sessions: set[Session]) -> None:
        super().__init__()
        self.sessions = sessions
        self.user, self.key, self.users, self.service = key.user, key, users, service
        self.channelLookup = {b"session": Session}
        self.subsystemLookup = {}

    def still(self) -> bool:
        """Whether the key he came with is still that user's."""
        found = self.users.find(self.key.blob)
        return found is not None and found.user == self.user


@implementer(IRealm)
class Realm:
    """Makes avatars. The user's name in ssh says nothing: the key says who it is."""

    def __init__(self, users: Users, service: Any, sessions: set[Session]) -> None:
        self.users, self.service, self.sessions = users, service, sessions

    def requestAvatar(self, avatar_id: Any, mind: Any, *interfaces: Any) -> tuple[Any, Any, Callable[[], None]]:
        key = self.users.find(avatar_id)
        if key is None:
            raise UnauthorizedLogin("the key has been removed")
        return IConchUser, Avatar(key, self.users, self.service, self.sessions), lambda: None


@implementer(ICredentialsChecker)
class KeyChecker:
    """A known key whose signature is right; the avatar id is the key itself.

    Conch's own checker says 'go on' to every key before the signature, which makes people type passphrases of keys that
    nobody asked for; and it takes SHA-1 signatures.
    """

    credentialInterfaces = (ISSHPrivateKey,)

    def __init__(self, users: Users) -> None:
        self.users = users

    def requestAvatarId(self, credentials: Any) -> Any:
        if self.users.find(credentials.blob) is None:
            raise UnauthorizedLogin("unknown key")
        if credentials.algName not in SIGNATURES:
            raise UnauthorizedLogin("this kind of signature is not taken")
        if not credentials.signature:
            raise ValidPublicKey
        if getNS(credentials.signature)[0] != credentials.algName:
            raise UnauthorizedLogin("the signature is of another kind than it says")
        try:
            valid = Key.fromString(credentials.blob, type="BLOB").verify(credentials.signature, credentials.sigData)
        except Exception as error:
            raise UnauthorizedLogin("the signature does not read") from error
        if not valid:
            raise UnauthorizedLogin("the signature is wrong")
        return bytes(credentials.blob)


class Endpoint(factory.SSHFactory):
    """The listening side. `service` is what sessions work with (see session.Service)."""

    noisy = False
    protocol = Transport
    services = {b"ssh-userauth": UserAuth, b"ssh-connection": Connection}

    def __init__(self, reactor: Any, host_key: Key, users: Users, service: Any) -> None:
        self.reactor = reactor
        self.strangers = 0
        self.privateKeys = {host_key.sshType(): host_key}
        self.publicKeys = {host_key.sshType(): host_key.public()}
        self.sessions: set[Session] = set()
        self.transports: set[Transport] = set()
        self.portal = Portal(Realm(users, service, self.sessions), [KeyChecker(users)])

    def getPrimes(self) -> None:
        """None: no group exchange."""

    async def close(self) -> None:
        """End all sessions; what they still have to say gets `GOODBYE` seconds to be read."""
        for session in list(self.sessions):
            session.hang_up()
        until = self.reactor.seconds() + GOODBYE
        while self.sessions and self.reactor.seconds() < until:
            await deferLater(self.reactor, 0.05)
        for one in list(self.transports):
            one.transport.abortConnection()


def host_key(path: Path) -> Key:
    """The server's own ed25519 key; made at the first start, 0600."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        private = ed25519.Ed25519PrivateKey.generate()
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        new = path.with_name(path.name + ".new")
        new.touch(mode=0o600)
        new.write_bytes(pem)
        path.with_name(path.name + ".pub").write_bytes(Key.fromString(pem).public().toString("OPENSSH") + b"\n")
        new.rename(path)
    key: Key = Key.fromFile(str(path))
    return key
