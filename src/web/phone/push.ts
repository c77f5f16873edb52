import type { PushKind, PushSubscription as Sent } from "../../contract/phone-frames.ts";
import { fromBase64url } from "../../pairing/sealing.ts";
import type { PhoneBackend } from "./phone-backend.ts";
import { forget, keep } from "./stored-phone.ts";

/** Web Push: the machine seals its messages for this browser, which shows them without the page. */

export async function registerWorker(): Promise<void> {
  // Firefox has none in its private mode.
  if ("serviceWorker" in navigator) await navigator.serviceWorker.register(workerUrl());
}

/** @returns why this browser cannot be notified; null: it can */
export function pushTrouble(pushKey: string | null): string | null {
  if (pushKey === null) return "This machine has no key for notifications. Pair again after it has been updated.";
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

/** The browser forgets where messages of the machine are sent to. */
export async function endPush(): Promise<void> {
  const present = await subscription().catch(() => null);
  await present?.unsubscribe().catch(() => false);
}

/** @returns why it has not changed; null: it has */
export async function choosePush(backend: PhoneBackend, kinds: readonly PushKind[]): Promise<string | null> {
  const { pushKey } = backend.phone;
  if (kinds.length === 0 || pushKey === null) {
    const sent = await backend.setPush(null, []);
    if (!sent.ok) return sent.error.message;
    await Promise.all([endPush(), forget("kinds")]);
    return null;
  }
  if ((await Notification.requestPermission()) !== "granted") return "Notifications were not allowed.";
  const made = await Promise.race([subscribed(pushKey).catch(() => null), after(maxSubscribeMs)]);
  if (made === null) return "The browser's push service was not reached. Try again later.";
  const sent = await backend.setPush(made, kinds);
  if (!sent.ok) return sent.error.message;
  await keep("kinds", kinds);
  return null;
}

/** A browser without a push service neither subscribes nor refuses. */
const maxSubscribeMs = 15_000;

function after(ms: number): Promise<null> {
  return new Promise((resolve) => setTimeout(() => resolve(null), ms));
}

async function subscribed(pushKey: string): Promise<Sent> {
  await registerWorker();
  const { pushManager } = await navigator.serviceWorker.ready;
  const options = { userVisibleOnly: true, applicationServerKey: fromBase64url(pushKey) };
  const made = await pushManager.subscribe(options).catch(async () => {
    // One by the key of another machine is in the way.
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
