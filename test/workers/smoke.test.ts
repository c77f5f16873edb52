import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import type { Env } from "../../src/durable/env.ts";

it("smoke", async () => {
  const stub = (env as unknown as Env).COORDINATOR.getByName("a");
  expect(JSON.parse(await stub.call({ id: "x", hash: "y" }, "chats.list", {}))).toMatchObject({ ok: false });
  await runInDurableObject(stub, (_instance, state) => {
    expect(state.storage.sql.exec("SELECT count(*) AS n FROM sqlite_schema").toArray()).toEqual([{ n: 0 }]);
  });
  expect(await runDurableObjectAlarm(stub)).toBe(false);
  await evictDurableObject(stub);
});
