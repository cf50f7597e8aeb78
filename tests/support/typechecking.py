"""Type checker of the tests: beartype, which accepts an int where a float is expected (PEP 484)."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
