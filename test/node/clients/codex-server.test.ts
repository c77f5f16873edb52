import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import type { Duplex } from "node:stream";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { detailsOf } from "#src/clients/details.ts";
import { parseObject, type JsonObject } from "#src/shared/json-fields.ts";

/** A server at the socket of a Codex home. @returns what SHIM did there, and the act in a chat of it */
async function aCodexServer(folder: string, reply: (request: JsonObject, raw: Duplex) => JsonObject | null) {
  const home = join(temporaryFolder(), folder);
  const path = join(home, "app-server-control", "app-server-control.sock");
  mkdirSync(dirname(path), { recursive: true });
  const asked: JsonObject[] = [];
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, { socket: raw }) =>
    socket.on("message", (data: Buffer) => {
      const request = parseObject(data.toString()) ?? {};
      asked.push(request);
      const result = reply(request, raw);
      if (result !== null) socket.send(JSON.stringify({ id: request["id"], result }));
    }),
  );
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => void server.close());
  const act = detailsOf("codex")?.actAtServer;
  const transcript = join(home, "sessions", "2026", "11", "30", "rollout.jsonl");
  return { asked, prompt: (text: string) => act?.("thread", transcript, { prompt: text }) };
}

it("words reach Codex's own server whatever its home is called", async () => {
  const { asked, prompt } = await aCodexServer("Größe 50% #1?", () => ({}));
  expect(await prompt("and the docs")).toBe(true);
  expect(asked.at(-1)).toMatchObject({ method: "turn/start", params: { input: [{ text: "and the docs" }] } });
});

it("a server of Codex that breaks its frames or ends the connection has not taken the words, and nothing else fails", async () => {
  for (const [bytes, isEnd] of [
    [Buffer.from([0xff, 0xff, 0xff, 0xff]), false],
    [Buffer.alloc(0), true],
  ] as const) {
    const { prompt } = await aCodexServer("home", ({ method }, raw) => {
      if (method === "initialize") return {};
      if (method === "turn/start") void (isEnd ? raw.end() : raw.write(bytes));
      return null;
    });
    expect(await prompt("and the docs")).toBe(false);
  }
});
