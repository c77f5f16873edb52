import { buildPushPayload } from "@block65/webcrypto-web-push";
import type { PhonePush } from "../../contract/phone-frames.ts";
import { changePhone, type PairedPhone } from "../../machine/sharing/phones/phone-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf } from "../../shared/error.ts";
import type { UserNotification } from "./due-notifications.ts";

const timeoutMs = 10_000;
/** A push service keeps it for a phone that is off for so long, in seconds. */
const keepSeconds = 3_600;
/** Statuses by which a push service says that the subscription has ended (RFC 8030, 5). */
const gone: ReadonlySet<number> = new Set([404, 410]);

export type PushedNotification = Pick<UserNotification, "event" | "session" | "text" | "key">;

/** By which a user sees that notifications arrive. */
export const testNotification: PushedNotification = {
  event: "done",
  session: null,
  text: "This machine notifies this phone.",
  key: "test",
};

interface PushTarget {
  readonly phone: PairedPhone;
  readonly push: PhonePush;
}

/**
 * Sends a notification, and notes what came of it.
 *
 * @throws {Error} when the push service refuses it, or does not answer
 */
export async function notifyPhone(
  { paths, now, log }: Pick<Runtime, "paths" | "now" | "log">,
  target: PushTarget,
  one: PushedNotification,
): Promise<void> {
  const { id, name } = target.phone;
  const note = (problem: string | null, more: Partial<PairedPhone> = {}): void =>
    changePhone(paths.home, now(), id, { pushed: { at: now(), problem }, ...more });
  try {
    if (await sendPush(target, one)) return note(null);
  } catch (error) {
    note(messageOf(error));
    throw error;
  }
  log("info", "a phone takes no more notifications", { phone: name });
  note("the browser takes no more notifications: choose them again on the phone", { push: null });
}

/**
 * Sends a notification, sealed for the browser of the phone (RFC 8291): the push service learns
 * its length and time, and the address of the coordinator.
 *
 * @returns false for a subscription that has ended
 * @throws {Error} when the push service refuses it, or does not answer
 */
async function sendPush({ phone, push }: PushTarget, one: PushedNotification): Promise<boolean> {
  const url = phone.own?.url ?? phone.workspace.split(" ", 1)[0] ?? "";
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
    ...push.keys,
  });
  const answer = await fetch(endpoint, { ...payload, redirect: "error", signal: AbortSignal.timeout(timeoutMs) });
  await answer.body?.cancel();
  if (gone.has(answer.status)) return false;
  if (!answer.ok) throw new Error(`the push service answered ${answer.status}`);
  return true;
}

function pageOf({ session }: PushedNotification): string {
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
