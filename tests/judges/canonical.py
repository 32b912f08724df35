"""One text for each value, whoever read it. Shared by source_rows.py and table_rows.py."""

import datetime
import decimal

EXACT = decimal.Context(prec=80)


def number(value):
    """Digits without trailing zeros: 12.50 and 12.5 are one number."""
    return format(EXACT.normalize(EXACT.create_decimal(value)), "f")


def real(value):
    return repr(float(value))


def moment(value, nanos):
    """Wall clock or UTC with nine digits; `nanos` are those of the second."""
    return value.replace(microsecond=0, tzinfo=None).isoformat() + f".{nanos:09d}"


def utc(value):
    return value.astimezone(datetime.timezone.utc) if value.tzinfo else value


def as_bytes(value):
    return bytes(value).hex()


def vector(value):
    return [real(item) for item in value]
