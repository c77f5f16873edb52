import type { UserNotification } from "./due-notifications.ts";

const timeoutMs = 5_000;

/** [CL72] Rejects unless the receiver takes it. Redirects are not followed: they could lead to an address that was not allowed. */
export async function postWebhook(
  url: string,
  { event, session, title, text }: UserNotification,
  at: number,
): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "user-agent": "shim" },
    body: JSON.stringify({ event, at, session, title, text }),
    redirect: "manual",
    signal: AbortSignal.timeout(timeoutMs),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the webhook answered ${response.status}`);
}
