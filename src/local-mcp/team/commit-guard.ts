import { sessionVariables } from "../../clients/hook-variables.ts";
import { commandLineChat } from "../../contract/command-line-chat.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import { namesAbove } from "../../contract/resource-paths.ts";
import { type ProcessIdentity, type Processes, identify } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { age, oneLine } from "../../shared/format.ts";
import type { Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { visible } from "../../shared/visible-text.ts";
import { StoreError } from "../../store/store-error.ts";
import * as clients from "../sessions/clients.ts";
import { idOf } from "../sessions/entries.ts";
import * as sessions from "../sessions/sessions.ts";
import { findProjects, isHolderAlive } from "./file-guard.ts";
import * as reservationTable from "./reservation-table.ts";

interface CommitToCheck {
  readonly root: string;
  /** Output of `git diff --name-only -z`. */
  readonly staged: string;
  readonly parentPid: number;
}

export interface CommitVerdict {
  readonly isRefused: boolean;
  readonly text: string;
}

interface Workspace {
  call(
    name: "leases.list",
    input: InputOf<"leases.list">,
  ): Promise<Result<OutputOf<"leases.list">, { readonly message: string }>>;
  close(): void;
}

type OpenLink = () => Promise<Result<Workspace, unknown>>;

const allowed: CommitVerdict = { isRefused: false, text: "" };
const maxShown = 10;
const maxChecked = 10;

/** [FI20] [FI22] Confirms only reserved files at the coordinator; unanswered, the commit passes. */
export async function checkCommit(
  runtime: Runtime,
  commit: CommitToCheck,
  openLink: OpenLink,
  timeout: Promise<"late">,
): Promise<CommitVerdict> {
  const { store, config } = runtime;
  if (!config.team.isEnabled || !store.exists()) return allowed;
  try {
    const found = findReserved(runtime, commit);
    if (found.length === 0) return allowed;
    const reservation = await Promise.race([confirmReserved(found, openLink), timeout]);
    if (reservation === "late") return uncheckedVerdict("the coordinator did not answer in time");
    return reservation.length === 0 ? allowed : { isRefused: true, text: refusalText(runtime.now(), reservation) };
  } catch (error) {
    if (error instanceof StoreError) return uncheckedVerdict(error.message);
    throw error;
  }
}

function findReserved({ store, processes, env }: Runtime, { root, staged, parentPid }: CommitToCheck): ReservedFile[] {
  const paths = staged.split("\0").filter((path) => path !== "");
  return store.read<ReservedFile[]>((sql) => {
    const chats = enclosingChats(sql, processes, env, parentPid);
    const found = reservedByOthers(sql, { chats, processes }, root, paths);
    // The user's own reservations restrict chats, not the user.
    return chats.length === 0
      ? found.filter(({ reservation }) => reservation.holder !== commandLineChat(reservation.machine))
      : found;
  }, []);
}

/** The stored reservations may have ended. */
async function confirmReserved(
  candidates: readonly ReservedFile[],
  openLink: OpenLink,
): Promise<ReservedFile[] | "late"> {
  const link = await openLink();
  if (!link.ok) return "late";
  try {
    const resources = [...new Set(candidates.map(({ reservation }) => reservation.resource))].slice(0, maxChecked);
    const holders = new Map<string, string | undefined>();
    for (const prefix of resources) {
      const listed = await link.value.call("leases.list", { prefix, limit: 1 });
      if (!listed.ok) return "late";
      holders.set(prefix, listed.value.leases.find(({ resource }) => resource === prefix)?.holder);
    }
    return candidates.filter(({ reservation }) => holders.get(reservation.resource) === reservation.holder);
  } finally {
    link.value.close();
  }
}

function uncheckedVerdict(why: string): CommitVerdict {
  return {
    isRefused: false,
    text: `SHIM: reserved files were not checked (${visible(why)}); the commit continues.\n`,
  };
}

function refusalText(now: number, reservedFiles: readonly ReservedFile[]): string {
  const lines = reservedFiles.slice(0, maxShown).map(({ path, reservation }) => {
    const who = `"${oneLine(reservation.holderName, 60)}" (chat ${reservation.holder}, on ${oneLine(reservation.machine, 60)})`;
    return `  ${oneLine(path, 200)}: ${who}, since ${age(now - reservation.since)}\n`;
  });
  const moreText = reservedFiles.length > maxShown ? `  and ${reservedFiles.length - maxShown} more\n` : "";
  const [first] = reservedFiles;
  const hints = [
    "`shim team files list` shows what is reserved. Ask the chat to release it",
    ` (\`shim team send ${first?.reservation.holder ?? "<chat>"} "..."\`), or commit anyway: git commit --no-verify\n`,
  ].join("");
  return visible(
    `SHIM: the commit is refused, since other chats have reserved files in it:\n${lines.join("")}${moreText}${hints}`,
  );
}

interface ReservedFile {
  readonly path: string;
  readonly reservation: reservationTable.Reservation;
}

/**
 * [FI20] Counts any checkout.
 * @param chats those that commit
 * @param paths relative to `root`
 * @throws {StoreError}
 */
function reservedByOthers(
  sql: Sql,
  { chats, processes }: { readonly chats: readonly string[]; readonly processes: Processes },
  root: string,
  paths: readonly string[],
): ReservedFile[] {
  const reservations = reservationTable.list(sql);
  if (reservations.length === 0) return [];
  for (const { workspace, project } of findProjects(sql, { path: root, roots: [root] })) {
    const byResource = new Map(
      reservations.filter((one) => one.workspace === workspace).map((one) => [one.resource, one]),
    );
    const reserved = paths.flatMap((path) => {
      const reservation = namesAbove(`file:${project}/${path}`)
        .flatMap((name) => byResource.get(name) ?? [])
        .find((one) => !chats.includes(one.holder) && isHolderAlive(sql, processes, one.holder));
      return reservation ? [{ path, reservation }] : [];
    });
    if (reserved.length > 0) return reserved;
  }
  return [];
}

/** Covers the chat's shell, git and the hook. */
const maxAncestors = 20;

/**
 * [FI21] Prefers the nearest client above the process to the environment, which may name several:
 * a client inherits the variables of the one it was started from.
 */
function enclosingChats(sql: Sql, processes: Processes, env: NodeJS.ProcessEnv, parent: number): string[] {
  const [nearest] = listAncestors(processes, parent).flatMap((process) => clients.current(sql, process) ?? []);
  if (nearest) return [nearest.session];
  const ids = sessionVariables.flatMap(([, variable]) => env[variable] ?? []);
  return ids.flatMap((id) => sessions.get(sql, idOf(id))?.id ?? []);
}

function listAncestors(processes: Processes, pid: number, limit = maxAncestors): ProcessIdentity[] {
  const process = pid > 1 && limit > 0 ? identify(processes, pid) : null;
  if (process === null) return [];
  return [process, ...listAncestors(processes, processes.facts(pid)?.parent ?? 0, limit - 1)];
}
