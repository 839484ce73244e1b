"""Extracts for survey.sh, and the same comparison by DuckDB. Usage:
   extracts.py make ROWS FOLDER | extracts.py join FOLDER csv|parquet | extracts.py read FOLDER csv|parquet"""

import sys
import time

import duckdb

COLUMNS = """'AW' || lpad(n::varchar, 10, '0') AS number,
  'Shop number ' || n || CASE WHEN changed THEN ' renamed' ELSE '' END AS name,
  'shop' || n || '@example.com' AS email, '555-' || lpad((n % 10000)::varchar, 4, '0') AS phone,
  (n % 900) || ' Main Street' AS street, 'Town ' || (n % 1500) AS city, lpad((n % 99999)::varchar, 5, '0') AS postcode,
  (n % 400)::integer AS employees, ((n * 7919) % 9999900 / 100)::decimal(12, 2) AS revenue,
  (DATE '1950-01-01' + (n % 25000)::integer) AS founded, 'https://shop' || n || '.example.com' AS site,
  CASE WHEN n % 3 = 0 THEN NULL ELSE 'FAX ' || (n % 7777) END AS fax"""
FIRST = "SELECT range AS n, false AS changed FROM range({rows})"
# Another order, 0.5 % gone, 1 % changed, 0.5 % new.
SECOND = """SELECT n, n % 100 = 1 AS changed FROM (
  SELECT (range * 1000003) % {rows} AS n FROM range({rows})) WHERE n % 200 <> 0
  UNION ALL SELECT range + {rows}, false FROM range({rows} // 200)"""


def make(connection, rows, folder):
    for name, numbers in (("first", FIRST), ("second", SECOND)):
        select = f"SELECT {COLUMNS} FROM ({numbers.format(rows=rows)})"
        connection.execute(f"COPY ({select}) TO '{folder}/{name}.parquet' (FORMAT parquet, COMPRESSION snappy)")
        connection.execute(f"COPY (FROM '{folder}/{name}.parquet') TO '{folder}/{name}.csv' (HEADER)")


def join(connection, folder, kind):
    names = [row[0] for row in connection.execute(f"DESCRIBE FROM '{folder}/first.{kind}'").fetchall()]
    differs = " OR ".join(f"a.{name} IS DISTINCT FROM b.{name}" for name in names if name != "number")
    print(connection.execute(
        f"""SELECT count(*) FILTER (a.number IS NULL) AS new, count(*) FILTER (b.number IS NULL) AS gone,
                   count(*) FILTER (a.number IS NOT NULL AND b.number IS NOT NULL AND ({differs})) AS changed
            FROM '{folder}/first.{kind}' a FULL OUTER JOIN '{folder}/second.{kind}' b ON a.number = b.number"""
    ).fetchone())


def read(connection, folder, kind):
    names = [row[0] for row in connection.execute(f"DESCRIBE FROM '{folder}/second.{kind}'").fetchall()]
    # Whatever statistics could answer would not be read.
    print(connection.execute(f"SELECT bit_xor(hash({', '.join(names)})) FROM '{folder}/second.{kind}'").fetchone())


connection = duckdb.connect()
connection.execute("SET threads = 2")
what, *rest = sys.argv[1:]
began = time.monotonic()
if what == "make":
    make(connection, int(rest[0]), rest[1])
else:
    {"join": join, "read": read}[what](connection, *rest)
    print(f"seconds {time.monotonic() - began:.3f}")
