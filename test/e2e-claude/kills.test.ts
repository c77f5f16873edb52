import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, briefs, call, ClaudeRig, endless, received, shimTool } from "#harness/claude/claude-rig.ts";
import { endlessTool, kill, mcpOf } from "#harness/clients/chat-rig.ts";
import type { Step } from "#harness/claude/scripted-model.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";

const request = "Make the parser accept empty input";
const fault = "The fault is in one.ts.";

const subjects = ["write a test", "fix the parser", "tell the team"].map((subject) => {
  return { subject, description: "of the parser" };
});
const calls = (name: string, inputs: readonly Record<string, unknown>[]): Step => ({
  tools: inputs.map((input) => ({ name, input })),
});

/** A list of tasks, work on some files, a failure, then a tool that never ends. */
const work = (rig: ClaudeRig): Step[] => [
  calls("TaskCreate", subjects),
  calls("TaskUpdate", [
    { taskId: "1", status: "completed" },
    { taskId: "2", status: "in_progress" },
  ]),
  call("Read", { file_path: rig.path("one.ts") }),
  call("Edit", { file_path: rig.path("one.ts"), old_string: "{}", new_string: "{ parse }" }),
  call("Write", { file_path: rig.path("new.ts"), content: "export {};\n" }),
  call("Write", { file_path: rig.path("kept.ts"), content: "export {};\n" }),
  { ...bash("echo no such test >&2; exit 3"), text: fault },
  endless,
];

it("Claude Code that is killed in the middle of a tool gives the next chat a checked brief, once", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print(request, { steps: work(rig) });
  const mcp = await mcpOf(first);
  await endlessTool(first);
  await rig.written(fault);
  await kill(first);
  await rig.gone(mcp.pid);
  const [dead] = rig.sessions();
  expect(dead).toMatchObject({ ending: { how: "died", reason: "client_gone" }, toolCalls: 10, toolErrors: 1 });
  // The MCP process saw its client die, and saved the state and the files before it went.
  expect(rig.stored(dead!.id).checkpoints.at(-1)).toMatchObject({ trigger: "detached" });
  writeFileSync(rig.path("one.ts"), "changed by hand\n");
  rmSync(rig.path("new.ts"));

  const steps = [shimTool("shim_check_recovery", { take: true }), { text: "I go on." }];
  const second = await rig.printed("go on", { steps });
  const [brief, ...others] = briefs(second.model);
  expect(others).toEqual([]);
  for (const line of [
    `<shim-recovered-session-${dead!.id.slice(0, 8)}>`,
    "why it died: killed (The client went away in the middle of a tool call without reporting an end.)",
    "10 tool calls, 1 failed",
    "in mid-turn, running Bash exec sleep 600 (begun ",
    "no result was seen; it may still run, or have finished: no process has that command line)\n",
    ` ago: ${request}\n`,
    ` ago: ${fault}\n`,
    ", 2 of 3 are open:\n- in progress: fix the parser\n- tell the team\n",
    "- Bash echo no such test >&2; exit 3 FAILED: Exit code 3 no such test",
    "- one.ts (edited): CHANGED since the checkpoint",
    "- new.ts (created): MISSING",
    "- kept.ts (created): unchanged since the checkpoint",
    "shim.mjs restore cp_",
  ])
    expect(brief).toContain(line);
  const [, successor] = rig.sessions();
  expect(rig.stored(dead!.id).recoveries.at(-1)).toMatchObject({ action: "recovered", bySession: successor!.id });
  expect(await rig.nextBriefs()).toEqual([]);
});

it("Claude Code works on undisturbed when the host was killed, in a terminal too", async () => {
  const rig = new ClaudeRig();
  const second = [bash("echo two"), shimTool("shim_session_status"), { text: "Two." }];
  const first = await rig.terminal({ steps: [{ text: "One." }, ...second, endless] });
  await first.process.send("do the first thing");
  const { id } = await rig.begun();
  await rig.turns(id, 1);
  const host = await untilFound(() => hostsOf(rig.paths.home)[0], "the host");
  process.kill(host.pid, "SIGKILL");
  await first.process.send("do the second thing");
  await rig.turns(id, 2);
  expect(rig.kinds(id).filter((kind) => kind === "tool_end")).toHaveLength(2);
  expect(received(first.model, -1)).toContain(`"session":"${id}"`);
  expect(rig.shown(id)).toEqual([]);
  expect(hostsOf(rig.paths.home).map(({ pid }) => pid)).not.toContain(host.pid);
  process.kill(first.process.pid, "SIGKILL");
  await rig.gone(first.process.pid);
});

it("the last words are found in the transcript where client and MCP process were killed before a hook read them", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print(request, { steps: [{ ...endless, text: "I begin." }] });
  const mcp = await mcpOf(first);
  await endlessTool(first);
  await rig.written('"text":"I begin."');
  // Else it may start another one before it is killed itself.
  first.process.kill("SIGSTOP");
  killEvery([mcp, ...hostsOf(rig.paths.home)]);
  await kill(first);
  const [brief] = await rig.nextBriefs();
  expect(brief).toContain(` ago: ${request}\n`);
  expect(brief).toMatch(/the chat's last words:\n- .* ago: I begin\.\n/);
});

it("Claude Code works on where nothing can be saved, and the user reads that all is lost", async () => {
  // No folder can be made there, whoever runs the tests.
  const rig = new ClaudeRig("/dev/null/shim");
  const id = randomUUID();
  const steps = [bash("echo begun"), shimTool("shim_force_checkpoint", { goal: "g" }), { text: "Fixed." }];
  const chat = await rig.printed("fix the parser", { args: ["--session-id", id], steps });
  expect(chat.process.output).toEqual({ stdout: "Fixed.\n", stderr: "" });
  // Without a host there are no tools.
  expect(received(chat.model, -1)).toContain("No such tool available: mcp__plugin_shim_shim__shim_force_checkpoint");
  expect(rig.shown(id).length).toBeGreaterThan(0);
  for (const text of rig.shown(id))
    expect(text).toMatch(/^SHIM cannot save: .*Events are lost until it can\. Run `\S+ \S+shim\.mjs doctor`\.$/);
});
