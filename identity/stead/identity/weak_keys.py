"""Keys that look like any other and prove nothing: RSA of the ROCA flaw, Ed25519 of small order.

One maker's library built primes as k·M + (65537^a mod M), M being a product of small primes. The modulus of two such
primes is a power of 65537 modulo each of them, which a modulus made by chance is about once in 2^27 (Nemec, Sys,
Svenda, Klinec, Matyas: "The Return of Coppersmith's Attack", ACM CCS 2017, section 2).

Eight points of edwards25519 are of an order that divides eight. Under such a key whoever likes makes signatures: a
multiple of it is one of eight points, and the equation of RFC 8032 s5.1.7 holds by guessing which.
"""

_GENERATOR = 65537
_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
           109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167)  # fmt: skip


def _powers(prime: int) -> frozenset[int]:
    """The powers of the generator modulo a prime: all residues, or tellingly few."""
    powers, power = set(), 1
    while power not in powers:
        powers.add(power)
        power = power * _GENERATOR % prime
    return frozenset(powers)


_MARKS = tuple((prime, _powers(prime)) for prime in _PRIMES)


_FIELD = 2**255 - 19
_D = -121665 * pow(121666, -1, _FIELD) % _FIELD
"""The curve is -x² + y² = 1 + d·x²·y² (RFC 8032 s5.1)."""


def is_of_small_order(point: bytes) -> bool:
    """Whether an Ed25519 public key, as its 32 bytes, is a point of order 1, 2, 4 or 8, however it is written.

    Those of order 1, 2 and 4 have the y 1, -1 and 0. One of order 8, doubled, has the y 0, so that y² = -x²; which in
    the equation of the curve is d·y⁴ + 2·y² = 1.
    """
    y = int.from_bytes(point, "little") % 2**255 % _FIELD
    return y in (0, 1, _FIELD - 1) or (_D * y**4 + 2 * y**2 - 1) % _FIELD == 0


def is_roca(modulus: int) -> bool:
    """Whether an RSA modulus has the fingerprint of the flaw."""
    return all(modulus % prime in powers for prime, powers in _MARKS)
