#!/usr/bin/env python3
"""Makes the data that the other scripts measure with. Needs numpy, polars and pyarrow.

    make_data.py --out DIR [--rows 5800000] [--seed 1] [--files 10000] [--mebibytes 1024]

In DIR:

- `card.csv`: card transactions, 20 mixed columns, about 1.1 GB. Floats have the shortest digits that
  read back to the same bits, an unquoted empty field is null, and some rows in a hundred hold a
  quoted field (merchants with commas and quotes in their names).
- `card.parquet`: the same rows, zstd, row groups of 131,072 rows.
- `card-snappy.parquet`: the same, snappy, row groups of 100,000 rows and remainders.
- `card.arrow`: the same as an Arrow IPC file.
- `restart.csv`: `card.csv` but for one column: `attempts` is whole until 60 % of the rows are over,
  and has decimals now and then from there on. A reader that guesses types from the first rows is
  wrong, and notices late.
- `model.bin`: random bytes. `many/`: files of 100 KiB of random bytes in 100 folders.

The same seed gives the same rows.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

# Rows made and written at a time, so that memory does not grow with the table. A whole number of
# the large row groups, and no whole number of the small ones.
CHUNK_ROWS = 4 * 131_072
FIRST_SECOND = 1_672_531_200  # 2023-01-01
# Most names need no quotes; about one row in twenty-five gets one that does.
MERCHANTS = 25_000
QUOTED_EVERY = 25
CARDS = 700_000
BASE32 = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", dtype=np.uint8)

SCHEMA = pa.schema([
    ("transaction_id", pa.int64()), ("event_time", pa.timestamp("ms")),
    ("posted_at", pa.timestamp("s", "UTC")), ("customer_id", pa.int64()),
    ("card_id", pa.string()), ("merchant", pa.string()), ("merchant_category", pa.int32()),
    ("amount", pa.float64()), ("currency", pa.string()), ("country", pa.string()),
    ("city", pa.string()), ("latitude", pa.float64()), ("longitude", pa.float64()),
    ("channel", pa.string()), ("device", pa.string()), ("attempts", pa.int8()),
    ("is_international", pa.bool_()), ("holder_birth_date", pa.date32()),
    ("risk_score", pa.float64()), ("is_fraud", pa.bool_())])

CURRENCIES = ["EUR", "USD", "GBP", "CHF", "SEK", "PLN", "JPY", "BRL"]
COUNTRIES = ["DE", "FR", "US", "GB", "CH", "SE", "PL", "IT", "ES", "NL", "AT", "JP", "BR", "PT"]
CITIES = ["Berlin", "Paris", "München", "Zürich", "London", "New York", "São Paulo", "Kraków", "Roma",
          "Madrid", "Wien", "Malmö", "Osaka", "Porto", "Lille", "Gdańsk", "Basel", "Utrecht", "Lyon"]
CHANNELS = ["chip", "contactless", "online", "atm", "phone"]
DEVICES = ["ios", "android", "terminal", "browser", "watch"]
WORDS = ["Blue", "Corner", "Grand", "Old", "Royal", "Green", "North", "Market", "Silver", "Harbour"]
TRADES = ["Books", "Foods", "Fuel", "Travel", "Hotel", "Games", "Shoes", "Pharma", "Tools", "Café"]


def merchant_names():
    names = []
    for number in range(MERCHANTS):
        word, trade = WORDS[number % 10], TRADES[number // 10 % 10]
        name = f"{word} {trade} {number}"
        if number % (2 * QUOTED_EVERY) == 0:
            name = f"{word} {trade}, {number}"
        elif number % QUOTED_EVERY == 0:
            name = f'"{word}" {trade} {number}'
        names.append(name)
    return pa.array(names)


def random_words(random, count, letters, prefix):
    """Strings of base-32 digits behind a letter, so that none of them reads as a number."""
    width = letters + 1
    digits = BASE32[random.integers(0, 32, size=(count, width), dtype=np.uint8)]
    digits[:, 0] = ord(prefix)
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(
        count, pa.py_buffer(offsets.tobytes()), pa.py_buffer(digits.tobytes()))


class Table:
    """Makes the rows of one chunk after the other. Each chunk has a stream of random numbers of its
    own."""

    def __init__(self, rows, seed):
        self.rows, self.seed = rows, seed
        self.merchants = merchant_names()
        self.cards = random_words(np.random.default_rng([seed, 0]), CARDS, 9, "c")

    def chunks(self):
        for start in range(0, self.rows, CHUNK_ROWS):
            yield self.chunk(start, min(CHUNK_ROWS, self.rows - start))

    def chunk(self, start, rows):
        """The rows, and the column of `restart.csv` that is not theirs."""
        random = np.random.default_rng([self.seed, 1, start])

        def pick(values, skew=1.0, nulls=0.0):
            index = (random.random(rows) ** skew * len(values)).astype(np.int32)
            mask = random.random(rows) < nulls if nulls else None
            return pc.take(values if isinstance(values, pa.Array) else pa.array(values),
                           pa.array(index, mask=mask))

        number = np.arange(start, start + rows, dtype=np.int64)
        millis = (FIRST_SECOND * 1000 + number * 10_900 + random.integers(0, 10_900, rows))
        merchant = pa.array((random.random(rows) ** 2 * MERCHANTS).astype(np.int32))
        merchant_code = (merchant.to_numpy() * 7919 % 9000 + 1000).astype(np.int32)
        amount = np.round(np.exp(random.normal(3.2, 1.3, rows)), 2)
        spread = random.integers(-4_000_000, 4_000_000, size=(2, rows)) / 100_000
        score = random.beta(0.6, 8.0, rows)
        attempts = random.geometric(0.8, rows).clip(1, 9).astype(np.int8)
        born = random.integers(-11_000, 13_500, rows).astype(np.int32)
        arrays = {
            "transaction_id": pa.array(1_000_000_000 + number * 3 + random.integers(0, 3, rows)),
            "event_time": pa.array(millis).cast(pa.timestamp("ms")),
            "posted_at": pa.array(millis // 1000 + random.integers(60, 200_000, rows),
                                  mask=random.random(rows) < 0.02).cast(SCHEMA.field("posted_at").type),
            "customer_id": pa.array(random.integers(100_000, 9_999_999, rows)),
            "card_id": pick(self.cards),
            "merchant": pc.take(self.merchants, merchant),
            "merchant_category": pa.array(merchant_code),
            "amount": pa.array(amount),
            "currency": pick(CURRENCIES, 2.0), "country": pick(COUNTRIES, 1.5),
            "city": pick(CITIES, 1.3, nulls=0.04),
            "latitude": pa.array(np.round(12.0 + spread[0], 4), mask=random.random(rows) < 0.01),
            "longitude": pa.array(np.round(14.0 + spread[1], 4), mask=random.random(rows) < 0.01),
            "channel": pick(CHANNELS, 1.5), "device": pick(DEVICES, 1.2, nulls=0.12),
            "attempts": pa.array(attempts),
            "is_international": pa.array(random.random(rows) < 0.15),
            "holder_birth_date": pa.array(born, mask=random.random(rows) < 0.03).cast(pa.date32()),
            "risk_score": pa.array(score, mask=random.random(rows) < 0.03),
            "is_fraud": pa.array(random.random(rows) < 0.004),
        }
        return pa.table(arrays, schema=SCHEMA), self.late(number, arrays["attempts"])

    def late(self, number, attempts):
        """The same whole numbers as text, with a decimal in some rows after three fifths of all."""
        contradicts = (number >= self.rows * 3 // 5) & (number % 1000 == self.rows * 3 // 5 % 1000)
        text = attempts.cast(pa.string())
        return pc.if_else(pa.array(contradicts), pc.binary_join_element_wise(text, "5", "."), text)


def write_rows(frame, file):
    """Appends rows to a CSV file. pyarrow would quote every string or none."""
    frame.with_columns(pl.col("posted_at").dt.strftime("%Y-%m-%d %H:%M:%SZ")).write_csv(
        file, include_header=file.tell() == 0, datetime_format="%Y-%m-%d %H:%M:%S%.3f")


def write_tables(folder, rows, seed):
    with (open(folder / "card.csv", "wb") as text, open(folder / "restart.csv", "wb") as restart,
          pq.ParquetWriter(folder / "card.parquet", SCHEMA, compression="zstd") as zstd,
          pq.ParquetWriter(folder / "card-snappy.parquet", SCHEMA, compression="snappy") as snappy,
          pa.ipc.new_file(folder / "card.arrow", SCHEMA) as arrow,
          ThreadPoolExecutor(5) as pool):
        for table, late in Table(rows, seed).chunks():
            frame = pl.from_arrow(table)
            jobs = [pool.submit(zstd.write_table, table, row_group_size=131_072),
                    pool.submit(snappy.write_table, table, row_group_size=100_000),
                    pool.submit(arrow.write_table, table, max_chunksize=65_536),
                    pool.submit(write_rows, frame, text),
                    pool.submit(write_rows, frame.with_columns(attempts=pl.from_arrow(late)),
                                restart)]
            for job in jobs:
                job.result()


def write_bytes(folder, files, mebibytes, seed):
    random = np.random.default_rng([seed, 2])
    with open(folder / "model.bin", "wb") as model:
        for _ in range(mebibytes):
            model.write(random.bytes(1 << 20))
    for number in range(files):
        path = folder / "many" / f"{number % 100:02}" / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.bytes(100 * 1024))


def main():
    parser = argparse.ArgumentParser(description="Makes the data that the other scripts measure with.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=5_800_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--mebibytes", type=int, default=1024, help="size of model.bin")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if any(arguments.out.iterdir()):
        raise SystemExit(f"{arguments.out} is not empty")
    write_tables(arguments.out, arguments.rows, arguments.seed)
    write_bytes(arguments.out, arguments.files, arguments.mebibytes, arguments.seed)
    # Written back now, so that the disk is quiet when it counts.
    os.sync()
    for path in sorted(arguments.out.iterdir()):
        if path.is_file():
            print(f"{path.name:20} {path.stat().st_size:>13,} bytes")


if __name__ == "__main__":
    main()
