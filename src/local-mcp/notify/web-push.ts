import { buildPushPayload } from "@block65/webcrypto-web-push";
import type { PairedPhone, PushKeys } from "../../machine/sharing/phones/phone-file.ts";
import type { UserNotification } from "./due-notifications.ts";

const timeoutMs = 10_000;
/** A push service keeps it for a phone that is off for so long, in seconds. */
const keepSeconds = 3_600;
/** Statuses by which a push service says that the subscription has ended (RFC 8030, 5). */
const gone: ReadonlySet<number> = new Set([404, 410]);

interface PushTarget {
  readonly phone: PairedPhone;
  readonly push: NonNullable<PairedPhone["push"]>;
  readonly keys: PushKeys;
}

/**
 * Sends a notification, sealed for the browser of the phone (RFC 8291): the push service learns
 * its length and time, and the address of the coordinator.
 *
 * @returns false for a subscription that has ended
 * @throws {Error} when the push service refuses it, or does not answer
 */
export async function sendPush({ phone, push, keys }: PushTarget, one: UserNotification): Promise<boolean> {
  const [url = ""] = phone.workspace.split(" ");
  const { endpoint, keys: browserKeys } = push.subscription;
  const problem = addressProblem(endpoint, url);
  if (problem !== null) throw new Error(problem);
  const data = { title: "SHIM", body: one.text, tag: one.key, url: pageOf(one) };
  // The library signs for https alone; a push service of a development is on this machine.
  const signed = endpoint.replace(/^http:/, "https:");
  const subscription = { endpoint: signed, expirationTime: null, keys: browserKeys };
  const urgency = one.event === "waits" ? "high" : "normal";
  // A contact that push services accept (RFC 8292, 2.1).
  const subject = url.startsWith("https://") ? url : "mailto:shim@example.com";
  const payload = await buildPushPayload({ data, options: { ttl: keepSeconds, urgency } }, subscription, {
    subject,
    ...keys,
  });
  const answer = await fetch(endpoint, { ...payload, redirect: "error", signal: AbortSignal.timeout(timeoutMs) });
  await answer.body?.cancel();
  if (gone.has(answer.status)) return false;
  if (!answer.ok) throw new Error(`the push service answered ${answer.status}`);
  return true;
}

function pageOf({ session }: UserNotification): string {
  return session === null ? "/" : `/#/chat/${encodeURIComponent(session)}`;
}

/** Hosts that no push service has: numbers, names without a dot, and those of a network's own. */
const ownHost = /^[\d.]+$|^\[|^[^.]+$|\.(?:local|localhost|internal|lan|home|corp|arpa)$/;

/** The address comes from the phone, and must not lead into the machine's own network. */
function addressProblem(endpoint: string, coordinator: string): string | null {
  const { protocol, hostname } = new URL(endpoint);
  // A push service of a development is where its coordinator is.
  if (protocol === "http:" && new URL(coordinator).hostname === hostname) return null;
  if (protocol !== "https:") return "the address of a push service begins with https://";
  return ownHost.test(hostname) ? `${hostname} is no public push service` : null;
}
