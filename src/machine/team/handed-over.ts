import { isTransient, type Failure } from "../../contract/errors.ts";
import type { Held } from "../../contract/machine/handover.ts";
import type { CoordinatorClient } from "../../coordinator-client/client.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { heldNames } from "../../shared/format.ts";
import * as news from "../sessions/news.ts";
import * as held from "../sessions/held-at-hand-over.ts";
import { isContinuedBy } from "../sessions/life/claim.ts";
import { neutralize } from "../sessions/text/neutralize.ts";
import { formatResource, type FileReservations, type ReservationError } from "./file-reservations.ts";
import type { HeldClaims } from "./held-claims.ts";
import type { Leadership } from "./holdings.ts";

/**
 * Leases and tasks of a session that is handed over: the chat that gave it gives all back, and the
 * chat that continues it takes the same ones, where both are in one workspace.
 */

const callTimeoutMs = 10_000;
const givenBackReason = "the session was handed over to another machine";

/** A chat that is registered. */
export interface SettlingChat {
  readonly runtime: Runtime;
  readonly link: Pick<CoordinatorClient, "call">;
  readonly sessionId: string;
  /** Name among all coordinators; null: none. */
  readonly workspace: string | null;
  readonly files: FileReservations;
  readonly tasks: HeldClaims;
  readonly leadership: Leadership;
}

/** May be called often: what is not settled is tried again by the next call. */
export async function settleHandedOver(chat: SettlingChat): Promise<void> {
  const { store } = chat.runtime;
  if (store.read((sql) => held.isToGiveBack(sql, chat.sessionId), false)) await giveBack(chat);
  const mine = store.read(
    (sql) =>
      held
        .list(sql)
        .filter(({ received }) => received.goesTo === "taker" && received.workspace === chat.workspace)
        .filter(({ session }) => isContinuedBy(sql, session, chat.sessionId)),
    [],
  );
  for (const { session, received } of mine) await takeUp(chat, session, received);
}

async function giveBack({ runtime, sessionId, files, tasks, leadership }: SettlingChat): Promise<void> {
  const released = await files.release("", []);
  const resigned = await leadership.resignAll();
  for (const task of tasks.list()) await tasks.release(task, givenBackReason);
  if (released.ok && resigned) runtime.store.write((sql) => held.markGivenBack(sql, sessionId));
}

/** wait: the chat that gave the session has it, or no answer came. */
type Outcome = { readonly state: "got" | "wait" } | { readonly state: "lost"; readonly why: string };

async function takeUp(chat: SettlingChat, session: string, received: held.ReceivedHeld): Promise<void> {
  const { runtime, sessionId } = chat;
  const files = await takeEach(received.files, formatResource, (one) => takeFile(chat, session, one));
  const leads = await takeEach(received.leads, String, (one) => takeLead(chat, session, one));
  const tasks = await takeEach(received.tasks, nameOf, ({ task }) => takeTask(chat, session, task));
  const got = heldNames({ files: files.got, leads: leads.got, tasks: tasks.got });
  const lost = [files.lost, leads.lost, tasks.lost].flat().join(", ");
  const waiting = { files: files.wait, leads: leads.wait, tasks: tasks.wait };
  const isOver = runtime.now() > received.until || heldNames(waiting) === "";
  if (got === "" && lost === "" && !isOver) return;
  const texts = [
    ...(got === "" ? [] : [`This chat now has what the session that it continues held: ${got}.`]),
    ...(lost === "" ? [] : [`Not this chat's: ${lost}.`]),
  ];
  runtime.store.write((sql) => {
    if (isOver) held.forget(sql, session);
    else held.replace(sql, session, { ...received, ...waiting });
    if (texts.length === 0) return;
    // Less waits with each notice of one hand-over.
    const key = `held:${session}:${received.until}:${Object.values(waiting).flat().length}`;
    const notice = { kind: "notice", text: neutralize(texts.join(" ")) } as const;
    news.add(sql, runtime.now(), sessionId, key, notice);
  });
}

function nameOf({ task }: Held["tasks"][number]): string {
  return `task ${task}`;
}

interface Taken<One> {
  readonly got: One[];
  readonly wait: One[];
  /** In words. */
  readonly lost: string[];
}

async function takeEach<One>(
  all: readonly One[],
  name: (one: One) => string,
  takeOne: (one: One) => Promise<Outcome>,
): Promise<Taken<One>> {
  const taken: Taken<One> = { got: [], wait: [], lost: [] };
  for (const one of all) {
    const outcome = await takeOne(one);
    if (outcome.state === "lost") taken.lost.push(`${name(one)} (${outcome.why})`);
    else taken[outcome.state].push(one);
  }
  return taken;
}

async function takeFile({ files }: SettlingChat, giver: string, resource: string): Promise<Outcome> {
  const start = resource.indexOf(":") + 1;
  const project = resource.slice(start, resource.indexOf("/"));
  const reserved = await files.reserve(project, [formatResource(resource)]);
  return reserved.ok ? { state: "got" } : refusedFile(reserved.error, giver);
}

function refusedFile({ holder, ...error }: ReservationError, giver: string): Outcome {
  if (error.code !== "lease_held") return refused(error);
  return holder === null || holder.holder === giver
    ? { state: "wait" }
    : { state: "lost", why: `reserved by ${holder.holderName}` };
}

/** In line behind the chat that gave the session, it leads as soon as that one has resigned. */
async function takeLead({ leadership }: SettlingChat, giver: string, name: string): Promise<Outcome> {
  const campaign = await leadership.campaign(name);
  if (!campaign.ok) return refused(campaign.error);
  if (campaign.value.state === "leading") return { state: "got" };
  const { leader } = campaign.value;
  return leader === null || leader.leader === giver
    ? { state: "wait" }
    : { state: "lost", why: "another chat leads it, and this chat is in line" };
}

async function takeTask({ link, tasks }: SettlingChat, giver: string, task: number): Promise<Outcome> {
  const claim = { requestId: `handed-${task}`, limit: 1, tasks: [task], isStarted: true };
  const claimed = await link.call("tasks.claim", claim, callTimeoutMs);
  if (!claimed.ok) return refused(claimed.error);
  const [own] = claimed.value.claims;
  if (own) {
    tasks.add(own);
    return { state: "got" };
  }
  const found = await link.call("tasks.get", { task }, callTimeoutMs);
  if (!found.ok) return refused(found.error);
  const { state, chat } = found.value;
  if (state === "done" || state === "dead" || state === "cancelled") return { state: "lost", why: `it is ${state}` };
  return chat === null || chat === giver ? { state: "wait" } : { state: "lost", why: "another chat has it" };
}

function refused(error: Failure): Outcome {
  return isTransient(error) ? { state: "wait" } : { state: "lost", why: error.message };
}
