import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { codeOf } from "../../shared/error.ts";
import { err, ok } from "../../shared/result.ts";
import type { HandlerContext } from "./handlers.ts";
import type { Host, HostResult, PageServing, ServedPage } from "./host.ts";
import { LiveFeed } from "./page/live-feed.ts";
import { PageCalls } from "./page-calls.ts";
import { readPageFiles } from "./page/page-files.ts";
import { PageServer } from "./page/page-server.ts";
import { readJsonFile } from "../../platform/read-json-file.ts";

/** [WP1] Serves the live page until it is closed. */
export async function servePage(
  host: Pick<Host, "call">,
  { runtime: load, site, workspace, machineHost }: HandlerContext,
  { port, onLinkNeeded, onProblem }: PageServing,
): Promise<HostResult<ServedPage>> {
  const runtime = await load();
  const folder = join(dirname(site.launch.hookScript), "web");
  if (!existsSync(folder))
    return err({ code: "no_page", message: "the page is not built in this copy of SHIM: `npm run build`." });
  const feed = new LiveFeed(setTimer);
  workspace.follow(() => feed.changed("team"));
  const calls = new PageCalls(host, workspace);
  const server = new PageServer({
    files: readPageFiles(folder),
    feed,
    now: runtime.now,
    random: runtime.random,
    call: async (call) => {
      const before = process.cpuUsage();
      const answer = await calls.answer(call);
      const { user, system } = process.cpuUsage(before);
      feed.spent((user + system) / 1_000);
      return answer;
    },
    onLinkNeeded: () => onLinkNeeded(server.newLink()),
    onProblem,
  });
  try {
    await listen(server, join(runtime.paths.home, "web.json"), port);
  } catch (error) {
    const code = codeOf(error);
    if (code !== "EADDRINUSE" && code !== "EACCES") throw error;
    const message = `port ${port} cannot be used (${code}). Leave --port out for a free one.`;
    return err({ code: "port_unusable", message });
  }
  const over = new AbortController();
  const onStored = (): void => feed.changed("sessions");
  const attending = machineHost?.attend({ onStored, onProblem, until: over.signal });
  const close = async (): Promise<void> => {
    over.abort();
    await Promise.all([attending, server.close()]);
  };
  return ok({ link: server.newLink(), close });
}

const PortFile = z.object({ port: z.int().min(1_024).max(65_535) });

/** [WP1] The port is remembered, so that a bookmark stays good. */
async function listen(server: PageServer, file: string, given: number | undefined): Promise<void> {
  if (given !== undefined) return void (await server.listen(given));
  const lastPort = readJsonFile(file, PortFile)?.port ?? null;
  try {
    if (lastPort !== null) return void (await server.listen(lastPort));
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE" && codeOf(error) !== "EACCES") throw error;
    // Another page of this machine has it, and keeps it.
    return void (await server.listen(0));
  }
  const port = await server.listen(0);
  createPrivateFolder(dirname(file));
  writeAtomically(file, `${JSON.stringify({ port })}\n`);
}

/** Ends with Ctrl-C, and when the launcher is gone: a killed launcher forwards no signal. */
function setTimer(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms);
  timer.unref();
  return () => clearTimeout(timer);
}
