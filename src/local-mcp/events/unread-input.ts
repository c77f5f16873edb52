import { readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { adapterOf } from "../../clients/adapters.ts";
import { namesIn } from "../../platform/paths.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { identify, type Processes } from "../../platform/processes.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { parseObject, textAt } from "../../shared/json-fields.ts";
import { isPaused } from "../../store/pause.ts";
import * as clients from "../../machine/sessions/clients.ts";
import { digest } from "../../machine/sessions/entries.ts";
import { projectRoot } from "../../snapshots/git-head.ts";
import { isPausedById } from "../../machine/sessions/session-settings.ts";
import type { UnreadInput } from "./read-event.ts";

/** Inputs of hooks that were not read whole, one file each: `<time>-<client>-<id>.json`. */

const fileName = /^(?<at>\d{15})-(?<client>[\da-f]{16})-(?<id>[\w.-]+?)(?<shown>\.shown)?\.json$/;
const maxFiles = 100;

/** Keeps a redacted input, unless SHIM is paused where it came from. Never throws. */
export function keepUnread(runtime: Runtime, input: UnreadInput): void {
  const { paths, log, now } = runtime;
  try {
    if (isUnreadPaused(runtime, input)) return;
    createPrivateFolder(paths.unread);
    const names = filesIn(paths.unread);
    if (names.some((name) => partsOf(name)["id"] === input.id)) return;
    for (const name of names.slice(0, Math.max(0, names.length + 1 - maxFiles)))
      rmSync(join(paths.unread, name), { force: true });
    const at = String(Math.max(0, now())).padStart(15, "0");
    const name = `${at}-${clientKey(runtime.processes, input.clientPid)}-${input.id}.json`;
    writeAtomically(join(paths.unread, name), JSON.stringify(input));
  } catch (error) {
    log("error", "an input that could not be read was not kept", { error: stackOf(error) });
  }
}

/** By the folder that it names, or the session that its client works in. */
function isUnreadPaused({ store, processes, now }: Runtime, { session, cwd, clientPid }: UnreadInput): boolean {
  return store.read((sql) => {
    if (cwd !== null) return isPaused(sql, now(), projectRoot(cwd));
    const client = identify(processes, clientPid);
    const current = client === null ? null : clients.current(sql, client);
    return isPausedById(sql, now(), session ?? current?.session ?? "");
  }, false);
}

/** @returns the line for the user of a client's process, once */
export function takeUnreadLine(runtime: Runtime, clientPid: number): string | null {
  const { paths, processes } = runtime;
  const key = clientKey(processes, clientPid);
  const own = filesIn(paths.unread).filter((name) => partsOf(name)["client"] === key);
  const [first] = own;
  if (first === undefined || own.some((name) => partsOf(name)["shown"] !== undefined)) return null;
  renameSync(join(paths.unread, first), join(paths.unread, first.replace(/json$/, "shown.json")));
  const text =
    "SHIM could not read all that this client has sent to its hook: something of this chat may not be saved. " +
    "`shim doctor` says what has come.";
  return withShimCommand(text, () => shimCommand(runtime));
}

export interface UnreadSummary {
  readonly count: number;
  readonly isFull: boolean;
  readonly firstAt: number;
  readonly lastAt: number;
  /** Client, event and problem of the last one. */
  readonly last: string;
}

/** @returns null where all inputs were read */
export function summarizeUnread(folder: string): UnreadSummary | null {
  const names = filesIn(folder);
  const [first, last] = [names[0], names.at(-1)];
  if (first === undefined || last === undefined) return null;
  const input = parseObject(readFileSync(join(folder, last), "utf8"));
  const title = adapterOf(textAt(input, "clientName") ?? "")?.title ?? "a client";
  return {
    count: names.length,
    isFull: names.length >= maxFiles,
    firstAt: Number(partsOf(first)["at"]),
    lastAt: Number(partsOf(last)["at"]),
    last: `${textAt(input, "event") ?? "an event"} of ${title}: ${textAt(input, "problem") ?? "unknown"}`,
  };
}

/** The oldest first. */
function filesIn(folder: string): string[] {
  // Where there are none `shim doctor` says what is wrong with the home.
  return namesIn(folder)
    .filter((name) => fileName.test(name))
    .toSorted();
}

function partsOf(name: string): Readonly<Record<string, string | undefined>> {
  return fileName.exec(name)?.groups ?? {};
}

function clientKey(processes: Processes, pid: number): string {
  return digest(`${pid} ${identify(processes, pid)?.start ?? ""}`);
}
