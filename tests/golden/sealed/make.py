#!/usr/bin/env python3
"""Writes the golden files of the sealed format, version 1, independently of the C++ code."""
import base64
import json
import pathlib
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = pathlib.Path(__file__).resolve().parent
KEY = bytes(range(32))
SECOND_KEY = bytes(range(32, 64))
WRAPPED = "vault:v1:d3JhcHBlZA=="


def header(kind: str, prefix: bytes, extra: dict[str, str]) -> bytes:
    members = {"object": "sv-Golden1", "kind": kind, "workspace": "ws-Golden1", "key": WRAPPED}
    members |= {"prefix": base64.b64encode(prefix).decode(), "extra": dict(sorted(extra.items()))}
    text = json.dumps(members, separators=(",", ":")).encode()
    return b"TRNB" + b"\x01" + struct.pack(">I", len(text)) + text


def seal_object(plaintext: bytes) -> bytes:
    prefix = b"prefix7"
    out = head = header("state", prefix, {"serial": "7", "lineage": "3f2a"})
    chunks = [plaintext[i : i + 65536] for i in range(0, len(plaintext), 65536)] or [b""]
    for number, chunk in enumerate(chunks):
        nonce = prefix + struct.pack(">IB", number, number == len(chunks) - 1)
        out += AESGCM(KEY).encrypt(nonce, chunk, head)
    return out


def seal_segment(key: bytes, prefix: bytes, attempt: str, base: int, texts: list[bytes]) -> bytes:
    out = head = header("log", prefix, {"attempt": attempt, "base": str(base)})
    offset = 0
    for number, text in enumerate(texts):
        sealed = AESGCM(key).encrypt(prefix + struct.pack(">Q", number), text, head + struct.pack(">QQ", number, offset))
        out += struct.pack(">IQ", len(sealed), offset) + sealed
        offset += len(text)
    return out


def main() -> None:
    (HERE / "object_empty.bin").write_bytes(seal_object(b""))
    (HERE / "object_small.bin").write_bytes(seal_object(b"a small state"))
    (HERE / "object_chunks.bin").write_bytes(seal_object(bytes(i % 251 for i in range(65537))))
    first = seal_segment(KEY, b"pre1", "1", 0, [b"\x02Terraform ", b"plan"])
    second = seal_segment(SECOND_KEY, b"pre2", "2", 15, [b"again\n", b"\x03"])
    (HERE / "log.bin").write_bytes(first + second)


if __name__ == "__main__":
    main()
