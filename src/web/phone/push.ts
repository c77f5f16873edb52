import type {
  PhonePush,
  PushKeys,
  PushKind,
  PushState,
  PushSubscription as Sent,
} from "../../contract/phone-frames.ts";
import { fromBase64url, toBase64url } from "../../pairing/sealing.ts";
import type { Answer } from "../backend.ts";
import type { PhoneBackend } from "./phone-backend.ts";
import { change, forget, read } from "./stored-phone.ts";

/** Web Push: a machine seals its messages for this browser, which shows them without the page. */

export async function registerWorker(): Promise<void> {
  // Firefox has none in its private mode.
  if ("serviceWorker" in navigator) await navigator.serviceWorker.register(workerUrl());
}

/** @returns why this browser cannot be notified; null: it can, or may be asked whether it may */
export function pushTrouble(): string | null {
  if ("serviceWorker" in navigator && "PushManager" in globalThis && "Notification" in globalThis)
    return Notification.permission === "denied"
      ? "You have refused notifications. Allow them for this page in the settings of the browser."
      : null;
  return /iPhone|iPad/.test(navigator.userAgent)
    ? "On an iPhone or iPad, first add this page to the home screen. Open it there, and paste the link of shim pair."
    : "This browser cannot show notifications of a page that is closed.";
}

async function subscription(): Promise<PushSubscription | null> {
  if (!("serviceWorker" in navigator) || !("PushManager" in globalThis)) return null;
  const registration = await navigator.serviceWorker.getRegistration();
  return (await registration?.pushManager.getSubscription()) ?? null;
}

/** The browser forgets where messages of the machines are sent to. */
export async function endPush(): Promise<void> {
  const present = await subscription().catch(() => null);
  await present?.unsubscribe().catch(() => false);
}

/** Longest wait for the user, and for a push service: without one a browser does not answer. */
const patienceMs = 15_000;

/** @returns null for work that takes longer, or fails */
function within<T>(work: Promise<T>): Promise<T | null> {
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), patienceMs));
  return Promise.race([work.catch(() => null), late]);
}

/** Each machine gets the choice once it is there. @returns why it has not changed; null: it has */
export async function choosePush(
  machines: readonly PhoneBackend[],
  kinds: readonly PushKind[],
): Promise<string | null> {
  if (kinds.length === 0) {
    await Promise.all([endPush(), forget("push")]);
    await Promise.all(machines.map((one) => one.setPush(null, false)));
    return null;
  }
  const permission = await within(Notification.requestPermission());
  if (permission === null) return "Answer the browser's question first, then choose again.";
  if (permission !== "granted") return "Notifications were not allowed.";
  const keys = (await read("push"))?.keys ?? (await newPushKeys());
  if ((await within(subscribed(keys))) === null) return "The browser's push service was not reached. Try again later.";
  await change("push", () => ({ keys, kinds }));
  await Promise.all(machines.map((one) => renewPush(one)));
  return null;
}

/**
 * Sends a machine the present choice: it may have been away when that was made, and browsers
 * renew their addresses.
 *
 * @param isTest the machine sends a notification now
 * @returns null: none is chosen, or this browser can no longer be notified
 */
export async function renewPush(machine: PhoneBackend, isTest = false): Promise<Answer<PushState> | null> {
  const chosen = await read("push");
  if (chosen === null || pushTrouble() !== null) return null;
  const made = await within(subscribed(chosen.keys));
  const push: PhonePush | null = made && { subscription: made, keys: chosen.keys, kinds: [...chosen.kinds] };
  return push && machine.setPush(push, isTest);
}

/** Machines sign their messages by them: they say who may send, and open nothing. */
async function newPushKeys(): Promise<PushKeys> {
  const { subtle } = crypto;
  const { publicKey, privateKey } = await subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]);
  const { d = "" } = await subtle.exportKey("jwk", privateKey);
  return { publicKey: toBase64url(new Uint8Array(await subtle.exportKey("raw", publicKey))), privateKey: d };
}

async function subscribed({ publicKey }: PushKeys): Promise<Sent> {
  await registerWorker();
  const { pushManager } = await navigator.serviceWorker.ready;
  const options = { userVisibleOnly: true, applicationServerKey: fromBase64url(publicKey) };
  const made = await pushManager.subscribe(options).catch(async () => {
    // One by other keys is in the way.
    await endPush();
    return pushManager.subscribe(options);
  });
  const { endpoint = "", keys = {} } = made.toJSON();
  return { endpoint, keys: { p256dh: keys["p256dh"] ?? "", auth: keys["auth"] ?? "" } };
}

/** The part of the Trusted Types API that TypeScript does not declare. */
interface Policies {
  createPolicy(
    name: string,
    rules: { createScriptURL: (url: string) => string },
  ): {
    createScriptURL(url: string): string;
  };
}

/** The only script that the page may start. */
const path = "/worker.js";
let url: string | null = null;

/** Its policy is named in the headers of the page, which allow it once. */
function workerUrl(): string {
  const { trustedTypes } = globalThis as { trustedTypes?: Policies };
  const policy = url === null ? trustedTypes?.createPolicy("shim-worker", { createScriptURL: () => path }) : undefined;
  return (url ??= policy?.createScriptURL(path) ?? path);
}
