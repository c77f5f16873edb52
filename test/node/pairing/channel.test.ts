import { expect, it } from "vitest";
import { PhoneChannel, type SealedFrame } from "#src/pairing/channel.ts";
import { checkNumber } from "#src/pairing/pairing.ts";
import { fromBase64url, randomText } from "#src/pairing/sealing.ts";

const key = fromBase64url(randomText(32));
const times = { at: 0, now: () => 0 };

async function aSession(): Promise<{ phone: PhoneChannel; machine: PhoneChannel }> {
  const [session, answer] = [randomText(16), randomText(16)];
  const phone = await PhoneChannel.open("phone", key, session, answer, times);
  return { phone, machine: await PhoneChannel.open("machine", key, session, answer, times) };
}

it("frames open at the other end, in their order, whatever their sizes", async () => {
  const { phone, machine } = await aSession();
  const contents = [{ text: "x".repeat(200_000) }, { text: "é\u0000🎈" }, null, []];
  const frames = await Promise.all(contents.map((content) => phone.seal(content)));
  expect(await Promise.all(frames.map((frame) => machine.open(frame)))).toEqual(contents);
  expect(JSON.stringify(frames)).not.toContain("x".repeat(20));
});

it("a relay that lies: a repeated, reordered, changed, cut, reflected or renumbered frame is not accepted", async () => {
  const { phone, machine } = await aSession();
  const [first, second] = [await phone.seal("deny"), await phone.seal("allow")];
  expect(await machine.open(second)).toBe("allow");
  const last = second.sealed.at(-1) === "A" ? "B" : "A";
  const lies: readonly (readonly [what: string, frame: SealedFrame])[] = [
    ["repeated", second],
    ["late", first],
    ["renumbered", { ...first, n: 3 }],
    ["changed", { ...(await phone.seal("x")), sealed: `${second.sealed.slice(0, -1)}${last}` }],
    ["cut", { ...second, n: 4, sealed: second.sealed.slice(0, 20) }],
    ["empty", { ...second, n: 5, sealed: "AA" }],
    ["no base64url", { ...second, n: 6, sealed: "%%%" }],
    ["of another session", { ...(await phone.seal("x")), session: randomText(16) }],
    ["reflected", await machine.seal("allow")],
  ];
  for (const [what, frame] of lies) expect([what, await machine.open(frame)]).toEqual([what, undefined]);
  expect(await machine.open(await phone.seal("still"))).toBe("still");
});

it("a frame of an earlier session, of another phone, or with another answer of the machine, is not accepted", async () => {
  const { phone, machine } = await aSession();
  const old = await phone.seal("allow");
  const next = await aSession();
  expect(await next.machine.open({ ...old, session: next.machine.session })).toBeUndefined();
  expect(await next.machine.open(old)).toBeUndefined();
  const other = await PhoneChannel.open("phone", fromBase64url(randomText(32)), machine.session, randomText(16), times);
  expect(await machine.open(await other.seal("allow"))).toBeUndefined();
  // A relay that opens the same session again cannot have both ends take its own answer.
  const again = await PhoneChannel.open("machine", key, machine.session, randomText(16), times);
  expect(await again.open(old)).toBeUndefined();
});

it("a time of the session that the relay has changed opens no frame, nor does one of another time", async () => {
  const [session, answer] = [randomText(16), randomText(16)];
  let now = 1_000;
  const machine = await PhoneChannel.open("machine", key, session, answer, { at: now, now: () => now });
  const lied = await PhoneChannel.open("phone", key, session, answer, { at: 999, now: () => now });
  expect(await machine.open(await lied.seal("allow"))).toBeUndefined();
  const phone = await PhoneChannel.open("phone", key, session, answer, { at: 1_000, now: () => now / 2 });
  now += 8_000;
  // The phone's clock is half as fast: it is four seconds behind.
  expect(await machine.open(await phone.seal("in time"))).toBe("in time");
  now += 10_000;
  expect(await machine.open(await phone.seal("late"))).toBeUndefined();
});

it("the number that a phone and a terminal show is the same in each version, and has all its digits", async () => {
  expect(await checkNumber({ id: "id", secret: "secret" }, "9")).toBe("075 887");
});

it("a small frame that unpacks to very much is not accepted, and the next one is", async () => {
  const { phone, machine } = await aSession();
  const bomb = await phone.seal("x".repeat(17_000_000));
  expect(bomb.sealed.length).toBeLessThan(100_000);
  expect(await machine.open(bomb)).toBeUndefined();
  expect(await machine.open(await phone.seal("next"))).toBe("next");
});
