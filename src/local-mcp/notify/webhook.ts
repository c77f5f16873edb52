import type { UserNotification } from "./due-notifications.ts";

const timeoutMs = 5_000;

/** [CL72] Rejects on refusal; follows no redirects, which could lead to a forbidden address. */
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
