"""A peer for `sealwire debug noise` that uses dissononce: the same options, and one JSON line at the end.

Frames are u16 big-endian length, then the Noise message. It contains no code of Sealwire.
It cannot rekey: the rekey of the library resets n, contrary to Noise section 11.3.
"""
import argparse
import json
import socket
import struct
import sys

# Without the folder of this file, where `dissononce` would be this file.
sys.path.pop(0)

from dissononce.dh.x25519.private import PrivateKey
from dissononce.dh.x25519.public import PublicKey
from dissononce.dh.x25519.x25519 import X25519DH
from dissononce.extras.meta.protocol.factory import NoiseProtocolFactory
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState

DEADLINE = 20

parser = argparse.ArgumentParser()
for option in ("pattern", "role", "listen", "to", "prologue-file", "static-file", "remote-file", "psk-file", "messages-file"):
    parser.add_argument("--" + option)
options = parser.parse_args()
initiator = options.role == "initiator"


def content_of(file):
    if file is None:
        return b""
    with open(file, "rb") as opened:
        return opened.read()


def place_of(address):
    if address.startswith("unix:"):
        return socket.AF_UNIX, address[len("unix:"):]
    host, port = address.rsplit(":", 1)
    return socket.AF_INET, (host, int(port))


def connection():
    family, place = place_of(options.listen or options.to)
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.settimeout(DEADLINE)
    if options.to is not None:
        opened.connect(place)
        return opened
    opened.bind(place)
    opened.listen(1)
    at = opened.getsockname()
    print("listening on", "unix:" + at if family == socket.AF_UNIX else "%s:%d" % at, file=sys.stderr, flush=True)
    accepted, _ = opened.accept()
    accepted.settimeout(DEADLINE)
    return accepted


def read_exactly(count, may_end=False):
    parts = b""
    while len(parts) < count:
        part = wire.recv(count - len(parts))
        if not part:
            if may_end and not parts:
                return None
            sys.exit("dissononce: ended inside a frame")
        parts += part
    return parts


def read_frame():
    length = read_exactly(2, may_end=True)
    return None if length is None else read_exactly(struct.unpack(">H", length)[0])


def write_frame(message):
    wire.sendall(struct.pack(">H", len(message)) + bytes(message))


wire = connection()
protocol = NoiseProtocolFactory().get_noise_protocol("Noise_%s_25519_AESGCM_SHA256" % options.pattern)
state = HandshakeState(SymmetricState(CipherState(protocol.cipher), protocol.hash), X25519DH())
psks = content_of(options.psk_file)
state.initialize(
    protocol.pattern,
    initiator,
    content_of(options.prologue_file),
    s=X25519DH().generate_keypair(PrivateKey(content_of(options.static_file))) if options.static_file else None,
    rs=PublicKey(content_of(options.remote_file)) if options.remote_file else None,
    psks=[psks[at:at + 32] for at in range(0, len(psks), 32)],
)

ciphers = None
writes = initiator
while ciphers is None:
    buffer = bytearray()
    if writes:
        ciphers = state.write_message(b"", buffer)
        write_frame(buffer)
    else:
        ciphers = state.read_message(read_frame(), buffer)
        if buffer:
            sys.exit("dissononce: a payload that is not empty")
    writes = not writes
# Split returns the state in which the initiator sends, then the other.
sending, receiving = ciphers if initiator else reversed(ciphers)
one_way = len(protocol.pattern.origin_name) == 1


def send(message):
    write_frame(sending.encrypt_with_ad(b"", message))


def receive():
    sealed = read_frame()
    return None if sealed is None else receiving.decrypt_with_ad(b"", sealed)


count = size = 0
if initiator:
    text = content_of(options.messages_file).decode()
    for line in (text[:-1] if text.endswith("\n") else text).split("\n"):
        message = bytes.fromhex(line)
        send(message)
        count += 1
        size += len(message)
        if not one_way and receive() != message:
            sys.exit("dissononce: another echo")
    wire.shutdown(socket.SHUT_WR)
    if read_frame() is not None:
        sys.exit("dissononce: more than the echoes")
else:
    while True:
        message = receive()
        if message is None:
            break
        count += 1
        size += len(message)
        if not one_way:
            send(message)
wire.close()
print(json.dumps({
    "handshakeHash": state.symmetricstate.get_handshake_hash().hex(),
    "remoteStatic": state.rs.data.hex() if state.rs else "",
    "messages": count,
    "bytes": size,
}))
