import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import type { EngineHost } from "#harness/coordinator/engine-host.ts";
import { ask, refusal } from "#harness/coordinator/state-calls.ts";
import { Hand, stateOf, taskOf } from "#harness/coordinator/task-calls.ts";
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
  it("[PL19] a job is split above the threshold, where it is asked for, and as it is listed", async ({ host }) => {
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

  it("[PL19] weights and threshold are settings of the workspace", async ({ host }) => {
    const { settings } = await ask(host, "settings.get", {});
    await ask(host, "settings.set", { settings: { complexity: { ...settings.complexity, threshold: 1 } } });
    const job: Job = { title: "refactor", files: [{ path: "a/a.ts" }, { path: "b/b.ts" }] };
    expect((await ask(host, "plans.estimate", { job })).parts).toHaveLength(2);
  });

  it("[PL20] [PL31] [PL32] parts are submitted together, and the join represents the job", async ({ host }) => {
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
    const again = await ask(host, "plans.submit", {
      job: large,
      type: "code",
      joinRule: "collect",
      dedupeKey: "job-1",
    });
    expect(again).toMatchObject({ task: made.task, isDuplicate: true, state: "done", parts: [] });
  });

  it("[PL32] without a rule the join is a chat's task, with all results by name", async ({ host }) => {
    const made = await ask(host, "plans.submit", { job: small, isForced: true, type: "code", joinType: "review" });
    const a = await Hand.join(host, "a", { capacity: 10 });
    for (const { name } of made.parts) await a.ack(await a.take({ types: ["code"] }), name);
    const join = await a.take();
    expect(join).toMatchObject({ task: made.task, type: "review", payload: { job: { title: small.title } } });
    expect(join.inputs.map(({ ref, result }) => [ref, result])).toEqual(made.parts.map(({ name }) => [name, name]));
  });

  it("[PL33] a part that has died is named in the result of the others, where that is asked for", async ({ host }) => {
    const parts = ["one", "two"].map((name) => ({ name, text: name }));
    const request = {
      job: { title: "two things" },
      strategy: { by: "list", parts },
      type: "x",
      joinRule: "collect",
    } as const;
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

  it("[PL20] a job that is not split is one task; the same request again submits nothing more", async ({ host }) => {
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
    expect((await ask(host, "tasks.list", {})).tasks).toHaveLength(1);
  });
}

async function refused(host: EngineHost, input: InputOf<"plans.submit">): Promise<string> {
  const { code, message } = await refusal(host, "plans.submit", input);
  return `${code}: ${message}`;
}
