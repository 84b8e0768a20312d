"""The judge: what a run of the product left behind, held against its promises I1 to I17. Pure functions over saved files.

`python -m tests.judge DIR` judges a directory again, offline. It needs JSON lines:

- `ledger.jsonl`, written BEFORE each call goes out, and again when its answer is known:
  `{"i", "mono_ns", "actor", "op", "type": "invoke|ok|fail|info", "id", "value"}`. `i` numbers the call: its invoke and its end
  carry the same one. ok: acknowledged (200, 201, 202, 204); fail: certainly without effect (4xx); info: unknown (timeout,
  reset, 5xx), and so is a call without an end. `op`: create, update, cancel, pause, resume, trigger, get, list, preview_resume,
  poison. `value` of an invoke is what was asked, `value` of an end what was answered: `{"status", "revision"?, "state"?, ...}`.
- the value of a create or update: `at_ms` | `every_ms`, `start_ms`, `max_runs` | `after`: [[parent, on], ...], `join`,
  `delay_ms`; and, as far as they are not the defaults, `missed`, `overlap`, `group`, `max_retries` (0), `wait_ms` (initial wait
  of the retries, multiplier 1), `jitter`, `fails` (how many attempts of each run the sink answers with a failure), `nonce`
  (the revision as the body shows it, `body["nonce"]`), `tag`, `key` (idempotency key), `content` (of a keyed create).
- `sink.jsonl`, one line a call as the target received it: `{"mono_ns", "wall_ms", "run", "attempt", "schedule_id", "due_ms",
  "body", "status", "ended_ns", "content"?}`. `due_ms` is the attempt's, from `squirrel-scheduled-for`; `status` is what was
  answered, null when nothing was; `ended_ns` is null while nobody knows; `body` is the JSON.
- `taps/<topic>.jsonl`, the whole topic without prefix, decoded: the record's fields, `partition`, `offset`, `key`. msgpack
  records are written with their fields' names; times are the `*_ms` fields.
- `faults.jsonl`: `{"mono_ns", "end_ns", "kind", "target", "jump_ms"?}` (of a clock that was set; below 0: back).
- `final.jsonl`, how it ended, told apart by `what`: `end` (`mono_ns`, `wall_ms` of one instant after the drain,
  `last_heal_ns`, and what differs from `Settings`), `schedule` (`id`, `status` of the GET, `state`, `revision`, `nonce`), `run`
  (`id`, `schedule_id`, `state`, `due_ms`), `metric` (`service`, `name`, `value`), `lag` (`group`, `topic`, `partition`, `lag`),
  `state` (`partition`, `source`: disk|log|derived, `rows`, `digest`), `owner` (`partition`, `worker`), `resource` (`service`,
  `name`, `value`, `limit`), `orphan` (`detail`), `sometimes` (`name`, `count`).

Never: reads a clock, a network or the product's own opinion where the judge has seen it itself.
"""
