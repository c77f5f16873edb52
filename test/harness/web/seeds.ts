import type { InputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import type { LocalCoordinator } from "#src/coordinator-client/local/local-coordinator.ts";
import { processKey } from "#src/coordinator-client/local/process-key.ts";
import { given } from "#harness/coordinator/peers.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { addSession, type CliHome } from "#harness/machine/cli-home.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import type { Sql } from "#src/shared/sql.ts";
import { signals, crashes } from "#src/store/session-tables.ts";
import { teamConflicts } from "#src/store/team-tables.ts";
import { usageCosts } from "#src/store/machine-tables.ts";

type NewTask = InputOf<"tasks.submit">["tasks"][number];

/** A live chat of this machine's team, whose process is this number. */
function joinTeam(home: CliHome, coordinator: LocalCoordinator, chat: string, pid: number): Self {
  home.alive.add(pid);
  const process = processKey({ boot: "boot-1", pid, start: `s${pid}` });
  const about = { chat, session: chat, process, machine: "here", client: "claude-code", capacity: 50 };
  return { chat, incarnation: given(coordinator.call("chats.register", about)).incarnation };
}

export function submit(coordinator: LocalCoordinator, tasks: NewTask[]): number[] {
  return given(coordinator.call("tasks.submit", { tasks })).tasks.map(({ task }) => task);
}

/** Claims this many tasks, and fails them for good. */
export function failAll(coordinator: LocalCoordinator, self: Self, count: number, reason: string): number[] {
  const failed: number[] = [];
  while (failed.length < count) {
    const limit = Math.min(50, count - failed.length);
    const requestId = `fail-${self.chat}-${failed.length}`;
    const { claims } = given(coordinator.call("tasks.claim", { self, requestId, limit }));
    if (claims.length === 0) break;
    for (const { task, claim } of claims) {
      given(coordinator.call("tasks.nack", { self, task, claim, isRetryable: false, reason }));
      failed.push(task);
    }
  }
  return failed;
}

export type SeededTeam = ReturnType<typeof seedTeam>;

const dependsOf: Partial<Record<string, string[]>> = { docs: ["parse"] };

/** Dead letters, a task that runs, a job of three parts, and two reserved files. */
export function seedTeam(home: CliHome, chat: string, pid: number) {
  const coordinator = home.coordinator();
  const self = joinTeam(home, coordinator, chat, pid);
  submit(coordinator, [{ type: "deploy", tags: ["night"] }, { type: "deploy" }, { type: "lint" }]);
  const dead = failAll(coordinator, self, 3, "the disk is full");
  const [running = 0] = submit(coordinator, [{ type: "build", payload: { branch: "main" } }]);
  const { claims } = given(coordinator.call("tasks.claim", { self, requestId: "build-1", limit: 1 }));
  const claim = claims[0]?.claim ?? 0;
  const progress = { percent: 40, note: "compiles" };
  given(coordinator.call("tasks.heartbeat", { self, task: running, claim, progress }));
  const parts = ["parse", "render", "docs"].map((name) => ({ name, text: name, dependsOn: dependsOf[name] ?? [] }));
  const strategy = { by: "list", parts } as const;
  const plan = { job: { title: "release" }, strategy, type: "part", joinRule: "collect" } as const;
  const { task: job } = given(coordinator.call("plans.submit", plan));
  for (const path of ["src/parser.ts", "docs/**"]) {
    const resource = `file:p1/${path}`;
    given(coordinator.call("leases.acquire", { self, resource, requestId: `lease-${path.length}`, ttlMs: 1_800_000 }));
  }
  return { coordinator, self, dead, job, running };
}

export const fleetIds = {
  waits: "11110000-0000-4000-8000-000000000001",
  works: "22220000-0000-4000-8000-000000000002",
  died: "33330000-0000-4000-8000-000000000003",
  ended: "44440000-0000-4000-8000-000000000004",
};

/** A fleet with one chat of each kind: waits, died, stuck or at work, ended. */
export function seedFleet(home: CliHome): void {
  const { store } = home.runtime;
  home.alive.add(1_001);
  addSession(home, {
    id: fleetIds.waits,
    pid: 1_001,
    title: "Payments: retry on timeout",
    entries: [
      { kind: "start", source: "startup" },
      { kind: "prompt", text: "retry the payment when the bank times out" },
      { kind: "tool_start", id: "t1", name: "Bash", input: "npm test" },
      { kind: "tool_end", id: "t1", name: "Bash", input: "npm test", durationMs: 4_200 },
    ],
  });
  store.write((sql) => sessions.setWaiting(sql, fleetIds.waits, { for: "permission", since: home.now - 180_000 }));
  home.alive.add(1_002);
  addSession(home, {
    id: fleetIds.works,
    pid: 1_002,
    title: "Search: index in the background",
    entries: [
      { kind: "prompt", text: "index new documents in the background" },
      { kind: "tool_start", id: "t2", name: "Edit", input: "src/index.ts" },
    ],
  });
  addSession(home, {
    id: fleetIds.died,
    pid: 1_003,
    title: "Parser: keep the last line",
    entries: [
      { kind: "start", source: "startup" },
      { kind: "prompt", text: "the parser drops the last line: fix it and add a test" },
      { kind: "tool_start", id: "t3", name: "Bash", input: "npm test" },
      { kind: "tool_error", id: "t3", name: "Bash", input: "npm test", text: "one test failed", durationMs: 1_200 },
      { kind: "assistant", text: "The tokenizer drops the last line." },
    ],
  });
  addSession(home, { id: fleetIds.ended, pid: 1_004, title: "Docs: the upgrade guide" });
  store.write((sql) => sessions.end(sql, home.now, fleetIds.ended, "prompt_input_exit"));
  store.write((sql) => {
    const fill = (value: number): sessions.SessionChange => {
      const contextFill = { value, source: "measured", at: home.now } as const;
      return { model: "claude-opus-5-5", readings: { contextFill } };
    };
    sessions.update(sql, fleetIds.waits, fill(0.42));
    sessions.update(sql, fleetIds.works, fill(0.91));
    const message = { kind: "message", id: 1, from: "chat-2", fromName: "Search", topic: null } as const;
    news.add(sql, home.now, fleetIds.waits, "m1", { ...message, text: "the parser is yours, I am done with it" });
    news.add(sql, home.now, fleetIds.works, "t1", { kind: "task_available", task: 12, title: "build" });
    news.markDelivered(sql, home.now, news.undelivered(sql, fleetIds.works, 1));
  });
  home.now += 240_000;
}

/** A working day of three projects, as the pictures of the guide show it. */

const minute = 60_000;

interface DayChat {
  readonly title: string;
  readonly project: string;
  readonly client: string;
  readonly model: string;
  /** Minutes before now: its first prompt, and its last sign of work. */
  readonly from: number;
  readonly to: number;
  readonly is: "works" | "died" | "ended" | "permission" | "dialog" | "idle";
  readonly fill: number;
  readonly usd: number;
  /** Prompts of its turns, in their order. */
  readonly asks: readonly string[];
  /** Minutes before now; 0: never. */
  readonly compactedAt: number;
  readonly continuedAt: number;
}

const models: Readonly<Record<string, readonly [client: string, model: string]>> = {
  opus: ["claude-code", "claude-opus-5-5"],
  sonnet: ["claude-code", "claude-sonnet-5"],
  codex: ["codex", "gpt-5.5-codex"],
};

/** Project, model, from, to, state, fill, dollars, minutes since it was compacted and continued; title: prompts. */
const written = `
shop opus 290 0 permission 0.42 2.41 0 0
Payments: retry on timeout | retry the payment when the bank times out | and after the third timeout? | run the payment tests
platform opus 150 26 died 0.93 1.87 0 0
Auth: rotate the signing keys | rotate the signing keys without a restart | keep the old key for a day | add the migration
shop sonnet 330 0 dialog 0.31 0.64 0 0
Checkout: address form | the address form loses the postcode | cover it with a test
shop opus 95 0 works 0.58 1.32 0 0
Invoices: totals in cents | keep all totals in cents
shop codex 210 0 works 0.79 1.05 0 0
Import: stream the CSV | stream the CSV import | measure a file of 2 GB | and with quoted line ends
shop sonnet 400 55 idle 0.22 0.41 0 0
Mailer: bounce handling | handle bounces of the mailer | write the notes
search opus 360 0 works 0.36 3.05 120 0
Search: index in the background | index new documents | the queue must survive a restart | one at a time? | measure it
search opus 60 0 works 0.18 0.37 0 0
Ranking: synonyms | read synonyms from a file
platform sonnet 130 0 works 0.47 0.92 0 0
Flaky test of the scheduler | find why the scheduler test is flaky | run it 200 times
platform codex 45 0 works 0.12 0.2 0 0
Metrics: label cardinality | find the label with too many values
platform opus 470 300 ended 0.4 0.55 0 0
Docs: the upgrade guide | write the upgrade guide | add the screenshots
search opus 440 345 ended 0.66 0.83 0 338
Parser: keep the last line | the parser drops the last line: fix it and add a test | and with a BOM?`;

const day = Array.from(written.matchAll(/\n(.+)\n(.+)/g), ([, facts = "", texts = ""]): DayChat => {
  const [project = "", kind = "", from, to, is, ...more] = facts.split(" ");
  const [fill = 0, usd = 0, compactedAt = 0, continuedAt = 0] = more.map(Number);
  const [client = "", model = ""] = models[kind] ?? [];
  const [title = "", ...asks] = texts.split(" | ");
  const about = { title, project, client, model, is: is as DayChat["is"], asks };
  return { ...about, from: Number(from), to: Number(to), fill, usd, compactedAt, continuedAt };
});

/** @returns the ids of its chats, in their order in the day */
export function seedDay(home: CliHome): string[] {
  const now = home.now;
  const ids = day.map(
    (_, at) => `${(0x3f1a_c000 + at * 0x0b31_07).toString(16)}-0000-4000-8000-00000000000${at.toString(16)}`,
  );
  day.forEach((chat, at) => addChat(home, now, ids[at] ?? "", at, chat));
  home.now = now;
  home.runtime.store.write((sql) => {
    const [payments = "", , checkout = ""] = ids;
    const one = { session: payments, root: "/home/ann/work/shop", did: "changed", lines: "40-58" } as const;
    const two = { other: checkout, otherRoot: "/home/ann/work/shop-form", otherLines: "51-73" };
    const both = { ...one, ...two, otherDid: "changed", kind: "merge", path: "src/checkout.ts" } as const;
    teamConflicts.insert(sql, { ...both, at: now - 70 * minute });
  });
  return ids;
}

function addChat(home: CliHome, now: number, id: string, at: number, chat: DayChat): void {
  const { title, from, to, is, fill, model, client } = chat;
  const pid = 4_000 + at;
  const project = `/home/ann/work/${chat.project}`;
  const end = now - to * minute;
  if (is !== "died" && is !== "ended") home.alive.add(pid);
  home.now = now - from * minute;
  addSession(home, { id, pid, client, title, project, entries: [{ kind: "start", source: "startup" }] });
  home.runtime.store.write((sql) => {
    addTurns(sql, id, now, chat);
    for (let step = 0; step <= 24; step++) {
      const share = chat.compactedAt === 0 ? step / 24 : step < 16 ? 0.3 + step / 20 : (step - 8) / 24;
      const readings = { contextFill: { value: 0.05 + (fill - 0.05) * share, source: "measured" as const, at: 0 } };
      const seenAt = Math.round(home.now + ((end - home.now) * step) / 24);
      signals.insert(sql, { session: id, at: seenAt, score: 0.1, level: "safe", readings });
    }
    sessions.update(sql, id, { model, readings: { contextFill: { value: fill, source: "measured", at: end } } });
    for (let ago = 0; ago < 5; ago++) {
      const when = now - ago * 86_400_000;
      const costMicros = Math.round((chat.usd * 1e6 * (5 - ((ago + at) % 5))) / 5);
      const spent = ago === 0 ? Math.round(chat.usd * 1e6) : costMicros;
      const day = new Date(when).toISOString().slice(0, 10);
      usageCosts.insert(sql, { session: id, day, model, task: 0, claim: 0, project, costMicros: spent, at: when });
    }
    const seen = is === "works" ? end - (at % 3) * minute : end;
    const query = "UPDATE sessions SET lastSeenAt = ?, workedAt = ?, savedAt = ? WHERE id = ?";
    sql.run(query, seen, seen, seen - 20_000, id);
    settle(sql, id, now, chat);
  });
}

function settle(sql: Sql, id: string, now: number, { is, to, continuedAt }: DayChat): void {
  const end = now - to * minute;
  if (is === "ended") sessions.end(sql, end, id, "prompt_input_exit");
  if (is === "permission" || is === "dialog")
    sessions.setWaiting(sql, id, { for: is, since: now - (is === "dialog" ? 14 : 3) * minute });
  if (is === "died")
    crashes.insert(sql, {
      session: id,
      at: end,
      cause: "killed",
      detail: "Its process vanished; no orderly end was seen.",
      readings: {},
      checkpointAgeMs: 20_000,
      unsavedEvents: 0,
      unsavedToolCalls: 0,
    });
  if (continuedAt > 0)
    recoveries.add(sql, { session: id, at: now - continuedAt * minute, action: "taken", by: "other", score: null });
}

const answers = [
  "Done: the test covers the second attempt.",
  "It was the order of two awaits; both cases are tested now.",
  "The change is in place, and all 214 tests pass.",
];

/** Turns of equal length; the last is open while the chat works. */
function addTurns(sql: Sql, id: string, now: number, chat: DayChat): void {
  const { from, to, is, asks, compactedAt } = chat;
  const each = (from - to) / asks.length;
  let serial = 0;
  const put = (ago: number, entry: JournalEntry): void => {
    journal.append(sql, id, Math.round(now - ago * minute), `day${serial++}`, entry);
  };
  asks.forEach((text, turn) => {
    const begun = from - turn * each;
    const isLast = turn === asks.length - 1;
    const took = each * (isLast ? 1 : 0.55 + 0.1 * (turn % 3));
    put(begun, { kind: "prompt", text });
    for (let step = 1; step <= 5; step++) {
      const ago = begun - (took * step) / 7;
      const call = {
        id: `t${turn}-${step}`,
        ...(step % 2 ? { name: "Edit", input: "src/retry.ts" } : { name: "Bash", input: "npm test" }),
      };
      put(ago, { kind: "tool_start", ...call });
      if (step === 2 && turn === 0)
        put(ago - 0.2, { kind: "tool_error", ...call, text: "one test failed", durationMs: 9_200 });
      else put(ago - 0.2, { kind: "tool_end", ...call, durationMs: 4_200 });
    }
    if (isLast && is !== "idle" && is !== "ended") return;
    put(begun - took + 0.1, { kind: "assistant", text: answers[turn % answers.length] ?? "" });
    put(begun - took, { kind: "turn_end" });
  });
  if (compactedAt > 0) put(compactedAt, { kind: "compacted", summary: "" });
}
