import { expect, it } from "vitest";
import { PhoneChannel, type SealedFrame } from "#src/pairing/channel.ts";
import { checkNumber } from "#src/pairing/pairing.ts";
import { fromBase64url, randomText } from "#src/pairing/sealing.ts";

const key = fromBase64url(randomText(32));

async function aSession(): Promise<{ phone: PhoneChannel; machine: PhoneChannel }> {
  const [session, answer] = [randomText(16), randomText(16)];
  const phone = await PhoneChannel.open("phone", key, session, answer);
  return { phone, machine: await PhoneChannel.open("machine", key, session, answer) };
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
  const other = await PhoneChannel.open("phone", fromBase64url(randomText(32)), machine.session, randomText(16));
  expect(await machine.open(await other.seal("allow"))).toBeUndefined();
  // A relay that opens the same session again cannot have both ends take its own answer.
  const again = await PhoneChannel.open("machine", key, machine.session, randomText(16));
  expect(await again.open(old)).toBeUndefined();
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
