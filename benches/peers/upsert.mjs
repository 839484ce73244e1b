// Upserts accounts with `dynamics-web-api`: a peer in `benches/dispatch.sh`.
//
// Usage: upsert.mjs READY_FILE EXTRACT ROWS BATCH. Prints rows, seconds, and the milliseconds of
// processor time for user and system that it took, start and sign-in left out.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

// The client is installed beside the caches, not beside this file.
const require = createRequire(process.env.INTEROP_MODULES ?? import.meta.url);
const { DynamicsWebApi } = require("dynamics-web-api");

const [readyFile, extract, wanted, size] = process.argv.slice(2);
const ready = JSON.parse(await readFile(readyFile, "utf8"));

async function token() {
  const form = new URLSearchParams({
    client_id: ready.client_id,
    client_secret: ready.client_secret,
    grant_type: "client_credentials",
    scope: `${ready.url}/.default`,
  });
  const url = `${ready.authority}/${ready.tenant_id}/oauth2/v2.0/token`;
  const answer = await fetch(url, { method: "POST", body: form });
  return (await answer.json()).access_token;
}

// A program that loads much asks for its token once.
let known;
const api = new DynamicsWebApi({
  serverUrl: ready.url,
  onTokenRefresh: async () => (known ??= await token()),
});

const lines = (await readFile(extract, "utf8")).trimEnd().split("\n");
const records = lines.slice(1, Number(wanted) + 1).map((line) => {
  const [number, name, telephone1, street, city, employees, revenue, founded] = line.split(",");
  return {
    key: `accountnumber='${number}'`,
    collection: "accounts",
    data: {
      name,
      telephone1,
      address1_line1: street,
      address1_city: city,
      numberofemployees: Number(employees),
      revenue: Number(revenue),
      description: founded,
    },
  };
});

const [first, ...rest] = records;
await api.upsert(first);
const [before, began] = [process.cpuUsage(), performance.now()];
for (let from = 0; from < rest.length; from += Number(size)) {
  api.startBatch();
  for (const record of rest.slice(from, from + Number(size))) api.upsert(record);
  await api.executeBatch();
}
const seconds = (performance.now() - began) / 1000;
const { user, system } = process.cpuUsage(before);
console.log(rest.length, seconds.toFixed(3), Math.round(user / 1000), Math.round(system / 1000));
