import { computed, signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import type { LiveLine } from "../contract/live-page.ts";
import { addressOf } from "./address.ts";
import type { Answer, CallInput, CallName, CallOutput, Backend, LinkState, Refused } from "./backend.ts";

/** Null while the page is not signed in. */
export const backend = signal<Backend | null>(null);
/** Whether this page came from the Worker, which has another sign-in. */
export const isEdge = signal(false);
const unlinked: LinkState = { isLive: false, since: null, why: "connecting" };
/** The connection with the backend. {@link setLink} sets it. */
export const link = signal<LinkState>(unlinked);
export const isLive = computed(() => link.value.isLive);

/** Why nothing can be done now, with a session or at all; null: it can. Views follow it. */
export function actTrouble(session?: string): string | null {
  const { value } = link;
  if (!value.isLive) return `Not possible now: ${value.why}.`;
  return session === undefined ? null : (backend.value?.troubleOf?.(session) ?? null);
}

/** Whether the user chooses where to go. */
export const isFinding = signal(false);
/** After the first view: the heading of the next one gets the focus. */
export const hasMoved = signal(false);
/** Counts what may have changed: a view that is shown reads again. */
export const revision = signal(0);
/** Counts every ten seconds, so that ages grow. */
export const ageTick = signal(0);
export const query = signal("");
/** Read out by screen readers. {@link announce} sets it. */
export const notice = signal("");

/** Long enough to read two sentences. */
const noticeMs = 15_000;
let endOfNotice: ReturnType<typeof setTimeout> | undefined;

/** Says something once: later it may not be so any more. */
export function announce(text: string): void {
  notice.value = text;
  clearTimeout(endOfNotice);
  endOfNotice = setTimeout(() => (notice.value = ""), noticeMs);
}

const fragment = signal("");

export const route = computed(() => addressOf(fragment.value));

let hasAddress = false;

/** From now on the view is part of the page's address; a page in a client's frame has none. */
export function followAddress(): void {
  hasAddress = true;
  fragment.value = location.hash;
  addEventListener("hashchange", () => openView(location.hash));
}

/** @param link as {@link linkTo} gives it */
export function openView(link: string): void {
  if (hasAddress && location.hash !== link) location.hash = link;
  else [hasMoved.value, fragment.value] = [true, link];
}

export function linkTo(view: string, id?: string | number): string {
  return id === undefined ? `#/${view}` : `#/${view}/${encodeURIComponent(id)}`;
}

export interface Loaded<T> {
  readonly value: T | null;
  readonly error: Refused | null;
  /** By `performance.now()`; ages in the value were right then. */
  readonly at: number;
}

type Kept<T> = Loaded<T> & { readonly key: string };

const nothing = { value: null, error: null, at: 0 };

/**
 * Reads at first, and again after each change; while it reads, the last value stays.
 *
 * @param isSettled no change concerns it: it is read once
 */
export function useLoaded<T>(key: string, load: () => Promise<Answer<T>>, isSettled = false): Loaded<T> {
  const [kept, setKept] = useState<Kept<T>>({ key, ...nothing });
  const changes = isSettled ? 0 : revision.value;
  useEffect(() => {
    let isOver = false;
    const read = async (): Promise<void> => {
      const began = performance.now();
      const answer = await load();
      // One that failed, in the worst case after its whole time, says nothing of the next.
      if (answer.ok) tookMs = Math.max(tookMs, performance.now() - began);
      if (isOver) return;
      if (answer.ok) setKept({ key, at: performance.now(), value: answer.value, error: null });
      // The last value stays beside it.
      else setKept((last) => ({ ...(last.key === key ? last : { key, ...nothing }), error: answer.error }));
    };
    void read();
    return () => {
      isOver = true;
    };
  }, [key, changes]);
  return kept.key === key ? kept : nothing;
}

export function useCall<Name extends CallName>(
  name: Name,
  input: CallInput<Name>,
  isSettled?: boolean,
): Loaded<CallOutput<Name>> {
  return useLoaded(`${name} ${JSON.stringify(input)}`, () => call(name, input), isSettled);
}

export async function call<Name extends CallName>(
  name: Name,
  input: CallInput<Name>,
  requestId?: string,
): Promise<Answer<CallOutput<Name>>> {
  const present = backend.value;
  if (!present) return { ok: false, error: { code: "unauthenticated", message: "sign in again" } };
  const answer = await present.call(name, input, requestId);
  if (!answer.ok && answer.error.code === "unauthenticated") backend.value = null;
  return answer;
}

const gapMs = { least: 500, most: 10_000 };
/** Rests for so many times as long as the last reads took. Machines have a rest of their own. */
const restPerMs = 10;
let isDue = false;
let tookMs = 0;
/** The page itself reads as it is opened. */
let readAt = performance.now();

/** Views that show neither. */
const unconcerned: Readonly<Record<string, readonly string[]>> = {
  tasks: ["files", "messages"],
  messages: ["fleet", "chat", "files", "tasks", "task", "dead", "plan", "health"],
};

/** A hidden page reads nothing until it is shown again. */
export function changed(part: LiveLine["changed"] = "all"): void {
  if (unconcerned[part]?.includes(route.value.view)) return;
  if (isDue || document.hidden) {
    isMissed = document.hidden;
    return;
  }
  isDue = true;
  const restMs = backend.value?.kind === "edge" ? restPerMs * tookMs : 0;
  const sinceMs = Math.max(0, performance.now() - readAt);
  setTimeout(readAgain, Math.max(0, Math.min(gapMs.most, Math.max(gapMs.least, restMs)) - sinceMs));
}

function readAgain(): void {
  isDue = false;
  tookMs = 0;
  readAt = performance.now();
  revision.value++;
}

/** A connection that is back reads at once: the rest is for a backend that has changed. */
export function setLink(state: LinkState): void {
  const isBack = state.isLive && link.value !== unlinked;
  link.value = state;
  if (!isBack) return;
  isMissed = document.hidden;
  if (!isMissed) readAgain();
}

let isMissed = false;

export function shownAgain(): void {
  if (!isMissed || document.hidden) return;
  isMissed = false;
  changed();
}
