import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { expect, it, onTestFinished, vi } from "vitest";
import { age } from "#src/contract/age.ts";
import { LiveFeed } from "#src/local-mcp/page/page-app.ts";
import { refused, type Answer, type Backend } from "#src/web/backend.ts";
import * as format from "#src/web/format.ts";
import { backend, changed, revision, shownAgain } from "#src/web/page-state.ts";
import { layOut, type PlanTask } from "#src/web/plan-layout.ts";
import { findTasks, replayAll, type ReplayRun } from "#src/web/task-reads.ts";

it("characters that hide or reorder text are shown as a mark; lines and ordinary text stay", () => {
  expect(format.plain("abc\u202Etxt.exe\u2066\u200B")).toBe("abc�txt.exe��");
  expect(format.plain("a\u001B[31mb\u0000\u007F")).toBe("a [31mb  ");
  expect(format.plain("tag \u{E0041}")).toBe("tag �");
  const emoji = "👩‍👩‍👧 🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F} ❤️ 🏳️‍🌈";
  expect(format.plain(`${emoji} a\u200Db`)).toBe(`${emoji} a�b`);
  expect(format.plain("line\n\tnext <b>äöü 中文 🙂</b>")).toBe("line\n\tnext <b>äöü 中文 🙂</b>");
});

it("figures are short, in words a person uses", () => {
  const ages = [0, -5, 119_999, 120_000, 7_200_000, 172_800_000].map(age);
  expect(ages).toEqual(["0 s", "0 s", "119 s", "2 min", "2 h", "2 d"]);
  expect([0, 0.004, 1.5].map(format.dollars)).toEqual(["$0.00", "< $0.01", "$1.50"]);
  expect([format.count(1, "task"), format.count(50_000, "task")]).toEqual(["1 task", "50,000 tasks"]);
  expect([format.words("contextFill"), format.words("budget_exceeded")]).toEqual(["context fill", "budget exceeded"]);
  expect([format.shortPath("/a/b"), format.shortPath("/home/ann/work/shop")]).toEqual(["/a/b", "…/work/shop"]);
  expect(format.percent(0.905)).toBe("91 %");
});

function aTask(task: number, dependsOn: number[] = []): PlanTask {
  return { task, parent: null, ref: null, type: "part", state: "queued", dependsOn };
}

it("each task of a plan is to the right of all that it depends on, whatever the numbers", () => {
  const { nodes, edges, columns, rows } = layOut([aTask(1, [2, 3, 4]), aTask(2), aTask(3), aTask(4, [2, 99])]);
  const places = nodes.map(({ task, column, row }) => `${task.task}: column ${column}, row ${row}`);
  expect(places).toEqual(["1: column 2, row 0", "2: column 0, row 0", "3: column 0, row 1", "4: column 1, row 0"]);
  expect(edges.map(({ from, to }) => `${from.task.task}-${to.task.task}`)).toEqual(["2-1", "3-1", "4-1", "2-4"]);
  expect([columns, rows]).toEqual([3, 2]);
  expect(layOut([])).toEqual({ nodes: [], edges: [], columns: 0, rows: 0, critical: [] });
  expect(layOut([aTask(1, [2]), aTask(2, [1])]).nodes).toHaveLength(2);
});

it("the critical path of a plan is its longest chain of tasks that have not ended", () => {
  const done = { ...aTask(1), state: "done" as const };
  expect(layOut([done, aTask(2, [1]), aTask(3, [2]), aTask(4, [1]), aTask(5, [3, 4])]).critical).toEqual([2, 3, 5]);
  expect(layOut([aTask(1), aTask(2)]).critical).toEqual([]);
  expect(layOut([aTask(9, [8]), aTask(8)]).critical).toEqual([8, 9]);
});

/** A feed whose timers fire when the test says so. */
class FeedRig {
  timers: { readonly work: () => void; readonly ms: number }[] = [];
  readonly feed = new LiveFeed((work, ms) => {
    const timer = { work, ms };
    this.timers.push(timer);
    return () => void (this.timers = this.timers.filter((one) => one !== timer));
  });

  /** An open page, and the lines that it was sent. */
  open(): { readonly lines: string[]; readonly close: () => void } {
    const lines: string[] = [];
    const response = Object.assign(new EventEmitter(), {
      write: (text: string) => lines.push(text.trim()),
      end: () => response.emit("close"),
    });
    this.feed.add(response as unknown as ServerResponse);
    return { lines, close: () => void response.emit("close") };
  }

  fire(ms: number): void {
    const due = this.timers.filter((one) => one.ms === ms);
    this.timers = this.timers.filter((one) => !due.includes(one));
    for (const { work } of due) work();
  }
}

it("changes within a second are one line, and different ones are all", () => {
  const rig = new FeedRig();
  const { lines } = rig.open();
  rig.feed.changed("team");
  for (const part of ["team", "sessions", "team"] as const) rig.feed.changed(part);
  expect(lines).toEqual(['{"changed":"all"}', '{"changed":"team"}']);
  rig.fire(1_000);
  expect(lines.slice(2)).toEqual(['{"changed":"all"}']);
  rig.fire(1_000);
  expect(lines).toHaveLength(3);
  rig.feed.changed("sessions");
  expect(lines.at(-1)).toBe('{"changed":"sessions"}');
});

it("nothing is done while no page is open; a closed page is forgotten, an open one is felt for", () => {
  const rig = new FeedRig();
  rig.feed.changed("team");
  expect(rig.timers).toEqual([]);
  const { lines, close } = rig.open();
  rig.fire(30_000);
  expect(lines.at(-1)).toBe("");
  expect(rig.feed.size).toBe(1);
  close();
  expect(rig.feed.size).toBe(0);
  rig.fire(30_000);
  expect(rig.timers).toEqual([]);
  rig.open();
  rig.feed.close();
  expect(rig.feed.size).toBe(0);
});

it("after costly reads the pages hear of nothing for twenty times as long, at most ten seconds, and then of all of it", () => {
  const rig = new FeedRig();
  const { lines } = rig.open();
  rig.feed.changed("team");
  rig.feed.reports.spent(160);
  rig.feed.reports.spent(240);
  rig.feed.changed("team");
  rig.fire(1_000);
  expect(lines).toHaveLength(2);
  rig.fire(7_000);
  expect(lines).toHaveLength(3);
  rig.feed.reports.spent(90_000);
  rig.fire(1_000);
  rig.feed.changed("team");
  rig.fire(9_000);
  expect(lines).toHaveLength(4);
  rig.feed.reports.spent(40);
  rig.fire(1_000);
  rig.feed.changed("sessions");
  expect(lines.at(-1)).toBe('{"changed":"sessions"}');
});

const nothing = (): void => undefined;

type Input = Record<string, unknown>;

/** A host whose answers are given; it keeps the inputs that it was asked. */
function answering(answer: (input: Input) => Answer<unknown>): Input[] {
  const asked: Input[] = [];
  const call: Backend["call"] = async (_name, input) => {
    asked.push(input);
    return answer(input) as never;
  };
  backend.value = { kind: "machine", canAnswer: true, call, follow: nothing, signOut: async () => undefined };
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

it.each([
  ["goes in batches, and reports each", 60, 60, [25, 50, 60, 60], [25, 25, 10]],
  ["goes not beyond the number that was previewed where tasks die again at once", 1_000, 30, [25, 30, 30], [25, 5]],
  ["ends where none is left", 3, 500, [3, 3, 3], [25, 25]],
])("a bulk replay %s", async (_, dead, most, done, limits) => {
  const asked = replaying({ dead });
  const runs = await run(most);
  expect(runs.map((one) => [one.done, one.isOver])).toEqual(done.map((count, at) => [count, at === done.length - 1]));
  expect(asked.map(({ filter }) => filter)).toEqual(limits.map((limit) => ({ type: "deploy", limit })));
});

it("a stop ends it after the batch under way, and a refusal with its reason and what was replayed by then", async () => {
  const stop = new AbortController();
  const asked = replaying({ dead: 1_000 });
  const runs: ReplayRun[] = [];
  await replayAll({}, 1_000, (one) => void (runs.push(one) === 2 && stop.abort()), stop.signal);
  expect(asked).toHaveLength(2);
  expect(runs.at(-1)).toEqual({ done: 50, isOver: true, trouble: null });
  const value = { tasks: Array.from({ length: 25 }, (_, task) => ({ task })) };
  const answers: Answer<unknown>[] = [{ ok: true, value }, refused("quota_exceeded", "too many tasks")];
  answering(() => answers.shift() ?? expect.unreachable("it has ended"));
  expect((await run(100)).at(-1)).toEqual({ done: 25, isOver: true, trouble: "too many tasks" });
});

it("the preview reads on over pages that hold no match, no page more than it needs, and at most sixty", async () => {
  const pages = [
    { tasks: [], cursor: "2000" },
    { tasks: [{ task: 2_001, reason: "failed" }], cursor: "4000" },
    { tasks: [{ task: 4_001, reason: "expired" }], cursor: null },
  ];
  const asked = answering(() => ({ ok: true, value: pages.shift() }));
  const found = await findTasks({ state: "dead" }, 10, ({ reason }) => reason === "expired");
  expect(found).toEqual({ ok: true, value: { tasks: [{ task: 4_001, reason: "expired" }], cursor: null } });
  expect(asked.map(({ cursor }) => cursor)).toEqual([undefined, "2000", "4000"]);
  for (const count of [1, 0]) {
    const tasks = Array.from({ length: count }, (_, task) => ({ task }));
    const pagesRead = answering(() => ({ ok: true, value: { tasks, cursor: "1" } }));
    await findTasks({}, 1);
    expect(pagesRead).toHaveLength(count === 1 ? 1 : 60);
  }
});

it("after a quiet time a change is read at once, and those of the half second after it together", () => {
  vi.useFakeTimers();
  vi.stubGlobal("document", { hidden: false });
  onTestFinished(() => void vi.useRealTimers().unstubAllGlobals());
  // Another test may have read by another clock.
  changed();
  vi.advanceTimersByTime(10_000);
  const before = revision.value;
  const readsAfter = (ms: number): number => {
    changed();
    vi.advanceTimersByTime(ms);
    return revision.value - before;
  };
  expect([0, 0, 499, 1].map(readsAfter)).toEqual([1, 1, 1, 2]);
});

it("what a hidden page has missed it reads when it is shown again, once", () => {
  vi.useFakeTimers();
  vi.stubGlobal("document", { hidden: true });
  onTestFinished(() => void vi.useRealTimers().unstubAllGlobals());
  const before = revision.value;
  changed();
  vi.advanceTimersByTime(10_000);
  vi.stubGlobal("document", { hidden: false });
  for (const read of [0, 1, 1]) {
    expect(revision.value - before).toBe(read);
    shownAgain();
    vi.advanceTimersByTime(10_000);
  }
});

it("a page whose sign-in has ended shows how to sign in", async () => {
  answering(() => refused("unauthenticated", "this page is not signed in"));
  expect(await findTasks({}, 1)).toMatchObject({ ok: false });
  expect(backend.value).toBe(null);
});
