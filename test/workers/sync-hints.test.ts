import { expect } from "vitest";
import { it, stopClock, wait, type Joined } from "./support.ts";

async function methods({ connection }: Joined): Promise<unknown[]> {
  return (await connection.told()).map(({ method }) => method);
}

it("a put is hinted to the chats of other machines, once for several, and its refusal is not", async ({
  workspace,
}) => {
  const { token } = await workspace.tokenOf("work", "m2");
  const [other, own] = [await workspace.join("c1"), await workspace.join("c2", { machine: "m2" })];
  const put = (session: string, keyId = "0123456789abcdef"): unknown => {
    const record = { kind: "session" as const, session, ageMs: 0, envelope: "AAAA", replaces: 0 };
    return workspace.call("sync.put", { device: "d2", keyId, records: [record] }, token);
  };
  await put("s1");
  expect(await methods(other)).toEqual(["sync.changed"]);
  await put("s7", "f".repeat(16));
  for (const session of ["s1", "s2", "s3"]) await put(session);
  expect(await methods(other)).toEqual([]);
  expect(await methods(own)).toEqual([]);
  const late = await workspace.join("c3");
  await put("s4");
  expect(await methods(late)).toEqual(["sync.changed"]);
});

it("the end of a chat whose session can be taken over is hinted when the session's lease is free", async ({
  workspace,
}) => {
  stopClock();
  const { token } = await workspace.tokenOf("work", "m2");
  const other = await workspace.join("c1");
  const ends = {
    attested: ({ self }: Joined) =>
      workspace.ask("chats.attest-death", { chat: self.chat, machine: "m2", process: "boot-1/1/100" }, token),
    silent: async ({ connection }: Joined) => {
      connection.close();
      await workspace.disconnected("silent");
      wait(20_000);
      await other.connection.ask("chats.heartbeat", { self: other.self });
      await workspace.ring();
      expect(await methods(other)).toEqual([]);
      wait(11_000);
      await workspace.ring();
    },
    left: ({ self }: Joined) => workspace.ask("chats.unregister", { self }, token),
  };
  const hinted: Record<string, unknown> = {};
  for (const [name, end] of Object.entries(ends)) {
    const joined = await workspace.join(name, { machine: "m2", session: name });
    const { self } = joined;
    await workspace.ask("leases.acquire", { self, resource: `session:${name}`, requestId: "q", isBound: true }, token);
    const record = { kind: "session" as const, session: name, ageMs: 0, envelope: "AAAA", replaces: 0 };
    await workspace.ask("sync.put", { device: "d2", keyId: "0123456789abcdef", records: [record] }, token);
    // The hint of the put has just come; that of an end does not wait for two seconds.
    await other.connection.told();
    await end(joined);
    hinted[name] = await methods(other);
  }
  expect(hinted).toEqual({ attested: ["sync.changed"], silent: ["sync.changed"], left: [] });
});
