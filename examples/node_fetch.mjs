// Schedule a webhook from Node (18 or newer, nothing to install) and wait for its run.
//
//   SQUIRREL_SERVER=http://127.0.0.1:8080 TARGET=http://127.0.0.1:9000/ node examples/node_fetch.mjs
import { randomUUID } from "node:crypto";

const server = process.env.SQUIRREL_SERVER ?? "http://127.0.0.1:8080";
const target = process.env.TARGET ?? "http://127.0.0.1:9000/";

async function call(method, path, body) {
  const answer = await fetch(`${server}/api/v1${path}`, {
    method,
    headers: { "Content-Type": "application/json", "Idempotency-Key": randomUUID() },
    body: body && JSON.stringify(body),
  });
  const document = await answer.json();
  if (!answer.ok) throw new Error(`${answer.status}: ${document.detail}`);
  return document;
}

const schedule = await call("POST", "/schedules", {
  event: "email.reminder",
  when: { in_seconds: 1 },
  target: { type: "http", url: target },
  message: { to: "ada@example.com" },
});
console.log(`${schedule.id} runs at ${schedule.next_run}`);

for (let tries = 0; ; tries++) {
  const { items } = await call("GET", `/schedules/${schedule.id}/runs`);
  if (items[0]?.finished && items[0].attempts.length) { // the attempts come with the history, a moment later
    console.log(`${items[0].id} ${items[0].state}, answered ${items[0].attempts.at(-1).status}`);
    break;
  }
  if (tries === 100) throw new Error("the reminder did not run within 20 seconds");
  await new Promise((resolve) => setTimeout(resolve, 200));
}
