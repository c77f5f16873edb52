import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import type { HandoverStatus } from "#src/contract/handovers.ts";
import { hashOf, toBase64url } from "#src/pairing/sealing.ts";
import { app } from "#src/worker/app.ts";
import { bearer, bindings, it, origin, refusalOf, request, send, type TestWorkspace, wait } from "./support.ts";

const claim = "c".repeat(43);
const unknown = [404, "unknown_handover"];
const envelopes = ["first-part", "second-part"];

type Sent = Awaited<ReturnType<typeof sent>>;

/** @returns `own`: path for the machine that gives it; `path`: for the one that takes it */
async function sent(workspace: TestWorkspace, parts = envelopes) {
  const { token } = workspace;
  const base = `/v1/workspaces/${workspace.name}/handovers`;
  const { id } = await workspace.ask("boxes.create", await aHandover());
  for (const [part, envelope] of parts.entries())
    expect((await send(`${base}/${id}/parts/${part}`, "PUT", { envelope }, token)).status).toBe(200);
  return { id, own: `${base}/${id}`, token, path: `/v1/handovers/${id}` };
}

async function aHandover() {
  return { kind: "handover", claimHash: await hashOf(claim), parts: 2, chars: 21, forMs: 60_000 } as const;
}

function by(name: string, shown = claim): object {
  return { claim: shown, claimant: toBase64url(new TextEncoder().encode(name.padEnd(16, "."))), by: name };
}

async function statusOf({ own, token }: Sent): Promise<HandoverStatus> {
  return (await request(own, { headers: bearer(token) })).json();
}

it("once all parts are there the claim reads them, without a token; then none is left", async ({ workspace }) => {
  const one = await sent(workspace, envelopes.slice(0, 1));
  const put = (part: number, envelope: string) => send(`${one.own}/parts/${part}`, "PUT", { envelope }, one.token);
  expect(await refusalOf(send(`${one.path}/claim`, "POST", by("ada")))).toEqual([409, "handover_incomplete"]);
  expect(await refusalOf(put(2, "x"))).toEqual([400, "bad_input"]);
  // Ten characters of the 21 that it has reserved are there.
  expect(await refusalOf(put(1, "x".repeat(12)))).toEqual([413, "too_large"]);
  await put(1, "second-part");
  expect(await statusOf(one)).toMatchObject({ state: "open", by: null });
  expect(await (await send(`${one.path}/claim`, "POST", by("ada"))).json()).toEqual({ parts: 2 });
  expect(await statusOf(one)).toMatchObject({ state: "taking", by: "ada" });
  expect(await refusalOf(put(1, "x"))).toEqual([409, "handover_taken"]);
  for (const [part, envelope] of envelopes.entries())
    expect(await (await send(`${one.path}/parts/${part}`, "POST", by("ada"))).json()).toEqual({ envelope });
  for (let times = 0; times < 2; times += 1)
    expect((await send(`${one.path}/finish`, "POST", by("ada"))).status).toBe(200);
  expect(await refusalOf(send(`${one.path}/parts/0`, "POST", by("ada")))).toEqual([409, "handover_taken"]);
  expect(await statusOf(one)).toMatchObject({ state: "taken", by: "ada" });
  const box = bindings.HANDOVERS.getByName(one.id);
  const stored = await runInDurableObject(box, (_box, { storage }) => JSON.stringify([...storage.kv.list()]));
  for (const envelope of envelopes) expect(stored).not.toContain(envelope);
});

it("the first machine has it: it may begin again, and another is refused, to the end", async ({ workspace }) => {
  const one = await sent(workspace);
  await send(`${one.path}/claim`, "POST", by("ada"));
  expect((await send(`${one.path}/claim`, "POST", by("ada"))).status).toBe(200);
  for (const path of ["claim", "parts/0", "finish"])
    expect(await refusalOf(send(`${one.path}/${path}`, "POST", by("bob")))).toEqual([409, "handover_taken"]);
  await send(`${one.path}/finish`, "POST", by("ada"));
  expect(await refusalOf(send(`${one.path}/claim`, "POST", by("bob")))).toEqual([409, "handover_taken"]);
});

it("another or a late claim, an invented id, and a part before a claim are refused alike", async ({ workspace }) => {
  const one = await sent(workspace);
  const changed = `${one.id.slice(0, -1)}${one.id.endsWith("A") ? "B" : "A"}`;
  for (const [path, body] of [
    [`${one.path}/claim`, by("ada", "d".repeat(43))],
    [`/v1/handovers/${changed}/claim`, by("ada")],
    [`/v1/handovers/${"x".repeat(44)}/claim`, by("ada")],
    [`${one.path}/parts/0`, by("ada")],
    [`${one.path}/finish`, by("ada")],
  ] as const)
    expect([path, await refusalOf(send(path, "POST", body))]).toEqual([path, unknown]);
  expect(await statusOf(one)).toMatchObject({ state: "open" });
  // An address that guesses is limited, whatever it guesses.
  const env = { ...bindings, AUTH_FAILURE_LIMITER: { limit: () => Promise.resolve({ success: false }) } };
  const statuses: number[] = [];
  for (const shown of ["d".repeat(43), claim]) {
    const headers = { "cf-connecting-ip": "203.0.113.7" };
    const init = { method: "POST", headers, body: JSON.stringify(by("ada", shown)) };
    statuses.push((await app.request(`${origin}${one.path}/claim`, init, env)).status);
  }
  expect(statuses).toEqual([429, 200]);
  wait(60_000);
  expect(await refusalOf(send(`${one.path}/claim`, "POST", by("ada")))).toEqual(unknown);
});

it("only the token that made it, which may work, fills, watches and withdraws it", async ({ workspace }) => {
  const one = await sent(workspace);
  const { token: other } = await workspace.tokenOf("work", "m2");
  expect(await refusalOf(request(one.own, { headers: bearer(other) }))).toEqual(unknown);
  expect(await refusalOf(send(`${one.own}/parts/0`, "PUT", { envelope: "x" }, other))).toEqual(unknown);
  for (const scope of ["observe", "submit"] as const) {
    const { token } = await workspace.tokenOf(scope, "m3");
    expect(await workspace.refusal("boxes.create", await aHandover(), token)).toBe("forbidden");
    expect(await refusalOf(request(one.own, { headers: bearer(token) }))).toEqual([403, "forbidden"]);
  }
  expect(await workspace.ask("boxes.end", { id: one.id }, other)).toEqual({ ended: 0 });
  expect(await workspace.ask("boxes.end", { id: one.id })).toEqual({ ended: 1 });
  expect(await refusalOf(send(`${one.path}/claim`, "POST", by("ada")))).toEqual(unknown);
});
