import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, it } from "vitest";
import { hookEvents } from "#src/contract/hook-input.ts";
import {
  bash,
  briefs,
  ClaudeRig,
  endless,
  endlessTool,
  hello,
  mcpOf,
  received,
  shimTool,
} from "#harness/claude/claude-rig.ts";

const hookScript = join(import.meta.dirname, "..", "..", "dist", "hook.cjs");
/** The hooks as `shim init` registers them; the plugin's are on besides. */
const settings = {
  hooks: Object.fromEntries(
    hookEvents.map((event) => [
      event,
      [{ hooks: [{ type: "command", command: process.execPath, args: [hookScript, event] }] }],
    ]),
  ),
};

it("counts an event once and gives one brief where hooks are registered twice @night", async () => {
  const rig = new ClaudeRig();
  await rig.killed("fix the parser", { settings, steps: [bash("echo begun"), bash("exit 3")] });
  const [dead] = rig.sessions();
  expect(rig.kinds(dead!.id).join(" ")).toBe("start prompt tool_start tool_end tool_start tool_error tool_start");
  expect(dead).toMatchObject({ toolCalls: 2, toolErrors: 1 });
  const second = await rig.printed("hello", { settings, ...hello });
  expect(briefs(second.model)).toHaveLength(1);
  const [, successor] = rig.sessions();
  expect(rig.kinds(successor!.id).join(" ")).toBe("start prompt assistant turn_end end");
  expect(rig.stored(dead!.id).recoveries.map(({ action }) => action)).toEqual(["offered"]);
});

it("puts what the model's tool calls say into the session of the hooks @night", async () => {
  const rig = new ClaudeRig();
  const notes = {
    goal: "Parse empty input",
    done: ["Read the grammar"],
    nextStep: "Write the failing test",
    decisions: ["Keep the old syntax: others use it"],
    openQuestions: ["What of blanks?"],
  };
  const calls = [
    shimTool("shim_force_checkpoint", notes),
    shimTool("shim_session_status"),
    shimTool("shim_check_recovery"),
  ];
  const first = await rig.killed("fix the parser", { steps: calls });
  const [session, ...others] = rig.sessions();
  expect(others).toEqual([]);
  expect(received(first.model, -1)).toContain(`"session":"${session!.id}"`);
  expect(received(first.model, -1)).toContain('"incomplete":[]');
  expect(rig.stored(session!.id).checkpoints.some(({ trigger }) => trigger === "on_demand")).toBe(true);

  const second = await rig.printed("hello", { steps: [shimTool("shim_check_recovery"), { text: "I have it." }] });
  const [injected] = briefs(second.model);
  for (const line of [
    /^- goal \(.*\): Parse empty input$/m,
    /^- done \(.*\): Read the grammar$/m,
    /^- next step \(.*\): Write the failing test$/m,
    /^- decisions \(.*\): Keep the old syntax: others use it$/m,
    /^- open questions \(.*\): What of blanks\?$/m,
  ])
    expect(injected).toMatch(line);
  // The tool gives the brief that the hook has given, to the same chat.
  expect(received(second.model, -1).split(`<shim-recovered-session-${session!.id.slice(0, 8)}>`)).toHaveLength(3);
});

it("Claude Code works on where nothing can be saved, and the user reads that all is lost @night", async () => {
  // No folder can be made there, whoever runs the tests.
  const rig = new ClaudeRig("/dev/null/shim");
  const id = randomUUID();
  const steps = [bash("echo begun"), shimTool("shim_force_checkpoint", { goal: "g" }), { text: "Fixed." }];
  const chat = await rig.printed("fix the parser", { args: ["--session-id", id], steps });
  expect(chat.claude.output).toEqual({ stdout: "Fixed.\n", stderr: "" });
  // Without a host there are no tools.
  expect(received(chat.model, -1)).toContain("No such tool available: mcp__plugin_shim_shim__shim_force_checkpoint");
  expect(rig.shown(id).length).toBeGreaterThan(0);
  for (const text of rig.shown(id))
    expect(text).toMatch(/^SHIM cannot save: .*Events are lost until it can\. Run `\S+ \S+shim\.mjs doctor`\.$/);
});

it("brings what happened while another process held the store into the next chat's brief @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("fix the parser", { steps: [{ hold: "tool", ...endless }] });
  await first.model.held("tool");
  const other = new DatabaseSync(rig.paths.database);
  other.exec("BEGIN IMMEDIATE");
  first.model.release("tool");
  await endlessTool(first.claude);
  expect(rig.kinds(rig.sessions()[0]!.id)).toEqual(["start", "prompt"]);
  process.kill((await mcpOf(first.claude.pid)).pid, "SIGKILL");
  first.claude.kill("SIGKILL");
  other.close();
  await first.claude.waitForExit();
  expect((await rig.nextBriefs())[0]).toContain("in mid-turn, running Bash exec sleep 600");
});
