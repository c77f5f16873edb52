import { expect, it } from "vitest";
import { adapterOf } from "#src/clients/adapters.ts";
import { ClientRig, firstRequest, type ClientRun } from "#harness/clients/client-rig.ts";
import { longTool } from "#harness/clients/chat-rig.ts";
import { otherClients } from "#harness/clients/real-clients.ts";

const request = "Make the parser accept empty input";
const hello = [{ text: "Hello." }];
const running = `running Bash exec ${longTool} (begun `;

/** How a chat dies in the middle of a tool. */
const deaths: Readonly<Record<string, (rig: ClientRig, run: ClientRun) => Promise<void>>> = {
  "the client": (rig, run) => rig.kill(run),
  "the client and its MCP process": killBoth,
  async "both, with the loss of the transcript"(rig, run) {
    await killBoth(rig, run);
    rig.loseConversations();
  },
};

async function killBoth(rig: ClientRig, run: ClientRun): Promise<void> {
  const { pid } = await rig.mcp();
  process.kill(pid, "SIGKILL");
  await rig.kill(run);
}

const table = otherClients.flatMap((client) =>
  Object.entries(deaths).map(([what, die]) => [client.name, what, client, die] as const),
);

it.each(table)("%s: kill -9 of %s gives the next chat the brief @night", async (name, _what, client, die) => {
  const rig = new ClientRig(client);
  await die(rig, await rig.atTool(request, [{ text: "I look.", tools: [client.shell("echo one")] }]));
  const [dead] = rig.sessions();
  expect(dead).toMatchObject({ client: name, endedAt: null, toolCalls: 1 });
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

it.each(otherClients.map((client) => [client.name, client] as const))(
  "%s: a killed chat that the client resumes is the same session, and learns what its death left open @night",
  async (_name, client) => {
    const rig = new ClientRig(client);
    // Copilot CLI knows no session that was killed in its first call.
    const first = await rig.atTool(request, [{ text: "I look.", tools: [client.shell("echo one")] }]);
    await rig.kill(first);
    const [{ id } = { id: "none" }] = rig.sessions();
    const resumed = await rig.run("go on", [{ text: "I go on." }], id);
    expect(firstRequest(resumed)).toContain(running);
    expect(rig.sessions().map((session) => session.id)).toEqual([id]);
    const entries = rig.stored(id).journal.map(({ entry }) => entry);
    expect(entries.filter(({ kind }) => kind === "start")).toMatchObject([{ source: "startup" }, { source: "resume" }]);
    expect(entries.filter(({ kind }) => kind === "prompt")).toMatchObject([{ text: request }, { text: "go on" }]);
  },
);
