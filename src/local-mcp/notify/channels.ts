import { spawn } from "node:child_process";
import { withoutSecrets } from "../../platform/secret-env.ts";
import type { UserNotification } from "./due-notifications.ts";

const timeoutMs = 5_000;

/** osascript must not run the text as a script. */
const script = ["on run argv", 'display notification (item 1 of argv) with title "SHIM"', "end run"];

/** Rejects if the desktop cannot be reached. Uses no shell. */
export async function notifyDesktop(text: string, env: NodeJS.ProcessEnv, platform = process.platform): Promise<void> {
  const [command, args] =
    platform === "darwin"
      ? (["osascript", [...script.flatMap((line) => ["-e", line]), text]] as const)
      : (["notify-send", ["--app-name=SHIM", "--", "SHIM", escapeMarkup(text)]] as const);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(command, args, {
    env: withoutSecrets(env),
    stdio: "ignore",
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    windowsHide: true,
  });
  child.once("error", reject);
  child.once("exit", (code, signal) =>
    code === 0 ? resolve() : reject(new Error(`${command} ended with ${code ?? signal}`)),
  );
  await promise;
}

/** Desktops parse the text as markup. */
function escapeMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

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
