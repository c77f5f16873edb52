import { rmSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import type { Step } from "#harness/claude/scripted-model.ts";
import {
  bash,
  briefs,
  call,
  ClaudeRig,
  endless,
  endlessTool,
  kill,
  mcpOf,
  received,
  shimTool,
} from "#harness/claude/claude-rig.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";

const request = "Make the parser accept empty input";
const fault = "The fault is in one.ts.";

/** A list of tasks, work on some files, a failure, then a tool that never ends. */
const work = (rig: ClaudeRig): Step[] => [
  {
    tools: ["write a test", "fix the parser", "tell the team"].map((subject) => {
      return { name: "TaskCreate", input: { subject, description: "of the parser" } };
    }),
  },
  {
    tools: ["completed", "in_progress"].map((status, index) => ({
      name: "TaskUpdate",
      input: { taskId: String(index + 1), status },
    })),
  },
  call("Read", { file_path: rig.path("one.ts") }),
  call("Edit", { file_path: rig.path("one.ts"), old_string: "{}", new_string: "{ parse }" }),
  call("Write", { file_path: rig.path("new.ts"), content: "export {};\n" }),
  call("Write", { file_path: rig.path("kept.ts"), content: "export {};\n" }),
  { ...bash("echo no such test >&2; exit 3"), text: fault },
  endless,
];

it("gives the next chat a checked brief when the client was killed in the middle of a tool", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print(request, { steps: work(rig) });
  const mcp = await mcpOf(first.claude.pid);
  await endlessTool(first.claude);
  await rig.written(fault);
  await kill(first);
  await rig.gone(mcp.pid);
  const [dead] = rig.sessions();
  expect(dead).toMatchObject({
    endedAt: null,
    detachReason: "client_gone",
    recovery: null,
    toolCalls: 10,
    toolErrors: 1,
  });
  // The MCP process saw its client die, and saved the state and the files before it went.
  expect(rig.stored(dead!.id).checkpoints.at(-1)).toMatchObject({ trigger: "detached" });
  expect(rig.stored(dead!.id).snapshots.at(-1)).toMatchObject({ state: "done", branch: "main" });
  writeFileSync(rig.path("one.ts"), "changed by hand\n");
  rmSync(rig.path("new.ts"));

  const second = await rig.printed("go on", {
    steps: [shimTool("shim_check_recovery", { take: true }), { text: "I go on." }],
  });
  const [brief, ...others] = briefs(second.model);
  expect(others).toEqual([]);
  for (const line of [
    `<shim-recovered-session-${dead!.id.slice(0, 8)}>`,
    `project: ${rig.project}`,
    "why it died: killed (The client went away in the middle of a tool call without reporting an end.)",
    "10 tool calls, 1 failed",
    "in mid-turn, running Bash exec sleep 600 (begun ",
    "no result was seen; it may still run, or have finished)\n",
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
  expect(rig.session(dead!.id)).toMatchObject({ recovery: "recovered", recoveryBy: successor!.id });
  expect(rig.stored(dead!.id).recoveries.map(({ action }) => action)).toEqual(["offered", "taken", "recovered"]);
  expect(rig.stored(dead!.id).crashes).toMatchObject([{ cause: "killed" }]);

  expect(await rig.nextBriefs()).toEqual([]);
});

it("the client works on undisturbed when the host was killed, in the terminal too @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.terminal({
    steps: [{ text: "One." }, bash("echo two"), shimTool("shim_session_status"), { text: "Two." }, endless],
  });
  const claudePid = await first.claude.claudePid();
  await first.claude.send("do the first thing");
  const { id } = await rig.begun();
  await rig.turns(id, 1);
  const host = await untilFound(() => hostsOf(rig.paths.home)[0], "the host");
  process.kill(host.pid, "SIGKILL");
  await first.claude.send("do the second thing");
  await rig.turns(id, 2);
  expect(rig.kinds(id).filter((kind) => kind === "tool_end")).toHaveLength(2);
  expect(received(first.model, -1)).toContain(`"session":"${id}"`);
  expect(rig.shown(id)).toEqual([]);
  expect(hostsOf(rig.paths.home).map(({ pid }) => pid)).not.toContain(host.pid);
  process.kill(claudePid, "SIGKILL");
  await first.claude.waitForExit();
});

it("the death of the front is reported with the next prompt, and what tools did and which turns ended is read from the transcript @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.terminal({
    steps: [
      { text: "One." },
      bash("echo two"),
      { text: "Two." },
      { text: "Three." },
      { text: "Four.", hold: "fourth" },
    ],
  });
  const claudePid = await first.claude.claudePid();
  const mcp = await mcpOf(claudePid);
  await first.claude.send("do the first thing");
  const { id } = await rig.begun();
  const answered = (text: string) =>
    rig.until(
      id,
      (_, { journal }) => journal.some(({ entry }) => entry.kind === "assistant" && entry.text === text),
      `the answer "${text}"`,
    );
  await answered("One.");
  killEvery([mcp]);
  await rig.gone(mcp.pid);
  await first.claude.send("do the second thing");
  await first.claude.shows("Two.");
  await first.claude.send("do the third thing");
  await answered("Two.");
  await first.claude.shows("Three.");
  expect(rig.shown(id).filter((text) => text.includes("MCP process has died"))).toHaveLength(1);
  expect(rig.kinds(id).filter((kind) => kind === "tool_end")).toHaveLength(1);
  await first.claude.send("do the fourth thing");
  await untilFound(() => received(first.model, -1).includes("do the fourth thing"), "the fourth request");
  await first.model.held("fourth");
  process.kill(claudePid, "SIGKILL");
  await first.claude.waitForExit();

  expect(rig.kinds(id).filter((kind) => kind === "turn_end")).toHaveLength(3);
  const [brief] = await rig.nextBriefs();
  for (const text of ["do the fourth thing", "do the second thing", " ago: Three."]) expect(brief).toContain(text);
});

it("continues in the same session with the MCP process that the client starts in place of a killed one @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print(request, {
    steps: [
      shimTool("shim_force_checkpoint", { goal: "One" }),
      { ...shimTool("shim_force_checkpoint", { nextStep: "Two" }), hold: "second" },
      endless,
    ],
  });
  await first.model.held("second");
  const mcp = await mcpOf(first.claude.pid);
  process.kill(mcp.pid, "SIGKILL");
  await rig.gone(mcp.pid);
  first.model.release("second");
  await endlessTool(first.claude);
  expect((await mcpOf(first.claude.pid)).pid).not.toBe(mcp.pid);
  await kill(first);
  expect(rig.sessions()).toHaveLength(1);
  expect((await rig.nextBriefs())[0]).toMatch(/- goal \(.*\): One\n[^]*- next step \(.*\): Two\n/);
});

it("finds the last words in the transcript where both were killed before a hook could read them @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print(request, { steps: [{ ...endless, text: "I begin." }] });
  const mcp = await mcpOf(first.claude.pid);
  await endlessTool(first.claude);
  await rig.written('"text":"I begin."');
  // Else it may start another one before it is killed itself.
  first.claude.kill("SIGSTOP");
  killEvery([mcp, ...hostsOf(rig.paths.home)]);
  await kill(first);
  const [brief] = await rig.nextBriefs();
  expect(brief).toContain(` ago: ${request}\n`);
  expect(brief).toMatch(/the chat's last words:\n- .* ago: I begin\.\n/);
  expect(brief).toContain("last checkpoint: none; all of this comes from the journal");
});

it("the brief quotes the first prompt through a chain of deaths @night", async () => {
  const rig = new ClaudeRig();
  const chat = async (prompt: string, ...steps: Step[]): Promise<string> => {
    return briefs((await rig.killed(prompt, { steps })).model).join("\n");
  };
  expect(await chat(request)).toBe("");
  // Dies before its first checkpoint, and the one after it just after that.
  expect(await chat("go on")).toContain(` ago: ${request}\n`);
  expect(await chat("go on, please", bash("echo begun"))).toContain(` ago: ${request}\n`);
  const [brief] = await rig.nextBriefs();
  expect(brief).toMatch(new RegExp(`oldest first:\\n- .* ago: ${request}\\n[^]* ago: .*go on, please\\n`));
});
