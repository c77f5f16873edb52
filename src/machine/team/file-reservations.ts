import { isAbsolute, posix, relative, resolve, sep } from "node:path";
import type { Failure } from "../../contract/errors.ts";
import type { Lease } from "../../contract/leases.ts";
import { foldName, overlap } from "../../contract/resource-paths.ts";
import { fetchPages } from "../../coordinator-client/coordinator-client.ts";
import type { CoordinatorClient } from "../../coordinator-client/client.ts";
import { isFolder, portablePath, realPath } from "../../platform/paths.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import type { ChatIdentity } from "./chat-directory.ts";
import * as reservationTable from "../sessions/reservation-table.ts";
import type { Reservation } from "../sessions/reservation-table.ts";

const maxChars = 400;

/** `dir/*` is all files of a folder, `dir/**` all below it. Pure. */
export function toLeasePath(root: string, input: string): Result<string, string> {
  const path = posix.normalize(portablePath(isAbsolute(input) ? relative(root, input) : input)).replace(/\/$/, "");
  const problem = findProblem(root, path);
  return problem === null ? ok(path) : err(`"${input}" ${problem}`);
}

function findProblem(root: string, path: string): string | null {
  if (/^\.\.(\/|$)/.test(path) || isAbsolute(path)) return `is not below ${root}`;
  if (path === "." || path === "") return 'is the whole project; "**" reserves that';
  if (path.replace(/(^|\/)\*\*?$/, "").includes("*")) return "has * somewhere other than in its last part";
  return /\p{Cc}/u.test(path) || path.length > maxChars ? "cannot be reserved" : null;
}

/**
 * Follows links unless they lead out of the project. Refuses a folder: what is below it would
 * not be reserved.
 *
 * @param input what was given for the path
 */
export function toRealLeasePath(root: string, input: string): Result<string, string> {
  const given = toLeasePath(root, input);
  if (!given.ok) return given;
  const path = given.value;
  const [range = ""] = /(^|\/)\*\*?$/.exec(path) ?? [];
  const full = realPath(resolve(root, path.slice(0, path.length - range.length)));
  if (range === "" && (/[\\/]$/.test(input) || isFolder(full)))
    return err(`"${input}" is a folder; "${path}/**" reserves what is below it`);
  const real = relative(realPath(root), full);
  const leasePath = toLeasePath(root, real.split(sep).join("/") + (real === "" ? range.replace("/", "") : range));
  return leasePath.ok ? leasePath : given;
}

/** Resources of leases on files: "file:<project>/<path>". */
const resourcePrefix = "file:";

function toResource(project: string, path: string): string {
  return `${resourcePrefix}${project}/${path}`;
}

/** Omits the project's name, which means nothing to people. */
export function formatResource(resource: string): string {
  return resource.slice(resource.indexOf("/") + 1);
}

export interface FileReservationDeps {
  readonly runtime: Pick<Runtime, "store" | "now" | "random">;
  readonly link: Pick<CoordinatorClient, "self" | "call">;
  readonly directory: { identify(chat: string): Promise<Omit<ChatIdentity, "waiting">> };
  readonly workspace: string;
}

export interface ReservationError extends Failure {
  readonly holder: Reservation | null;
}

const timeoutMs = 10_000;

/** Acquires several leases all or nothing; the table that hooks read has them at once. */
export class FileReservations {
  readonly #deps: FileReservationDeps;

  constructor(deps: FileReservationDeps) {
    this.#deps = deps;
  }

  /**
   * Reserves for as long as the chat lives. Reservations that it already has are kept.
   *
   * @param project the coordinator's name for it
   * @param paths from `toLeasePath`
   * @param isFolded names that differ in case alone are one file in this checkout: a chat that has
   * reserved one name has them all. Of two that do so in the same millisecond none gets it.
   */
  async reserve(
    project: string,
    paths: readonly string[],
    isFolded = false,
  ): Promise<Result<Reservation[], ReservationError>> {
    const resources = new Set(paths.map((path) => toResource(project, path)));
    const refused = isFolded ? await this.#refuseFolded(resources) : null;
    if (refused !== null) return err(refused);
    const ownLeases = await this.#listOwn();
    if (!ownLeases.ok) return err({ ...ownLeases.error, holder: null });
    const reserved: Lease[] = [];
    const newLeases: Lease[] = [];
    for (const resource of resources) {
      const held = ownLeases.value.find((lease) => lease.resource === resource);
      const lease = held ? ok(held) : await this.#acquire(resource);
      if (!lease.ok) {
        await this.#release(newLeases);
        return err(await this.#toReservationError(resource, lease.error));
      }
      reserved.push(lease.value);
      if (!held) newLeases.push(lease.value);
    }
    // Another chat may have looked before this one had it.
    const late = isFolded && newLeases.length > 0 ? await this.#refuseFolded(resources) : null;
    if (late === null) return ok(await this.#record(reserved));
    await this.#release(newLeases);
    return err(late);
  }

  /** Refuses where another chat has one of the files by any name, unless this one had it first. */
  async #refuseFolded(resources: ReadonlySet<string>): Promise<ReservationError | null> {
    const listed = await this.list();
    if (!listed.ok) return { ...listed.error, holder: null };
    const isOwn = ({ holder }: Reservation): boolean => holder === this.#deps.link.self?.chat;
    const own = listed.value.filter((one) => isOwn(one) && resources.has(one.resource));
    const isFirst = (resource: string, { since }: Reservation): boolean =>
      own.some((one) => one.resource === resource && one.since < since);
    const holder = listed.value.find(
      (other) =>
        !isOwn(other) &&
        [...resources].some((one) => overlap(foldName(one), foldName(other.resource)) && !isFirst(one, other)),
    );
    return holder === undefined ? null : { ...heldError, holder };
  }

  async #acquire(resource: string): Promise<Result<Lease>> {
    const { link, runtime } = this.#deps;
    const requestId = Buffer.from(runtime.random(16)).toString("hex");
    const answer = await link.call("leases.acquire", { resource, requestId, isBound: true }, timeoutMs);
    if (!answer.ok) return answer;
    return answer.value.state === "granted" ? ok(answer.value.lease) : err(heldError);
  }

  /** @param paths empty: all of this chat */
  async release(project: string, paths: readonly string[]): Promise<Result<string[]>> {
    const ownLeases = await this.#listOwn();
    if (!ownLeases.ok) return ownLeases;
    const requested = new Set(paths.map((path) => toResource(project, path)));
    const released = ownLeases.value.filter(({ resource }) => paths.length === 0 || requested.has(resource));
    const error = await this.#release(released);
    return error ? err(error) : ok(released.map(({ resource }) => resource));
  }

  async #listOwn(): Promise<Result<Lease[]>> {
    const { self } = this.#deps.link;
    return self ? listFileLeases(this.#deps.link, self.chat) : fail("not_registered", "no chat yet");
  }

  async list(): Promise<Result<Reservation[]>> {
    const leases = await listFileLeases(this.#deps.link);
    return leases.ok ? ok(await this.#reservations(leases.value)) : leases;
  }

  async #release(leases: readonly Lease[]): Promise<Failure | null> {
    const { link, runtime } = this.#deps;
    let firstError: Failure | null = null;
    for (const { resource, token, holder } of leases) {
      // First: its end is no loss.
      runtime.store.keep((sql) => reservationTable.remove(sql, resource, holder));
      const answer = await link.call("leases.release", { resource, token }, timeoutMs);
      if (!answer.ok) firstError ??= answer.error;
    }
    return firstError;
  }

  async #toReservationError(resource: string, error: Failure): Promise<ReservationError> {
    if (error.code !== "lease_held") return { ...error, holder: null };
    const reservations = await this.list();
    const holder = reservations.ok ? reservations.value.find((one) => overlap(one.resource, resource)) : undefined;
    return { ...error, holder: holder ?? null };
  }

  async #record(leases: readonly Lease[]): Promise<Reservation[]> {
    const { runtime } = this.#deps;
    const reservations = await this.#reservations(leases);
    runtime.store.keep((sql) => {
      for (const one of reservations) reservationTable.upsert(sql, runtime.now(), one);
    });
    return reservations;
  }

  #reservations(leases: readonly Lease[]): Promise<Reservation[]> {
    return Promise.all(leases.map((lease) => toReservation(this.#deps, this.#deps.runtime.now(), lease)));
  }
}

const heldError: Failure = { code: "lease_held", message: "others are waiting for it" };

/** @param holder a chat; absent: all of the workspace */
export async function listFileLeases(link: Pick<CoordinatorClient, "call">, holder?: string): Promise<Result<Lease[]>> {
  const caller = { call: (name: "leases.list", input: object) => link.call(name, input, timeoutMs) };
  const listed = await fetchPages(caller, "leases.list", { prefix: resourcePrefix, ...omitUndefined({ holder }) });
  return listed.ok ? ok(listed.value.leases) : listed;
}

export async function toReservation(
  { directory, workspace }: Pick<FileReservationDeps, "directory" | "workspace">,
  now: number,
  { resource, holder, token, heldForMs }: Lease,
): Promise<Reservation> {
  const { name: holderName, machine, checkout } = await directory.identify(holder);
  return { resource, workspace, holder, holderName, machine, checkout, token, since: now - heldForMs };
}
