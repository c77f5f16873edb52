import type { Lease } from "../../contract/leases.ts";
import type { Change } from "../../contract/state.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { newId, type Outside } from "../edge/outside.ts";
import type { ChatLink, Trouble } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import type { Directory } from "./directory.ts";
import * as filesTable from "./files-table.ts";
import type { Reservation } from "./files-table.ts";
import * as news from "./news.ts";

export interface FileSurroundings {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly outside: Pick<Outside, "clock" | "random">;
  readonly link: ChatLink;
  readonly directory: Directory;
  readonly sessionId: string;
  readonly workspace: string;
}

/** The reason why a path was not reserved: its holder, or an error. */
export interface FilesRefused extends Trouble {
  readonly holder: Reservation | null;
}

const scheme = "file:";
const withinMs = 10_000;
const page = 200;

/**
 * Reservations of files: leases that live as long as this chat, [TE12] several at once all or nothing; and the table of all reservations, which
 * hooks read: [TE13] the list at the start, then each change; this chat's own at once.
 */
export class FileDesk {
  readonly #around: FileSurroundings;
  #work: Promise<unknown> = Promise.resolve();
  /** Tokens. */
  readonly #givenBack = new Set<number>();
  /** Tokens of this chat's leases by resource. Not from the table: another process may have noted a loss first. */
  readonly #own = new Map<string, number>();
  /** The table may be incomplete: the next check reads the whole list. */
  #isStale = false;
  #stop: () => void = () => undefined;

  constructor(around: FileSurroundings) {
    this.#around = around;
  }

  /** Keeps the table from now on. */
  follow(): void {
    this.#stop();
    this.#stop = this.#around.link.watch("$file/", (changes) => {
      this.#isStale ||= changes === null;
      this.#then(() => (this.#isStale ? this.#listAll() : this.#apply(changes ?? [])));
    });
  }

  /** Called from time to time: reads the whole list if the table may be incomplete. */
  check(): void {
    if (this.#isStale) this.#then(() => (this.#isStale ? this.#listAll() : Promise.resolve()));
  }

  #then(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      this.#isStale = true;
      this.#around.runtime.log("error", "reservations of files", { error: String(error) });
    });
  }

  close(): void {
    this.#stop();
  }

  /** @param project as the coordinator names it; @param paths as {@link pathIn} gives them */
  async reserve(project: string, paths: readonly string[]): Promise<Result<Reservation[], FilesRefused>> {
    const held = await this.own();
    if (!held.ok) return err({ ...held.error, holder: null });
    const kept = new Set(held.value.map(({ resource }) => resource));
    const wanted = [...new Set(paths)].map((path) => resourceOf(project, path));
    const granted: Lease[] = [];
    for (const resource of wanted.filter((one) => !kept.has(one))) {
      const requestId = newId(this.#around.outside);
      const answer = await this.#around.link.call("leases.acquire", { resource, requestId, isBound: true }, withinMs);
      const lease = answer.ok && answer.value.state === "granted" ? answer.value.lease : null;
      if (lease) granted.push(lease);
      else {
        await this.#giveBack(granted);
        return err(await this.#refusal(resource, answer.ok ? busy : answer.error));
      }
    }
    const reserved = [...held.value.filter(({ resource }) => wanted.includes(resource)), ...granted];
    return ok(await this.#keep(reserved));
  }

  /** @param paths empty: all reservations of this chat */
  async release(project: string, paths: readonly string[]): Promise<Result<string[], Trouble>> {
    const held = await this.own();
    if (!held.ok) return held;
    const wanted = new Set(paths.map((path) => resourceOf(project, path)));
    const given = held.value.filter(({ resource }) => paths.length === 0 || wanted.has(resource));
    const refused = await this.#giveBack(given);
    return refused ? err(refused) : ok(given.map(({ resource }) => resource));
  }

  /** Leases of files that this chat has now. */
  async own(): Promise<Result<Lease[], Trouble>> {
    const { self } = this.#around.link;
    return self ? this.#leases({ holder: self.chat }) : err({ code: "not_registered", message: "no chat yet" });
  }

  /** All reservations, as the coordinator has them. */
  async all(): Promise<Result<Reservation[], Trouble>> {
    const leases = await this.#leases({});
    return leases.ok ? ok(await this.#reservations(leases.value)) : leases;
  }

  async #leases(of: { readonly holder?: string }): Promise<Result<Lease[], Trouble>> {
    const found: Lease[] = [];
    let cursor: string | null = null;
    do {
      const next: { cursor?: string } = cursor === null ? {} : { cursor };
      const answer = await this.#around.link.call(
        "leases.list",
        { prefix: scheme, limit: page, ...of, ...next },
        withinMs,
      );
      if (!answer.ok) return answer;
      found.push(...answer.value.leases);
      ({ cursor } = answer.value);
    } while (cursor !== null);
    return ok(found);
  }

  async #giveBack(leases: readonly Lease[]): Promise<Trouble | null> {
    const { link, runtime } = this.#around;
    let refused: Trouble | null = null;
    for (const { resource, token, holder } of leases) {
      this.#givenBack.add(token);
      this.#own.delete(resource);
      // Before the coordinator reports it: a release by this chat itself is no news for it.
      runtime.store.write((sql) => filesTable.drop(sql, resource, holder));
      const answer = await link.call("leases.release", { resource, token }, withinMs);
      if (!answer.ok) refused ??= answer.error;
    }
    return refused;
  }

  async #refusal(resource: string, error: Trouble): Promise<FilesRefused> {
    if (error.code !== "lease_held") return { ...error, holder: null };
    const all = await this.all();
    const holder = all.ok ? all.value.find((one) => overlaps(one.resource, resource)) : undefined;
    return { ...error, holder: holder ?? null };
  }

  async #keep(leases: readonly Lease[]): Promise<Reservation[]> {
    const { runtime } = this.#around;
    for (const { resource, token } of leases) this.#own.set(resource, token);
    const reserved = await this.#reservations(leases);
    runtime.store.write((sql) => {
      for (const one of reserved) filesTable.keep(sql, runtime.now(), one);
    });
    return reserved;
  }

  async #reservation({
    resource,
    holder,
    heldForMs,
  }: Pick<Lease, "resource" | "holder" | "heldForMs">): Promise<Reservation> {
    const { directory, workspace, runtime } = this.#around;
    const { name: holderName, machine, checkout } = await directory.person(holder);
    return { resource, workspace, holder, holderName, machine, checkout, since: runtime.now() - heldForMs };
  }

  async #listAll(): Promise<void> {
    const before = [...this.#own];
    const leases = await this.#leases({});
    const { runtime, link } = this.#around;
    if (!leases.ok) return runtime.log("warn", "reservations of files are not known", { code: leases.error.code });
    const reservations = await this.#reservations(leases.value);
    runtime.store.write((sql) => filesTable.replaceAll(sql, runtime.now(), reservations));
    this.#isStale = false;
    const own = new Map(
      leases.value.filter(({ holder }) => holder === link.self?.chat).map((one) => [one.resource, one]),
    );
    for (const [resource, token] of before) {
      if (this.#own.get(resource) === token && !own.has(resource)) this.#tellLost(resource, token);
    }
    for (const { resource, token } of own.values()) if (!this.#givenBack.has(token)) this.#own.set(resource, token);
  }

  #reservations(leases: readonly Lease[]): Promise<Reservation[]> {
    return Promise.all(leases.map((lease) => this.#reservation(lease)));
  }

  async #apply(changes: readonly Change[]): Promise<void> {
    for (const { key, value } of changes) {
      const resource = `${scheme}${key.slice("$file/".length)}`;
      const held = holderIn(value);
      if (held === null) await this.#freed(resource);
      // Reported after it was released.
      else if (!this.#givenBack.has(held.token)) await this.#heard(resource, held.holder);
    }
  }

  async #heard(resource: string, holder: string): Promise<void> {
    const { runtime } = this.#around;
    const one = await this.#reservation({ resource, holder, heldForMs: 0 });
    runtime.store.write((sql) => filesTable.keep(sql, runtime.now(), one));
  }

  /** [TE14] A reservation of this chat that it has not given back itself is news. */
  async #freed(resource: string): Promise<void> {
    const { runtime } = this.#around;
    const token = this.#own.get(resource);
    // This chat may hold it again by now.
    const held = token === undefined ? null : await this.own();
    if (held?.ok && held.value.some((lease) => lease.resource === resource)) return;
    runtime.store.write((sql) => filesTable.drop(sql, resource));
    if (token !== undefined && this.#own.get(resource) === token) this.#tellLost(resource, token);
  }

  #tellLost(resource: string, token: number): void {
    const { runtime, sessionId, workspace } = this.#around;
    const text = `This chat no longer holds ${shown(resource)}: its reservation is over. Reserve it again before you go on there.`;
    const key = `freed:${workspace}:${resource}:${token}`;
    runtime.store.write((sql) => void news.add(sql, runtime.now(), sessionId, key, { kind: "notice", text }));
    this.#own.delete(resource);
  }
}

const busy: Trouble = { code: "lease_held", message: "others stand in line for it" };

function resourceOf(project: string, path: string): string {
  return `${scheme}${project}/${path}`;
}

/** Without the name of the project, which says nothing to people. */
export function shown(resource: string): string {
  return resource.slice(resource.indexOf("/") + 1);
}

/** [TE12] As the engine judges it: the same, or one is a folder that the other lies in. */
function overlaps(a: string, b: string): boolean {
  return covers(a, b) || covers(b, a);
}

function covers(range: string, other: string): boolean {
  if (range === other) return true;
  if (range.endsWith("/**")) return other.startsWith(range.slice(0, -2));
  if (!range.endsWith("/*")) return false;
  const folder = range.slice(0, -1);
  return other.startsWith(folder) && !other.slice(folder.length).includes("/");
}

function holderIn(value: Change["value"]): { readonly holder: string; readonly token: number } | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { holder, token } = value;
  return typeof holder === "string" && typeof token === "number" ? { holder, token } : null;
}
