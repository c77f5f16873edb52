import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { CallError } from "../../contract/errors.ts";
import type { Lease } from "../../contract/leases.ts";
import { overlap } from "../../contract/resource-paths.ts";
import type { Change } from "../../contract/state.ts";
import type { Self } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { fetchPages } from "../../coordinator-client/fetch-pages.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { ChatIdentity } from "./chat-directory.ts";
import { formatResource, resourcePrefix, toResource } from "./file-resource.ts";
import * as reservationTable from "./reservation-table.ts";
import type { Reservation } from "./reservation-table.ts";
import * as news from "../sessions/news.ts";

export interface FileReservationDeps {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly newId: () => string;
  readonly link: Pick<CoordinatorClient, "self" | "call" | "onChanges">;
  readonly directory: { identify(chat: string): Promise<Omit<ChatIdentity, "waiting">> };
  readonly sessionId: string;
  readonly workspace: string;
  /** Absent: the chat of the link. */
  readonly self?: Self | null;
  /** Text of hooks about the chat's own reservations; absent: by the directory. */
  readonly shownAs?: Pick<Reservation, "holderName" | "checkout">;
}

export interface ReservationError extends CallError {
  readonly holder: Reservation | null;
}

const timeoutMs = 10_000;

/** [TE12] Acquires several leases all or nothing. [TE13] Keeps the table that hooks read. */
export class FileReservations {
  readonly #deps: FileReservationDeps;
  #pendingWork: Promise<unknown> = Promise.resolve();
  readonly #releasedTokens = new Set<number>();
  /** Kept apart from the table, in which another process may have recorded a loss first. */
  readonly #ownTokens = new Map<string, number>();
  #isStale = false;
  #stop: () => void = () => undefined;

  constructor(deps: FileReservationDeps) {
    this.#deps = deps;
  }

  follow(): void {
    this.#stop();
    this.#stop = this.#deps.link.onChanges("$file/", (changes) => {
      this.#isStale ||= changes === null;
      this.#enqueue(() => (this.#isStale ? this.#refreshAll() : this.#applyChanges(changes ?? [])));
    });
  }

  check(): void {
    if (this.#isStale) this.#enqueue(() => (this.#isStale ? this.#refreshAll() : Promise.resolve()));
  }

  #enqueue(work: () => Promise<void>): void {
    this.#pendingWork = this.#pendingWork.then(work).catch((error: unknown) => {
      this.#isStale = true;
      this.#deps.runtime.log("error", "reservations of files", { error: String(error) });
    });
  }

  close(): void {
    this.#stop();
  }

  /**
   * [FI28] Reservations that the chat already has are kept, or renewed.
   *
   * @param project the coordinator's name for it
   * @param paths from `toLeasePath`
   * @param ttlMs absent: as long as the chat lives
   */
  async reserve(
    project: string,
    paths: readonly string[],
    ttlMs?: number,
  ): Promise<Result<Reservation[], ReservationError>> {
    const ownLeases = await this.listOwn();
    if (!ownLeases.ok) return err({ ...ownLeases.error, holder: null });
    const reserved: Lease[] = [];
    const newLeases: Lease[] = [];
    for (const resource of new Set(paths.map((path) => toResource(project, path)))) {
      const held = ownLeases.value.find((lease) => lease.resource === resource);
      const lease = held ? await this.#keep(held, ttlMs) : await this.#acquire(resource, ttlMs);
      if (!lease.ok) {
        await this.#release(newLeases);
        return err(await this.#toReservationError(resource, lease.error));
      }
      reserved.push(lease.value);
      if (!held) newLeases.push(lease.value);
    }
    return ok(await this.#record(reserved));
  }

  async #keep(lease: Lease, ttlMs: number | undefined): Promise<Result<Lease, CallError>> {
    if (ttlMs === undefined) return ok(lease);
    const { resource, token } = lease;
    return this.#deps.link.call("leases.renew", { ...this.#asSelf(), resource, token, ttlMs }, timeoutMs);
  }

  async #acquire(resource: string, ttlMs: number | undefined): Promise<Result<Lease, CallError>> {
    const { link, newId } = this.#deps;
    const lifetime = ttlMs === undefined ? { isBound: true } : { ttlMs };
    const request = { ...this.#asSelf(), resource, requestId: newId(), ...lifetime };
    const answer = await link.call("leases.acquire", request, timeoutMs);
    if (!answer.ok) return answer;
    return answer.value.state === "granted" ? ok(answer.value.lease) : err(heldError);
  }

  #asSelf(): { readonly self?: Self } {
    const { self } = this.#deps;
    return self ? { self } : {};
  }

  /** @param paths empty: all of this chat */
  async release(project: string, paths: readonly string[]): Promise<Result<string[], CallError>> {
    const ownLeases = await this.listOwn();
    if (!ownLeases.ok) return ownLeases;
    const requested = new Set(paths.map((path) => toResource(project, path)));
    const released = ownLeases.value.filter(({ resource }) => paths.length === 0 || requested.has(resource));
    const error = await this.#release(released);
    return error ? err(error) : ok(released.map(({ resource }) => resource));
  }

  /** @param project absent: all */
  async listOwn(project?: string): Promise<Result<Lease[], CallError>> {
    const self = this.#deps.self ?? this.#deps.link.self;
    if (!self) return err({ code: "not_registered", message: "no chat yet" });
    return this.#listLeases({ holder: self.chat, ...inProject(project) });
  }

  /** @param project absent: all */
  async list(project?: string): Promise<Result<Reservation[], CallError>> {
    const leases = await this.#listLeases(inProject(project));
    return leases.ok ? ok(await this.#reservations(leases.value)) : leases;
  }

  async #listLeases(filter: {
    readonly holder?: string;
    readonly prefix?: string;
  }): Promise<Result<Lease[], CallError>> {
    const { link } = this.#deps;
    const listed = await fetchPages({ call: (name, input) => link.call(name, input, timeoutMs) }, "leases.list", {
      prefix: resourcePrefix,
      ...filter,
    });
    return listed.ok ? ok(listed.value.leases) : listed;
  }

  async #release(leases: readonly Lease[]): Promise<CallError | null> {
    const { link, runtime } = this.#deps;
    let firstError: CallError | null = null;
    for (const { resource, token, holder } of leases) {
      this.#releasedTokens.add(token);
      this.#ownTokens.delete(resource);
      // Earlier than the coordinator's report, which would notify the chat of its own release.
      runtime.store.keep((sql) => reservationTable.remove(sql, resource, holder));
      const answer = await link.call("leases.release", { ...this.#asSelf(), resource, token }, timeoutMs);
      if (!answer.ok) firstError ??= answer.error;
    }
    return firstError;
  }

  async #toReservationError(resource: string, error: CallError): Promise<ReservationError> {
    if (error.code !== "lease_held") return { ...error, holder: null };
    const reservations = await this.list();
    const holder = reservations.ok ? reservations.value.find((one) => overlap(one.resource, resource)) : undefined;
    return { ...error, holder: holder ?? null };
  }

  async #record(leases: readonly Lease[]): Promise<Reservation[]> {
    const { runtime, shownAs } = this.#deps;
    for (const { resource, token } of leases) this.#ownTokens.set(resource, token);
    const reservations = await this.#reservations(leases);
    // Beside the host the chats that follow the coordinator record them.
    runtime.store.keep((sql) => {
      for (const one of reservations) reservationTable.upsert(sql, runtime.now(), { ...one, ...shownAs });
    });
    return reservations;
  }

  async #reservation({
    resource,
    holder,
    heldForMs,
  }: Pick<Lease, "resource" | "holder" | "heldForMs">): Promise<Reservation> {
    const { directory, workspace, runtime } = this.#deps;
    const { name: holderName, machine, checkout } = await directory.identify(holder);
    return { resource, workspace, holder, holderName, machine, checkout, since: runtime.now() - heldForMs };
  }

  async #refreshAll(): Promise<void> {
    const earlierTokens = [...this.#ownTokens];
    const leases = await this.#listLeases({});
    const { runtime, link } = this.#deps;
    if (!leases.ok) return runtime.log("warn", "reservations of files are not known", { code: leases.error.code });
    const reservations = await this.#reservations(leases.value);
    runtime.store.write((sql) => reservationTable.replaceAll(sql, runtime.now(), reservations));
    this.#isStale = false;
    const ownLeases = new Map(
      leases.value.filter(({ holder }) => holder === link.self?.chat).map((one) => [one.resource, one]),
    );
    for (const [resource, token] of earlierTokens) {
      if (this.#ownTokens.get(resource) === token && !ownLeases.has(resource)) this.#notifyLost(resource, token);
    }
    for (const { resource, token } of ownLeases.values())
      if (!this.#releasedTokens.has(token)) this.#ownTokens.set(resource, token);
  }

  #reservations(leases: readonly Lease[]): Promise<Reservation[]> {
    return Promise.all(leases.map((lease) => this.#reservation(lease)));
  }

  async #applyChanges(changes: readonly Change[]): Promise<void> {
    for (const { key, value } of changes) {
      const resource = `${resourcePrefix}${key.slice("$file/".length)}`;
      const holderInfo = parseHolder(value);
      if (holderInfo === null) await this.#onReleased(resource);
      // Reports may arrive after the release.
      else if (!this.#releasedTokens.has(holderInfo.token)) await this.#recordHolder(resource, holderInfo.holder);
    }
  }

  async #recordHolder(resource: string, holder: string): Promise<void> {
    const { runtime } = this.#deps;
    const one = await this.#reservation({ resource, holder, heldForMs: 0 });
    runtime.store.write((sql) => reservationTable.upsert(sql, runtime.now(), one));
  }

  /** [TE14] Notifies the chat of a lost reservation. */
  async #onReleased(resource: string): Promise<void> {
    const { runtime } = this.#deps;
    const token = this.#ownTokens.get(resource);
    const ownLeases = token === undefined ? null : await this.listOwn();
    if (ownLeases?.ok && ownLeases.value.some((lease) => lease.resource === resource)) return;
    runtime.store.write((sql) => reservationTable.remove(sql, resource));
    if (token !== undefined && this.#ownTokens.get(resource) === token) this.#notifyLost(resource, token);
  }

  #notifyLost(resource: string, token: number): void {
    const { runtime, sessionId, workspace } = this.#deps;
    const text = `This chat no longer holds ${formatResource(resource)}: its reservation has ended. Reserve it again before you continue there.`;
    const key = `freed:${workspace}:${resource}:${token}`;
    news.notify(runtime, sessionId, key, { kind: "notice", text });
    this.#ownTokens.delete(resource);
  }
}

const heldError: CallError = { code: "lease_held", message: "others are waiting for it" };

function inProject(project: string | undefined): { readonly prefix?: string } {
  return project === undefined ? {} : { prefix: toResource(project, "") };
}

function parseHolder(value: Change["value"]): { readonly holder: string; readonly token: number } | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { holder, token } = value;
  return typeof holder === "string" && typeof token === "number" ? { holder, token } : null;
}
