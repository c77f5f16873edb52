import { expect, it } from "vitest";
import { refused, type Answer, type Backend } from "#src/web/backend.ts";
import { backend } from "#src/web/page-state.ts";
import { findTasks, replayAll, type ReplayRun } from "#src/web/task-reads.ts";

const nothing = async (): Promise<void> => undefined;

type Input = Record<string, unknown>;

/** A host whose answers are given; it keeps the inputs that it was asked. */
function answering(answer: (input: Input) => Answer<unknown>): Input[] {
  const asked: Input[] = [];
  const call: Backend["call"] = async (_name, input) => {
    asked.push(input);
    return answer(input) as never;
  };
  backend.value = { kind: "machine", canAnswer: true, call, follow: nothing, signOut: nothing };
  return asked;
}

function replaying(left: { dead: number }): Input[] {
  return answering((input) => {
    const { limit } = input["filter"] as { limit: number };
    const count = Math.min(limit, left.dead);
    left.dead -= count;
    return { ok: true, value: { tasks: Array.from({ length: count }, (_, task) => ({ task, state: "queued" })) } };
  });
}

async function run(most: number): Promise<ReplayRun[]> {
  const runs: ReplayRun[] = [];
  await replayAll({ type: "deploy" }, most, (one) => runs.push(one), new AbortController().signal);
  return runs;
}

it("a bulk replay goes in batches and reports each", async () => {
  const asked = replaying({ dead: 60 });
  expect((await run(60)).map(({ done, isOver }) => [done, isOver])).toEqual([
    [25, false],
    [50, false],
    [60, false],
    [60, true],
  ]);
  expect(asked.map(({ filter }) => filter)).toEqual([
    { type: "deploy", limit: 25 },
    { type: "deploy", limit: 25 },
    { type: "deploy", limit: 10 },
  ]);
});

it("tasks that die again at once are not replayed beyond the number that was previewed", async () => {
  const asked = replaying({ dead: Number.MAX_SAFE_INTEGER });
  expect((await run(30)).at(-1)).toEqual({ done: 30, isOver: true, trouble: null });
  expect(asked).toHaveLength(2);
});

it("a stop ends it after the batch under way, and none left ends it early", async () => {
  const stop = new AbortController();
  const asked = replaying({ dead: 1_000 });
  const runs: ReplayRun[] = [];
  await replayAll({}, 1_000, (one) => void (runs.push(one) === 2 && stop.abort()), stop.signal);
  expect(asked).toHaveLength(2);
  expect(runs.at(-1)).toEqual({ done: 50, isOver: true, trouble: null });
  replaying({ dead: 3 });
  expect((await run(500)).at(-1)).toMatchObject({ done: 3, isOver: true });
});

it("a refusal ends it with its reason, and what was replayed by then", async () => {
  let calls = 0;
  answering(() =>
    (calls += 1) === 1
      ? { ok: true, value: { tasks: Array.from({ length: 25 }, (_, task) => ({ task })) } }
      : refused("quota_exceeded", "too many tasks"),
  );
  expect((await run(100)).at(-1)).toEqual({ done: 25, isOver: true, trouble: "too many tasks" });
});

it("the preview reads on over pages that hold no match", async () => {
  const pages = [
    { tasks: [], cursor: "2000" },
    { tasks: [{ task: 2_001, reason: "failed" }], cursor: "4000" },
    { tasks: [{ task: 4_001, reason: "expired" }], cursor: null },
  ];
  const asked = answering(() => ({ ok: true, value: pages.shift() }));
  const found = await findTasks({ state: "dead" }, 10, ({ reason }) => reason === "expired");
  expect(found).toEqual({ ok: true, value: { tasks: [{ task: 4_001, reason: "expired" }], cursor: null } });
  expect(asked.map(({ cursor }) => cursor)).toEqual([undefined, "2000", "4000"]);
});

it("a page whose sign-in has ended shows how to sign in", async () => {
  answering(() => refused("unauthenticated", "this page is not signed in"));
  expect(await findTasks({}, 1)).toMatchObject({ ok: false });
  expect(backend.value).toBe(null);
});
