import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { bash, ClaudeRig, endless, endlessTool, kill } from "#harness/claude/claude-rig.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";

/** A webhook on this machine, which keeps what it gets. */
async function aReceiver(): Promise<{ url: string; bodies: unknown[] }> {
  const bodies: unknown[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      bodies.push(JSON.parse(body));
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, bodies };
}

it("kill -9 of the only chat: its user is notified, and no other chat is needed for that @night", async () => {
  const rig = new ClaudeRig();
  const receiver = await aReceiver();
  mkdirSync(rig.paths.home, { recursive: true });
  writeFileSync(join(rig.paths.home, "config.json"), JSON.stringify({ notify: { webhook: receiver.url } }));
  const chat = await rig.print("fix the parser", { steps: [bash("echo begun"), endless] });
  await endlessTool(chat.claude);
  const store = new Store({ path: rig.paths.database, driver: openNodeSqlite, now: Date.now });
  onTestFinished(() => store.close());
  // What was so before a channel is first in use is not sent.
  const isInUse = (): boolean => store.read((sql) => sql.all("SELECT 1 FROM sent_notifications").length > 0, false);
  await untilFound(isInUse, "the first look of its MCP process");
  await kill(chat);
  await untilFound(() => receiver.bodies.length > 0, "the notification");
  expect(receiver.bodies).toMatchObject([
    {
      event: "chat_died",
      session: rig.sessions()[0]?.id,
      title: "fix the parser",
      text: '"fix the parser" died (killed)',
    },
  ]);
  expect(rig.sessions()).toHaveLength(1);
});
