import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { listenOnLoopback, type Listening, type LoopbackApp } from "../../platform/loopback.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { HandlerContext } from "./handlers.ts";
import type { Host, HostResult, PageServing, ServedPage } from "./host.ts";
import { LiveFeed } from "./page/live-feed.ts";
import { pageApp } from "./page/page-app.ts";
import { PageCalls } from "./page-calls.ts";
import { readPageFiles } from "./page/page-files.ts";
import { SignIn } from "./page/sign-in.ts";
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
  const signIn = new SignIn(runtime);
  const linkTo = (origin: string): string => `${origin}/#t=${signIn.newToken()}`;
  const app = pageApp({
    files: readPageFiles(folder),
    feed,
    signIn,
    call: async (call) => {
      const before = process.cpuUsage();
      const answer = await calls.answer(call);
      const { user, system } = process.cpuUsage(before);
      feed.spent((user + system) / 1_000);
      return answer;
    },
    onLinkNeeded: (origin) => onLinkNeeded(linkTo(origin)),
    onProblem,
  });
  const listening = await listen(app, join(runtime.paths.home, "web.json"), port);
  if (!listening.ok)
    return err({ code: "port_unusable", message: `${listening.error}. Leave --port out for a free one.` });
  const over = new AbortController();
  const onStored = (): void => feed.changed("sessions");
  const attending = machineHost?.attend({ onStored, onProblem, until: over.signal });
  const close = async (): Promise<void> => {
    over.abort();
    feed.close();
    await Promise.all([attending, listening.value.close()]);
  };
  return ok({ link: linkTo(listening.value.origin), close });
}

const PortFile = z.object({ port: z.int().min(1_024).max(65_535) });

/** [WP1] The port is remembered, so that a bookmark stays good. */
async function listen(app: LoopbackApp, file: string, given: number | undefined): Promise<Result<Listening, string>> {
  const lastPort = readJsonFile(file, PortFile)?.port;
  const listening = await listenOnLoopback(app, { port: given ?? lastPort ?? 0 });
  if (given !== undefined) return listening;
  // Another page of this machine has the last port, and keeps it.
  if (lastPort !== undefined) return listening.ok ? listening : listenOnLoopback(app, { port: 0 });
  if (!listening.ok) return listening;
  createPrivateFolder(dirname(file));
  writeAtomically(file, `${JSON.stringify({ port: listening.value.port })}\n`);
  return listening;
}

/** Ends with Ctrl-C, and when the launcher is gone: a killed launcher forwards no signal. */
function setTimer(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms);
  timer.unref();
  return () => clearTimeout(timer);
}
