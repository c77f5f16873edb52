import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Sample } from "../../contract/metrics.ts";
import { listenOnLoopback, loopbackApp, onlyWithToken } from "../../platform/loopback.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { codeOf } from "../../shared/error.ts";
import { contentType, toExposition } from "../../shared/exposition.ts";
import { err, ok } from "../../shared/result.ts";
import type { HostResult, MetricsServing, ServedMetrics } from "./host.ts";

/** [OB7] Serves the metrics on loopback. */
export async function serveMetrics(
  home: string,
  address: Pick<MetricsServing, "host" | "port">,
  read: () => Promise<HostResult<readonly Sample[]>>,
): Promise<HostResult<ServedMetrics>> {
  // `credentials_file` of Prometheus: readable by this user only, the same after a restart.
  const tokenFile = join(home, "metrics-token");
  const app = loopbackApp();
  app.get("/metrics", onlyWithToken(ensureToken(home, tokenFile)), async (context) => {
    const samples = await read();
    if (!samples.ok) return context.text(`${samples.error.message}\n`, 503);
    return context.text(await toExposition(samples.value), 200, { "content-type": contentType });
  });
  const listening = await listenOnLoopback(app, address);
  if (!listening.ok) return err({ code: "port_unusable", message: `${listening.error}; name another with --listen` });
  return ok({ ...listening.value, url: `${listening.value.origin}/metrics`, tokenFile });
}

function ensureToken(home: string, path: string): string {
  try {
    const text = readFileSync(path, "utf8").trim();
    if (text.length >= 32) return text;
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  createPrivateFolder(home);
  const token = randomBytes(32).toString("base64url");
  writeAtomically(path, `${token}\n`);
  return token;
}
