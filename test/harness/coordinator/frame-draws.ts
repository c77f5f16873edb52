import * as fc from "fast-check";
import type { InputOf } from "#src/contract/operations.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import { T0 } from "#harness/store/temp-store.ts";

/** Frames of two chats, drawn so that most, and not all, can run as sets. */

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

export function registrationOf(chat: string): InputOf<"chats.register"> {
  return { chat, session: chat, process: `boot:${chat}:1`, machine: "m1", client: "test", capacity: 30 };
}

/** Most requests of a frame have one sender, most resources are free: else nothing is run as a set. */
export const rarely = <T>(usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>, weight = 9): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: usual }, { weight: 1, arbitrary: rare });

const sender = rarely(
  from({ chat: "a", incarnation: 1 }),
  from({ chat: "b", incarnation: 1 }, { chat: "a", incarnation: 2 }, { chat: "nobody", incarnation: 1 }),
);
const pick = fc.nat(60);
const odd = from("x\u0000", "\uFFFD", "\uD800", 'ü"\\', "x'\n");
const nameOf = (n: number): string => (n % 3 === 0 ? `file:p/${n % 4}/${n}` : `n${n}`);
/** Undefined: the next of the numbered names. */
const resource = rarely(
  from(undefined),
  from("x", "n1", "\uFFFD", "file:p/a", "file:q/a", "file:p/*", "file:p/1/**", `file:${"d/".repeat(40)}x`),
  40,
);
const key = rarely(
  fc.nat(30).map((n) => (n % 5 === 0 ? `session/${n}` : `k${n}`)),
  from('ü"\\', "\u{1F600}", "\uFFFD"),
);
export const value = rarely(
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

function given(input: object): object {
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
}

type Fields = Readonly<Record<string, fc.Arbitrary<unknown>>>;

/** Requests of one operation, with and without one sender for all. */
export function requests(name: EngineOperation, fields: Fields, maxLength: number): fc.Arbitrary<readonly Draft[]> {
  const draft = fc.record({ input: fc.record(fields), pick, guard: guardPick });
  return fc
    .record({
      list: fc.array(draft, { minLength: 1, maxLength }),
      self: sender,
      other: rarely(from(null), sender, 15),
      first: fc.nat(89),
    })
    .map(({ list, self, other, first }) =>
      list.map(({ input, guard, pick: odd }, at): Draft => {
        const isLast = at === list.length - 1;
        return {
          name,
          input: name === "leases.acquire" ? { resource: nameOf((first + at) % 90), ...given(input) } : given(input),
          guard,
          pick: odd % 12 === 0 ? odd : (first % 9) + at,
          self: (isLast && other) || self,
        };
      }),
    );
}

const acquire: Fields = {
  resource,
  requestId: from("r1", "r2", "r3"),
  ttlMs: rarely(from(40_000), from(1_000, 5_000), 3),
  isBound: rarely(from(false), fc.boolean()),
  waitMs: rarely(from(0), from(2_000, 100_000)),
  lockDelayMs: rarely(from(0), from(3_000, 60_000), 4),
};
const ifVersion = rarely(from(undefined), from(0), 12);
const by = rarely(from(undefined), from("a", "b"), 4);

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
);

export const pause = fc.oneof(from(1, 999, 1_000, 3_000, 5_000, 40_000), fc.nat(20_000));
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
  | { readonly kind: "wait"; readonly ms: number; readonly pings: boolean; readonly rings: boolean }
  | { readonly kind: "call"; readonly name: EngineOperation; readonly input: object }
  | { readonly kind: "connect" | "disconnect" | "ping"; readonly chat: string }
  | { readonly kind: "lose" };

export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .array(frame, { minLength: 1, maxLength: 4 })
      .map((parts): Step => ({ kind: "frame", drafts: parts.flat() })),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: from("wait" as const),
      ms: pause,
      pings: rarely(from(true), from(false), 3),
      rings: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: settings.map((changed): Step => ({ kind: "call", name: "settings.set", input: { settings: changed } })),
  },
  {
    weight: 1,
    arbitrary: from<Step>(
      { kind: "call", name: "epoch.raise", input: { reason: "x", quietMs: 2_000 } },
      { kind: "call", name: "leases.force-release", input: { resource: "n1", reason: "x" } },
      ...chats.map((chat): Step => ({ kind: "call", name: "chats.register", input: registrationOf(chat) })),
    ),
  },
  {
    weight: 2,
    arbitrary: rarely(fc.nat(89).map(nameOf), from("x", "file:p/**", "file:p/1/*"), 2).map((resource): Step => {
      const input = {
        self: { chat: "b", incarnation: 1 },
        resource,
        requestId: "b",
        waitMs: 50_000,
        lockDelayMs: 9_000,
      };
      return { kind: "call", name: "leases.acquire", input };
    }),
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

/** Rows whose numbers or times make the engine delete some when a few more are added. */
const month = 31 * 86_400_000;
const audit = (rows: readonly (readonly [seq: number, age: number])[]): readonly string[] =>
  rows.map(
    ([seq, age]) => `INSERT INTO audit (seq, at, kind, subject, detail) VALUES (${seq}, ${T0 - age}, 'x', 'x', '{}')`,
  );
const change = (rows: readonly (readonly [revision: number, written: number])[]): readonly string[] =>
  rows.map(
    ([revision, written]) => `INSERT INTO changes (revision, grp, key, op, at, totalKeys, totalChars, writtenChars)
      VALUES (${revision}, ${revision}, 'x', 'set', ${T0}, 0, 0, ${written})`,
  );
const requestRows = (rows: readonly (readonly [nth: number, until: number])[]): readonly string[] =>
  rows.map(
    ([nth, until]) => `INSERT INTO idempotency (key, request, result, expiresAt, machine, nth, writtenChars)
      VALUES ('state.set m1\n r${nth}', 'x', '{}', ${T0 + until}, 'm1', ${nth}, ${nth})`,
  );
export const seeds: readonly (readonly string[])[] = [
  [],
  audit([
    [10, month],
    [11, month],
    [12, 0],
    [240, 0],
  ]),
  audit([
    [479, 0],
    [485, 0],
    [495, 0],
    [20_475, 0],
  ]),
  change([
    [3, 0],
    [100, 0],
    [250, 0],
  ]),
  change([
    [3, 0],
    [100, 99_900_000],
    [101, 99_990_000],
    [250, 99_999_990 + 150_000_000],
  ]),
  change([
    [90, 0],
    [100, 0],
    [110, 0],
    [100_090, 0],
  ]),
  requestRows([
    [1, 1_000],
    [95, 86_400_000],
  ]),
];

function frameOf(name: EngineOperation, inputs: readonly object[]): Step {
  const self = { chat: "a", incarnation: 1 };
  return { kind: "frame", drafts: inputs.map((input) => ({ name, input, self, pick: 0, guard: undefined })) };
}

const delayed = { resource: "n1", requestId: "r1", ttlMs: 1_000, lockDelayMs: 60_000 };
const limits: Step = { kind: "call", name: "settings.set", input: { settings: { maxRequestIdsPerMachine: 100 } } };

const acquireAll = (...resources: readonly string[]): Step =>
  frameOf(
    "leases.acquire",
    resources.map((resource) => ({ resource, requestId: "r1" })),
  );

/** What is rarely drawn. */
export const examples: [readonly string[], Step[]][] = [
  [[], [acquireAll("file:p/1/a"), acquireAll("file:p/1/**", "n1"), acquireAll("file:p/2/*", "file:p/2/a")]],
  [[], [acquireAll("n1"), frameOf("leases.renew", [{ ttlMs: 90_000 }, {}, { ttlMs: 1_000 }])]],
  [
    [],
    [
      { kind: "call", name: "settings.set", input: { settings: { maxLeasesPerChat: 3 } } },
      acquireAll("n1", "n2", "n3", "n4", "n5"),
    ],
  ],
  [[], [acquireAll("\uFFFD"), frameOf("leases.release", [{ resource: "\uD800" }, { resource: "n1" }])]],
  [
    [],
    [
      frameOf("leases.acquire", [delayed, { resource: "n2", requestId: "r1" }]),
      { kind: "wait", ms: 2_000, pings: true, rings: true },
      frameOf("leases.acquire", [delayed, { resource: "n3", requestId: "r1" }]),
    ],
  ],
  [
    seeds.at(-1) ?? [],
    [
      limits,
      frameOf(
        "state.set",
        Array.from({ length: 9 }, (_, n) => ({ key: `k${n}`, value: n, requestId: `i${n}` })),
      ),
    ],
  ],
];
