import { second } from "./peers.ts";

/** What leases are meant to do, said without the engine: who may hold what, who waits, and what happens when. Chats have connections. */

const names = ["a", "b", "b.", "b0", "ü"] as const;
const folders = (depth: number): string[] =>
  depth === 0 ? ["p"] : folders(depth - 1).flatMap((folder) => names.map((name) => `${folder}/${name}`));
/** Of two projects; one below the other in spelling only. */
const files = [1, 2, 3, 4].flatMap((depth) => folders(depth)).flatMap((path) => [path, path.replace(/^p/, "p0")]);

/** All files of a small world that a resource stands for; what is no path stands for itself. */
export function filesOf(resource: string): ReadonlySet<string> {
  if (!resource.startsWith("file:")) return new Set([`not a file: ${resource}`]);
  const parts = resource.slice(5).split("/");
  const last = parts.at(-1);
  if (last !== "*" && last !== "**") return new Set([parts.join("/")]);
  const folder = parts.slice(0, -1);
  const isBelow = (file: string[]): boolean =>
    file.length > folder.length && folder.every((part, at) => file[at] === part);
  const fits = (file: string[]): boolean => isBelow(file) && (last === "**" || file.length === folder.length + 1);
  return new Set(files.filter((file) => fits(file.split("/"))));
}

const sets = new Map<string, ReadonlySet<string>>();

function known(resource: string): ReadonlySet<string> {
  const set = sets.get(resource) ?? filesOf(resource);
  sets.set(resource, set);
  return set;
}

export function meet(one: string, other: string): boolean {
  return [...known(one)].some((file) => known(other).has(file));
}

export function isWithin(one: string, other: string): boolean {
  return [...known(one)].every((file) => known(other).has(file));
}

/** Paths and patterns of that world, not deeper than that each folder has files below it and each of them, too. */
export const resources: readonly string[] = [0, 1, 2]
  .flatMap((depth) => folders(depth))
  .flatMap((folder) => (folder === "p" ? ["p/*", "p/**"] : [folder, `${folder}/*`, `${folder}/**`]))
  .flatMap((path) => [`file:${path}`, `file:${path.replace(/^p/, "p0")}`]);

export interface LeaseRequest {
  readonly resource: string;
  readonly request: string;
  readonly ttlMs: number;
  readonly isBound: boolean;
  readonly waitMs: number;
  readonly delayMs: number;
}

interface Held extends Omit<LeaseRequest, "waitMs" | "isBound" | "ttlMs"> {
  readonly chat: string;
  ttlMs: number;
  isBound: boolean;
  expiresAt: number;
}

interface Place extends LeaseRequest {
  readonly chat: string;
  readonly until: number;
}

interface Chat {
  seenAt: number;
  /** Its connection was closed or lost: when it counts as gone. */
  goneAt: number | null;
  isGone: boolean;
}

const chatTtlMs = 30 * second;

export class LeaseModel {
  now: number;
  readonly chats: Map<string, Chat>;
  held: Held[] = [];
  line: Place[] = [];
  delays: { readonly resource: string; readonly until: number }[] = [];

  constructor(now: number, chats: readonly string[]) {
    this.now = now;
    this.chats = new Map(chats.map((chat) => [chat, { seenAt: now, goneAt: null, isGone: false }]));
  }

  of(name: string): Chat {
    const chat = this.chats.get(name);
    if (!chat) throw new Error(`no chat ${name}`);
    return chat;
  }

  /** A chat may act while it is connected. */
  isHere(name: string): boolean {
    const chat = this.of(name);
    return !chat.isGone && chat.goneAt === null;
  }

  expiryOf(one: Held): number {
    return one.isBound ? Math.max(one.expiresAt, this.of(one.chat).seenAt + chatTtlMs) : one.expiresAt;
  }

  /** When the next thing happens that is nobody's doing. */
  nextEvent(): number | null {
    const holding = new Set([...this.held, ...this.line].map(({ chat }) => chat));
    const chats = [...this.chats].filter(([name, chat]) => !chat.isGone && (holding.has(name) || chat.goneAt !== null));
    const times = [
      ...chats.map(([, chat]) => chat.goneAt ?? chat.seenAt + chatTtlMs),
      ...this.held.map((one) => this.expiryOf(one)),
      ...this.line.map(({ until }) => until),
      ...this.delays.map(({ until }) => until),
    ];
    return times.length === 0 ? null : Math.min(...times);
  }

  settle(): void {
    for (const [name, chat] of this.chats) {
      if (!chat.isGone && (chat.goneAt ?? chat.seenAt + chatTtlMs) <= this.now) this.#leaveAs(name);
    }
    const over = this.held.filter((one) => this.expiryOf(one) <= this.now);
    this.held = this.held.filter((one) => !over.includes(one));
    this.delays.push(...over.map((one) => ({ resource: one.resource, until: this.expiryOf(one) + one.delayMs })));
    this.delays = this.delays.filter(({ until }) => until > this.now);
    this.line = this.line.filter(({ until }) => until > this.now);
    for (const place of this.line) {
      if (this.#isFree(place.resource) && this.#before(place.resource, place) === 0) this.#grant(place);
    }
  }

  /** Gone: what it holds keeps its last time, and its places are free. */
  #leaveAs(name: string): void {
    for (const one of this.held.filter(({ chat }) => chat === name)) {
      one.expiresAt = this.expiryOf(one);
      one.isBound = false;
    }
    this.line = this.line.filter(({ chat }) => chat !== name);
    this.of(name).isGone = true;
  }

  #isFree(resource: string): boolean {
    return ![...this.held, ...this.delays].some((one) => meet(one.resource, resource));
  }

  /** How many in line stand before a place, or before who comes now. */
  #before(resource: string, place?: Place): number {
    const line = place ? this.line.slice(0, this.line.indexOf(place)) : this.line;
    return line.filter((one) => meet(one.resource, resource)).length;
  }

  #grant(wanted: LeaseRequest & { readonly chat: string }): void {
    const { resource, request, delayMs, isBound, chat } = wanted;
    this.line = this.line.filter((one) => one.resource !== resource || one.request !== request || one.chat !== chat);
    const ttlMs = isBound ? chatTtlMs : wanted.ttlMs;
    this.held.push({ resource, request, delayMs, isBound, chat, ttlMs, expiresAt: this.now + ttlMs });
  }

  /** An act keeps a chat alive whose connection was silent for a while. */
  #act(name: string): void {
    const chat = this.of(name);
    if (this.now - chat.seenAt >= chatTtlMs / 2) chat.seenAt = this.now;
  }

  /** What the engine has to answer. A refusal undoes all, also that it was heard. */
  acquire(chat: string, request: LeaseRequest): string {
    if (this.of(chat).isGone) return "chat_offline";
    const answer = this.#answer(chat, request);
    if (answer !== "lease_held") this.#act(chat);
    return answer;
  }

  #answer(chat: string, request: LeaseRequest): string {
    const isSame = (one: { resource: string; request: string; chat: string }): boolean =>
      one.resource === request.resource && one.request === request.request && one.chat === chat;
    if (this.held.some(isSame)) return "granted";
    const place = this.line.find(isSame);
    if (place) return `waiting ${this.#before(request.resource, place) + 1} ${place.until - this.now}`;
    const before = this.#before(request.resource);
    if (before === 0 && this.#isFree(request.resource)) {
      this.#grant({ ...request, chat });
      return "granted";
    }
    if (request.waitMs === 0) return "lease_held";
    this.line.push({ ...request, chat, until: this.now + request.waitMs });
    return `waiting ${before + 1} ${request.waitMs}`;
  }

  renew(one: Held, ttlMs: number | null): void {
    this.#act(one.chat);
    if (!one.isBound) one.ttlMs = ttlMs ?? one.ttlMs;
    one.expiresAt = Math.max(one.expiresAt, this.now + one.ttlMs);
  }

  release(one: Held): void {
    this.#act(one.chat);
    this.held = this.held.filter((other) => other !== one);
    this.settle();
  }

  cancel(place: Place): void {
    this.#act(place.chat);
    this.line = this.line.filter((other) => other !== place);
    this.settle();
  }

  ping(name: string): void {
    this.of(name).seenAt = this.now;
  }

  /** Registered and connected again. */
  back(name: string): void {
    Object.assign(this.of(name), { seenAt: this.now, goneAt: null, isGone: false });
  }

  close(name: string, graceMs: number): void {
    this.of(name).goneAt = this.now + graceMs;
    this.settle();
  }

  /** All connections, without a close: up to now they may have told of life. */
  lose(graceMs: number): void {
    for (const [name, chat] of this.chats) {
      if (!this.isHere(name)) continue;
      chat.seenAt = this.now;
      chat.goneAt = this.now + graceMs;
    }
  }

  /** It has left, or was attested dead: nothing is kept for it. */
  end(name: string): void {
    this.#leaveAs(name);
    this.held = this.held.filter(({ chat }) => chat !== name);
    this.settle();
  }
}
