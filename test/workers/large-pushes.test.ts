import { expect } from "vitest";
import { defaultMaxBodyBytes } from "#src/contract/protocol.ts";
import { maxEnvelopeChars } from "#src/contract/sync.ts";
import { bearer, it, request } from "./support.ts";

const most = 4 * defaultMaxBodyBytes;

it("[WO3] a sync push may have four mebibytes, and its largest envelope is readable", async ({ workspace }) => {
  const { connection } = await workspace.join("c1");
  const { epoch } = await workspace.ask("sync.begin", { device: "d1", keyId: "0123456789abcdef" });
  const envelope = "x".repeat(maxEnvelopeChars);
  const ops = ["k1", "k2"].map((checkpoint, at) => {
    return { seq: at + 1, hash: "0".repeat(64), kind: "checkpoint", session: "s1", checkpoint, ageMs: 0, envelope };
  });
  const body = JSON.stringify({ device: "d1", epoch, ops });
  const path = `/v1/workspaces/${workspace.name}/sync/push`;
  const push = (text: string): Promise<Response> =>
    request(path, { method: "POST", headers: bearer(workspace.token), body: text });
  expect((await push(body.padEnd(most + 1))).status).toBe(413);
  expect((await push(body.replace(envelope, `${envelope}x`))).status).toBe(400);
  expect((await workspace.ask("sync.status", {})).checkpoints).toBe(0);
  expect((await push(body.padEnd(most))).status).toBe(200);
  expect((await connection.ask("sync.checkpoint", { checkpoint: "k2" })).envelope).toBe(envelope);
  expect((await workspace.ask("sync.status", {})).chars).toBe(2 * maxEnvelopeChars);
});
