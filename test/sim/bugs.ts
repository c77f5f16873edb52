import type { PatchFor, Patch } from "./host/recording-sql.ts";
import type { Rule } from "./sim.ts";
import type { SqlValue } from "#src/shared/sql.ts";

/** A day on which some acts and faults are more frequent, so that a run meets a rare case early. */
export interface Focus {
  readonly acts?: Readonly<Record<string, number>>;
  readonly faults?: Readonly<Record<string, number>>;
  readonly forgets?: number;
  /** Share of the steps of work after which a process drops its task without a word. */
  readonly neglects?: number;
  readonly faultMs?: number;
  readonly restores?: number;
}

/** A defect planted outside the engine, to show that the simulation finds its kind. */
export interface Bug {
  /** The law that it breaks, and how. */
  readonly law: string;
  readonly rule: Rule;
  readonly seed: number;
  readonly patch?: () => PatchFor;
  /** Processes measure trust by their monotonic clock alone, which stops in a sleep. */
  readonly ignoresWallClock?: boolean;
  /** The operator does not raise the epoch after a restore. */
  readonly forgetsToRaise?: boolean;
  readonly focus?: Focus;
}

type Row = Record<string, SqlValue>;

function patched(shape: RegExp, patch: (query: string) => Patch): () => PatchFor {
  return () => (query) => (shape.test(query) ? patch(query) : undefined);
}

function all(shape: RegExp, change: (rows: Row[]) => Row[]): () => PatchFor {
  return patched(shape, () => ({ all: (next, values) => change(next(...values) as Row[]) }));
}

function misread(shape: RegExp, name: string, by: number): () => PatchFor {
  return all(shape, (rows) => rows.map((row) => Object.assign(row, { [name]: Number(row[name]) + by })));
}

function column(shape: RegExp, name: string, change: (value: number) => number): () => PatchFor {
  return patched(shape, (query) => {
    const at = (/\(([^)]*)\)/.exec(query)?.[1] ?? "").split(", ").indexOf(name);
    return { run: (next, values) => next(...values.with(at, change(Number(values[at])))) };
  });
}

/** A statement has no effect and reports one changed row. */
function swallowed(shape: RegExp, isMeant: (values: SqlValue[]) => boolean = () => true): () => PatchFor {
  return patched(shape, () => ({ run: (next, values) => (isMeant(values) ? 1 : next(...values)) }));
}

function reworded(from: string, to: string): () => PatchFor {
  return () => (query) => (query.includes(from) ? { text: query.replace(from, to) } : undefined);
}

const others = ["increment", "transfer", "send", "read messages", "several at once", "read"];
const rarely = (...names: string[]): Record<string, number> => Object.fromEntries(names.map((name) => [name, 0.1]));
const lapses: Focus = { acts: { ...rarely(...others), acquire: 6, campaign: 4, "give back": 0.5 }, forgets: 0.8 };
const works: Focus = {
  acts: {
    ...rarely(...others, "acquire", "campaign", "guarded write", "set for a while"),
    submit: 2,
    "submit a graph": 3,
    "ask for tasks": 2,
    "call on an old claim": 2,
    cancel: 1,
    replay: 2,
    discard: 1,
    "read a task": 1,
  },
  neglects: 0.05,
};

export const bugs: readonly Bug[] = [
  {
    law: "a lease is exclusive until its time: here it ends 1.5 s early",
    rule: "kept-while-trusted",
    seed: 3,
    patch: misread(/^SELECT \* FROM leases WHERE/, "expiresAt", -1_500),
  },
  {
    law: "a process trusts no lease longer than its holder may: here it trusts one over a sleep",
    rule: "kept-while-trusted",
    seed: 1,
    focus: { ...lapses, faults: { suspend: 20 }, faultMs: 1_000 },
    ignoresWallClock: true,
  },
  {
    law: "fencing tokens grow: here each grant has the same token",
    rule: "tokens-grow",
    seed: 2,
    patch: column(/^INSERT INTO leases/, "token", () => 1),
  },
  {
    law: "a name has one leader: here the next one leads while the vanished one may still act",
    rule: "lock-delay",
    seed: 1,
    focus: lapses,
    patch: swallowed(/^INSERT INTO lock_delays/, (values) => String(values[0]).startsWith("leader:")),
  },
  {
    law: "a task runs at least once: here a chat that is gone keeps its tasks",
    rule: "due",
    seed: 1,
    focus: works,
    patch: all(/^SELECT task, type, .* FROM tasks WHERE chat = \? ORDER BY task/, () => []),
  },
  {
    law: "claims fence: here a second attempt has the number of the first",
    rule: "task",
    seed: 1,
    focus: works,
    patch: reworded("claim = max(claim, ?) + 1", "claim = max(1, 0 * ?)"),
  },
  {
    law: "a dedupe key stands for one task: here no key is stored",
    rule: "task",
    seed: 1,
    focus: works,
    patch: swallowed(/^INSERT INTO task_dedupe/),
  },
  {
    law: "a task ends at its budget: here its usage is not stored",
    rule: "task",
    seed: 1,
    focus: works,
    patch: swallowed(/^INSERT INTO task_usage/),
  },
  {
    law: "what is due happens: here a heartbeat moves the next deadline by a day",
    rule: "due",
    seed: 1,
    focus: works,
    patch: reworded("min(closeAt, seenAt + heartbeatMs)", "min(closeAt, seenAt + 86400000)"),
  },
  {
    law: "messages arrive in order and complete: here an acknowledgement covers the next message",
    rule: "messages",
    seed: 1,
    patch: column(/^INSERT INTO inboxes .*excluded\.cursor/, "cursor", (cursor) => cursor + 1),
  },
  {
    law: "each write of a key has its own version: here two share one",
    rule: "state",
    seed: 1,
    patch: column(/^INSERT INTO state /, "version", (version) => version - (version % 2)),
  },
  {
    law: "a watch gets each change: here a page misses its second one",
    rule: "watch",
    seed: 1,
    patch: all(/^SELECT revision, grp, key, op, byChat/, (rows) => rows.toSpliced(1, 1)),
  },
  {
    law: "a request id takes effect once: here no id is stored",
    rule: "requests",
    seed: 1,
    patch: swallowed(/^INSERT INTO idempotency/),
  },
  {
    law: "no number is given twice after a restore: here the epoch stays as it was",
    rule: "watch",
    seed: 1,
    focus: {
      acts: { ...rarely(...others), acquire: 8, "give back": 0.5, "set for a while": 0.2 },
      faults: { restore: 6, backup: 6 },
      faultMs: 4_000,
      restores: 1,
    },
    forgetsToRaise: true,
  },
  {
    law: "an ended task is kept for its time: here it goes two hours early",
    rule: "task",
    seed: 2,
    focus: works,
    patch: misread(/^SELECT task, state, dueAt FROM tasks WHERE task > /, "dueAt", -7_200_000),
  },
];
