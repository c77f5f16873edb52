import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { cleanEnv, untilFound } from "#harness/claude/claude-code.ts";
import { bash, briefs, call, received, WorkerProcess } from "#harness/claude/claude-rig.ts";
import type { ScriptedModel, Step } from "#harness/claude/scripted-model.ts";
import { aModel, ClientRig, endlessTool, firstRequest, kill, longTool, mcpOf } from "#harness/clients/chat-rig.ts";
import { shellWork, undoesTheTurn, written } from "#harness/clients/chat-rig.ts";
import { codex, codexFlags, codexWith, noModel } from "#harness/clients/real-clients.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { codexClient, programOf } from "../../scripts/install-clients.ts";

/** Codex offers `apply_patch` to models that it knows. */
const editing = codexWith("gpt-5.5");

const shell = (command: string): Step => ({ tools: [codex.shell(command)] });
const endlessShell = shell(`exec ${longTool}`);
const shimTool = (name: string, input = {}): Step => call(`mcp__shim__${name}`, input);

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

it("a run of Codex that is killed in the middle of a tool is named to the next run, which takes its checked brief, once", async () => {
  const rig = new ClientRig(codex);
  const first = await rig.start(prompt, work, null, editing);
  await endlessTool(first);
  const mcp = await mcpOf(first);
  await kill(first);
  await rig.gone(mcp.pid);
  const [dead] = rig.sessions();
  expect(dead).toMatchObject({ client: "codex", ending: { how: "died", reason: "client_gone" } });
  const take = shimTool("shim_check_recovery", { of: dead?.id, take: true });
  const second = await rig.run("go on", [take, { text: "I go on." }]);
  expect(firstRequest(second)).toContain(`session ${dead?.id} of this project died`);
  expect(briefs(second.model)).toEqual([]);
  const brief = received(second.model, -1);
  for (const line of [
    `<shim-recovered-session-${dead!.id.slice(0, 8)}>`,
    "why it died: killed",
    ` ago: ${prompt}`,
    `in mid-turn, running Bash exec ${longTool}`,
    " ago: The fault is in one.ts.",
    "echo no such test >&2; exit 3 FAILED: Exit code 3",
    "- one.ts (edited): unchanged since the checkpoint",
    "- new.ts (created): unchanged since the checkpoint",
  ])
    expect(brief).toContain(line);
  expect(await nextBriefs(rig)).toEqual([]);
});

it("after `shim init` a first chat of Codex is recorded, its MCP server knows it, and doctor finds no fault", async () => {
  const rig = new ClientRig(codex);
  const { model } = await rig.run("do a first thing", [
    shell("echo one"),
    shell("echo two; exit 3"),
    shimTool("shim_session_status"),
    { text: "Done." },
  ]);
  const [session] = rig.sessions();
  expect(session).toMatchObject({ client: "codex", toolCalls: 3, toolErrors: 1 });
  expect(sessionIn(model)).toBe(session!.id);
  const calls = "tool_start tool_end tool_start tool_error tool_start tool_end";
  expect(rig.kinds(session!.id).join(" ")).toBe(`start prompt ${calls} assistant turn_end detached`);
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

it("calls of a program of Codex, as the newest models write them, count once each, with their failures", async () => {
  const rig = new ClientRig(codex);
  const steps = [
    program('exec_command({ cmd: "echo two; exit 3" })'),
    program(`apply_patch(${JSON.stringify(patch)})`),
    program("mcp__shim__shim_session_status({})"),
    { text: "Done." },
  ];
  const { model } = await rig.run("do a first thing", steps, null, codexWith("gpt-6.1-sol"));
  const [session] = rig.sessions();
  expect(received(model, -1)).toContain(session!.id);
  expect(session).toMatchObject({ toolCalls: 4, toolErrors: 1 });
});

it("a resumed chat of Codex stays the same session, and is given what its death left open", async () => {
  const rig = new ClientRig(codex);
  const first = await rig.start(prompt, [endlessShell]);
  await endlessTool(first);
  const [{ id } = { id: "none" }] = rig.sessions();
  await untilFound(() => existsSync(rig.session(id).transcriptPath ?? ""), "the transcript");
  await kill(first);
  const resumed = await rig.run("go on", [shimTool("shim_session_status"), { text: "Done." }], id);
  expect(rig.sessions().map((session) => session.id)).toEqual([id]);
  expect(sessionIn(resumed.model)).toBe(id);
  expect(briefs(resumed.model).join()).toContain(`in mid-turn, running Bash exec ${longTool}`);
});

it("Codex: the edits and commands of a real turn are taken back, and that is taken back", async () => {
  const rig = new ClientRig(editing);
  const edit = `*** Begin Patch\n*** Update File: one.ts\n@@\n-export {};\n+${written.trimEnd()}\n*** End Patch`;
  const steps = [{ tools: [{ name: "apply_patch", input: { input: edit } }] }, shell(shellWork), { text: "Done." }];
  await rig.run("Rewrite the files", steps);
  undoesTheTurn(rig);
});

async function nextBriefs(rig: ClientRig): Promise<string[]> {
  return briefs((await rig.run("say hello again", [{ text: "Hello." }])).model);
}

const prompt = "Make the parser accept empty input";

function supervise(rig: ClientRig, claude: ScriptedModel, model: ScriptedModel): WorkerProcess {
  const other = { client: "codex", program: programOf(codexClient), args: codexFlags(model.url) };
  const rule = { folder: rig.project, order: [other], mostUsd: null, mostHours: 24 };
  rig.shim("config", "set", "atLimit", JSON.stringify([rule]));
  const own = { folder: rig.project, prompt, program: claudeBinary(), env: ["STANDIN_KEY"] };
  const fix = { kind: "claude", ...own, args: ["--allowedTools", "Bash,Write,mcp__shim"] };
  writeFileSync(join(rig.paths.home, "supervisor.json"), JSON.stringify({ watch: { fix } }));
  const shim = { SHIM_HOME: rig.paths.home, CLAUDE_CODE_MAX_RETRIES: "0" };
  const env = { ...cleanEnv({ home: rig.home, modelUrl: claude.url, env: shim }), ...rig.env(noModel) };
  return new WorkerProcess(spawn(process.execPath, [built.launcher, "worker", "supervise", "--json"], { env }));
}

/** Claude Code calls it a `billing_error`. */
const noCredit: Step = {
  error: { status: 400, type: "invalid_request_error", message: "Your credit balance is too low." },
};

const atLimit = expect.stringMatching(/^Claude Code has reached its usage limit/) as string;

it("Claude Code dies at its usage limit, Codex continues with files, goal and task, and Claude Code takes over again", async () => {
  const rig = new ClientRig(codex);
  rig.shim("task", "submit", "fix", "--payload", '{"text":"the parser"}');
  const claude = await aModel({
    steps: [
      call("mcp__shim__shim_next", { types: ["fix"] }),
      call("Write", { file_path: rig.path("parser.ts"), content: "export const parse = null;\n" }),
      { ...bash("echo tested"), text: "The fault is in one.ts." },
      noCredit,
      { text: "It accepts it now." },
    ],
  });
  const other = await aModel({
    steps: [
      // The dead chat's task is free once it is attested dead, which may come after the first call of the next one.
      shimTool("shim_next", { types: ["fix"], waitMs: 20_000 }),
      { ...shell("echo 'export {};' > lexer.ts"), text: "The lexer was missing." },
      endlessShell,
    ],
  });
  const supervisor = supervise(rig, claude, other);
  expect((await supervisor.until("started", 2))["how"]).toMatch(/^Codex, session/);
  const isAtTool = () => rig.processes().find(({ command }) => command.join(" ") === longTool);
  await untilFound(isAtTool, "the tool of Codex");
  const [first, second] = rig.sessions();
  const handed = received(other, 0);
  for (const text of [
    `<shim-recovered-session-${first!.id.slice(0, 8)}>`,
    ` ago: ${prompt}`,
    "why it died: usage_limit",
    "its task 1 (fix) was not finished",
    "- parser.ts (created): unchanged since the checkpoint",
    "The fault is in one.ts.",
  ])
    expect(handed).toContain(text);
  expect(received(other, 1).slice(handed.length)).toContain("Taken task 1 (fix");
  const program = rig.processes().find(({ command: [path] }) => path === programOf(codexClient));
  process.kill(program!.pid, "SIGKILL");
  const died = await supervisor.until("ended");
  expect(died).toMatchObject({ phase: "due", reason: atLimit, againInMs: expect.any(Number) });
  // The user does not wait for the reset.
  rig.shim("worker", "supervise", "retry", "fix");
  expect(await supervisor.until("ended", 2)).toMatchObject({ phase: "finished" });
  const back = received(claude, -1);
  for (const text of [
    `<shim-recovered-session-${second!.id.slice(0, 8)}>`,
    ` ago: ${prompt}`,
    "its task 1 (fix) was not finished",
    "- parser.ts",
    "- lexer.ts",
    "The lexer was missing.",
  ])
    expect(back).toContain(text);
  const [, , third] = rig.sessions();
  expect(rig.sessions()).toMatchObject([
    { client: "claude-code" },
    { client: "codex" },
    { client: "claude-code", ending: { how: "ended" } },
  ]);
  expect(rig.sessions().map(({ id }) => rig.stored(id).recoveries.at(-1))).toMatchObject([
    { action: "recovered", bySession: second!.id },
    { action: "recovered", bySession: third!.id },
    undefined,
  ]);
  supervisor.kill("SIGTERM");
  expect(await supervisor.ended).toBe(0);
});
