import { spawn } from "node:child_process";
import { withoutSecrets } from "../../platform/secret-env.ts";

/** A desktop that does not answer must not keep processes. */
const timeoutMs = 5_000;

/** osascript takes the text as an argument, so that it is never read as a script. */
const script = ["on run argv", 'display notification (item 1 of argv) with title "SHIM"', "end run"];

/** Rejects where the desktop cannot be reached. No shell takes part. */
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

/** Desktops read the text of a notification as markup. */
function escapeMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
