import * as fc from "fast-check";
import { expect, it } from "vitest";
import * as audit from "#src/machine/sessions/machine-audit.ts";
import { isPurgePending } from "#src/machine/keeping/forget.ts";
import { machineTools } from "#src/contract/tools.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { pause } from "#src/store/pause.ts";
import { aProject, rowCount, storedSession } from "#harness/machine/claude.ts";
import { aDeadChat, connect, desktop } from "#harness/machine/mcp-process.ts";
import { secretSamples } from "#harness/secrets/secret-corpus.ts";
import { leaked, tempRuntime } from "#harness/machine/temp-runtime.ts";

const confirm = "yes, delete";

it("a session that is said to be finished is not offered, and reading does not open it again; work does", async () => {
  const runtime = tempRuntime();
  const { call } = await desktop(runtime);
  const saved = await call("shim_force_checkpoint", { goal: "done with it", finish: true });
  expect(saved.text).toContain("marked finished");
  const id = String(saved.output["session"]);
  await call("shim_session_status");
  await call("shim_monitor_signals");
  expect(storedSession(runtime, id).endReason).toBe("finished");
  await call("shim_auto_checkpoint", { doing: "one more thing" });
  expect(storedSession(runtime, id).endReason).toBeNull();
});

it("a checkpoint is saved when something new is said or one is due, and says why not otherwise", async () => {
  const runtime = tempRuntime();
  const { ask } = await desktop(runtime);
  const saved = async (input = {}): Promise<unknown> => {
    const { output } = await ask("shim_auto_checkpoint", input);
    return [output["saved"], output["reason"]];
  };
  expect(await saved()).toEqual([false, "nothing to save yet"]);
  expect(await saved({ doing: "a", next: "b" })).toEqual([true, "on_demand"]);
  expect(await saved({ doing: "a", next: "b" })).toEqual([false, "unchanged"]);
  expect(await saved()).toEqual([false, "not due"]);
  runtime.wait(300_001);
  expect(await saved()).toEqual([false, "unchanged"]);
});

it("what cannot be saved is refused with what to do; nothing is half saved", async () => {
  const runtime = tempRuntime({ config: { checkpoint: { maxBytes: 5_000 } } });
  const { refusal } = await desktop(runtime);
  expect(await refusal("shim_force_checkpoint")).toMatch(/^nothing_to_save: .*Give at least/);
  for (const [tool, input] of [
    ["shim_force_checkpoint", { state: { big: "x".repeat(6_000) } }],
    ["shim_auto_checkpoint", { next: "y".repeat(4_000), doing: "z".repeat(1_500) }],
  ] as const)
    expect(await refusal(tool, input)).toMatch(/^too_large: .*limit is 5000.*Shorten it/);
  expect(rowCount(runtime, "checkpoints")).toBe(0);
});

it("deleting needs the words of consent and a name; it takes only what is named, after a backup, and leaves no purge", async () => {
  const runtime = tempRuntime();
  const dead = await aDeadChat(runtime);
  const { ask, refusal } = await desktop(runtime);
  const kept = await ask("shim_force_checkpoint", { goal: "kept" });
  const second = await ask("shim_force_checkpoint", { goal: "second" });
  expect(await refusal("shim_clear_state", { scope: "session", confirm })).toContain("id_missing");
  for (const scope of ["session", "checkpoint", "offer"])
    expect(await refusal("shim_clear_state", { scope, id: "unknown", confirm })).toContain("Nothing was deleted");
  const clear = async (scope: string, id: unknown): Promise<unknown> =>
    (await ask("shim_clear_state", { scope, id, confirm })).output;
  const backup = expect.stringContaining(runtime.paths.backups) as string;
  expect(await clear("checkpoint", second.output["checkpoint"])).toMatchObject({ deleted: 1, backup });
  expect(runtime.store.read(isPurgePending, true)).toBe(false);
  expect(await clear("session", dead)).toMatchObject({ deleted: 1 });
  expect(runtime.store.read((sql) => sessions.get(sql, dead), null)).toBeNull();
  expect(rowCount(runtime, "checkpoints")).toBe(1);
  const left = { session: kept.output["session"], checkpoints: 1 };
  expect((await ask("shim_session_status")).output).toMatchObject(left);
  const logged = audit.listNewest(runtime, 10).map(({ kind, actor }) => [kind, actor]);
  expect(logged).toEqual([
    ["session.forgotten", "chat"],
    ["checkpoint.forgotten", "chat"],
  ]);
});

it("while SHIM is paused the tools store nothing and say so; deleting is still possible", async () => {
  const project = aProject();
  const runtime = tempRuntime({ env: { CLAUDE_PROJECT_DIR: project } });
  const { ask, refusal } = await connect(runtime);
  const id = await aDeadChat(tempRuntime({ beside: runtime }));
  runtime.store.write((sql) => pause(sql, runtime.now(), null, project));
  const before = rowCount(runtime, "sessions");
  for (const name of Object.keys(machineTools).filter((one) => one !== "shim_clear_state"))
    expect(await refusal(name), name).toContain("paused");
  expect(rowCount(runtime, "sessions")).toBe(before);
  expect((await ask("shim_clear_state", { scope: "session", id, confirm })).output).toMatchObject({ deleted: 1 });
});

it("a secret in any field of any tool never reaches the disk; a mark that is longer than the secret breaks no limit @night", async () => {
  const runtime = tempRuntime();
  const { call, ask } = await connect(runtime, { name: "my ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8 client" });
  const samples = secretSamples(5);
  const line = (index: number): string => samples[index % samples.length]?.text.slice(0, 2_000) ?? "";
  // Each sample comes into a third of the fields.
  for (let at = 0; at < samples.length; at += 3) {
    const notes = {
      goal: line(at),
      done: [line(at + 1)],
      inProgress: [line(at + 2)],
      nextStep: line(at + 3),
      decisions: [line(at + 4)],
      openQuestions: [line(at + 5)],
      files: [line(at + 6)],
      todos: [{ text: line(at + 7), status: "pending" }],
      state: { nested: [{ [line(at + 8)]: line(at + 9) }] },
    };
    await ask("shim_force_checkpoint", notes);
    await ask("shim_auto_checkpoint", { doing: line(at), next: line(at + 1), project: `/x ${line(at + 2)}` });
    await call("shim_check_recovery", { session: line(at).slice(0, 200), of: line(at + 1).slice(0, 200) });
  }
  const secrets = samples.flatMap((sample) => sample.secrets);
  expect(leaked(runtime, [...secrets, "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"])).toEqual([]);
  const many = Array.from({ length: 120 }, (_, index) => `password=q${index}Zx9!`).join(" ");
  await ask("shim_force_checkpoint", { done: [many.slice(0, 2_000)], files: ["<private>/secret/place</private>"] });
});

/** Inputs of the right shape with anything in their fields, and inputs of no shape. */
function anyInput(): fc.Arbitrary<Record<string, unknown>> {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.constantFrom("\u0000", "\ud800", "../../etc", "'; DROP TABLE sessions; --"),
  );
  const lines = fc.array(text, { maxLength: 5 });
  const fields = {
    session: text,
    project: fc.oneof(text, fc.constant("/nonexistent")),
    of: text,
    detail: fc.constantFrom("concise", "detailed"),
    doing: text,
    next: text,
    contextTokens: fc.oneof(fc.nat(), fc.double()),
    goal: text,
    done: lines,
    files: lines,
    todos: fc.array(fc.record({ text, status: fc.constantFrom("pending", "done") })),
    state: fc.jsonValue(),
    finish: fc.boolean(),
    scope: fc.constantFrom("checkpoint", "session", "offer", "notices", "all"),
    id: text,
    confirm: fc.constantFrom(confirm, "yes"),
  };
  return fc.record(fields, { requiredKeys: [] });
}

it("for any input a tool answers with what it promises or with a clear error, and the store stays whole @night", async () => {
  const runtime = tempRuntime();
  const { call } = await connect(runtime);
  const fields = new Map(
    Object.entries(machineTools).map(([tool, { input }]) => [tool, new Set(Object.keys(input.shape))]),
  );
  const name = fc.constantFrom(...fields.keys());
  await fc.assert(
    fc.asyncProperty(name, anyInput(), fc.nat(9), async (tool, given, chance) => {
      const known = Object.entries(given).filter(([field]) => fields.get(tool)?.has(field));
      const answer = await call(tool, chance === 0 ? given : Object.fromEntries(known));
      // The client checks every answer without an error against the tool's output schema.
      if (answer.isError) expect(answer.text).toMatch(/^(Input validation error|[a-z_]+: )/);
      else expect(answer.output["session"]).toMatch(/\w/);
      expect(answer.text).not.toContain("internal:");
    }),
    { numRuns: 150 },
  );
  expect(runtime.logged).toEqual([]);
  expect(runtime.store.read((sql) => sql.all("PRAGMA integrity_check"), [])).toEqual([{ integrity_check: "ok" }]);
});

it("a state that is nested too deep to be searched for secrets is refused, not cut", async () => {
  const { ask, refusal } = await connect(tempRuntime());
  const nested = (depth: number): unknown => (depth === 0 ? "end" : [nested(depth - 1)]);
  await ask("shim_force_checkpoint", { goal: "g", state: nested(50) });
  const refused = await refusal("shim_force_checkpoint", { goal: "other", state: nested(500) });
  expect(refused).toContain("nested deeper than");
});
