import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { codeOf } from "../../../shared/error.ts";
import { ok } from "../../../shared/result.ts";
import { watchCommits } from "../../../platform/watch-commits.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { StoreError } from "../../../store/store-error.ts";
import { failed } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { LiveFeed } from "./live-feed.ts";
import { PageCalls } from "./page-calls.ts";
import { readPageFiles } from "./page-files.ts";
import { PageServer } from "./page-server.ts";

export interface WebOptions {
  readonly port?: number;
  readonly json?: boolean;
}

/** Where no write is reported, as on a network disk. */
const pollEveryMs = 5_000;
/** [WP1] Serves the live page until Ctrl-C. */
export async function servePage(cli: Cli, options: WebOptions): Promise<CommandResult> {
  const runtime = await cli.runtime();
  const folder = join(dirname(cli.io.launch.hookScript), "web");
  if (!existsSync(folder)) return failed("no_page", "the page is not built in this copy of SHIM: `npm run build`.");
  const feed = new LiveFeed(setTimer);
  const team = new TeamLink(cli, () => feed.changed("team"));
  const calls = new PageCalls({ runtime, link: () => team.open(), command: cli.command });
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
    onLinkNeeded: () => cli.io.stdout(`A page needs to sign in: ${server.newLink()}\n`),
    onProblem: (message) => cli.progress(`A request of the page failed: ${message}`),
  });
  try {
    await listen(server, portFile(runtime), options.port);
  } catch (error) {
    const code = codeOf(error);
    if (code !== "EADDRINUSE" && code !== "EACCES") throw error;
    return failed("port_unusable", `port ${options.port} cannot be used (${code}). Leave --port out for a free one.`);
  }
  const unwatch = watchStore(runtime, () => feed.changed("sessions"));
  const link = server.newLink();
  const text = `SHIM's live page, for the next minute, once: ${link}\nCtrl-C ends it.\n`;
  cli.io.stdout(options.json === true ? `${JSON.stringify({ link })}\n` : text);
  await cli.untilEnd();
  unwatch();
  team.close();
  await server.close();
  return ok({ data: { isEnded: true }, text: "", isOneLine: true });
}

/** [WP1] The port is remembered, so that a bookmark stays good. */
async function listen(server: PageServer, file: string, given: number | undefined): Promise<void> {
  if (given !== undefined) return void (await server.listen(given));
  const known = readPort(file);
  try {
    if (known !== null) return void (await server.listen(known));
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE" && codeOf(error) !== "EACCES") throw error;
    // Another page of this machine has it, and keeps it.
    return void (await server.listen(0));
  }
  const port = await server.listen(0);
  createPrivateFolder(dirname(file));
  writeAtomically(file, `${JSON.stringify({ port })}\n`);
}

function portFile({ paths }: Runtime): string {
  return join(paths.home, "web.json");
}

function readPort(file: string): number | null {
  try {
    const { port } = JSON.parse(readFileSync(file, "utf8")) as { port?: unknown };
    return typeof port === "number" && Number.isInteger(port) && port >= 1_024 && port <= 65_535 ? port : null;
  } catch {
    return null;
  }
}

/** Ends with Ctrl-C, and when the launcher is gone: a killed launcher forwards no signal. */
function setTimer(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms);
  timer.unref();
  return () => clearTimeout(timer);
}

/** [WP9] Calls `onChange` after a commit of any process. */
function watchStore({ store, paths }: Runtime, onChange: () => void): () => void {
  let version = readVersion();
  function readVersion(): string {
    try {
      return store.version();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return "";
    }
  }
  const check = (): boolean => {
    const now = readVersion();
    const hasChanged = now !== version;
    version = now;
    if (hasChanged) onChange();
    return hasChanged;
  };
  let unwatch = watchCommits(paths.database, setTimer, check);
  let cancel = setTimer(poll, pollEveryMs);
  function poll(): void {
    unwatch ??= watchCommits(paths.database, setTimer, check);
    check();
    cancel = setTimer(poll, pollEveryMs);
  }
  return () => {
    cancel();
    unwatch?.();
  };
}

/** The connection to the machine's coordinator; opened at the first use, again after a failure. */
class TeamLink {
  readonly #cli: Cli;
  readonly #onChange: () => void;
  #link: Workspace | null = null;

  constructor(cli: Cli, onChange: () => void) {
    this.#cli = cli;
    this.#onChange = onChange;
  }

  async open(): Promise<Workspace | string> {
    if (this.#link) return this.#link;
    const opened = await this.#cli.workspace();
    if (!opened.ok) return opened.error.message;
    if (this.#link) {
      // Another call was faster.
      opened.value.close();
      return this.#link;
    }
    this.#link = opened.value;
    opened.value.onChange(this.#onChange);
    return opened.value;
  }

  close(): void {
    this.#link?.close();
    this.#link = null;
  }
}
