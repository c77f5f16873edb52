import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, refusal } from "#harness/coordinator/state-calls.ts";
import { cancel, endsOf, Hand, stateOf, submit, submitOne, taskOf } from "#harness/coordinator/task-calls.ts";
import type { TaskTest } from "./rule-test.ts";

type Job = InputOf<"plans.submit">["job"];

const small: Job = { title: "a typing error", files: [{ path: "docs/a.md" }] };

/** Forty files in eight folders. */
const large: Job = {
  title: "migrate the stores and their tests",
  text: "rename all",
  payload: { from: "v1" },
  files: Array.from({ length: 40 }, (_, n) => ({ path: `m${n % 8}/f${n}.ts` })),
};

/** Rules of jobs that become tasks. */
export function planRules(it: TaskTest): void {
  it("a job is split above the threshold, where it is asked for, and as it is listed", async ({ host }) => {
    const plain = await ask(host, "plans.estimate", { job: small });
    expect(plain).toMatchObject({ complexity: { score: 1, threshold: 8, isAboveThreshold: false }, parts: null });
    expect(plain.reason).toContain("not above 8");
    const complex = await ask(host, "plans.estimate", { job: large });
    expect(complex.complexity).toMatchObject({ score: 10, isAboveThreshold: true });
    expect(complex.complexity.reasons[0]).toMatchObject({ signal: "files", value: 40 });
    expect(complex.parts).toHaveLength(8);
    expect(complex.parts?.flatMap(({ files }) => files).toSorted()).toEqual(
      large.files?.map(({ path }) => path).toSorted(),
    );
    const forced = await ask(host, "plans.estimate", { job: small, isForced: true });
    expect(forced.parts?.map(({ name }) => name)).toEqual(["analyse", "change", "test", "document"]);
    const parts = [
      { name: "one", files: ["docs/a.md"] },
      { name: "two", text: "read it", dependsOn: ["one"] },
    ];
    const listed = await ask(host, "plans.estimate", { job: small, strategy: { by: "list", parts } });
    expect(listed.parts?.map(({ name, dependsOn }) => [name, dependsOn])).toEqual([
      ["one", []],
      ["two", ["one"]],
    ]);
    expect((await ask(host, "tasks.list", {})).tasks).toEqual([]);
  });

  it("parts are submitted together, and the join represents the job", async ({ host }) => {
    const made = await ask(host, "plans.submit", {
      job: large,
      type: "code",
      options: { priority: 7, capabilities: ["ts"], tags: ["job"] },
      joinRule: "collect",
      dedupeKey: "job-1",
    });
    expect(made).toMatchObject({ isDuplicate: false, state: "blocked", reason: null });
    expect(made.parts).toHaveLength(8);
    const a = await Hand.join(host, "a", { capabilities: ["ts"], capacity: 10 });
    const claims = await a.claim({ limit: 10 });
    expect(claims.map(({ task }) => task)).toEqual(made.parts.map(({ task }) => task));
    expect(claims[0]).toMatchObject({
      type: "code",
      priority: 7,
      payload: { job: { title: large.title, payload: { from: "v1" } }, part: { name: "part-1" } },
    });
    for (const claim of claims) await a.ack(claim, { done: claim.task });
    const whole = await taskOf(host, made.task);
    expect(whole).toMatchObject({ state: "done", tags: ["job"], result: { isComplete: true } });
    expect((await ask(host, "tasks.progress", { parent: made.task })).completedTasks).toBe(8);
    const same = { job: large, type: "code", joinRule: "collect", dedupeKey: "job-1" } as const;
    const again = await ask(host, "plans.submit", same);
    expect(again).toMatchObject({ task: made.task, isDuplicate: true, state: "done", parts: [] });
  });

  it("without a rule the join is a chat's task, with all results by name", async ({ host }) => {
    const made = await ask(host, "plans.submit", { job: small, isForced: true, type: "code", joinType: "review" });
    const a = await Hand.join(host, "a", { capacity: 10 });
    for (const { name } of made.parts) await a.ack(await a.take({ types: ["code"] }), name);
    const join = await a.take();
    expect(join).toMatchObject({ task: made.task, type: "review", payload: { job: { title: small.title } } });
    expect(join.inputs.map(({ ref, result }) => [ref, result])).toEqual(made.parts.map(({ name }) => [name, name]));
  });

  it("a part that has died is named in the result of the others, where that is asked for", async ({ host }) => {
    const parts = ["one", "two"].map((name) => ({ name, text: name }));
    const job = { title: "two things" };
    const request = { job, strategy: { by: "list", parts }, type: "x", joinRule: "collect" } as const;
    const [strict, partial] = [
      await ask(host, "plans.submit", request),
      await ask(host, "plans.submit", { ...request, onPartDeath: "ignore" }),
    ];
    const a = await Hand.join(host, "a");
    for (let at = 0; at < 2; at++) {
      await a.ack(await a.take(), "fine");
      await a.nack(await a.take(), { isRetryable: false, reason: "no" });
    }
    expect(await stateOf(host, strict.task)).toBe("dead dependency");
    expect((await taskOf(host, partial.task)).result).toMatchObject({
      value: [{ part: "one", result: "fine" }],
      missing: [{ part: "two", state: "dead", reason: "no" }],
    });
  });

  it("a job that is not split is one task; the same request again submits nothing more", async ({ host }) => {
    const request = { job: small, type: "docs", requestId: "r1" };
    const made = await ask(host, "plans.submit", request);
    expect(made).toMatchObject({ parts: [], state: "queued", complexity: { score: 1 } });
    expect(await ask(host, "plans.submit", request)).toEqual(made);
    expect((await taskOf(host, made.task)).payload).toEqual({
      job: { title: small.title, text: "", payload: null, files: ["docs/a.md"] },
    });
    const huge: Job = { ...large, payload: "x".repeat(60_000), text: "y".repeat(10_000) };
    expect(await refused(host, { job: huge, type: "x" })).toMatch(/^bad_input: .*65536/);
    expect(await refused(host, { job: small, type: "x", strategy: { by: "file" }, isForced: true })).toMatch(
      /^bad_input/,
    );
    const twice = ["x", "x"].map((name) => ({ name, text: name }));
    const circle = [
      { name: "x", text: "x", dependsOn: ["y"] },
      { name: "y", text: "y", dependsOn: ["x"] },
    ];
    const listed = (parts: typeof circle) =>
      refused(host, { job: { title: "t" }, type: "x", strategy: { by: "list", parts } });
    expect(await listed(twice as typeof circle)).toContain("two tasks have the ref x");
    expect(await listed(circle)).toContain("a cycle");
    expect((await ask(host, "tasks.list", {})).tasks).toHaveLength(1);
  });
}

async function refused(host: RuleHost, input: InputOf<"plans.submit">): Promise<string> {
  const { code, message } = await refusal(host, "plans.submit", input);
  return `${code}: ${message}`;
}

/** Rules of tasks that the coordinator does itself. */
export function taskJoinRules(it: TaskTest): void {
  it("done parts are joined by the rule; no chat claims the join", async ({ host, a }) => {
    const [web, api, all, count] = await submit(
      host,
      { type: "x", ref: "web" },
      { type: "x", ref: "api" },
      { type: "join", dependsOn: ["web", "api"], joinRule: "collect" },
      { type: "join", dependsOn: ["web", "api"], joinRule: "count" },
    );
    const [first, second] = await a.claim({ limit: 5 });
    if (!first || !second) throw new Error("two tasks were there");
    await a.ack(first, { web: 1 });
    expect(await stateOf(host, all)).toBe("blocked");
    await a.ack(second, { api: 2 });
    expect(await taskOf(host, all)).toMatchObject({
      state: "done",
      joinRule: "collect",
      result: {
        value: [
          { part: "web", result: { web: 1 } },
          { part: "api", result: { api: 2 } },
        ],
        isComplete: true,
        missing: [],
      },
    });
    expect((await taskOf(host, count)).result).toMatchObject({ value: { parts: 2, done: 2, dead: 0, cancelled: 0 } });
    const { attempts } = await ask(host, "tasks.history", { task: all });
    expect(attempts).toMatchObject([{ chat: null, end: "done", state: "done", ranMs: 0 }]);
    expect(await a.claim()).toEqual([]);
    expect([first.task, second.task]).toEqual([web, api]);
  });

  it("what depends on a join gets its result", async ({ host, a }) => {
    await submit(
      host,
      { type: "x", ref: "one" },
      { type: "join", ref: "all", dependsOn: ["one"], joinRule: "collect" },
      { type: "report", dependsOn: ["all"] },
    );
    await a.ack(await a.take(), "r");
    const report = await a.take();
    expect(report).toMatchObject({
      type: "report",
      inputs: [{ ref: "all", state: "done", result: { value: [{ part: "one", result: "r" }] } }],
    });
  });

  it("with `ignore` a join names missing parts; else it dies with them", async ({ host, a }) => {
    const [good, bad, gone, all, strict] = await submit(
      host,
      { type: "x", ref: "good" },
      { type: "x", ref: "bad" },
      { type: "y", ref: "gone" },
      { type: "join", dependsOn: ["good", "bad", "gone"], joinRule: "collect", onDependencyDeath: "ignore" },
      { type: "join", dependsOn: ["good", "bad", "gone"], joinRule: "collect" },
    );
    await a.ack(await a.take(), 1);
    await a.nack(await a.take({ types: ["x"] }), { isRetryable: false, reason: "does not compile" });
    expect(await stateOf(host, strict)).toBe("dead dependency");
    expect(await stateOf(host, all)).toBe("blocked");
    await cancel(host, gone, "not needed");
    expect((await taskOf(host, all)).result).toEqual({
      value: [{ part: "good", result: 1 }],
      isComplete: false,
      missing: [
        { part: "bad", state: "dead", reason: "does not compile" },
        { part: "gone", state: "cancelled", reason: "not needed" },
      ],
    });
    expect([await stateOf(host, good), await stateOf(host, bad)]).toEqual(["done", "dead failed"]);
  });

  it("a join of done parts is done at once; equal names become numbers", async ({ host, a }) => {
    const [one] = await submit(host, { type: "x", ref: "part" });
    const [other] = await submit(host, { type: "x", ref: "part" });
    await a.ack(await a.take(), 1);
    await a.ack(await a.take(), 2);
    const all = await submitOne(host, { type: "join", dependsOn: [one, other], joinRule: "collect" });
    expect((await taskOf(host, all)).result).toMatchObject({
      value: [
        { part: String(one), result: 1 },
        { part: String(other), result: 2 },
      ],
    });
  });

  it("a ref that is the number of another part does not name it", async ({ host, a }) => {
    const one = await submitOne(host);
    const other = await submitOne(host, { ref: String(one) });
    const all = await submitOne(host, { dependsOn: [one, other], joinRule: "collect" });
    await a.ack(await a.take(), 1);
    await a.ack(await a.take(), 2);
    expect((await taskOf(host, all)).result).toMatchObject({
      value: [
        { part: String(one), result: 1 },
        { part: String(other), result: 2 },
      ],
    });
  });

  it("results that are too large together end the join as dead, with the reason", async ({ host, a }) => {
    const names = ["a", "b"];
    const numbers = await submit(host, ...names.map((ref) => ({ type: "x", ref })), {
      type: "join",
      dependsOn: names,
      joinRule: "collect" as const,
    });
    const all = numbers.at(-1) ?? 0;
    for (const held of await a.claim({ limit: 3 })) await a.ack(held, "x".repeat(200_000));
    expect(await taskOf(host, all)).toMatchObject({ state: "dead", reason: "failed" });
    expect((await taskOf(host, all)).detail).toContain("too_large");
    expect((await ask(host, "tasks.replay", { task: all })).tasks).toEqual([{ task: all, state: "dead" }]);
    expect(await endsOf(host, all)).toEqual([]);
  });

  it("a join of nothing, or at a time of its own, is refused", async ({ host }) => {
    const refused = await refusal(host, "tasks.submit", { tasks: [{ type: "join", joinRule: "count" }] });
    expect(refused).toMatchObject({ code: "bad_input" });
    expect(refused.message).toContain("dependsOn");
    const tasks = [
      { type: "x", ref: "x" },
      { type: "join", joinRule: "count" as const, dependsOn: ["x"], delayMs: 1_000 },
    ];
    expect((await refusal(host, "tasks.submit", { tasks })).message).toContain("delayMs");
  });
}
