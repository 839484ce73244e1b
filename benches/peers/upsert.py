"""Upserts accounts with Microsoft's Python SDK for Dataverse: a peer in `benches/dispatch.sh`.

Usage: upsert.py READY_FILE EXTRACT ROWS BATCH. Prints rows, seconds, and the milliseconds of
processor time for user and system that it took, start and sign-in left out.
"""

import csv
import json
import os
import sys
import time

import requests
from azure.core.credentials import AccessToken, TokenCredential

from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.models.upsert import UpsertItem


class SandboxCredential(TokenCredential):
    """Asks the sandbox's own token endpoint, as an application with a secret does."""

    def __init__(self, ready):
        self._ready = ready

    def get_token(self, *scopes, **_):
        ready = self._ready
        url = f"{ready['authority']}/{ready['tenant_id']}/oauth2/v2.0/token"
        form = {
            "client_id": ready["client_id"],
            "client_secret": ready["client_secret"],
            "grant_type": "client_credentials",
            "scope": scopes[0],
        }
        answer = requests.post(url, data=form, timeout=30)
        answer.raise_for_status()
        body = answer.json()
        return AccessToken(body["access_token"], int(time.time()) + int(body["expires_in"]))


def item(row):
    record = {
        "name": row["name"],
        "telephone1": row["phone"],
        "address1_line1": row["street"],
        "address1_city": row["city"],
        "numberofemployees": int(row["employees"]),
        "revenue": float(row["revenue"]),
        "description": row["founded"],
    }
    return UpsertItem(alternate_key={"accountnumber": row["number"]}, record=record)


def main():
    ready_file, extract, rows, batch = sys.argv[1:]
    with open(ready_file, encoding="utf-8") as file:
        ready = json.load(file)
    with open(extract, encoding="utf-8", newline="") as file:
        items = [item(row) for row, _ in zip(csv.DictReader(file), range(int(rows)))]
    client = DataverseClient(ready["url"], SandboxCredential(ready))
    client.records.upsert("account", items[:1])
    items, batch = items[1:], int(batch)
    before, began = os.times(), time.monotonic()
    for first in range(0, len(items), batch):
        client.records.upsert("account", items[first : first + batch])
    seconds, after = time.monotonic() - began, os.times()
    user, system = (round((after[place] - before[place]) * 1000) for place in (0, 1))
    print(len(items), f"{seconds:.3f}", user, system)


main()
