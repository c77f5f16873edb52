import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { recordDeaths } from "#src/local-mcp/recovery/deaths.ts";
import { aProject, Claude } from "#harness/machine/claude.ts";
import { aReceiver, die, looksOf } from "#harness/machine/notified.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { insert } from "#harness/store/store-rows.ts";
import { aMessage, hear } from "#harness/team/team-rows.ts";

/** The first look of a version that sent deaths under other keys. */
function beganBefore(runtime: TempRuntime): void {
  const key = createHash("sha256").update("webhook:begun").digest("hex").slice(0, 32);
  runtime.store.write((sql) => insert(sql, "sent_notifications", { key, at: Number.MAX_SAFE_INTEGER }));
}

it("[CL146] after an update deaths of before are not sent again, and all else is", async () => {
  const receiver = await aReceiver();
  const runtime = tempRuntime({ config: { notify: { webhook: receiver.url } } });
  beganBefore(runtime);
  const living = new Claude(runtime, { cwd: aProject(), session: "living-chat", pid: 9_000 });
  living.turn("write the lexer");
  hear(runtime, living, aMessage("words of another"));
  runtime.wait(60_000);
  die(runtime, "old-chat");
  recordDeaths(runtime, () => true);
  const look = looksOf(runtime);
  await look();
  die(runtime, "new-chat");
  await look();
  expect(receiver.bodies.map(({ event, session }) => [event, session])).toEqual([
    ["message_waiting", "living-chat"],
    ["chat_died", "new-chat"],
  ]);
});
