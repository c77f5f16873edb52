import { expect, it } from "vitest";
import { adapterOf } from "#src/clients/adapters.ts";
import { ClientRig, firstRequest, offered } from "#harness/clients/client-rig.ts";
import { longTool } from "#harness/clients/chat-rig.ts";
import { gemini, otherClients } from "#harness/clients/real-clients.ts";

const clients = otherClients.map((client) => [client.name, client] as const);
const request = "Make the parser accept empty input";
const hello = [{ text: "Hello." }];

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
    expect(session).toMatchObject({
      client: name,
      // Gemini CLI names its version nowhere.
      clientVersion: client === gemini ? null : adapterOf(name)?.verifiedWith,
      project: rig.project,
      title: request,
      toolCalls: 2,
      toolErrors: 0,
    });
    const entries = rig.stored(session!.id).journal.map(({ entry }) => entry);
    const kinds = entries.map(({ kind }) => kind);
    // Copilot CLI runs both hooks at once, and its model beside them.
    const openings = name === "copilot" ? kinds.filter((kind) => /^(start|prompt)$/.test(kind)) : kinds.slice(0, 2);
    expect(openings.toSorted()).toEqual(["prompt", "start"]);
    expect(entries).toContainEqual(expect.objectContaining({ kind: "tool_end", name: "Bash", input: "echo one" }));
    expect(entries).toContainEqual(
      expect.objectContaining({ kind: "tool_end", name: "Write", path: file, action: "created" }),
    );
    for (const text of ["I look at the parser first.", "The parser accepts it now."])
      expect(entries).toContainEqual(expect.objectContaining({ kind: "assistant", text }));
    expect(entries.filter(({ kind }) => kind === "turn_end")).toHaveLength(1);
    expect(rig.states()).toEqual(["ended"]);
    expect(offered(await rig.run("hello", hello))).toEqual([]);
  },
);

it.each(clients)(
  "%s: a killed MCP process disturbs no chat, and what it had acknowledged is in the brief @night",
  async (_name, client) => {
    const rig = new ClientRig(client);
    const shell = (command: string) => ({ tools: [client.shell(command)] });
    const run = await rig.start(request, [
      { tools: [client.ofShim("shim_force_checkpoint", { nextStep: "write the lexer" })] },
      { ...shell("echo one"), hold: "acknowledged" },
      shell("echo two"),
      rig.endless(),
    ]);
    await run.model.held("acknowledged");
    const { pid } = await rig.mcp();
    process.kill(pid, "SIGKILL");
    await rig.gone(pid);
    run.model.release("acknowledged");
    await rig.tool(run);
    expect(rig.states()).toEqual(["works"]);
    const [{ id } = { id: "none" }] = rig.sessions();
    const entries = rig.stored(id).journal.map(({ entry }) => entry);
    for (const input of ["echo one", "echo two"])
      expect(entries).toContainEqual(expect.objectContaining({ kind: "tool_end", name: "Bash", input }));
    await rig.kill(run);
    const next = await rig.run("hello", hello);
    expect(offered(next)).toEqual([id]);
    for (const text of ["write the lexer", `running Bash exec ${longTool}`]) expect(firstRequest(next)).toContain(text);
  },
);

it.each(clients)(
  "%s: two chats at once have a session each, with its own calls, and neither is offered the other @night",
  async (_name, client) => {
    const rig = new ClientRig(client);
    const first = await rig.atTool(request);
    const other = await rig.run("something else", [
      { text: "I look.", tools: [client.shell("echo two")] },
      { text: "Done." },
    ]);
    expect(offered(other)).toEqual([]);
    const [one, two, ...others] = rig.sessions();
    expect(others).toEqual([]);
    expect([one, two]).toMatchObject([
      { title: request, toolCalls: 0 },
      { title: "something else", toolCalls: 1 },
    ]);
    expect(rig.kinds(one!.id).toSorted()).toEqual(["prompt", "start", "tool_start"]);
    await rig.kill(first);
  },
);
