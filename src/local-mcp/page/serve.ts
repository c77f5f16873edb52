import { setIdleTimer } from "../../platform/timers.ts";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import {
  listenOnLoopback,
  type Listening,
  type LoopbackApp,
  loopbackApp,
  onlyWithToken,
} from "../../platform/loopback.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { ok, type Result, fail } from "../../shared/result.ts";
import type { CallOperation } from "../../machine/context/operation-context.ts";
import type { HandlerContext } from "../../machine/recovery/handler-context.ts";
import { LiveFeed, pageApp, readPageFiles, SignIn } from "./page-app.ts";
import { readJsonFile } from "../../platform/data-files.ts";
import { findOperation } from "../../contract/machine/find-operation.ts";
import type { MachineOperationName } from "../../contract/machine/operations.ts";
import type { PageCall, PageOperation } from "../../contract/live-page.ts";
import { offeredOn, operations } from "../../contract/operations.ts";
import type { KeptWorkspace } from "../../machine/sharing/operations/kept-workspace.ts";
import type { Sample } from "../../contract/metrics.ts";
import { codeOf } from "../../shared/error.ts";
import { contentType, toExposition } from "../../shared/exposition.ts";
import { setNewest } from "../../shared/set-newest.ts";

export interface PageServing {
  /** Absent: the one of the last time, else a free one. */
  readonly port?: number;
  /** A page has to sign in, and the last link was used or is too old. */
  readonly onLinkNeeded: (link: string) => void;
  readonly onProblem: (message: string) => void;
}

export interface ServedPage {
  /** Signs in once, within a minute. */
  readonly link: string;
  close(): Promise<void>;
}

export interface MetricsServing {
  readonly host: string;
  readonly port: number;
  /** Samples of what the caller runs besides. */
  readonly more: () => readonly Sample[];
}

export interface ServedMetrics {
  readonly url: string;
  readonly tokenFile: string;
  close(): Promise<void>;
}

/** Serves the live page until it is closed. */
export async function servePage(
  host: { readonly call: CallOperation },
  { runtime: load, site, workspace, hostClient }: HandlerContext,
  { port, onLinkNeeded, onProblem }: PageServing,
): Promise<Result<ServedPage>> {
  const runtime = await load();
  const folder = join(dirname(site.launch.hookScript), "web");
  if (!existsSync(folder)) return fail("no_page", "the page is not built in this copy of SHIM: `npm run build`.");
  const feed = new LiveFeed(setIdleTimer);
  workspace.follow(() => feed.changed("team"));
  const answerTo = pageCalls(host, workspace);
  const signIn = new SignIn(runtime);
  const linkTo = (origin: string): string => `${origin}/#t=${signIn.newToken()}`;
  const app = pageApp({
    files: readPageFiles(folder),
    feed,
    signIn,
    call: (call) => feed.reports.ofRead(() => answerTo(call)),
    onLinkNeeded: (origin) => onLinkNeeded(linkTo(origin)),
    onProblem,
  });
  const listening = await listen(app, join(runtime.paths.home, "web.json"), port);
  if (!listening.ok) return fail("port_unusable", `${listening.error}. Leave --port out for a free one.`);
  const over = new AbortController();
  const onStored = (): void => feed.changed("sessions");
  const attending = hostClient?.stayConnected({ onStored, onProblem, until: over.signal });
  const close = async (): Promise<void> => {
    over.abort();
    feed.close();
    await Promise.all([attending, listening.value.close()]);
  };
  return ok({ link: linkTo(listening.value.origin), close });
}

const PortFile = z.object({ port: z.int().min(1_024).max(65_535) });

/** The port is remembered, so that a bookmark stays good. */
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

const maxAnswers = 200;

type Answer = Result<unknown>;

/** Answers the page's calls; repeats of a request get the answer of the first. */
export function pageCalls(
  host: { readonly call: CallOperation },
  workspace: KeptWorkspace,
): (call: PageCall) => Promise<Answer> {
  const answers = new Map<string, Promise<Answer>>();
  return (call) => {
    const { name, requestId } = call;
    const key = `${name} ${requestId}`;
    const known = requestId === undefined ? undefined : answers.get(key);
    if (known) return known;
    const answer = answerCall(host, workspace, call);
    if (requestId === undefined) return answer;
    setNewest(answers, key, answer, maxAnswers);
    // A request that has failed may be sent again.
    void answer.then(
      ({ ok }) => ok || answers.delete(key),
      () => answers.delete(key),
    );
    return answer;
  };
}

async function answerCall(
  host: { readonly call: CallOperation },
  workspace: KeptWorkspace,
  { name, input, requestId }: PageCall,
): Promise<Answer> {
  if ((await findOperation(name))?.surfaces.includes("page")) return host.call(name as MachineOperationName, input);
  const operation = offeredOn("page").find((one) => one === name);
  if (operation === undefined) return fail("unknown_operation", `the page has no ${name}`);
  const opened = await workspace.open();
  if (!opened.ok) return opened;
  const takesId = requestId !== undefined && "requestId" in operations[operation].input.shape;
  return opened.value.call<PageOperation>(operation, takesId ? { ...input, requestId } : input);
}

/** Serves the metrics on loopback. */
export async function serveMetrics(
  home: string,
  address: Pick<MetricsServing, "host" | "port">,
  read: () => Promise<Result<readonly Sample[]>>,
): Promise<Result<ServedMetrics>> {
  // `credentials_file` of Prometheus: readable by this user only, the same after a restart.
  const tokenFile = join(home, "metrics-token");
  const app = loopbackApp();
  app.get("/metrics", onlyWithToken(ensureToken(home, tokenFile)), async (context) => {
    const samples = await read();
    if (!samples.ok) return context.text(`${samples.error.message}\n`, 503);
    return context.text(await toExposition(samples.value), 200, { "content-type": contentType });
  });
  const listening = await listenOnLoopback(app, address);
  if (!listening.ok) return fail("port_unusable", `${listening.error}; name another with --listen`);
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
