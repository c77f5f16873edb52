import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { received } from "#harness/claude/claude-rig.ts";
import { type ClientRun, ClientRig, Deployment, fail, firstRequest } from "#harness/clients/chat-rig.ts";
import { kill, longTool, offered, shellWork, undoesTheTurn, written } from "#harness/clients/chat-rig.ts";
import { gemini, opencode, otherClients } from "#harness/clients/real-clients.ts";
import type { ModelRequest, Step, ToolCall } from "#harness/claude/scripted-model.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import { adapterOf } from "#src/clients/adapters.ts";
import { isRequest } from "#src/machine/sessions/work-state.ts";

const clients = otherClients.map((client) => [client.name, client] as const);

/** Of a client that SHIM has given one. */
const undoCommands: Readonly<Record<string, string>> = {
  qwen: "/shim:undo",
  opencode: "--command=shim:undo",
  gemini: "/shim undo",
};

it.each(clients)(
  "%s: a first chat is recorded with its words, calls and files, its turn is taken back from outside and by its slash command, and its end asks nothing of the next",
  async (name, client) => {
    const rig = new ClientRig(client);
    const file = rig.path("new.ts");
    await rig.run(request, [
      { text: "I look at the parser first.", tools: [client.shell("echo one")] },
      { tools: [client.write(file, "export {};\n")] },
      { tools: [client.read(rig.path("one.ts"))] },
      { tools: [client.edit(rig.path("one.ts"), "export {};", written.trimEnd())] },
      { tools: [client.shell(shellWork)] },
      { text: "The parser accepts it now." },
    ]);
    const { id, ...session } = await rig.begun();
    // Gemini CLI names its version nowhere.
    const clientVersion = client === gemini ? null : adapterOf(name)?.verifiedWith;
    const own = { client: name, clientVersion, project: rig.project, title: request };
    expect(session).toMatchObject({ ...own, toolCalls: 5, toolErrors: 0 });
    const entries = rig.stored(id).journal.map(({ entry }) => entry);
    const kinds = entries.map(({ kind }) => kind);
    // Copilot CLI runs both hooks at once, and its model beside them.
    const openings = name === "copilot" ? kinds.filter((kind) => /^(start|prompt)$/.test(kind)) : kinds.slice(0, 2);
    expect(openings.toSorted()).toEqual(["prompt", "start"]);
    for (const entry of [
      { kind: "tool_end", name: "Bash", input: "echo one" },
      { kind: "tool_end", name: "Write", path: file, action: "created" },
      { kind: "assistant", text: "I look at the parser first." },
      { kind: "assistant", text: "The parser accepts it now." },
    ])
      expect(entries).toContainEqual(expect.objectContaining(entry));
    expect(entries.filter(({ kind }) => kind === "turn_end")).toHaveLength(1);
    undoesTheTurn(rig);
    const undo = undoCommands[name];
    if (undo !== undefined) await undoesBySlashCommand(rig, undo, id);
    expect(rig.states()).toEqual(["ended"]);
    expect(offered(await rig.run("hello", hello))).toEqual([]);
  },
);

/** The model runs the command that the text of the slash command names for the time after the user's yes. */
async function undoesBySlashCommand(rig: ClientRig, command: string, id: string): Promise<void> {
  let requests = 0;
  const undoing = ({ messages }: ModelRequest): Step => {
    const text = messages.map((one) => one.text).join("\n");
    const [, named] = /Only after a yes: `([^`]+ undo [^`]*--yes --json)`/.exec(text) ?? [];
    if (++requests > 1) return { text: "It is as before." };
    return { tools: [rig.client.shell(named ?? fail(`no command in ${text.slice(-3_000)}`))] };
  };
  await rig.run(command, undoing, id);
  expect([readFileSync(rig.path("one.ts"), "utf8"), existsSync(rig.path("new.ts"))]).toEqual(["export {};\n", false]);
  const prompts = rig.stored(id).journal.flatMap(({ entry }) => (entry.kind === "prompt" ? [entry.text] : []));
  expect(prompts).toContain("/shim:undo");
  expect(prompts.filter(isRequest)).toEqual([request]);
}

const request = "Make the parser accept empty input";
const hello = [{ text: "Hello." }];
const running = `running Bash exec ${longTool} (begun `;

/** The first request has the brief of that session, which died in the middle of a tool. */
function expectBrief(run: ClientRun, rig: ClientRig, id: string, prompt: string): void {
  const next = firstRequest(run);
  // Two of the clients escape its brackets.
  const name = `shim-recovered-session-${id.slice(0, 8)}`;
  for (const text of [name, `client: ${adapterOf(rig.client.name)?.title}`, ` ago: ${prompt}`, running])
    expect(next).toContain(text);
}

it.each(clients)(
  "%s: after a kill -9 the next chat has the brief and is refused a done deployment until the user asks for it; killed and resumed it is the same session, and learns what its death left open",
  async (name, client) => {
    const rig = new ClientRig(client);
    const deployment = new Deployment(rig);
    const deploy = { tools: [client.shell(deployment.command)] };
    await kill(await rig.atTool(request, [{ text: "I look.", tools: [client.shell("echo one")] }, deploy]));
    const { id: dead } = await rig.begun();
    await rig.endsStored();
    expect(rig.session(dead)).toMatchObject({ client: name, ending: { how: "died" }, toolCalls: 2 });
    expect(deployment.runs).toBe(1);

    const next = await rig.run("continue", [deploy, deploy, { text: "It is done already." }]);
    expectBrief(next, rig, dead, request);
    expect(deployment.runs).toBe(1);
    expect(received(next.model, -1)).toContain("SHIM: done already");
    const id = rig.sessions().at(-1)?.id ?? fail("no session");
    await kill(await rig.atTool("yes, deploy it again", [deploy], id));
    expect(deployment.runs).toBe(2);

    expect(firstRequest(await rig.run("go on", [{ text: "I go on." }], id))).toContain(running);
    expect(rig.sessions().map((session) => session.id)).toEqual([dead, id]);
    const entries = rig.stored(id).journal.map(({ entry }) => entry);
    const sources = entries.flatMap((entry) => (entry.kind === "start" ? [entry.source] : []));
    expect(sources).toEqual(["startup", "resume", "resume"]);
    const prompts = entries.flatMap((entry) => (entry.kind === "prompt" ? [entry.text] : []));
    expect(prompts).toEqual(["continue", "yes, deploy it again", "go on"]);
  },
);

async function killBoth(rig: ClientRig, run: ClientRun): Promise<void> {
  const { pid } = await rig.mcp();
  process.kill(pid, "SIGKILL");
  await kill(run);
}

/** How a chat dies in the middle of a tool; by day the one whose kills are the most. */
const deaths: Readonly<Record<string, (rig: ClientRig, run: ClientRun) => Promise<void>>> = {
  "the client and its MCP process": killBoth,
  async "both, with the loss of the transcript"(rig, run) {
    await killBoth(rig, run);
    rig.loseConversations();
  },
};

const table = otherClients.flatMap((client) =>
  Object.entries(deaths).map(([what, die], at) => [client.name, what, at === 0 ? " @night" : "", client, die] as const),
);

it.each(table)("%s: kill -9 of %s gives the next chat the brief%s", async (_name, _what, _night, client, die) => {
  const rig = new ClientRig(client);
  await die(rig, await rig.atTool(request, [{ text: "I look.", tools: [client.shell("echo one")] }]));
  const { id } = await rig.begun();
  await rig.endsStored();
  expect(rig.session(id)).toMatchObject({ client: client.name, ending: { how: "died" }, toolCalls: 1 });
  expectBrief(await rig.run("hello", hello), rig, id, request);
});

/** A command that ends when there is such a file. */
const until = (file: string): ToolCall => opencode.shell(`until [ -e ${file} ]; do sleep 0.1; done`);

const isHook = ({ command }: { readonly command: readonly string[] }): boolean =>
  command.some((word) => word.endsWith("hook.cjs"));

it("OpenCode sends its events to the host; where that is killed, the next one has every event, once", async () => {
  const rig = new ClientRig(opencode);
  const run = await rig.start("Make the parser accept empty input", [
    { tools: [opencode.shell("echo one")] },
    { tools: [until("first")] },
    { tools: [until("second")] },
    { text: "The parser accepts it now." },
  ]);
  const waiting = (file: string): Promise<unknown> => {
    const isThere = () => rig.processes().some(({ command }) => command.join(" ").includes(`until [ -e ${file} ]`));
    return untilFound(isThere, `the wait for ${file}: ${JSON.stringify(run.process.output)}`);
  };
  await waiting("first");
  expect(rig.processes().filter(isHook)).toEqual([]);
  const hosts = hostsOf(rig.paths.home);
  expect(hosts).toHaveLength(1);
  killEvery(hosts);
  writeFileSync(join(rig.project, "first"), "");
  await waiting("second");
  writeFileSync(join(rig.project, "second"), "");
  expect(await run.process.waitForExit()).toMatchObject({ code: 0 });
  const [session] = rig.sessions();
  expect(session).toMatchObject({ toolCalls: 3, toolErrors: 0 });
  expect(rig.kinds(session!.id).join(" ")).toBe(`start prompt ${"tool_start tool_end ".repeat(3)}assistant turn_end`);
});
