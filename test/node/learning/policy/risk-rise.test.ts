import { expect, it } from "vitest";
import { statusOf } from "#src/machine/operations/status-line.ts";
import type { RiskLevel, RiskMark } from "#src/contract/readings.ts";
import * as checkpoints from "#src/machine/checkpoints/checkpoints.ts";
import { refreshIfDue } from "#src/local-mcp/host/upkeep.ts";
import { markReading } from "#src/learning/policy/risk.ts";
import { Claude, rowCount, storedSession, aChat } from "#harness/machine/claude.ts";
import { connect, desktop } from "#harness/machine/mcp-client.ts";
import { tempRuntime, T0, type TempRuntime, type TempRuntimeOptions } from "#harness/machine/temp-runtime.ts";

/** Only the context counts, so that a test decides the level. */
const onlyContext = {
  risk: {
    weights: { contextFill: 0.9, memory: 0, sinceCheckpoint: 0 },
    levels: { warning: 0.3, danger: 0.6, critical: 0.8 },
  },
};

/** A chat in its second turn, after a tool call. */
function aBusyChat(config: TempRuntimeOptions["config"] = onlyContext): { runtime: TempRuntime; claude: Claude } {
  const chat = aChat({ config });
  chat.claude.turn("fix the parser");
  chat.claude.prompt("go on");
  chat.claude.use("Bash");
  return chat;
}

/** The client redraws its status line. */
function redraw(runtime: TempRuntime, { session }: Claude, tokens: number): void {
  const context_window = { context_window_size: 1_000_000, current_usage: { input_tokens: tokens } };
  const text = JSON.stringify({ session_id: session, model: { id: "claude-opus-5-5" }, context_window });
  runtime.wait(1_000);
  statusOf(runtime, text);
}

function triggers(runtime: TempRuntime): string[] {
  return runtime.store.read((sql) => checkpoints.search(sql, { limit: 100 }), []).map(({ trigger }) => trigger);
}

it("a rise that the status line saw first is a checkpoint at the next tool, once", () => {
  const { runtime, claude } = aBusyChat();
  const before = rowCount(runtime, "checkpoints");
  redraw(runtime, claude, 900_000);
  redraw(runtime, claude, 910_000);
  expect(rowCount(runtime, "checkpoints")).toBe(before);
  claude.use("Read");
  expect(triggers(runtime)[0]).toBe("risk");
  claude.use("Read");
  claude.use("Read");
  expect(rowCount(runtime, "checkpoints")).toBe(before + 1);
});

it("a rise that has passed before anything could act on it is a checkpoint all the same", () => {
  const { runtime, claude } = aBusyChat();
  redraw(runtime, claude, 900_000);
  redraw(runtime, claude, 100_000);
  claude.use("Read");
  expect(triggers(runtime)[0]).toBe("risk");
});

it("a rise that shim_monitor_signals saw first is a checkpoint at the next tool", async () => {
  const { runtime, claude } = aBusyChat({ risk: { weights: { memory: 0, sinceCheckpoint: 0 } } });
  const { call } = await connect(runtime, { clientPid: claude.pid });
  expect((await call("shim_monitor_signals", { contextTokens: 190_000 })).output["level"]).toBe("warning");
  claude.use("Read");
  expect(triggers(runtime)[0]).toBe("risk");
});

it("the timer takes the checkpoint where no tool follows, however often the status line is redrawn", async () => {
  const { runtime, claude } = aBusyChat();
  const { chat } = await connect(runtime, { clientPid: claude.pid });
  redraw(runtime, claude, 900_000);
  refreshIfDue(chat, claude.session);
  expect(triggers(runtime)[0]).toBe("risk");
  redraw(runtime, claude, 900_000);
  refreshIfDue(chat, claude.session);
  expect(triggers(runtime).filter((trigger) => trigger === "risk")).toHaveLength(1);
});

it("a client without hooks gets its risk checkpoint from the timer", async () => {
  const runtime = tempRuntime({ config: { risk: { weights: { memory: 0, sinceCheckpoint: 0 } } } });
  const { call, chat } = await desktop(runtime);
  const saved = await call("shim_force_checkpoint", { goal: "the migration" });
  const session = String(saved.output["session"]);
  await call("shim_monitor_signals", { contextTokens: 190_000 });
  refreshIfDue(chat, session);
  expect(storedSession(runtime, session).riskMark).toMatchObject({ covered: "warning", pending: null });
});

it("at critical risk shim_auto_checkpoint saves what is new, and never says that nothing is due", async () => {
  const { runtime, claude } = aBusyChat();
  const { call } = await connect(runtime, { clientPid: claude.pid });
  redraw(runtime, claude, 900_000);
  expect((await call("shim_auto_checkpoint")).output).toMatchObject({ saved: true, reason: "risk", level: "critical" });
  claude.begin("Bash", { command: "make" });
  expect((await call("shim_auto_checkpoint")).output).toMatchObject({ saved: true, reason: "risk" });
  expect((await call("shim_auto_checkpoint")).output).toMatchObject({ saved: false, reason: "unchanged" });
});

it.each<[string, string, string]>([
  ["a level that flaps", "0 danger, 1 safe, 2 danger, 3 safe, 7 danger", "danger"],
  ["one that was left for five minutes", "0 danger, 1 safe, 6 safe, 7 danger", "danger danger"],
  ["a higher one", "0 danger, 1 safe, 2 critical", "danger critical"],
  ["one at a clock that jumped back", "10 danger, 11 safe, 2 safe, 6 safe, 6.5 danger", "danger"],
])("%s, by minutes %s, rises to %s", (_, levels, rises) => {
  let mark: RiskMark = { covered: "safe", pending: null, belowAt: null };
  const taken: RiskLevel[] = [];
  for (const [minutes = "", level = ""] of levels.split(", ").map((one) => one.split(" "))) {
    mark = markReading(mark, level as RiskLevel, T0 + Number(minutes) * 60_000);
    if (mark.pending) taken.push(mark.pending);
    // Each pending rise is covered at once.
    mark = { ...mark, covered: mark.pending ?? mark.covered, pending: null };
  }
  expect(taken.join(" ")).toBe(rises);
});
