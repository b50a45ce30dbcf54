"""Signed texts with one flaw each: every class that public suites of JWS vectors name, made here with keys of our own.

Each family is a generator of (what is wrong, the text). A text without flaw comes from `sign`.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

HASHES = {"256": "sha256", "384": "sha384", "512": "sha512"}
SYMMETRIC = ("HS256", "HS384", "HS512")
RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
ALL = (*SYMMETRIC, *RSA, *CURVES, "Ed25519")
ORDERS = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": int(
        "39402006196394479212279040100143613805079739270465446667946905279627659399113263569398956308152294913554433653942643"
    ),
}
DIGEST_INFO = {
    "sha256": "3031300d060960864801650304020105000420",
    "sha384": "3041300d060960864801650304020205000430",
    "sha512": "3051300d060960864801650304020305000440",
}
"""RFC 8017 s9.2, note 1: what stands before the digest."""
PAYLOAD = json.dumps({"iss": "i", "aud": "a", "sub": "s"}).encode()

Flaws = Iterator[tuple[str, str]]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@cache
def rsa_key(number: int) -> RSAKey:
    return RSAKey.generate_key(2048)


@cache
def key_for(algorithm: str, number: int = 0) -> Key:
    """A key for an algorithm; another `number`, another key. One RSA key serves all of its algorithms."""
    if algorithm in SYMMETRIC:
        return OctKey.generate_key(512)
    if algorithm in RSA:
        return rsa_key(number)
    return OKPKey.generate_key("Ed25519") if algorithm == "Ed25519" else ECKey.generate_key(CURVES[algorithm])


def entry(key: Key, **members: Any) -> dict[str, Any]:
    """A key as a member of a set: public, but for a secret."""
    return {**key.as_dict(private=isinstance(key, OctKey)), **members}


def published(algorithm: str, **members: Any) -> dict[str, Any]:
    """The set with the one key of an algorithm."""
    return {"keys": [entry(key_for(algorithm), **{"use": "sig", "kid": "k", "alg": algorithm, **members})]}


def signing_input(algorithm: str, **header: Any) -> str:
    return f"{b64(json.dumps({'alg': algorithm, 'kid': 'k', **header}).encode())}.{b64(PAYLOAD)}"


def signature(algorithm: str, text: str, key: Key | None = None) -> bytes:
    return JWSRegistry.algorithms[algorithm].sign(text.encode(), key or key_for(algorithm))


def sign(algorithm: str, key: Key | None = None, **header: Any) -> str:
    text = signing_input(algorithm, **header)
    return f"{text}.{b64(signature(algorithm, text, key))}"


# --- the text ------------------------------------------------------------------------------------------------------


FILLING = ("=", "==", "===", "====", "%3D", " ", "\n", "\r\n", "\t", "\0", "\u200b", "*", "+", "/")


def padded(token: str) -> Flaws:
    """Padding and its like at the beginning, in the middle and at the end of each of the three segments."""
    segments = token.split(".")
    for place, filling in product(range(3), FILLING):
        text = segments[place]
        for where, put in (
            ("before", filling + text),
            ("within", text[: len(text) // 2] + filling + text[len(text) // 2 :]),
            ("after", text + filling),
        ):
            yield f"{filling!r} {where} segment {place}", ".".join([*segments[:place], put, *segments[place + 1 :]])


def respelled(token: str) -> Flaws:
    """The same bytes in each segment, with the unused bits of the last character set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    segments = token.split(".")
    for place, text in enumerate(segments):
        for other in alphabet:
            spelling = text[:-1] + other
            if len(text) % 4 and other != text[-1] and unb64(spelling) == unb64(text):
                yield (
                    f"segment {place} ends in {other}",
                    ".".join([*segments[:place], spelling, *segments[place + 1 :]]),
                )


def damaged(token: str) -> Flaws:
    """One bit of every character changed; one character missing, doubled; cut off at every length."""
    for place in range(len(token)):
        yield f"bit at {place}", token[:place] + chr(ord(token[place]) ^ 1) + token[place + 1 :]
        yield f"without {place}", token[:place] + token[place + 1 :]
        yield f"cut at {place}", token[:place]


def altered(token: str) -> Flaws:
    """The signature's bytes: each with a bit flipped, cut short, lengthened, reversed, gone."""
    text, _, last = token.rpartition(".")
    raw = unb64(last)
    for place in range(len(raw)):
        flipped = raw[:place] + bytes([raw[place] ^ (1 << place % 8)]) + raw[place + 1 :]
        yield f"bit of byte {place}", f"{text}.{b64(flipped)}"
    for name, other in (
        ("empty", b""),
        ("one byte short", raw[:-1]),
        ("without its first", raw[1:]),
        ("half", raw[: len(raw) // 2]),
        ("a zero more", raw + b"\0"),
        ("a zero before", b"\0" + raw),
        ("twice", raw + raw),
        ("all zeros", bytes(len(raw))),
        ("all ones", b"\xff" * len(raw)),
        ("reversed", raw[::-1]),
    ):
        yield name, f"{text}.{b64(other)}"


def serialized_as_json(token: str) -> Flaws:
    """RFC 7515 s7.2: flattened and general."""
    head, body, last = token.split(".")
    one = {"protected": head, "signature": last}
    yield "flattened", json.dumps({"payload": body, **one})
    yield "general", json.dumps({"payload": body, "signatures": [one]})
    yield (
        "general, a good one among others",
        json.dumps({"payload": body, "signatures": [{**one, "signature": ""}, one]}),
    )
    yield "detached", f"{head}..{last}"


# --- algorithms ----------------------------------------------------------------------------------------------------


def unsigned() -> Flaws:
    for name, last in product(("none", "None", "NONE", "nOnE", "none ", ""), ("", "AA", b64(bytes(64)))):
        text = signing_input(name)
        yield f"{name!r} with {last!r}", f"{text}.{last}"


def of_another_primitive(algorithm: str) -> Flaws:
    """Says `algorithm`, and is signed by every other; says every other, and is signed by `algorithm`."""
    for other in ALL:
        if other != algorithm:
            text = signing_input(algorithm)
            yield f"made by {other}", f"{text}.{b64(signature(other, text))}"
            text = signing_input(other)
            yield f"said to be {other}", f"{text}.{b64(signature(algorithm, text))}"


def keyed_by_what_is_public(key: Any) -> Flaws:
    """An HMAC whose secret is some form of the public key (RFC 8725 s2.1)."""
    jwk = entry(key, use="sig", kid="k")
    pem = key.as_pem(private=False)
    secrets = {
        "pem": pem,
        "pem without its last line break": pem.strip(),
        "pem with other line breaks": pem.replace(b"\n", b"\r\n"),
        "der": key.as_der(private=False),
        "jwk": json.dumps(jwk).encode(),
        "jwk without spaces": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        "thumbprint": key.thumbprint().encode(),
        "thumbprint's bytes": unb64(key.thumbprint()),
        "kid": b"k",
        "a number of it": unb64(str(jwk.get("n", jwk.get("x")))),
        "nothing": b"",
        "zeros": bytes(64),
    }
    for (name, secret), size in product(secrets.items(), HASHES):
        text = signing_input(f"HS{size}")
        yield f"HS{size} with {name}", f"{text}.{b64(mac(secret, text.encode(), HASHES[size]))}"


def mac(secret: bytes, message: bytes, name: str) -> bytes:
    block = hashlib.new(name).block_size
    secret = (hashlib.new(name, secret).digest() if len(secret) > block else secret).ljust(block, b"\0")
    inner = hashlib.new(name, bytes(byte ^ 0x36 for byte in secret) + message).digest()
    return hashlib.new(name, bytes(byte ^ 0x5C for byte in secret) + inner).digest()


# --- ECDSA ---------------------------------------------------------------------------------------------------------


def of_odd_numbers(algorithm: str) -> Flaws:
    """ECDSA: r and s zero, out of range, exchanged, in another form or length (FIPS 186-5 s6.4.2)."""
    text, order = signing_input(algorithm), ORDERS[algorithm]
    raw = signature(algorithm, text)
    size = len(raw) // 2
    r, s = int.from_bytes(raw[:size]), int.from_bytes(raw[size:])
    last = (1 << size * 8) - 1
    odd = {"zero": 0, "one": 1, "the order": order, "one less": order - 1, "one more": order + 1, "the greatest": last}
    for name, number in odd.items():
        yield f"r is {name}", f"{text}.{_pair(number, s, size)}"
        yield f"s is {name}", f"{text}.{_pair(r, number, size)}"
        for other, another in odd.items():
            yield f"r is {name}, s is {other}", f"{text}.{_pair(number, another, size)}"
    if r + order <= last:
        yield "r one order higher", f"{text}.{_pair(r + order, s, size)}"
    yield "exchanged", f"{text}.{_pair(s, r, size)}"
    yield "r negated", f"{text}.{_pair(order - r, s, size)}"
    for name, form in (
        ("DER", encode_dss_signature(r, s)),
        ("longer numbers", bytes(2) + raw[:size] + bytes(2) + raw[size:]),
        ("zeros between", raw[:size] + bytes(size) + raw[size:]),
        ("text", f"{r},{s}".encode()),
    ):
        yield name, f"{text}.{b64(form)}"


def high_s(algorithm: str) -> str:
    """The other good signature of the same text: n - s instead of s."""
    text, order = signing_input(algorithm), ORDERS[algorithm]
    raw = signature(algorithm, text)
    size = len(raw) // 2
    return f"{text}.{_pair(int.from_bytes(raw[:size]), order - int.from_bytes(raw[size:]), size)}"


def _pair(r: int, s: int, size: int) -> str:
    return b64(r.to_bytes(size) + s.to_bytes(size))


# --- RSA -----------------------------------------------------------------------------------------------------------


def raw_rsa(encoded: bytes, text: str) -> str:
    """`text` signed with whatever is claimed to be its encoding."""
    number = int.from_bytes(encoded)
    key: Any = rsa_key(0).private_key
    private = key.private_numbers()
    modulus = private.public_numbers.n
    return f"{text}.{b64(pow(number, private.d, modulus).to_bytes((modulus.bit_length() + 7) // 8))}"


def pkcs1(body: bytes, *, length: int = 256, kind: bytes = b"\0\1", fill: bytes = b"\xff", end: bytes = b"\0") -> bytes:
    """RFC 8017 s9.2, with every part open to change."""
    return kind + fill * (length - len(kind) - len(end) - len(body)) + end + body


def of_odd_pkcs1(size: str) -> Flaws:
    """PKCS #1 v1.5: what a careless parser of the encoding lets through (Bleichenbacher 2006, and later)."""
    name, text = HASHES[size], signing_input(f"RS{size}")
    info, digest = bytes.fromhex(DIGEST_INFO[name]), hashlib.new(name, text.encode()).digest()
    good = pkcs1(info + digest)
    no_null = bytes([info[0], info[1] - 2, info[2], info[3] - 2]) + info[4:].replace(b"\x05\x00", b"", 1)
    others = {other: bytes.fromhex(known) for other, known in DIGEST_INFO.items() if other != name}
    forms = {
        "without NULL": pkcs1(no_null + digest),
        "without the algorithm": pkcs1(digest),
        "long form of a length": pkcs1(b"\x30\x81" + info[1:] + digest),
        "garbage after the digest": b"\0\1"
        + b"\xff" * 8
        + b"\0"
        + info
        + digest
        + bytes(256 - 11 - len(info + digest)),
        "garbage within": pkcs1(info + digest + b"\0" * 8),
        "short fill": (b"\0\1\xff\0" + info + digest).ljust(256, b"\0"),
        "fill of zeros": pkcs1(info + digest, fill=b"\0"),
        "fill of 7f": pkcs1(info + digest, fill=b"\x7f"),
        "one odd byte of fill": good[:9] + b"\xfe" + good[10:],
        "block type 0": pkcs1(info + digest, kind=b"\0\0"),
        "block type 2": pkcs1(info + digest, kind=b"\0\2"),
        "first byte 1": pkcs1(info + digest, kind=b"\1\1"),
        "no end of fill": pkcs1(info + digest, end=b""),
        "end of fill 1": pkcs1(info + digest, end=b"\1"),
        "digest of nothing": pkcs1(info + hashlib.new(name).digest()),
        "digest of zeros": pkcs1(info + bytes(len(digest))),
        "digest cut": pkcs1(info + digest[:-1]),
        "digest reversed": pkcs1(info + digest[::-1]),
        "SHA-1": pkcs1(bytes.fromhex("3021300906052b0e03021a05000414") + hashlib.new("sha1", text.encode()).digest()),
        **{f"{other} named": pkcs1(known + digest) for other, known in others.items()},
        **{
            f"{other} used": pkcs1(known + hashlib.new(other, text.encode()).digest())
            for other, known in others.items()
        },
    }
    for what, form in forms.items():
        yield what, raw_rsa(form, text)


def of_odd_numbers_rsa(algorithm: str) -> Flaws:
    """The signature as a number: trivial, one modulus higher, of another length (RFC 8017 s5.2.2)."""
    text, modulus = signing_input(algorithm), rsa_key(0).public_key.public_numbers().n
    raw = signature(algorithm, text)
    number = int.from_bytes(raw)
    for what, other in (("0", 0), ("1", 1), ("n - 1", modulus - 1), ("n", modulus), ("n + 1", modulus + 1)):
        yield what, f"{text}.{b64(other.to_bytes(257).removeprefix(bytes(1)))}"
    yield "n - s", f"{text}.{b64((modulus - number).to_bytes(256))}"
    yield "s + n", f"{text}.{b64((number + modulus).to_bytes(257).removeprefix(bytes(1)))}"


def pss(text: str, name: str, *, salt: bytes, mask: str = "", trailer: bytes = b"\xbc", gap: bytes = b"\0") -> bytes:
    """RFC 8017 s9.1.1 for a modulus of 2048 bits, with every part open to change."""
    digest = hashlib.new(name, text.encode()).digest()
    inner = hashlib.new(name, bytes(8) + digest + salt).digest()
    block = gap * (256 - len(salt) - len(inner) - 2) + b"\1" + salt
    masked = bytearray(a ^ b for a, b in zip(block, _mgf1(inner, len(block), mask or name), strict=True))
    masked[0] &= 0x7F
    return bytes(masked) + inner + trailer


def _mgf1(seed: bytes, length: int, name: str) -> bytes:
    made = b"".join(hashlib.new(name, seed + count.to_bytes(4)).digest() for count in range(length // 20 + 1))
    return made[:length]


def of_odd_pss(size: str) -> Flaws:
    """RSASSA-PSS: RFC 7518 s3.5 fixes the salt's length and the mask's hash."""
    name, text = HASHES[size], signing_input(f"PS{size}")
    length = int(size) // 8
    for salt in (0, 1, 8, 20, length - 1, length + 1, 256 - length - 2):
        yield f"salt of {salt} bytes", raw_rsa(pss(text, name, salt=b"s" * salt), text)
    for other in {"sha1", *HASHES.values()} - {name}:
        yield f"mask by {other}", raw_rsa(pss(text, name, salt=b"s" * length, mask=other), text)
        yield f"all by {other}", raw_rsa(pss(text, other, salt=b"s" * hashlib.new(other).digest_size), text)
    yield "another trailer", raw_rsa(pss(text, name, salt=b"s" * length, trailer=b"\xcc"), text)
    yield "no zeros before the salt", raw_rsa(pss(text, name, salt=b"s" * length, gap=b"\1"), text)
    yield "about another text", raw_rsa(pss(text + "A", name, salt=b"s" * length), text)


FIELD = 2**255 - 19
D = -121665 * pow(121666, -1, FIELD) % FIELD


def roots(square: int) -> set[int]:
    """The square roots in the field of edwards25519 (RFC 8032 s5.1.3)."""
    root = pow(square, (FIELD + 3) // 8, FIELD)
    found = {root, root * pow(2, (FIELD - 1) // 4, FIELD) % FIELD}
    return {sign * one % FIELD for one in found if one * one % FIELD == square % FIELD for sign in (1, -1)}


def small_points() -> list[bytes]:
    """Every spelling of the eight points of edwards25519 whose order divides eight, as public keys."""
    eighths = {y for root in roots(1 + D) for y in roots((root - 1) * pow(D, -1, FIELD))}
    heights = [0, 1, FIELD - 1, FIELD, FIELD + 1, *eighths]
    return [(y | sign << 255).to_bytes(32, "little") for y in sorted(heights) for sign in (0, 1)]


def forged_under(point: bytes, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A text with a signature that a verifier takes under that key, made by nobody: R is 1 and S is 0."""
    key, nobodys = Ed25519PublicKey.from_public_bytes(point), (1).to_bytes(32, "little") + bytes(32)
    for number in range(2_000):
        said = (json.dumps(part).encode() for part in (header, {**claims, "jti": str(number)}))
        text = ".".join(map(b64, said))
        try:
            key.verify(nobodys, text.encode())
        except InvalidSignature:
            continue
        return f"{text}.{b64(nobodys)}"
    raise AssertionError("the point is of no small order")
