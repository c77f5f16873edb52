import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { forAll } from "#harness/properties.ts";
import * as z from "zod";
import { configSchema, defaults } from "#src/contract/config.ts";
import { retryOf, type Retry, type Failure } from "#src/contract/errors.ts";
import { Json, jsonText, limitedJson } from "#src/contract/values.ts";
import { OverlapSet } from "#src/contract/resource-paths.ts";
import { parseConfig, readConfig } from "#src/platform/config-file.ts";
import { pathsIn } from "#src/platform/paths.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { systemRuntime } from "#src/runtime/system-runtime.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { meet, resources } from "#harness/coordinator/peers.ts";
import { stateOf, stateOfRegistered, stateText, waitingProgress, workProgress } from "#src/contract/chat-state.ts";
import type { ChatFacts, Presence, RegisteredChat } from "#src/contract/chat-state.ts";

it("without a file all settings have their defaults; a file may give some, with comments", () => {
  const path = join(temporaryFolder(), "config.json");
  expect(configSchema().parse({})).toEqual(defaults);
  expect(readConfig(path)).toEqual({ ok: true, value: defaults });
  writeFileSync(path, '\uFEFF{\n  // mine\n  "recovery": "ask",\n  "checkpoint": { "everyToolCalls": 3, },\n}\n');
  const value = { recovery: "ask", checkpoint: { everyToolCalls: 3, everyMs: 300_000 } };
  expect(readConfig(path)).toMatchObject({ ok: true, value });
});

it("a file that cannot be used is refused with its path and what is wrong, never half used, and no text makes the reading throw", () => {
  const cases: [string, RegExp][] = [
    ["", /not valid JSON/],
    ["{,}", /not valid JSON: value expected at line 1, column 2/],
    ['{"recovry": "ask"}', /recovry/],
    ['{"recovery": "now"}', /recovery/],
    ['{"checkpoint": {"everyMs": 0}}', /everyMs/],
    ['{"risk": {"thresholds": {"memory": 2}}}', /memory/],
    ["[]", /type object/],
  ];
  for (const [text, problem] of cases) {
    const parsed = parseConfig(text, "/c.json");
    expect(parsed, text).toMatchObject({ ok: false, error: expect.stringMatching(/^\/c\.json: /) as string });
    expect(parsed.ok ? "" : parsed.error, text).toMatch(problem);
  }
  const folder = temporaryFolder();
  expect(readConfig(folder)).toEqual({ ok: false, error: `${folder}: cannot be read (EISDIR)` });
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseConfig(text, "c")));
});

it("a log that cannot be written goes to stderr, and ends no process", () => {
  const path = join(temporaryFolder(), "shim.log");
  mkdirSync(path);
  const script = `import { fileLog } from ${JSON.stringify(import.meta.resolve("#src/platform/log-file.ts"))};
    fileLog(${JSON.stringify(path)}, () => 8)("error", "third");`;
  const args = ["--input-type=module-typescript", "-e", script];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, expect.stringContaining('"msg":"third"')]);
});

it("a process takes its folder from the environment; settings that cannot be used are logged, and the defaults hold", () => {
  const home = temporaryFolder();
  const env = { SHIM_HOME: home };
  const logged: unknown[] = [];
  const options = { driver: openBetterSqlite3, busyMs: 100, env, log: (...line: unknown[]) => void logged.push(line) };
  const runtime = systemRuntime(options);
  expect(runtime).toMatchObject({ paths: pathsIn(home), config: defaults });
  expect(runtime.store.path).toBe(join(home, "shim.db"));
  expect(runtime.random(5)).toHaveLength(5);
  expect(logged).toEqual([]);
  writeFileSync(join(home, "config.json"), '{"recovery": "never"}');
  expect(systemRuntime(options).config).toEqual(defaults);
  const reason = expect.stringContaining("recovery") as string;
  expect(logged).toMatchObject([["error", "settings ignored", { reason }]]);
});

/** Whether zod passes over a field unread; such a value is refused before any schema sees it. */
function hasProtoField(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.hasOwn(value, "__proto__") || Object.values(value).some(hasProtoField);
}

it("a value is JSON where zod's own schema says so, and is passed on as it is", () => {
  const kinds = ["withBigInt", "withDate", "withMap", "withSet", "withNullPrototype"].map((kind) => [kind, true]);
  forAll(500, [fc.oneof(fc.anything(Object.fromEntries(kinds)), fc.jsonValue())], (value) => {
    fc.pre(!hasProtoField(value));
    const parsed = Json.safeParse(value);
    expect(parsed.success).toBe(z.json().safeParse(value).success);
    if (parsed.success) expect(parsed.data).toBe(value);
  });
});

it("the text that a limit has measured is that of the value, also where the value was changed after an earlier check; what is no JSON is refused before", () => {
  const limited = limitedJson(20);
  const value = { a: [1] };
  for (const next of [2, 3, 4]) {
    expect(limited.safeParse(value).success).toBe(true);
    expect(jsonText(value)).toBe(JSON.stringify(value));
    value.a.push(next);
  }
  value.a.push(5, 6, 7, 8, 9);
  expect(limited.safeParse(value).error?.issues[0]?.message).toBe("at most 20 characters as JSON");
  for (const none of [() => 1, 1n, Symbol("x"), undefined, { a: 1n }, { a: undefined }, Number.NaN, new Date(0)])
    expect(limited.safeParse(none).error?.issues).toMatchObject([{ message: "not a JSON value" }]);
});

it("a set of resources overlaps what one of them overlaps", () => {
  const resource = fc.constantFrom(...resources, "x", "file:p");
  forAll(1_000, [fc.array(resource, { maxLength: 4 }), resource], (some, one) => {
    const set = new OverlapSet();
    for (const other of some) set.add(other);
    expect([some, one, set.overlaps(one)]).toEqual([some, one, some.some((other) => meet(other, one))]);
  });
});

it.each<[Retry, codes: string]>([
  ["later", "rate_limited internal overloaded frozen unreachable outcome_unknown queue_full not_registered"],
  ["later", "host_unusable store_locked store_full store_unavailable"],
  ["when_free", "session_in_use lease_held too_many_chats throttled"],
  ["after_user", "wrong_key edge_unusable no_edge no_sync no_key other_workspace"],
  ["after_registering", "chat_offline"],
  ["with_another_client", "closed"],
  ["never", "bad_answer gave_up chat_lost held not_to_take put_back store_corrupt store_newer store_readonly"],
  ["never", "unauthenticated chat_replaced not_holder stale_token stale_claim quota_exceeded key_reused compacted"],
])("%s is when a call may be repeated after one of: %s", (retry, codes) => {
  for (const code of codes.split(" ") as Failure["code"][]) expect([code, retryOf({ code })]).toEqual([code, retry]);
});

const minuteMs = 60_000;
const works: Presence = { is: "alive", activity: "busy", waitsFor: null, isDraining: false };
const idle: Presence = { ...works, activity: "idle" };
const gone: Presence = { is: "gone", cause: "killed" };
const silent: Presence = { is: "silent", silenceMs: 12 * minuteMs };
const unheard: Presence = { is: "unheard", silenceMs: 5 * minuteMs };
const offered = { is: "offered", chat: "aaaa1111", msAgo: 2 * minuteMs } as const;
const continued = { is: "continued", chat: "aaaa1111" } as const;
const dismissed = { is: "dismissed" } as const;

function aChat(facts: Partial<ChatFacts>): ChatFacts {
  return { end: null, claim: null, hasContent: true, isClosed: false, presence: works, ...facts };
}

it.each<[string, Partial<ChatFacts>]>([
  ["works", {}],
  ["works (takes no new tasks)", { presence: { ...works, isDraining: true } }],
  ["idle", { presence: idle }],
  ["idle (takes no new tasks)", { presence: { ...idle, isDraining: true } }],
  ["idle", { presence: idle, hasContent: false }],
  ["works", { isClosed: true }],
  ["works", { claim: offered }],
  ["stuck", { presence: { ...works, activity: "stuck" } }],
  ["waits for you (your answer)", { presence: { ...works, activity: "waiting" } }],
  ["died (killed)", { presence: gone }],
  ["died", { presence: { is: "gone", cause: null } }],
  ["died (killed; offered to chat aaaa1111, 2 min ago)", { presence: gone, claim: offered }],
  ["ended (nothing to keep)", { presence: gone, hasContent: false, isClosed: true }],
  ["ended (closed with nothing open)", { presence: gone, isClosed: true, claim: offered }],
  // An end that is not certain is no death.
  ["ended (its transcript does not say how)", { presence: gone, isOnlyRead: true }],
  ["idle (no sign of life for 5 min)", { presence: unheard }],
  ["idle (no sign of life for 5 min)", { presence: unheard, hasContent: false, isClosed: true }],
  ["stuck (no sign of life for 12 min)", { presence: silent }],
  ["stuck (no sign of life for 12 min; offered to chat aaaa1111, 2 min ago)", { presence: silent, claim: offered }],
  ["ended (nothing to keep)", { presence: silent, hasContent: false }],
])("a chat is shown as %s by what is known of it: %j", (text, facts) => {
  expect(stateText(stateOf(aChat(facts)))).toBe(text);
});

it("what the client says that it waits for counts before all that SHIM infers", () => {
  const words = { permission: "your permission", dialog: "your answer", prompt: "your next prompt" };
  for (const activity of ["idle", "busy", "waiting", "stuck"] as const)
    for (const waitsFor of ["permission", "dialog", "prompt"] as const) {
      const presence = { is: "alive", activity, waitsFor, isDraining: true } as const;
      expect(stateText(stateOf(aChat({ presence })))).toBe(`waits for you (${words[waitsFor]})`);
    }
});

it.each<[string, Partial<ChatFacts>]>([
  ["ended (finished)", { end: "finished", claim: dismissed }],
  ["ended (dismissed)", { claim: dismissed }],
  ["ended (continued by chat aaaa1111)", { claim: continued }],
  ["ended (continued)", { claim: { is: "continued", chat: null } }],
])("an end or a decision counts, whatever becomes of the process: %s", (text, facts) => {
  for (const presence of [works, gone, silent, unheard])
    for (const hasContent of [true, false])
      expect(stateText(stateOf(aChat({ presence, hasContent, ...facts })))).toBe(text);
});

it.each<[string, Partial<RegisteredChat>]>([
  ["idle", {}],
  ["works", { status: "busy", progress: "half of it" }],
  ["stuck", { status: "stuck", progress: "a limit" }],
  ["works (takes no new tasks)", { status: "draining", taskCount: 1 }],
  ["idle (takes no new tasks)", { status: "draining" }],
  ["waits for you (your permission)", { status: "busy", progress: waitingProgress.permission }],
  ["waits for you (your answer)", { status: "draining", progress: waitingProgress.dialog }],
  ["waits for you (your next prompt)", { progress: waitingProgress.prompt }],
  ["ended (left)", { status: "offline", reason: "left" }],
  ["ended (no sign of life)", { status: "offline", reason: "timeout", progress: waitingProgress.prompt }],
  ["ended (moved)", { status: "offline", reason: "moved" }],
  ["ended (offline)", { status: "offline" }],
  ["died (process gone)", { status: "offline", reason: "attested", isRecoverable: true }],
  ["died (connection closed)", { status: "offline", reason: "closed", isRecoverable: true }],
  ["died", { status: "offline", isRecoverable: true }],
])("a chat that only the coordinator knows is shown as %s: %j", (text, chat) => {
  const idleChat = { status: "idle", reason: null, progress: null, taskCount: 0 } as const;
  expect(stateText(stateOfRegistered({ ...idleChat, ...chat }))).toBe(text);
});

it("progress that only says that a chat waits for its user is no second word for its state", () => {
  expect(Object.values(waitingProgress).map((progress) => workProgress({ progress }))).toEqual([
    null,
    null,
    null,
    null,
  ]);
  expect(workProgress({ progress: "half of it" })).toBe("half of it");
});
