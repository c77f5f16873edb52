import type { PhoneGranted } from "../../contract/phone-frames.ts";
import {
  checkNumber,
  claimOf,
  newPhoneKeys,
  openGrant,
  sealIntroduction,
  type PairingLink,
} from "../../pairing/pairing.ts";
import { fromBase64url, importSecret, randomText } from "../../pairing/sealing.ts";
import { refused, toAnswer, type Answer } from "../backend.ts";
import type { BegunPairing, StoredPhone } from "./stored-phone.ts";

const askEveryMs = 500;

/** Ordered: a browser names those that it resembles, too. */
const browsers: readonly (readonly [mark: RegExp, name: string])[] = [
  [/Edg(?:A|iOS)?\//, "Edge"],
  [/SamsungBrowser\//, "Samsung Internet"],
  [/Firefox\/|FxiOS\//, "Firefox"],
  [/Chrome\/|CriOS\//, "Chrome"],
  [/Safari\//, "Safari"],
];

const systems = ["iPhone", "iPad", "Android", "Macintosh", "Windows", "Linux"];

/**
 * A name by which the user knows the phone in a list.
 *
 * @param model as the browser says it beside its user agent
 */
export function phoneName(userAgent: string, model = ""): string {
  const [, android = ""] = /Android [^;)]{0,40}; ([^;)]+)/.exec(userAgent) ?? [];
  const system = systems.find((one) => userAgent.includes(one)) ?? "a device";
  // Chrome calls each model "K", Firefox says what kind of device it is.
  const device = [model, android].map((one) => one.trim()).find((one) => !/^(?:.?|Mobile|Tablet)$/.test(one)) ?? system;
  const browser = browsers.find(([mark]) => mark.test(userAgent))?.[1];
  return [device.slice(0, 40), browser ?? "a browser"].join(", ");
}

/** `post` sends a body to a path of the coordinator; `now` is in epoch ms. */
export interface PairingDeps {
  readonly post: (path: string, body: object) => Promise<Answer<unknown>>;
  readonly wait: (ms: number) => Promise<void>;
  readonly now: () => number;
}

export const pairingDeps: PairingDeps = {
  async post(path, body) {
    const headers = { "content-type": "application/json" };
    try {
      return await toAnswer(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
    } catch {
      return refused("unreachable", "The coordinator was not reached. Is this phone offline?");
    }
  },
  wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  now: () => Date.now(),
};

/** @param browser by which a machine knows this one again */
export async function beginPairing(link: PairingLink, name: string, browser: string): Promise<BegunPairing> {
  return { link, keys: await newPhoneKeys(), claimant: randomText(16), name, browser };
}

/** The number that the terminal must show. */
export function numberOf({ link, keys }: BegunPairing): Promise<string> {
  return checkNumber(link, keys.publicKey);
}

/** A repeat changes nothing. */
export async function introduce(pairing: BegunPairing, { post }: PairingDeps): Promise<Answer<unknown>> {
  const { link, keys, claimant, name, browser } = pairing;
  const introduction = await sealIntroduction(link, { publicKey: keys.publicKey, browser, name });
  const claim = await claimOf(link.secret);
  return post(`/v1/phones/${link.id}/introduction`, { claim, claimant, introduction });
}

/** After these the link is of no more use. */
const isFinal: ReadonlySet<string> = new Set(["unknown_phone", "phone_claimed", "bad_input"]);

/** Waits until the user of the machine has agreed. @param end when the page is left */
export async function awaitGrant(
  { link, keys, claimant }: BegunPairing,
  { post, wait, now }: PairingDeps,
  end: AbortSignal,
): Promise<Answer<StoredPhone>> {
  const claim = await claimOf(link.secret);
  while (!end.aborted) {
    const asked = await post(`/v1/phones/${link.id}/grant`, { claim, claimant });
    if (!asked.ok && isFinal.has(asked.error.code)) return asked;
    const { grant = null } = asked.ok ? (asked.value as Partial<PhoneGranted>) : {};
    if (grant !== null) {
      const granted = await openGrant(link, keys, grant);
      if (granted === null) return refused("forbidden", "This answer is not from your machine.");
      const { key, ...rest } = granted;
      const stored = await importSecret(fromBase64url(key));
      return { ok: true, value: { ...rest, id: link.id, key: stored, heardAt: now() } };
    }
    await wait(askEveryMs);
  }
  return refused("unreachable", "The page was left.");
}

/** In the user's words. */
export function pairingTrouble({ code, message }: { readonly code: string; readonly message: string }): string {
  if (code === "unknown_phone")
    return "This link is over: it has expired, was withdrawn, or has paired a phone already.";
  if (code === "phone_claimed")
    return "Another phone or browser has opened this link first. If that was not you, answer “n” in the terminal.";
  return message;
}
