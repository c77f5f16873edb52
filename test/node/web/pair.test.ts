import { expect, it } from "vitest";
import type { Granted } from "#src/contract/phone-frames.ts";
import { checkNumber, newPairingSecret, openIntroduction, sealGrant, type PairingLink } from "#src/pairing/pairing.ts";
import { randomText } from "#src/pairing/sealing.ts";
import { refused, type Answer } from "#src/web/backend.ts";
import { awaitGrant, beginPairing, introduce, numberOf, pairingTrouble, phoneName } from "#src/web/phone/pair.ts";

const link: PairingLink = { id: "i".repeat(44), secret: newPairingSecret() };
const granted: Granted = {
  key: randomText(32),
  access: randomText(32),
  machine: "ada-laptop",
  scope: "answer",
  endsAt: 1,
  pushKey: null,
};

/** A coordinator that gives these answers, one after the other. */
function answering(...answers: readonly Answer<unknown>[]): {
  post: (path: string, body: object) => Promise<Answer<unknown>>;
  wait: () => Promise<void>;
  asked: [path: string, body: Record<string, string>][];
} {
  const left = [...answers];
  const asked: [string, Record<string, string>][] = [];
  return {
    asked,
    post: async (path, body) => {
      asked.push([path, body as Record<string, string>]);
      return left.shift() ?? refused("internal", "no answer is left");
    },
    wait: async () => undefined,
  };
}

it("a phone introduces itself sealed, shows the number of the terminal, and waits for the grant through failures", async () => {
  const pairing = await beginPairing(link, "Pixel 9, Chrome");
  const deps = answering(
    { ok: true, value: null },
    { ok: true, value: { grant: null } },
    refused("unreachable", "offline"),
    refused("throttled", "slow down"),
    { ok: true, value: { grant: await sealGrant(link, pairing.keys.publicKey, granted) } },
  );
  await introduce(pairing, deps);
  const [path, body] = deps.asked[0] ?? ["", {}];
  expect(path).toBe(`/v1/phones/${link.id}/introduction`);
  const introduction = await openIntroduction(link, body["introduction"] ?? "");
  expect(introduction?.name).toBe("Pixel 9, Chrome");
  expect(await numberOf(pairing)).toBe(await checkNumber(link, introduction?.publicKey ?? ""));
  const { key, ...rest } = granted;
  const answer = await awaitGrant(pairing, deps, new AbortController().signal);
  expect(answer).toMatchObject({ ok: true, value: { ...rest, id: link.id } });
  expect(answer.ok && answer.value.key.extractable).toBe(false);
  expect(JSON.stringify([answer, deps.asked])).not.toContain(key);
  expect(JSON.stringify(deps.asked)).not.toContain(link.secret);
  expect(new Set(deps.asked.slice(1).map(([to]) => to))).toEqual(new Set([`/v1/phones/${link.id}/grant`]));
});

it("a link that is over, one that another phone has opened, and a grant of another machine end the wait, in words", async () => {
  const pairing = await beginPairing(link, "phone");
  const forged = await sealGrant({ ...link, secret: newPairingSecret() }, pairing.keys.publicKey, granted);
  const ends = [
    [refused("unknown_phone", "over"), "expired"],
    [refused("phone_claimed", "claimed"), "Another phone"],
    [{ ok: true, value: { grant: forged } }, "not from your machine"],
  ] as const;
  for (const [answer, words] of ends) {
    const found = await awaitGrant(pairing, answering(answer), new AbortController().signal);
    expect([words, found.ok ? "" : pairingTrouble(found.error)]).toEqual([words, expect.stringContaining(words)]);
  }
});

it("a phone names itself by its model and its browser", () => {
  const webkit = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
  const chrome = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36";
  const android = (model: string): string => `Mozilla/5.0 (Linux; Android 16; ${model}) ${chrome}`;
  expect([
    phoneName(`Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) ${webkit} Version/18.0 Mobile/1 Safari/604.1`),
    phoneName(`Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) ${webkit} CriOS/150.0 Mobile/1 Safari/604.1`),
    phoneName(android("K"), "Pixel 9"),
    phoneName(android("K")),
    phoneName(`${android("SM-S931B")} EdgA/150.0.0.0`),
    phoneName("Mozilla/5.0 (Android 16; Mobile; rv:150.0) Gecko/150.0 Firefox/150.0"),
    phoneName(""),
  ]).toEqual([
    "iPhone, Safari",
    "iPhone, Chrome",
    "Pixel 9, Chrome",
    "Android, Chrome",
    "SM-S931B, Edge",
    "Android, Firefox",
    "a device, a browser",
  ]);
});
