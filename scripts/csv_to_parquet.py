#!/usr/bin/env python3
"""Writes each table.csv below the named directories as table.parquet beside it:

    csv_to_parquet.py exported/systems

For `ecld-device profile export --format aiconfigurator`, whose reader takes Parquet alone. Columns of whole numbers become
64-bit integers, of other numbers doubles, the rest text. Needs pyarrow: pip install pyarrow.
"""
import pathlib
import sys


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__, file=sys.stderr)
        return 2
    import pyarrow.csv
    import pyarrow.parquet
    tables = sorted(path for folder in arguments for path in pathlib.Path(folder).rglob("*.csv"))
    if not tables:
        print(f"{', '.join(arguments)}: no .csv below", file=sys.stderr)
        return 1
    for path in tables:
        table = pyarrow.csv.read_csv(path)
        pyarrow.parquet.write_table(table, path.with_suffix(".parquet"))
        print(f"{path.with_suffix('.parquet')}: {table.num_rows} rows", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
