import { expect, it } from "vitest";
import { findChild, untilFound } from "#harness/claude/claude-code.ts";
import { briefs, received } from "#harness/claude/claude-rig.ts";
import type { ScriptedModel, Step } from "#harness/claude/scripted-model.ts";
import { longTool } from "#harness/clients/chat-rig.ts";
import { type CodexChat, CodexRig, endlessShell, shell, shimTool } from "#harness/clients/codex-rig.ts";

const request = "Make the parser accept empty input";

/** Codex offers `apply_patch` to models that it knows. */
const editing = "gpt-5.5";

const patch = `*** Begin Patch
*** Add File: new.ts
+export {};
*** Update File: one.ts
@@
-export {};
+export { parse };
*** End Patch`;

const work: Step[] = [
  { tools: [{ name: "apply_patch", input: { input: patch } }] },
  { ...shell("echo no such test >&2; exit 3"), text: "The fault is in one.ts." },
  endlessShell,
];

/** The MCP process that this Codex has started. */
const mcpOf = ({ codex }: CodexChat) => findChild(codex.pid, "shim.mjs mcp");

const endlessTool = ({ codex }: CodexChat) => findChild(codex.pid, longTool);

async function kill({ codex }: CodexChat): Promise<void> {
  codex.kill("SIGKILL");
  await codex.waitForExit();
}

it("Codex that is killed in the middle of a tool gives the next chat a checked brief, once", async () => {
  const rig = new CodexRig();
  const first = await rig.exec(request, { modelName: editing, steps: work });
  await endlessTool(first);
  const mcp = await mcpOf(first);
  await kill(first);
  await rig.gone(mcp.pid);
  const [dead] = rig.sessions();
  expect(dead).toMatchObject({ client: "codex", endedAt: null, detachReason: "client_gone" });
  const second = await rig.executed("go on", {
    steps: [shimTool("shim_check_recovery", { take: true }), { text: "I go on." }],
  });
  const [brief, ...others] = briefs(second.model);
  expect(others).toEqual([]);
  for (const line of [
    `<shim-recovered-session-${dead!.id.slice(0, 8)}>`,
    "why it died: killed",
    ` ago: ${request}`,
    `in mid-turn, running Bash exec ${longTool}`,
    " ago: The fault is in one.ts.",
    "echo no such test >&2; exit 3 FAILED: Exit code 3",
    "- one.ts (edited): unchanged since the checkpoint",
    "- new.ts (created): unchanged since the checkpoint",
  ])
    expect(brief).toContain(line);
  expect(await nextBriefs(rig)).toEqual([]);
});

it("after `shim init` a first chat of Codex is recorded, its MCP server knows it, and doctor finds no fault @night", async () => {
  const rig = new CodexRig();
  const { model } = await rig.executed("do a first thing", {
    steps: [shell("echo one"), shell("echo two; exit 3"), shimTool("shim_session_status"), { text: "Done." }],
  });
  const [session] = rig.sessions();
  expect(session).toMatchObject({ client: "codex", toolCalls: 3, toolErrors: 1 });
  expect(sessionIn(model)).toBe(session!.id);
  expect(rig.kinds(session!.id)).toEqual(
    ["start", "prompt", "tool_start", "tool_end", "tool_start", "tool_error", "tool_start", "tool_end"].concat(
      "assistant",
      "turn_end",
      "detached",
    ),
  );
  const { checks } = JSON.parse(rig.shim("doctor", "--json")) as { checks: { name: string; state: string }[] };
  expect(checks.filter(({ name }) => name.startsWith("codex:"))).toMatchObject([{ state: "ok" }, { state: "ok" }]);
});

/** The end of a session of `codex exec`, which Codex reports without a reason. */
function sessionIn(model: ScriptedModel): string {
  return /"session":"([\w-]+)"/.exec(received(model, -1))?.[1] ?? "none";
}

/** Code that calls a tool, as the newest models write it. */
function program(code: string): Step {
  return { tools: [{ name: "exec", input: { input: `text(await tools.${code});` } }] };
}

it("calls of a program of Codex, as the newest models write them, count once each, with their failures @night", async () => {
  const rig = new CodexRig();
  const { model } = await rig.executed("do a first thing", {
    modelName: "gpt-6.1-sol",
    steps: [
      program('exec_command({ cmd: "echo two; exit 3" })'),
      program(`apply_patch(${JSON.stringify(patch)})`),
      program("mcp__shim__shim_session_status({})"),
      { text: "Done." },
    ],
  });
  const [session] = rig.sessions();
  expect(received(model, -1)).toContain(session!.id);
  expect(session).toMatchObject({ toolCalls: 4, toolErrors: 1 });
});

it("a killed MCP process disturbs no chat of Codex, and both killed at once leave the brief of the hooks @night", async () => {
  const rig = new CodexRig();
  const first = await rig.exec(request, {
    steps: [{ ...shell("echo one"), hold: "first" }, shell("echo two"), endlessShell],
  });
  await first.model.held("first");
  const mcp = await mcpOf(first);
  process.kill(mcp.pid, "SIGKILL");
  first.model.release("first");
  await endlessTool(first);
  await kill(first);
  const [brief] = await nextBriefs(rig);
  for (const line of [` ago: ${request}`, `in mid-turn, running Bash exec ${longTool}`]) expect(brief).toContain(line);
});

it("a resumed chat of Codex stays the same session, and is given what its death left open @night", async () => {
  const rig = new CodexRig();
  const first = await rig.exec(request, { steps: [endlessShell] });
  await endlessTool(first);
  const [{ id } = { id: "none" }] = rig.sessions();
  await untilFound(() => rig.transcript(id), "the transcript");
  await kill(first);
  const resumed = await rig.executed("go on", { steps: [shimTool("shim_session_status"), { text: "Done." }] }, id);
  expect(rig.sessions().map((session) => session.id)).toEqual([id]);
  expect(sessionIn(resumed.model)).toBe(id);
  expect(briefs(resumed.model).join()).toContain(`in mid-turn, running Bash exec ${longTool}`);
});

async function nextBriefs(rig: CodexRig): Promise<string[]> {
  return briefs((await rig.executed("say hello again", { steps: [{ text: "Hello." }] })).model);
}
