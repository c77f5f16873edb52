import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { untilFound } from "#harness/claude/claude-code.ts";
import { type ClientRun, kill, longTool, ClientRig, firstRequest, offered } from "#harness/clients/chat-rig.ts";
import { gemini, opencode, otherClients } from "#harness/clients/real-clients.ts";
import type { ToolCall } from "#harness/claude/scripted-model.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import { adapterOf } from "#src/clients/adapters.ts";

const clients = otherClients.map((client) => [client.name, client] as const);

it.each(clients)(
  "%s: a first chat is recorded with its words, calls and files, and its end asks nothing of the next",
  async (name, client) => {
    const rig = new ClientRig(client);
    const file = rig.path("new.ts");
    await rig.run(request, [
      { text: "I look at the parser first.", tools: [client.shell("echo one")] },
      { tools: [client.write(file, "export {};\n")] },
      { text: "The parser accepts it now." },
    ]);
    const [session, ...others] = rig.sessions();
    expect(others).toEqual([]);
    // Gemini CLI names its version nowhere.
    const clientVersion = client === gemini ? null : adapterOf(name)?.verifiedWith;
    const own = { client: name, clientVersion, project: rig.project, title: request };
    expect(session).toMatchObject({ ...own, toolCalls: 2, toolErrors: 0 });
    const entries = rig.stored(session!.id).journal.map(({ entry }) => entry);
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
    expect(rig.states()).toEqual(["ended"]);
    expect(offered(await rig.run("hello", hello))).toEqual([]);
  },
);

const request = "Make the parser accept empty input";
const hello = [{ text: "Hello." }];
const running = `running Bash exec ${longTool} (begun `;

/** How a chat dies in the middle of a tool. */
const deaths: Readonly<Record<string, (rig: ClientRig, run: ClientRun) => Promise<void>>> = {
  "the client": (rig, run) => kill(run),
  "the client and its MCP process": killBoth,
  async "both, with the loss of the transcript"(rig, run) {
    await killBoth(rig, run);
    rig.loseConversations();
  },
};

async function killBoth(rig: ClientRig, run: ClientRun): Promise<void> {
  const { pid } = await rig.mcp();
  process.kill(pid, "SIGKILL");
  await kill(run);
}

/** By day without the one whose processes the third kills as well. */
const table = otherClients.flatMap((client) =>
  Object.entries(deaths).map(([what, die], at) => [client.name, what, at === 1 ? " @night" : "", client, die] as const),
);

it.each(table)("%s: kill -9 of %s gives the next chat the brief%s", async (name, _what, _night, client, die) => {
  const rig = new ClientRig(client);
  await die(rig, await rig.atTool(request, [{ text: "I look.", tools: [client.shell("echo one")] }]));
  const [dead] = rig.sessions();
  expect(dead).toMatchObject({ client: name, toolCalls: 1 });
  const next = firstRequest(await rig.run("hello", hello));
  for (const text of [
    // Two of the clients escape its brackets.
    `shim-recovered-session-${dead!.id.slice(0, 8)}`,
    `client: ${adapterOf(name)?.title}`,
    ` ago: ${request}`,
    running,
  ])
    expect(next).toContain(text);
});

it.each(clients)(
  "%s: a killed chat that the client resumes is the same session, and learns what its death left open",
  async (_name, client) => {
    const rig = new ClientRig(client);
    // Copilot CLI knows no session that was killed in its first call.
    await kill(await rig.atTool(request, [{ text: "I look.", tools: [client.shell("echo one")] }]));
    const [{ id } = { id: "none" }] = rig.sessions();
    expect(firstRequest(await rig.run("go on", [{ text: "I go on." }], id))).toContain(running);
    expect(rig.sessions().map((session) => session.id)).toEqual([id]);
    const entries = rig.stored(id).journal.map(({ entry }) => entry);
    expect(entries.filter(({ kind }) => kind === "start")).toMatchObject([{ source: "startup" }, { source: "resume" }]);
    expect(entries.filter(({ kind }) => kind === "prompt")).toMatchObject([{ text: request }, { text: "go on" }]);
  },
);

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
