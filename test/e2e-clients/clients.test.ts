import { join } from "node:path";
import { expect, it } from "vitest";
import { adapterOf } from "#src/clients/adapters.ts";
import { ClientRig, firstRequest } from "#harness/clients/client-rig.ts";
import { copilot, gemini, opencode, qwen } from "#harness/clients/real-clients.ts";

const clients = [qwen, copilot, opencode, gemini].map((client) => [client.name, client] as const);
const request = "Make the parser accept empty input";

it.each(clients)("[CA1] [CA16] %s: a first chat is recorded with its words, calls and files", async (name, client) => {
  const rig = new ClientRig(client);
  const file = join(rig.project, "new.ts");
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
  expect(entries.map(({ kind }) => kind).slice(0, 2)).toEqual(["start", "prompt"]);
  expect(entries).toContainEqual(expect.objectContaining({ kind: "tool_end", name: "Bash", input: "echo one" }));
  expect(entries).toContainEqual(
    expect.objectContaining({ kind: "tool_end", name: "Write", path: file, action: "created" }),
  );
  for (const text of ["I look at the parser first.", "The parser accepts it now."])
    expect(entries).toContainEqual(expect.objectContaining({ kind: "assistant", text }));
  expect(entries.filter(({ kind }) => kind === "turn_end")).toHaveLength(1);
});

it.each(clients)("[RE1] [CA8] %s: the next chat gets the brief of one that was killed", async (name, client) => {
  const rig = new ClientRig(client);
  const dead = await rig.killed(request, [{ text: "I look.", tools: [client.shell("echo one")] }]);
  expect(dead).toMatchObject({ client: name, endedAt: null });
  const next = firstRequest(await rig.run("hello", [{ text: "Hello." }]));
  for (const text of [
    `(${dead.id}) died`,
    `client: ${adapterOf(name)?.title}`,
    `goal: ${request}`,
    "was running when it died: Bash exec sleep 600 (the command may still be running, or have finished)",
  ])
    expect(next).toContain(text);
});

it.each(clients)("[ID3] %s: a session that was killed is resumed by the client itself", async (_name, client) => {
  const rig = new ClientRig(client);
  // Copilot CLI knows no session that was killed in its first call.
  const dead = await rig.killed(request, [{ text: "I look.", tools: [client.shell("echo one")] }]);
  await rig.run("go on", [{ text: "I go on." }], dead.id);
  expect(rig.sessions().map(({ id }) => id)).toEqual([dead.id]);
  const kinds = rig.stored(dead.id).journal.map(({ entry }) => entry);
  expect(kinds.filter(({ kind }) => kind === "start")).toMatchObject([{ source: "startup" }, { source: "resume" }]);
  expect(kinds.filter(({ kind }) => kind === "prompt")).toMatchObject([{ text: request }, { text: "go on" }]);
});
