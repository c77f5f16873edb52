import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect, vi } from "vitest";
import { HandoverBox } from "#src/durable/handover-box.ts";
import { hashOf } from "#src/pairing/sealing.ts";
import { app } from "#src/worker/app.ts";
import type { Env } from "#src/worker/env.ts";
import { connected, Pairing } from "./pairing.ts";
import { bearer, bindings, it, origin, refusalOf, request, send, type TestWorkspace, wait } from "./support.ts";

const claim = "c".repeat(43);
const shown = { claim, claimant: "a".repeat(22), by: "ada" };

/** A whole hand-over at the coordinator. @returns its id */
async function give(workspace: TestWorkspace, token = workspace.token, subject = "s1"): Promise<string> {
  const facts = { claimHash: await hashOf(claim), parts: 1, chars: 10, forMs: 3_600_000, subject };
  const { id } = await workspace.ask("boxes.create", { kind: "handover", ...facts }, token);
  const path = `/v1/workspaces/${workspace.name}/handovers/${id}/parts/0`;
  expect((await send(path, "PUT", { envelope: "sealedpart" }, token)).status).toBe(200);
  return id;
}

const claimed = (id: string): Promise<Response> => send(`/v1/handovers/${id}/claim`, "POST", shown);
const stateOf = async (id: string): Promise<[number, string | undefined]> => refusalOf(claimed(id));

/** Makes an object of each binding for a workspace, and returns its name. */
const makers: Readonly<Record<string, (workspace: TestWorkspace) => Promise<string>>> = {
  COORDINATOR: async (workspace) => (await workspace.register("c1")) && workspace.name,
  RESTORE_MARKS: async ({ name }) => {
    const mark = { id: "r1", to: 0, reason: "a test", quietMs: 0, by: "m1" };
    await bindings.RESTORE_MARKS?.getByName(name).write(mark, [{ table: "tokens", rows: [{}] }]);
    return name;
  },
  HANDOVERS: (workspace) => give(workspace),
  PHONES: async (workspace) => (await Pairing.paired(workspace)).link.id,
};

function isNamespace(value: unknown): value is DurableObjectNamespace {
  return typeof value === "object" && value !== null && "idFromName" in value;
}

it("every object that the Worker reaches belongs to a workspace, and nothing of it outlives that", async ({
  workspace,
}) => {
  const namespaces = Object.entries(bindings).filter(([name, value]) => !name.startsWith("__") && isNamespace(value));
  expect(namespaces.map(([name]) => name).toSorted()).toEqual(Object.keys(makers).toSorted());
  const objects = new Map<string, () => DurableObjectStub>();
  for (const [name, namespace] of namespaces as [string, DurableObjectNamespace][]) {
    const made = (await makers[name]?.(workspace)) ?? "";
    objects.set(name, () => namespace.getByName(made));
  }
  const stored = async (): Promise<Record<string, boolean>> => {
    const states: Record<string, boolean> = {};
    for (const [name, object] of objects)
      states[name] = await runInDurableObject(object(), async (_object, { storage }) => {
        const tables = storage.sql.exec("SELECT 1 FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'");
        return [...tables, ...storage.kv.list()].length > 0 || (await storage.getAlarm()) !== null;
      });
    return states;
  };
  const all = (isStored: boolean) => Object.fromEntries([...objects.keys()].map((name) => [name, isStored]));
  expect(await stored()).toEqual(all(true));
  await workspace.ask("workspace.delete", { name: workspace.name });
  expect(await stored()).toEqual(all(false));
});

it("a revoked token takes its hand-overs and phones along, open sockets too, and leaves those of others", async ({
  workspace,
}) => {
  const { id, token } = await workspace.tokenOf("work");
  const [given, kept] = [await give(workspace, token), await give(workspace)];
  const pairing = await Pairing.paired(workspace, token);
  const [machine, phone] = [await connected(pairing.openMachine()), await connected(pairing.openPhone())];
  await workspace.ask("tokens.revoke", { id });
  for (const socket of [machine, phone]) expect(await socket.closed).toMatchObject({ code: 4001 });
  expect(await stateOf(given)).toEqual([404, "unknown_handover"]);
  expect(await refusalOf(pairing.openPhone())).toEqual([404, "unknown_phone"]);
  expect((await claimed(kept)).status).toBe(200);
  expect((await workspace.ask("boxes.list", {})).boxes).toMatchObject([{ id: kept, kind: "handover", subject: "s1" }]);
});

it("a deleted workspace takes them along, and is whole where one of them does not end", async ({ workspace }) => {
  const given = await give(workspace);
  const pairing = await Pairing.paired(workspace);
  const phone = await connected(pairing.openPhone());
  vi.spyOn(HandoverBox.prototype, "clear").mockRejectedValueOnce(new Error("it is overloaded"));
  expect(await workspace.refusal("workspace.delete", { name: workspace.name })).toBe("internal");
  expect(await workspace.ask("health", {})).toMatchObject({ boxes: { count: 1 } });
  await workspace.ask("workspace.delete", { name: workspace.name });
  expect(await phone.closed).toMatchObject({ code: 4001 });
  expect(await stateOf(given)).toEqual([404, "unknown_handover"]);
});

it("a box ends with its token's time, and a phone's own time is within it", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("work", "m1", 60_000);
  const given = await give(workspace, token);
  const pairing = await Pairing.paired(workspace, token);
  const phone = await connected(pairing.openPhone());
  wait(60_000);
  expect(await stateOf(given)).toEqual([404, "unknown_handover"]);
  await workspace.ring();
  expect(await phone.closed).toMatchObject({ code: 4001 });
  expect((await workspace.ask("boxes.list", {})).boxes).toEqual([]);
});

it("an object that does not answer when its box ends is cleared by a later alarm", async ({ workspace }) => {
  const given = await give(workspace);
  vi.spyOn(HandoverBox.prototype, "clear").mockRejectedValueOnce(new Error("it is overloaded"));
  expect(await workspace.ask("boxes.end", { subject: "s1" })).toEqual({ ended: 1 });
  const own = `/v1/workspaces/${workspace.name}/handovers/${given}`;
  expect(await refusalOf(request(own, { headers: bearer(workspace.token) }))).toEqual([404, "unknown_handover"]);
  wait(60_000);
  await workspace.ring();
  expect(await stateOf(given)).toEqual([404, "unknown_handover"]);
  expect(await workspace.ask("health", {})).toMatchObject({ boxes: { count: 0, chars: 0 } });
});

it("a newer hand-over of a session replaces the machine's older one; a machine ends its own, an admin any", async ({
  workspace,
}) => {
  const [one, other] = [await workspace.tokenOf("work", "m1"), await workspace.tokenOf("work", "m2")];
  const first = await give(workspace, one.token);
  const [newer, another, elsewhere] = [
    await give(workspace, one.token),
    await give(workspace, one.token, "s2"),
    await give(workspace, other.token),
  ];
  expect(await stateOf(first)).toEqual([404, "unknown_handover"]);
  const listed = (await workspace.ask("boxes.list", {})).boxes.map(({ id }) => id);
  expect(listed.toSorted()).toEqual([newer, another, elsewhere].toSorted());
  expect(await workspace.ask("boxes.end", { id: newer }, other.token)).toEqual({ ended: 0 });
  expect(await workspace.ask("boxes.end", { kind: "handover", subject: "s2" }, one.token)).toEqual({ ended: 1 });
  expect(await workspace.ask("boxes.end", { id: elsewhere })).toEqual({ ended: 1 });
  expect(await workspace.ask("boxes.end", {}, one.token)).toEqual({ ended: 1 });
  expect(await workspace.refusal("boxes.list", {}, one.token)).toBe("forbidden");
  for (const id of [newer, another, elsewhere]) expect(await stateOf(id)).toEqual([404, "unknown_handover"]);
});

it("boxes are bounded for a token and a workspace, in number and characters, and count as storage", async ({
  workspace,
}) => {
  const { token } = await workspace.tokenOf("work");
  const facts = { kind: "handover", claimHash: "0".repeat(64), forMs: 60_000 } as const;
  const refusal = (chars: number, by = token) => workspace.refusal("boxes.create", { ...facts, chars }, by);
  const before = (await workspace.ask("health", {})).storage?.bytes ?? 0;
  const settings = { maxBoxesPerToken: 2, maxBoxCharsPerToken: 200_000, maxBoxes: 3, maxBoxChars: 300_000 };
  await workspace.ask("settings.set", { settings });
  expect(await refusal(200_001)).toBe("quota_exceeded");
  expect([await refusal(150_000), await refusal(60_000), await refusal(50_000), await refusal(0)]).toEqual([
    null,
    "quota_exceeded",
    null,
    "quota_exceeded",
  ]);
  const admin = workspace.token;
  expect([await refusal(100_001, admin), await refusal(100_000, admin), await refusal(0, admin)]).toEqual([
    "quota_exceeded",
    null,
    "quota_exceeded",
  ]);
  const { boxes, storage } = await workspace.ask("health", {});
  expect(boxes).toEqual({ count: 3, chars: 300_000 });
  expect((storage?.bytes ?? 0) - before).toBeGreaterThanOrEqual(300_000);
  const { samples } = await workspace.ask("metrics", {});
  expect(samples.filter(({ name }) => name.startsWith("shim_box")).map(({ value }) => value)).toEqual([3, 300_000]);
  wait(60_000);
  await workspace.ring();
  expect(await refusal(100_000)).toBeNull();
});

it("links outlast a rotation of the signing secret; a name that no present secret signed counts as a guess", async ({
  workspace,
}) => {
  const given = await give(workspace);
  const pairing = await Pairing.paired(workspace);
  let failures = 0;
  const limit = (): Promise<{ success: boolean }> => Promise.resolve({ success: ++failures <= 2 });
  const env: Env = {
    ...bindings,
    SHIM_SIGNING_SECRET: "the-next-secret-that-signs-all-tokens",
    AUTH_FAILURE_LIMITER: { limit },
  };
  const address = { "cf-connecting-ip": "203.0.113.7" };
  const asked = async (path: string, init: RequestInit): Promise<number> =>
    (await app.request(`${origin}${path}`, { headers: address, ...init }, env)).status;
  const body = JSON.stringify(shown);
  expect(await asked(`/v1/handovers/${given}/claim`, { method: "POST", body })).toBe(200);
  const own = { headers: { ...address, ...bearer(pairing.granted.access) } };
  expect(await asked(pairing.path, own)).toBe(200);
  expect(await asked(`/v1/handovers/${"x".repeat(44)}/claim`, { method: "POST", body })).toBe(429);
});

it("a box's own alarm ends it, whatever becomes of the workspace's", async ({ workspace }) => {
  const given = await give(workspace);
  const box = bindings.HANDOVERS.getByName(given);
  wait(3_600_000);
  await runDurableObjectAlarm(box);
  expect(await runInDurableObject(box, (_box, { storage }) => [...storage.kv.list()])).toEqual([]);
});
