import * as fc from "fast-check";
import type { EngineOperation } from "#src/coordination/engine.ts";

/** Random frames, and what happens between them. */

export const chats = ["a", "b"] as const;

export const from = <T>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

/** What is drawn of a request; `pick` and `guard` name earlier grants, the newest first. */
export interface Draft {
  readonly name: EngineOperation;
  readonly input: object;
  readonly self?: object;
  readonly pick: number;
  readonly guard: number | undefined;
}

/** Most requests of a frame have one sender, most resources are free: else nothing is run as a set. */
const rarely = <T>(usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>, weight = 9): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: rare });

const sender = rarely(
  from({ chat: "a", incarnation: 1 }),
  from({ chat: "b", incarnation: 1 }, { chat: "a", incarnation: 2 }, { chat: "nobody", incarnation: 1 }),
);
const pick = fc.nat(60);
const odd = from("x\u0000", "\uFFFD", "\uD800", 'ü"\\', "x'\n");
const resource = rarely(
  fc.nat(300).map((n) => (n % 3 === 0 ? `file:p/${n % 4}/${n}` : `n${n}`)),
  from("x", "y", "\uFFFD", "file:p/a", "file:q/a", "file:p/*", "file:p/1/**", `file:${"d/".repeat(40)}x`),
  14,
);
const key = rarely(
  fc.nat(30).map((n) => (n % 5 === 0 ? `session/${n}` : `k${n}`)),
  from('ü"\\', "\u{1F600}", "\uFFFD"),
);
const value = rarely(
  fc.jsonValue({ maxDepth: 1 }),
  from<fc.JsonValue>("x".repeat(6_000), "y".repeat(100_000), "ü\u0000\uD800", null),
  15,
);
const requestId = rarely(
  from(undefined),
  pick.map((n) => `r${n}`),
  3,
);
const guardPick = rarely(from(undefined), pick, 6);

type Fields = Readonly<Record<string, fc.Arbitrary<unknown>>>;

/** Requests of one operation, with and without one sender for all. */
function requests(name: EngineOperation, fields: Fields, maxLength: number): fc.Arbitrary<readonly Draft[]> {
  const draft = fc.record({ input: fc.record(fields), pick, guard: guardPick });
  return fc
    .record({
      list: fc.array(draft, { minLength: 1, maxLength }),
      self: sender,
      other: rarely(from(null), sender, 15),
      first: fc.nat(8),
    })
    .map(({ list, self, other, first }) =>
      list.map(({ input, guard, pick: odd }, at): Draft => {
        const isLast = at === list.length - 1;
        return { name, input, guard, pick: odd % 12 === 0 ? odd : first + at, self: (isLast && other) || self };
      }),
    );
}

const acquire: Fields = {
  resource,
  requestId: from("r1", "r2", "r3"),
  ttlMs: rarely(from(40_000), from(1_000, 5_000)),
  isBound: rarely(from(false), fc.boolean()),
  waitMs: rarely(from(0), from(2_000, 100_000)),
  lockDelayMs: rarely(from(0), from(3_000)),
};
const ifVersion = rarely(from(undefined), from(0), 12);
const by = rarely(from(undefined), from("a", "b"), 4);

const claimId = fc.nat(10_000).map((n) => `c${n}`);
const isStarted = rarely(from(true), from(false), 4);
const usage = rarely(from(undefined), from({ tokens: 5 }), 20);
const next = rarely(from(undefined), fc.record({ limit: fc.integer({ min: 1, max: 9 }), isStarted }), 6);

const acknowledgements = requests("tasks.ack", { result: value, usage, next }, 9);
const extensions = requests("tasks.extend", { ms: from(1_000, 20_000, 90_000) }, 5);

const newTask = fc.record({
  type: rarely(from("t", "u"), from("v"), 6),
  payload: value,
  heartbeatMs: rarely(from(60_000), from(2_000)),
  startToCloseMs: rarely(from(600_000), from(10_000)),
  dependsOn: rarely(from<number[]>([]), from([1], [2, 3]), 8),
});

const frame: fc.Arbitrary<readonly Draft[]> = fc.oneof(
  { weight: 5, arbitrary: requests("leases.acquire", acquire, 8) },
  { weight: 2, arbitrary: requests("leases.acquire", acquire, 60) },
  { weight: 3, arbitrary: requests("leases.renew", { ttlMs: rarely(from(undefined), from(1_000, 60_000), 2) }, 5) },
  { weight: 4, arbitrary: requests("leases.release", { resource: rarely(from(undefined), odd) }, 10) },
  {
    weight: 4,
    arbitrary: requests(
      "state.set",
      { key, value, ifVersion, by, requestId, ttlMs: rarely(from(undefined), from(1_000, 9_000), 4) },
      12,
    ),
  },
  { weight: 1, arbitrary: requests("state.set", { key, value, requestId }, 100) },
  { weight: 2, arbitrary: requests("state.delete", { key, ifVersion, by, requestId }, 6) },
  { weight: 2, arbitrary: requests("state.get", { key: rarely(key, odd) }, 10) },
  { weight: 1, arbitrary: requests("chats.heartbeat", {}, 1) },
  {
    weight: 3,
    arbitrary: requests("tasks.claim", { requestId: claimId, limit: fc.integer({ min: 1, max: 9 }), isStarted }, 1),
  },
  { weight: 2, arbitrary: acknowledgements },
  { weight: 1, arbitrary: extensions },
);

const pause = fc.oneof(from(1, 999, 1_000, 3_000, 5_000, 40_000), fc.nat(20_000));
const settings = fc.record(
  {
    maxLeasesPerChat: from(3, 30, 100, 1_000),
    maxKeys: from(10, 20, 1_000),
    maxStateChars: from(1_000, 1_100, 100_000),
    maxRequestIdsPerMachine: from(100, 110, 1_000),
    chatTtlMs: from(5_000, 30_000, 60_000),
  },
  { requiredKeys: [] },
);

export type Step =
  | { readonly kind: "frame"; readonly drafts: readonly Draft[] }
  | { readonly kind: "wait"; readonly ms: number; readonly rings: boolean }
  | { readonly kind: "call"; readonly name: EngineOperation; readonly input: object }
  | { readonly kind: "connect" | "disconnect" | "ping"; readonly chat: string }
  | { readonly kind: "lose" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .array(frame, { minLength: 1, maxLength: 4 })
      .map((parts): Step => ({ kind: "frame", drafts: parts.flat() })),
  },
  {
    weight: 3,
    arbitrary: fc
      .array(newTask, { minLength: 1, maxLength: 12 })
      .map((tasks): Step => ({ kind: "call", name: "tasks.submit", input: { tasks } })),
  },
  { weight: 4, arbitrary: fc.record({ kind: from("wait" as const), ms: pause, rings: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: settings.map((changed): Step => ({ kind: "call", name: "settings.set", input: { settings: changed } })),
  },
  {
    weight: 1,
    arbitrary: from<Step>(
      { kind: "call", name: "epoch.raise", input: { reason: "x", quietMs: 2_000 } },
      { kind: "call", name: "leases.force-release", input: { resource: "x", reason: "x" } },
      {
        kind: "call",
        name: "leases.acquire",
        input: { self: { chat: "b", incarnation: 1 }, resource: "x", requestId: "b", waitMs: 50_000 },
      },
      {
        kind: "call",
        name: "leases.acquire",
        input: { self: { chat: "b", incarnation: 1 }, resource: "file:p/*", requestId: "b", waitMs: 50_000 },
      },
    ),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: from("connect" as const, "disconnect" as const, "ping" as const),
      chat: from(...chats),
    }),
  },
  { weight: 1, arbitrary: from<Step>({ kind: "lose" }) },
);

/** Tasks of which one chat claims some, and what it does with them. */
const work: fc.Arbitrary<Step[]> = fc
  .record({
    tasks: fc.array(newTask, { minLength: 2, maxLength: 12 }),
    claim: requests("tasks.claim", { requestId: claimId, limit: from(9), isStarted }, 1),
    pause,
    ends: from<readonly fc.Arbitrary<readonly Draft[]>[]>([extensions, acknowledgements], [acknowledgements]).chain(
      (all) => fc.tuple(...all),
    ),
  })
  .map(({ tasks, claim, pause: ms, ends }) => {
    const steps: Step[] = [
      { kind: "call", name: "tasks.submit", input: { tasks } },
      { kind: "frame", drafts: claim },
      { kind: "wait", ms: ms % 9_000, rings: false },
    ];
    return steps.concat(ends.map((drafts) => ({ kind: "frame", drafts: drafts.slice(0, tasks.length).map(toNewest) })));
  });

function toNewest(draft: Draft, at: number): Draft {
  return draft.pick % 12 === 0 && draft.pick > 0 ? draft : { ...draft, pick: at };
}

export const history = fc
  .array(fc.oneof({ weight: 5, arbitrary: step.map((one) => [one]) }, { weight: 1, arbitrary: work }), {
    minLength: 5,
    maxLength: 25,
  })
  .map((parts) => parts.flat());
