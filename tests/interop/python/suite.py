"""The usual flows of Microsoft's Python SDK for Dataverse against the sandbox.

Run by `run.sh`. Reads where the sandbox is from the file that INTEROP_READY names; for each flow
writes one line: result, name and detail, separated by tabs. A flow that needs a message which the
sandbox does not know yet is pending: the message is asked for, not assumed.
"""

import json
import os
import sys
import tempfile
import time
import traceback
import warnings
from enum import IntEnum
from urllib.parse import urlencode

import requests
from azure.core.credentials import AccessToken, TokenCredential

from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models import filters
from PowerPlatform.Dataverse.models.query_builder import ExpandOption
from PowerPlatform.Dataverse.models.upsert import UpsertItem

NOT_SERVED = (404, 501)
FORMATTED = "OData.Community.Display.V1.FormattedValue"
MISSING = "00000000-0000-0000-0000-00000000dead"

FLOWS = []


def flow(name, needs=None):
    """Marks a flow; `needs` names the message without which it is pending."""

    def mark(function):
        FLOWS.append((name, needs, function))
        return function

    return mark


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


class World:
    """A client, and what the flows share."""

    def __init__(self, ready, client):
        self.ready = ready
        self.client = client
        self.records = client.records
        self.tables = client.tables

    def knows(self, message):
        """Whether the sandbox knows a message: an empty call of it is refused for what is in it."""
        scope = f"{self.ready['url']}/.default"
        token = SandboxCredential(self.ready).get_token(scope).token
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        queries = {
            "fetchXml": "<fetch><entity name='contact'/></fetch>",
            "sql": "SELECT contactid FROM contact",
        }
        if message in queries:
            option = urlencode({message: queries[message]})
            url = f"{self.ready['url']}/api/data/v9.2/contacts?{option}"
            answer = requests.get(url, headers=headers, timeout=30)
        else:
            url = f"{self.ready['url']}/api/data/v9.2/{message}"
            answer = requests.post(url, headers=headers, data="{}", timeout=30)
        return answer.status_code not in NOT_SERVED

    def contact(self, **columns):
        return self.records.create("contact", {"lastname": "Interop", **columns})


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(found, expected):
    expect(found == expected, f"expected {expected!r}, found {found!r}")


def refused(status, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except HttpError as error:
        equal(error.status_code, status)
        return error
    raise AssertionError(f"not refused with {status}")


# Records


@flow("create and retrieve")
def create_and_retrieve(world):
    contact = world.contact(FirstName="Ada", emailaddress1="ada.py@example.com")
    row = world.records.retrieve("contact", contact, select=["fullname", "emailaddress1"])
    equal(row["fullname"], "Ada Interop")
    equal(row["contactid"], contact)
    equal(world.records.retrieve("contact", MISSING), None)


@flow("create with labels of choices")
def create_with_labels(world):
    contact = world.contact(gendercode="Female")
    row = world.records.retrieve(
        "contact", contact, select=["gendercode"], include_annotations=FORMATTED
    )
    equal(row["gendercode"], 2)
    equal(row[f"gendercode@{FORMATTED}"], "Female")


@flow("create with a lookup, expand it")
def create_with_a_lookup(world):
    account = world.records.create("account", {"name": "Lookup Ltd"})
    bind = world.client.query.odata_bind("contact", "account", account)
    expect(any(name.endswith("@odata.bind") for name in bind), f"no bind: {bind}")
    contact = world.contact(
        firstname="Bea", **{"parentcustomerid_account@odata.bind": f"/accounts({account})"}
    )
    row = world.records.retrieve(
        "contact",
        contact,
        select=["_parentcustomerid_value"],
        expand=["parentcustomerid_account"],
        include_annotations="*",
    )
    equal(row["_parentcustomerid_value"], account)
    equal(row[f"_parentcustomerid_value@{FORMATTED}"], "Lookup Ltd")
    equal(row["parentcustomerid_account"]["name"], "Lookup Ltd")


@flow("create many", needs="contacts/Microsoft.Dynamics.CRM.CreateMultiple")
def create_many(world):
    ids = world.records.create("contact", [{"lastname": f"Many {n}"} for n in range(3)])
    equal(len(ids), 3)
    equal(world.records.retrieve("contact", ids[2], select=["lastname"])["lastname"], "Many 2")


@flow("update one")
def update_one(world):
    contact = world.contact(firstname="Cy")
    world.records.update("contact", contact, {"jobtitle": "Smith", "donotemail": True})
    row = world.records.retrieve("contact", contact, select=["jobtitle", "donotemail"])
    equal((row["jobtitle"], row["donotemail"]), ("Smith", True))
    refused(404, world.records.update, "contact", MISSING, {"jobtitle": "x"})


@flow("update many", needs="contacts/Microsoft.Dynamics.CRM.UpdateMultiple")
def update_many(world):
    ids = [world.contact(firstname=f"U{n}") for n in range(2)]
    world.records.update("contact", ids, {"jobtitle": "all"})
    world.records.update("contact", ids, [{"jobtitle": "one"}, {"jobtitle": "two"}])
    equal(world.records.retrieve("contact", ids[1], select=["jobtitle"])["jobtitle"], "two")


@flow("upsert one by alternate key")
def upsert_one(world):
    key = {"emailaddress1": "upsert.py@example.com"}
    for title in ["created", "updated"]:
        record = {"lastname": "Interop", "jobtitle": title}
        world.records.upsert("contact", [UpsertItem(alternate_key=key, record=record)])
    rows = world.records.list(
        "contact", filter="emailaddress1 eq 'upsert.py@example.com'", select=["jobtitle"]
    )
    equal([row["jobtitle"] for row in rows], ["updated"])


@flow("upsert many", needs="contacts/Microsoft.Dynamics.CRM.UpsertMultiple")
def upsert_many(world):
    items = [
        UpsertItem(
            alternate_key={"emailaddress1": f"many{n}.py@example.com"},
            record={"lastname": "Upserted", "jobtitle": str(n)},
        )
        for n in range(3)
    ]
    world.records.upsert("contact", items)
    world.records.upsert("contact", items)
    rows = world.records.list("contact", filter="lastname eq 'Upserted'", select=["jobtitle"])
    equal(sorted(row["jobtitle"] for row in rows), ["0", "1", "2"])


@flow("delete one, then one by one")
def delete(world):
    one, two, three = (world.contact(firstname=f"D{n}") for n in range(3))
    world.records.delete("contact", one)
    equal(world.records.retrieve("contact", one), None)
    world.records.delete("contact", [two, three], use_bulk_delete=False)
    equal(world.records.retrieve("contact", three), None)
    refused(404, world.records.delete, "contact", one)


@flow("delete many as a job", needs="BulkDelete")
def delete_many(world):
    ids = [world.contact(firstname=f"B{n}") for n in range(2)]
    expect(world.records.delete("contact", ids), "no job")


@flow("errors have status, code and message")
def errors(world):
    error = refused(400, world.records.create, "contact", {"nothing": 1})
    expect("nothing" in str(error), str(error))
    error = refused(400, world.records.create, "contact", {"lastname": "x" * 60})
    equal(error.details["service_error_code"], "0x80044331")
    expect(error.details.get("service_request_id"), "no request id")


# Queries


def crowd(world, family, size):
    """People of a family, made once."""
    rows = world.records.list("contact", filter=f"lastname eq '{family}'", select=["firstname"])
    for number in range(len(list(rows)), size):
        world.records.create(
            "contact",
            {
                "lastname": family,
                "firstname": f"P{number}",
                "numberofchildren": number,
                "birthdate": f"19{70 + number}-01-31",
            },
        )


@flow("list with filter, order and top")
def list_rows(world):
    crowd(world, "Listed", 5)
    rows = world.records.list(
        "contact",
        filter="lastname eq 'Listed' and numberofchildren gt 0",
        select=["FirstName"],
        orderby=["numberofchildren desc"],
        top=2,
    )
    equal([row["firstname"] for row in rows], ["P4", "P3"])


@flow("pages follow next links")
def pages(world):
    crowd(world, "Listed", 5)
    sizes, names = [], []
    for page in world.records.list_pages(
        "contact",
        filter="lastname eq 'Listed'",
        select=["firstname"],
        orderby=["firstname asc"],
        page_size=2,
        count=True,
    ):
        rows = list(page)
        sizes.append(len(rows))
        names.extend(row["firstname"] for row in rows)
    equal((sizes, names), ([2, 2, 1], ["P0", "P1", "P2", "P3", "P4"]))


FILTERS = [
    (lambda c: (c("numberofchildren") >= 1) & (c("numberofchildren") < 3), "P1 P2"),
    (lambda c: (c("firstname") == "P0") | (c("firstname") == "P4"), "P0 P4"),
    (lambda c: ~(c("firstname") == "P0"), "P1 P2 P3 P4"),
    (lambda c: c("firstname").in_(["P1", "P3"]), "P1 P3"),
    (lambda c: c("firstname").not_in(["P1", "P3"]), "P0 P2 P4"),
    (lambda c: c("numberofchildren").in_([0, 2]), "P0 P2"),
    (lambda c: c("numberofchildren").between(1, 2), "P1 P2"),
    (lambda c: c("numberofchildren").not_between(1, 2), "P0 P3 P4"),
    (lambda c: c("firstname").startswith("p") & c("firstname").endswith("2"), "P2"),
    (lambda c: c("firstname").contains("3"), "P3"),
    (lambda c: c("firstname").like("P4%"), "P4"),
    (lambda c: c("jobtitle").is_null() & c("firstname").is_not_null(), "P0 P1 P2 P3 P4"),
    (lambda c: filters.raw("Microsoft.Dynamics.CRM.Today(PropertyName='createdon')"), "P0 P1 P2 P3 P4"),
    (lambda c: filters.raw("Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue=7)"), "P0 P1 P2 P3 P4"),
]


@flow("filters of the query builder")
def builder_filters(world):
    crowd(world, "Listed", 5)
    for make, expected in FILTERS:
        query = (
            world.client.query.builder("contact")
            .select("firstname")
            .where((filters.col("lastname") == "Listed") & make(filters.col))
            .order_by("firstname")
        )
        found = " ".join(row["firstname"] for row in query.execute())
        expect(found == expected, f"{make(filters.col)}: expected {expected}, found {found}")


@flow("the query builder expands both ways")
def builder_expands(world):
    account = world.records.create("account", {"name": "Expanded"})
    bind = {"parentcustomerid_account@odata.bind": f"/accounts({account})"}
    for name in ["Xa", "Xb", "Xc"]:
        world.contact(firstname=name, **bind)
    people = (
        ExpandOption("contact_customer_accounts")
        .select("firstname")
        .filter("firstname ne 'Xa'")
        .order_by("firstname", descending=True)
        .top(5)
    )
    query = (
        world.client.query.builder("account")
        .select("name")
        .where(filters.col("name") == "Expanded")
        .expand(people)
        .include_formatted_values()
        .count()
    )
    (row,) = list(query.execute())
    equal([one["firstname"] for one in row["contact_customer_accounts"]], ["Xc", "Xb"])
    rows = world.records.list(
        "contact", filter="parentcustomerid_account/name eq 'Expanded'", select=["firstname"]
    )
    equal(len(list(rows)), 3)


@flow("fetchXml, page by page", needs="fetchXml")
def fetch_xml(world):
    crowd(world, "Listed", 5)
    xml = (
        "<fetch count='2'><entity name='contact'><attribute name='firstname'/>"
        "<filter><condition attribute='lastname' operator='eq' value='Listed'/></filter>"
        "<order attribute='firstname'/></entity></fetch>"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = world.client.query.fetchxml(xml).execute()
    equal([row["firstname"] for row in rows], ["P0", "P1", "P2", "P3", "P4"])


@flow("SQL: conditions, order, top and offset", needs="sql")
def sql_rows(world):
    crowd(world, "Listed", 5)
    where = "FROM contact c WHERE c.lastname = 'Listed'"
    for sql, expected in [
        (f"SELECT c.firstname {where} ORDER BY c.firstname DESC", "P4 P3 P2 P1 P0"),
        (f"SELECT TOP 2 firstname {where} ORDER BY firstname", "P0 P1"),
        (f"SELECT firstname {where} AND (numberofchildren > 3 OR firstname LIKE 'P0%')", "P0 P4"),
        (f"SELECT firstname {where} AND firstname NOT IN ('P1', 'P2', 'P3')", "P0 P4"),
        (f"SELECT firstname {where} AND numberofchildren BETWEEN 1 AND 2", "P1 P2"),
        (f"SELECT firstname {where} AND jobtitle IS NULL AND numberofchildren = 3", "P3"),
        (f"SELECT firstname {where} ORDER BY firstname OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY", "P1 P2"),
        (f"SELECT DISTINCT lastname AS firstname {where}", "Listed"),
    ]:
        found = [row["firstname"] for row in world.client.query.sql(sql)]
        found = found if "ORDER" in sql else sorted(found)
        expect(found == expected.split(), f"{sql}: expected {expected}, found {found}")
    refused(400, world.client.query.sql, "SELECT LEN(firstname) FROM contact")


@flow("SQL: joins, groups and totals", needs="sql")
def sql_joins(world):
    account = world.records.create("account", {"name": "Joined by SQL"})
    bind = {"parentcustomerid_account@odata.bind": f"/accounts({account})"}
    for number, name in enumerate(["Ja", "Jb"]):
        world.contact(firstname=name, numberofchildren=number, **bind)
    join = (
        "FROM account a JOIN contact c ON a.accountid = c.parentcustomerid "
        "JOIN systemuser u ON c.ownerid = u.systemuserid WHERE a.name = 'Joined by SQL'"
    )
    rows = world.client.query.sql(f"SELECT a.name, c.firstname, u.fullname AS owner {join} ORDER BY c.firstname")
    equal([(row["name"], row["firstname"]) for row in rows], [("Joined by SQL", "Ja"), ("Joined by SQL", "Jb")])
    expect(rows[0]["owner"], "no owner")
    sql = f"SELECT a.name, COUNT(c.contactid) AS cnt, SUM(c.numberofchildren) AS total {join} GROUP BY a.name"
    rows = world.client.query.sql(sql)
    equal([(row["name"], row["cnt"], row["total"]) for row in rows], [("Joined by SQL", 2, 1)])
    frame = world.client.dataframe.sql("SELECT COUNT(*) AS cnt FROM account WHERE name = 'Joined by SQL'")
    equal(int(frame["cnt"].iloc[0]), 1)
    batch = world.client.batch.new()
    batch.query.sql("SELECT TOP 1 name FROM account WHERE name = 'Joined by SQL'")
    responses = batch.execute().responses
    equal(responses[0].data["value"][0]["name"], "Joined by SQL")


@flow("data frames")
def data_frames(world):
    crowd(world, "Listed", 5)
    frame = (
        world.client.query.builder("contact")
        .select("firstname", "numberofchildren")
        .where(filters.col("lastname") == "Listed")
        .to_dataframe()
    )
    equal(int(frame["numberofchildren"].sum()), 10)


# Batches


@flow("batch of reads and writes")
def batch(world):
    contact = world.contact(firstname="Batched")
    batch = world.client.batch.new()
    batch.records.create("contact", {"lastname": "In Batch"})
    batch.records.update("contact", contact, {"jobtitle": "batched"})
    batch.records.retrieve("contact", contact, select=["jobtitle"])
    batch.records.list("contact", filter="lastname eq 'In Batch'", select=["lastname"], top=5)
    batch.records.upsert(
        "contact",
        [UpsertItem(alternate_key={"emailaddress1": "b.py@example.com"}, record={"lastname": "B"})],
    )
    batch.tables.get("contact")
    batch.records.delete("contact", contact)
    result = batch.execute()
    equal([one.status_code for one in result.responses], [204, 204, 200, 200, 204, 200, 204])
    equal(result.responses[2].data["jobtitle"], "batched")
    equal(result.responses[3].data["value"][0]["lastname"], "In Batch")
    expect(result.entity_ids, "no ids")


@flow("change set with references")
def change_set(world):
    batch = world.client.batch.new()
    with batch.changeset() as changes:
        contact = changes.records.create("contact", {"lastname": "Referred"})
        changes.records.create(
            "account", {"name": "Referring", "primarycontactid@odata.bind": contact}
        )
        changes.records.update("contact", contact, {"jobtitle": "primary"})
    result = batch.execute()
    expect(not result.has_errors, [one.error_message for one in result.failed])
    (row,) = world.records.list(
        "account", filter="name eq 'Referring'", expand=["primarycontactid"]
    )
    equal(row["primarycontactid"]["jobtitle"], "primary")


@flow("a failed change set leaves nothing")
def failed_change_set(world):
    batch = world.client.batch.new()
    with batch.changeset() as changes:
        changes.records.create("contact", {"lastname": "Rolled Back"})
        changes.records.create("contact", {"lastname": "x" * 60})
    result = batch.execute(continue_on_error=True)
    expect(result.has_errors, "no error")
    equal(len(list(world.records.list("contact", filter="lastname eq 'Rolled Back'"))), 0)


@flow("continue on error")
def continue_on_error(world):
    batch = world.client.batch.new()
    batch.records.retrieve("contact", MISSING, select=["fullname"])
    batch.records.create("contact", {"lastname": "After Error"})
    result = batch.execute(continue_on_error=True)
    equal([one.status_code for one in result.responses], [404, 204])
    expect(result.failed[0].error_code, "no code")


@flow("bulk messages in a batch", needs="contacts/Microsoft.Dynamics.CRM.CreateMultiple")
def bulk_in_batch(world):
    batch = world.client.batch.new()
    batch.records.create("contact", [{"lastname": "Bulk 1"}, {"lastname": "Bulk 2"}])
    result = batch.execute()
    equal(len(result.responses[0].data["Ids"]), 2)


# Definitions


@flow("tables")
def tables(world):
    table = world.tables.get("contact")
    equal((table.logical_name, table.entity_set_name), ("contact", "contacts"))
    equal(table.primary_id_attribute, "contactid")
    equal(world.tables.get("new_nothing"), None)
    names = {table["LogicalName"] for table in world.tables.list(select=["LogicalName"])}
    expect({"account", "contact", "lead"} <= names, names)
    (lead,) = world.tables.list(filter="SchemaName eq 'Lead'", select=["LogicalName"])
    equal(lead["LogicalName"], "lead")


@flow("columns")
def columns(world):
    names = {c["LogicalName"] for c in world.tables.list_columns("contact")}
    expect({"fullname", "gendercode"} <= names, names)
    memo = "AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Memo'"
    found = world.tables.list_columns("contact", select=["LogicalName"], filter=memo)
    expect("description" in {c["LogicalName"] for c in found}, found)
    column = world.tables.get_column("contact", "FirstName")
    equal(column["AttributeType"], "String")
    equal(world.tables.get_column("contact", "new_nothing"), None)


@flow("typed columns through RetrieveMetadataChanges")
def typed_columns(world):
    column = world.tables.get_column("contact", "firstname", typed=True)
    equal(column["MaxLength"], 50)
    found = {c["LogicalName"]: c for c in world.tables.list_columns("account", typed=True)}
    equal(found["numberofemployees"]["MinValue"], 0)
    equal(found["revenue"]["Precision"], 4)


@flow("alternate keys")
def alternate_keys(world):
    keys = world.tables.get_alternate_keys("contact")
    found = [(key.key_attributes, key.status) for key in keys]
    expect((["emailaddress1"], "Active") in found, found)


@flow("relationships")
def relationships(world):
    found = world.tables.get_relationship("contact_customer_accounts")
    equal(found.relationship_schema_name, "contact_customer_accounts")
    names = {one["SchemaName"] for one in world.tables.list_relationships(select=["SchemaName"])}
    expect("contact_customer_accounts" in names, names)
    kind = "RelationshipType eq Microsoft.Dynamics.CRM.RelationshipType'OneToManyRelationship'"
    expect(world.tables.list_relationships(filter=kind), "none of one to many")
    names = {one["SchemaName"] for one in world.tables.list_table_relationships("account")}
    expect({"contact_customer_accounts", "account_primary_contact"} <= names, names)


@flow("names for queries")
def names_for_queries(world):
    query = world.client.query
    expect("fullname" in query.odata_select("contact"), "no fullname")
    expands = query.odata_expands("contact")
    expect(any(one["nav_property"] == "parentcustomerid_account" for one in expands), expands)
    equal(query.odata_expand("contact", "account"), "parentcustomerid_account")
    expect(query.sql_columns("contact"), "no columns")


@flow("a table made, filled and dropped")
def own_table(world):
    tables = world.tables
    made = tables.create(
        "new_Interop",
        {"new_Title": "string", "new_Count": "int", "new_Share": "decimal", "new_Kind": Kind},
    )
    equal(made.entity_set_name, "new_interops")
    tables.add_columns("new_Interop", {"new_Code": {"type": "string", "max_length": 40}})
    key = tables.create_alternate_key("new_Interop", "new_Code_Key", ["new_code"])
    world.records.create("new_Interop", {"new_Title": "one", "new_Count": 1, "new_Kind": "HIGH"})
    status = key.status
    for _ in range(50):
        if status == "Active":
            break
        time.sleep(0.1)
        status = tables.get_alternate_keys("new_Interop")[0].status
    equal(status, "Active")
    item = UpsertItem(alternate_key={"new_code": "c"}, record={"new_title": "two"})
    world.records.upsert("new_Interop", [item])
    tables.create_lookup_field("new_interop", "new_AccountId", "account")
    tables.remove_columns("new_Interop", ["new_Count"])
    tables.delete("new_Interop")
    expect(tables.get("new_Interop") is None, "the table is there still")


@flow("a file")
def files(world):
    world.tables.create("new_Filed", {"new_Paper": "file"})
    record = world.records.create("new_Filed", {"new_Name": "filed"})
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(b"words")
        file.flush()
        world.client.files.upload("new_Filed", record, "new_Paper", file.name)
    found = world.records.retrieve("new_Filed", record)
    expect(found["new_paper_name"].endswith(".txt"), found["new_paper_name"])


class Kind(IntEnum):
    LOW = 1
    HIGH = 2


def main():
    with open(os.environ["INTEROP_READY"], encoding="utf-8") as file:
        ready = json.load(file)
    warnings.simplefilter("ignore", DeprecationWarning)
    failures = 0
    with DataverseClient(ready["url"], SandboxCredential(ready)) as client:
        world = World(ready, client)
        for name, needs, run in FLOWS:
            if needs and not world.knows(needs):
                print(f"pending\t{name}\tneeds {needs}", flush=True)
                continue
            try:
                run(world)
                print(f"pass\t{name}\t", flush=True)
            except Exception as error:  # a failed flow is a line of the table
                failures += 1
                detail = " ".join(str(error).split()) or type(error).__name__
                print(f"FAIL\t{name}\t{detail[:300]}", flush=True)
                if os.environ.get("INTEROP_TRACE"):
                    traceback.print_exc(file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
