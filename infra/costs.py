"""What the stack costs a month, from assumptions that can be changed.

    python infra/costs.py                          the table of docs/aws.md
    python infra/costs.py --connections 40 --mb-per-run 500 --runs 720

Prices are those of us-east-1 (N. Virginia) in US dollars, before free tiers and taxes; other regions
cost up to twice as much. Where each comes from stands beside it; read it there before you rely on it.
"""

import argparse

HOURS = 730  # of a month
PRICES = {
    "nat_hour": 0.045,  # aws.amazon.com/vpc/pricing
    "nat_gb": 0.045,  # aws.amazon.com/vpc/pricing
    "address_hour": 0.005,  # aws.amazon.com/vpc/pricing, public IPv4
    "lambda_gb_s": 0.0000166667,  # aws.amazon.com/lambda/pricing, x86
    "s3_gb": 0.023,  # aws.amazon.com/s3/pricing, Standard
    "s3_put": 0.005 / 1000,
    "s3_get": 0.0004 / 1000,
    "dynamodb_write": 0.625 / 1e6,  # aws.amazon.com/dynamodb/pricing, on demand
    "dynamodb_read": 0.125 / 1e6,
    "secret": 0.40,  # aws.amazon.com/secrets-manager/pricing
    "key": 1.00,  # aws.amazon.com/kms/pricing
    "metric": 0.30,  # aws.amazon.com/cloudwatch/pricing
    "alarm_metric": 0.10,
    "dashboard": 3.00,
    "log_gb": 0.50,
}
OWN_METRICS = 10 + 9  # figures of the pull and of the push
ALARM_METRICS = 16  # a test counts them in the template
# For each table and run, from the engine's protocol: objects of plan, parts, records, manifest,
# and the Delta commit; items of lease, state, run record.
PUTS, GETS, WRITES, READS = 10, 20, 12, 12
WRITE_UNITS = 2  # an item of 1 to 2 KB
LOG_BYTES = 4_000
MEMORY_GB = 1769 / 1024


def fixed(gateways):
    """Returns the cost without any connection, by part."""
    return {
        "NAT gateways": gateways * PRICES["nat_hour"] * HOURS,
        "addresses": gateways * PRICES["address_hour"] * HOURS,
        "key": PRICES["key"],
        "metrics, alarms, dashboard": OWN_METRICS * PRICES["metric"]
        + ALARM_METRICS * PRICES["alarm_metric"] + PRICES["dashboard"],
    }


def each(a):
    """Returns the cost of one connection, by part."""
    table_runs = a.tables * a.runs
    return {
        "NAT data": a.mb_per_run / 1000 * a.runs * PRICES["nat_gb"],
        "Lambda": a.seconds_per_run * a.runs * MEMORY_GB * PRICES["lambda_gb_s"],
        "S3": a.lake_gb * PRICES["s3_gb"]
        + table_runs * (PUTS * PRICES["s3_put"] + GETS * PRICES["s3_get"]),
        "DynamoDB": table_runs
        * (WRITES * WRITE_UNITS * PRICES["dynamodb_write"] + READS * PRICES["dynamodb_read"]),
        "secret": PRICES["secret"],
        "logs": table_runs * LOG_BYTES / 1e9 * PRICES["log_gb"],
    }


def dollars(value):
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def table(a, counts):
    """Returns the Markdown table for these numbers of connections."""
    lines = ["| | " + " | ".join(f"{n:,}" for n in counts) + " |",
             "|---|" + "---:|" * len(counts)]
    totals = [0.0] * len(counts)
    for name, cost in fixed(a.gateways).items():
        lines.append(f"| {name} | " + " | ".join(dollars(cost) for _ in counts) + " |")
        totals = [total + cost for total in totals]
    for name, cost in each(a).items():
        lines.append(f"| {name} | " + " | ".join(dollars(cost * n) for n in counts) + " |")
        totals = [total + cost * n for total, n in zip(totals, counts)]
    lines.append("| **a month** | " + " | ".join(f"**{dollars(t)}**" for t in totals) + " |")
    return "\n".join(lines)


def arguments(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 100, 10_000])
    parser.add_argument("--gateways", type=int, choices=[0, 1, 2], default=2)
    parser.add_argument("--tables", type=int, default=10, help="of a connection")
    parser.add_argument("--runs", type=int, default=30, help="of a connection in a month")
    parser.add_argument("--seconds-per-run", type=float, default=60, help="of all tables together")
    parser.add_argument("--mb-per-run", type=float, default=100, help="of results, compressed")
    parser.add_argument("--lake-gb", type=float, default=5, help="that a connection keeps")
    return parser.parse_args(words)


if __name__ == "__main__":
    chosen = arguments()
    print(table(chosen, chosen.connections))
