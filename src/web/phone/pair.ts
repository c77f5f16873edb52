import { PhoneGranted } from "../../contract/phone-frames.ts";
import {
  checkNumber,
  claimOf,
  newPhoneKeys,
  openGrant,
  sealIntroduction,
  type PairingLink,
} from "../../pairing/pairing.ts";
import { fromBase64url, importSecret, randomText } from "../../pairing/sealing.ts";
import { toAnswer, type Answer } from "../backend.ts";
import { forget, keep, read, type BegunPairing, type StoredPhone } from "./stored-phone.ts";

const askEveryMs = 500;

/** A name by which the user knows the phone in a list. */
export function phoneName(userAgent: string): string {
  const [, android] = /Android [^;)]*; ([^;)]+)/.exec(userAgent) ?? [];
  const [device] = /iPhone|iPad|Macintosh|Windows|Linux/.exec(userAgent) ?? ["A browser"];
  // Chrome on Android calls each model "K".
  const model = android === undefined ? device : android.trim().length > 1 ? android.trim() : "Android phone";
  const [, browser] = /(Firefox|Edg|SamsungBrowser|CriOS|Chrome|Safari)\//.exec(userAgent) ?? [];
  const names: Readonly<Record<string, string>> = { Edg: "Edge", CriOS: "Chrome", SamsungBrowser: "Samsung Internet" };
  return [model, names[browser ?? ""] ?? browser].filter(Boolean).join(", ").slice(0, 60);
}

/** Introduces this phone by a link, or continues with one that it has introduced itself by. */
export async function introduce(link: PairingLink, name: string): Promise<Answer<BegunPairing>> {
  const begun = await read("pairing");
  const isSame = begun?.link.id === link.id;
  const pairing = isSame ? begun : { link, keys: await newPhoneKeys(), claimant: randomText(16), name };
  await keep("pairing", pairing);
  const introduction = await sealIntroduction(link, { publicKey: pairing.keys.publicKey, name: pairing.name });
  const sent = await post(pairing, "introduction", { introduction });
  return sent.ok ? { ok: true, value: pairing } : sent;
}

/** The number that the terminal must show. */
export function numberOf({ link, keys }: BegunPairing): Promise<string> {
  return checkNumber(link, keys.publicKey);
}

/** Waits until the user of the machine has agreed. @param end when the page is left */
export async function awaitGrant(pairing: BegunPairing, end: AbortSignal): Promise<Answer<StoredPhone>> {
  for (;;) {
    const asked = await post(pairing, "grant", {});
    if (!asked.ok && asked.error.code !== "unreachable") {
      await forget("pairing");
      return asked;
    }
    const { grant = null } = asked.ok ? PhoneGranted.parse(asked.value) : {};
    if (grant !== null) return takeGrant(pairing, grant);
    await new Promise((resolve) => setTimeout(resolve, askEveryMs));
    if (end.aborted) return { ok: false, error: { code: "gave_up", message: "the page was left" } };
  }
}

async function takeGrant(pairing: BegunPairing, grant: string): Promise<Answer<StoredPhone>> {
  const { link, keys } = pairing;
  const granted = await openGrant(link, keys, grant);
  await forget("pairing");
  if (granted === null)
    return { ok: false, error: { code: "forbidden", message: "This answer is not from your machine: pair again." } };
  const { key, ...rest } = granted;
  const phone = { ...rest, id: link.id, key: await importSecret(fromBase64url(key)) };
  await keep("phone", phone);
  return { ok: true, value: phone };
}

async function post({ link, claimant }: BegunPairing, path: string, more: object): Promise<Answer<unknown>> {
  const body = JSON.stringify({ claim: await claimOf(link.secret), claimant, ...more });
  const headers = { "content-type": "application/json" };
  try {
    return await toAnswer(await fetch(`/v1/phones/${link.id}/${path}`, { method: "POST", headers, body }));
  } catch {
    return { ok: false, error: { code: "unreachable", message: "the coordinator was not reached" } };
  }
}
