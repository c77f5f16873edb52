import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { expect } from "vitest";
import { PhoneChannel } from "#src/pairing/channel.ts";
import * as pairs from "#src/pairing/pairing.ts";
import { fromBase64url, randomText } from "#src/pairing/sealing.ts";
import { connected, Pairing } from "./pairing.ts";
import { bearer, bindings, it, refusalOf, request, send, TestWorkspace, wait } from "./support.ts";

const pairedTest = it.extend("pairing", ({ workspace }) => Pairing.paired(workspace));

it("a phone and its machine come to one key by the link; the coordinator cannot open it", async ({ workspace }) => {
  const pairing = await Pairing.begin(workspace);
  const keys = await pairs.newPhoneKeys();
  expect(await (await pairing.readGrant()).json()).toEqual({ grant: null });
  expect((await pairing.introduce(keys, "Ada's Pixel")).status).toBe(200);
  expect(await pairing.introduced()).toMatchObject({ publicKey: keys.publicKey, name: "Ada's Pixel" });
  expect((await pairing.grant(keys.publicKey)).status).toBe(200);
  const stored = await pairing.stored();
  const { grant } = await (await pairing.readGrant()).json<{ grant: string }>();
  expect(await pairs.openGrant(pairing.link, keys, grant)).toEqual(pairing.granted);
  const { link, granted } = pairing;
  for (const text of [link.secret, keys.publicKey, granted.key, granted.access, "Ada's Pixel", "ada-laptop"])
    expect(stored).not.toContain(text);
});

it("a coordinator that lies gets no key: nothing that it makes itself is accepted", async ({ workspace }) => {
  const pairing = await Pairing.begin(workspace);
  const [keys, own] = [await pairs.newPhoneKeys(), await pairs.newPhoneKeys()];
  // It knows the claim, but not the secret.
  const { link, granted } = pairing;
  const guessed = { ...link, secret: pairs.newPairingSecret() };
  await pairing.introduce(own, "Ada's Pixel", guessed);
  expect(await pairing.introduced()).toBeNull();
  const wrongSecret = await pairs.sealGrant(guessed, keys.publicKey, granted);
  const wrongKey = await pairs.sealGrant(link, own.publicKey, granted);
  for (const grant of [wrongSecret, wrongKey, "A".repeat(200)])
    expect(await pairs.openGrant(link, keys, grant)).toBeNull();
});

it("the first phone has the link; another one, an invented id, and other claims are refused", async ({ workspace }) => {
  const pairing = await Pairing.begin(workspace, 60_000);
  const keys = await pairs.newPhoneKeys();
  await pairing.introduce(keys, "first");
  await pairing.introduce(keys, "again");
  expect(await pairing.introduced()).toMatchObject({ name: "first" });
  const other = await pairing.introduce(keys, "second", pairing.link, "d".repeat(22));
  expect(await refusalOf(other)).toEqual([409, "phone_claimed"]);
  expect(await refusalOf(pairing.readGrant("d".repeat(22)))).toEqual([409, "phone_claimed"]);
  const body = { claim: "x".repeat(43), claimant: "c".repeat(22) };
  const changed = `${pairing.link.id.slice(0, -1)}${pairing.link.id.endsWith("A") ? "B" : "A"}`;
  for (const id of [pairing.link.id, changed, "x".repeat(44)])
    expect(await refusalOf(send(`/v1/phones/${id}/grant`, "POST", body))).toEqual([404, "unknown_phone"]);
  const box = bindings.PHONES.getByName(pairing.link.id);
  // Too early, by another clock.
  await runDurableObjectAlarm(box);
  wait(60_000);
  expect(await refusalOf(pairing.readGrant())).toEqual([404, "unknown_phone"]);
  expect(await pairing.stored()).not.toBe("[]");
  await runDurableObjectAlarm(box);
  expect(await pairing.stored()).toBe("[]");
});

pairedTest(
  "only the machine that made it grants, watches and ends it, of all workspaces",
  async ({ workspace, pairing }) => {
    const { token: other } = await workspace.tokenOf("work", "m2");
    const { token: observer } = await workspace.tokenOf("observe", "m3");
    expect(await refusalOf(request(pairing.own, { headers: bearer(other) }))).toEqual([404, "unknown_phone"]);
    expect(await refusalOf(request(pairing.own, { headers: bearer(observer) }))).toEqual([403, "forbidden"]);
    expect(await refusalOf(pairing.openMachine(other))).toEqual([404, "unknown_phone"]);
    expect(await workspace.ask("boxes.end", { id: pairing.link.id }, other)).toEqual({ ended: 0 });
    const elsewhere = await TestWorkspace.create();
    expect(await refusalOf(request(pairing.own, { headers: bearer(elsewhere.token) }))).toEqual([403, "forbidden"]);
    const path = `/v1/workspaces/${elsewhere.name}/phones/${pairing.link.id}`;
    expect(await refusalOf(request(path, { headers: bearer(elsewhere.token) }))).toEqual([404, "unknown_phone"]);
    // The phone's own secret opens the relay, and no workspace.
    const { access } = pairing.granted;
    expect(await refusalOf(request(pairing.own, { headers: bearer(access) }))).toEqual([401, "unauthenticated"]);
  },
);

pairedTest("sealed frames pass both ways and none is stored, also through a hibernation", async ({ pairing }) => {
  const phone = await connected(pairing.openPhone());
  expect(await phone.text()).toBe('{"isThere":false}');
  const machine = await connected(pairing.openMachine());
  expect(await machine.text()).toBe('{"pages":1}');
  expect(await phone.text()).toBe('{"isThere":true}');
  const [session, answer] = [randomText(16), randomText(16)];
  const key = fromBase64url(pairing.granted.key);
  const open = (end: "phone" | "machine") => PhoneChannel.open(end, key, session, answer, { at: 0, now: () => 0 });
  const ends = [await open("phone"), await open("machine")];
  phone.send(await ends[0]?.seal({ call: "page.fleet" }));
  expect(await ends[1]?.open(JSON.parse(await machine.text()))).toEqual({ call: "page.fleet" });
  await evictDurableObject(bindings.PHONES.getByName(pairing.link.id), { webSockets: "hibernate" });
  const sealed = await ends[1]?.seal({ fleet: ["Write the parser"] });
  machine.send(sealed);
  expect(await ends[0]?.open(JSON.parse(await phone.text()))).toEqual({ fleet: ["Write the parser"] });
  expect(await pairing.stored()).not.toContain(sealed?.sealed.slice(0, 20));
  machine.close();
  expect(await phone.text()).toBe('{"isThere":false}');
});

pairedTest(
  "a phone is connected by its access secret, from its own page, until the end",
  async ({ workspace, pairing }) => {
    expect(await refusalOf(pairing.openPhone(randomText(32)))).toEqual([404, "unknown_phone"]);
    const evil = pairing.openPhone(pairing.granted.access, "https://evil.example");
    expect(await refusalOf(evil)).toEqual([403, "forbidden"]);
    const phone = await connected(pairing.openPhone());
    // The link is of no more use.
    expect(await refusalOf(pairing.readGrant())).toEqual([404, "unknown_phone"]);
    const check = (): Promise<Response> => request(pairing.path, { headers: bearer(pairing.granted.access) });
    expect((await check()).status).toBe(200);
    expect(await workspace.ask("boxes.end", { id: pairing.link.id })).toEqual({ ended: 1 });
    expect(await refusalOf(check())).toEqual([404, "unknown_phone"]);
    expect(await phone.closed).toMatchObject({ code: 4001 });
    expect(await refusalOf(pairing.openPhone())).toEqual([404, "unknown_phone"]);
    expect(await pairing.stored()).toBe("[]");
  },
);

pairedTest("a machine has one connection, the newest, and a phone at most eight pages", async ({ pairing }) => {
  const machine = await connected(pairing.openMachine());
  const newest = await connected(pairing.openMachine());
  expect(await machine.closed).toMatchObject({ code: 1000 });
  for (let pages = 0; pages < 8; pages++) await connected(pairing.openPhone());
  expect(await refusalOf(pairing.openPhone())).toEqual([429, "throttled"]);
  for (let pages = 0; pages <= 8; pages++) expect(await newest.text()).toBe(`{"pages":${pages}}`);
});

pairedTest("a phone whose time is over is cut off, also when the alarm is late", async ({ pairing }) => {
  const [phone, late] = [await connected(pairing.openPhone()), await connected(pairing.openPhone())];
  wait(3_600_000);
  late.send("x");
  expect(await late.closed).toMatchObject({ code: 4001 });
  await runDurableObjectAlarm(bindings.PHONES.getByName(pairing.link.id));
  expect(await phone.closed).toMatchObject({ code: 4001 });
  expect(await refusalOf(pairing.openPhone())).toEqual([404, "unknown_phone"]);
});

pairedTest("frames without limit end their connection, and the other end gets no more of them", async ({ pairing }) => {
  const machine = await connected(pairing.openMachine());
  const phone = await connected(pairing.openPhone());
  for (let count = 0; count < 1_400; count += 1) phone.send("x");
  expect(await phone.closed).toMatchObject({ code: 4006 });
  for (const pages of [0, 1]) expect(await machine.text()).toBe(`{"pages":${pages}}`);
  let relayed = 0;
  for (let frame = await machine.text(); frame !== '{"pages":0}'; frame = await machine.text())
    if (frame === "x") relayed += 1;
  expect(relayed).toBeGreaterThan(1_100);
  expect(relayed).toBeLessThanOrEqual(1_200);
});

pairedTest("an end beyond its bound is refused until it has room again, whatever it sent", async ({ pairing }) => {
  await connected(pairing.openMachine());
  for (const frame of ["x".repeat(10_000_000), "x".repeat(3_000_000)]) {
    const phone = await connected(pairing.openPhone());
    phone.send(frame);
    expect(await phone.closed).toMatchObject({ code: 4003 });
    expect(await refusalOf(pairing.openPhone())).toEqual([429, "throttled"]);
    wait(15_000);
  }
  await connected(pairing.openPhone());
});
