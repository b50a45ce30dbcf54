"""RSA keys that look like any other and can be factored: those of the ROCA flaw.

One maker's library built primes as k·M + (65537^a mod M), M being a product of small primes. The modulus of two such
primes is a power of 65537 modulo each of them, which a modulus made by chance is about once in 2^27 (Nemec, Sys,
Svenda, Klinec, Matyas: "The Return of Coppersmith's Attack", ACM CCS 2017, section 2).
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


def is_roca(modulus: int) -> bool:
    """Whether an RSA modulus has the fingerprint of the flaw."""
    return all(modulus % prime in powers for prime, powers in _MARKS)
