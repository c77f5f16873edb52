import * as fc from "fast-check";
import { expect, it } from "vitest";
import { isPurgePending } from "#src/local-mcp/retention/forget.ts";
import { tools } from "#src/local-mcp/server/server.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { pause } from "#src/store/pause.ts";
import { aProject, rowCount, storedSession, aChat } from "#harness/machine/claude.ts";
import { aDeadChat, connect, desktop } from "#harness/machine/mcp-client.ts";
import { secretSamples } from "#harness/secrets/secret-corpus.ts";
import { leaked, tempRuntime } from "#harness/machine/temp-runtime.ts";

const confirm = "yes, delete";

it("[MC11] a session that is said to be finished is not offered, and looks do not open it again; work does", async () => {
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

it("[MC11] a checkpoint is saved when something new is said or one is due, and says why not otherwise", async () => {
  const runtime = tempRuntime();
  const { call } = await desktop(runtime);
  expect(await call("shim_auto_checkpoint")).toMatchObject({
    isError: false,
    output: { saved: false, reason: "nothing to save yet" },
  });
  expect(await call("shim_auto_checkpoint", { doing: "a", next: "b" })).toMatchObject({
    output: { saved: true, reason: "on_demand", level: "safe" },
  });
  expect(await call("shim_auto_checkpoint", { doing: "a", next: "b" })).toMatchObject({
    output: { saved: false, reason: "unchanged" },
  });
  expect(await call("shim_auto_checkpoint")).toMatchObject({ output: { saved: false, reason: "not due" } });
  runtime.wait(300_001);
  expect(await call("shim_auto_checkpoint")).toMatchObject({ output: { saved: false, reason: "unchanged" } });
});

it("[MC11] what cannot be saved is refused with what to do; nothing is half saved", async () => {
  const runtime = tempRuntime({ config: { checkpoint: { maxBytes: 5_000 } } });
  const { call } = await desktop(runtime);
  expect(await call("shim_force_checkpoint")).toMatchObject({
    isError: true,
    text: expect.stringMatching(/^nothing_to_save: .*Give at least/) as string,
  });
  const state = { big: "x".repeat(6_000) };
  for (const tool of ["shim_force_checkpoint", "shim_auto_checkpoint"]) {
    const input = tool === "shim_force_checkpoint" ? { state } : { next: "y".repeat(4_000), doing: "z".repeat(1_500) };
    expect(await call(tool, input)).toMatchObject({
      isError: true,
      text: expect.stringMatching(/^too_large: .*limit is 5000.*Shorten it/) as string,
    });
  }
  expect(rowCount(runtime, "checkpoints")).toBe(0);
});

it("[MC12] the risk is told with its reasons; detailed, with the readings it rests on; the chat's own count is a report", async () => {
  const runtime = tempRuntime({ config: { risk: { weights: { memory: 0 } } } });
  const { call } = await desktop(runtime);
  const calm = await call("shim_monitor_signals");
  expect(calm).toMatchObject({
    output: { risk: 0, level: "safe", reasons: [] },
    text: expect.stringContaining("No reason") as string,
  });
  const told = await call("shim_monitor_signals", { contextTokens: 200_000, detail: "detailed" });
  expect(told.output).toMatchObject({
    risk: 0.3,
    level: "warning",
    reasons: ["contextTokens 200000 over 150000 (+0.3, reported)"],
    readings: { contextTokens: { value: 200_000, source: "reported" } },
  });
});

it("[MC12] the status tells client, project, checkpoints and other sessions that died", async () => {
  const { runtime, claude: dead } = aChat();
  dead.prompt("fix it");
  dead.kill();
  const { call } = await desktop(runtime);
  const project = aProject();
  await call("shim_force_checkpoint", { goal: "g", project });
  runtime.wait(12_000);
  const status = await call("shim_session_status", { detail: "detailed" });
  expect(status.text).toMatch(/saved 12 s ago; checkpoints: 1; other sessions that died unfinished: 1/);
  expect(status.output).toMatchObject({
    client: "claude-ai",
    project,
    savedMsAgo: 12_000,
    store: "better-sqlite3",
    latest: { trigger: "on_demand" },
  });
});

it("[MC7] deleting needs the words of consent and a name; it takes only what is named, after a backup", async () => {
  const runtime = tempRuntime();
  const dead = await aDeadChat(runtime);
  const { call } = await desktop(runtime);
  const kept = await call("shim_force_checkpoint", { goal: "kept" });
  const second = await call("shim_force_checkpoint", { goal: "second" });
  expect(await call("shim_clear_state", { scope: "session", confirm })).toMatchObject({
    isError: true,
    text: expect.stringContaining("id_missing") as string,
  });
  for (const scope of ["session", "checkpoint", "offer"]) {
    expect(await call("shim_clear_state", { scope, id: "unknown", confirm })).toMatchObject({
      isError: true,
      text: expect.stringContaining("Nothing was deleted") as string,
    });
  }
  const gone = await call("shim_clear_state", {
    scope: "checkpoint",
    id: String(second.output["checkpoint"]),
    confirm,
  });
  expect(gone.output).toMatchObject({ deleted: 1, backup: expect.stringContaining(runtime.paths.backups) as string });
  expect(await call("shim_clear_state", { scope: "session", id: dead, confirm })).toMatchObject({
    output: { deleted: 1 },
  });
  expect(runtime.store.read((sql) => sessions.get(sql, dead), null)).toBeNull();
  expect(rowCount(runtime, "checkpoints")).toBe(1);
  expect(await call("shim_session_status")).toMatchObject({
    output: { session: kept.output["session"], checkpoints: 1 },
  });
});

it("[MC7] an offer can be declined for good, and a session be forgotten with every copy", async () => {
  const runtime = tempRuntime();
  const dead = await aDeadChat(runtime);
  const { call } = await desktop(runtime);
  expect(await call("shim_clear_state", { scope: "offer", id: dead, confirm })).toMatchObject({
    output: { deleted: 1 },
  });
  expect(storedSession(runtime, dead).recovery).toBe("dismissed");
  const forgotten = await call("shim_clear_state", { scope: "session", id: dead, confirm, forget: true });
  expect(forgotten.output).toMatchObject({ deleted: 1 });
  expect(forgotten.output["backup"]).toBeUndefined();
  expect(leaked(runtime, ["write the importer"])).toEqual([]);
});

it("[MC14] while SHIM is paused the tools store nothing and say so; deleting is still possible", async () => {
  const runtime = tempRuntime({ env: { CLAUDE_PROJECT_DIR: aProject() } });
  const { call } = await connect(runtime);
  const dead = await aDeadChat(tempRuntime({ beside: runtime }));
  runtime.store.write((sql) => pause(sql, runtime.now(), null, runtime.env["CLAUDE_PROJECT_DIR"] ?? null));
  const before = rowCount(runtime, "sessions");
  for (const tool of [
    "shim_force_checkpoint",
    "shim_auto_checkpoint",
    "shim_session_status",
    "shim_monitor_signals",
    "shim_check_recovery",
  ]) {
    expect(await call(tool), tool).toMatchObject({ isError: true, text: expect.stringContaining("paused") as string });
  }
  expect(rowCount(runtime, "sessions")).toBe(before);
  expect(await call("shim_clear_state", { scope: "session", id: dead, confirm })).toMatchObject({
    isError: false,
    output: { deleted: 1 },
  });
});

it("[MC10] a secret in any field of any tool never reaches the disk; a mark that is longer than the secret breaks no limit", async () => {
  const runtime = tempRuntime();
  const { call } = await connect(runtime, { name: "my ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8 client" });
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
    expect(await call("shim_force_checkpoint", notes)).toMatchObject({ isError: false });
    const step = { doing: line(at), next: line(at + 1), project: `/x ${line(at + 2)}` };
    expect(await call("shim_auto_checkpoint", step)).toMatchObject({ isError: false });
    await call("shim_check_recovery", { session: line(at).slice(0, 200), of: line(at + 1).slice(0, 200) });
  }
  const secrets = samples.flatMap((sample) => sample.secrets);
  expect(leaked(runtime, [...secrets, "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"])).toEqual([]);
  const many = Array.from({ length: 120 }, (_, index) => `password=q${index}Zx9!`)
    .join(" ")
    .slice(0, 2_000);
  expect(
    await call("shim_force_checkpoint", { done: [many], files: ["<private>/secret/place</private>"] }),
  ).toMatchObject({ isError: false });
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

it("[MC6] whatever a tool is given, it answers with what it promises or with a clear error, and the store stays whole", async () => {
  const runtime = tempRuntime();
  const { call } = await connect(runtime);
  const fields = new Map(
    tools.map((tool) => [tool.name, new Set(Object.keys((tool.input as unknown as { shape: object }).shape))]),
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

it("[CP7] a state that is nested too deep to be searched for secrets is refused, not cut", async () => {
  const runtime = tempRuntime();
  const { call } = await connect(runtime);
  const nested = (depth: number): unknown => (depth === 0 ? "end" : [nested(depth - 1)]);
  expect(await call("shim_force_checkpoint", { goal: "g", state: nested(50) })).toMatchObject({ isError: false });
  const refused = await call("shim_force_checkpoint", { goal: "other", state: nested(500) });
  expect(refused.isError).toBe(true);
  expect(refused.text).toContain("nested deeper than");
});

it("[MC12] every tool has a detailed answer: reasons, the summary that the search finds, how many rows went", async () => {
  const runtime = tempRuntime();
  const { call } = await connect(runtime);
  const auto = await call("shim_auto_checkpoint", { doing: "reading", detail: "detailed" });
  expect(auto.output["reasons"]).toEqual(expect.any(Array));
  const forced = await call("shim_force_checkpoint", { goal: "write the importer", detail: "detailed" });
  expect(forced.output["summary"]).toContain("write the importer");
  const input = { scope: "checkpoint", id: forced.output["checkpoint"], confirm: "yes, delete", detail: "detailed" };
  expect((await call("shim_clear_state", input)).output).toMatchObject({ deleted: 1, rows: 1 });
  const concise = await call("shim_force_checkpoint", { goal: "write the exporter" });
  expect(concise.output).not.toHaveProperty("summary");
});

it("[MC7] deleting with a backup leaves no purge to be done", async () => {
  const runtime = tempRuntime();
  const { call } = await connect(runtime);
  const { output } = await call("shim_force_checkpoint", { goal: "g" });
  const input = { scope: "checkpoint", id: output["checkpoint"], confirm: "yes, delete" };
  expect((await call("shim_clear_state", input)).output).toMatchObject({
    deleted: 1,
    backup: expect.any(String) as string,
  });
  expect(runtime.store.read(isPurgePending, true)).toBe(false);
});

it("[SI27] the tokens of what has passed are estimated for a chat that measures none, and grow with it", async () => {
  const runtime = tempRuntime();
  const { call, chat } = await desktop(runtime);
  const first = await call("shim_force_checkpoint", { goal: "word ".repeat(500) });
  chat.countExchange(String(first.output["session"]), "more ".repeat(2_000));
  await call("shim_auto_checkpoint", { doing: "reading" });
  const { readings } = storedSession(runtime, String(first.output["session"]));
  expect(readings.contextTokens).toMatchObject({ source: "estimated" });
  expect(readings.contextTokens?.value).toBeGreaterThan(2_000);
});
