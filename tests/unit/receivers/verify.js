// A receiver of Standard Webhooks 1.0.0 written from the specification alone: node's standard library, nothing of ours.
// stdin: [{"secrets": [...], "headers": {...}, "body": "<base64>", "now": seconds}]; stdout: ["ok" | why not, ...].
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");

const TOLERANCE_SECONDS = 300;

function verdict({ secrets, headers, body, now }) {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  const list = headers["webhook-signature"];
  if (!id || !timestamp || !list) return "headers";
  if (!/^[0-9]+$/.test(timestamp)) return "timestamp";
  if (Math.abs(now - Number(timestamp)) > TOLERANCE_SECONDS) return "age";
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), Buffer.from(body, "base64")]);
  for (const secret of secrets) {
    const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
    const expected = crypto.createHmac("sha256", key).update(signed).digest();
    for (const entry of list.split(" ")) {
      const [version, given] = entry.split(",");
      const bytes = Buffer.from(given || "", "base64");
      if (version === "v1" && bytes.length === expected.length && crypto.timingSafeEqual(bytes, expected)) return "ok";
    }
  }
  return "signature";
}

const calls = JSON.parse(fs.readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(calls.map(verdict)));
